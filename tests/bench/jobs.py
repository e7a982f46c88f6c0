"""`python -m tests.bench.jobs`: the set-based jobs against SQL by hand and against a plain ORM loop.

Each works on a database of its own with the same rows, of which every box is due; what they leave behind is compared.
The figures are rows a second, events and messages included; only the ratios within one run say anything. Who comes
second finds the server's log files made and its own work of checkpoints behind him, so both come first once, and the
better time of each counts.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from lifecycle_jobs.db.session import Store, database_url, open_store
from lifecycle_jobs.db.tables import boxes, events, message_events, messages
from tests import servers
from tests.bench import databases, limit, loop
from tests.bench.catalog import shipped_settings
from tests.bench.crowd import JOBS, Job, batches
from tests.bench.load import load
from tests.daily import run

ON = date(2026, 3, 24)
CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Figure:
    """Rows a second of one way to do one job on one database."""

    job: Job
    database: str
    ours: float
    limit: float
    loop: float


def main() -> int:
    """Run the benchmark; returns the exit code: 1 if two ways left different things behind."""
    options = _options()
    console = Console()
    wrong: list[str] = []
    figures: list[Figure] = []
    servers.begin()
    try:
        for kind in options.databases:
            for job in options.jobs:
                figures.append(figure(kind, job, options.boxes, options.looped, wrong))
                console.print(_table(figures[-1:]))
    finally:
        servers.end()
    console.print(_table(figures))
    for line in wrong:
        console.print(f"[red]wrong[/red]: {line}")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.jobs", description="Measure the set-based jobs.")
    parser.add_argument("--boxes", type=int, default=200_000, help="how many are due")
    parser.add_argument("--looped", type=int, default=2_000, help="how many the plain ORM loop does")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=JOBS)
    parser.add_argument("--databases", nargs="+", choices=databases.KINDS, default=databases.KINDS)
    return parser.parse_args()


def figure(kind: str, job: Job, number: int, looped: int, wrong: list[str]) -> Figure:
    """Measure one job on one database; `wrong` gets a sentence if two ways left different things behind."""

    def by_us() -> _Measured:
        return _measured(kind, job, number, lambda url, folder: _ours(url, folder, job))

    def by_hand() -> _Measured:
        return _measured(
            kind,
            job,
            number,
            lambda url, _folder: _timed(lambda: limit.by_hand(kind, _plain(kind, url), job, ON, CHUNK)),
        )

    ours, hand, hand_again, ours_again = by_us(), by_hand(), by_hand(), by_us()
    slowly = _measured(kind, job, looped, lambda url, _folder: _timed(lambda: loop.one_by_one(url, job, ON)))
    if ours.left != hand.left:
        wrong.append(f"{kind}, {job}: {ours.left} here, {hand.left} by hand")
    return Figure(
        job,
        "SQLite" if kind == "sqlite" else "PostgreSQL",
        number / min(ours.seconds, ours_again.seconds),
        number / min(hand.seconds, hand_again.seconds),
        looped / slowly.seconds,
    )


class _Measured(NamedTuple):
    """How long it took, and how many active boxes, events, messages and links were left behind."""

    seconds: float
    left: tuple[int, int, int, int]


def _measured(kind: str, job: Job, number: int, work: Callable[[str, Path], float]) -> _Measured:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifecycle-bench-")))
        url, _ = stack.enter_context(databases.fresh(kind, folder))
        load(url, batches(job, number, ON))
        seconds = work(url, folder)
        return _Measured(seconds, _left_behind(open_store(url)))


def _ours(url: str, folder: Path, job: Job) -> float:
    settings = shipped_settings()
    deletion = settings.deletion.model_copy(update={"always_allowed": 10**9})
    database = settings.database.model_copy(update={"chunk_size": CHUNK})
    journal = settings.sandbox.model_copy(update={"journal": folder / "journal.jsonl"})
    with patch.dict(os.environ):
        report = run(
            open_store(url),
            settings.model_copy(update={"deletion": deletion, "database": database, "sandbox": journal}),
            ON,
            deliver=False,
        )
    return next(each.seconds for each in report.jobs if each.job == job) + report.compose_seconds


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _plain(kind: str, url: str) -> str:
    if kind == "sqlite":
        return str(database_url(url).database)
    return database_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _left_behind(store: Store) -> tuple[int, int, int, int]:
    with store.read() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (events, messages, message_events)
        ]
        active = connection.execute(select(func.count()).where(boxes.c.status == "active")).scalar_one()
    store.engine.dispose()
    return (active, *counts)  # type: ignore[return-value]  # three counts


def _table(figures: list[Figure]) -> Table:
    table = Table(title=f"Rows a second, events and messages included, chunks of {CHUNK:,}")
    for heading in ("job", "database", "here", "by hand", "of the limit", "ORM loop", "times the loop"):
        table.add_column(heading, justify="right")
    for each in figures:
        table.add_row(
            each.job,
            each.database,
            f"{each.ours:,.0f}",
            f"{each.limit:,.0f}",
            f"{each.ours / each.limit:.0%}",
            f"{each.loop:,.0f}",
            f"{each.ours / each.loop:,.0f} ×",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
