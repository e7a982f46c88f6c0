"""Reads what the runs before one did from the records of their jobs: a few rows a day, however many boxes there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection, func, select

from lifecycle_jobs.db.tables import run_jobs, runs
from lifecycle_jobs.watching.judging import WEEKS, Sample

_A_DAY: Final = timedelta(days=1)
_WEEKS: Final = timedelta(weeks=WEEKS)
_BEFORE: Final = timedelta(weeks=2)
"""How much farther back the runs are read: only to know from which day on the first of them covered."""

UNUSUALLY_MANY: Final = "unusually_many"
"""Why boxes stay that are too many compared with what is usual, where an operator wants to be asked."""

Done = Mapping[str, Mapping[str, int]]
"""What was done, by job and kind."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """What a completed run did in all its passes, by job and kind; a job that refused its work is not there.

    It covers the days after `after`, up to its own.
    """

    on: date
    after: date
    done: Done

    @property
    def days(self) -> int:
        """How many days it covers."""
        return (self.on - self.after).days

    @property
    def told(self) -> int:
        """How much there was to tell of it: of nearly all that is done the holder hears."""
        return sum(number for counts in self.done.values() for number in counts.values())


@dataclass(frozen=True, slots=True)
class Past:
    """The completed runs of the 8 weeks up to `since`, the last one before the date that is looked at."""

    on: date
    since: date
    runs: Sequence[PastRun]

    @property
    def covered(self) -> Sequence[date]:
        """The days whose work the run of the date does."""
        return [self.since + number * _A_DAY for number in range(1, (self.on - self.since).days + 1)]

    def kinds(self) -> set[tuple[str, str]]:
        """Job and kind of all that happened."""
        return {(job, kind) for run in self.runs for job, counts in run.done.items() for kind in counts}

    def samples(self, job: str, kind: str) -> list[Sample]:
        """How much of it fell on which day."""
        first = self.since - _WEEKS + _A_DAY
        return [
            Sample(day, run.on, run.done[job].get(kind, 0) / run.days)
            for run in self.runs
            if job in run.done
            for day in (run.after + number * _A_DAY for number in range(1, run.days + 1))
            if day >= first
        ]

    def same_weekdays(self, day: date) -> Sequence[PastRun]:
        """The runs of that weekday, before a day."""
        return [run for run in self.runs if run.on < day and run.on.weekday() == day.weekday()]

    def run_of(self, day: date) -> PastRun | None:
        """The run of a day."""
        return next((run for run in self.runs if run.on == day), None)


def read_past(connection: Connection, on: date) -> Past | None:
    """What was done before a date; none if nothing was.

    The first run of all is left out, as it may have found years to catch up with.
    """
    completed = runs.c.state == "completed"
    since = connection.scalar(select(func.max(runs.c.run_on)).where(completed, runs.c.run_on < on))
    if since is None:
        return None
    rows = connection.execute(
        select(run_jobs.c.run_on, run_jobs.c.job, run_jobs.c.counts, run_jobs.c.refused)
        .join(runs, runs.c.run_on == run_jobs.c.run_on)
        .where(
            completed,
            run_jobs.c.state == "finished",
            run_jobs.c.run_on > since - _WEEKS - _BEFORE,
            run_jobs.c.run_on <= since,
        )
        .order_by(run_jobs.c.run_on, run_jobs.c.run_pass, run_jobs.c.job)
    )
    by_date: dict[date, list[JobOfPass]] = {}
    for row in rows:
        by_date.setdefault(row.run_on, []).append(JobOfPass(row.job, row.counts, row.refused is not None))
    found = [PastRun(day, before, done_in_all(by_date[day])) for before, day in pairwise(by_date)]
    return Past(on, since, [run for run in found if run.on > since - _WEEKS])


@dataclass(frozen=True, slots=True)
class JobOfPass:
    """What a job did in one pass over a date; `refused`: that it would do nothing."""

    job: str
    counts: Mapping[str, int]
    refused: bool


def done_in_all(passes: Collection[JobOfPass]) -> dict[str, Counter[str]]:
    """What each job did on a date in all passes, without those that refused and were not told to go on."""
    done: dict[str, Counter[str]] = {}
    for each in passes:
        done.setdefault(each.job, Counter()).update(each.counts)
    refused = {each.job for each in passes if each.refused}
    return {job: counts for job, counts in done.items() if job not in refused or counts.total()}
