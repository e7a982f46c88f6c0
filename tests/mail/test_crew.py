"""Several processes that deliver at once, to a real server in another one: what arrived is counted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from lifecycle_jobs import clock, operators
from lifecycle_jobs.clock import now
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, leases, messages
from lifecycle_jobs.errors import EmergencyStop, LeaseLost, StopRequested
from lifecycle_jobs.mail import crew, records, senders
from lifecycle_jobs.mail.beside import begin
from lifecycle_jobs.mail.delivery import deliver_now
from lifecycle_jobs.mail.records import Share, Waiting
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.settings import Settings
from tests.mail import deliver_process
from tests.mail.deliver_process import outcome
from tests.mail.mail_server import HOST, MailProcess, mail_server
from tests.mail.office import ON, queue_alerts, settings_for
from tests.plans import explaining

CONNECTIONS = 4
DONE_WITHOUT = "1 of the workers was given up: {} (during deliver). The work was done without."
DEAD = DONE_WITHOUT.format("its process ended, killed or out of memory")

Progress = Callable[[str, int], None]


@pytest.fixture
def store(postgresql_store: Store) -> Store:
    """SQLite refuses helpers."""
    return postgresql_store


@pytest.fixture(autouse=True)
def short_queues_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_WORTH_ONE", 1)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes of the workers, as they are started."""
    found: list[subprocess.Popen[bytes]] = []

    def begin_and_note(module: str) -> subprocess.Popen[bytes]:
        found.append(begin(module))
        return found[-1]

    monkeypatch.setattr(crew, "begin", begin_and_note)
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailProcess]:
    with MailProcess(tmp_path) as server:
        yield server


def settings_of(folder: Path, server: Any, *, workers: int = 2, time_out: int = 60, **mail: Any) -> Settings:
    way = {"transport": "smtp", "host": HOST, "port": server.port, "timeout": 5, "messages_per_second": 5000}
    settings = settings_for(folder, **way, **{"connections": CONNECTIONS, **mail})
    return settings.model_copy(
        update={"workers": settings.workers.model_copy(update={"count": workers, "time_out": time_out})}
    )


def silent(_name: str, _rows: int) -> None:
    return None


def once(ready: Callable[[], bool], do: Callable[[], None]) -> Progress:
    """Does something as soon as it is time for it, and never again."""
    done: list[bool] = []

    def look(_name: str, _rows: int) -> None:
        if not done and ready():
            done.append(True)
            do()

    return look


def by_status(store: Store) -> Counter[str]:
    with store.read() as connection:
        return Counter(connection.scalars(select(messages.c.status)))


def recipients(number: int, word: str = "r") -> list[str]:
    return [f"{word}{each}@example.it" for each in range(number)]


def make_due(store: Store) -> None:
    """Let every back-off be over."""
    with store.write() as connection:
        connection.execute(update(messages).where(messages.c.status == "queued").values(next_attempt_at=None))


@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.soak)])
def test_they_deliver_each_message_once_and_count_what_one_counts(
    store: Store, server: MailProcess, tmp_path: Path, workers: int
) -> None:
    often = ["often@example.it"] * 9
    ids = queue_alerts(store, *recipients(60), "never@example.it", "full@example.it", "later@example.it", *often)
    with store.write() as connection:
        renewed = boxes.c.address_key.in_([f"box{number}@pec.example.it" for number in (1, 2, 3)])
        connection.execute(update(boxes).where(renewed).values(expires_on=ON.replace(year=2030)))
        connection.execute(update(messages).where(messages.c.id == ids[3]).values(locale="xx"))
    told: list[int] = []

    settings = settings_of(tmp_path, server, workers=workers, per_recipient_per_day=5)
    report = deliver_now(store, settings, ON, lambda _name, rows: told.append(rows))

    assert report == DeliveryReport(sent=61, moot=3, parked=1, failed=2, deferred=1, held_back=4)
    assert sum(told) == report.handled == len(ids)
    assert by_status(store) == {"sent": 61, "moot": 3, "parked": 1, "failed": 2, "queued": 5}
    assert server.recipients() == Counter(recipients(60)[4:]) + Counter({"often@example.it": 5})


@pytest.mark.soak
def test_files_are_written_by_several_as_by_one(store: Store, tmp_path: Path) -> None:
    queue_alerts(store, *recipients(40))
    settings = settings_for(tmp_path)
    shared = settings.model_copy(update={"workers": settings.workers.model_copy(update={"count": 3})})

    assert deliver_now(store, shared, ON, silent) == DeliveryReport(sent=40)
    assert len(list((tmp_path / "mail").rglob("*.eml"))) == 40
    assert len(list((tmp_path / "mail").rglob("*.unfinished"))) == 0


def test_one_that_is_killed_leaves_nothing_undone_and_what_it_had_in_hand_goes_twice_at_the_most(
    store: Store, server: MailProcess, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    queue_alerts(store, *recipients(500))

    def kill_one() -> None:
        started[0].kill()

    report = deliver_now(store, settings_of(tmp_path, server), ON, once(lambda: server.size() > 40, kill_one))

    assert (report.failures, report.stopped) == ([DEAD], None)
    assert by_status(store) == {"sent": 500}
    assert_none_is_missing(server, 500, twice=CONNECTIONS // 2)


@pytest.mark.soak
def test_if_all_are_killed_the_rest_is_delivered_without_them(
    store: Store, server: MailProcess, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    queue_alerts(store, *recipients(100))

    def kill_all() -> None:
        for process in started:
            process.kill()

    report = deliver_now(store, settings_of(tmp_path, server), ON, once(lambda: server.size() > 10, kill_all))

    assert report.failures[0].startswith("2 of the workers were given up: its process ended")
    assert by_status(store) == {"sent": 100}
    assert_none_is_missing(server, 100, twice=CONNECTIONS)


@pytest.mark.soak
def test_killed_thirty_times_at_any_moment_nobody_misses_a_message(
    store: Store, server: MailProcess, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    chance = random.Random(8)  # noqa: S311 -- repeatable, not secret
    arrived = killed = 0
    for times in range(30):
        queue_alerts(store, *(f"{times}-{each}@example.it" for each in range(150)), first=150 * times + 1)
        at, which = arrived + chance.randrange(140), chance.randrange(3)
        kill = once(lambda at=at: server.size() >= at, lambda which=which: started[-3:][which].kill())  # type: ignore[misc]
        report = deliver_now(store, settings_of(tmp_path, server, workers=3, connections=6), ON, kill)

        killed += len(report.failures)
        assert by_status(store) == {"sent": 150 * (times + 1)}
        arrived = server.size()

    assert killed > 15, "the others had just done their share"
    every = server.recipients()
    assert len(every) == len(set(server.arrived())) == 150 * 30
    assert arrived - 150 * 30 <= 30 * 2


def assert_none_is_missing(server: MailProcess, number: int, *, twice: int, word: str = "r") -> None:
    arrived = server.arrived()
    assert {each.recipient for each in arrived} == set(recipients(number, word))
    assert len(set(arrived)) == number, "a message that came twice has the same Message-ID"
    assert len(arrived) - number <= twice


@pytest.mark.soak
def test_one_that_hangs_is_killed_before_its_share_is_delivered(
    store: Store,
    server: MailProcess,
    tmp_path: Path,
    started: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(senders, "LONGEST_WAIT", 0.5)
    queue_alerts(store, *recipients(200))

    def pause() -> None:
        os.kill(started[0].pid, signal.SIGSTOP)

    report = deliver_now(store, settings_of(tmp_path, server, time_out=1), ON, once(lambda: server.size() > 20, pause))

    assert report.failures == [DONE_WITHOUT.format("no answer within workers.time_out = 1 seconds")]
    assert started[0].poll() == -signal.SIGKILL
    assert by_status(store) == {"sent": 200}
    assert_none_is_missing(server, 200, twice=CONNECTIONS // 2)


def test_none_is_killed_because_who_listens_to_them_stood_still(
    store: Store, server: MailProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_alerts(store, *recipients(200))
    running, passed = clock.running, [0.0]
    monkeypatch.setattr(clock, "running", lambda: running() + passed[0])

    def stand_still() -> None:
        passed[0] += 3600

    report = deliver_now(store, settings_of(tmp_path, server), ON, once(lambda: server.size() > 20, stand_still))

    assert (report.failures, report.sent) == ([], 200)
    assert_none_is_missing(server, 200, twice=0)


@pytest.mark.soak
def test_who_is_heard_of_is_not_given_up_however_long_it_all_takes(
    store: Store, server: MailProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "LONGEST_WAIT", 0.0)
    queue_alerts(store, *recipients(280, "slow-"))
    running, passed = clock.running, [0.0]
    monkeypatch.setattr(clock, "running", lambda: running() + passed[0])

    def time_passes(_name: str, _rows: int) -> None:
        passed[0] += 0.3

    report = deliver_now(store, settings_of(tmp_path, server, time_out=30), ON, time_passes)

    assert passed[0] > 90, "longer than a process may be silent, its start included"
    assert (report.failures, report.sent) == ([], 280)


@pytest.mark.soak
def test_who_holds_the_lease_is_killed_and_the_others_end_with_it(
    store: Store, postgresql_url: str, server: MailProcess
) -> None:
    queue_alerts(store, *recipients(300))
    for goal in (20, 90):
        process = deliver_process.start(postgresql_url, server.port, connections=CONNECTIONS, workers=2)
        until(lambda goal=goal: server.size() >= goal)  # type: ignore[misc]
        process.kill()
        process.communicate()

    last = outcome(deliver_process.start(postgresql_url, server.port, connections=CONNECTIONS, workers=2))

    assert isinstance(last, DeliveryReport)
    assert (last.failures, last.stopped) == ([], None)
    assert by_status(store) == {"sent": 300}
    assert_none_is_missing(server, 300, twice=2 * CONNECTIONS)


@pytest.mark.soak
def test_while_who_holds_the_lease_is_paused_no_text_leaves_that_another_may_send(
    store: Store, postgresql_url: str, server: MailProcess
) -> None:
    queue_alerts(store, *recipients(100, "slow-"))
    process = deliver_process.start(postgresql_url, server.port, connections=2, workers=2, lease_seconds=2)
    until(lambda: server.size() >= 6)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(2)
    before = server.size()
    time.sleep(1)
    assert server.size() == before, "after half the lease"

    last = outcome(deliver_process.start(postgresql_url, server.port, connections=16))
    os.kill(process.pid, signal.SIGCONT)

    assert outcome(process) == "LeaseLost"
    assert isinstance(last, DeliveryReport)
    assert last.sent == server.size() - before
    assert_none_is_missing(server, 100, twice=2, word="slow-")


@pytest.mark.soak
def test_a_lease_that_another_has_taken_ends_all_of_them(store: Store, server: MailProcess, tmp_path: Path) -> None:
    queue_alerts(store, *recipients(300))

    def take_over() -> None:
        with store.write() as connection:
            connection.execute(update(leases).values(token=leases.c.token + 1, expires_at=now()))

    with pytest.raises(LeaseLost):
        deliver_now(store, settings_of(tmp_path, server), ON, once(lambda: server.size() > 20, take_over))

    assert server.size() - by_status(store)["sent"] <= CONNECTIONS


@pytest.mark.soak
def test_a_server_that_goes_away_ends_all_and_costs_no_message_anything(
    store: Store, server: MailProcess, tmp_path: Path
) -> None:
    queue_alerts(store, *recipients(120))
    settings = settings_of(tmp_path, server, retry_after=[1])

    report = deliver_now(store, settings, ON, once(lambda: server.size() > 20, server.stop))
    assert report.stopped is not None
    assert report.failures == []
    again = deliver_now(store, settings, ON, silent)
    assert (again.sent, again.stopped) == (0, f"{HOST}:{server.port}: Connection refused")

    server.start()
    make_due(store)
    last = deliver_now(store, settings, ON, silent)

    assert (last.failed, last.stopped) == (0, None)
    assert by_status(store) == {"sent": 120}
    assert_none_is_missing(server, 120, twice=CONNECTIONS)


def test_what_the_server_says_to_one_about_all_ends_the_others_too(
    store: Store, server: MailProcess, tmp_path: Path
) -> None:
    queue_alerts(store, *recipients(20), "closing@example.it", *recipients(180, "s"))

    report = deliver_now(store, settings_of(tmp_path, server), ON, silent)

    assert (report.stopped, report.deferred) == ("421 4.3.2 Shutting down", 1)
    assert by_status(store) == {"sent": report.sent, "queued": 201 - report.sent}
    assert report.sent == server.size() < 200


@pytest.mark.soak
def test_a_server_that_wants_fewer_connections_is_left_with_those(store: Store, tmp_path: Path) -> None:
    queue_alerts(store, *recipients(60))
    with mail_server() as server:
        server.most_connections = 1
        report = deliver_now(store, settings_of(tmp_path, server, connections=2), ON, silent)

        assert (report.sent, report.stopped, report.failures) == (60, None, [])
        assert len(server.delivered) == 60


def test_the_emergency_stop_ends_all_after_what_they_have_in_hand(
    store: Store, server: MailProcess, tmp_path: Path
) -> None:
    queue_alerts(store, *recipients(200))

    def throw() -> None:
        operators.stop_everything(store, Operator("anna", None, ON), "wrong prices")

    with pytest.raises(EmergencyStop, match="wrong prices"):
        deliver_now(store, settings_of(tmp_path, server), ON, once(lambda: server.size() > 20, throw))

    assert server.size() < 200
    assert by_status(store) == {"sent": server.size(), "queued": 200 - server.size()}


@pytest.mark.soak
def test_told_to_stop_they_record_what_is_in_hand_and_go(
    store: Store, server: MailProcess, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    queue_alerts(store, *recipients(400))

    def stop() -> None:
        for process in started:  # a terminal sends its signal to all of them
            process.send_signal(signal.SIGINT)
        raise StopRequested("as asked")

    with pytest.raises(StopRequested, match="as asked"):
        deliver_now(store, settings_of(tmp_path, server), ON, once(lambda: server.size() > 20, stop))

    assert [process.poll() for process in started] == [0, 0]
    assert server.size() < 400
    assert by_status(store) == {"sent": server.size(), "queued": 400 - server.size()}


@pytest.mark.soak
def test_a_pass_that_is_over_leaves_the_rest_to_the_next(store: Store, server: MailProcess, tmp_path: Path) -> None:
    queue_alerts(store, *recipients(200))
    settings = settings_of(tmp_path, server, batch_size=10)

    first = deliver_now(store, settings, ON, silent, lambda: server.size() < 30)
    assert first.more
    assert by_status(store) == {"sent": first.sent, "queued": 200 - first.sent}
    assert server.size() == first.sent < 200

    second = deliver_now(store, settings, ON, silent)
    assert (first.sent + second.sent, second.more) == (200, False)


def test_every_recipient_falls_to_one_share_and_the_order_is_kept(store: Store) -> None:
    ids = queue_alerts(store, *recipients(90), *recipients(90))

    def of(share: Share | None, after: Waiting | None = None, limit: int = 1000) -> list[Waiting]:
        with store.read() as connection:
            return records.waiting(connection, after=after, limit=limit, at=now(), only=None, share=share)

    shares = [of(Share(number, 3)) for number in range(3)]
    assert sorted(each.id for share in shares for each in share) == ids
    keys = [{each.recipient_key for each in share} for share in shares]
    assert sum(len(each) for each in keys) == 90
    assert min(len(each) for each in keys) > 10
    first = of(Share(1, 3), limit=5)
    assert [*first, *of(Share(1, 3), after=first[-1])] == shares[1]


def test_a_share_of_a_long_queue_is_found_by_its_index(store: Store) -> None:
    with store.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO customers (customer_id, name, email, locale) VALUES ('c', 'Anna', 'a@example.it', 'it')"
        )
        connection.exec_driver_sql(
            "INSERT INTO messages"
            " (message_key, customer_id, kind, locale, recipient, recipient_key, created_on, status)"
            " SELECT n::text, 'c', 'box.expiry_alert', 'it', n || '@e.it', n || '@e.it', '2027-03-24', 'queued'"
            " FROM generate_series(1, 20000) n"
        )
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE messages")

    with explaining(store) as plans, store.read() as connection:
        records.waiting(connection, after=None, limit=500, at=now(), only=None, share=Share(0, 2))

    assert [plan.read_whole for plan in plans] == [[]]


@pytest.mark.parametrize(
    ("changed", "processes"),
    [
        ({"workers": 2}, 2),
        ({"workers": 8}, CONNECTIONS),
        ({"workers": 3, "connections": 1}, 1),
        ({"workers": 3, "messages_per_second": 250}, 1),
        ({"workers": 3, "messages_per_second": 251}, 2),
        ({"workers": 8, "transport": "files"}, 5),
        ({"workers": 1}, 1),
    ],
)
def test_so_many_processes_pay(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], processes: int
) -> None:
    monkeypatch.setattr(crew, "_WORTH_ONE", 4)
    queue_alerts(store, *recipients(23))
    way = {"transport": "smtp", "connections": CONNECTIONS, "messages_per_second": 5000}
    settings = settings_for(tmp_path, **way | _of_mail(changed))
    manned = settings.workers.model_copy(update={"count": changed["workers"]})

    assert crew.how_many(store, settings.model_copy(update={"workers": manned}), ON) == processes
    with_dask = manned.model_copy(update={"engine": "dask"})
    assert crew.how_many(store, settings.model_copy(update={"workers": with_dask}), ON) == 1


def _of_mail(changed: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in changed.items() if key != "workers"}


def test_together_they_open_no_more_connections_and_are_no_faster_than_one_may(tmp_path: Path) -> None:
    mail = settings_for(tmp_path, transport="smtp", connections=7, messages_per_second=100).mail

    shares = list(crew._shares(mail, 3))

    assert [share.connections for share in shares] == [3, 2, 2]
    assert [share.messages_per_second for share in shares] == [34, 33, 33]
    assert [replaced.host for replaced in shares] == [mail.host] * 3


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    by = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < by, "it never came to that"
        time.sleep(0.002)
