"""Workers killed again and again, random days shared in every way, and clients beside a spike. Takes minutes."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from lifecycle_jobs.db.session import Store, open_store
from tests import servers
from tests.auditing import assert_books_are_right
from tests.bench import crowd
from tests.bench.load import load
from tests.dask_cluster import DaskCluster
from tests.workers import (
    JOBS,
    ON,
    as_left,
    do_day,
    do_day_in_processes,
    gate_in,
    in_a_thread,
    populate,
    settings_of,
    what_one_leaves,
)

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]

DAYS = int(os.environ.get("SOAK_WORKER_DAYS", "50"))
SEEDS = int(os.environ.get("SOAK_WORKER_SEEDS", "8"))
SPIKE = int(os.environ.get("SOAK_SPIKE_BOXES", "200000"))
BOXES = 90


@pytest.fixture
def fresh() -> Iterator[Store]:
    with servers.fresh_postgresql() as url:
        store = open_store(url)
        yield store
        store.engine.dispose()


def _url(store: Store) -> str:
    return store.engine.url.render_as_string(hide_password=False)


@pytest.mark.parametrize("day", range(DAYS))
def test_killed_in_the_middle_of_a_chunk_of_each_job_they_leave_what_one_leaves(
    day: int, fresh: Store, tmp_path: Path
) -> None:
    """Four workers of which three die, each in another job; how many chunks were done by then is chance."""
    chance = random.Random(day)  # noqa: S311 -- repeatable, not secret
    populate(fresh, BOXES, seed=day)
    settings = settings_of(tmp_path, _url(fresh), chunk_size=chance.choice((1, 2, 3)), count=4)
    with gate_in(fresh, *JOBS) as gate:
        result = in_a_thread(lambda: do_day_in_processes(fresh, settings))
        for job in JOBS:
            victim = chance.choice(gate.wait_for(1, job))
            if chance.random() < 0.5:
                gate.open(job)
                time.sleep(chance.uniform(0, 0.05))
            os.kill(victim, signal.SIGKILL)
            if victim in gate.waiting(job):
                gate.open(job)
        report = result()

    assert len([failure for failure in report.failures if "killed or out of memory" in failure]) >= 1
    assert as_left(fresh) == what_one_leaves(tmp_path, BOXES, seed=day)
    assert_books_are_right(fresh, settings)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("chunk_size", [1, 7, 5000])
def test_random_days_end_alike_with_any_number_of_workers_and_any_size_of_chunk(
    seed: int, count: int, chunk_size: int, fresh: Store, tmp_path: Path
) -> None:
    populate(fresh, BOXES, seed=1000 + seed)
    settings = settings_of(tmp_path, _url(fresh), chunk_size=chunk_size, count=count)

    report = do_day(fresh, settings) if seed else do_day_in_processes(fresh, settings)

    assert report.failures == []
    assert as_left(fresh) == what_one_leaves(tmp_path, BOXES, seed=1000 + seed)
    assert_books_are_right(fresh, settings)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("chunk_size", [1, 7, 5000])
def test_random_days_end_alike_on_dask(workers: int, chunk_size: int, fresh: Store, tmp_path: Path) -> None:
    populate(fresh, BOXES, seed=2000 + chunk_size)
    with DaskCluster(tmp_path, workers) as cluster:
        cluster.wait_for_workers()
        settings = settings_of(tmp_path, _url(fresh), chunk_size=chunk_size, engine="dask", scheduler=cluster.address)
        report = do_day_in_processes(fresh, settings)

    assert report.failures == []
    assert as_left(fresh) == what_one_leaves(tmp_path, BOXES, seed=2000 + chunk_size)
    assert_books_are_right(fresh, settings)


def test_beside_a_spike_day_a_clients_update_never_waits_above_a_second_and_nobody_deadlocks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With autovacuum on, and a reader whose snapshot is as old as the day."""
    with servers.own_postgresql() as server:
        store = open_store(server.database_url)
        load(server.database_url, crowd.batches("suspend", SPIKE, ON))
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ALTER SYSTEM SET autovacuum = on"))
            connection.execute(text("ALTER SYSTEM SET autovacuum_naptime = 1"))
            connection.execute(text("SELECT pg_reload_conf()"))
        settings = settings_of(tmp_path, server.database_url, chunk_size=5000, count=2)
        client = _Client(store)
        with store.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
            before = reader.scalar(text("SELECT count(*) FROM boxes WHERE status = 'active'"))
            client.start()
            result = in_a_thread(lambda: do_day_in_processes(store, settings))
            while client.is_alive() and not _suspended(store, SPIKE):
                assert reader.scalar(text("SELECT count(*) FROM boxes WHERE status = 'active'")) == before
                time.sleep(0.5)
            report = result()
            client.stop()
        with store.read() as connection:
            deadlocks = connection.scalar(
                text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            )
        store.engine.dispose()

    with capsys.disabled():
        print(f"\n{len(client.waits)} updates beside {SPIKE} suspensions: longest {max(client.waits):.3f} s")  # noqa: T201 -- the figure is the point
    assert report.failures == []
    assert deadlocks == 0
    assert len(client.waits) > 50
    assert max(client.waits) < 1


class _Client(threading.Thread):
    """Alters one box after the other, as a customer area does."""

    def __init__(self, store: Store) -> None:
        super().__init__(daemon=True)
        self.waits: list[float] = []
        self._store = store
        self._stop_asked = threading.Event()
        self._chance = random.Random(1)  # noqa: S311 -- repeatable, not secret

    def run(self) -> None:
        while not self._stop_asked.wait(0.01):
            began = time.monotonic()
            with self._store.write() as connection:
                connection.execute(
                    text("UPDATE boxes SET renewal_years = 3 - renewal_years WHERE id = :id"),
                    {"id": self._chance.randint(1, SPIKE)},
                )
            self.waits.append(time.monotonic() - began)

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()


def _suspended(store: Store, number: int) -> bool:
    with store.read() as connection:
        found: int = connection.scalar(text("SELECT count(*) FROM boxes WHERE status = 'suspended'")) or 0
    return found == number
