"""Several workers on one job: the day ends as one alone would end it, whatever becomes of them. On PostgreSQL."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import exists, func, select, update

from lifecycle_jobs import day
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.engines import Seat
from lifecycle_jobs.errors import EmergencyStop, LeaseLost, StopRequested
from lifecycle_jobs.jobs import crew, worker
from lifecycle_jobs.operators import Operator, resume, stop_everything
from lifecycle_jobs.settings import Settings, WorkersSettings
from tests.auditing import assert_books_are_right
from tests.daily import failing
from tests.workers import (
    JOBS,
    ON,
    Left,
    as_left,
    do_day,
    do_day_in_processes,
    gate_in,
    in_a_thread,
    populate,
    settings_of,
    what_one_leaves,
)

BOXES = 70

_CHANGED = ("boxes", "addons", "orders", "messages", "message_events")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return what_one_leaves(tmp_path_factory.mktemp("alone"), BOXES)


@pytest.fixture
def populated(postgresql_store: Store) -> Store:
    populate(postgresql_store, BOXES)
    return postgresql_store


def settings_for_workers(
    store: Store, folder: Path, count: int, *, chunk_size: int = 3, time_out: int = 60
) -> Settings:
    url = store.engine.url.render_as_string(hide_password=False)
    return settings_of(folder, url, chunk_size=chunk_size, count=count, time_out=time_out)


def test_there_is_something_to_do_in_every_job(expected: Left) -> None:
    jobs = Counter(job for event in expected["events"] for job in JOBS if f'"job": "{job}"' in event)

    assert all(jobs[job] > 7 for job in JOBS), jobs


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("chunk_size", [1, 7, 5000])
def test_any_number_of_workers_and_any_size_of_chunk_leave_what_one_leaves(
    populated: Store, tmp_path: Path, expected: Left, count: int, chunk_size: int
) -> None:
    advanced: Counter[str] = Counter()
    settings = settings_for_workers(populated, tmp_path, count, chunk_size=chunk_size)

    report = do_day(populated, settings, progress=lambda name, rows: advanced.update({name: rows}))

    assert as_left(populated) == expected
    assert_books_are_right(populated, settings)
    assert report.failures == []
    done = {job.job: sum(job.done.values()) for job in report.jobs}
    assert {job: advanced[job] for job in JOBS} == {job: done[job] for job in JOBS}


def test_a_job_of_one_chunk_wakes_no_worker(populated: Store, tmp_path: Path, expected: Left) -> None:
    closed = ThreadPoolExecutor(1)
    closed.shutdown()

    report = _do_with([closed], populated, settings_for_workers(populated, tmp_path, 2, chunk_size=5000))

    assert report.failures == []
    assert as_left(populated) == expected


def test_two_workers_are_at_work_at_the_same_time(populated: Store, tmp_path: Path, expected: Left) -> None:
    with gate_in(populated, "suspend") as gate:
        result = in_a_thread(lambda: do_day(populated, settings_for_workers(populated, tmp_path, 2)))
        gate.wait_for(2, "suspend")
        gate.open("suspend")
        result()

    assert as_left(populated) == expected


def test_a_box_that_a_client_has_locked_is_passed_over_and_done_at_the_end(
    populated: Store, tmp_path: Path, expected: Left
) -> None:
    """The workers go around it, the run waits for it."""
    last = _unpaid(populated)[-1]
    with populated.write() as connection:
        connection.execute(select(tables.boxes.c.id).where(tables.boxes.c.id == last).with_for_update())
        result = in_a_thread(lambda: do_day(populated, settings_for_workers(populated, tmp_path, 2)))
        _wait_until(lambda: _suspended(populated) == 13)
    result()

    assert as_left(populated) == expected


def test_what_makes_a_workers_chunk_fail_is_found_and_parked_by_the_run(populated: Store, tmp_path: Path) -> None:
    broken = _unpaid(populated)[-1]
    with failing(populated, "boxes", "UPDATE", f"OLD.id = {broken}"):
        report = do_day(populated, settings_for_workers(populated, tmp_path, 2))

    suspended = next(job for job in report.jobs if job.job == "suspend")
    assert (suspended.done, suspended.parked) == ({"box.suspended": 13}, 1)
    with populated.read() as connection:
        assert connection.scalars(select(tables.parked_rows.c.box_id)).all() == [broken]
        assert connection.scalars(select(tables.parked_rows.c.times)).all() == [1]


def test_after_the_emergency_stop_no_chunk_begins_and_what_was_in_hand_is_recorded(
    populated: Store, tmp_path: Path, expected: Left
) -> None:
    settings = settings_for_workers(populated, tmp_path, 2)
    operator = Operator("clerk", "trying", ON)
    with gate_in(populated, "suspend") as gate:
        result = in_a_thread(lambda: do_day(populated, settings))
        gate.wait_for(2, "suspend")
        stop_everything(populated, operator, "trying")
        time.sleep(0.5)
        gate.open("suspend")
        with pytest.raises(EmergencyStop):
            result()

    # The first chunk and one in each worker's hands: nine candidates, one of whom is refused.
    assert _suspended(populated) == 8
    resume(populated, operator)
    do_day(populated, settings)
    left = as_left(populated)
    assert {table: left[table] for table in _CHANGED} == {table: expected[table] for table in _CHANGED}


def test_asked_to_stop_the_run_waits_for_what_its_workers_have_in_hand(populated: Store, tmp_path: Path) -> None:
    asked: list[bool] = []

    def progress(_name: str, _rows: int) -> None:
        if asked:
            raise StopRequested("as asked")

    with gate_in(populated, "delete") as gate:
        settings = settings_for_workers(populated, tmp_path, 2)
        result = in_a_thread(lambda: do_day(populated, settings, progress=progress))
        gate.wait_for(2, "delete")
        asked.append(True)
        time.sleep(0.3)
        gate.open("delete")
        with pytest.raises(StopRequested):
            result()

    with populated.read() as connection:
        assert connection.scalar(select(func.count()).where(tables.boxes.c.status == "deleted")) == 9


def test_workers_of_a_run_that_has_lost_its_lease_write_nothing_more(populated: Store, tmp_path: Path) -> None:
    with gate_in(populated, "delete") as gate:
        result = in_a_thread(lambda: do_day(populated, settings_for_workers(populated, tmp_path, 2)))
        gate.wait_for(2, "delete")
        with populated.write() as connection:
            connection.execute(update(tables.leases).values(token=tables.leases.c.token + 1))
        gate.open("delete")
        with pytest.raises(LeaseLost):
            result()

    with populated.read() as connection:
        assert connection.scalar(select(func.count()).where(tables.boxes.c.status == "deleted")) == 9


def test_a_worker_that_does_not_answer_in_time_loses_its_chunk_and_is_given_up(
    populated: Store, tmp_path: Path, expected: Left
) -> None:
    """It waits in the database, which ends its statement."""
    with gate_in(populated, "delete") as gate:
        result = in_a_thread(lambda: do_day(populated, settings_for_workers(populated, tmp_path, 2, time_out=1)))
        gate.wait_for(2, "delete")
        report = result()

    (failure,) = report.failures
    assert failure.startswith("2 of the workers were given up: QueryCanceled: canceling statement due to statement")
    assert failure.endswith("(during delete). The work was done without.")
    assert as_left(populated) == expected


def test_a_worker_whose_answer_never_comes_is_not_waited_for(populated: Store, tmp_path: Path, expected: Left) -> None:
    class Silent(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            return Future()

    settings = settings_for_workers(populated, tmp_path, 2, time_out=1)
    with patch.object(crew, "_STARTS_WITHIN", 0), patch.object(crew, "_ON_ITS_WAY", 0):
        report = _do_with([Silent(), Silent()], populated, settings)

    (failure,) = report.failures
    assert "2 of the workers were given up: no answer within workers.time_out = 1 seconds (during suspend)" in failure
    assert as_left(populated) == expected


def test_an_engine_that_takes_no_calls_is_done_without(populated: Store, tmp_path: Path, expected: Left) -> None:
    closed = ThreadPoolExecutor(1)
    closed.shutdown()

    report = _do_with([closed], populated, settings_for_workers(populated, tmp_path, 2))

    assert report.failures == [
        "1 of the workers was given up: RuntimeError in the engine (during suspend). The work was done without."
    ]
    assert as_left(populated) == expected


def test_a_worker_with_another_program_does_nothing_and_says_what_to_do(
    populated: Store, tmp_path: Path, expected: Left
) -> None:
    with patch.object(worker, "__version__", "0.0.1"):
        report = do_day(populated, settings_for_workers(populated, tmp_path, 2))

    (failure,) = report.failures
    assert "it has lifecycle-jobs 0.0.1 installed, the run has" in failure
    assert as_left(populated) == expected


def test_chunks_become_smaller_when_they_hold_boxes_for_long_and_larger_again() -> None:
    assert crew.fitting(5000, 0.25, 5000) == 5000
    assert crew.fitting(5000, 1.0, 5000) == 1250
    assert crew.fitting(1250, 0.05, 5000) == 2500
    assert crew.fitting(4000, 0.05, 5000) == 5000
    assert crew.fitting(1, 60.0, 5000) == 1
    assert crew.fitting(1, 0.0, 5000) == 2


def _do_with(executors: list[Executor], store: Store, settings: Settings) -> day.DayReport:
    @contextmanager
    def seats(_workers: WorkersSettings) -> Iterator[list[Seat]]:
        yield [Seat(f"seat {number}", executor, lambda: None) for number, executor in enumerate(executors)]

    with patch.object(day, "take_seats", seats):
        return do_day_in_processes(store, settings)


def _unpaid(store: Store) -> list[int]:
    """The boxes that are due for suspension, in the order of the day."""
    unhindered = tables.boxes.c.hold_reason.is_(None) & ~exists().where(
        tables.charges.c.box_id == tables.boxes.c.id, tables.charges.c.status.in_(("unknown", "not_attempted"))
    )
    with store.read() as connection:
        return list(
            connection.scalars(
                select(tables.boxes.c.id)
                .where(tables.boxes.c.status == "active", tables.boxes.c.expires_on < ON, unhindered)
                .order_by(tables.boxes.c.expires_on, tables.boxes.c.address_key)
            )
        )


def _suspended(store: Store) -> int:
    with store.read() as connection:
        found: int = connection.scalar(select(func.count()).where(tables.boxes.c.suspended_on == ON)) or 0
    return found


def _wait_until(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)
