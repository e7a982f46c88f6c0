"""From an event about extra space or credit to the line that tells of it (see `account_lines`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lifecycle_jobs.mail.desk import Desk, box_of, term_of
from lifecycle_jobs.mail.detail import Detail
from lifecycle_jobs.mail.facts import Event
from lifecycle_jobs.mail.purchase_contents import (
    AddonBoughtLine,
    AddonCancelledLine,
    AddonOrderCancelledLine,
    AddonOrderedLine,
    PurchaseLine,
    ToppedUpLine,
    TopUpFailedLine,
)


def _bought(event: Event, _desk: Desk) -> PurchaseLine:
    detail = Detail(event)
    return AddonBoughtLine(
        address=box_of(event).address,
        addon_kind=detail.text("kind"),
        quantity=detail.number("quantity"),
        paid_until=detail.day("paid_until"),
        years=detail.number("years"),
        cost_cents=detail.cents("cost"),
        yearly_cents=detail.cents("yearly"),
        balance_cents=_if_any(detail, "balance"),
        order_number=detail.optional_text("order_number"),
        renewal_cents=_if_any(detail, "renewal"),
        renewal_years=None if detail.optional_text("renewal") is None else detail.number("renewal_years"),
    )


def _if_any(detail: Detail, key: str) -> int | None:
    return None if detail.optional_text(key) is None else detail.cents(key)


def _ordered(event: Event, _desk: Desk) -> PurchaseLine:
    detail = Detail(event)
    return AddonOrderedLine(
        address=box_of(event).address,
        addon_kind=detail.text("kind"),
        quantity=detail.number("quantity"),
        paid_until=term_of(event),
        years=detail.number("years"),
        order_number=detail.text("order_number"),
        net_cents=detail.cents("net"),
        vat_cents=detail.cents("vat"),
        gross_cents=detail.cents("gross"),
        by_transfer=detail.text("pay_by") == "bank_transfer",
    )


def _order_cancelled(event: Event, _desk: Desk) -> PurchaseLine:
    detail = Detail(event)
    return AddonOrderCancelledLine(box_of(event).address, detail.text("order_number"), detail.cents("gross"))


def _cancelled(event: Event, _desk: Desk) -> PurchaseLine:
    detail = Detail(event)
    return AddonCancelledLine(
        address=box_of(event).address,
        addon_kind=detail.text("kind"),
        quantity=detail.number("quantity"),
        ends_on=detail.day("ends_on"),
    )


def _topped_up(event: Event, _desk: Desk) -> PurchaseLine:
    detail = Detail(event)
    return ToppedUpLine(
        order_number=detail.text("order_number"),
        amount_cents=detail.cents("amount"),
        balance_cents=detail.cents("balance"),
        by_card=detail.flag("by_card"),
    )


def _top_up_failed(event: Event, _desk: Desk) -> PurchaseLine:
    detail = Detail(event)
    return TopUpFailedLine(
        order_number=detail.text("order_number"),
        amount_cents=detail.cents("amount"),
        declined=detail.text("reason") == "declined",
    )


PURCHASE_LINES: Final[Mapping[str, Callable[[Event, Desk], PurchaseLine]]] = {
    "addon.bought": _bought,
    "addon.cancelled": _cancelled,
    "addon.ordered": _ordered,
    "addon.order_cancelled": _order_cancelled,
    "credit.topped_up": _topped_up,
    "credit.topup_failed": _top_up_failed,
}
"""By kind of message."""
