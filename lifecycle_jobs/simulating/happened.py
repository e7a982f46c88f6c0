"""What runs and holders did on given days, counted in the history, in the words of the forecast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, not_, or_, select

from lifecycle_jobs.db.tables import (
    addons,
    boxes,
    charges,
    credit_entries,
    events,
    message_events,
    messages,
    orders,
)
from lifecycle_jobs.forecast.contents import Expected, Figures

_in_a_run = events.c.run_on.is_not(None)
_renewal = events.c.kind.in_(("box.renewed", "box.domain_renewed"))


def what_happened(connection: Connection, days: Sequence[date]) -> dict[date, Figures]:
    """Each of these days, which are all of those from the first to the last.

    E-mails are those of runs. What a charge came to is counted on the day on which it was made, also where that was
    known only later; one that did not reach the bank is none.
    """
    found = {on: Figures() for on in days}
    first, last = days[0], days[-1]

    def each(counted: Select[Any]) -> Iterable[tuple[Figures, str, int]]:
        for on, name, number in connection.execute(counted):
            yield found[on], name, int(number)

    def add(counted: Select[Any], figures: str) -> None:
        for day, name, number in each(counted):
            expected: Expected = getattr(day, figures)
            expected[name] += number

    def between(day: ColumnElement[date]) -> ColumnElement[bool]:
        return day.between(first, last)

    occurred, made = events.c.occurred_on, charges.c.attempted_on
    add(_by_name(occurred, events.c.kind, between(occurred), _in_a_run), "events")
    add(_by_name(messages.c.created_on, messages.c.kind, between(messages.c.created_on), _of_a_run()), "emails")
    add(_by_name(made, charges.c.method_kind, between(made), charges.c.status != "not_attempted"), "charges")
    add(_by_name(made, charges.c.method_kind, between(made), charges.c.status == "declined"), "declined")
    add(_renewals(func.count(), between(occurred)), "renewed")
    add(_renewals(func.sum(func.coalesce(orders.c.gross_cents, 0)), between(occurred)), "cents")
    for day, _, cents in each(_addon_debits(between(credit_entries.c.occurred_on))):
        day.addon_cents -= cents
    for day, _, number in each(_by_name(occurred, events.c.kind, between(occurred), _shortage_first_known())):
        day.addons_short += number
    for counted in _ends(first, last):
        for day, _, number in each(counted):
            day.expiring += number
    return found


def _by_name(day: ColumnElement[Any], name: ColumnElement[Any], *chosen: ColumnElement[bool]) -> Select[Any]:
    return select(day, name, func.count()).where(*chosen).group_by(day, name)


def _of_a_run() -> ColumnElement[bool]:
    return exists().where(
        message_events.c.message_id == messages.c.id, message_events.c.event_id == events.c.id, _in_a_run
    )


def _renewals(value: ColumnElement[Any], *chosen: ColumnElement[bool]) -> Select[Any]:
    """By the way of payment. A domain has no order: what it costs is the hosting's business."""
    method = events.c.detail["method"].as_string()
    way = case(
        (not_(_in_a_run), "by_hand"),
        (method == "agreement", "agreement"),
        (orders.c.gross_cents == 0, "free"),
        else_=method,
    ).label("way")
    its_order = and_(
        orders.c.box_id == events.c.box_id,
        orders.c.term_expires_on == events.c.term_expires_on,
        orders.c.kind == "renewal",
        orders.c.status.in_(("paid", "on_account")),
        events.c.kind == "box.renewed",
    )
    return (
        select(events.c.occurred_on, way, value)
        .select_from(events.outerjoin(orders, its_order))
        .where(_renewal, *chosen)
        .group_by(events.c.occurred_on, way)
    )


def _addon_debits(*chosen: ColumnElement[bool]) -> Select[Any]:
    return (
        select(credit_entries.c.occurred_on, credit_entries.c.reason, func.sum(credit_entries.c.amount_cents))
        .where(credit_entries.c.reason == "addon", *chosen)
        .group_by(credit_entries.c.occurred_on, credit_entries.c.reason)
    )


def _shortage_first_known() -> ColumnElement[bool]:
    """Announced, or switched off without having been announced."""
    announced = events.alias("announced")
    before = exists().where(
        announced.c.addon_id == events.c.addon_id,
        announced.c.term_expires_on == events.c.term_expires_on,
        announced.c.kind == "addon.credit_short",
    )
    given_up = events.c.addon_id.in_(select(addons.c.addon_id).where(addons.c.cancelled_on.is_not(None)))
    switched_off = and_(events.c.kind == "addon.disabled", ~before, ~given_up)
    return and_(_in_a_run, or_(events.c.kind == "addon.credit_short", switched_off))


def _ends(first: date, last: date) -> Sequence[Select[Any]]:
    """Terms that end on each day: of boxes that were not renewed since, and of those that were, from the first day on.

    A box that was deleted before is nobody's any more, and one whose payment waits for a person is not foretold.
    """
    still = boxes.c.expires_on
    there = or_(boxes.c.deleted_on.is_(None), boxes.c.deleted_on >= first)
    ended = events.c.term_expires_on
    return (
        select(still, boxes.c.status, func.count())
        .where(still.between(first, last), there)
        .group_by(still, boxes.c.status),
        select(ended, events.c.kind, func.count())
        .where(ended.between(first, last), events.c.occurred_on.between(first, last), _renewal)
        .group_by(ended, events.c.kind),
    )
