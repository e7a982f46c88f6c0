"""When a job would take more boxes than it may unasked: what a person has let go, and what a plan has named."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, and_, func, select, update

from lifecycle_jobs import runs
from lifecycle_jobs.db.tables import boxes, events
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


def mark_of(ids: Iterable[int]) -> str:
    """What tells some boxes from any others."""
    return sha256(",".join(map(str, sorted(ids))).encode()).hexdigest()


def approved_number(
    connection: Connection, approvals: Table, task: Task, due: ColumnElement[bool], what: str
) -> int | None:
    """How many a person lets this run take, those among them that it has taken before it was interrupted.

    None if that was by a plan and other boxes are due now: whoever continues the run may know no plan, and as many
    others are not what a person has looked at.
    """
    approval = connection.execute(
        select(approvals.c.number, approvals.c.boxes)
        .where(approvals.c.run_on == task.on, ~approvals.c.used)
        .order_by(approvals.c.id.desc())
        .limit(1)
    ).one_or_none()
    if approval is None:
        return None
    if approval.boxes is not None and approval.boxes != mark_of(_in_all(connection, task, due, what)):
        return None
    number: int = approval.number
    return number


def _in_all(connection: Connection, task: Task, due: ColumnElement[bool], what: str) -> set[int]:
    """The boxes that are due, and those that this pass has taken already."""
    found = {*connection.scalars(select(boxes.c.id).where(due))}
    run = task.run
    of_pass = and_(events.c.run_on == run.on, events.c.run_pass == run.run_pass)
    found.update(connection.scalars(select(events.c.box_id).where(of_pass, events.c.kind == what)))
    return found


def number_done(connection: Connection, task: Task, what: str) -> int:
    """How many this pass has taken already."""
    return runs.events_by_kind(connection, task.run, task.job).get(what, 0)


def use_up(task: Task, approvals: Table) -> None:
    """An approval counts once."""
    waiting = and_(approvals.c.run_on == task.on, ~approvals.c.used)
    with task.store.read() as connection:
        if connection.scalar(select(approvals.c.id).where(waiting).limit(1)) is None:
            return
    with task.store.write() as connection:
        connection.execute(update(approvals).where(waiting).values(used=True))
