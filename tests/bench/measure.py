"""Runs the program on a database, as an operator would, and measures it from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

_SAMPLE_SECONDS = 0.05
_SHARED_SECONDS = 1.0
"""How often it is looked up which pages several processes share: that takes longer than a sample may."""

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
    outside; `peak_mib` the most memory that it and its children had at once, without that of a database server.
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


def busy() -> float:
    """Seconds that the cores of this machine have worked since it was started, added up, for whomever."""
    user, nice, system, _idle, _waiting, hardware, software, stolen = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + hardware + software + stolen) / os.sysconf("SC_CLK_TCK")


@contextmanager
def watching(pid: int) -> Iterator[list[int]]:
    """Bytes that a process and its children have resident at once, sample by sample, while the block lasts."""
    peak = [0]
    over = threading.Event()
    tree = _Tree(pid)

    def sample() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            peak.append(tree.resident())

    watcher = threading.Thread(target=sample)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


class _Tree:
    """The processes that one process is made of.

    A page of a file, the program's own libraries above all, is counted once however many of them have it: added up,
    their sizes would count it for each. And a child counts from its second sample on: until it has become another
    program, milliseconds after its birth, its memory is that of its parent.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: set[int] = set()
        self._doubled: dict[frozenset[int], int] = {}
        self._looked_at = 0.0

    def resident(self) -> int:
        """Bytes resident now; of a process that is alone the most that it ever had, which no sample misses."""
        there = list(_family(self._pid))
        known = frozenset(pid for pid in there if pid == self._pid or pid in self._seen)
        self._seen.update(there)
        if known == {self._pid}:
            return _of_status(self._pid, "VmHWM")
        now = time.monotonic()
        if known not in self._doubled or now - self._looked_at >= _SHARED_SECONDS:
            self._doubled[known] = _doubled(known)
            self._looked_at = now
        return sum(_of_status(pid, "VmRSS") for pid in known) - self._doubled[known]


def _family(pid: int) -> Iterator[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return  # it, or one of its threads, has just ended
    yield pid
    for child in children:
        yield from _family(child)


def _of_status(pid: int, field: str) -> int:
    # Not from wait4(): that would count what this process had resident when it started the other.
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(next((line.split()[1] for line in status.splitlines() if line.startswith(f"{field}:")), "0")) * 1024


def _doubled(pids: Iterable[int]) -> int:
    """Bytes of files that are counted more than once when the sizes of these processes are added up."""
    once: Counter[tuple[str, ...]] = Counter()
    in_all = 0
    for pid in pids:
        for place, size in _of_files(pid).items():
            once[place] = max(once[place], size)
            in_all += size
    return in_all - once.total()


def _of_files(pid: int) -> Counter[tuple[str, ...]]:
    """Bytes of files that a process has resident as they are on the disk, by device, file and place in the file."""
    found: Counter[tuple[str, ...]] = Counter()
    place: tuple[str, ...] = ()
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        name, *values = line.split()
        if not name.endswith(":"):  # the head of a mapping: addresses, permissions, offset, device, inode, file
            place = (values[2], values[3], values[1]) if values[3] != "0" else ()
        elif place and name in {"Rss:", "Anonymous:"}:
            found[place] += int(values[0]) * 1024 * (1 if name == "Rss:" else -1)
    return found
