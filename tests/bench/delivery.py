"""`python -m tests.bench.delivery`: how fast messages leave through a mail server, and what a long queue costs.

Speed: so many messages wait, each of another customer; `lifecycle-jobs deliver` renders them and hands them over to a
server on this machine that takes everything. Beside it stands the ceiling: the same Python, handing over one prepared
message over as many connections. Both use the same server and the same two cores in the same minutes, so their ratio
says more than either. Starting the program is not counted: it is measured with an empty queue and taken off.

Memory: the most that the program and its children had resident, with a short queue and with a very long one. The long
one is not emptied: after a while the program is asked to stop, and what it had sent until then is told.

The exit code is 1 if a message is missing.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from lifecycle_jobs import clock
from tests import servers
from tests.bench import databases
from tests.bench.catalog import shipped_settings
from tests.bench.measure import COMMAND, busy, environment_of, watching
from tests.bench.sink import HOST, Sink, running
from tests.bench.waiting import by_status, fill

_ROOT = Path(__file__).parents[2]
_ENDS_WITHIN = 120
_STOPPED = 143
_TURNS = 3
_ALONE = 0
"""In place of a number of workers."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One run of `deliver`, from outside: seconds, MiB, and how many messages stood how afterwards.

    `busy` are the seconds that all cores worked meanwhile: for the program, its database and the mail server.
    """

    database: str
    seconds: float
    busy: float
    peak_mib: float
    messages: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Speed:
    """Messages a second on one database, those of the ceiling beside it, and peak memory."""

    database: str
    rate: float
    ceiling: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Together:
    """Messages a second of one worker and of several, and the peak memory of the latter together.

    `alone` is one that writes its letters itself, as each of several does: see `tests.bench.alone`. `one_busy` and
    `several_busy` say how many cores were busy meanwhile, with the database and the mail server: when one worker leaves
    nothing idle, several cannot be faster.
    """

    database: str
    alone: float
    one: float
    several: float
    one_busy: float
    several_busy: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class _Sped:
    """Messages a second, the cores that were busy with them, and peak memory."""

    database: str
    rate: float
    busy: float
    peak_mib: float


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _options()
    console = Console()
    servers.begin()
    wrong: list[str] = []
    try:
        with running() as sink:
            console.print(f"The mail server is {sink.name}.")
            console.print(_speed(options, sink, wrong))
            if options.waiting:
                console.print(_memory(options, sink, wrong))
    finally:
        servers.end()
    for line in wrong:
        console.print(f"[red]wrong[/red]: {line}")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.delivery", description="Measure delivery by SMTP.")
    parser.add_argument("--messages", type=int, default=20_000, help="how many wait, where speed is measured")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4, 16], help="to the mail server")
    parser.add_argument("--databases", nargs="+", choices=databases.KINDS, default=databases.KINDS)
    parser.add_argument(
        "--waiting", type=int, nargs="*", default=[1_000, 1_000_000], help="how many wait, where memory is measured"
    )
    parser.add_argument("--seconds", type=float, default=60, help="after which a long queue is left")
    return parser.parse_args()


def _speed(options: argparse.Namespace, sink: Sink, wrong: list[str]) -> Table:
    table = Table(title=f"{options.messages:,} messages, rendering included")
    for heading in (
        "connections",
        "database",
        "ceiling, messages/s",
        "deliver, messages/s",
        "of the ceiling",
        "peak MiB",
    ):
        table.add_column(heading, justify="right")
    for connections in options.connections:
        for kind in options.databases:
            found = speed(kind, connections, options.messages, sink, wrong)
            ratio = f"{found.rate / found.ceiling:.0%}"
            cells = (f"{found.ceiling:,.0f}", f"{found.rate:,.0f}", ratio, f"{found.peak_mib:.0f}")
            table.add_row(str(connections), found.database, *cells)
    return table


def speed(kind: str, connections: int, messages: int, sink: Sink, wrong: list[str]) -> Speed:
    """Measure one database over so many connections, in turns with the ceiling; medians.

    Of one minute alone neither says much: the ceiling over four connections moves by a third from one to the next.
    """
    ceilings = [_ceiling(sink, connections, messages)]
    found: list[_Sped] = []
    for _ in range(_TURNS):
        found.append(_sped(messages, sink, connections, kind, wrong))
        ceilings.append(_ceiling(sink, connections, messages))
    rate, peak = median(each.rate for each in found), max(each.peak_mib for each in found)
    return Speed(found[0].database, rate, median(ceilings), peak)


def together(connections: int, workers: int, messages: int, sink: Sink, wrong: list[str]) -> Together:
    """Measure several workers against one on PostgreSQL, in turns, so that both have the same minutes; medians."""
    turns = [
        [_sped(messages, sink, connections, "postgresql", wrong, each) for each in (_ALONE, 1, workers)]
        for _ in range(_TURNS)
    ]
    alone, one, several = ([turn[each] for turn in turns] for each in range(3))
    rates = [median(each.rate for each in measured) for measured in (alone, one, several)]
    one_busy, several_busy = (median(each.busy for each in measured) for measured in (one, several))
    peak = max(each.peak_mib for each in several)
    return Together(one[0].database, rates[0], rates[1], rates[2], one_busy, several_busy, peak)


def _sped(messages: int, sink: Sink, connections: int, kind: str, wrong: list[str], workers: int = 1) -> _Sped:
    with (
        tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as folder,
        databases.fresh(kind, Path(folder)) as (url, database),
    ):
        fill(url, messages, _today())
        delivered = _deliver(url, database, Path(folder), sink, connections, workers=workers)
        started = _deliver(url, database, Path(folder), sink, connections, workers=workers)
    if delivered.messages != {"sent": messages}:
        who = "one alone" if workers == _ALONE else f"{workers} workers"
        wrong.append(f"{database}, {connections} connections, {who}: {delivered.messages}")
    seconds = delivered.seconds - started.seconds
    return _Sped(database, messages / seconds, (delivered.busy - started.busy) / seconds, delivered.peak_mib)


def _ceiling(sink: Sink, connections: int, messages: int) -> float:
    """Messages a second of one prepared message."""
    command = [sys.executable, "-m", "tests.bench.ceiling", str(sink.port), str(connections), str(messages)]
    done = subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return messages / float(done.stdout)


def _memory(options: argparse.Namespace, sink: Sink, wrong: list[str]) -> Table:
    table = Table(title="Peak memory of the whole process tree, without that of a database server")
    for heading in ("database", "waiting", "sent while measured", "peak MiB", "more than the first"):
        table.add_column(heading, justify="right")
    for kind in options.databases:
        first = None
        for number in options.waiting:
            delivered = waiting(kind, number, max(options.connections), sink, options.seconds, wrong)
            first = delivered.peak_mib if first is None else first
            table.add_row(
                delivered.database,
                f"{number:,}",
                f"{delivered.messages.get('sent', 0):,}",
                f"{delivered.peak_mib:.1f}",
                f"{delivered.peak_mib - first:+.1f}",
            )
    return table


def waiting(kind: str, number: int, connections: int, sink: Sink, seconds: float, wrong: list[str]) -> Delivered:
    """Deliver for so many seconds while so many messages wait: what matters is the memory."""
    with (
        tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as folder,
        databases.fresh(kind, Path(folder)) as (url, database),
    ):
        fill(url, number, _today())
        delivered = _deliver(url, database, Path(folder), sink, connections, seconds)
    if sum(delivered.messages.values()) != number or set(delivered.messages) - {"sent", "queued"}:
        wrong.append(f"{database}, {number:,} waiting: {delivered.messages}")
    return delivered


def _deliver(
    url: str,
    database: str,
    folder: Path,
    sink: Sink,
    connections: int,
    seconds: float = _ENDS_WITHIN,
    *,
    workers: int = 1,
) -> Delivered:
    """Run `lifecycle-jobs deliver`; after so many seconds it is asked to stop."""
    environment = environment_of(url, folder) | {
        "LIFECYCLE_MAIL__TRANSPORT": "smtp",
        "LIFECYCLE_MAIL__HOST": HOST,
        "LIFECYCLE_MAIL__PORT": str(sink.port),
        "LIFECYCLE_MAIL__CONNECTIONS": str(connections),
        "LIFECYCLE_MAIL__MESSAGES_PER_SECOND": "10000",
        "LIFECYCLE_LOG__LEVEL": "warning",
    }
    log = folder / "deliver.log"
    with log.open("w") as output:
        began, worked = time.perf_counter(), busy()
        process = subprocess.Popen(
            _alone() if workers == _ALONE else [str(COMMAND), "deliver", "--json", "--workers", str(workers)],
            env=environment,
            cwd=_ROOT if workers == _ALONE else folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        with watching(process.pid) as peak:
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)
                code = process.wait(_ENDS_WITHIN)
        took, worked = time.perf_counter() - began, busy() - worked
    if code not in {0, _STOPPED}:
        raise RuntimeError(f"deliver ended with exit code {code}:\n{log.read_text()[-2000:]}")
    return Delivered(database, took, worked, max(peak) / 2**20, by_status(url))


def _alone() -> list[str]:
    return [sys.executable, "-m", "tests.bench.alone", _today().isoformat()]


def _today() -> date:
    return clock.business_date(shipped_settings().zone)


if __name__ == "__main__":
    sys.exit(main())
