"""One run at a time, and whoever has lost the lease writes nothing (SPEC §5). The other runs are real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time
from sqlalchemy import bindparam, delete, func, insert, select, update

from lifecycle_jobs import clock, lease
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import events, leases, runs
from lifecycle_jobs.errors import LeaseHeld, LeaseLost
from lifecycle_jobs.lease import Process
from tests.crash.launcher import POINT, Point
from tests.crash.provider import ON, settle
from tests.crash.trial import clean_environment

pytestmark = pytest.mark.timeout(900)

LAST_START = Point("lease", 1, "wait")
"""About to ask for the lease."""

IN_HAND = Point("committed", 9, "wait")
"""Some way into the run, between two transactions."""


class Running:
    """A `lifecycle-jobs replay` of the test's provider, in a process of its own."""

    def __init__(self, url: str, folder: Path, point: Point | None) -> None:
        environment = clean_environment() | {
            "LIFECYCLE_DATABASE__URL": url,
            "LIFECYCLE_SANDBOX__JOURNAL": str(folder / "journal.jsonl"),
            "LIFECYCLE_MAIL__DIRECTORY": str(folder / "mail"),
            "LIFECYCLE_LEASE__SECONDS": "5",
            "LIFECYCLE_LOG__LEVEL": "error",
        }
        if point is not None:
            environment[POINT] = json.dumps(asdict(point))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.launcher", "replay", ON.isoformat(), "--by", "test"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def wait_until_reached(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "reached\n"

    def wait_until_stopped(self) -> None:
        while _state(self.pid) != "T":
            assert self._process.poll() is None
            time.sleep(0.02)

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it for good, but do not take notice of it: it stays in the list of processes."""
        self._process.send_signal(signal.SIGKILL)
        while _state(self.pid) != "Z":
            time.sleep(0.02)

    def end(self) -> tuple[int, str]:
        """The exit code, and what it complained of."""
        _, complaint = self._process.communicate()
        return self._process.returncode, complaint

    def give_up(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(database_url, tmp_path)
    yield starter
    for running in starter.running:
        running.give_up()


class Starter:
    """Starts runs on the test's database."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder
        self.running: list[Running] = []
        with _opened(url) as store:
            settle(store, folder / "journal.jsonl")

    def __call__(self, point: Point | None = None) -> Running:
        running = Running(self._url, self._folder, point)
        self.running.append(running)
        return running


@contextmanager
def _opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        store.engine.dispose()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]


def _started(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[19]


def hold_as(store: Store, process: Process, *, seconds: int = 60) -> None:
    """Let some process have the run lease."""
    until = clock.now() + timedelta(seconds=seconds)
    with store.write() as connection:
        connection.execute(delete(leases))
        connection.execute(insert(leases).values(name="run", token=1, holder=str(process), expires_at=until))


def elsewhere() -> Process:
    """A process of another machine: nobody here can tell whether it lives."""
    return Process("server-2/boot/pid:[1]", 4711, "123")


def test_a_second_run_is_refused_and_told_who_is_at_work(store: Store) -> None:
    with lease.hold(store, "run", 60), pytest.raises(LeaseHeld) as refusal, lease.hold(store, "run", 60):
        pass

    assert f"Another run is under way (process {os.getpid()} on" in str(refusal.value)
    assert "Nothing was done here" in str(refusal.value)


def test_another_lease_is_another_matter(store: Store) -> None:
    with lease.hold(store, "run", 60), lease.hold(store, "delivery", 60):
        pass


def test_the_lease_is_given_back_at_the_end_and_after_an_error(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), lease.hold(store, "run", 60):
        raise ZeroDivisionError

    with lease.hold(store, "run", 60):
        pass


def test_that_it_cannot_be_given_back_hides_nothing(store: Store) -> None:
    def rename(old: str, new: str) -> None:
        with store.write() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    def lose_the_table() -> None:
        rename("leases", "gone")
        raise RuntimeError("what happened")

    with pytest.raises(RuntimeError, match="what happened"), lease.hold(store, "run", 60):
        lose_the_table()
    rename("gone", "leases")

    with store.read() as connection:
        assert lease.holder(connection, "run") == Process.this(), "until its time is over, or this process is"


def test_each_holder_gets_a_higher_token(store: Store) -> None:
    tokens = []
    for _ in range(3):
        with lease.hold(store, "run", 60) as held:
            tokens.append(held.token)

    assert tokens == sorted(set(tokens))


def test_a_lease_that_was_given_back_is_worth_nothing_any_more(store: Store) -> None:
    """A worker that was given up may wake after its run: it would change boxes, and nobody would be told of them."""
    with lease.hold(store, "run", 60) as held:
        pass

    with pytest.raises(LeaseLost), store.fenced(held).write():
        pass


def test_a_holder_on_another_machine_is_believed_until_its_time_is_over(store: Store) -> None:
    hold_as(store, elsewhere())
    with pytest.raises(LeaseHeld, match="process 4711 on server-2"), lease.hold(store, "run", 60):
        pass

    hold_as(store, elsewhere(), seconds=-1)
    with lease.hold(store, "run", 60):
        pass


def test_a_holder_that_is_gone_from_this_machine_is_not_waited_for(store: Store) -> None:
    this = Process.this()
    hold_as(store, Process(this.host, 2**22 + 1, this.started))

    with lease.hold(store, "run", 60):
        pass


def test_a_holder_whose_number_went_to_another_process_is_not_waited_for(store: Store) -> None:
    this = Process.this()
    hold_as(store, Process(this.host, this.pid, "1"))

    with lease.hold(store, "run", 60):
        pass


def test_who_holds_the_lease_can_be_asked(store: Store) -> None:
    with store.read() as connection:
        assert lease.holder(connection, "run") is None

    with lease.hold(store, "run", 60), store.read() as connection:
        assert lease.holder(connection, "run") == Process.this()

    with store.read() as connection:
        assert lease.holder(connection, "run") is None


def test_a_heartbeat_renews_the_lease(store: Store) -> None:
    with lease.hold(store, "run", 1):
        time.sleep(1.5)

        with pytest.raises(LeaseHeld), lease.hold(store, "run", 1):
            pass


def test_where_one_writes_at_a_time_each_write_renews_the_lease_once_a_third_of_it_is_over(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    starve_heartbeats(monkeypatch)
    with freeze_time("2027-03-24 04:00:00") as frozen, lease.hold(sqlite_store, "run", 60) as held:
        for seconds, until in ((19, "04:01:00"), (2, "04:01:21"), (75, "04:02:36")):
            frozen.tick(seconds)
            with sqlite_store.fenced(held).write():
                pass

            assert f"{ends_at(sqlite_store):%H:%M:%S}" == until, seconds


def test_where_many_write_at_once_only_the_heartbeat_renews_it(
    postgresql_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    starve_heartbeats(monkeypatch)
    with freeze_time("2027-03-24 04:00:00") as frozen, lease.hold(postgresql_store, "run", 60) as held:
        frozen.tick(40)
        with postgresql_store.fenced(held).write():
            pass

        assert f"{ends_at(postgresql_store):%H:%M:%S}" == "04:01:00"


def test_who_waited_for_a_write_that_outlasted_the_lease_finds_it_renewed(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    starve_heartbeats(monkeypatch)
    running, passed = clock.running, [0.0]
    monkeypatch.setattr(clock, "running", lambda: running() + passed[0])
    with freeze_time("2027-03-24 04:00:00") as frozen, lease.hold(sqlite_store, "run", 60) as held:
        with sqlite_store.fenced(held).write():
            frozen.tick(70)
            passed[0] += 70

        with pytest.raises(LeaseHeld), lease.hold(sqlite_store, "run", 60):
            pass


def starve_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease._Heartbeat, "_beat", lambda _self: None)


def ends_at(store: Store) -> datetime:
    with store.read() as connection:
        until: datetime = connection.execute(select(leases.c.expires_at)).scalar_one()
        return until


def test_a_write_with_an_old_token_is_refused(store: Store) -> None:
    with lease.hold(store, "run", 60) as held:
        fenced = store.fenced(held)
        with store.write() as connection:
            connection.execute(update(leases).values(token=held.token + 1))

        with pytest.raises(LeaseLost, match="taken over the run lease"), fenced.write():
            pass


def test_a_repeated_update_changes_nothing_once_the_lease_is_lost(store: Store) -> None:
    rename = update(leases).where(leases.c.name == "other").values(holder=bindparam("who"))
    with store.write() as connection:
        connection.execute(insert(leases).values(name="other", token=1, expires_at=clock.now()))
    with lease.hold(store, "run", 60) as held, store.fenced(held).repeating(rename) as repeat:
        assert repeat([{"who": "first"}]) == 1
        with store.write() as connection:
            connection.execute(update(leases).where(leases.c.name == "run").values(token=held.token + 1))

        assert repeat([{"who": "second"}]) == 0

    with store.read() as connection:
        assert connection.scalar(select(leases.c.holder).where(leases.c.name == "other")) == "first"


def test_nobody_takes_over_while_a_repeated_update_is_under_way(postgresql_store: Store) -> None:
    slow = update(leases).where(leases.c.name == "other", func.pg_sleep(0.5).is_not(None)).values(holder="late")
    with postgresql_store.write() as connection:
        connection.execute(insert(leases).values(name="other", token=1, expires_at=clock.now()))
    with lease.hold(postgresql_store, "run", 60) as held:
        with postgresql_store.fenced(held).repeating(slow) as repeat, ThreadPoolExecutor(1) as thread:
            updating = thread.submit(repeat, [{}])
            time.sleep(0.2)
            _let_end(postgresql_store)
            with pytest.raises(LeaseHeld, match="in the middle of a write"):
                lease._take(postgresql_store, "run", 60)

        assert updating.result() == 1


def test_of_writers_that_overlap_none_is_passed_by_a_take_over_and_none_writes_after_it(
    postgresql_store: Store,
) -> None:
    with lease.hold(postgresql_store, "run", 60) as held:
        fenced = postgresql_store.fenced(held)
        with fenced.write():
            with fenced.write():
                _let_end(postgresql_store)
                with pytest.raises(LeaseHeld, match="in the middle of a write"):
                    lease._take(postgresql_store, "run", 60)
            with pytest.raises(LeaseHeld, match="in the middle of a write"):
                lease._take(postgresql_store, "run", 60)

        assert lease._take(postgresql_store, "run", 60).token == held.token + 1
        with pytest.raises(LeaseLost), fenced.write():
            pass


def test_a_write_that_comes_in_the_middle_of_a_take_over_waits_for_it_and_is_refused(postgresql_store: Store) -> None:
    with lease.hold(postgresql_store, "run", 60) as held, ThreadPoolExecutor(1) as thread:
        fenced = postgresql_store.fenced(held)

        def write() -> None:
            with fenced.write():
                pass

        _let_end(postgresql_store)
        with postgresql_store.write() as connection:
            lease._take_free(connection, "run", 60)
            writing = thread.submit(write)
            time.sleep(0.3)
            assert not writing.done()

        with pytest.raises(LeaseLost):
            writing.result()


def test_the_heartbeat_gets_through_while_there_is_always_some_writer(postgresql_store: Store) -> None:
    """As with several workers: each of their writes holds the lease, and there is no moment without one."""
    until = time.monotonic() + 2.5
    with lease.hold(postgresql_store, "run", 1) as held, ThreadPoolExecutor(2) as threads:
        fenced = postgresql_store.fenced(held)

        def write_on(offset: float) -> None:
            time.sleep(offset)
            while time.monotonic() < until:
                with fenced.write():
                    time.sleep(0.4)

        writing = [threads.submit(write_on, offset) for offset in (0, 0.2)]
        time.sleep(2)
        with postgresql_store.read() as connection:
            ends = connection.execute(select(leases.c.expires_at).where(leases.c.name == "run")).scalar_one()

        assert ends > clock.now()
        for each in writing:
            each.result()


def _let_end(store: Store) -> None:
    """Let the time of the run lease be over, as if its holder had given no sign of life."""
    with store.write() as connection:
        connection.execute(
            update(leases).where(leases.c.name == "run").values(expires_at=clock.now() - timedelta(seconds=1))
        )


def test_giving_back_a_lost_lease_leaves_the_new_holder_alone(store: Store) -> None:
    with lease.hold(store, "run", 60), store.write() as connection:
        connection.execute(update(leases).values(token=99, holder=str(elsewhere())))

    with store.read() as connection:
        assert lease.holder(connection, "run") == elsewhere()


def test_of_two_runs_that_start_at_the_same_moment_exactly_one_runs(start: Starter) -> None:
    both = [start(LAST_START), start(LAST_START)]
    for each in both:
        each.wait_until_reached()
    for each in both:
        each.go_on()

    ends = [each.end() for each in both]

    assert sorted(code for code, _ in ends) == [0, 3]
    assert "Nothing was done here" in next(complaint for code, complaint in ends if code == 3)


def test_two_first_runs_that_both_find_no_lease_agree_on_one(postgresql_store: Store) -> None:
    with postgresql_store.write() as first:
        until = clock.now() + timedelta(seconds=60)
        first.execute(insert(leases).values(name="run", token=1, holder=str(Process.this()), expires_at=until))
        outcome = _take_in_a_thread(postgresql_store)
        time.sleep(0.5)

    assert isinstance(outcome(), LeaseHeld)


def _take_in_a_thread(store: Store) -> Callable[[], BaseException | None]:
    pool = ThreadPoolExecutor(1)

    def take() -> BaseException | None:
        try:
            with lease.hold(store, "run", 60):
                return None
        except Exception as error:  # noqa: BLE001 -- what it is, is the question
            return error

    future = pool.submit(take)
    return future.result


def test_a_holder_that_was_killed_is_not_waited_for_even_if_nobody_took_notice_of_its_end() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = Process(Process.this().host, child.pid, _started(child.pid))
    alive = not process.known_dead

    child.kill()
    while _state(child.pid) != "Z":
        time.sleep(0.02)

    assert alive
    assert process.known_dead
    child.communicate()


def test_a_run_that_was_killed_is_continued_at_once(start: Starter) -> None:
    killed = start(IN_HAND)
    killed.wait_until_reached()
    killed.kill()

    code, complaint = start().end()

    assert code == 0, complaint


def test_a_run_that_slept_past_its_lease_and_is_woken_writes_nothing(start: Starter, database_url: str) -> None:
    sleeper = start(Point("committed", 9, "stop"))
    sleeper.wait_until_stopped()
    time.sleep(5.5)
    successor = start()
    assert successor.end()[0] == 0
    with _opened(database_url) as store, store.read() as connection:
        written = connection.execute(select(events.c.id, events.c.kind)).all()

    sleeper.wake()
    code, complaint = sleeper.end()

    assert code == 3
    assert "Another process has taken over the run lease" in complaint
    with _opened(database_url) as store, store.read() as connection:
        assert connection.execute(select(events.c.id, events.c.kind)).all() == written
        assert connection.scalar(select(runs.c.state)) == "completed"


def test_nobody_takes_over_in_the_middle_of_a_write(postgresql_url: str, tmp_path: Path) -> None:
    start = Starter(postgresql_url, tmp_path)
    try:
        writing = start(Point("commit", 12, "stop"))
        writing.wait_until_stopped()
        time.sleep(5.5)
        code, complaint = start().end()

        assert code == 3
        assert "in the middle of a write" in complaint
        writing.wake()
        assert writing.end()[0] == 0  # its time was over, but nobody else has begun: it may go on
    finally:
        for running in start.running:
            running.give_up()
