"""Made-up messages about account operations (see `samples`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Final

from lifecycle_jobs.mail.account_box_samples import BOX_SAMPLES
from lifecycle_jobs.mail.account_contents import (
    ChangedLine,
    ExtraSpace,
    OrderCancelledLine,
    OrderPlacedLine,
    PayBy,
    UnappliedLine,
)
from lifecycle_jobs.mail.contents import Content
from lifecycle_jobs.mail.method_samples import METHOD_SAMPLES
from lifecycle_jobs.mail.purchase_samples import PURCHASE_SAMPLES
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


_DOWNGRADE: Final = ChangedLine(
    address=BOX,
    plan_name="Standard",
    previous_plan_name="Pro",
    inbox_gb=1,
    archive_gb=0,
    previous_inbox_gb=2,
    previous_archive_gb=3,
    archive_lost_mb=2355,
    order_number="R-4211-20270331",
)
_MORE_SPACE: Final = replace(
    _DOWNGRADE,
    address=SECOND,
    previous_plan_name="Standard",
    inbox_gb=2,
    previous_inbox_gb=1,
    previous_archive_gb=0,
    archive_lost_mb=0,
    order_number="R-4212-20270331",
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
            *(
                content(
                    "order.placed",
                    _ORDER_DAY,
                    replace(_placed(BOX, "R-4211-20270331", "card"), previous_plan_name="Pro", archive_lost_mb=lost),
                )
                for lost in (2355, None, 0)
            ),
        ),
        "box.changed": (
            content("box.changed", _ORDER_DAY, _MORE_SPACE),
            content("box.changed", _ORDER_DAY, _DOWNGRADE, _MORE_SPACE, holder=FIRM),
            content("box.changed", _ORDER_DAY, replace(_DOWNGRADE, archive_lost_mb=None), holder=AWKWARD),
            content("box.changed", _ORDER_DAY, _DOWNGRADE),
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
        "payment.unapplied": (
            content("payment.unapplied", _ORDER_DAY, UnappliedLine(BOX, "R-4211-20270331", "CRO 0123456789", 1000)),
            content("payment.unapplied", _ORDER_DAY, UnappliedLine(THIRD, "A-4213-1", "PAYID-X", 99), holder=AWKWARD),
            content("payment.unapplied", _ORDER_DAY, UnappliedLine(None, "T-4211-1", "CRO 0123456790", 3050)),
        ),
        **METHOD_SAMPLES,
        **PURCHASE_SAMPLES,
        **BOX_SAMPLES,
    }
)
"""Messages to render, by kind."""
