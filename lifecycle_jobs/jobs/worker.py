"""What is done in another process: one chunk of a part of a job, by the rules that stand in the job's own file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from lifecycle_jobs import __version__
from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.jobs import delete, send_alerts, suspend
from lifecycle_jobs.jobs.chunks import Chunk, take_chunk
from lifecycle_jobs.jobs.parts import Part, Steps
from lifecycle_jobs.jobs.task import Place, Task
from lifecycle_jobs.lease import Lease
from lifecycle_jobs.policy import Catalog
from lifecycle_jobs.runs import Run, describe
from lifecycle_jobs.settings import DeletionSettings
from lifecycle_jobs.stops import Switch

_PARTS: Final[Mapping[str, Callable[[Task, DeletionSettings], Iterator[Part]]]] = {
    suspend.NAME: lambda task, _rules: suspend.parts(task),
    delete.NAME: delete.parts,
    send_alerts.NAME: send_alerts.parts,
}


class WorkerFailed(LifecycleError):
    """A worker could not do a chunk, and left it as it was."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that a worker must know of a job and its run; it travels, so it holds no more than that.

    It writes under the lease of the run: once that is lost, a worker that knows nothing of it changes nothing any more.
    """

    program: str
    database: str = field(repr=False)
    time_out: int
    lease: Lease
    run: Run
    job: str
    catalog: Catalog
    rules: DeletionSettings
    chunk_size: int


def do_chunk(assignment: Assignment, part: str, after: Place, until: Place | None) -> Chunk:
    """Do the chunk of a part that lies between two places, or the next one if the second is not known.

    Raises WorkerFailed if this process cannot, EmergencyStop while that is on, LeaseLost if the run has lost its lease.
    """
    if assignment.program != __version__:
        raise WorkerFailed(
            f"it has lifecycle-jobs {__version__} installed, the run has {assignment.program}: install the same there"
        )
    bench = _bench(assignment.database, assignment.time_out)
    try:
        Switch(bench.store).check()
        work = bench.work(assignment)
        return take_chunk(work.task, work.steps[part], after, until)
    except SQLAlchemyError as error:
        # As a sentence: what the database says of a row may neither travel nor stand in the logs of a cluster.
        raise WorkerFailed(describe(error)) from None


class _Work(NamedTuple):
    """A job of a run, and the statements of its parts by their names."""

    task: Task
    steps: Mapping[str, Steps]


class _Bench:
    """What this process keeps from one chunk to the next: its connections, and the job that it had in hand last.

    To put the statements together anew would take as long as to do the smaller chunks.
    """

    def __init__(self, url: str, time_out: int) -> None:
        self.store = open_store(url, time_out=time_out, name=f"lifecycle-jobs worker {os.getpid()}")
        self._last: tuple[Assignment, _Work] | None = None

    def work(self, assignment: Assignment) -> _Work:
        """What this assignment asks for."""
        last = self._last  # read once: an engine may have several threads
        if last is None or last[0] != assignment:
            last = self._last = (assignment, self._put_together(assignment))
        return last[1]

    def _put_together(self, assignment: Assignment) -> _Work:
        task = Task(
            job=assignment.job,
            store=self.store.fenced(assignment.lease),
            run=assignment.run,
            catalog=assignment.catalog,
            chunk_size=assignment.chunk_size,
            progress=_told_by_the_coordinator,
        )
        parts = _PARTS[assignment.job](task, assignment.rules)
        return _Work(task, {part.name: Steps(task, part, pass_over_locked=True) for part in parts})


@cache
def _bench(url: str, time_out: int) -> _Bench:
    """The bench of this process for a database."""
    return _Bench(url, time_out)


def _told_by_the_coordinator(_job: str, _rows: int) -> None:
    """How far all have come is known where the chunks are handed out."""
