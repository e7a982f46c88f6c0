"""`lifecycle-jobs daemon` as a process of its own, with every duration set to seconds, and what it logs."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_ROOT = Path(__file__).parents[1]
PATIENCE = 60
"""Seconds after which what was waited for is taken to never come."""


class DaemonProcess:
    """A daemon for the length of a `with` block. `name` tells several on one database apart."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        *settings: Mapping[str, str],
        name: str = "daemon",
        largest_file: int | None = None,
    ) -> None:
        self._log = folder / f"{name}.log"
        self._largest_file = largest_file
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("LIFECYCLE_")},
            "LIFECYCLE_DATABASE__URL": database_url,
            "LIFECYCLE_MAIL__DIRECTORY": str(folder / "mail"),
            "LIFECYCLE_SANDBOX__JOURNAL": str(folder / "journal.jsonl"),
            "LIFECYCLE_SCHEDULE__HOUR": "0",  # today's run is owed at any time of the day
            "LIFECYCLE_SCHEDULE__CHECK_EVERY": "1",
            "LIFECYCLE_SCHEDULE__DELIVER_EVERY": "1",
            "LIFECYCLE_SCHEDULE__RECONCILE_EVERY": "2",
            "LIFECYCLE_LEASE__SECONDS": "5",
        }
        for more in settings:
            self.environment |= more

    def __enter__(self) -> Self:
        def limit() -> None:
            if self._largest_file is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self._largest_file, resource.RLIM_INFINITY))

        self.process = subprocess.Popen(
            [sys.executable, "-m", "lifecycle_jobs", "daemon"],
            cwd=_ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=limit,  # noqa: PLW1509 -- it only sets a limit
        )
        # Through a pipe: a log file of the process's own would fall under the limit as well.
        self._reader = threading.Thread(target=self._write_log, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._reader.join()

    def _write_log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines, self._log.open("ab") as log:
            for line in lines:
                log.write(line)
                log.flush()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> tuple[int, float]:
        """Ask it to stop as a service manager does; its exit code, and how many seconds it took."""
        asked = time.monotonic()
        self.send(signal.SIGTERM)
        return self.process.wait(PATIENCE), time.monotonic() - asked

    def pause(self) -> None:
        """Let it stand still; on return it does."""
        self.send(signal.SIGSTOP)
        until(lambda: Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", self.said)

    def allow_large_files(self) -> None:
        """Give the disk its space back."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def log(self) -> list[Mapping[str, Any]]:
        """Everything it has logged so far."""
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self) -> str:
        """All of standard error, for the message of a test that fails."""
        return self._log.read_text(encoding="utf-8")

    def until_it_logs(self, event: str, times: int = 1) -> Mapping[str, Any]:
        """The line with that event, as soon as it is there for the n-th time."""
        until(lambda: len(self.logged(event)) >= times, lambda: f"no {event}: {self.said()}")
        return self.logged(event)[times - 1]

    def logged(self, event: str) -> list[Mapping[str, Any]]:
        return [line for line in self.log() if line["event"] == event]


def until(holds: Callable[[], bool], otherwise: Callable[[], str], patience: float = PATIENCE) -> None:
    """Wait for something to become true; fail with a sentence if it does not."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise())
        time.sleep(0.05)
