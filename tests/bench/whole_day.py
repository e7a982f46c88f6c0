"""One whole day of a provider, as a process of its own: loaded, run, measured, and compared with what was due."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from lifecycle_jobs.payments.sandbox import SandboxGateway
from tests.bench import databases
from tests.bench.catalog import shipped_catalog
from tests.bench.cells import Cell
from tests.bench.due import Due
from tests.bench.load import load
from tests.bench.measure import Measured, journal, replay
from tests.bench.outcome import Outcome, differences
from tests.bench.provider import Provider
from tests.bench.record import Record, record
from tests.bench.rows import Batch
from tests.bench.sparse import Fate, Sparse

ON: Final = date(2026, 3, 24)
"""A day in the past: charges that lie ahead of the clock would be too young for a look-up to be believed."""

DOWNTIME: Final = 5
SPIKE: Final = 1_000_000
SAME_DUE: Final = 2_000
_FATES: Final[tuple[Fate, ...]] = ("renew", "suspend", "delete", "alert")

Progress = Callable[[str, int], None]
"""Told what is being done, and how many boxes are loaded."""


class _Population(Protocol):
    @property
    def due(self) -> Due: ...

    def batches(self) -> Iterator[Batch]: ...


@dataclass(frozen=True, slots=True)
class _Plan:
    population: _Population
    options: tuple[str, ...] = ()


def measure(cell: Cell, progress: Progress) -> Record:
    """Load the provider of the cell and run its day."""
    plan = _plan(cell)
    workers = ("--workers", str(cell.workers)) if cell.workers > 1 else ()
    with (
        tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as folder,
        databases.fresh(cell.database, Path(folder)) as (url, database),
    ):
        began = time.perf_counter()
        rows = load(url, _told(plan.population.batches(), progress))
        load_seconds = time.perf_counter() - began
        bank = SandboxGateway(journal(Path(folder)))
        for request in plan.population.due.at_the_bank:
            bank.charge(request)
        progress("the day", cell.boxes)
        try:
            measured = replay(url, ON, Path(folder), options=(*plan.options, *workers))
        except RuntimeError as failed:
            return record(cell, database, {"rows": rows, "load": load_seconds}, [str(failed)])
        outcome = Outcome(url, ON)
    figures = _figures(measured, outcome) | {"rows": rows, "load": load_seconds}
    return record(cell, database, figures, differences(plan.population.due, outcome))


def _plan(cell: Cell) -> _Plan:
    boxes = cell.boxes
    match cell.variant:
        case "normal":
            return _Plan(Provider(boxes, ON, shipped_catalog()))
        case "downtime":
            stopped = ON - timedelta(DOWNTIME)
            provider = Provider(boxes, stopped, shipped_catalog(), downtime=DOWNTIME)
            return _Plan(provider, ("--since", (stopped - timedelta(1)).isoformat()))
        case "spike-alert":
            return _Plan(Sparse(boxes, ON, min(boxes, SPIKE), ["alert"]))
        case "spike-suspend":
            return _Plan(Sparse(boxes, ON, min(boxes, SPIKE), ["suspend"]))
        case "same-due":
            # A smaller provider, for trying, would be refused so many deletions.
            return _Plan(Sparse(boxes, ON, min(SAME_DUE, boxes // 10), _FATES))
        case _:
            raise ValueError(cell.variant)


def _told(batches: Iterable[Batch], progress: Progress) -> Iterator[Batch]:
    loaded = 0
    for batch in batches:
        yield batch
        loaded += len(batch["boxes"])
        progress("loading", loaded)
    progress("indexes", loaded)


def _figures(measured: Measured, outcome: Outcome) -> dict[str, Any]:
    return {
        "jobs": {job.job: {"rows": job.done, "seconds": job.seconds} for job in measured.jobs},
        "e_mails": outcome.e_mails,
        "compose": measured.compose_seconds,
        "deliver": measured.deliver_seconds,
        "day": measured.seconds,
        "peak_mib": measured.peak_mib,
    }
