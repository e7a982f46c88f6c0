"""The first page: how today's run stands, live while it is going, and what needs a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, select
from starlette.responses import Response
from starlette.routing import Route

from lifecycle_jobs import lease, runs, stops
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.routes import Asked, page
from lifecycle_jobs.day import JOBS
from lifecycle_jobs.db.tables import messages, run_jobs
from lifecycle_jobs.db.tables import runs as run_records
from lifecycle_jobs.gates import suspected_gap
from lifecycle_jobs.languages import spoken
from lifecycle_jobs.payments import staff_notices
from lifecycle_jobs.runs import Run
from lifecycle_jobs.status import (
    list_held_back,
    list_not_attempted,
    list_parked,
    list_refunds,
    list_unresolved,
    listing,
)


@dataclass(frozen=True, slots=True)
class JobLine:
    """How a job of a run stands: `waiting`, `running` (then `counts` is what it has done so far) or `finished`."""

    job: str
    state: str
    counts: dict[str, int]
    skipped: dict[str, int]
    parked: int
    refused: str | None
    failures: Sequence[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class RunShown:
    """A run with its jobs. `going`: a process is at it now."""

    on: date
    state: str
    run_pass: int
    failures: int
    going: bool
    jobs: Sequence[JobLine]
    record: Any


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person: how many, of what, and the page where it is seen to."""

    number: int
    one: str
    many: str
    where: str


def routes(office: Office) -> list[Route]:
    """The page, and the part of it that is asked for again while a run is going."""
    return [page(office, "/", _today), page(office, "/today/live", _live)]


def _today(asked: Asked) -> Response:
    office = asked.office
    with office.store.read() as connection:
        shown = show_run(connection, office.today) or _last_run(connection)
        going = shown is not None and shown.going
        stop = stops.in_force(connection)
        gap = suspected_gap(connection, office.settings, office.today)
        daemon = lease.holder(connection, "daemon")
    return asked.show(
        "today.html",
        today=office.today,
        run=shown,
        going=going,
        stop=stop,
        gap=gap,
        daemon=daemon,
        needs=list(_needs(office, shown)),
        hour=office.settings.schedule.hour,
    )


def _live(asked: Asked) -> Response:
    office = asked.office
    with office.store.read() as connection:
        shown = show_run(connection, office.today) or _last_run(connection)
    return asked.show(
        "live.html",
        today=office.today,
        run=shown,
        going=shown is not None and shown.going,
        hour=office.settings.schedule.hour,
    )


def show_run(connection: Connection, on: date) -> RunShown | None:
    """The run of a date, with the jobs of its last pass; none if there was none."""
    record = connection.execute(select(run_records).where(run_records.c.run_on == on)).one_or_none()
    if record is None:
        return None
    going = record.state == "running" and lease.holder(connection, "run") is not None
    rows = {
        row.job: row
        for row in connection.execute(
            select(run_jobs).where(run_jobs.c.run_on == on, run_jobs.c.run_pass == record.run_pass)
        )
    }
    run = Run(on, record.run_pass, record.scope, record.since)
    jobs = [_line(connection, run, name, rows.get(name)) for name, _ in JOBS]
    return RunShown(on, record.state, record.run_pass, record.failures, going, jobs, record)


def _line(connection: Connection, run: Run, name: str, row: Any) -> JobLine:
    if row is None:
        return JobLine(name, "waiting", {}, {}, 0, None, (), 0.0)
    counts = row.counts if row.state == "finished" else runs.events_by_kind(connection, run, name)
    return JobLine(name, row.state, counts, row.skipped, row.parked, row.refused, row.failures, row.seconds)


def _last_run(connection: Connection) -> RunShown | None:
    latest = connection.scalar(select(run_records.c.run_on).order_by(run_records.c.run_on.desc()).limit(1))
    return None if latest is None else show_run(connection, latest)


_FAILED_MESSAGES: Final = "/messages?status=failed"
_FAILED: Final = (
    select(messages.c.id).where(messages.c.status == "failed").order_by(messages.c.created_on, messages.c.id)
)


_TO_BE_APPROVED: Final = spoken("job that waits to be approved"), spoken("jobs that wait to be approved")
_WITHOUT_ANSWER: Final = spoken("charge without an answer"), spoken("charges without an answer")
_NOT_TAKEN: Final = spoken("payment that no order took"), spoken("payments that no order took")
_PARKED: Final = spoken("row that failed and was set aside"), spoken("rows that failed and were set aside")
_NOT_TRIED: Final = spoken("renewal that could not be tried"), spoken("renewals that could not be tried")
_NOT_DELIVERED: Final = spoken("e-mail that failed for good"), spoken("e-mails that failed for good")
_TOLD: Final = (
    spoken("dispute, refund or contradiction told by the bank"),
    spoken("disputes, refunds and contradictions told by the bank"),
)
_HELD_BACK: Final = spoken("box held back from deletion"), spoken("boxes held back from deletion")


def _needs(office: Office, shown: RunShown | None) -> Iterator[Need]:
    """The most pressing first."""
    today = office.today
    if shown is not None:
        refused = sum(job.refused is not None for job in shown.jobs)
        if refused:
            yield Need(refused, *_TO_BE_APPROVED, f"/plan?date={shown.on}")
    with office.store.read() as connection:
        told, _ = staff_notices.list_for_staff(connection, today, 1)
        found = [
            (list_unresolved(connection, today).total, _WITHOUT_ANSWER, "/unresolved"),
            (list_refunds(connection, today).total, _NOT_TAKEN, "/unresolved"),
            (list_parked(connection).total, _PARKED, "/unresolved"),
            (list_not_attempted(connection, today).total, _NOT_TRIED, "/unresolved"),
            (listing(connection, _FAILED, limit=1).total, _NOT_DELIVERED, _FAILED_MESSAGES),
            (told, _TOLD, "/unresolved"),
        ]
    found.append((list_held_back(office.store, office.settings, today).total, _HELD_BACK, "/unresolved"))
    yield from (Need(number, *what, where) for number, what, where in found if number)
