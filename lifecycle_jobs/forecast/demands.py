"""For how many terms prepaid credit will suffice: what is to be paid from a balance, in the order of its dates.

A holder's boxes that are charged to credit and the add-ons that credit pays share one balance. It is spent on them in
the order of E (of an add-on: A), on one date on boxes first, as far as it goes; nobody tops up. Where a dear one does
not fit any more the program would still try a later, cheaper one: that is not foreseen here.

Nothing is kept back for a box that will not be charged in these days, as it is on hold for longer or its late charges
are over. Its add-ons, and those of a suspended box, come last: all that is left is theirs if somebody pays for the box
by hand, and as long as it would do they wait for that.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    extract,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy import cast as as_type

from lifecycle_jobs.db.conditions import by_plan
from lifecycle_jobs.db.dialect import days_between
from lifecycle_jobs.db.tables import addons, boxes, customers, payment_methods
from lifecycle_jobs.forecast.prices import extras_by_box, gross_in_sql, renewal_gross, renews_itself, whole
from lifecycle_jobs.forecast.span import Span

_YEAR = 365
"""Days, for the order of dates only."""


def terms_met(span: Span) -> CTE:
    """For how many `terms` credit pays each demand, by `box_id` (a box charged to credit) or `addon_id`."""
    demands = union_all(_boxes(span), _addons(span)).subquery("demands")
    turn = (demands.c.due, demands.c.rank, demands.c.ends, demands.c.box_id, demands.c.addon_id)
    sums = select(
        demands,
        whole(func.sum(demands.c.cents).over(partition_by=demands.c.customer_id, order_by=turn)).label("up_to_this"),
    ).subquery("sums")
    met = or_(sums.c.cents == 0, sums.c.up_to_this <= customers.c.credit_cents)
    return (
        select(sums.c.box_id, sums.c.addon_id, whole(func.sum(case((met, 1), else_=0))).label("terms"))
        .join(customers, customers.c.customer_id == sums.c.customer_id)
        .group_by(sums.c.box_id, sums.c.addon_id)
        .cte("terms_met")
    )


def _boxes(span: Span) -> Select[Any]:
    extras, round_ = extras_by_box(), _rounds(span)
    by_credit = select(payment_methods.c.payment_method_id).where(payment_methods.c.kind == "credit")
    due = _days_to(span, boxes.c.expires_on) + _later(round_.c.number)
    return (
        select(
            boxes.c.id.label("box_id"),
            as_type(null(), addons.c.addon_id.type).label("addon_id"),
            boxes.c.customer_id,
            due.label("due"),
            literal(0).label("rank"),
            boxes.c.expires_on.label("ends"),
            renewal_gross(span.catalog, extras).label("cents"),
        )
        .select_from(boxes.outerjoin(extras, extras.c.box_id == boxes.c.id).join(round_, true()))
        .where(
            boxes.c.payment_method_id.in_(by_credit),
            boxes.c.status == "active",
            renews_itself(span.catalog),
            _to_be_charged(span),
            due <= _in_sight(span),
        )
    )


def _addons(span: Span) -> Select[Any]:
    round_ = _rounds(span)
    # One that its box has left behind catches up with it on the first day, after the boxes that are charged by then,
    # and goes on with it from there.
    behind = and_(boxes.c.status == "active", boxes.c.expires_on >= span.first, addons.c.behind)
    catches_up = and_(behind, round_.c.number == 0)
    renews = or_(~renews_itself(span.catalog), _to_be_charged(span))
    last = or_(boxes.c.status == "suspended", ~or_(behind, renews))
    due = case(
        (last, literal(_in_sight(span)) + round_.c.number),
        (catches_up, literal(span.slots_begin)),
        (behind, _days_to(span, boxes.c.expires_on) + _later(round_.c.number - 1)),
        else_=_days_to(span, addons.c.expires_on) + _later(round_.c.number),
    )
    years = case((catches_up, years_behind()), else_=boxes.c.renewal_years)
    return (
        select(
            as_type(null(), boxes.c.id.type),
            addons.c.addon_id,
            boxes.c.customer_id,
            due,
            literal(1),
            addons.c.expires_on,
            gross_in_sql(span.catalog, addons.c.quantity * addons.c.unit_price_cents * years),
        )
        .select_from(addons.join(boxes, boxes.c.id == addons.c.box_id).join(round_, true()))
        .where(
            and_(addons.c.status == "active", addons.c.paid_from == "credit", addons.c.cancelled_on.is_(None)),
            boxes.c.status != "deleted",
            due <= _in_sight(span),
        )
    )


def years_behind() -> ColumnElement[int]:
    """From an add-on's A to the E of its box that went on, a begun year counting whole; `policy.whole_years`."""
    ends, begins = boxes.c.expires_on, addons.c.expires_on
    begun = _day_of_year(ends) > _day_of_year(begins)
    return whole(extract("year", ends) - extract("year", begins) + case((begun, 1), else_=0))


def _day_of_year(day: ColumnElement[Any]) -> ColumnElement[int]:
    """Month and day as one number, the same in every year."""
    return extract("month", day) * 100 + extract("day", day)


def _to_be_charged(span: Span) -> ColumnElement[bool]:
    """The box is charged in these days if it renews itself: it is not too late for that, and no hold forbids it."""
    in_time = by_plan(
        span.catalog.groups(),
        lambda policy: boxes.c.expires_on >= span.first - timedelta(days=policy.late_charge_days),
    )
    free = or_(boxes.c.hold_until <= span.last, and_(boxes.c.hold_until.is_(None), boxes.c.hold_reason.is_(None)))
    return and_(in_time, free)


def _rounds(span: Span) -> Subquery:
    """Term after term, as many as there can be in these days."""
    return union_all(*[select(literal(number).label("number")) for number in range(span.most_terms)]).subquery()


def _later(rounds: ColumnElement[int]) -> ColumnElement[int]:
    return rounds * boxes.c.renewal_years * _YEAR


def _days_to(span: Span, day: ColumnElement[Any]) -> ColumnElement[int]:
    return days_between(literal(span.first, boxes.c.expires_on.type), day)


def _in_sight(span: Span) -> int:
    """Later demands come after all that these days may see; a leap day or two may lie between."""
    return (span.last - span.first).days + span.lead + span.most_terms
