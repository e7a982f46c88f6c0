"""How `daemon` hears a signal, in a process of its own; what it does then is tried in tests/crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lifecycle_jobs.daemon import _wait

_ROOT = Path(__file__).parents[2]
_AT_THE_WORST_MOMENT = """
import os, sys
from lifecycle_jobs.cli.daemon import daemon
from lifecycle_jobs.daemon import Daemon

def serve(working):
    # Whoever begins to wait for an Event has its lock, and so has the handler that interrupts just then.
    with working._not_leading._cond, working._stopping._cond:
        os.kill(os.getpid(), int(sys.argv[1]))
    print("woken" if working._not_leading.wait(10) else "slept on")

Daemon.serve = serve
daemon()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_while_the_daemon_falls_asleep_ends_it(sqlite_url: str, number: signal.Signals) -> None:
    daemon = subprocess.run(
        [sys.executable, "-c", _AT_THE_WORST_MOMENT, str(int(number))],
        env=os.environ | {"LIFECYCLE_DATABASE__URL": sqlite_url},
        cwd=_ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert daemon.stdout == "woken\n"


def test_a_signal_that_does_not_wake_the_main_thread_is_heard_all_the_same() -> None:
    """It wakes whichever thread it is given to; its handler has to wait for the main one."""
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: heard.append(time.monotonic()))

    def send() -> None:
        time.sleep(0.1)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    try:
        threading.Thread(target=send).start()
        began = time.monotonic()
        _wait(threading.Event(), 5)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert time.monotonic() - began >= 5
    assert heard[0] - began < 3
