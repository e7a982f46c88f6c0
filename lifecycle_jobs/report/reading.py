"""Reads a daily report from the database. Everything is found by an index: the history grows for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, select

from lifecycle_jobs import stops
from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges, events, gateway_notices, messages, run_jobs, runs
from lifecycle_jobs.gates import suspected_gap
from lifecycle_jobs.jobs import reconcile_charges
from lifecycle_jobs.report.coming import coming_days
from lifecycle_jobs.report.contents import DELETIONS_NAMED, Count, DailyReport, RunOfDay
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.status import (
    count_held_back,
    list_held_back,
    list_not_attempted,
    list_parked,
    list_refunds,
    list_unresolved,
    listing,
)

_A_WEEK: Final = timedelta(days=7)


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
            parked=list_parked(connection),
            unresolved=list_unresolved(connection, today),
            overdue=_overdue(connection, overdue_since),
            refunds_due=list_refunds(connection, today),
            failed_messages=listing(connection, _failed_messages(today - _A_WEEK), on=today),
            notices=listing(connection, _notices(), on=today),
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
    return connection.scalar(select(func.count()).where(unresolved, charges.c.attempted_on <= since)) or 0


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


def _notices() -> Select[Any]:
    return (
        select(
            gateway_notices.c.notice_id,
            gateway_notices.c.concerns,
            gateway_notices.c.kind,
            gateway_notices.c.idempotency_key,
            gateway_notices.c.amount_cents,
            gateway_notices.c.reason,
            gateway_notices.c.received_at,
        )
        .where(gateway_notices.c.state == "waiting", gateway_notices.c.concerns.in_(("dispute", "refund")))
        .order_by(gateway_notices.c.received_at, gateway_notices.c.notice_id)
    )
