"""The daemon wakes its duties whatever is done to the machine's clock."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
from apscheduler.schedulers import base
from freezegun import freeze_time

from lifecycle_jobs import clock, day
from lifecycle_jobs.daemon import Daemon, Duty, _Every
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.mail.report import DeliveryReport
from tests.daily import settings_for

SOON = 3.0
"""Seconds within which a duty that is due every second has certainly been woken."""


class Woken(Daemon):
    """A daemon with one duty every second, which only notes that it was woken."""

    def __init__(self, store: Store, tmp_path: Path) -> None:
        self.times: list[float] = []
        super().__init__(store, settings_for(tmp_path))

    def duties(self) -> tuple[Duty, ...]:
        return (Duty("note", 1, lambda _on, _progress: None),)

    def do(self, name: str) -> None:
        del name
        self.times.append(time.monotonic())

    def was_woken_since(self, moment: float) -> bool:
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
    sqlite_store: Store, tmp_path: Path, wall_clock: list[timedelta], by: timedelta
) -> None:
    daemon = Woken(sqlite_store, tmp_path)
    with daemon._scheduled() as scheduler:
        watching = threading.Thread(target=daemon._watch_the_clock, args=(scheduler,))
        watching.start()
        try:
            assert daemon.was_woken_since(0)
            wall_clock[0] = by
            moved_at = time.monotonic() + 0.5  # what was on its way does not count

            assert daemon.was_woken_since(moved_at)
            assert daemon.was_woken_since(time.monotonic() + 0.2)
        finally:
            daemon.stop()
            watching.join()


def test_times_that_were_missed_are_not_made_up_for() -> None:
    ten_years_ago, now = datetime(2017, 3, 24, tzinfo=UTC), datetime(2027, 3, 24, tzinfo=UTC)

    assert _Every(60).get_next_fire_time(ten_years_ago, now) == now + timedelta(minutes=1)


class TestPasses:
    """A delivery that takes long."""

    def delivered(self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *reports: DeliveryReport) -> int:
        """How many passes the daemon makes of it, with what each of them reports."""
        daemon, left = Daemon(store, settings_for(tmp_path)), list(reports)
        monkeypatch.setattr(day, "deliver_now", lambda *_: left.pop(0))
        daemon.do("deliver")
        return len(reports) - len(left)

    def test_goes_on_with_another_pass_while_there_may_be_more(
        self, sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        over, all_of_it = DeliveryReport(sent=1, more=True), DeliveryReport(sent=1)

        assert self.delivered(sqlite_store, tmp_path, monkeypatch, over, over, all_of_it, over) == 3

    def test_does_not_outlast_its_business_date(self, sqlite_store: Store, tmp_path: Path) -> None:
        daemon = Daemon(sqlite_store, settings_for(tmp_path))
        with freeze_time("2027-03-24T22:59:59Z") as wall:  # a second before midnight in Rome
            goes_on = daemon._for_one_pass(date(2027, 3, 24))
            assert goes_on()
            wall.move_to("2027-03-24T23:00:00Z")
            assert not goes_on()

    def test_looks_anew_for_what_is_urgent_after_some_minutes(
        self, sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        daemon = Daemon(sqlite_store, settings_for(tmp_path))
        passed = [0.0]
        monkeypatch.setattr(clock, "running", lambda: passed[0])
        goes_on = daemon._for_one_pass(clock.business_date(daemon.settings.zone))
        assert goes_on()
        passed[0] = 301.0

        assert not goes_on()
