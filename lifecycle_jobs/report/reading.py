"""Reads a daily report from the database. Everything is found by an index: the history grows for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Select, and_, case, func, select, union_all

from lifecycle_jobs import stops
from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import (
    boxes,
    charges,
    events,
    gateway_notices,
    messages,
    run_jobs,
    runs,
    staff_reports,
    top_up_charges,
)
from lifecycle_jobs.gates import suspected_gap
from lifecycle_jobs.jobs import reconcile_charges
from lifecycle_jobs.payments.staff_notices import LISTED_DAYS
from lifecycle_jobs.payments.top_up_charges import unresolved_top_up
from lifecycle_jobs.report.coming import coming_days
from lifecycle_jobs.report.contents import DELETIONS_NAMED, Count, DailyReport, RunOfDay
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.status import (
    Listing,
    count_held_back,
    list_held_back,
    list_not_attempted,
    list_parked,
    list_refunds,
    list_unresolved,
    listing,
)
from lifecycle_jobs.watching.noticing import noticed

_A_DAY: Final = timedelta(days=1)
_A_WEEK: Final = timedelta(days=7)
_WHILE_WRITTEN: Final = timedelta(minutes=10)
"""How long before its acceptance a report may have been read at most: reading and handing over take time."""


def read_report(
    store: Store, settings: Settings, on: date, today: date, tick: Callable[[], None] = lambda: None
) -> DailyReport:
    """The report of the business date `on`, with what waits and what comes as of the business date `today`.

    With ten million boxes this takes a minute; `tick` is called every few seconds of it, and may raise.
    """
    overdue_since = today - timedelta(days=settings.gateway.report_unresolved_after)
    with store.read() as connection:
        return DailyReport(
            on=on,
            as_of=today,
            stop=stops.in_force(connection),
            gap=suspected_gap(connection, settings, today),
            run=_run(connection, on),
            counts=_counts(connection, on),
            deletions=listing(connection, _deletions(on), on=today, limit=DELETIONS_NAMED),
            problems=_problems(connection, on),
            unusual=noticed(connection, on),
            parked=list_parked(connection),
            unresolved=list_unresolved(connection, today),
            overdue=_overdue(connection, overdue_since),
            refunds_due=list_refunds(connection, today),
            failed_messages=listing(connection, _failed_messages(today - _A_WEEK), on=today),
            notices=_notices(connection, on, settings.zone),
            not_attempted=list_not_attempted(connection, today),
            held_back=list_held_back(store, settings, today),
            unwarned=count_held_back(store, settings, today).get("no_delivered_warning", 0),
            coming=coming_days(store, settings.catalog(), today, tick),
        )


def _run(connection: Connection, on: date) -> RunOfDay | None:
    row = connection.execute(select(runs).where(runs.c.run_on == on)).one_or_none()
    return None if row is None else RunOfDay(row.state, row.run_pass, row.finished_at, row.failures)


def _counts(connection: Connection, on: date) -> Sequence[Count]:
    """Every kind of event of the day, or of a day it is compared with, by name."""
    here, before, a_week_before = (_events_of(connection, on - timedelta(days=days)) for days in (0, 1, 7))
    kinds = sorted({*here, *before, *a_week_before})
    return [Count(kind, here[kind], before[kind], a_week_before[kind]) for kind in kinds]


def _events_of(connection: Connection, on: date) -> Counter[str]:
    """What the run of a date did, and what people did on it by command, by kind."""
    by_command = and_(events.c.occurred_on == on, events.c.operation.is_not(None))
    numbers: Counter[str] = Counter()
    for chosen in (events.c.run_on == on, by_command):
        for kind, number in connection.execute(
            select(events.c.kind, func.count()).where(chosen).group_by(events.c.kind)
        ):
            numbers[kind] += number
    return numbers


def _deletions(on: date) -> Select[Any]:
    return (
        select(boxes.c.address, boxes.c.customer_id, boxes.c.expires_on, boxes.c.suspended_on)
        .join(events, events.c.box_id == boxes.c.id)
        .where(events.c.run_on == on, events.c.kind == "box.deleted")
        .order_by(events.c.id)
    )


def _problems(connection: Connection, on: date) -> Sequence[str]:
    """What the jobs of the last pass over the day could not do by themselves.

    But for charges that have been unresolved for days: those are listed as they stand now.
    """
    latest = select(func.max(run_jobs.c.run_pass)).where(run_jobs.c.run_on == on).scalar_subquery()
    rows = connection.execute(
        select(run_jobs.c.failures)
        .where(run_jobs.c.run_on == on, run_jobs.c.run_pass == latest, run_jobs.c.job != reconcile_charges.NAME)
        .order_by(run_jobs.c.job)
    )
    return [sentence for row in rows for sentence in row.failures]


def _overdue(connection: Connection, since: date) -> int:
    return sum(
        connection.scalar(select(func.count(case((table.c.attempted_on <= since, 1)))).where(without_answer)) or 0
        for table, without_answer in ((charges, unresolved), (top_up_charges, unresolved_top_up))
    )


def _failed_messages(after: date) -> Select[Any]:
    return (
        select(
            messages.c.id,
            messages.c.kind,
            messages.c.customer_id,
            messages.c.created_on.label("since"),
            messages.c.response,
        )
        .where(messages.c.status == "failed", messages.c.created_on > after)
        .order_by(messages.c.created_on, messages.c.id)
    )


def _notices(connection: Connection, on: date, zone: ZoneInfo) -> Listing:
    """What the gateway told of and a person has to know, as far as no report before this one can have said it.

    It counts from the moment at which it became the staff's (a contradiction does so only when the gateway was asked
    again), up to the end of the date where the business is; with it what is told of disputes and refunds and has not
    been taken up yet.
    """
    notice = gateway_notices.c
    since, until = _told_before(connection, on, zone), _midnight(on + _A_DAY, zone)
    # The moment of arrival is for the index.
    news = and_(
        notice.for_staff,
        notice.received_at >= since - timedelta(days=LISTED_DAYS),
        notice.handled_at >= since,
        notice.handled_at < until,
    )
    untouched = and_(notice.state == "waiting", notice.concerns.in_(("dispute", "refund")))
    shown = (
        notice.notice_id,
        notice.concerns,
        notice.kind,
        notice.idempotency_key,
        notice.amount_cents,
        notice.reason,
        notice.received_at,
    )
    both = union_all(select(*shown).where(news), select(*shown).where(untouched)).subquery()
    found = listing(connection, select(both).order_by(both.c.received_at, both.c.notice_id))
    for row in found.rows:
        row["received_at"] = row["received_at"].astimezone(zone)
    return found


def _told_before(connection: Connection, on: date, zone: ZoneInfo) -> datetime:
    """Up to when the staff knows everything from the report before that of a date.

    Where none was sent of late, that is until the business date of the run before began.
    """
    sent = connection.execute(
        select(staff_reports.c.run_on, staff_reports.c.accepted_at)
        .where(
            staff_reports.c.status == "sent",
            staff_reports.c.run_on < on,
            staff_reports.c.run_on >= on - timedelta(days=LISTED_DAYS),
        )
        .order_by(staff_reports.c.run_on.desc())
        .limit(1)
    ).one_or_none()
    if sent is not None:
        read_at: datetime = sent.accepted_at - _WHILE_WRITTEN
        return min(read_at, _midnight(sent.run_on + _A_DAY, zone))
    before = connection.scalar(select(func.max(runs.c.run_on)).where(runs.c.state == "completed", runs.c.run_on < on))
    return _midnight(before or on - _A_DAY, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a business date begins, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
