"""The report leaves once a day, later if the server says so, and never twice, whoever else tries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import Row, insert, select

from lifecycle_jobs import clock, lease, operators, runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import leases, staff_reports
from lifecycle_jobs.errors import EmergencyStop, LeaseHeld, LeaseLost, Refused, StopRequested
from lifecycle_jobs.mail import trial
from lifecycle_jobs.mail.transports import Accepted, AlwaysOpen, MayHandOver, Outcome, Outgoing, Withheld, at_once
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.report import sending
from lifecycle_jobs.report.sending import send_due, send_now
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.status import read_status
from tests.daily import settings_for
from tests.mail.mail_server import HOST, MailServer, mail_server

ON = date(2027, 3, 24)
DAY = timedelta(days=1)
MORNING = datetime(2027, 3, 24, 4, 0, tzinfo=UTC)
TO = "turni@example.it"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


def settings_to(tmp_path: Path, server: MailServer, to: str = TO, **mail: Any) -> Settings:
    relay = {"transport": "smtp", "host": HOST, "port": server.port, **mail}
    return settings_for(tmp_path, mail=relay, report={"to": to})


def no_progress(_name: str, _rows: int) -> None:
    """Nobody watches."""


def complete(store: Store, on: date = ON) -> None:
    run = runs.begin(store, on)
    assert run is not None
    runs.finish(store, run, 0)


def recorded(store: Store) -> list[Row[Any]]:
    with store.read() as connection:
        return list(connection.execute(select(staff_reports).order_by(staff_reports.c.run_on)))


def test_a_completed_day_is_reported_once(store: Store, tmp_path: Path, server: MailServer) -> None:
    settings = settings_to(tmp_path, server)
    complete(store)

    first, second = (send_due(store, settings, ON, no_progress) for _ in range(2))

    assert (first is not None and first.status, second) == ("sent", None)
    (delivered,) = server.delivered
    message = delivered.message
    assert delivered.recipient == TO
    assert message["Subject"] == "OK: rapporto del 24 marzo 2027"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_body(("plain",)) is not None
    assert message.get_body(("html",)) is not None
    (row,) = recorded(store)
    assert (row.run_on, row.status, row.attempts, row.response) == (ON, "sent", 1, "250 2.0.0 Queued")


def test_after_downtime_only_the_latest_day_is_reported(store: Store, tmp_path: Path, server: MailServer) -> None:
    settings = settings_to(tmp_path, server)
    for day in range(3):
        complete(store, ON + day * DAY)

    send_due(store, settings, ON + 2 * DAY, no_progress)

    assert send_due(store, settings, ON + 2 * DAY, no_progress) is None
    assert [row.run_on for row in recorded(store)] == [ON + 2 * DAY]


@pytest.mark.parametrize("today", [ON - DAY, ON + 7 * DAY])
def test_old_news_and_days_to_come_are_not_reported(
    store: Store, tmp_path: Path, server: MailServer, today: date
) -> None:
    complete(store)

    assert send_due(store, settings_to(tmp_path, server), today, no_progress) is None


def test_a_day_that_is_not_finished_is_not_reported(store: Store, tmp_path: Path, server: MailServer) -> None:
    runs.begin(store, ON)

    assert send_due(store, settings_to(tmp_path, server), ON, no_progress) is None


def test_without_an_address_nothing_is_sent(store: Store, tmp_path: Path, server: MailServer) -> None:
    settings = settings_to(tmp_path, server, to="")
    complete(store)

    assert send_due(store, settings, ON, no_progress) is None
    with pytest.raises(Refused, match=r"report\.to is empty"):
        send_now(store, settings, ON, ON, no_progress)


def test_a_report_refused_for_now_is_tried_again_after_the_pause_with_the_same_id(
    store: Store, tmp_path: Path, server: MailServer
) -> None:
    settings = settings_to(tmp_path, server, to="later@example.it", retry_after=(1, 5))
    complete(store)
    with freeze_time(MORNING) as now:
        first = send_due(store, settings, ON, no_progress)
        at_once = send_due(store, settings, ON, no_progress)
        now.tick(timedelta(seconds=61))
        settings = settings_to(tmp_path, server)
        again = send_due(store, settings, ON, no_progress)
    send_now(store, settings, ON, ON, no_progress)

    assert (first is not None and first.status, at_once, again is not None and again.status) == ("queued", None, "sent")
    assert recorded(store)[0].attempts == 3
    assert len({delivered.message["Message-ID"] for delivered in server.delivered}) == 1


def test_a_server_that_cannot_be_reached_makes_it_wait(store: Store, tmp_path: Path, server: MailServer) -> None:
    settings = settings_to(tmp_path, server, port=1)
    complete(store)

    sent = send_due(store, settings, ON, no_progress)

    assert sent is not None
    assert sent.status == "queued"
    assert recorded(store)[0].next_attempt_at > clock.now()


def test_a_report_refused_for_good_is_given_up_and_shown_by_status(
    store: Store, tmp_path: Path, server: MailServer
) -> None:
    settings = settings_to(tmp_path, server, to="never@example.it")
    complete(store)

    sent = send_due(store, settings, ON, no_progress)

    assert (sent is not None and sent.status, send_due(store, settings, ON, no_progress)) == ("failed", None)
    (shown,) = read_status(store, settings, ON).unsent_reports.rows
    assert (shown["since"], shown["status"]) == (ON, "failed")
    assert "never@" not in shown["response"]


def test_nothing_is_sent_while_the_emergency_stop_is_on(store: Store, tmp_path: Path, server: MailServer) -> None:
    settings = settings_to(tmp_path, server)
    complete(store)
    operators.stop_everything(store, Operator("anna", None, ON), "double charges?")

    assert send_due(store, settings, ON, no_progress) is None
    with pytest.raises(EmergencyStop):
        send_now(store, settings, ON, ON, no_progress)
    assert server.delivered == []

    operators.resume(store, Operator("anna", None, ON))
    with freeze_time(clock.now() + timedelta(minutes=2)):
        assert send_due(store, settings, ON, no_progress) is not None


def test_of_two_processes_one_sends_it(store: Store, tmp_path: Path, server: MailServer) -> None:
    settings = settings_to(tmp_path, server)
    complete(store)
    found: list[str] = []

    def send() -> None:
        try:
            found.append("sent" if send_due(store, settings, ON, no_progress) else "nothing to do")
        except LeaseHeld:
            found.append("another is at it")

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found.count("sent") == 1
    assert len(server.delivered) == 1


def test_who_lost_the_lease_sends_nothing(store: Store, tmp_path: Path, server: MailServer) -> None:
    settings = settings_to(tmp_path, server)
    complete(store)

    def taken_over(_name: str, _rows: int) -> None:
        with store.write() as connection:
            connection.execute(leases.update().where(leases.c.name == sending.LEASE).values(token=99))

    with pytest.raises(LeaseLost):
        send_due(store, settings, ON, taken_over)

    assert (server.delivered, recorded(store)) == ([], [])


class Slow(AlwaysOpen):
    """A mail server that takes so long to greet that much may happen before it is given the text."""

    repeatable = False

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile
        self.sent = 0

    def send(self, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
        del envelope
        self._meanwhile()
        if not may_hand_over():
            return Withheld()
        self.sent += 1
        return Accepted("250 OK")


def test_who_loses_the_lease_while_the_server_greets_sends_nothing(
    store: Store, tmp_path: Path, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_over() -> None:
        with store.write() as connection:
            connection.execute(leases.update().where(leases.c.name == sending.LEASE).values(token=99))

    slow = Slow(taken_over)
    monkeypatch.setattr(sending, "open_transport", lambda *_: slow)
    complete(store)

    with pytest.raises(LeaseLost):
        send_due(store, settings_to(tmp_path, server), ON, no_progress)
    assert slow.sent == 0


def test_an_emergency_stop_while_the_server_greets_keeps_it_back(
    store: Store, tmp_path: Path, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(lambda: operators.stop_everything(store, Operator("anna", None, ON), "wrong prices"))
    monkeypatch.setattr(sending, "open_transport", lambda *_: slow)
    monkeypatch.setattr(trial, "open_transport", lambda *_: slow)
    complete(store)

    sent = send_due(store, settings_to(tmp_path, server), ON, no_progress)
    assert (sent and sent.status, slow.sent) == ("queued", 0)

    operators.resume(store, Operator("anna", None, ON))
    with pytest.raises(EmergencyStop):
        trial.send_trial(store, settings_to(tmp_path, server), "anna@example.it")
    assert slow.sent == 0


@pytest.mark.parametrize("after", [0, 20])
def test_a_process_that_is_asked_to_stop_hands_nothing_over(
    store: Store, tmp_path: Path, server: MailServer, after: int
) -> None:
    complete(store)
    looks = 0

    def asked(_name: str, _rows: int) -> None:
        nonlocal looks
        looks += 1
        if looks > after:
            raise StopRequested

    with pytest.raises(StopRequested):
        send_due(store, settings_to(tmp_path, server), ON, asked)

    assert server.delivered == []


def test_a_held_lease_is_respected(store: Store, tmp_path: Path, server: MailServer) -> None:
    complete(store)
    elsewhere = lease.Process("elsewhere/-/-", 1, "1")
    until = clock.now() + timedelta(minutes=1)
    with store.write() as connection:
        connection.execute(insert(leases).values(name="report", token=1, holder=str(elsewhere), expires_at=until))

    with pytest.raises(LeaseHeld):
        send_due(store, settings_to(tmp_path, server), ON, no_progress)


def test_in_a_rehearsal_of_the_mail_the_report_goes_where_everything_goes(
    store: Store, tmp_path: Path, server: MailServer
) -> None:
    complete(store)

    send_due(store, settings_to(tmp_path, server, redirect_to="prova@example.it"), ON, no_progress)

    (delivered,) = server.delivered
    assert delivered.recipient == "prova@example.it"
    assert delivered.message["X-Lifecycle-Recipient"] == TO


def test_a_date_without_a_run_has_no_report_to_send(store: Store, tmp_path: Path, server: MailServer) -> None:
    with pytest.raises(Refused, match="no run of 2027-03-24"):
        send_now(store, settings_to(tmp_path, server), ON, ON, no_progress)
