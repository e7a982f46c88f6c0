"""How long one delivery of the daemon lasts, and what the daemon serves."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
import requests
import structlog
from freezegun import freeze_time

from lifecycle_jobs import clock
from lifecycle_jobs.daemon import Daemon
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.mail import delivery
from lifecycle_jobs.mail.report import DeliveryReport
from tests.console.browsing import Browser, console_settings
from tests.daily import settings_for


class TestPasses:
    """A delivery that takes long."""

    def delivered(self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *reports: DeliveryReport) -> int:
        """How many passes the daemon makes of it, with what each of them reports."""
        daemon, left = Daemon(store, settings_for(tmp_path)), list(reports)
        monkeypatch.setattr(delivery, "deliver_now", lambda *_: left.pop(0))
        daemon.do("deliver")
        return len(reports) - len(left)

    def test_goes_on_with_another_pass_while_there_may_be_more(
        self, sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        over, all_of_it = DeliveryReport(sent=1, more=True), DeliveryReport(sent=1)

        assert self.delivered(sqlite_store, tmp_path, monkeypatch, over, over, all_of_it, over) == 3

    def test_ends_and_says_so_when_a_server_takes_nothing_before_it_has_grown_too_old(
        self,
        sqlite_store: Store,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        slow = DeliveryReport(more=True)
        with structlog.testing.capture_logs() as logged:
            assert self.delivered(sqlite_store, tmp_path, monkeypatch, slow, slow) == 1

        assert [entry["event"] for entry in logged] == ["delivery_too_slow"]

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


def test_it_serves_the_console_where_the_settings_say_so(sqlite_store: Store, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    daemon = Daemon(sqlite_store, console_settings(tmp_path, sqlite_store, listen=f"127.0.0.1:{port}"))
    serving = threading.Thread(target=daemon.serve)
    serving.start()
    try:
        browser = Browser(f"http://127.0.0.1:{port}")
        _wait_for(browser)
        browser.sign_in("vera")
        assert "Signed in as vera (viewer)." in browser.read("/")
    finally:
        daemon.stop()
        serving.join(30)


def _wait_for(browser: Browser) -> None:
    for _ in range(100):
        with suppress(requests.ConnectionError):
            browser.get("/sign-in")
            return
        time.sleep(0.1)
    pytest.fail("nobody answers")
