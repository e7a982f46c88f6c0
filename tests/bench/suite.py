"""`make bench`: measures all there is to measure, and keeps it in `tests/bench/benchmarks.json` and `BENCHMARKS.md`.

After each cell both files are written, so that what breaks off keeps what it had; `--missing` goes on there. Cells that
are measured again replace their earlier figures. The exit code is 1 if a count of this run was wrong.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests import servers
from tests.bench import databases
from tests.bench.cells import BOXES, DAYS, PARTS, WORKERS, Cell, matrix, of_size
from tests.bench.page import name_of, page
from tests.bench.parts import MEASURES
from tests.bench.record import Record, merge, read, record, write

_RESULTS: Final = Path(__file__).with_name("benchmarks.json")
_PAGE: Final = Path(__file__).parents[2] / "BENCHMARKS.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the chosen cells; returns the exit code."""
    options = _options(arguments)
    console = Console()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    chosen = list(_chosen(options))
    results = options.into / _RESULTS.name if options.into else _RESULTS
    shown = options.into / _PAGE.name if options.into else _PAGE
    results.parent.mkdir(parents=True, exist_ok=True)
    known = read(results)
    write(shown, page(known))
    wrong = 0
    servers.begin()
    try:
        for number, cell in enumerate(chosen, 1):
            if options.missing and cell in known and not known[cell].wrong:
                continue
            found = _measured(console, f"{number} of {len(chosen)}: {name_of(cell)}", cell, options.rows)
            write(shown, page(merge(results, found)))
            for line in found.wrong:
                console.print(f"  [red]wrong[/red]: {line}", highlight=False)
            wrong += bool(found.wrong)
    finally:
        servers.end()
    console.print(f"{shown} is written.", highlight=False)
    return 1 if wrong else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.suite", description="Measure everything, or a part.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--boxes", type=int, nargs="+", default=BOXES, help="for days and imports")
    parser.add_argument("--databases", nargs="+", choices=databases.KINDS, default=databases.KINDS)
    parser.add_argument("--days", nargs="+", choices=DAYS, default=DAYS)
    parser.add_argument("--workers", type=int, nargs="+", choices=WORKERS, default=WORKERS, help="for days")
    parser.add_argument(
        "--rows", type=int, help="for jobs, charges, delivery and workers; another number than the usual one"
    )
    parser.add_argument("--missing", action="store_true", help="leave out what is measured already")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="of both files; for a trial that is not to count")
    return parser.parse_args(arguments)


def _chosen(options: argparse.Namespace) -> Iterator[Cell]:
    usual = [cell for cell in matrix() if cell.part not in {"day", "import"}]
    for cell in [*usual, *(cell for boxes in options.boxes for cell in of_size(boxes))]:
        day = cell.part != "day" or (cell.variant in options.days and cell.workers in options.workers)
        if cell.part in options.parts and day and (not cell.database or cell.database in options.databases):
            yield cell


def _measured(console: Console, title: str, cell: Cell, rows: int | None) -> Record:
    began = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=cell.boxes or None)

        def progress(doing: str, loaded: int) -> None:
            bar.update(task, description=f"{title}: {doing}", completed=loaded)

        try:
            found = MEASURES[cell.part](cell, rows, progress)
        except Exception as failed:  # noqa: BLE001 -- after hours one cell that breaks must not take the others with it
            found = record(cell, "", {}, [f"{type(failed).__name__}: {failed}"])
    console.print(f"{title}: {time.perf_counter() - began:.0f} s", highlight=False)
    return found


if __name__ == "__main__":
    sys.exit(main())
