"""What several rules ask of a box, as SQL.

Every condition here is true or false, never NULL: it will be negated, and `NOT NULL` would silently drop the row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select

from lifecycle_jobs.db.dialect import as_it_stands
from lifecycle_jobs.db.tables import (
    boxes,
    charges,
    events,
    message_events,
    messages,
    orders,
    parked_rows,
    registered_payments,
)
from lifecycle_jobs.policy import Policy, PolicyGroup

Refusals = Sequence[tuple[str, ColumnElement[bool]]]
"""Why a row that is due by date is left alone: reason and condition, most telling first."""

TERM_PAID = ("box.renewed", "box.bought")
"""The kinds of event of a term that has an order, paid or on account; their detail names it."""

EXPIRY_MOVED = (*TERM_PAID, "box.domain_renewed", "box.renewal_undone")
"""The kinds of event that move E: from their `term_expires_on` to the `new_expires_on` in their detail."""

_UNRESOLVED = ("pending", "unknown")
unresolved = charges.c.status.in_(_UNRESOLVED)
still_unresolved = as_it_stands(charges.c.status).in_(_UNRESOLVED)
"""The same, asked of a charge that is found by its id."""
"""A charge of which nobody knows yet whether the bank made it."""

of_this_term = and_(charges.c.box_id == boxes.c.id, charges.c.term_expires_on == boxes.c.expires_on)
"""Charges of the term that the box is in now."""


def days_from(on: date, days: int) -> date:
    """The date `days` after `on` (before, if negative)."""
    return on + timedelta(days=days)


def on_hold(on: date) -> ColumnElement[bool]:
    """The box is disputed or under a court order (SPEC §2); `policy.on_hold` says the same."""
    return or_(
        and_(boxes.c.hold_until.is_not(None), boxes.c.hold_until >= on),
        and_(boxes.c.hold_until.is_(None), boxes.c.hold_reason.is_not(None)),
    )


def on_domain(name: str) -> ColumnElement[bool]:
    """The box is on this domain, in whatever case it is written."""
    return and_(boxes.c.domain.is_not(None), func.lower(boxes.c.domain) == name.lower())


def unresolved_charge() -> ColumnElement[bool]:
    """Nobody knows yet whether the bank has charged for this box: all rules leave it alone (SPEC §3)."""
    return exists().where(charges.c.box_id == boxes.c.id, unresolved)


def unapplied_payment() -> ColumnElement[bool]:
    """Money came in for this box and could not be applied to it: until a person settles that, all leave it alone."""
    received = charges.alias("received")  # who asks may be looking at a charge of the box already
    return or_(
        exists().where(received.c.box_id == boxes.c.id, received.c.unapplied),
        boxes.c.id.in_(
            select(orders.c.box_id)
            .join(registered_payments, registered_payments.c.order_id == orders.c.id)
            .where(
                orders.c.box_id.is_not(None),
                ~registered_payments.c.effective,
                registered_payments.c.refunded_on.is_(None),
            )
        ),
    )


def deletion_date_by(policy: Policy, day: date) -> ColumnElement[bool]:
    """X ≤ day, for a suspended box; `policy.deletion_date` says what X is."""
    return and_(
        boxes.c.expires_on <= days_from(day, -policy.suspended_days - 1),
        boxes.c.suspended_on.is_not(None),
        boxes.c.suspended_on <= days_from(day, -policy.minimum_suspension_days),
        or_(boxes.c.hold_until.is_(None), boxes.c.hold_until <= days_from(day, -policy.minimum_suspension_days)),
    )


_tells_of_suspension = and_(
    events.c.box_id == boxes.c.id,
    events.c.term_expires_on == boxes.c.expires_on,
    events.c.kind.in_(("box.suspended", "box.deletion_warning")),
    message_events.c.event_id == events.c.id,
    ~message_events.c.moot,
    messages.c.id == message_events.c.message_id,
    ~messages.c.redirected,
)
"""A message with a suspension notice or deletion warning of the term that the box is in."""


def warning_delivered(accepted: ColumnElement[bool]) -> ColumnElement[bool]:
    """A suspension notice or deletion warning of this term lies with the mail server, on a condition about when."""
    return exists().where(_tells_of_suspension, accepted)


def first_warning_accepted_on() -> ColumnElement[date | None]:
    """When the mail server took the first suspension notice or deletion warning of this term."""
    return (
        select(func.min(messages.c.accepted_on))
        .where(_tells_of_suspension, messages.c.status == "sent")
        .correlate(boxes)
        .scalar_subquery()
    )


def latest_charge_not_attempted() -> ColumnElement[bool]:
    """The last thing tried in this term never reached the bank: our trouble, not the holder's."""
    latest_status = (
        select(charges.c.status)
        .where(of_this_term)
        .order_by(charges.c.id.desc())
        .limit(1)
        .correlate(boxes)
        .scalar_subquery()
    )
    return case((latest_status == "not_attempted", True), else_=False).is_(True)


def parked_by_another_than(job: str) -> ColumnElement[bool]:
    """Something else failed on the box, in whatever run: too much doubt for a rule that cannot be undone.

    Rows that this pass takes up (`retrying`) no longer count once their own job has had its turn, and alerts are
    the one job whose turn comes after deletion.
    """
    return exists().where(
        parked_rows.c.box_id == boxes.c.id,
        parked_rows.c.job != job,
        or_(
            parked_rows.c.state == "open",
            and_(parked_rows.c.state == "retrying", parked_rows.c.job == "send_alerts"),
        ),
    )


def parked_by(job: str, on: date) -> ColumnElement[bool]:
    """This job failed on the box in the run of this date and was not repeated since."""
    return exists().where(
        parked_rows.c.box_id == boxes.c.id,
        parked_rows.c.job == job,
        parked_rows.c.last_run_on == on,
        parked_rows.c.state == "open",
    )


def left_over() -> ColumnElement[bool]:
    """The box has a parked row that this pass takes up."""
    return exists().where(parked_rows.c.box_id == boxes.c.id, parked_rows.c.state == "retrying")


def taken_up(job: str) -> Select[int]:
    """The boxes on which this job failed in an earlier pass and has not had its turn again."""
    return select(parked_rows.c.box_id).where(
        parked_rows.c.box_id.is_not(None), parked_rows.c.job == job, parked_rows.c.state == "retrying"
    )


def by_plan(groups: Sequence[PolicyGroup], condition: Callable[[Policy], ColumnElement[bool]]) -> ColumnElement[bool]:
    """A condition that depends on the policy of the box's plan."""
    return or_(*[and_(boxes.c.plan.in_(group.plans), condition(group.policy)) for group in groups])


def none_of(refusals: Refusals) -> ColumnElement[bool]:
    """The row is refused for no reason at all."""
    return and_(*[~condition for _, condition in refusals])


def first_reason(refusals: Refusals) -> ColumnElement[str]:
    """The first reason that applies to a row; none if it is not refused."""
    return case(*[(condition, reason) for reason, condition in refusals], else_=None)
