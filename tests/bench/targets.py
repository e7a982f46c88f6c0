"""What the program must reach, each a ratio of two things measured beside each other, and what it does reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.cells import BOXES, DAYS, USUAL, Cell, matrix
from tests.bench.record import Records

_SMALL, _SPIKE, _LARGE = BOXES
_MIB: Final = 200


@dataclass(frozen=True, slots=True)
class Target:
    """What is wanted and what was found. `reached` is none where something is not measured."""

    what: str
    wanted: str
    found: str
    reached: bool | None


def targets(records: Records) -> Iterator[Target]:
    """All of them, in the order of the table."""
    cells = list(matrix())
    for cell in cells:
        if cell.part == "jobs":
            what = f"{cell.variant}, {cell.database}"
            yield _at_least(f"{what}: against SQL by hand", 0.8, _ratio(records, cell, "here", "by_hand"))
            yield _at_least(f"{what}: against the ORM loop", 50, _ratio(records, cell, "here", "loop"))
    for cell in (Cell("day", database, "same-due", _LARGE) for database in ("sqlite", "postgresql")):
        small = Cell("day", cell.database, "same-due", _SMALL)
        found = _divided(_figure(records, cell, "day"), _figure(records, small, "day"))
        yield _at_most(f"the same due among {_LARGE:,} boxes against {_SMALL:,}, {cell.database}", 1.3, found)
    yield _peak(records)
    for cell in cells:
        if cell.part == "delivery":
            what = f"delivery, {cell.database}, {cell.variant} connections: against prepared messages"
            yield _at_least(what, 0.5, _ratio(records, cell, "here", "ceiling"))
    for cell in cells:
        if cell.part == "charges":
            yield _at_least(
                f"charges, {cell.database}: against no books", 0.9, _ratio(records, cell, "bare", "seconds")
            )
    imported = Cell("import", "postgresql", boxes=_SPIKE)
    yield _at_least(f"import of {_SPIKE:,} boxes: against COPY", 0.3, _ratio(records, imported, "copied", "seconds"))
    yield from _two_workers(records)
    for command, wanted in (("--help", 0.3), ("status", 0.8)):
        found = _figure(records, Cell("start", variant=command), "seconds")
        yield _at_most(f"{command}: cold start, seconds", wanted, found)


def _two_workers(records: Records) -> Iterator[Target]:
    """Of the spike day e-mails go to files."""
    spike = (Cell("day", "postgresql", "spike-suspend", _SPIKE, workers) for workers in (1, 2))
    one, two = (_figure(records, cell, "deliver") for cell in spike)
    yield _at_least("two workers against one, spike day, delivery", 1.4, _divided(one, two))
    for cell in matrix():
        if cell.part == "workers":
            what = f"two workers against one, delivery by SMTP over {cell.variant} connections"
            yield _at_least(what, 1.4, _ratio(records, cell, "two", "one"))
            alone = f"two workers against one process that does all, over {cell.variant} connections"
            yield _at_least(alone, 1.4, _ratio(records, cell, "two", "alone"))


def _peak(records: Records) -> Target:
    """Of every day of the matrix; a day that is not measured leaves the question open, unless one is above."""
    per_worker = [
        None if (peak := _figure(records, cell, "peak_mib")) is None else peak / cell.workers
        for cell in matrix()
        if cell.part == "day" and cell.variant in DAYS
    ]
    measured = [peak for peak in per_worker if peak is not None]
    what, wanted = "peak memory of a day, MiB for each worker", f"≤ {_MIB}"
    if not measured:
        return Target(what, wanted, "not measured", None)
    highest = max(measured)
    reached = False if highest > _MIB else None if len(measured) < len(per_worker) else True
    return Target(what, wanted, f"{highest:.0f} ({len(measured)} of {len(per_worker)} days measured)", reached)


def _at_least(what: str, wanted: float, found: float | None) -> Target:
    return _target(what, f"≥ {wanted:g}", found, found is not None and found >= wanted)


def _at_most(what: str, wanted: float, found: float | None) -> Target:
    return _target(what, f"≤ {wanted:g}", found, found is not None and found <= wanted)


def _target(what: str, wanted: str, found: float | None, reached: bool) -> Target:  # noqa: FBT001 -- the outcome
    if found is None:
        return Target(what, wanted, "not measured", None)
    return Target(what, wanted, f"{found:.2f}", reached)


def _ratio(records: Records, cell: Cell, above: str, below: str) -> float | None:
    return _divided(_figure(records, cell, above), _figure(records, cell, below))


def _figure(records: Records, cell: Cell, name: str) -> float | None:
    """None where it is not measured, or proves nothing: because a count was wrong, or with too few rows."""
    record = records.get(cell)
    if record is None or record.wrong:
        return None
    if cell.part in USUAL and record.figures["rows"] < USUAL[cell.part]:
        return None
    found: Any = record.figures.get(name)
    return None if found is None else float(found)


def _divided(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below
