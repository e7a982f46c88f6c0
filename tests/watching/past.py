"""Runs that have been, as their records: what each job did, without the boxes that it was done to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import insert

from lifecycle_jobs.day import JOBS
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import run_jobs, runs

DAY = timedelta(days=1)


def days_before(on: date, number: int) -> list[date]:
    """So many days, up to the day before."""
    return [on - ahead * DAY for ahead in range(number, 0, -1)]


def have_run(store: Store, dates: Iterable[date], job: str = "", **done: int) -> None:
    """Completed runs of these dates, in which a job did so much: `have_run(store, dates, "delete", deleted=5)`."""
    kinds = {f"box.{name}": number for name, number in done.items()}
    record_runs(store, {on: {job: kinds} for on in dates})


def record_runs(
    store: Store, done: Mapping[date, Mapping[str, Mapping[str, int]]], refused: Iterable[date] = ()
) -> None:
    """Completed runs, with what each job did; on the dates `refused` nothing was deleted, because it was too much."""
    refusing = set(refused)
    with store.write() as connection:
        connection.execute(insert(runs), [_run(on) for on in done])
        connection.execute(
            insert(run_jobs),
            [
                {
                    "run_on": on,
                    "run_pass": 1,
                    "job": job,
                    "state": "finished",
                    "counts": dict(jobs.get(job, {})),
                    "skipped": {},
                    "failures": [],
                    "refused": "too many" if job == "delete" and on in refusing else None,
                }
                for on, jobs in done.items()
                for job, _ in JOBS
            ],
        )


def _run(on: date) -> dict[str, Any]:
    moment = datetime.combine(on, time(3), UTC)
    return {
        "run_on": on,
        "run_pass": 1,
        "scope": "everything",
        "state": "completed",
        "since": on - DAY,
        "started_at": moment,
        "finished_at": moment,
        "failures": 0,
    }
