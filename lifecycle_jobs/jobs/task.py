"""What every job is given: the store, the pass over the date, what is sold, and where to park what fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, select, true

from lifecycle_jobs import runs
from lifecycle_jobs.db.conditions import Refusals, first_reason, left_over, parked_by
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.history import Origin
from lifecycle_jobs.policy import Catalog
from lifecycle_jobs.runs import Run

Progress = Callable[[str, int], None]
"""Told the name of what is under way and how many rows it has advanced; raises RunStopped when it is to stop."""


class Place(NamedTuple):
    """How far a job has come in the order of the day: the last box, by E and address."""

    expires_on: date
    address_key: str


@dataclass(frozen=True, slots=True)
class Task:
    """A job's share of a pass over a business date.

    With `outside`, what a person has it do outside a run; with `share`, there are workers to share it with; with
    `of_customer`, it is done for the boxes of that one only.
    """

    job: str
    store: Store
    run: Run
    catalog: Catalog
    chunk_size: int
    progress: Progress
    outside: Origin | None = None
    share: Share | None = None
    of_customer: str | None = None

    @property
    def on(self) -> date:
        """The business date."""
        return self.run.on

    @property
    def origin(self) -> Origin:
        """The mark on the events this job writes."""
        return self.outside or self.run.origin(self.job)

    @property
    def in_scope(self) -> ColumnElement[bool]:
        """Which boxes this pass looks at: all, or those with something left over."""
        return self.of_whom if self.run.scope == "everything" else and_(self.of_whom, left_over())

    @property
    def of_whom(self) -> ColumnElement[bool]:
        """Whose boxes this pass may look at."""
        return true() if self.of_customer is None else boxes.c.customer_id == self.of_customer

    def of_whose(self, box_id: ColumnElement[int]) -> ColumnElement[bool]:
        """The same for what belongs to a box."""
        return true() if self.of_customer is None else box_id.in_(select(boxes.c.id).where(self.of_whom))

    @property
    def parked_here(self) -> ColumnElement[bool]:
        """The box made this very job fail in this pass: it is not tried twice."""
        return parked_by(self.job, self.on)

    def advance(self, rows: int) -> None:
        """Move the progress bar."""
        self.progress(self.job, rows)

    def park_box(self, box_id: int, error: BaseException) -> None:
        """Set one box aside."""
        runs.park(self.store, self.run, self.job, f"box:{box_id}", error, box_id=box_id)

    def count_skipped(
        self, connection: Connection, candidates: ColumnElement[bool], refusals: Refusals
    ) -> dict[str, int]:
        """How many boxes that are due by date are left alone, by first reason."""
        # Grouped by its name, and counted with those that are not refused: for each time that the reason stands in the
        # statement, the database would plan and ask everything again.
        rows = connection.execute(
            select(first_reason(refusals).label("reason"), func.count())
            .select_from(boxes)
            .where(candidates)
            .group_by("reason")
        )
        counted: dict[str | None, int] = {row[0]: row[1] for row in rows}
        return {name: counted[name] for name, _ in refusals if name in counted}


Ahead = Callable[[Place, int], Place | None]
"""The last of the next so many boxes of a part after a place; none if there are fewer."""

Share = Callable[[Task, str, Place, Ahead], None]
"""Has workers do a part of a job, known by its name, from a place on; returns when there is nothing to hand out."""
