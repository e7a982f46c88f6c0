"""Duties are woken whatever is done to the machine's clock, and signals are heard."""

from __future__ import annotations

import signal
import threading
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
from apscheduler.schedulers import base

from lifecycle_jobs import clock, waking
from tests.daily import settings_for

SOON = 3.0
"""Seconds within which a duty that is due every second has certainly been woken."""


class Woken:
    """Notes when it is woken."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, name: str) -> None:
        del name
        self.times.append(time.monotonic())

    def since(self, moment: float) -> bool:
        by = time.monotonic() + SOON
        while time.monotonic() < by:
            if any(woken > moment for woken in self.times):
                return True
            time.sleep(0.05)
        return False


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """How far the clock on the wall is ahead, for the program and for its scheduler."""
    ahead, right = [timedelta(0)], clock.now

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp((right() + ahead[0]).timestamp(), tz)

    monkeypatch.setattr(base, "datetime", Moved)
    monkeypatch.setattr(clock, "now", lambda: right() + ahead[0])
    return ahead


@pytest.mark.parametrize("by", [timedelta(hours=-2), timedelta(days=-3), timedelta(days=3653)], ids=str)
def test_after_the_clock_was_moved_its_duties_are_woken_as_before(
    tmp_path: Path, wall_clock: list[timedelta], by: timedelta
) -> None:
    woken, stopped = Woken(), threading.Event()
    with waking.scheduled({"note": 1}, woken, settings_for(tmp_path)) as scheduler:
        watching = threading.Thread(target=waking.watch_the_clock, args=(scheduler, stopped))
        watching.start()
        try:
            assert woken.since(0)
            wall_clock[0] = by
            moved_at = time.monotonic() + 0.5  # what was on its way does not count

            assert woken.since(moved_at)
            assert woken.since(time.monotonic() + 0.2)
        finally:
            stopped.set()
            watching.join()


def test_times_that_were_missed_are_not_made_up_for() -> None:
    ten_years_ago, now = datetime(2017, 3, 24, tzinfo=UTC), datetime(2027, 3, 24, tzinfo=UTC)

    assert waking._Every(60).get_next_fire_time(ten_years_ago, now) == now + timedelta(minutes=1)


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
        waking.wait(threading.Event(), 5)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert time.monotonic() - began >= 5
    assert heard[0] - began < 3
