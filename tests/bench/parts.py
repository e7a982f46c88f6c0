"""How each part of the suite is measured: the benchmark that it has, and the figures of it that are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.bench import charges, delivery, importing, jobs, peers, starting, whole_day
from tests.bench.cells import USUAL, Cell, Part
from tests.bench.crowd import JOBS
from tests.bench.record import Record, record
from tests.bench.sink import running
from tests.bench.whole_day import Progress

_DELAY: Final = 0.2
_CONCURRENCY: Final = 64
_QUEUE_SECONDS: Final = 60
_LOOPED: Final = 2_000


def _day(cell: Cell, _rows: int | None, progress: Progress) -> Record:
    return whole_day.measure(cell, progress)


def _import(cell: Cell, _rows: int | None, _progress: Progress) -> Record:
    wrong: list[str] = []
    found = importing.figure(cell.boxes, wrong)
    figures = {"seconds": found.seconds, "copied": found.copied, "peak_mib": found.peak_mib}
    return record(cell, found.database, figures, wrong)


def _jobs(cell: Cell, rows: int | None, _progress: Progress) -> Record:
    rows = rows or USUAL["jobs"]
    wrong: list[str] = []
    job = next(job for job in JOBS if job == cell.variant)
    found = jobs.figure(cell.database, job, rows, min(rows, _LOOPED), wrong)
    figures = {"rows": rows, "here": found.ours, "by_hand": found.limit, "loop": found.loop}
    return record(cell, found.database, figures, wrong)


def _charges(cell: Cell, rows: int | None, _progress: Progress) -> Record:
    rows = rows or USUAL["charges"]
    wrong: list[str] = []
    found = charges.figure(cell.database, rows, _CONCURRENCY, _DELAY, wrong)
    figures = {
        "rows": rows,
        "seconds": found.seconds,
        "bare": found.bare,
        "ideal": found.ideal,
        "peak_mib": found.peak_mib,
    }
    return record(cell, found.database, figures, wrong)


def _delivery(cell: Cell, rows: int | None, _progress: Progress) -> Record:
    rows = rows or USUAL["delivery"]
    wrong: list[str] = []
    with running() as sink:
        found = delivery.speed(cell.database, int(cell.variant), rows, sink, wrong)
    figures = {"rows": rows, "here": found.rate, "ceiling": found.ceiling, "peak_mib": found.peak_mib}
    return record(cell, f"{found.database} and {sink.name}", figures, wrong)


def _workers(cell: Cell, rows: int | None, _progress: Progress) -> Record:
    rows = rows or USUAL["workers"]
    wrong: list[str] = []
    with running() as sink:
        found = delivery.together(int(cell.variant), cell.workers, rows, sink, wrong)
    rates = {"alone": found.alone, "one": found.one, "two": found.several}
    cores = {"one_busy": found.one_busy, "two_busy": found.several_busy}
    figures = {"rows": rows, **rates, **cores, "peak_mib": found.peak_mib}
    return record(cell, f"{found.database} and {sink.name}", figures, wrong)


def _waiting(cell: Cell, _rows: int | None, _progress: Progress) -> Record:
    wrong: list[str] = []
    with running() as sink:
        found = delivery.waiting(cell.database, cell.boxes, 16, sink, _QUEUE_SECONDS, wrong)
    figures = {"sent": found.messages.get("sent", 0), "peak_mib": found.peak_mib}
    return record(cell, f"{found.database} and {sink.name}", figures, wrong)


def _start(cell: Cell, _rows: int | None, _progress: Progress) -> Record:
    return record(cell, "", {"seconds": starting.seconds(cell.variant)})


def _peer(cell: Cell, rows: int | None, progress: Progress) -> Record:
    rows = rows or USUAL["peer"]
    wrong: list[str] = []
    found = peers.figure(cell.variant, rows, wrong, lambda doing: progress(doing, 0))
    figures = {"rows": rows, "a_second": rows / found.seconds, "leaves_out": peers.LEAVES_OUT[cell.variant]}
    return record(cell, f"{cell.variant} {found.version}", figures, wrong)


MEASURES: Final[Mapping[Part, Callable[[Cell, int | None, Progress], Record]]] = {
    "day": _day,
    "import": _import,
    "jobs": _jobs,
    "charges": _charges,
    "delivery": _delivery,
    "workers": _workers,
    "waiting": _waiting,
    "start": _start,
    "peer": _peer,
}
"""Each takes the cell, a number of rows other than the usual one, and who wants to know how far it is."""
