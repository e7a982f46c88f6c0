"""`daemon`: all of it by itself, for months."""

from __future__ import annotations

import os
import signal
import threading
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Final

from lifecycle_jobs.cli.output import complain
from lifecycle_jobs.cli.setting import Config, open_office

if TYPE_CHECKING:
    from lifecycle_jobs.daemon import Daemon

_STOP_WITHIN: Final = 28.0
"""Seconds for what is in hand once a stop is asked for. What hangs longer is cut off like by a power cut, which the
next start makes good; waiting longer would only have the service manager do it."""


def daemon(config: Config = None) -> None:
    """Do the day at its hour, deliver mail and webhooks all day, look up charges, report; until SIGTERM."""
    from lifecycle_jobs.daemon import Daemon

    with open_office(config, ready=False) as office:
        working = Daemon(office.store, office.settings)
        asked: SimpleQueue[int] = SimpleQueue()
        threading.Thread(target=_end_when_asked, args=(working, asked), name="signals", daemon=True).start()

        def note(number: int, _frame: FrameType | None) -> None:
            # Nothing more: it may come while this very thread holds a lock that `stop` needs, and wait for itself.
            asked.put(number)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, note)
        working.serve()


def _end_when_asked(working: Daemon, asked: SimpleQueue[int]) -> None:
    asked.get()
    last_resort = threading.Timer(_STOP_WITHIN, _cut_off)
    last_resort.daemon = True
    last_resort.start()
    working.stop()


def _cut_off() -> None:
    complain(f"Something in hand did not end within {_STOP_WITHIN:.0f} s; the process ends without it.")
    os._exit(1)
