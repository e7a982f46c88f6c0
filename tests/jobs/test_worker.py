"""What a worker does with a chunk, and what it keeps from one to the next. On PostgreSQL: SQLite has no workers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import select

from lifecycle_jobs import __version__, lease, runs
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.jobs import suspend, worker
from lifecycle_jobs.jobs.task import Place
from lifecycle_jobs.runs import Run
from lifecycle_jobs.settings import load_settings
from tests import factories
from tests.jobs.running import E, under_way

BEGINNING = Place(date(2027, 1, 1), "")
DAY_AFTER = E + timedelta(days=1)
PART = "unpaid"


@pytest.fixture
def assignment(postgresql_store: Store) -> Iterator[worker.Assignment]:
    """The suspensions of the day after E, in chunks of two boxes."""
    url = postgresql_store.engine.url.render_as_string(hide_password=False)
    with lease.hold(postgresql_store, "run", 60) as held:
        assignment = _assignment(url, held)
        under_way(postgresql_store, assignment.run, assignment.job)
        yield assignment
    worker._bench(url, 60).store.engine.dispose()
    worker._bench.cache_clear()


def test_the_statements_of_a_job_are_put_together_once_for_all_its_chunks(
    postgresql_store: Store, assignment: worker.Assignment
) -> None:
    put_together: list[str] = []
    parts = suspend.parts

    def counted(task: Any) -> Any:
        put_together.append(task.job)
        return parts(task)

    _boxes(postgresql_store, 5)
    with patch.object(suspend, "parts", counted):
        first = worker.do_chunk(assignment, PART, BEGINNING, Place(E, "1@pec.example.it"))
        # Sent with every chunk, it comes out of the pickle as an equal one, not as the same.
        rest = worker.do_chunk(replace(assignment), PART, Place(E, "1@pec.example.it"), None)

    assert (first.boxes, rest.boxes) == (2, 2)
    assert put_together == ["suspend"]


def test_for_the_next_day_it_does_what_the_next_day_asks(
    postgresql_store: Store, assignment: worker.Assignment
) -> None:
    _boxes(postgresql_store, 1)
    with postgresql_store.write() as connection:
        factories.box(connection, "later@pec.example.it", expires_on=DAY_AFTER)
    tomorrow = DAY_AFTER + timedelta(days=1)

    next_run = Run(tomorrow, 1, "everything", DAY_AFTER)
    under_way(postgresql_store, next_run, assignment.job)

    worker.do_chunk(assignment, PART, BEGINNING, None)
    worker.do_chunk(replace(assignment, run=next_run), PART, BEGINNING, None)

    with postgresql_store.read() as connection:
        columns = tables.events.c.term_expires_on, tables.events.c.run_on
        told = connection.execute(select(*columns).order_by(tables.events.c.id))
        assert [tuple(row) for row in told] == [(E, DAY_AFTER), (DAY_AFTER, tomorrow)]


def test_who_wakes_once_the_job_is_finished_does_nothing(
    postgresql_store: Store, assignment: worker.Assignment
) -> None:
    _boxes(postgresql_store, 1)
    runs.job_finished(postgresql_store, assignment.run, runs.JobReport(assignment.job))

    assert worker.do_chunk(assignment, PART, BEGINNING, None).boxes == 0

    runs.job_began(postgresql_store, assignment.run, assignment.job)  # it had refused, and was approved
    assert worker.do_chunk(assignment, PART, BEGINNING, None).boxes == 1


def test_a_job_is_not_finished_while_a_worker_has_a_chunk_in_hand(
    postgresql_store: Store, assignment: worker.Assignment
) -> None:
    run, job = assignment.run, assignment.job
    with ThreadPoolExecutor(1) as thread:
        with postgresql_store.write() as connection:
            assert runs.keep_going(connection, run, job)
            finishing = thread.submit(runs.job_finished, postgresql_store, run, runs.JobReport(job))
            assert wait([finishing], 0.5).not_done
        finishing.result(30)

    with postgresql_store.write() as connection:
        assert not runs.keep_going(connection, run, job)


def test_another_program_does_nothing_and_says_what_to_install(
    postgresql_store: Store, assignment: worker.Assignment
) -> None:
    _boxes(postgresql_store, 1)

    with pytest.raises(worker.WorkerFailed, match=r"it has lifecycle-jobs .* installed, the run has 0\.0\.1: install"):
        worker.do_chunk(replace(assignment, program="0.0.1"), PART, BEGINNING, None)

    with postgresql_store.read() as connection:
        assert connection.execute(select(tables.events.c.id)).first() is None


def test_an_assignment_tells_no_password() -> None:
    assignment = _assignment("postgresql://lifecycle:secret@db/lifecycle", lease.Lease("run", 1, 60))

    assert "secret" not in repr(assignment)


def _assignment(url: str, held: lease.Lease) -> worker.Assignment:
    return worker.Assignment(
        program=__version__,
        database=url,
        time_out=60,
        lease=held,
        run=Run(DAY_AFTER, 1, "everything", E),
        job="suspend",
        catalog=factories.CATALOG,
        rules=load_settings().deletion,
        chunk_size=2,
    )


def _boxes(store: Store, number: int) -> None:
    with store.write() as connection:
        factories.customer(connection)
        for each in range(number):
            factories.box(connection, f"{each}@pec.example.it")
