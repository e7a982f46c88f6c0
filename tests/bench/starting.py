"""How long a command takes that has nearly nothing to do: a process each time, as a person types it."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench import databases
from tests.bench.measure import COMMAND, environment_of

_TIMES: Final = 7


def seconds(command: str) -> float:
    """The median of seven, with an empty SQLite database."""
    with (
        tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as folder,
        databases.fresh("sqlite", Path(folder)) as (url, _),
    ):
        environment = environment_of(url, Path(folder))

        def timed(*arguments: str) -> float:
            began = time.perf_counter()
            subprocess.run([COMMAND, *arguments], env=environment, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            return time.perf_counter() - began

        timed("db", "upgrade")
        return median(timed(command) for _ in range(_TIMES))
