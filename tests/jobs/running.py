"""Runs one job, or the whole day, on a store for a date: the bank is a sandbox of the test's own, mail goes to files.

`look` and the functions below it read the tables back in a form that an assertion can name.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, Table, and_, func, insert, select, text, update

from lifecycle_jobs import clock, day, runs
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.jobs.task import Progress, Task
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.gateway import Gateway
from lifecycle_jobs.payments.sandbox import bookings
from lifecycle_jobs.runs import JobReport, Run
from lifecycle_jobs.settings import Settings, load_settings
from tests import factories

E = factories.EXPIRES_ON
BROKEN = "this row is broken"

_BUSINESS = (
    tables.customers,
    tables.payment_methods,
    tables.boxes,
    tables.addons,
    tables.orders,
    tables.order_lines,
    tables.charges,
    tables.credit_entries,
    tables.events,
    tables.messages,
)


@dataclass(frozen=True, slots=True)
class Office:
    """A provider with its database, its settings and its bank."""

    store: Store
    settings: Settings
    gateway: Gateway

    def job(
        self,
        name: str,
        on: date,
        *,
        since: date | None = None,
        run_pass: int = 1,
        chunk_size: int = 5000,
        parks: int = 0,
        progress: Progress = lambda _job, _rows: None,
    ) -> JobReport:
        """Do one job of a date by itself, as the day would; it parks so many rows and no more."""
        run = Run(on, run_pass, "everything", since or on - timedelta(days=1))
        task = Task(name, self.store, run, self.settings.catalog(), chunk_size, progress)
        before = len(parked(self.store))
        report = day.work_of(self.settings, self.gateway, day.Wish())[name](task)
        assert len(parked(self.store)) - before == parks, parked(self.store)
        return report

    def day(self, on: date, *, progress: Progress = lambda _job, _rows: None, **wish: Any) -> day.DayReport:
        """Do the whole day, messages included."""
        operator = Operator("clerk", None, on)
        return day.run_day(self.store, self.settings, on, operator, day.Wish(**wish), progress)

    def booked(self) -> list[str]:
        """What the bank has booked: the orders, in order."""
        return [line.order_number for line in bookings(self.settings.sandbox.journal)]


def settings_for(tmp_path: Path, **changed: dict[str, Any]) -> Settings:
    """The shipped settings with journal and mail in the test's folder; single keys by section: `deletion={…}`."""
    changed["sandbox"] = {"journal": tmp_path / "journal.jsonl"} | changed.get("sandbox", {})
    changed["mail"] = {"directory": tmp_path / "mail"} | changed.get("mail", {})
    settings = _shipped_settings()
    sections = {name: getattr(settings, name).model_copy(update=keys) for name, keys in changed.items()}
    return settings.model_copy(update=sections)


@cache
def _shipped_settings() -> Settings:
    others = {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")}
    with patch.dict(os.environ, others, clear=True):  # what the developer has set must not decide a test
        return load_settings()


def look(store: Store, table: Table) -> list[dict[str, Any]]:
    """Every row of a table, by its key."""
    with store.read() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]


def everything(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Every row of the business: what a second run must leave exactly as it was."""
    return {table.name: look(store, table) for table in _BUSINESS}


def box_row(store: Store, box_id: int) -> dict[str, Any]:
    """A box as it stands now."""
    return next(row for row in look(store, tables.boxes) if row["id"] == box_id)


def addon_row(store: Store, addon_id: str) -> dict[str, Any]:
    """An add-on as it stands now."""
    return next(row for row in look(store, tables.addons) if row["addon_id"] == addon_id)


def status(store: Store, box_id: int) -> str:
    """`active`, `suspended` or `deleted`."""
    return str(box_row(store, box_id)["status"])


def expires_on(store: Store, box_id: int) -> date:
    """E of a box."""
    found: date = box_row(store, box_id)["expires_on"]
    return found


def happened(store: Store, box_id: int | None = None) -> list[str]:
    """The kinds of all events, or of one box, in the order they were written."""
    return [row["kind"] for row in look(store, tables.events) if box_id in {None, row["box_id"]}]


def details(store: Store, kind: str) -> list[dict[str, Any]]:
    """What the events of a kind say, in the order they were written."""
    return [row["detail"] for row in look(store, tables.events) if row["kind"] == kind]


def charged(store: Store, box_id: int | None = None) -> list[tuple[int, str]]:
    """Slot and outcome of every charge, or of those of one box, in order."""
    return [(row["slot"], row["status"]) for row in look(store, tables.charges) if box_id in {None, row["box_id"]}]


def parked(store: Store) -> list[tuple[str, str, str]]:
    """Job, subject and error of all that is parked and not resolved."""
    return [
        (row["job"], row["subject"], row["error"])
        for row in look(store, tables.parked_rows)
        if row["state"] != "resolved"
    ]


def change(store: Store, table: Table, key: int | str, **values: Any) -> None:
    """Alter one row by hand, as a clerk or another program would."""
    (column,) = table.primary_key
    with store.write() as connection:
        connection.execute(update(table).where(column == key).values(**values))


def renewing_box(
    connection: Connection, name: str = "a", *, token: str = "pm_card_visa", kind: str = "card", **box: Any
) -> int:
    """A box that renews itself, with a holder and a payment method of its own: `c-NAME` and `pm-NAME`."""
    factories.customer(connection, f"c-{name}", credit=box.pop("credit", 0))
    factories.method(connection, f"pm-{name}", f"c-{name}", kind=kind, token=token)
    values: dict[str, Any] = {"customer_id": f"c-{name}", "auto_renew": True, "payment_method_id": f"pm-{name}"}
    return factories.box(connection, f"{name}@pec.example.it", **(values | box))


def tried(
    connection: Connection,
    box_id: int,
    slot: int,
    outcome: str,
    *,
    on: date | None = None,
    called: bool = True,
    hard: bool | None = None,
) -> int:
    """A charge for the box's term in the past, with the method it has now; the order is placed if there is none."""
    box = connection.execute(
        select(tables.boxes, tables.payment_methods.c.kind, tables.payment_methods.c.token)
        .join_from(tables.boxes, tables.payment_methods)
        .where(tables.boxes.c.id == box_id)
    ).one()
    term = and_(tables.orders.c.box_id == box_id, tables.orders.c.term_expires_on == box.expires_on)
    order = connection.scalar(select(tables.orders.c.id).where(term, tables.orders.c.status != "cancelled"))
    if order is None:
        number = f"R-{box_id}-{box.expires_on:%Y%m%d}"
        order = factories.order(
            connection, number, customer_id=box.customer_id, box_id=box_id, term_expires_on=box.expires_on
        )
    of_slot = and_(
        tables.charges.c.box_id == box_id,
        tables.charges.c.term_expires_on == box.expires_on,
        tables.charges.c.slot == slot,
    )
    attempt = 1 + connection.execute(select(func.count()).where(of_slot)).scalar_one()
    return factories.charge(
        connection,
        f"earlier-{box_id}-{slot}-{attempt}",
        order_id=order,
        box_id=box_id,
        term_expires_on=box.expires_on,
        slot=slot,
        attempt=attempt,
        payment_method_id=box.payment_method_id,
        method_kind=box.kind,
        token=box.token,
        status=outcome,
        attempted_on=on,
        called=called,
        hard=hard,
    )


@contextmanager
def broken(store: Store, table: str, operation: str, when: str) -> Iterator[None]:
    """The database itself refuses some rows of a table for the length of the block: `when` speaks of `NEW`."""
    if store.dialect == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{BROKEN}'); END"
        statements = [f"CREATE TRIGGER broken BEFORE {operation} ON {table} WHEN {when} {refuse}"]
        repairs = ["DROP TRIGGER broken"]
    else:
        statements = [
            f"CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{BROKEN}'; END $$",
            f"CREATE TRIGGER broken BEFORE {operation} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION broken()",
        ]
        repairs = [f"DROP TRIGGER broken ON {table}", "DROP FUNCTION broken()"]
    _execute(store, statements)
    try:
        yield
    finally:
        _execute(store, repairs)


def _execute(store: Store, statements: list[str]) -> None:
    with store.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def while_waiting(office: Office, change: Callable[[Connection], None], work: Callable[[], object]) -> None:
    """Begin a change by hand, let the job run into its lock, and only then commit."""
    job = threading.Thread(target=work)
    with office.store.write() as connection:
        change(connection)
        job.start()
        _until_somebody_waits(office)
    job.join(timeout=30)
    assert not job.is_alive()


def too_little_comes_in(connection: Connection, box_id: int) -> None:
    """A transfer that cannot be applied to the box's order, as `order pay` records it: the box is held, not altered."""
    connection.execute(select(tables.boxes.c.id).where(tables.boxes.c.id == box_id).with_for_update(key_share=True))
    order_id = connection.execute(select(tables.orders.c.id).where(tables.orders.c.box_id == box_id)).scalar_one()
    factories.registered_payment(connection, "transfer-1", order_id=order_id, amount=1200, effective=False)


def _until_somebody_waits(office: Office) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with office.store.read() as connection:
            if connection.scalar(waiting):
                return
        time.sleep(0.01)
    raise AssertionError("the job did not run into the lock")


def under_way(store: Store, run: Run, job: str) -> None:
    """A run that is at this job: only then do workers take its chunks."""
    with store.write() as connection:
        connection.execute(
            insert(tables.runs).values(
                run_on=run.on,
                run_pass=run.run_pass,
                scope=run.scope,
                state="running",
                since=run.since,
                started_at=clock.now(),
            )
        )
    runs.job_began(store, run, job)
