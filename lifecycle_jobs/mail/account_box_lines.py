"""From the event of what was done to a box, or to its domain, to the line that tells of it (see `account_lines`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from lifecycle_jobs.mail.account_box_contents import (
    BoughtLine,
    BoxLine,
    CancellationRecordedLine,
    CancellationWithdrawnLine,
    DomainReleasedLine,
    DomainRenewedLine,
    HoldPlacedLine,
    HoldReleasedLine,
    LiftedLine,
    RenewalUndoneLine,
    RevivedLine,
    SuspendedByHandLine,
)
from lifecycle_jobs.mail.desk import Desk, box_of, method_text, term_of
from lifecycle_jobs.mail.detail import Detail
from lifecycle_jobs.mail.facts import Event
from lifecycle_jobs.policy import deletion_date, suspends_on


def _cancellation_recorded(event: Event, desk: Desk) -> BoxLine:
    box = box_of(event)
    return CancellationRecordedLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        expires_on=term_of(event),
        suspends_on=_suspended_from(event),
        deletes_on=_deleted_from(event, desk),
    )


def _cancellation_withdrawn(event: Event, desk: Desk) -> BoxLine:
    box = box_of(event)
    return CancellationWithdrawnLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        expires_on=term_of(event),
        renews_itself=Detail(event).flag("renews_itself"),
        renew_url=desk.renew_url(box),
    )


def _hold_placed(event: Event, desk: Desk) -> BoxLine:
    box = box_of(event)
    return HoldPlacedLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        expires_on=term_of(event),
        until=Detail(event).optional_day("until"),
    )


def _hold_released(event: Event, desk: Desk) -> BoxLine:
    box = box_of(event)
    return HoldReleasedLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        expires_on=term_of(event),
        renew_url=desk.renew_url(box),
    )


def _suspended_by_hand(event: Event, desk: Desk) -> BoxLine:
    box = box_of(event)
    return SuspendedByHandLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        suspended_on=Detail(event).day("suspended_on"),
        expires_on=term_of(event),
    )


def _lifted(event: Event, desk: Desk) -> BoxLine:
    box = box_of(event)
    return LiftedLine(address=box.address, plan_name=desk.plan(box).name, expires_on=term_of(event))


def _bought(event: Event, desk: Desk) -> BoxLine:
    detail, box = Detail(event), box_of(event)
    kind = detail.optional_text("method")
    return BoughtLine(
        address=box.address,
        plan_name=desk.plan_named(detail.text("plan")),
        starts_on=event.occurred_on,
        expires_on=detail.day("new_expires_on"),
        order_number=detail.text("order_number"),
        net_cents=detail.cents("net"),
        vat_cents=detail.cents("vat"),
        gross_cents=detail.cents("gross"),
        method=method_text(kind, event.method) if kind else None,
        on_account=kind == "agreement",
        renews_itself=detail.flag("renews_itself"),
        again=detail.optional_day("address_deleted_on") is not None,
        domain=detail.optional_text("domain"),
    )


def _domain_renewed(event: Event, desk: Desk) -> BoxLine:
    detail, box = Detail(event), box_of(event)
    return DomainRenewedLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        domain=detail.text("domain"),
        old_expires_on=term_of(event),
        expires_on=detail.day("new_expires_on"),
        suspended=detail.flag("suspended"),
    )


def _domain_released(event: Event, desk: Desk) -> BoxLine:
    box = box_of(event)
    return DomainReleasedLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        domain=Detail(event).text("domain"),
        expires_on=term_of(event),
        deletes_on=_deleted_from(event, desk),
    )


def _renewal_undone(event: Event, desk: Desk) -> BoxLine:
    detail, box = Detail(event), box_of(event)
    return RenewalUndoneLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        expires_on=detail.day("new_expires_on"),
        undone_expires_on=term_of(event),
        order_number=detail.optional_text("order_number"),
        gross_cents=detail.cents("gross"),
        credit_cents=detail.cents("credit"),
        to_refund=detail.flag("to_refund"),
        auto_renew_off=detail.flag("auto_renew_off"),
        renew_url=desk.renew_url(box),
    )


def _revived(event: Event, desk: Desk) -> BoxLine:
    detail, box = Detail(event), box_of(event)
    plan, suspended_on = desk.plan(box), detail.day("suspended_on")
    return RevivedLine(
        address=box.address,
        plan_name=plan.name,
        expires_on=term_of(event),
        deleted_on=detail.day("deleted_on"),
        deletes_on=deletion_date(plan.policy, term_of(event), suspended_on, box.hold_until),
        renew_url=desk.renew_url(box),
    )


def _suspended_from(event: Event) -> date:
    """Since when, or from when on, a box that is let go is suspended."""
    return box_of(event).suspended_on or max(suspends_on(term_of(event)), event.occurred_on)


def _deleted_from(event: Event, desk: Desk) -> date:
    """X of a box that is let go."""
    box = box_of(event)
    return deletion_date(desk.plan(box).policy, term_of(event), _suspended_from(event), box.hold_until)


BOX_LINES: Final[Mapping[str, Callable[[Event, Desk], BoxLine]]] = {
    "cancellation.recorded": _cancellation_recorded,
    "cancellation.withdrawn": _cancellation_withdrawn,
    "hold.placed": _hold_placed,
    "hold.released": _hold_released,
    "box.suspended_by_hand": _suspended_by_hand,
    "box.lifted": _lifted,
    "box.bought": _bought,
    "box.domain_renewed": _domain_renewed,
    "domain.released": _domain_released,
    "box.renewal_undone": _renewal_undone,
    "box.revived": _revived,
}
"""By kind of message."""
