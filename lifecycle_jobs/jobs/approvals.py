"""When a job would take more boxes than it may unasked: what a person has let go, and what a plan has named."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, func, select, update

from lifecycle_jobs import runs
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.watching.reading import UNUSUALLY_MANY

TOO_MANY: Final = "too_many_at_once"
"""Why boxes stay that are too many to be deleted unasked (SPEC §3, delete)."""

NOT_AS_PLANNED: Final = "not_as_planned"
"""Why boxes stay if others are due than the plan has named."""

TO_BE_APPROVED: Final = (TOO_MANY, UNUSUALLY_MANY)
"""Why boxes stay until a person has let exactly as many go."""


def number_due(connection: Connection, due: ColumnElement[bool]) -> int:
    """How many boxes are due."""
    return connection.scalar(select(func.count()).select_from(boxes).where(due)) or 0


def number_unplanned(connection: Connection, due: ColumnElement[bool], planned: frozenset[int] | None) -> int:
    """How many of them a plan does not name; none without a plan."""
    if planned is None:
        return 0
    found = connection.scalars(select(boxes.c.id).where(due).execution_options(yield_per=1000))
    return sum(box_id not in planned for box_id in found)


def approved_number(connection: Connection, approvals: Table, task: Task) -> int | None:
    """How many a person lets this run take, those among them that it has taken before it was interrupted."""
    number: int | None = connection.scalar(
        select(approvals.c.number)
        .where(approvals.c.run_on == task.on, ~approvals.c.used)
        .order_by(approvals.c.id.desc())
        .limit(1)
    )
    return number


def number_done(connection: Connection, task: Task, what: str) -> int:
    """How many this pass has taken already."""
    return runs.events_by_kind(connection, task.run, task.job).get(what, 0)


def use_up(task: Task, approvals: Table) -> None:
    """An approval counts once."""
    with task.store.read() as connection:
        if approved_number(connection, approvals, task) is None:
            return
    with task.store.write() as connection:
        connection.execute(update(approvals).where(approvals.c.run_on == task.on).values(used=True))
