"""How `daemon` takes a signal; what it does then is tried with real processes in tests/crash."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from lifecycle_jobs.cli.daemon import daemon
from lifecycle_jobs.daemon import Daemon

SECONDS = 10


@pytest.fixture(autouse=True)
def _own_signal_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_while_the_daemon_falls_asleep_wakes_it(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Whoever begins to wait for an Event has its lock, and so has the handler that interrupts just then."""
    woken = []

    def serve(working: Daemon) -> None:
        events: list[Any] = [working._not_leading, working._stopping]
        with events[0]._cond, events[1]._cond:
            os.kill(os.getpid(), number)
        woken.append(working._not_leading.wait(SECONDS))

    monkeypatch.setattr(Daemon, "serve", serve)
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", sqlite_url)

    daemon()

    assert woken == [True]
