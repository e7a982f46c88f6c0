"""`python -m tests.bench`: one normal day of a large provider, on SQLite and on PostgreSQL.

Makes the provider, runs `lifecycle-jobs replay` on it, compares what was done with what was due, and prints the
figures: a table to look at, then the same in Markdown. The exit code is 1 if the two differ.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from rich.console import Console

from lifecycle_jobs.payments.sandbox import SandboxGateway
from lifecycle_jobs.policy import Catalog
from tests import servers
from tests.bench import databases, figures
from tests.bench.catalog import shipped_catalog
from tests.bench.due import Due
from tests.bench.figures import Result
from tests.bench.load import load
from tests.bench.measure import journal, replay
from tests.bench.outcome import Outcome, differences
from tests.bench.provider import Provider

ON = date(2026, 3, 24)
"""A day in the past: charges that lie ahead of the clock would be too young for a look-up to be believed."""


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _options()
    console = Console()
    catalog = shipped_catalog()
    results: list[Result] = []
    servers.begin()
    try:
        for kind in options.databases:
            with tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as folder:
                results.append(_bench(console, options, catalog, kind, Path(folder)))
    finally:
        servers.end()
    console.print(figures.as_table(results))
    for line in figures.as_markdown(results):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if options.json is not None:
        options.json.write_text(json.dumps(figures.as_json(results), indent=2) + "\n")
    return 1 if any(result.wrong for result in results) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure a day with very many boxes.")
    parser.add_argument("--boxes", type=int, default=1_000_000, help="how many boxes the provider has")
    parser.add_argument("--seed", type=int, default=1, help="another number makes another provider")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    parser.add_argument("--databases", nargs="+", choices=databases.KINDS, default=databases.KINDS)
    return parser.parse_args()


def _bench(console: Console, options: argparse.Namespace, catalog: Catalog, kind: str, folder: Path) -> Result:
    provider = Provider(options.boxes, ON, catalog, seed=options.seed)
    with databases.fresh(kind, folder) as (url, database):
        began = time.perf_counter()
        rows = load(url, provider.batches())
        load_seconds = time.perf_counter() - began
        bank = SandboxGateway(journal(folder))
        for request in provider.due.at_the_bank:
            bank.charge(request)
        console.print(f"{database}: {options.boxes:,} boxes, {rows:,} rows made in {load_seconds:.0f} s")
        for line in _stated(provider.due):
            console.print(f"  due: {line}", highlight=False)
        measured = replay(url, ON, folder)
        outcome = Outcome(url, ON)
    wrong = tuple(differences(provider.due, outcome))
    for line in wrong:
        console.print(f"  [red]wrong[/red]: {line}", highlight=False)
    return Result(
        database=database,
        boxes=options.boxes,
        on=ON,
        rows=rows,
        load_seconds=load_seconds,
        measured=measured,
        e_mails=outcome.e_mails,
        wrong=wrong,
    )


def _stated(due: Due) -> Iterator[str]:
    for (job, kind), count in sorted(due.events.items()):
        yield f"{count:>8,} {kind} by {job}"
    for status, count in sorted(due.attempts.items()):
        yield f"{count:>8,} charges {status}"
    yield f"{len(due.told):>8,} e-mails"


if __name__ == "__main__":
    sys.exit(main())
