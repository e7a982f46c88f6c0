"""The figures for Prometheus, each with the query it comes from; what it means stands in its HELP text.

Read at the scrape, kept for some seconds. Made for ten million boxes and a hundred million events: every query goes by
an index that holds only what waits, or reads a table of a few rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import ColumnElement, Connection, FromClause, func, select

from lifecycle_jobs import __version__, clock, lease, runs, stops
from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import (
    charges,
    gateway_notices,
    leases,
    messages,
    parked_rows,
    registered_payments,
    run_jobs,
    top_up_charges,
)
from lifecycle_jobs.db.tables import runs as run_records
from lifecycle_jobs.gates import suspected_gap
from lifecycle_jobs.monitoring.vitals import Vitals
from lifecycle_jobs.payments.refunds import registered_due
from lifecycle_jobs.payments.staff_notices import LISTED_DAYS
from lifecycle_jobs.payments.top_up_charges import unresolved_top_up
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.watching.noticing import noticed
from lifecycle_jobs.webhooks import waiting as webhooks_waiting

_Rows = Iterable[tuple[Sequence[str], float]]


class Figures(Collector):
    """What is told at one scrape: what was read from the database, if it answered, and what the daemon knows."""

    def __init__(self, read: Sequence[Metric] | None, vitals: Vitals) -> None:
        self._read = read
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        """Everything, in the order in which it is told."""
        yield InfoMetricFamily("lifecycle_build", "The program's version.", {"version": __version__})
        yield _one("database_up", "1 if the database answered this scrape.", self._read is not None)
        yield _one("leader", "1 if this daemon works, 0 if it stands by for another.", self._vitals.role == "leader")
        yield from _duties(self._vitals)
        yield from self._read or ()


def read_figures(store: Store, settings: Settings) -> Sequence[Metric]:
    """What the database says now."""
    now, today = clock.now(), clock.business_date(settings.zone)
    with store.read() as connection:
        return [
            *_dates(connection, today),
            *_last_run(connection),
            *_switches(connection, settings, today),
            *_messages(connection, today),
            *_money(connection, now),
            *_others(connection, settings, now),
        ]


def _duties(vitals: Vitals) -> Iterator[Metric]:
    duties = vitals.duties
    yield _many(
        "duty_last_success_timestamp_seconds",
        "When a duty of this daemon ended well last; missing if it never did.",
        ["duty"],
        [([name], duty.ended_well_at.timestamp()) for name, duty in duties.items() if duty.ended_well_at is not None],
    )
    yield _many(
        "duty_failing",
        "1 if a duty of this daemon failed when it was done last.",
        ["duty"],
        [([name], duty.error is not None) for name, duty in duties.items()],
    )
    yield _many(
        "duty_under_way_seconds",
        "For how long a duty of this daemon has been at it; 0 if it rests. The day may take hours.",
        ["duty"],
        [([name], duty.seconds or 0) for name, duty in duties.items()],
    )


def _dates(connection: Connection, today: date) -> Iterator[Metric]:
    latest = runs.latest_completed(connection)
    yield _one(
        "last_completed_business_date_seconds",
        "The business date of the latest completed run, as its midnight in UTC; missing before the first.",
        None if latest is None else datetime.combine(latest, time(), UTC).timestamp(),
    )
    yield _one(
        "business_date_lag_days",
        "Days from the latest completed business date to today: 0, or 1 before the hour of the day's run. Negative if "
        "it lies in the future. Missing before the first run.",
        None if latest is None else (today - latest).days,
    )


def _last_run(connection: Connection) -> Iterator[Metric]:
    last = connection.execute(
        select(run_records).where(run_records.c.state == "completed").order_by(run_records.c.run_on.desc()).limit(1)
    ).one_or_none()
    of_last = () if last is None else (run_jobs.c.run_on == last.run_on, run_jobs.c.run_pass == last.run_pass)
    jobs = [] if last is None else connection.execute(select(run_jobs).where(*of_last).order_by(run_jobs.c.job)).all()
    ended = None if last is None else last.finished_at
    yield _one(
        "last_run_failures",
        "What a person must look at after the latest completed run: it ended with exit code 1 if this is not 0.",
        None if last is None else last.failures,
    )
    yield _one(
        "last_run_finished_timestamp_seconds",
        "When the latest completed run ended.",
        None if ended is None else ended.timestamp(),
    )
    yield _one(
        "last_run_seconds",
        "How long the last pass of the latest completed run took. Delivery is part of it where a person typed run or "
        "replay; the daemon delivers by itself.",
        None if last is None or ended is None else (ended - last.started_at).total_seconds(),
    )
    yield _many(
        "job_seconds",
        "How long each job of the last pass of the latest completed run took.",
        ["job"],
        [([job.job], job.seconds) for job in jobs],
    )
    yield _many(
        "job_done",
        "What each job did in the last pass of the latest completed run, by kind of event.",
        ["job", "what"],
        [([job.job, what], number) for job in jobs for what, number in sorted(job.counts.items())],
    )
    yield _many(
        "job_left_alone",
        "What each job left alone in the last pass of the latest completed run although it was due by date, by reason.",
        ["job", "reason"],
        [([job.job, reason], number) for job in jobs for reason, number in sorted(job.skipped.items())],
    )
    yield _many(
        "job_refused",
        "1 if a job did nothing at all in the last pass of the latest completed run, as with too many deletions.",
        ["job"],
        [([job.job], job.refused is not None) for job in jobs],
    )
    yield _many(
        "unusual",
        "1 for each number of the latest completed run that is far from what is usual on such a day, and for each "
        "import since that moved many expiries: lifecycle-jobs status tells it.",
        ["job", "what"],
        [
            ([each.job, each.what], 1)
            for each in noticed(connection, None if last is None else last.run_on, untold=True)
        ],
    )


def _switches(connection: Connection, settings: Settings, today: date) -> Iterator[Metric]:
    yield _one("emergency_stop", "1 while the emergency stop is on.", stops.in_force(connection) is not None)
    yield _one(
        "gap_suspected",
        "1 while a restored backup or a wrong clock is suspected: nothing is done until a person confirms.",
        suspected_gap(connection, settings, today) is not None,
    )
    held = []
    for name in connection.scalars(select(leases.c.name).order_by(leases.c.name)).all():
        process = lease.holder(connection, name)
        held.append(([name, "" if process is None else process.host.split("/")[0]], process is not None))
    yield _many(
        "lease_held",
        "1 while somebody holds a lease, with the name of the machine; 0 without one while nobody does.",
        ["name", "host"],
        held,
    )


def _messages(connection: Connection, today: date) -> Iterator[Metric]:
    queued = messages.c.status == "queued"
    waiting: list[tuple[list[str], float]] = []
    oldest = today
    urgency = connection.scalar(select(func.min(messages.c.urgency)).where(queued))
    # From one urgency to the next by the index; within each the lowest number was composed first.
    while urgency is not None:
        these = (queued, messages.c.urgency == urgency)
        first = connection.scalar(select(messages.c.created_on).where(*these).order_by(messages.c.id).limit(1))
        oldest = min(oldest, first or today)
        waiting.append(([str(urgency)], _count(connection, messages, *these)))
        urgency = connection.scalar(select(func.min(messages.c.urgency)).where(queued, messages.c.urgency > urgency))
    yield _many(
        "messages_waiting",
        "E-mails that wait to be delivered, by urgency: 0 about deletion, 1 suspension, 2 declined charges, 3 alerts "
        "and the like, 4 receipts. Those deferred to another day are among them.",
        ["urgency"],
        waiting,
    )
    yield _one(
        "oldest_unsent_message_age_days",
        "Days since the business date of the e-mail that has waited longest; 0 if none waits, or all are of today.",
        (today - oldest).days,
    )
    yield _one(
        "messages_failed",
        "E-mails given up for good, of all time: refused by the server, or not accepted for days.",
        _count(connection, messages, messages.c.status == "failed"),
    )
    yield _one(
        "messages_parked",
        "E-mails that could not be rendered.",
        _count(connection, messages, messages.c.status == "parked"),
    )


def _money(connection: Connection, now: datetime) -> Iterator[Metric]:
    found = [
        connection.execute(select(func.count(), func.min(table.c.attempted_at)).where(open_)).one()
        for table, open_ in ((charges, unresolved), (top_up_charges, unresolved_top_up))
    ]
    number = sum(count for count, _ in found)
    since = min((since for _, since in found if since is not None), default=None)
    yield _one(
        "unresolved_charges",
        "Charges of which nobody knows yet what became of them, those in flight and those for credit included; boxes "
        "whose renewal is among them are left alone.",
        number,
    )
    yield _one(
        "unresolved_charge_oldest_age_seconds",
        "How long ago the oldest unresolved charge was attempted; 0 if there is none.",
        _age(now, since),
    )
    yield _one(
        "refunds_due",
        "Payments that could not be used and are to be given back: lifecycle-jobs refunds list.",
        _count(connection, charges, charges.c.unapplied) + _count(connection, registered_payments, registered_due),
    )
    disputes = _disputes(connection, now)
    yield _one(
        "disputes_open",
        f"Payments under dispute: of the last {LISTED_DAYS} days, and not told to be closed.",
        disputes,
    )
    yield _one(
        "gateway_contradictions",
        f"Payments of the last {LISTED_DAYS} days of which the gateway says something else than is recorded here.",
        _count(connection, gateway_notices, *_for_staff(now), gateway_notices.c.concerns == "outcome"),
    )


def _others(connection: Connection, settings: Settings, now: datetime) -> Iterator[Metric]:
    open_rows = select(parked_rows.c.job, func.count()).where(parked_rows.c.state != "resolved")
    yield _many(
        "parked_rows",
        "Rows that made a job fail and were set aside, by job.",
        ["job"],
        [
            ([row.job], row[1])
            for row in connection.execute(open_rows.group_by(parked_rows.c.job).order_by(parked_rows.c.job))
        ],
    )
    hooks = webhooks_waiting.queue(connection, now) if settings.webhooks.url else webhooks_waiting.NOTHING
    yield _one(
        "webhooks_waiting",
        "Events that the mail platform has not acknowledged yet, those among them that no pass has taken up; 0 without "
        "a webhooks.url.",
        hooks.waiting,
    )
    yield _one(
        "webhook_oldest_age_seconds",
        "How long the one that was taken up first, or queued again by webhooks replay, has waited since; 0 if there is "
        "none.",
        _age(now, hooks.oldest),
    )
    waiting = gateway_notices.c.state == "waiting"
    number, since = connection.execute(
        select(func.count(), func.min(gateway_notices.c.received_at)).where(waiting)
    ).one()
    yield _one("gateway_notices_waiting", "What the gateway told and nobody has taken up yet.", number)
    yield _one(
        "gateway_notice_oldest_age_seconds",
        "How long the oldest has waited; 0 if there is none. It waits for as long as its charge is unresolved.",
        _age(now, since),
    )


def _for_staff(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        gateway_notices.c.for_staff,
        gateway_notices.c.received_at >= now - timedelta(days=LISTED_DAYS),
    )


def _disputes(connection: Connection, now: datetime) -> int:
    rows = connection.execute(
        select(gateway_notices.c.gateway_reference, gateway_notices.c.kind).where(
            *_for_staff(now), gateway_notices.c.concerns == "dispute"
        )
    ).all()
    closed = {row.gateway_reference for row in rows if row.kind.endswith(".closed")}
    return len({row.gateway_reference for row in rows} - closed)


def _count(connection: Connection, table: FromClause, *chosen: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(table).where(*chosen)) or 0


def _age(now: datetime, since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _one(name: str, meaning: str, value: float | None) -> Metric:
    """A figure; without a value it is announced and has no sample."""
    return _many(name, meaning, [], [] if value is None else [([], value)])


def _many(name: str, meaning: str, labels: Sequence[str], rows: _Rows) -> Metric:
    family = GaugeMetricFamily(f"lifecycle_{name}", meaning, labels=labels)
    for values, value in rows:
        family.add_metric(values, float(value))
    return family
