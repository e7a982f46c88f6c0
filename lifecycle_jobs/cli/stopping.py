"""An orderly end when the system or a person asks for it: nothing new is begun, what is under way is finished.

A service manager sends SIGTERM and a person presses Ctrl-C. The first one of either only leaves a note, which the work
finds between two transactions; calls of the gateway that are in flight get their answer and are recorded. A second
Ctrl-C breaks off as soon as the calls in flight have ended, and records nothing more: no worse than a power cut.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from lifecycle_jobs.errors import StopRequested

if TYPE_CHECKING:
    from lifecycle_jobs.jobs.task import Progress


@contextmanager
def stoppable(progress: Progress) -> Iterator[Progress]:
    """The progress of long work, which ends with StopRequested once a signal has come."""
    asked = False  # not an Event: one signal may come while another is being noted, and would wait for its lock

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    def advance(name: str, rows: int) -> None:
        progress(name, rows)
        if asked:
            message = f"Stopped as asked, during {name}. What was committed stays done; the same command continues."
            raise StopRequested(message)

    if threading.current_thread() is not threading.main_thread():
        yield progress  # only the main thread may handle signals
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield advance
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
