"""One trial: a provider of its own, a day that is cut off somewhere, the same day again, and what came of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

from sqlalchemy import select

from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import charges, run_jobs, runs
from lifecycle_jobs.db.transfer.unload import export_directory
from lifecycle_jobs.payments.sandbox import bookings
from tests import servers
from tests.auditing import assert_books_are_right
from tests.crash.launcher import Order, Point, as_line
from tests.crash.provider import ON, settle
from tests.daily import settings_for
from tests.stripe_servers import StripeServer

CONFIG = """
[database]
chunk_size = 2
[gateway]
outage_limit = 2
[log]
level = "error"
"""
"""Small chunks, and a gateway that is soon given up: more points at which a day can be cut off."""

MANY_AT_ONCE = {
    "LIFECYCLE_GATEWAY__CONCURRENCY": "4",
    "LIFECYCLE_GATEWAY__REQUESTS_PER_SECOND": "1000",
    "LIFECYCLE_GATEWAY__OUTAGE_LIMIT": "20",
}
"""What a trial with a Stripe server has otherwise: calls are in flight together."""

_PAYMENT = re.compile(rb"pi_[0-9a-f]+")

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

    def warm_up(self) -> None:
        """Have everything loaded, so that the next command begins at once."""
        self.run(Order(["--version"], {}, output=os.devnull, marks=os.devnull))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


class Trial:
    """A provider in a folder and a database of its own."""

    def __init__(
        self,
        server: Server,
        url: str,
        folder: Path,
        settle: Settle,
        on: date,
        bank: StripeServer | None = None,
    ) -> None:
        self.url = url
        self.bank = bank
        self._server = server
        self._folder = folder
        self._on = on
        (folder / "lifecycle.toml").write_text(CONFIG, encoding="utf-8")
        self.environment = {
            "LIFECYCLE_CONFIG": str(folder / "lifecycle.toml"),
            "LIFECYCLE_DATABASE__URL": url,
            "LIFECYCLE_SANDBOX__JOURNAL": str(folder / "journal.jsonl"),
            "LIFECYCLE_MAIL__DIRECTORY": str(folder / "mail"),
            **({} if bank is None else bank.environment | MANY_AT_ONCE),
        }
        with self._opened() as store:
            settle(store, folder / "journal.jsonl")

    def run(
        self,
        point: Point | None = None,
        *,
        kill_after: float | None = None,
        again: bool = False,
        server: Server | None = None,
    ) -> int:
        """Do the day, up to the point if one is given; the exit code. `server`: in a child of another one."""
        wished = [*(["--again"] if again else []), *([] if self.bank is None else ["--allow-future"])]
        return (server or self._server).run(
            Order(
                ["replay", self._on.isoformat(), "--by", "test", *wished],
                self.environment,
                output=str(self._folder / "output"),
                marks=str(self._folder / "marks"),
                point=point,
                kill_after=kill_after,
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

    def marks(self) -> list[tuple[float, str]]:
        """Where the last run came by, and how many seconds after its start, in order; also of one that was killed."""
        lines = (self._folder / "marks").read_text(encoding="utf-8").splitlines()
        return [(float(moment), where) for moment, where in (line.split() for line in lines)]

    def counts(self) -> Mapping[str, int]:
        """How often the last run passed each place."""
        return Counter(where for _, where in self.marks())

    def outcome(self) -> Outcome:
        """What there is now; the books must be right, and agree with the bank's journal."""
        with self._opened() as store:
            assert_books_are_right(store, settings_for(self._folder))
            export_directory(store, self._folder / "export", message_id_of=lambda key: key)
            paid = self._as_booked(store)
        return Outcome(
            files={file.name: self._unnamed(file.read_bytes(), paid) for file in (self._folder / "export").iterdir()},
            messages={
                file.relative_to(self._folder / "mail").as_posix(): _undated(file.read_bytes())
                for file in (self._folder / "mail").rglob("*")
                if file.is_file()
            },
            booked=self._booked(),
        )

    def unresolved(self) -> int:
        """How many charges nobody knows about yet."""
        with self._opened() as store, store.read() as connection:
            statuses = list(connection.scalars(select(charges.c.status)))
        return sum(status in {"pending", "unknown"} for status in statuses)

    def _booked(self) -> list[tuple[str, str, int]]:
        if self.bank is None:
            made = bookings(self._folder / "journal.jsonl")
            return sorted((line.key, line.order_number, line.amount_cents) for line in made)
        return sorted((charge.key, charge.order, charge.amount) for charge in self.bank.charges())

    def _as_booked(self, store: Store) -> dict[str, str]:
        """The keys of the bank's payments by reference, once it is certain that the books say the same."""
        if self.bank is None:
            return {}
        with store.read() as connection:
            paid = {
                row.gateway_reference: (row.idempotency_key, row.amount_cents)
                for row in connection.execute(
                    select(charges).where(charges.c.status == "succeeded", charges.c.method_kind != "credit")
                )
            }
        assert paid == {charge.reference: (charge.key, charge.amount) for charge in self.bank.charges()}
        return {reference: key for reference, (key, _) in paid.items()}

    def _unnamed(self, content: bytes, paid: Mapping[str, str]) -> bytes:
        """A file with the key in place of what the bank called a payment by, which is another name every time."""
        return _PAYMENT.sub(lambda found: b"payment of " + paid.get(found[0].decode(), "nothing").encode(), content)

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
def trial(
    server: Server, database: str, settled: Settle = settle, on: date = ON, *, stripe_delay: float | None = None
) -> Iterator[Trial]:
    """A fresh trial on `sqlite` or `postgresql`; with a Stripe server of its own that takes so many seconds, or with
    the sandbox."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifecycle-trial-")))
        if database == "postgresql":
            url = stack.enter_context(servers.fresh_postgresql())
        else:
            url = servers.fresh_sqlite(folder)
        bank = None
        if stripe_delay is not None:
            bank = stack.enter_context(StripeServer(folder / "stripe.jsonl", delay=stripe_delay))
        yield Trial(server, url, folder, settled, on, bank)


def clean_environment() -> dict[str, str]:
    """The environment without what a developer may have set for the program."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")}


def _undated(message: bytes) -> bytes:
    """A message without the moment at which it was written."""
    return b"\n".join(line for line in message.splitlines() if not line.startswith(b"Date:"))


def _differing(what: str, mine: dict[str, bytes], others: dict[str, bytes]) -> list[str]:
    return [f"{what} {name}" for name in sorted(mine.keys() | others.keys()) if mine.get(name) != others.get(name)]
