"""What every job is given: the store, the pass over the date, what is sold, and where to park what fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, FromClause, func, select, true
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from lifecycle_jobs import runs
from lifecycle_jobs.db.conditions import Refusals, first_reason, left_over, parked_by
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.errors import LeaseLost
from lifecycle_jobs.history import Origin
from lifecycle_jobs.policy import Catalog
from lifecycle_jobs.runs import Run

_GIVEN_UP = frozenset({"40001", "40P01"})
"""PostgreSQL: serialization failure, deadlock detected."""

Progress = Callable[[str, int], None]
"""Told the name of what is under way and how many rows it has advanced."""


@dataclass(frozen=True, slots=True)
class Task:
    """A job's share of a pass over a business date."""

    job: str
    store: Store
    run: Run
    catalog: Catalog
    chunk_size: int
    progress: Progress

    @property
    def on(self) -> date:
        """The business date."""
        return self.run.on

    @property
    def origin(self) -> Origin:
        """The mark on the events this job writes."""
        return self.run.origin(self.job)

    @property
    def in_scope(self) -> ColumnElement[bool]:
        """Which boxes this pass looks at: all, or those with something left over."""
        return true() if self.run.scope == "everything" else left_over()

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
        self,
        connection: Connection,
        candidates: ColumnElement[bool],
        refusals: Refusals,
        *,
        within: FromClause = boxes,
    ) -> dict[str, int]:
        """How many boxes that are due by date are left alone, by first reason."""
        reason = first_reason(refusals)
        rows = connection.execute(
            select(reason.label("reason"), func.count())
            .select_from(within)
            .where(candidates, reason.is_not(None))
            .group_by(reason)
        )
        counted: dict[str, int] = {row[0]: row[1] for row in rows}
        return {name: counted[name] for name, _ in refusals if name in counted}


def concerns_one_row(error: Exception) -> bool:
    """Whether an error can be blamed on the row at hand, so that the row is parked and the others go on.

    A lost connection, a full disk or a lost lease concern everything: the run stops and is continued later. Of two
    writers who waited for each other the database gives up one: that one is tried again in halves, or parked.
    """
    if isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", None) in _GIVEN_UP:
        return True
    if isinstance(error, (LeaseLost, OperationalError, InterfaceError)):
        return False
    return not (isinstance(error, DBAPIError) and error.connection_invalidated)


Item = TypeVar("Item")


def in_halves(
    items: Sequence[Item], apply: Callable[[Sequence[Item]], None], park: Callable[[Item, Exception], None]
) -> None:
    """Apply to all at once; where that fails, to each half, until the failing item stands alone and is parked."""
    if not items:
        return
    try:
        apply(items)
    except Exception as error:
        if not concerns_one_row(error):
            raise
        if len(items) == 1:
            park(items[0], error)
            return
        middle = len(items) // 2
        in_halves(items[:middle], apply, park)
        in_halves(items[middle:], apply, park)
