"""Where a box's E, its renewals and their orders do not agree, and where a box is overdue that should not be."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, exists, false, func, or_, select

from lifecycle_jobs.audit.invariant import Scope, detail, rows
from lifecycle_jobs.db.conditions import (
    EXPIRY_MOVED,
    TERM_PAID,
    by_plan,
    days_from,
    latest_charge_not_attempted,
    on_hold,
    unapplied_payment,
    unresolved_charge,
)
from lifecycle_jobs.db.dialect import joined
from lifecycle_jobs.db.tables import addons, boxes, events, orders, parked_rows

_not_closed = orders.c.status.in_(("awaiting_payment", "cancelled"))
_is_renewal = events.c.kind.in_(TERM_PAID)
_undoing = events.alias()
_undone = exists().where(
    _undoing.c.kind == "box.renewal_undone",
    _undoing.c.box_id == events.c.box_id,
    _undoing.c.detail["undone_event"].as_integer() == events.c.id,
)
_moves_expiry = events.c.kind.in_(EXPIRY_MOVED)


def renewal_without_order(_: Scope) -> Select[Any]:
    """A box was renewed, or bought, and its order does not say so."""
    other = or_(
        orders.c.box_id.is_distinct_from(events.c.box_id),
        orders.c.term_expires_on.is_distinct_from(events.c.term_expires_on),
    )
    wrong = case(
        (or_(orders.c.id.is_(None), orders.c.kind != "renewal"), "renewed without an order"),
        (and_(_not_closed, ~_undone), "renewed, but its order is neither paid nor on account"),
        (other, "renewed, but its order is of another box or term"),
        else_=None,
    )
    return (
        rows(wrong, "event", events.c.id)
        .select_from(events)
        .outerjoin(orders, orders.c.order_number == detail("order_number"))
        .outerjoin(boxes, boxes.c.id == events.c.box_id)
        .where(_is_renewal, wrong.is_not(None))
        .order_by(events.c.id)
    )


def order_without_renewal(_: Scope) -> Select[Any]:
    """A settled renewal order with no renewal, or with several."""
    number = detail("order_number")
    told = (
        select(number.label("order_number"), func.count().label("times")).where(_is_renewal, ~_undone).group_by(number)
    )
    renewed = told.subquery()
    times = func.coalesce(renewed.c.times, 0)
    wrong = case((times == 0, "settled, but its box was not renewed"), else_="renewed its box more than once")
    return (
        rows(wrong, "order", orders.c.order_number)
        .select_from(orders)
        .outerjoin(renewed, renewed.c.order_number == orders.c.order_number)
        .outerjoin(boxes, boxes.c.id == orders.c.box_id)
        .where(orders.c.kind == "renewal", orders.c.status.in_(("paid", "on_account")), times != 1)
        .order_by(orders.c.id)
    )


def _renewals() -> Subquery:
    """Each renewal since the box came, or its E was last overwritten: E before and after, and the E that it found."""
    until = detail("new_expires_on")
    in_order: Any = {"partition_by": events.c.box_id, "order_by": events.c.id}
    backwards: Any = {"partition_by": events.c.box_id, "order_by": events.c.id.desc()}
    found = func.coalesce(func.lag(until).over(**in_order), joined(boxes.c.imported_expires_on))
    return (
        select(
            events.c.id,
            events.c.box_id,
            joined(events.c.term_expires_on).label("term"),
            found.label("found"),
            until.label("until"),
            func.row_number().over(**backwards).label("from_the_last"),
        )
        .join(boxes, boxes.c.id == events.c.box_id)
        .where(_moves_expiry, events.c.id > func.coalesce(boxes.c.imported_after_event, 0))
        .subquery()
    )


def renewal_from_elsewhere(_: Scope) -> Select[Any]:
    """The term that was renewed is not where the renewal before it, or the import, had put E."""
    renewals = _renewals()
    return (
        rows("renewed from another E than it had", "event", renewals.c.id)
        .select_from(renewals)
        .join(boxes, boxes.c.id == renewals.c.box_id)
        .where(renewals.c.term.is_distinct_from(renewals.c.found))
        .order_by(renewals.c.id)
    )


def undone_otherwise(_: Scope) -> Select[Any]:
    """A renewal was undone, and E was not moved back by exactly what that had moved it."""
    undone = events.alias("undone")
    same_box = and_(undone.c.id == events.c.detail["undone_event"].as_integer(), undone.c.box_id == events.c.box_id)
    exactly_back = and_(
        undone.c.detail["new_expires_on"].as_string() == joined(events.c.term_expires_on),
        joined(undone.c.term_expires_on) == detail("new_expires_on"),
    )
    return (
        rows("undone, but E was not moved back by what it was moved", "event", events.c.id)
        .select_from(events)
        .outerjoin(undone, same_box)
        .join(boxes, boxes.c.id == events.c.box_id)
        .where(events.c.kind == "box.renewal_undone", or_(undone.c.id.is_(None), ~exactly_back))
        .order_by(events.c.id)
    )


def expiry_unexplained(_: Scope) -> Select[Any]:
    """E is neither where the last renewal put it nor, without one, the E that the box came with."""
    renewals = _renewals()
    explained = func.coalesce(renewals.c.until, joined(boxes.c.imported_expires_on))
    wrong = case(
        (boxes.c.imported_expires_on.is_(None), "nobody noted the E it came with"),
        (renewals.c.id.is_(None), "E is not the one it came with, and no renewal moved it"),
        else_="E is not where the last renewal put it",
    )
    return (
        rows(wrong, "box", boxes.c.id)
        .select_from(boxes)
        .outerjoin(renewals, and_(renewals.c.box_id == boxes.c.id, renewals.c.from_the_last == 1))
        .where(joined(boxes.c.expires_on).is_distinct_from(explained))
        .order_by(boxes.c.id)
    )


def addon_left_behind(_: Scope) -> Select[Any]:
    """An add-on paid with the renewal that ends on another day than its box."""
    return (
        rows("paid with the renewal, but not until its box's E", "addon", addons.c.addon_id)
        .select_from(addons)
        .join(boxes, boxes.c.id == addons.c.box_id)
        .where(
            addons.c.paid_from == "renewal",
            addons.c.status == "active",
            addons.c.cancelled_on.is_(None),
            boxes.c.status != "deleted",
            addons.c.expires_on != boxes.c.expires_on,
        )
        .order_by(addons.c.addon_id)
    )


def overdue(scope: Scope) -> Select[Any]:
    """Active past E after a completed run, for none of the reasons for which `suspend` leaves a box active."""
    found = rows("active past E", "box", boxes.c.id).order_by(boxes.c.id)
    on = scope.on
    if on is None:
        return found.where(false())
    in_grace = by_plan(
        scope.catalog.groups(), lambda policy: boxes.c.expires_on >= days_from(on, -policy.outage_grace_days)
    )
    return found.where(
        boxes.c.status == "active",
        boxes.c.expires_on < on,
        ~on_hold(on),
        ~unresolved_charge(),
        ~unapplied_payment(),
        ~and_(in_grace, latest_charge_not_attempted()),
        ~_parked(),
        ~_settled_since(on),
    )


def _settled_since(on: date) -> ColumnElement[bool]:
    """A person did away with the reason after that run, or on its date: the next run suspends the box."""
    settling, received = events.alias(), events.alias()
    of_box = exists().where(
        received.c.box_id == boxes.c.id,
        received.c.kind.in_(("payment.unapplied", "payment.applied")),
        received.c.detail["reference"].as_string() == settling.c.detail["reference"].as_string(),
    )
    return exists().where(
        settling.c.occurred_on >= on,
        or_(
            and_(
                settling.c.kind.in_(("hold.released", "charge.resolved", "payment.refunded")),
                settling.c.box_id == boxes.c.id,
            ),
            # Applied to an order of another box, it is no longer this one's.
            and_(settling.c.kind == "payment.applied", of_box),
        ),
    )


def _parked() -> ColumnElement[bool]:
    return exists().where(
        parked_rows.c.box_id == boxes.c.id,
        parked_rows.c.job.in_(("auto_renew", "suspend")),
        parked_rows.c.state != "resolved",
    )
