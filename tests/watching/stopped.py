"""A provider who suspends and deletes a box a day, and wants to be asked when they are many more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import select

from lifecycle_jobs.day import DayReport
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, events
from tests import factories
from tests.daily import settings_for
from tests.planning import days as planning
from tests.watching.past import DAY, days_before, record_runs
from tests.workers import ON

UNPAID_FOR_GOOD = ON - 91 * DAY
"""E of a box whose day of deletion is the business date."""

UNPAID = ON - DAY
USUAL = {"suspend": {"box.suspended": 1}, "delete": {"box.deleted": 1}}
WATCHING = {"least": 5, "stop_suspensions": True, "stop_deletions": True}


@dataclass(frozen=True, slots=True)
class Days(planning.Days):
    """Whose e-mails wait."""

    def run(self, on: date, **wish: Any) -> DayReport:
        """Do the day."""
        return planning.Days.run(self, on, deliver=False, **wish)


def provider(store: Store, folder: Path, **watching: Any) -> Days:
    record_runs(store, dict.fromkeys(days_before(ON, 57), USUAL))
    with store.write() as connection:
        factories.customer(connection)
    settings = settings_for(folder, watching=WATCHING | watching, database={"chunk_size": 3})
    return Days(store, settings, folder)


def due(store: Store, number: int, *, deletion: bool = False) -> list[int]:
    """So many boxes that are to be suspended, or deleted, on the business date."""
    told: dict[str, Any] = (
        {"expires_on": UNPAID_FOR_GOOD, "status": "suspended"} if deletion else {"expires_on": UNPAID}
    )
    with store.write() as connection:
        name = "gone" if deletion else "unpaid"
        return [factories.box(connection, f"{name}{each}@pec.example.it", **told) for each in range(number)]


def number_of(store: Store, status: str) -> int:
    with store.read() as connection:
        return len(connection.scalars(select(boxes.c.id).where(boxes.c.status == status)).all())


def happened(store: Store, kind: str) -> int:
    with store.read() as connection:
        return len(connection.scalars(select(events.c.id).where(events.c.kind == kind)).all())


def kinds(store: Store) -> Counter[str]:
    with store.read() as connection:
        return Counter(connection.scalars(select(events.c.kind)))


def skipped(report: DayReport, job: str) -> dict[str, int]:
    return next(each.skipped for each in report.jobs if each.job == job)
