"""Delivery by real processes to a real server in another one: what arrived is counted."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.mail.report import DeliveryReport
from tests.mail import deliver_process
from tests.mail.deliver_process import outcome
from tests.mail.mail_server import HOST, MailProcess
from tests.mail.office import ON, message_row, queue_alerts, settings_for

CONNECTIONS = 4


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        store.engine.dispose()


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Wait for something to become so."""
    by = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < by, "it never came to that"
        time.sleep(0.002)


def killed_after(server: MailProcess, url: str, number: int) -> None:
    """Deliver in a process that is killed when so many more messages have arrived."""
    goal = server.size() + number
    process = deliver_process.start(url, server.port, connections=CONNECTIONS)
    try:
        until(lambda: server.size() >= goal)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_killed_at_some_moments_only_what_each_connection_had_in_hand_comes_twice(
    database_url: str, tmp_path: Path
) -> None:
    moments = (1, 30, 60)
    with opened(database_url) as store, MailProcess(tmp_path) as server:
        recipients = [f"r{number}@example.it" for number in range(200)]
        queue_alerts(store, *recipients)
        for number in moments:
            killed_after(server, database_url, number)

        report = outcome(deliver_process.start(database_url, server.port, connections=CONNECTIONS))

        assert isinstance(report, DeliveryReport)
        assert (report.failed, report.deferred, report.stopped) == (0, 0, None)
        arrived = server.arrived()
        assert {each.recipient for each in arrived} == set(recipients)
        assert len(set(arrived)) == len(recipients), "a message that came twice has the same Message-ID"
        assert len(arrived) - len(recipients) <= CONNECTIONS * len(moments)


def test_whatever_the_server_does_every_message_arrives_and_only_those_twice_that_it_took_in_silence(
    database_url: str, tmp_path: Path
) -> None:
    troubles = [
        f"{word}-once-{number}@example.it"
        for word in ("later", "cut", "drop", "taken", "slow", "closing")
        for number in range(3)
    ]
    fine = [f"r{number}@example.it" for number in range(60)]
    with opened(database_url) as store, MailProcess(tmp_path, slowness=0.1) as server:
        mixed = [each for pair in zip(fine, troubles * 4, strict=False) for each in pair]
        recipients = list(dict.fromkeys([*mixed, *fine]))
        ids = queue_alerts(store, *recipients, "never@example.it", "full@example.it")
        settings = settings_for(
            tmp_path,
            transport="smtp",
            host=HOST,
            port=server.port,
            timeout=5,
            connections=CONNECTIONS,
            messages_per_second=5000,
            retry_after=[1],
        )
        for _ in range(20):
            deliver(store, settings, on=ON)
            if not _made_due(store):
                break

        arrived = server.recipients()
        assert set(arrived) == set(recipients)
        assert {recipient for recipient, times in arrived.items() if times > 1} == {
            each for each in troubles if each.startswith("taken")
        }
        assert max(arrived.values()) == 2
        assert len(set(server.arrived())) == len(recipients)
        assert [message_row(store, id_).status for id_ in ids[-2:]] == ["failed", "failed"]


def _made_due(store: Store) -> int:
    """Let the back-off of everything that waits be over; how many those are."""
    from sqlalchemy import update

    from lifecycle_jobs.db.tables import messages

    with store.write() as connection:
        queued = update(messages).where(messages.c.status == "queued")
        return connection.execute(queued.values(next_attempt_at=None)).rowcount


def test_a_server_that_goes_and_comes_back_costs_no_message_anything(database_url: str, tmp_path: Path) -> None:
    with opened(database_url) as store, MailProcess(tmp_path) as server:
        recipients = [f"r{number}@example.it" for number in range(60)]
        ids = queue_alerts(store, *recipients)
        process = deliver_process.start(database_url, server.port, connections=CONNECTIONS)
        until(lambda: server.size() >= 10)
        server.stop()
        report = outcome(process)
        assert isinstance(report, DeliveryReport)
        assert report.stopped is not None

        settings = settings_for(
            tmp_path, transport="smtp", host=HOST, port=server.port, connections=CONNECTIONS, retry_after=[1]
        )
        for _ in range(12):  # an hour, with a delivery every five minutes
            assert deliver(store, settings, on=ON).sent == 0
        rows = [message_row(store, id_) for id_ in ids]
        assert max(row.attempts for row in rows if row.status == "queued") <= 1, "lost once, and never tried since"

        server.start()
        _made_due(store)
        last = deliver(store, settings, on=ON)
        assert (last.failed, last.stopped) == (0, None)
        assert {message_row(store, id_).status for id_ in ids} == {"sent"}
        arrived = server.recipients()
        assert set(arrived) == set(recipients)
        assert sum(arrived.values()) <= len(recipients) + CONNECTIONS


def test_who_was_paused_for_longer_than_the_lease_sends_no_more_after_it_was_woken(
    database_url: str, tmp_path: Path
) -> None:
    connections = 2
    with opened(database_url) as store, MailProcess(tmp_path, slowness=0.4) as server:
        recipients = [f"slow-{number}@example.it" for number in range(12)]
        queue_alerts(store, *recipients)
        first = deliver_process.start(database_url, server.port, connections=connections, lease_seconds=2)
        # It waits for two answers now, and will for nearly as long as the server takes for them.
        until(lambda: server.size() >= 4)
        os.kill(first.pid, signal.SIGSTOP)
        before = server.size()
        time.sleep(2.2)

        second = outcome(deliver_process.start(database_url, server.port, connections=connections, lease_seconds=60))
        assert isinstance(second, DeliveryReport)
        assert second.stopped is None
        by_the_second = server.size() - before
        os.kill(first.pid, signal.SIGCONT)

        assert outcome(first) == "LeaseLost"
        assert len(server.arrived()) == before + by_the_second, "woken, it handed over nothing more"
        times = server.recipients()
        assert set(times) == set(recipients)
        assert sum(times.values()) - len(recipients) <= connections
        assert second.sent == by_the_second


def test_paused_before_the_text_left_it_waits_for_the_lease_and_not_for_luck(database_url: str, tmp_path: Path) -> None:
    """Stopped at any moment of its work, again and again: after each pause another has taken over."""
    with opened(database_url) as store, MailProcess(tmp_path) as server:
        recipients = [f"r{number}@example.it" for number in range(400)]
        queue_alerts(store, *recipients)
        paused: list[subprocess.Popen[str]] = []
        seen = 0
        try:
            for number in (20, 47):
                process = deliver_process.start(database_url, server.port, connections=CONNECTIONS, lease_seconds=1)
                paused.append(process)
                seen = server.size()
                until(lambda goal=seen + number: server.size() >= goal)  # type: ignore[misc]
                _stop_outside_a_transaction(process, database_url)
            last = outcome(deliver_process.start(database_url, server.port, connections=CONNECTIONS))
            assert isinstance(last, DeliveryReport)
            done = server.size()
            for process in paused:
                os.kill(process.pid, signal.SIGCONT)
            ends = [outcome(process) for process in paused]
        finally:
            for process in paused:
                process.kill()
                process.communicate()

        assert ends == ["LeaseLost"] * 2
        assert len(server.arrived()) - done <= CONNECTIONS * len(paused), "the text that was on its way, at the most"
        assert set(server.recipients()) == set(recipients)
        assert sum(server.recipients().values()) - len(recipients) <= 2 * CONNECTIONS * len(paused)


def _stop_outside_a_transaction(process: subprocess.Popen[str], url: str) -> None:
    """Pause a process for longer than its lease, at a moment at which it holds no lock that others wait for."""
    from lifecycle_jobs import lease
    from lifecycle_jobs.errors import LeaseHeld

    with opened(url) as store:
        while True:
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(1.1)
            try:
                with lease.hold(store, "delivery", 5):
                    return
            except LeaseHeld:
                os.kill(process.pid, signal.SIGCONT)
                time.sleep(0.013)


@pytest.mark.parametrize("connections", [1, 3])
def test_so_many_connections_are_open_and_each_is_used_again_and_again(
    store: Store, tmp_path: Path, connections: int
) -> None:
    from tests.mail.mail_server import mail_server

    queue_alerts(store, *(f"r{number}@example.it" for number in range(60)))
    with mail_server() as server:
        settings = settings_for(
            tmp_path,
            transport="smtp",
            host=HOST,
            port=server.port,
            connections=connections,
            messages_per_second=5000,
        )
        assert deliver(store, settings, on=ON).sent == 60

    assert server.most_at_once <= connections
    assert server.sessions == connections
