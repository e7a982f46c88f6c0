"""One trial: a provider of its own, a day that is cut off somewhere, the same day again, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

from sqlalchemy import select

from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import run_jobs, runs
from lifecycle_jobs.db.transfer.unload import export_directory
from lifecycle_jobs.payments.sandbox import bookings
from tests import servers
from tests.crash.launcher import Order, Point, as_line
from tests.crash.provider import ON, settle

CONFIG = """
[database]
chunk_size = 2
[gateway]
outage_limit = 2
[log]
level = "error"
"""
"""Small chunks, and a gateway that is soon given up: more points at which a day can be cut off."""

Settle = Callable[[Store, Path], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a provider is left with: the nine files, the messages, and what the bank has booked."""

    files: dict[str, bytes]
    messages: dict[str, bytes]
    booked: list[tuple[str, str, int]]

    def differences(self, other: Outcome) -> list[str]:
        """What is not the same, by name; empty if everything is."""
        return [
            *_differing("file", self.files, other.files),
            *_differing("message", self.messages, other.messages),
            *([] if self.booked == other.booked else ["the bank's bookings"]),
        ]


class Server:
    """A process that has the program loaded and runs it in children (see `launcher`)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.launcher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )

    def run(self, order: Order) -> int:
        """Run a command to its end, whatever end; the exit code, -9 if it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(as_line(order))
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


class Trial:
    """A provider in a folder and a database of its own."""

    def __init__(self, server: Server, url: str, folder: Path, settle: Settle, on: date) -> None:
        self.url = url
        self._server = server
        self._folder = folder
        self._on = on
        (folder / "lifecycle.toml").write_text(CONFIG, encoding="utf-8")
        self.environment = {
            "LIFECYCLE_CONFIG": str(folder / "lifecycle.toml"),
            "LIFECYCLE_DATABASE__URL": url,
            "LIFECYCLE_SANDBOX__JOURNAL": str(folder / "journal.jsonl"),
            "LIFECYCLE_MAIL__DIRECTORY": str(folder / "mail"),
        }
        with self._opened() as store:
            settle(store, folder / "journal.jsonl")

    def run(self, point: Point | None = None, *, kill_after: float | None = None) -> int:
        """Do the day, up to the point if one is given; the exit code."""
        return self._server.run(
            Order(
                ["replay", self._on.isoformat(), "--by", "test"],
                self.environment,
                output=str(self._folder / "output"),
                point=point,
                kill_after=kill_after,
                counts=str(self._folder / "counts"),
            )
        )

    def run_timed(self) -> float:
        """Do the day undisturbed; the seconds it took."""
        started = time.perf_counter()
        self.run()
        return time.perf_counter() - started

    def output(self) -> str:
        """Everything that the processes of this trial have said."""
        return (self._folder / "output").read_text(encoding="utf-8")

    def counts(self) -> dict[str, int]:
        """How often the last run that came to its end passed each place."""
        counted: dict[str, int] = json.loads((self._folder / "counts").read_text(encoding="utf-8"))
        return counted

    def outcome(self) -> Outcome:
        """What there is now."""
        with self._opened() as store:
            export_directory(store, self._folder / "export", message_id_of=lambda key: key)
        booked = [(line.key, line.order_number, line.amount_cents) for line in bookings(self._folder / "journal.jsonl")]
        return Outcome(
            files={file.name: file.read_bytes() for file in (self._folder / "export").iterdir()},
            messages={
                file.relative_to(self._folder / "mail").as_posix(): _undated(file.read_bytes())
                for file in (self._folder / "mail").rglob("*")
                if file.is_file()
            },
            booked=sorted(booked),
        )

    def cut_off_in(self) -> str:
        """Where the day stands: which job is under way, or what comes before and after the jobs."""
        with self._opened() as store, store.read() as connection:
            state = connection.scalar(select(runs.c.state).where(runs.c.run_on == self._on))
            jobs: dict[str, str] = {row.job: row.state for row in connection.execute(select(run_jobs))}
        if state is None:
            return "before the run"
        if state == "completed":
            return "after the run"
        under_way = [job for job, state_of_job in jobs.items() if state_of_job == "running"]
        if under_way:
            return under_way[0]
        return "messages" if len(jobs) == 6 else "between jobs"

    @contextmanager
    def _opened(self) -> Iterator[Store]:
        store = open_store(self.url)
        try:
            yield store
        finally:
            store.engine.dispose()


@contextmanager
def trial(server: Server, database: str, settled: Settle = settle, on: date = ON) -> Iterator[Trial]:
    """A fresh trial on `sqlite` or `postgresql`."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-trial-") as name, _fresh(database, Path(name)) as url:
        yield Trial(server, url, Path(name), settled, on)


def clean_environment() -> dict[str, str]:
    """The environment without what a developer may have set for the program."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")}


@contextmanager
def _on_sqlite(folder: Path) -> Iterator[str]:
    yield servers.fresh_sqlite(folder)


def _fresh(database: str, folder: Path) -> AbstractContextManager[str]:
    return servers.fresh_postgresql() if database == "postgresql" else _on_sqlite(folder)


def _undated(message: bytes) -> bytes:
    """A message without the moment at which it was written."""
    return b"\n".join(line for line in message.splitlines() if not line.startswith(b"Date:"))


def _differing(what: str, mine: dict[str, bytes], others: dict[str, bytes]) -> list[str]:
    return [f"{what} {name}" for name in sorted(mine.keys() | others.keys()) if mine.get(name) != others.get(name)]
