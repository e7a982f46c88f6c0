"""Workers that are processes of their own, and what becomes of the day when they die, hang or lose their scheduler."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.settings import Settings
from tests.auditing import assert_books_are_right
from tests.dask_cluster import DaskCluster
from tests.workers import (
    JOBS,
    Left,
    as_left,
    do_day_in_processes,
    gate_in,
    in_a_thread,
    populate,
    settings_of,
    what_one_leaves,
)

BOXES = 70
DONE_WITHOUT = "The work was done without."


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return what_one_leaves(tmp_path_factory.mktemp("alone"), BOXES)


@pytest.fixture
def populated(postgresql_store: Store) -> Store:
    populate(postgresql_store, BOXES)
    return postgresql_store


def settings_for_workers(store: Store, folder: Path, **workers: Any) -> Settings:
    return settings_of(folder, store.engine.url.render_as_string(hide_password=False), chunk_size=2, **workers)


def test_killed_in_the_middle_of_a_chunk_of_each_job_they_leave_what_one_leaves(
    populated: Store, tmp_path: Path, expected: Left
) -> None:
    settings = settings_for_workers(populated, tmp_path, count=len(JOBS))  # at the end nobody is left
    with gate_in(populated, *JOBS) as gate:
        result = in_a_thread(lambda: do_day_in_processes(populated, settings))
        for job in JOBS:
            waiting = gate.wait_for(1, job)
            os.kill(waiting[0], signal.SIGKILL)
            _wait_until_gone_from(gate, waiting[0], job)
            gate.open(job)
        report = result()

    assert report.failures == [
        f"1 of the workers was given up: its process ended, killed or out of memory (during {job}). {DONE_WITHOUT}"
        for job in JOBS
    ]
    assert as_left(populated) == expected
    assert_books_are_right(populated, settings)


def test_one_that_stops_for_longer_than_its_time_loses_its_chunk_and_the_day_ends_as_with_one(
    populated: Store, tmp_path: Path, expected: Left
) -> None:
    settings = settings_for_workers(populated, tmp_path, count=2, time_out=3)
    with gate_in(populated, "delete") as gate:
        result = in_a_thread(lambda: do_day_in_processes(populated, settings))
        stopped = gate.wait_for(1, "delete")[0]
        os.kill(stopped, signal.SIGSTOP)
        gate.open("delete")
        report = result()

    assert report.failures == [
        f"1 of the workers was given up: no answer within workers.time_out = 3 seconds (during delete). {DONE_WITHOUT}"
    ]
    assert as_left(populated) == expected
    assert_books_are_right(populated, settings)


def test_dask_does_the_day_and_when_its_scheduler_dies_the_run_goes_on_alone(
    populated: Store, tmp_path: Path, expected: Left
) -> None:
    with DaskCluster(tmp_path, 2) as cluster, gate_in(populated, "delete") as gate:
        cluster.wait_for_workers()
        settings = settings_for_workers(populated, tmp_path, engine="dask", scheduler=cluster.address)
        result = in_a_thread(lambda: do_day_in_processes(populated, settings))
        gate.wait_for(2, "delete")  # by now they have suspended their share
        cluster.kill_scheduler()
        time.sleep(0.2)
        gate.open("delete")
        report = result()

    assert report.failures == [
        f"2 of the workers were given up: the engine does not answer any more (during delete). {DONE_WITHOUT}"
    ]
    assert as_left(populated) == expected
    assert_books_are_right(populated, settings)


def _wait_until_gone_from(gate: Any, pid: int, job: str) -> None:
    """PostgreSQL notices by itself that nobody is there any more, though it was waiting for a lock."""
    until = time.monotonic() + 30
    while pid in gate.waiting(job):
        assert time.monotonic() < until, "the dead worker still has its chunk"
        time.sleep(0.05)
