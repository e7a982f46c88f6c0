"""`BENCHMARKS.md`: every cell of the suite, measured or not, written anew from the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from tests.bench.cells import DAYS, MEANING, Cell, Part, matrix
from tests.bench.record import Record, Records
from tests.bench.targets import targets

NOT_MEASURED: Final = "not measured"
_JOBS: Final = ("reconcile_charges", "auto_renew", "renew_addons", "suspend", "delete", "send_alerts")
_LONGEST: Final = 300
_REACHED: Final = {True: "yes", False: "**no**", None: NOT_MEASURED}
_NAMES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

_Column = tuple[str, Callable[[dict[str, Any]], str]]


def page(records: Records) -> str:
    """The whole file."""
    return "\n".join(_lines(records)) + "\n"


def _lines(records: Records) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield "Written by `make bench` from `tests/bench/benchmarks.json`; not meant to be edited. Every count was compared"
    yield "with what was due: where one differs the cell is **wrong** and its figures prove nothing. Program, database,"
    yield "gateway and mail server share one machine, so only figures of one machine may be compared, by their ratios."
    yield ""
    yield "## What must be reached"
    yield ""
    yield from _table(
        ["", "wanted", "found", "reached"],
        [[each.what, each.wanted, each.found, _REACHED[each.reached]] for each in targets(records)],
    )
    yield from _days(records)
    yield from _parts(records)
    yield from _wrong(records)
    yield from _where(records)


def _days(records: Records) -> Iterator[str]:
    yield "## Whole days"
    yield ""
    yield "Seconds, with the number of rows in brackets; peak memory is that of the program with all its processes,"
    yield "without that of a database server. E-mails are written to files."
    header = ["boxes", "database", "workers", "load", *_JOBS, "compose", "deliver", "whole day", "peak MiB"]
    yield ""
    for day in DAYS:
        yield f"### {day}"
        yield ""
        yield MEANING[day]
        yield ""
        cells = sorted(
            (cell for cell in _cells(records) if cell.part == "day" and cell.variant == day),
            key=lambda cell: (cell.boxes, cell.database != "sqlite", cell.workers),
        )
        yield from _table(header, [_day(cell, records.get(cell), len(header)) for cell in cells])


def _day(cell: Cell, record: Record | None, width: int) -> Sequence[str]:
    name = [f"{cell.boxes:,}", _NAMES[cell.database], str(cell.workers)]
    if record is None or "day" not in record.figures:
        said = NOT_MEASURED if record is None else "**wrong**"
        return [*name, said, *[""] * (width - len(name) - 1)]
    figures = record.figures
    jobs = (figures["jobs"].get(job, {"rows": 0, "seconds": 0.0}) for job in _JOBS)
    whole = f"{figures['day']:.1f}"
    return [
        *name,
        f"{figures['load']:.0f} ({figures['rows']:,})",
        *[f"{job['seconds']:.1f} ({job['rows']:,})" for job in jobs],
        f"{figures['compose']:.1f} ({figures['e_mails']:,})",
        f"{figures['deliver']:.1f}",
        f"**wrong**: {whole}" if record.wrong else whole,
        f"{figures['peak_mib']:.0f}",
    ]


def _parts(records: Records) -> Iterator[str]:
    for part, title, said, first, columns in _SECTIONS:
        yield f"## {title}"
        yield ""
        yield said
        yield ""
        header = [*first, *[heading for heading, _ in columns]]
        rows = []
        for cell in (cell for cell in _cells(records) if cell.part == part):
            record = records.get(cell)
            values = [NOT_MEASURED] if record is None else [_value(record, show) for _, show in columns]
            if record is not None and record.wrong:
                values[0] = f"**wrong**: {values[0]}"
            names = [_NAMES.get(cell.database, ""), cell.variant, f"{cell.boxes:,}"]
            found = [name for name, heading in zip(names, ("database", "", "boxes"), strict=True) if heading in first]
            rows.append([*found, *values, *[""] * (len(columns) - len(values))])
        yield from _table(header, rows)


def _value(record: Record, show: Callable[[dict[str, Any]], str]) -> str:
    try:
        return show(dict(record.figures)) if record.figures else ""
    except KeyError:  # it was measured before this figure was asked for
        return NOT_MEASURED


def _number(name: str, digits: int = 0) -> _Column:
    return name.replace("_", " "), lambda figures: f"{figures[name]:,.{digits}f}"


def _of(heading: str, above: str, below: str, form: str = ".2f") -> _Column:
    return heading, lambda figures: format(figures[above] / figures[below], form)


_SECTIONS: Final[tuple[tuple[Part, str, str, tuple[str, ...], tuple[_Column, ...]], ...]] = (
    (
        "import",
        "Import",
        "Of customers, cards and boxes: the whole command against `COPY` of the same files into bare tables. Seconds.",
        ("database", "boxes"),
        (_number("seconds", 1), _number("copied", 1), _of("of COPY's speed", "copied", "seconds"), _number("peak_mib")),
    ),
    (
        "jobs",
        "Set-based jobs",
        "Rows a second, events and messages included. The loop is one of the ORM that commits each row.",
        ("database", ""),
        (
            _number("rows"),
            _number("here"),
            _number("by_hand"),
            _of("of the limit", "here", "by_hand"),
            _number("loop"),
            _of("times the loop", "here", "loop", ",.0f"),
        ),
    ),
    (
        "charges",
        "Charges",
        "64 in flight; the gateway answers after 200 ms. Bare: the same calls without books. Ideal: only the gateway.",
        ("database",),
        (
            _number("rows"),
            _number("seconds", 1),
            _number("bare", 1),
            _number("ideal", 1),
            _of("of bare", "bare", "seconds"),
            _number("peak_mib"),
        ),
    ),
    (
        "delivery",
        "Delivery",
        "Messages a second, rendering included, against one prepared message over as many connections.",
        ("database", ""),
        (
            _number("rows"),
            _number("here"),
            _number("ceiling"),
            _of("of the ceiling", "here", "ceiling"),
            _number("peak_mib"),
        ),
    ),
    (
        "workers",
        "Delivery by two workers",
        "Messages a second, medians of three; `one` has a process to write, `alone` none. `busy`: cores that worked.",
        ("database", ""),
        (
            _number("rows"),
            _number("alone"),
            _number("one"),
            _number("two"),
            _of("times one", "two", "one"),
            _of("times alone", "two", "alone"),
            _number("one_busy", 2),
            _number("two_busy", 2),
            _number("peak_mib"),
        ),
    ),
    (
        "waiting",
        "Memory with a long queue",
        "Delivery is stopped after a minute; `boxes` is how many messages wait.",
        ("database", "boxes"),
        (_number("sent"), _number("peak_mib")),
    ),
    ("start", "Cold start", "Seconds of a process, the median of seven.", ("",), (_number("seconds", 2),)),
    (
        "peer",
        "What else there is",
        "The nearest thing that others do, with SQLite: what is over is expired. Rows a second.",
        ("",),
        (_number("rows"), _number("a_second"), ("what it leaves out", lambda figures: str(figures["leaves_out"]))),
    ),
)


def _wrong(records: Records) -> Iterator[str]:
    if not any(record.wrong for record in records.values()):
        return
    yield "## What was wrong"
    yield ""
    for cell, record in records.items():
        for line in record.wrong:
            yield f"- {name_of(cell)}: {' '.join(line.split())[:_LONGEST]}"
    yield ""


def _where(records: Records) -> Iterator[str]:
    yield "## Where and when"
    yield ""
    if not records:
        yield f"{NOT_MEASURED.capitalize()}."
    found: dict[str, tuple[set[str], set[str]]] = {}
    for record in records.values():
        days, about = found.setdefault(record.machine, (set(), set()))
        days.add(record.measured_on)
        about.update({record.about} - {""})
    for machine, (days, about) in found.items():
        yield f"- {machine}; {', '.join(sorted(about))}; {' and '.join(sorted({min(days), max(days)}))}."


def name_of(cell: Cell) -> str:
    """For people."""
    workers = f"{cell.workers} workers" if cell.workers > 1 else ""
    boxes = f"{cell.boxes:,}" if cell.boxes else ""
    return ", ".join(filter(None, [cell.part, cell.variant, _NAMES.get(cell.database, ""), boxes, workers]))


def _cells(records: Records) -> Sequence[Cell]:
    """The matrix, and what was measured besides."""
    return list(dict.fromkeys([*matrix(), *records]))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|---" + "|--:" * (len(header) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""
