"""From the event of an account operation to the line that tells of it (see `lines`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

from lifecycle_jobs.mail.account_box_lines import BOX_LINES
from lifecycle_jobs.mail.account_contents import (
    AccountLine,
    ChangedLine,
    ExtraSpace,
    OrderCancelledLine,
    OrderPlacedLine,
    PayBy,
    UnappliedLine,
)
from lifecycle_jobs.mail.desk import Desk, box_of, term_of
from lifecycle_jobs.mail.detail import Detail
from lifecycle_jobs.mail.facts import Event
from lifecycle_jobs.mail.method_lines import METHOD_LINES
from lifecycle_jobs.mail.purchase_lines import PURCHASE_LINES


def _order_placed(event: Event, desk: Desk) -> AccountLine:
    detail, box = Detail(event), box_of(event)
    previous = detail.text("previous_plan")
    return OrderPlacedLine(
        address=box.address,
        plan_name=desk.plan_named(detail.text("plan")),
        expires_on=term_of(event),
        renews_until=detail.day("renews_until"),
        years=detail.number("years"),
        order_number=detail.text("order_number"),
        net_cents=detail.cents("net"),
        vat_cents=detail.cents("vat"),
        gross_cents=detail.cents("gross"),
        pay_by=cast("PayBy", detail.text("pay_by")),
        pay_url=desk.renew_url(box),
        extras=tuple(ExtraSpace(kind, gigabytes) for kind, gigabytes in detail.quantities("extras")),
        previous_plan_name=None if previous == detail.text("plan") else desk.plan_named(previous),
        archive_lost_mb=detail.optional_number("archive_lost_mb"),
    )


def _order_cancelled(event: Event, desk: Desk) -> AccountLine:
    detail, box = Detail(event), box_of(event)
    return OrderCancelledLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        expires_on=term_of(event),
        order_number=detail.text("order_number"),
        gross_cents=detail.cents("gross"),
        renews_itself=detail.flag("renews_itself"),
        renew_url=desk.renew_url(box),
    )


def _unapplied(event: Event, _desk: Desk) -> AccountLine:
    detail = Detail(event)
    return UnappliedLine(
        address=None if event.box is None else event.box.address,
        order_number=detail.text("order_number"),
        reference=detail.text("reference"),
        amount_cents=detail.cents("amount"),
    )


def _changed(event: Event, desk: Desk) -> AccountLine:
    detail = Detail(event)
    return ChangedLine(
        address=box_of(event).address,
        plan_name=desk.plan_named(detail.text("plan")),
        previous_plan_name=desk.plan_named(detail.text("previous_plan")),
        inbox_gb=detail.number("inbox_gb"),
        archive_gb=detail.number("archive_gb"),
        previous_inbox_gb=detail.number("previous_inbox_gb"),
        previous_archive_gb=detail.number("previous_archive_gb"),
        archive_lost_mb=detail.optional_number("archive_lost_mb"),
        order_number=detail.text("order_number"),
    )


ACCOUNT_LINES: Final[Mapping[str, Callable[[Event, Desk], AccountLine]]] = {
    "order.placed": _order_placed,
    "order.cancelled": _order_cancelled,
    "payment.unapplied": _unapplied,
    **METHOD_LINES,
    **PURCHASE_LINES,
    "box.changed": _changed,
    **BOX_LINES,
}
"""By kind of message. A line about no box at all is possible: what it tells of is the customer's."""
