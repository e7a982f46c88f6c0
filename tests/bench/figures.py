"""What was measured, for the eye, for the README and for a program."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.bench.measure import JobDone, Measured


@dataclass(frozen=True, slots=True)
class Result:
    """One database's figures. `wrong` lists every count that is not what was due."""

    database: str
    boxes: int
    on: date
    rows: int
    load_seconds: float
    measured: Measured
    e_mails: int
    wrong: tuple[str, ...]


def title(results: Sequence[Result]) -> str:
    """What the figures are about."""
    return f"{results[0].on}, {results[0].boxes:,} boxes"


def machine() -> str:
    """Processor, cores, memory, operating system and Python of this machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB RAM, {_system()}, Python {platform.python_version()}"
    )


def as_table(results: Sequence[Result]) -> Table:
    """For a terminal."""
    header, *body = _cells(results)
    table = Table(title=title(results))
    for number, heading in enumerate(header):
        name = number == 0
        table.add_column(heading, justify="left" if name else "right", no_wrap=True)
    for row in body:
        table.add_row(*row)
    return table


def as_markdown(results: Sequence[Result]) -> Iterator[str]:
    """For the README, line by line."""
    header, *body = _cells(results)
    yield "| " + " | ".join(header) + " |"
    yield "|---" + "|--:" * (len(header) - 1) + "|"
    for row in body:
        yield "| " + " | ".join(row) + " |"
    yield ""
    yield f"{title(results)}. {machine()}, {', '.join(result.database for result in results)}."


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """For a program."""
    return {
        "machine": machine(),
        "results": [asdict(result) | {"on": result.on.isoformat()} for result in results],
    }


def _cells(results: Sequence[Result]) -> Iterator[Sequence[str]]:
    yield ["", "rows", *[f"{result.database}, s" for result in results]]
    # The program says which jobs there are and in which order.
    for job in dict.fromkeys(done.job for result in results for done in result.measured.jobs):
        lines = [_of_job(job, result) for result in results]
        yield [job, _rows(line.done for line in lines), *[f"{line.seconds:.1f}" for line in lines]]
    e_mails = _rows(result.e_mails for result in results)
    yield ["e-mails composed", e_mails, *[f"{result.measured.compose_seconds:.1f}" for result in results]]
    yield ["e-mails delivered", e_mails, *[f"{result.measured.deliver_seconds:.1f}" for result in results]]
    yield ["the whole process", "", *[f"{result.measured.seconds:.1f}" for result in results]]
    yield ["its peak memory", "", *[f"{result.measured.peak_mib:.0f} MiB" for result in results]]


def _rows(counts: Iterable[int]) -> str:
    return " / ".join(f"{count:,}" for count in dict.fromkeys(counts))


def _of_job(job: str, result: Result) -> JobDone:
    return next((done for done in result.measured.jobs if done.job == job), JobDone(job, 0, 0.0))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform(terse=True)
