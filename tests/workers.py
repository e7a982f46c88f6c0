"""Days that several workers share: who has boxes on them, a gate at which workers wait, and what such a day leaves."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, select, text

from lifecycle_jobs import day
from lifecycle_jobs.day import DayReport, Wish, run_day
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import Moment, metadata
from lifecycle_jobs.engines import Seat
from lifecycle_jobs.jobs import worker
from lifecycle_jobs.jobs.task import Progress
from lifecycle_jobs.settings import Settings
from tests import factories, servers
from tests.daily import OPERATOR, RECORDS, settings_for

ON = date(2027, 3, 31)
JOBS = ("suspend", "delete", "send_alerts")

Left = dict[str, list[str]]
"""What a day leaves, by table: every row, but for what is another in each database."""


def populate(store: Store, boxes: int, seed: int = 1) -> None:
    """So many boxes about most of which one of the jobs has something to do or to leave alone; the same each time."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable, not secret
    with store.write() as connection:
        for number in range(1 + boxes // 4):
            factories.customer(connection, f"c{number}", locale=chance.choice(("it", "en")))
            factories.method(connection, f"pm{number}", f"c{number}")
        for number in range(boxes):
            _box(connection, number, chance.randrange(1 + boxes // 4), chance)


def _box(connection: Connection, number: int, customer: int, chance: random.Random) -> None:
    state = chance.choice(("unpaid", "long unpaid", "alerted", "renewing", "warned"))
    days = {
        "unpaid": chance.choice((-1, -1, -2, -9)),
        "long unpaid": chance.choice((-91, -92, -120)),
        "alerted": chance.choice((1, 7, 15, 30, 60, 90, 40)),
        "renewing": chance.choice((37, 90, 30)),
        "warned": chance.choice((-31, -61, -84, -50)),
    }[state]
    expires_on = ON + timedelta(days=days)
    suspended = state in {"long unpaid", "warned"}
    box_id = factories.box(
        connection,
        f"{chance.choice('abc')}{number:06}@pec.example.it",
        customer_id=f"c{customer}",
        plan=chance.choice(("standard", "pro", "premium", "domain")),
        status="suspended" if suspended else "active",
        expires_on=expires_on,
        auto_renew=state == "renewing",
        payment_method_id=f"pm{customer}" if state == "renewing" else None,
        cancelled_on=chance.choice((None, None, None, expires_on - timedelta(days=200))),
        hold_reason=chance.choice((None, None, None, None, None, "dispute")),
    )
    if suspended and chance.random() < 0.3:
        factories.addon(connection, f"a{number}", box_id)
        customer_id = f"c{customer}"
        factories.order(connection, f"R-{number}", customer_id=customer_id, box_id=box_id, term_expires_on=expires_on)
    if chance.random() < 0.1:
        order = factories.order(
            connection,
            f"R-open-{number}",
            kind="addon",
            customer_id=f"c{customer}",
            box_id=box_id,
            term_expires_on=expires_on,
        )
        factories.charge(
            connection,
            f"key-{number}",
            order_id=order,
            box_id=box_id,
            term_expires_on=expires_on,
            payment_method_id=f"pm{customer}",
            status=chance.choice(("unknown", "not_attempted", "declined")),
            attempted_on=ON,
        )


def settings_of(folder: Path, url: str, *, chunk_size: int, **workers: Any) -> Settings:
    """The shipped settings for a database of the test, with `count=2`, `engine="dask"` and so on for workers."""
    return settings_for(folder, database={"url": url, "chunk_size": chunk_size}, workers=workers)


@contextmanager
def threads(store: Store, settings: Settings) -> Iterator[list[Seat]]:
    """Seats in this process: another engine is no more than this."""
    pools = [ThreadPoolExecutor(1) for _ in range(settings.workers.count)] if settings.workers.wanted else []
    try:
        yield [Seat(f"thread {number}", pool, lambda: None) for number, pool in enumerate(pools)]
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)
        url = store.engine.url.render_as_string(hide_password=False)
        worker._bench(url, settings.workers.time_out).store.engine.dispose()  # workers in other processes end with it
        worker._bench.cache_clear()


def do_day(store: Store, settings: Settings, *, progress: Progress = lambda _name, _rows: None) -> DayReport:
    """Do the day with threads for workers; messages are made, and wait."""
    with patch.object(day, "take_seats", lambda _workers: threads(store, settings)):
        return run_day(store, settings, ON, OPERATOR, Wish(deliver=False), progress)


def do_day_in_processes(store: Store, settings: Settings) -> DayReport:
    """Do the day with the workers that the settings name; messages are made, and wait."""
    return run_day(store, settings, ON, OPERATOR, Wish(deliver=False), lambda _name, _rows: None)


def what_one_leaves(folder: Path, boxes: int, seed: int = 1) -> Left:
    """What the day leaves that one process does alone, in chunks of the usual size, on SQLite."""
    url = servers.fresh_sqlite(folder)
    store = open_store(url)
    try:
        populate(store, boxes, seed)
        do_day(store, settings_of(folder, url, chunk_size=5000))
        return as_left(store)
    finally:
        store.engine.dispose()


def as_left(store: Store) -> Left:
    """What the day has left: the ids of history and messages, which come in the order of writing, do not count."""
    with store.read() as connection:
        left = {
            table.name: sorted(_comparable(row) for row in connection.execute(select(table)))
            for table in metadata.sorted_tables
            if table.name not in {*RECORDS, "message_events"}
        }
        events, messages = tables.events, tables.messages
        told = connection.execute(
            select(events.c.kind, events.c.box_id, events.c.term_expires_on, messages.c.message_key)
            .select_from(tables.message_events)
            .join(events)
            .join(messages)
        )
        left["message_events"] = sorted(repr(tuple(row)) for row in told)
    return left


def _comparable(row: Any) -> str:
    compared = {name: value for name, value in row._mapping.items() if name not in _NOT_COMPARED}
    return json.dumps(compared, default=str, sort_keys=True)


_NOT_COMPARED = {"id"} | {
    column.name for table in metadata.sorted_tables for column in table.c if isinstance(column.type, Moment)
}


class Gate:
    """Before it writes the events of a chunk of one of these jobs, every worker waits here, in the middle of it."""

    def __init__(self, store: Store, jobs: Sequence[str]) -> None:
        self._store = store
        self._connection = store.engine.connect()
        with store.write() as connection:
            for statement in _GATE_SQL:
                connection.execute(text(statement))
        for job in jobs:
            self._connection.execute(text("SELECT pg_advisory_lock(:gate, :job)"), _lock_of(job))
        self._connection.commit()

    def waiting(self, job: str) -> list[int]:
        """The process numbers of the workers that wait in a job."""
        with self._store.read() as connection:
            names: Sequence[str] = connection.scalars(
                text(
                    "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid) "
                    "WHERE locktype = 'advisory' AND classid = :gate AND objid = :job AND NOT granted "
                    "AND datname = current_database()"  # other tests have gates of their own on the same server
                ),
                _lock_of(job),
            ).all()
        return [int(name.rsplit(" ", 1)[1]) for name in names]

    def wait_for(self, number: int, job: str) -> list[int]:
        """Wait until so many workers wait; their process numbers."""
        until = time.monotonic() + 90
        while len(waiting := self.waiting(job)) < number:
            assert time.monotonic() < until, f"no worker has come to the gate of {job}"
            time.sleep(0.02)
        return waiting

    def open(self, job: str) -> None:
        """Let all through, now and from now on."""
        self._connection.execute(text("SELECT pg_advisory_unlock(:gate, :job)"), _lock_of(job))
        self._connection.commit()

    def take_away(self) -> None:
        """Open it for all jobs."""
        self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
        self._connection.close()


_GATE_SQL = (
    """
    CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('application_name') LIKE '%worker%' THEN PERFORM pg_advisory_xact_lock_shared(
    4711, array_position(ARRAY['suspend', 'delete', 'send_alerts'], NEW.job::text)); END IF; RETURN NEW; END $$
    """,
    "CREATE OR REPLACE TRIGGER gate BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION gate()",
)


def _lock_of(job: str) -> dict[str, int]:
    return {"gate": 4711, "job": 1 + JOBS.index(job)}


@contextmanager
def gate_in(store: Store, *jobs: str) -> Iterator[Gate]:
    """A gate that is closed in these jobs until it is opened, or the block is over."""
    gate = Gate(store, jobs)
    try:
        yield gate
    finally:
        gate.take_away()


def in_a_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Begin something; what is returned waits for its end, and gives its result or raises its error."""
    pool = ThreadPoolExecutor(1)
    doing = pool.submit(work)
    pool.shutdown(wait=False)
    return lambda: doing.result(120)
