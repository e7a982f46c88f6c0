"""One chunk at a time, from where the last one ended; and by one of several, nobody does what another has just done."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import and_, event, func, select, text

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, events
from lifecycle_jobs.jobs import send_alerts
from lifecycle_jobs.jobs.chunks import apply_in_chunks, take_chunk
from lifecycle_jobs.jobs.parts import Part, Steps
from lifecycle_jobs.jobs.task import Place, Task
from lifecycle_jobs.runs import Run
from lifecycle_jobs.settings import load_settings
from tests import factories
from tests.jobs.running import E, under_way

ON = E - timedelta(days=30)
BEGINNING = Place(date(2027, 1, 1), "")
RULES = load_settings().deletion
_GATE = 1


def _task(store: Store, *, chunk_size: int = 10) -> Task:
    return Task(
        "send_alerts",
        store,
        Run(ON, 1, "everything", ON - timedelta(days=1)),
        factories.CATALOG,
        chunk_size,
        lambda _job, _rows: None,
    )


def _alert(task: Task) -> Part:
    parts = send_alerts.parts(task, RULES)
    return next(part for part in parts if part.name.startswith("box.expiry_alert 30 "))


def _shared(task: Task, part: Part) -> Steps:
    return Steps(task, part, pass_over_locked=True)


def test_each_chunk_is_read_along_the_index_from_where_the_last_one_ended(store: Store) -> None:
    """Otherwise what is done, or all that is still to do, would be gone through once more for each chunk."""
    with store.write() as connection:
        factories.customer(connection)
        for number in range(600):
            factories.box(connection, f"{number:03d}@pec.example.it")
    with store.write() as connection:
        connection.execute(text("ANALYZE boxes"))
    task = _task(store, chunk_size=100)
    begins = (
        "ROW(expires_on, address_key) > ROW(" if store.dialect == "postgresql" else "(expires_on,address_key)>(?,?)"
    )
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:  # noqa: FBT001 -- SQLAlchemy's
        if "address_key) > (" in statement:
            beside = cursor.connection.cursor()
            how = "EXPLAIN" if store.dialect == "postgresql" else "EXPLAIN QUERY PLAN"
            plans.append("\n".join(str(row[-1]) for row in beside.execute(f"{how} {statement}", parameters)))

    event.listen(store.engine, "before_cursor_execute", explain)
    apply_in_chunks(task, _alert(task))

    assert len(plans) == 6
    assert [plan for plan in plans if begins not in plan] == []
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(events)) == 600


@pytest.mark.parametrize("chunk_size", [1, 2, 10])
def test_it_says_how_many_it_left_alone_and_the_rest_is_done(store: Store, chunk_size: int) -> None:
    with store.write() as connection:
        factories.customer(connection)
        for number in range(5):
            factories.box(connection, f"{number}@pec.example.it", cancelled_on=E if number in {1, 4} else None)
    task = _task(store, chunk_size=chunk_size)

    assert apply_in_chunks(task, _alert(task)) == 2
    assert apply_in_chunks(task, _alert(task)) == 2
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(events)) == 3


def test_after_a_deadlock_it_still_says_how_many_it_left_alone(postgresql_store: Store) -> None:
    with postgresql_store.write() as connection:
        factories.customer(connection)
        first, _, last = (
            factories.box(connection, f"{number}@pec.example.it", cancelled_on=E if number == 1 else None)
            for number in range(3)
        )
    task = _task(postgresql_store)

    with ThreadPoolExecutor(1) as thread:
        with postgresql_store.write() as other:
            other.execute(text("SET LOCAL deadlock_timeout = '20s'"))  # whoever looks first is the one that gives way
            other.execute(select(boxes.c.id).where(boxes.c.id == last).with_for_update())
            left = thread.submit(apply_in_chunks, task, _alert(task))
            _wait_for_a_waiter(postgresql_store, "transactionid")
            other.execute(select(boxes.c.id).where(boxes.c.id == first).with_for_update())
        assert left.result(30) == 1

    with postgresql_store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(events)) == 2


def test_why_boxes_are_left_alone_is_asked_where_some_are(store: Store) -> None:
    asked: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, _values: Any, _context: Any, _many: bool) -> None:  # noqa: FBT001 -- SQLAlchemy's
        if statement.startswith("SELECT CASE WHEN"):
            asked.append(statement)

    event.listen(store.engine, "before_cursor_execute", listen)
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "told@pec.example.it")
    assert send_alerts.run(_task(store), RULES).skipped == {}
    assert asked == []

    with store.write() as connection:
        factories.box(connection, "cancelled@pec.example.it", cancelled_on=E)
    assert send_alerts.run(_task(store), RULES).skipped == {"cancelled": 1}
    assert len(asked) == 1


def test_a_worker_that_chose_boxes_before_another_had_done_them_leaves_them_alone(postgresql_store: Store) -> None:
    """Alerts do not alter the box: only who asks again, once it is locked, sees that it has been told."""
    task = _task(postgresql_store)
    under_way(postgresql_store, task.run, task.job)
    with postgresql_store.write() as connection:
        factories.customer(connection)
        for number in range(5):
            factories.box(connection, f"{number}@pec.example.it")
    alert = _alert(task)
    waits_at_gate = func.pg_advisory_xact_lock_shared(_GATE).is_not(None)
    late = replace(alert, candidates=and_(alert.candidates, waits_at_gate))

    with postgresql_store.engine.connect() as gate, ThreadPoolExecutor(1) as thread:
        gate.execute(select(func.pg_advisory_lock(_GATE)))
        choosing = thread.submit(take_chunk, task, _shared(task, late), BEGINNING, None)
        _wait_for_a_waiter(postgresql_store)
        assert take_chunk(task, _shared(task, alert), BEGINNING, None).boxes == 5
        gate.execute(select(func.pg_advisory_unlock(_GATE)))
        chunk = choosing.result(30)

    assert (chunk.boxes, chunk.failed) == (0, None)
    with postgresql_store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(events)) == 5


def test_two_at_once_take_different_boxes_and_what_is_locked_is_not_waited_for(postgresql_store: Store) -> None:
    task = _task(postgresql_store, chunk_size=2)
    under_way(postgresql_store, task.run, task.job)
    with postgresql_store.write() as connection:
        factories.customer(connection)
        for number in range(5):
            factories.box(connection, f"{number}@pec.example.it")
    alert = _alert(task)
    with postgresql_store.write() as first:
        first.execute(text("SELECT id FROM boxes WHERE address_key < '2' FOR NO KEY UPDATE"))

        assert take_chunk(task, _shared(task, alert), BEGINNING, Place(E, "2@pec.example.it")).boxes == 1
        assert take_chunk(task, _shared(task, alert), Place(E, "2@pec.example.it"), None).boxes == 2


def _wait_for_a_waiter(store: Store, on: str = "advisory") -> None:
    until = time.monotonic() + 30
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = :on"
    ).bindparams(on=on)
    while time.monotonic() < until:
        with store.read() as connection:
            if connection.scalar(waiting):
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")
