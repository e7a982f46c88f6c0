"""When a box that renews itself is going to be charged: what a holder is told who has changed something about it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, true

from lifecycle_jobs.db.tables import boxes, charges, payment_methods, runs
from lifecycle_jobs.history import euros
from lifecycle_jobs.payments.orders import quote_renewals
from lifecycle_jobs.policy import Catalog, Policy, on_hold, slot_date


def next_charge_on(connection: Connection, catalog: Catalog, box: Row[Any], method: Row[Any], on: date) -> date | None:
    """The day on which the term that the box is in will be charged to this method, if nothing changes.

    None if it is not charged any more: the holder has to renew by hand. Says what `jobs.auto_renew` is going to do: a
    method that was not tried last is charged by the next run up to E, any other with the next slot that is free.
    """
    if box.status != "active" or box.cancelled_on is not None:
        return None
    policy = catalog.policy_of(box.plan)
    earliest = max(next_run_on(connection, on), slot_date(box.expires_on, max(policy.charge_slots)))
    if on_hold(box.hold_until, box.hold_reason, earliest):
        if box.hold_until is None:
            return None
        earliest = box.hold_until + timedelta(days=1)
    last = connection.execute(
        select(charges)
        .where(charges.c.box_id == box.id, charges.c.term_expires_on == box.expires_on)
        .order_by(charges.c.id.desc())
        .limit(1)
    ).one_or_none()
    latest = box.expires_on + timedelta(days=policy.late_charge_days)
    if last is None:
        return earliest if earliest <= latest else None
    if declined_for_good(connection, box, method):
        return None
    replaced = (last.payment_method_id, last.token) != (method.payment_method_id, method.token)
    if replaced and earliest <= box.expires_on:
        return earliest
    day = _free_from(connection, policy, box, earliest, charges.c.status != "not_attempted")
    if day is not None and day > box.expires_on + timedelta(days=policy.outage_grace_days):
        # From then on an attempt that never reached the bank has used up its slot like any other.
        day = _free_from(connection, policy, box, earliest, true())
    return day if day is not None and day <= latest else None


def charge_terms(
    connection: Connection, catalog: Catalog, box_id: int, payment_method_id: str, on: date
) -> dict[str, Any]:
    """What a holder is told whose box renews itself from now on: with what, when this term is charged, and how much."""
    box = connection.execute(select(boxes).where(boxes.c.id == box_id)).one()
    method = connection.execute(
        select(payment_methods).where(payment_methods.c.payment_method_id == payment_method_id)
    ).one()
    due = next_charge_on(connection, catalog, box, method, on)
    return {
        "payment_method_id": payment_method_id,
        "kind": method.kind,
        "brand": method.brand,
        "last4": method.last4,
        "years": box.renewal_years,
        "gross": euros(quote_renewals(connection, catalog, [box])[box.id].gross_cents),
        "charge_on": None if due is None else due.isoformat(),
    }


def declined_for_good(connection: Connection, box: Row[Any], method: Row[Any]) -> bool:
    """The bank has said not to ask this method again in the term that the box is in."""
    hard = connection.scalar(
        select(charges.c.id)
        .where(
            charges.c.box_id == box.id,
            charges.c.term_expires_on == box.expires_on,
            charges.c.status == "declined",
            charges.c.hard,
            charges.c.payment_method_id == method.payment_method_id,
            charges.c.token.is_not_distinct_from(method.token),
        )
        .limit(1)
    )
    return hard is not None


def _free_from(
    connection: Connection, policy: Policy, box: Row[Any], earliest: date, counts: ColumnElement[bool]
) -> date | None:
    """The first day, not before the earliest, on which a slot applies that no charge of those that count was for."""
    used = connection.scalar(
        select(func.min(charges.c.slot)).where(
            charges.c.box_id == box.id, charges.c.term_expires_on == box.expires_on, counts
        )
    )
    free = [slot for slot in policy.charge_slots if used is None or slot < used]
    return max(earliest, slot_date(box.expires_on, max(free))) if free else None


def next_run_on(connection: Connection, on: date) -> date:
    """The date of the next run that looks at every box: one that has begun may have gone past this one already."""
    begun = connection.scalar(select(runs.c.run_on).where(runs.c.run_on == on))
    return on if begun is None else on + timedelta(days=1)
