"""How `daemon` hears a signal, in a process of its own; what it does then is tried in tests/crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
