"""Made-up messages about account operations (see `samples`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from lifecycle_jobs.mail.account_box_samples import BOX_SAMPLES
from lifecycle_jobs.mail.account_contents import ExtraSpace, OrderCancelledLine, OrderPlacedLine, PayBy
from lifecycle_jobs.mail.contents import Content
from lifecycle_jobs.mail.sample_letters import AWKWARD, FIRM, content
from lifecycle_jobs.mail.sample_lines import BOX, SECOND, THIRD, E

_ORDER_DAY: Final = date(2027, 3, 16)
_ONE_GB: Final = ExtraSpace("extra_inbox", 1)


def _placed(
    address: str, number: str, pay_by: PayBy, *, net: int = 990, vat: int = 218, extras: tuple[ExtraSpace, ...] = ()
) -> OrderPlacedLine:
    return OrderPlacedLine(
        address=address,
        plan_name="Standard",
        expires_on=E,
        renews_until=date(2028, 3, 31),
        years=1,
        order_number=number,
        net_cents=net,
        vat_cents=vat,
        gross_cents=net + vat,
        pay_by=pay_by,
        pay_url=f"https://www.example.it/renew?box={address}",
        extras=extras,
    )


def _cancelled(address: str, number: str, *, renews_itself: bool = False) -> OrderCancelledLine:
    return OrderCancelledLine(
        address=address,
        plan_name="Standard",
        expires_on=E,
        order_number=number,
        gross_cents=1208,
        renews_itself=renews_itself,
        renew_url=f"https://www.example.it/renew?box={address}",
    )


ACCOUNT_SAMPLES: Final[Mapping[str, tuple[Content, ...]]] = MappingProxyType(
    {
        "order.placed": (
            content("order.placed", _ORDER_DAY, _placed(BOX, "R-4211-20270331", "bank_transfer")),
            content(
                "order.placed",
                _ORDER_DAY,
                _placed(
                    BOX, "R-4211-20270331", "bank_transfer", net=1240, vat=273, extras=(ExtraSpace("extra_inbox", 1),)
                ),
                _placed(SECOND, "R-4212-20270331", "bank_transfer"),
                holder=FIRM,
            ),
            content("order.placed", _ORDER_DAY, _placed(THIRD, "R-4213-20270331", "card"), holder=AWKWARD),
            content("order.placed", date(2027, 4, 10), _placed(BOX, "R-4211-20270331", "paypal")),
            content(
                "order.placed",
                _ORDER_DAY,
                _placed(BOX, "R-4211-20270331", "card"),
                _placed(SECOND, "R-4212-20270331", "card"),
                holder=FIRM,
            ),
        ),
        "order.cancelled": (
            content("order.cancelled", _ORDER_DAY, _cancelled(BOX, "R-4211-20270331")),
            content(
                "order.cancelled",
                _ORDER_DAY,
                _cancelled(BOX, "R-4211-20270331"),
                _cancelled(SECOND, "R-4212-20270331"),
                holder=FIRM,
            ),
            content("order.cancelled", E, _cancelled(THIRD, "R-4213-20270331", renews_itself=True), holder=AWKWARD),
            content("order.cancelled", date(2027, 4, 10), _cancelled(BOX, "R-4211-20270331")),
        ),
        **BOX_SAMPLES,
    }
)
"""Messages to render, by kind."""
