"""A Dask cluster of its own for a test: the scheduler and each worker a process, on loopback ports that are free."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class DaskCluster:
    """A scheduler and workers of one thread each, for the length of a `with` block."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.address = f"tcp://127.0.0.1:{_free_port()}"
        self._folder = folder
        self._number = workers
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        port = self.address.rsplit(":", 1)[1]
        common = ["--host", "127.0.0.1", "--no-dashboard"]
        self._start("distributed.cli.dask_scheduler", *common, "--dashboard-address", "127.0.0.1:0", "--port", port)
        for _ in range(self._number):
            self._start("distributed.cli.dask_worker", self.address, *common, "--nthreads", "1", "--no-nanny")
        return self

    def kill_scheduler(self) -> None:
        """End it as a power cut would."""
        self._processes[0].kill()
        self._processes[0].wait()

    def said(self) -> str:
        """All that its processes have logged."""
        return (self._folder / "dask.log").read_text(encoding="utf-8")

    def wait_for_workers(self) -> None:
        """Until all have come; a run that finds none refuses to begin."""
        self._wait_until_said("Register worker", self._number)

    def wait_for_scheduler(self) -> None:
        """Until it listens."""
        self._wait_until_said("Scheduler at:", 1)

    def _wait_until_said(self, what: str, times: int) -> None:
        until = time.monotonic() + 60
        while self.said().count(what) < times:
            assert time.monotonic() < until, self.said()
            time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def _start(self, module: str, *arguments: str) -> None:
        with (self._folder / "dask.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=self._folder,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
