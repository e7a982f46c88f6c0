"""A provider whose days are planned and done, and what a day has really done."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import select

from lifecycle_jobs.day import DayReport, Wish
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import charges, events
from lifecycle_jobs.jobs.actions import Action
from lifecycle_jobs.jobs.task import Progress
from lifecycle_jobs.planning.day_plan import DayPlan, do_day, plan_day
from lifecycle_jobs.settings import Settings
from tests.daily import OPERATOR

Told = tuple[Any, ...]
"""What was done to whom, in which term, and with what in its detail."""


@dataclass(frozen=True, slots=True)
class Days:
    """A provider's days."""

    store: Store
    settings: Settings
    folder: Path

    def plan(self, on: date, **wish: Any) -> DayPlan:
        """The plan of a day; the next one takes its place."""
        into = self.folder / "plan.jsonl.gz"
        return plan_day(self.store, self.settings, on, OPERATOR, Wish(**wish), _quiet, into=into)

    def run(self, on: date, *, progress: Progress = lambda _name, _rows: None, **wish: Any) -> DayReport:
        """Do the day; with `plan=HASH`, only if it is still what was planned."""
        return do_day(self.store, self.settings, on, OPERATOR, Wish(**wish), progress)


def told(action: Action) -> Told:
    """A planned action, to compare."""
    term = action.term_expires_on
    return (action.what, action.box_id, action.addon_id, term, _as_text(action.detail))


def done_by(store: Store, on: date) -> Counter[Told]:
    """Every event of the runs of a date, and every charge of the day that left none."""
    with store.read() as connection:
        done = Counter(
            (row.kind, row.box_id, row.addon_id, row.term_expires_on, _as_text(row.detail))
            for row in connection.execute(select(events).where(events.c.run_on == on))
        )
        silent = select(charges).where(charges.c.attempted_on == on, charges.c.status.in_(("unknown", "not_attempted")))
        for row in connection.execute(silent):
            amount = f"{row.amount_cents / 100:.2f}"
            detail = {"slot": row.slot, "amount": amount, "method": row.method_kind}
            done[f"charge.{row.status}", row.box_id, None, row.term_expires_on, _as_text(detail)] += 1
        return done


def _as_text(detail: Any) -> str:
    return json.dumps({name: value for name, value in detail.items() if name != "order_number"}, sort_keys=True)


def _quiet(_name: str, _rows: int) -> None:
    pass
