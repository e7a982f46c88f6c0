"""Where the files and databases of a test run lie: in memory where there is room, otherwise where temporary files do.

Nothing here is proved by a slow disk: a process that is killed leaves behind what it had written either way, and only
a power cut tells the two apart. But each test has a database of its own, some hundred small files that are written and
deleted again, and on a disk that others use as well, to make and to drop one took ten times as long.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only what tempfile makes there, under a name of its own, is written
_ROOM: Final = 2 * 2**30
"""So much must be free there. All tests in three processes took 0.3 GiB at most; a long one may take more."""

_LEFT: Final = 3 * 2**30
"""So much memory must be left for the tests themselves, their processes and the database server."""

_GROUPS: Final = Path("/sys/fs/cgroup")
_LIMITS: Final = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
"""Of a container, by cgroups of version 2 and 1: how much it may have, and has."""


def choose() -> None:
    """For this process and all that it starts. A TMPDIR that is set stays: who set it knows why."""
    if "TMPDIR" not in os.environ and _has_room(_MEMORY):
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # what was found out before would be kept otherwise


def _has_room(folder: Path) -> bool:
    if not os.access(folder, os.W_OK):
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= _ROOM and min(_available()) >= _ROOM + _LEFT


def _available() -> Iterator[int]:
    """Bytes of memory: what the machine has left, and what a container may still take."""
    said = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    yield int(said["MemAvailable"].split()[0]) * 1024
    for most, taken in _LIMITS:
        if (_GROUPS / most).exists() and (limit := (_GROUPS / most).read_text().strip()) != "max":
            yield int(limit) - int((_GROUPS / taken).read_text())
