"""Run records: which business date was done how far, what was parked, and the closing report (SPEC §5).

Knows no rule of the business. A run is known by its date. It goes over the date in passes: the first looks for
everything; a later one, on a completed date, either looks for everything once more (`--again`) or takes up what was
left over (parked rows, approved suspensions and deletions).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import (
    deletion_approvals,
    events,
    parked_rows,
    run_jobs,
    runs,
    suspension_approvals,
)
from lifecycle_jobs.history import Origin

Scope = Literal["everything", "left_over"]


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over a business date. `since` is W: milestones after it and up to `on` are due."""

    on: date
    run_pass: int
    scope: Scope
    since: date

    def origin(self, job: str) -> Origin:
        """The mark that events of a job of this pass carry."""
        return Origin(occurred_on=self.on, run_on=self.on, run_pass=self.run_pass, job=job)


@dataclass(slots=True)
class JobReport:
    """One line of the closing table. `failures` are for a person to look at; they make the exit code 1."""

    job: str
    done: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    parked: int = 0
    refused: str | None = None
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def refuse(self, reason: str, number: int, sentence: str) -> None:
        """Note that so many are left alone for that reason, and nothing is done at all until a person has looked."""
        self.skipped[reason] = number
        self.refused = sentence
        self.failures.append(sentence)


def latest_completed(connection: Connection) -> date | None:
    """Business date of the latest completed run of all."""
    latest: date | None = connection.scalar(select(func.max(runs.c.run_on)).where(runs.c.state == "completed"))
    return latest


def window_start(connection: Connection, on: date) -> date:
    """W of a new pass over a date (SPEC §1)."""
    latest = latest_completed(connection)
    return latest if latest is not None and latest < on else on - timedelta(days=1)


def begin(
    store: Store, on: date, *, since: date | None = None, again: bool = False, take_up: bool = False
) -> Run | None:
    """Open a run, continue an interrupted one, or begin another pass; None if there is nothing left to do.

    Rows parked earlier are marked for repetition: each job repeats its own.
    """
    with store.write() as connection:
        row = connection.execute(select(runs).where(runs.c.run_on == on).with_for_update()).one_or_none()
        if row is None:
            run = Run(on, 1, "everything", since or window_start(connection, on))
            connection.execute(insert(runs).values(**_new_pass(run)))
        elif row.state == "superseded":
            # Its messages were made by the run that took over: what follows would hang on those, and never be told.
            run = Run(on, row.run_pass + 1, "everything", since or row.since)
            connection.execute(update(runs).where(runs.c.run_on == on).values(**_new_pass(run)))
        elif row.state != "completed" and not (again and row.scope == "left_over"):
            run = Run(on, row.run_pass, row.scope, since or row.since)
            connection.execute(update(runs).where(runs.c.run_on == on).values(state="running", since=run.since))
        elif again:
            run = Run(on, row.run_pass + 1, "everything", since or on - timedelta(days=1))
            connection.execute(update(runs).where(runs.c.run_on == on).values(**_new_pass(run)))
        elif take_up or _left_over(connection, on):
            run = Run(on, row.run_pass + 1, "left_over", since or row.since)
            connection.execute(update(runs).where(runs.c.run_on == on).values(**_new_pass(run)))
        else:
            return None
        if row is None or row.run_pass != run.run_pass:
            connection.execute(
                update(parked_rows)
                .where(parked_rows.c.state == "open", parked_rows.c.last_run_on <= on, parked_rows.c.job != "deliver")
                .values(state="retrying", taken_up_on=on)
            )
        return run


def finish(store: Store, run: Run, failures: int) -> None:
    """Every job came to its end: the date is completed, and what was taken up and not parked again is resolved."""
    with store.write() as connection:
        connection.execute(
            update(parked_rows)
            .where(parked_rows.c.state == "retrying", parked_rows.c.taken_up_on == run.on)
            .values(state="resolved")
        )
        connection.execute(
            update(runs)
            .where(runs.c.run_on == run.on)
            .values(state="completed", finished_at=clock.now(), failures=failures)
        )


def interrupted_before(connection: Connection, on: date) -> list[Run]:
    """Runs of earlier dates that were never finished: their events may still be waiting for a message."""
    rows = connection.execute(select(runs).where(runs.c.state == "running", runs.c.run_on < on).order_by(runs.c.run_on))
    return [Run(row.run_on, row.run_pass, row.scope, row.since) for row in rows]


def repeated_dates(connection: Connection, run: Run, job: str) -> list[date]:
    """The earlier dates on which rows failed that this job repeats in this run."""
    return list(
        connection.scalars(
            select(parked_rows.c.run_on)
            .distinct()
            .where(
                parked_rows.c.job == job,
                parked_rows.c.state == "retrying",
                parked_rows.c.taken_up_on == run.on,
                parked_rows.c.run_on < run.on,
            )
            .order_by(parked_rows.c.run_on)
        )
    )


def supersede(store: Store, run: Run) -> None:
    """A later run has taken over what an interrupted one left."""
    with store.write() as connection:
        connection.execute(
            update(runs).where(runs.c.run_on == run.on, runs.c.state == "running").values(state="superseded")
        )


def finished_jobs(connection: Connection, run: Run) -> dict[str, JobReport]:
    """The jobs of this pass that came to their end before an interruption, with what they reported."""
    rows = connection.execute(select(run_jobs).where(_of(run), run_jobs.c.state == "finished"))
    return {
        row.job: JobReport(row.job, row.counts, row.skipped, row.parked, row.refused, list(row.failures), row.seconds)
        for row in rows
    }


def job_began(store: Store, run: Run, job: str) -> None:
    """Note that a job of this pass is under way; again, if it had refused and was approved since."""
    with store.write(durable=False) as connection:
        known = connection.execute(
            update(run_jobs).where(_of(run), run_jobs.c.job == job).values(state="running")
        ).rowcount
        if not known:
            connection.execute(
                insert(run_jobs).values(
                    run_on=run.on, run_pass=run.run_pass, job=job, state="running", counts={}, skipped={}, failures=[]
                )
            )


def keep_going(connection: Connection, run: Run, job: str) -> bool:
    """Whether a job of this pass is under way; if so, it does not finish before the transaction ends."""
    state = select(run_jobs.c.state).where(_of(run), run_jobs.c.job == job).with_for_update(read=True)
    return connection.scalar(state) == "running"


def job_finished(store: Store, run: Run, report: JobReport) -> None:
    """Note how a job ended."""
    with store.write() as connection:
        report.parked = (
            connection.scalar(
                select(func.count())
                .select_from(parked_rows)
                .where(
                    parked_rows.c.job == report.job, parked_rows.c.state == "open", parked_rows.c.last_run_on == run.on
                )
            )
            or 0
        )
        connection.execute(
            update(run_jobs)
            .where(_of(run), run_jobs.c.job == report.job)
            .values(
                state="finished",
                counts=report.done,
                skipped=report.skipped,
                parked=report.parked,
                refused=report.refused,
                failures=report.failures,
                seconds=report.seconds,
            )
        )


def events_by_kind(connection: Connection, run: Run, job: str) -> dict[str, int]:
    """What a job of this pass has done so far, counted in the history: right after an interruption too."""
    of_job = and_(events.c.run_on == run.on, events.c.run_pass == run.run_pass, events.c.job == job)
    return _counted(connection, of_job)


def events_of_operation(connection: Connection, operation: str, occurred_on: date) -> dict[str, int]:
    """What one command of a person has done outside a run, counted in the history."""
    return _counted(connection, and_(events.c.occurred_on == occurred_on, events.c.operation == operation))


def park(store: Store, run: Run, job: str, subject: str, error: BaseException, *, box_id: int | None) -> None:
    """Set aside a row that makes a job fail, with its error, for a person to look at."""
    failed = {"last_run_on": run.on, "error": describe(error), "state": "open", "parked_at": clock.now()}
    with store.write() as connection:
        again = connection.execute(
            update(parked_rows)
            .where(parked_rows.c.job == job, parked_rows.c.subject == subject, parked_rows.c.state != "resolved")
            .values(times=parked_rows.c.times + 1, **failed)
        )
        if again.rowcount == 0:
            connection.execute(
                insert(parked_rows).values(run_on=run.on, job=job, subject=subject, box_id=box_id, **failed)
            )


def describe(error: BaseException) -> str:
    """An error in one line. What the database says after the first line may quote the row, with its addresses."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[0] if lines else ''}"[:500]


def open_parked(connection: Connection) -> list[Mapping[str, Any]]:
    """Everything that is parked now, oldest first."""
    rows = connection.execute(
        select(parked_rows).where(parked_rows.c.state != "resolved").order_by(parked_rows.c.run_on, parked_rows.c.id)
    )
    return [dict(row) for row in rows.mappings()]


def _counted(connection: Connection, chosen: ColumnElement[bool]) -> dict[str, int]:
    rows = connection.execute(
        select(events.c.kind, func.count()).where(chosen).group_by(events.c.kind).order_by(events.c.kind)
    )
    return {row[0]: row[1] for row in rows}


def _left_over(connection: Connection, on: date) -> bool:
    """Something is parked, or suspensions or a deletion were approved since the run ended."""
    parked = select(parked_rows.c.id).where(parked_rows.c.state != "resolved", parked_rows.c.last_run_on <= on)
    ended = select(runs.c.finished_at).where(runs.c.run_on == on).scalar_subquery()
    approved = select(deletion_approvals.c.id).where(
        ~deletion_approvals.c.used,
        or_(deletion_approvals.c.run_on == on, deletion_approvals.c.approved_at >= ended),
    )
    suspensions = select(suspension_approvals.c.id).where(
        ~suspension_approvals.c.used, suspension_approvals.c.run_on == on
    )
    return connection.scalar(select(or_(parked.exists(), approved.exists(), suspensions.exists()))) is True


def _new_pass(run: Run) -> dict[str, Any]:
    return {
        "run_on": run.on,
        "run_pass": run.run_pass,
        "scope": run.scope,
        "since": run.since,
        "state": "running",
        "started_at": clock.now(),
        "finished_at": None,
        "failures": 0,
    }


def _of(run: Run) -> Any:
    return and_(run_jobs.c.run_on == run.on, run_jobs.c.run_pass == run.run_pass)
