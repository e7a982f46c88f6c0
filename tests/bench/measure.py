"""Runs the program on a database, as an operator would, and measures it from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

_SAMPLE_SECONDS = 0.05
COMMAND = Path(sys.executable).with_name("lifecycle-jobs")
"""The program, as it is installed beside this Python."""


@dataclass(frozen=True, slots=True)
class JobDone:
    """A job's line in the closing report of the program."""

    job: str
    done: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One run, in seconds and MiB.

    `compose_seconds` and `deliver_seconds` are the e-mails' share; `seconds` is wall time of the whole process from
    outside; `peak_mib` the memory that the process ever had resident, without that of a database server.
    """

    jobs: tuple[JobDone, ...]
    compose_seconds: float
    deliver_seconds: float
    seconds: float
    peak_mib: float
    report: Mapping[str, Any]


def environment_of(url: str, folder: Path) -> dict[str, str]:
    """What makes the program work on a database, with its e-mails and the bank's journal in a folder."""
    # A variable of the tests is none of the program's: it refuses to start with one that it does not know.
    others = {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")}
    return others | {
        "LIFECYCLE_DATABASE__URL": url,
        "LIFECYCLE_SANDBOX__JOURNAL": str(journal(folder)),
        "LIFECYCLE_MAIL__DIRECTORY": str(folder / "mail"),
    }


def replay(
    url: str, on: date, folder: Path, chosen: Mapping[str, str] | None = None, *, options: Sequence[str] = ()
) -> Measured:
    """Run the day in a process of its own, with some settings chosen otherwise and further options."""
    environment = environment_of(url, folder) | dict(chosen or {})
    output, errors = folder / "report.json", folder / "log"
    command = [str(COMMAND), "replay", on.isoformat(), "--json", *options]
    with output.open("w") as stdout, errors.open("w") as stderr:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=stdout, stderr=stderr)
        with watching(process.pid) as peak:
            code = process.wait()
        seconds = time.perf_counter() - began
    if code != 0:
        tail = "\n".join(errors.read_text().splitlines()[-20:])
        raise RuntimeError(
            f"{COMMAND.name} {' '.join(command[1:])} ended with exit code {code}:\n{tail}\n{output.read_text()[-2000:]}"
        )
    report = json.loads(output.read_text())
    e_mails = report["messages"]["seconds"]
    return Measured(
        jobs=tuple(_jobs(report)),
        compose_seconds=e_mails["compose"],
        deliver_seconds=e_mails["deliver"],
        seconds=seconds,
        peak_mib=max(peak) / 2**20,
        report=report,
    )


def journal(folder: Path) -> Path:
    """Where the bank of this run keeps its books."""
    return folder / "bank.jsonl"


def _jobs(report: Mapping[str, Any]) -> Iterator[JobDone]:
    for job in report["jobs"]:
        yield JobDone(job["job"], sum(job["done"].values()), job["seconds"])


@contextmanager
def watching(pid: int) -> Iterator[list[int]]:
    """Bytes that a process and its children have had resident at the most, sample by sample, while the block lasts."""
    peak = [0]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            peak.append(_resident(pid))

    watcher = threading.Thread(target=sample)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _resident(pid: int) -> int:
    # Not from wait4(): that would count what this process had resident when it started the other.
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0  # it has just ended
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0")
    return int(peak) * 1024 + sum(_resident(int(child)) for child in children)
