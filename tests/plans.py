"""How a database means to answer each statement of a day: the statements of a real one, and its plans for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from lifecycle_jobs.day import Wish, run_day
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.monitoring.figures import read_figures
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.sandbox import SandboxGateway
from lifecycle_jobs.report.coming import coming_days
from lifecycle_jobs.settings import load_settings
from tests.bench import databases
from tests.bench.catalog import shipped_catalog
from tests.bench.load import load
from tests.bench.measure import environment_of, journal
from tests.bench.provider import Provider

ON = date(2026, 3, 24)
"""A day in the past, like the benchmark's: look-ups of charges that lie ahead of the clock are not believed."""

LARGE = (
    "boxes|events|charges|messages|message_events|addons|orders|order_lines|customers|payment_methods|credit_entries"
)
"""What grows with the number of boxes, or with the years."""

WAITING = (
    "ix_addons_active_behind|ix_charges_unapplied|uq_charges_unresolved_of_box|"
    "ix_messages_failed|ix_messages_parked|ix_messages_queued"
)
"""Indexes that hold only what waits for something: to walk along one of them is to follow what is due."""

_SCANS = {
    "postgresql": re.compile(rf"Seq Scan on ({LARGE})\b"),
    # What SQLite calls a scan may be a walk along a whole index as well.
    "sqlite": re.compile(rf"^SCAN ({LARGE})\b(?! USING (?:COVERING )?INDEX (?:{WAITING})$)", re.MULTILINE),
}
_BOUNDED = re.compile(r"FROM boxes \s*WHERE boxes.status != 'deleted' ORDER BY boxes.id\s+LIMIT")
"""Whether too many boxes are to be deleted: reads twenty for each of those, and stops."""

_JOBS_WITH_WORK = {"auto_renew", "renew_addons", "suspend", "delete", "send_alerts"}
"""All but reconcile_charges: a small provider has no charge without an answer."""

_PLANNED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement as it was sent, and how the database means to do it."""

    dialect: str
    statement: str
    steps: str

    @property
    def read_whole(self) -> list[str]:
        """The large tables of which every row is looked at."""
        if _BOUNDED.search(self.statement):
            return []
        return sorted(set(_SCANS[self.dialect].findall(self.steps)))

    def __str__(self) -> str:
        return f"{self.statement}\n\n{self.steps}\n"


def require_none_read_whole(plans: Sequence[Plan]) -> None:
    """Fail with each statement that reads a large table whole, and its plan."""
    found = [f"This reads all of {', '.join(plan.read_whole)}:\n\n{plan}" for plan in plans if plan.read_whole]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@contextmanager
def provider(
    kind: str, boxes: int, folder: Path, monkeypatch: pytest.MonkeyPatch, *, analysed: bool = True
) -> Iterator[Store]:
    """The database of a provider with so many boxes on an ordinary day, with statistics of it or without."""
    made = Provider(boxes, ON, shipped_catalog())
    with databases.fresh(kind, folder) as (url, _):
        load(url, made.batches())
        bank = SandboxGateway(journal(folder))
        for request in made.due.at_the_bank:
            bank.charge(request)
        for name, value in environment_of(url, folder).items():
            if name.startswith("LIFECYCLE_"):
                monkeypatch.setenv(name, value)
        # So that it is asked what share of all boxes goes, and what is usual.
        for name in ("DELETION__ALWAYS_ALLOWED", "WATCHING__LEAST"):
            monkeypatch.setenv(f"LIFECYCLE_{name}", "1")
        for name in ("SUSPENSIONS", "DELETIONS"):
            monkeypatch.setenv(f"LIFECYCLE_WATCHING__STOP_{name}", "true")
        monkeypatch.chdir(folder)
        store = open_store(url)
        if analysed:
            with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("ANALYZE"))
        try:
            yield store
        finally:
            store.engine.dispose()


@contextmanager
def explaining(store: Store) -> Iterator[list[Plan]]:
    """One plan for each statement that is sent in the block; there at its end."""
    plans: dict[str, Plan] = {}
    found: list[Plan] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:  # noqa: FBT001 -- SQLAlchemy's
        if statement in plans or not statement.lstrip().startswith(_PLANNED):
            return
        how = "EXPLAIN QUERY PLAN" if store.dialect == "sqlite" else "EXPLAIN"
        beside = cursor.connection.cursor()
        beside.execute(f"{how} {statement}", parameters[0] if many else parameters)
        steps = "\n".join(str(row[-1]) for row in beside.fetchall())
        beside.close()
        plans[statement] = Plan(store.dialect, statement, steps)

    event.listen(store.engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(store.engine, "before_cursor_execute", explain)
        found += plans.values()


def plans_of_a_day(store: Store) -> list[Plan]:
    """Do a day, e-mails included, and what monitoring and the report ask on it; one plan for each statement."""
    settings = load_settings(None)
    with explaining(store) as plans:
        report = run_day(store, settings, ON, Operator("tests", None, ON), Wish(), lambda *_: None)
        assert {job.job for job in report.jobs if job.done} >= _JOBS_WITH_WORK
        assert report.delivery.sent
        read_figures(store, settings)
        coming_days(store, settings.catalog(), ON)
    return plans
