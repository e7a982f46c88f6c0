"""The daemon as it is in production: real processes, real servers, seconds instead of hours, and no false clock."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from email import message_from_bytes
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import boxes, charges, leases, messages, runs
from lifecycle_jobs.operators import Operator, resume, stop_everything
from tests import factories, servers
from tests.daemon_process import DaemonProcess, until
from tests.mail.mail_server import MailServer, mail_server
from tests.stripe_servers import StripeServer

MANY = 12
SLOW = 1.0
"""Seconds that the bank takes, so that there is time to disturb."""


LONG_LEASE = {"LIFECYCLE_LEASE__SECONDS": "3600"}


def two_at_a_time(bank: StripeServer) -> dict[str, str]:
    return bank.environment | {"LIFECYCLE_GATEWAY__CONCURRENCY": "2"}


def today() -> date:
    return clock.business_date(ZoneInfo("Europe/Rome"))


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        store.engine.dispose()


def settle(store: Store) -> None:
    """Boxes to charge, to warn and to suspend, each of a holder of its own."""
    on = today()
    with store.write() as connection:
        for number in range(MANY):
            for what, days in (("paid", number % 8), ("warned", 30), ("unpaid", -1)):
                customer = f"{what}-{number}"
                factories.customer(connection, customer, gateway_customer_id=f"cus_{customer}")
                method = factories.method(connection, customer, customer) if what == "paid" else None
                factories.box(
                    connection,
                    f"{customer}@pec.example.it",
                    customer_id=customer,
                    expires_on=on + timedelta(days=days),
                    auto_renew=method is not None,
                    payment_method_id=method,
                )


def is_done(store: Store) -> bool:
    """Today's run is completed, and every message has left."""
    with store.read() as connection:
        state = connection.scalar(select(runs.c.state).where(runs.c.run_on == today()))
        waiting = connection.scalar(select(func.count()).select_from(messages).where(messages.c.status == "queued"))
    return state == "completed" and waiting == 0


def assert_done_once(store: Store, bank: StripeServer | None, mails: list[str]) -> None:
    """Everybody was charged, suspended and written to exactly once."""
    with store.read() as connection:
        assert Counter(connection.scalars(select(boxes.c.status))) == {"active": 2 * MANY, "suspended": MANY}
        assert Counter(connection.scalars(select(charges.c.status))) == {"succeeded": MANY}
        assert Counter(connection.scalars(select(messages.c.status))) == {"sent": 3 * MANY}
    if bank is not None:
        assert Counter(charge.key for charge in bank.charges()) == dict.fromkeys(
            [charge.key for charge in bank.charges()], 1
        )
        assert len(bank.charges()) == MANY
    assert max(Counter(mails).values()) == 1
    assert len(set(mails)) == 3 * MANY


def in_files(folder: Path) -> list[str]:
    """The Message-IDs of everything that was written to files."""
    return [_message_id(file.read_bytes()) for file in (folder / "mail").rglob("*.eml")]


def received(server: MailServer) -> list[str]:
    return [_message_id(each.content) for each in server.delivered]


def _message_id(content: bytes) -> str:
    return str(message_from_bytes(content)["Message-ID"])


def by_smtp(server: MailServer) -> dict[str, str]:
    return {
        "LIFECYCLE_MAIL__TRANSPORT": "smtp",
        "LIFECYCLE_MAIL__HOST": "127.0.0.1",
        "LIFECYCLE_MAIL__PORT": str(server.port),
    }


def pause_between_writes(daemon: DaemonProcess, store: Store) -> None:
    """Who is paused while it writes keeps its locks: SQLite's only one, or that of its lease for half an hour."""
    while True:
        daemon.pause()
        if nobody_writes(store):
            return
        daemon.send(signal.SIGCONT)
        time.sleep(0.05)


def nobody_writes(store: Store) -> bool:
    if store.dialect == "sqlite":
        with closing(sqlite3.connect(str(store.engine.url.database), timeout=0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            connection.rollback()
            return True
    try:
        with store.read() as connection:
            connection.execute(select(leases.c.name).with_for_update(nowait=True)).all()
    except OperationalError:
        return False
    return True


def test_started_late_it_does_the_day_delivers_and_ends_in_order_when_asked(database_url: str, tmp_path: Path) -> None:
    with opened(database_url) as store:
        settle(store)
        with DaemonProcess(tmp_path, database_url) as daemon:
            until(lambda: is_done(store), daemon.said)
            code, seconds = daemon.stop()

        assert (code, seconds < 10) == (0, True), daemon.said()
        assert_done_once(store, None, in_files(tmp_path))
        finished = {line["job"]: line for line in daemon.logged("job_finished")}
        assert set(finished) == {
            "reconcile_charges",
            "auto_renew",
            "renew_addons",
            "suspend",
            "delete",
            "send_alerts",
        }
        assert all(line["business_date"] == today().isoformat() and line["run_pass"] == 1 for line in finished.values())
        assert "@" not in daemon.said()


def test_started_again_on_a_day_that_is_done_it_does_nothing_twice(sqlite_url: str, tmp_path: Path) -> None:
    with opened(sqlite_url) as store:
        settle(store)
        for time in (1, 2):
            with DaemonProcess(tmp_path, sqlite_url) as daemon:
                until(lambda: is_done(store), daemon.said)
                daemon.until_it_logs("daemon_leads", time)
                assert daemon.stop()[0] == 0
        assert_done_once(store, None, in_files(tmp_path))


@pytest.mark.parametrize("how", ["killed", "paused for longer than the lease"])
def test_of_two_daemons_one_stands_by_and_takes_over_when_the_other_is_gone(
    database_url: str, tmp_path: Path, how: str
) -> None:
    with (
        opened(database_url) as store,
        StripeServer(tmp_path / "stripe.jsonl", delay=SLOW) as bank,
        DaemonProcess(tmp_path, database_url, two_at_a_time(bank), name="first") as first,
    ):
        settle(store)
        first.until_it_logs("daemon_leads")
        with DaemonProcess(tmp_path, database_url, bank.environment, name="second") as second:
            second.until_it_logs("daemon_stands_by")
            until(lambda: bank.statistics()["calls"].get("charge", 0) >= 3, first.said)
            if how == "killed":
                first.send(signal.SIGKILL)
            else:
                pause_between_writes(first, store)
            bank.answer_after(0.01)
            second.until_it_logs("daemon_leads")
            until(lambda: is_done(store), second.said)
            if how != "killed":
                first.send(signal.SIGCONT)
                first.until_it_logs("daemon_leads_no_more")
                first.until_it_logs("daemon_stands_by")
            assert second.stop()[0] == 0

        assert_done_once(store, bank, in_files(tmp_path))


def test_the_one_that_stood_by_leads_at_once_when_the_other_ends_in_order(sqlite_url: str, tmp_path: Path) -> None:
    with (
        DaemonProcess(tmp_path, sqlite_url, LONG_LEASE, name="first") as first,
    ):
        first.until_it_logs("daemon_leads")
        with DaemonProcess(tmp_path, sqlite_url, LONG_LEASE, name="second") as second:
            second.until_it_logs("daemon_stands_by")
            assert first.stop()[0] == 0
            second.until_it_logs("daemon_leads")


def test_asked_to_stop_while_it_charges_it_records_what_is_in_flight_and_goes_on_when_started_again(
    database_url: str, tmp_path: Path
) -> None:
    with opened(database_url) as store, StripeServer(tmp_path / "stripe.jsonl", delay=SLOW) as bank:
        settle(store)
        with DaemonProcess(tmp_path, database_url, two_at_a_time(bank)) as daemon:
            until(lambda: bank.statistics()["calls"].get("charge", 0) >= 3, daemon.said)
            code, seconds = daemon.stop()
        assert (code, seconds < 30) == (0, True), daemon.said()
        with store.read() as connection:
            recorded = Counter(connection.scalars(select(charges.c.status)))
            assert recorded == {"succeeded": len(bank.charges())}
            assert 0 < recorded["succeeded"] < MANY

        bank.answer_after(0.01)
        with DaemonProcess(tmp_path, database_url, bank.environment) as daemon:
            until(lambda: is_done(store), daemon.said)
        assert_done_once(store, bank, in_files(tmp_path))


def test_asked_to_stop_while_it_delivers_it_records_what_is_in_hand_and_goes_on_when_started_again(
    database_url: str, tmp_path: Path
) -> None:
    with opened(database_url) as store, mail_server() as server:
        settle(store)
        slowly = {"LIFECYCLE_MAIL__MESSAGES_PER_SECOND": "5"}
        with DaemonProcess(tmp_path, database_url, slowly, by_smtp(server)) as daemon:
            until(lambda: len(server.delivered) >= 3, daemon.said)
            code, seconds = daemon.stop()
        assert (code, seconds < 30) == (0, True), daemon.said()
        with store.read() as connection:
            sent = connection.scalar(select(func.count()).select_from(messages).where(messages.c.status == "sent"))
        assert sent == len(server.delivered) < 3 * MANY

        with DaemonProcess(tmp_path, database_url, by_smtp(server)) as daemon:
            until(lambda: is_done(store), daemon.said)
        assert_done_once(store, None, received(server))


def test_a_database_that_goes_away_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    with (
        servers.own_postgresql() as database,
        opened(database.database_url) as store,
        StripeServer(tmp_path / "stripe.jsonl", delay=SLOW) as bank,
    ):
        settle(store)
        with DaemonProcess(tmp_path, database.database_url, two_at_a_time(bank)) as daemon:
            until(lambda: bank.statistics()["calls"].get("charge", 0) >= 3, daemon.said)
            database.control("stop", "--mode", "immediate")
            until(lambda: bool(daemon.logged("duty_failed")), daemon.said)
            bank.answer_after(0.01)
            database.control("restart")  # with the options of the first start, which a mere start has forgotten
            store.engine.dispose()
            until(lambda: is_done(store), daemon.said)
            assert daemon.process.poll() is None
            assert daemon.stop()[0] == 0, daemon.said()
        assert "Traceback" not in daemon.said()
        assert_done_once(store, bank, in_files(tmp_path))


def test_started_before_its_database_it_waits_for_it(tmp_path: Path) -> None:
    with servers.own_postgresql() as database:
        database.control("stop", "--mode", "immediate")
        with DaemonProcess(tmp_path, database.database_url) as daemon:
            daemon.until_it_logs("daemon_waits")
            database.control("restart")
            daemon.until_it_logs("daemon_leads")
            assert daemon.stop()[0] == 0


def test_it_refuses_to_start_with_a_broken_template(sqlite_url: str, tmp_path: Path) -> None:
    broken = tmp_path / "texts" / "box.suspended" / "it" / "subject.txt"
    broken.parent.mkdir(parents=True)
    broken.write_text("{{ no_such_thing }}")
    with DaemonProcess(tmp_path, sqlite_url, {"LIFECYCLE_TEMPLATES__DIRECTORY": str(tmp_path / "texts")}) as daemon:
        assert daemon.process.wait(30) == 2
    assert "no_such_thing" in daemon.said()


def test_a_full_disk_keeps_the_messages_waiting_until_there_is_space(postgresql_url: str, tmp_path: Path) -> None:
    with opened(postgresql_url) as store:
        settle(store)
        with DaemonProcess(tmp_path, postgresql_url, largest_file=4096) as daemon:
            daemon.until_it_logs("delivery_stopped")
            with store.read() as connection:
                assert set(connection.scalars(select(messages.c.status))) == {"queued"}
            assert in_files(tmp_path) == []

            daemon.allow_large_files()
            until(lambda: is_done(store), daemon.said)
            assert daemon.stop()[0] == 0
        assert_done_once(store, None, in_files(tmp_path))


def test_the_emergency_stop_is_heeded_between_two_calls_and_resume_goes_on(database_url: str, tmp_path: Path) -> None:
    anna = Operator("anna", None, today())
    with opened(database_url) as store, StripeServer(tmp_path / "stripe.jsonl", delay=SLOW) as bank:
        settle(store)
        with DaemonProcess(tmp_path, database_url, two_at_a_time(bank)) as daemon:
            until(lambda: bank.statistics()["calls"].get("charge", 0) >= 3, daemon.said)
            assert stop_everything(store, anna, "charged twice?")
            begun = bank.statistics()["calls"]["charge"]
            until(lambda: any(line["duty"] == "day" for line in daemon.logged("duty_failed")), daemon.said)
            assert "charged twice?" in daemon.until_it_logs("emergency_stop_is_on")["why"]
            assert bank.statistics()["calls"]["charge"] == begun < MANY
            with store.read() as connection:
                assert Counter(connection.scalars(select(charges.c.status))) == {"succeeded": begun}
            assert in_files(tmp_path) == []

            bank.answer_after(0.01)
            resume(store, anna)
            until(lambda: is_done(store), daemon.said)
        assert_done_once(store, bank, in_files(tmp_path))


def test_a_schema_that_is_not_ours_is_refused_at_the_start(empty_postgresql_url: str, tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, empty_postgresql_url) as daemon:
        assert daemon.process.wait(30) == 2
        assert "lifecycle-jobs db upgrade" in daemon.said()


def test_a_command_that_needs_the_lease_is_told_who_has_it(sqlite_url: str, tmp_path: Path) -> None:
    with opened(sqlite_url) as store, StripeServer(tmp_path / "stripe.jsonl", delay=3 * SLOW) as bank:
        settle(store)
        one_at_a_time = bank.environment | {"LIFECYCLE_GATEWAY__CONCURRENCY": "1"}
        with DaemonProcess(tmp_path, sqlite_url, one_at_a_time) as daemon:
            until(lambda: bank.statistics()["calls"].get("charge", 0) >= 1, daemon.said)
            answer = subprocess.run(
                [sys.executable, "-m", "lifecycle_jobs", "run"],
                env=daemon.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert answer.returncode == 3
            assert f"process {daemon.process.pid}" in answer.stderr
            assert daemon.stop()[0] == 0
