"""Set-based work in small transactions: choose the next boxes in order, change them all, go on after the last.

Each chunk is one transaction with the choice, the change and its events; no box travels through this program but for
its id. On PostgreSQL the chosen boxes are locked, in the order of their ids as everybody does, and asked again what
makes them due: one that was altered in between is left alone. SQLite lets nobody write from the choice on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from lifecycle_jobs.db import statistics
from lifecycle_jobs.db.dialect import among, listed, writes_alone
from lifecycle_jobs.db.faults import concerns_one_row, in_halves
from lifecycle_jobs.db.tables import boxes, events
from lifecycle_jobs.jobs.task import Task

Change: TypeAlias = Callable[[Connection, Sequence[int]], None]


def apply_in_chunks(task: Task, due: ColumnElement[bool], change: Change) -> None:
    """Call `change` with the ids of all due boxes, by E and address, a chunk and a transaction at a time.

    They are locked, and due while they are. A chunk that fails is halved until the failing box stands alone and is
    parked.
    """
    after: ColumnElement[bool] | None = and_(True)
    chunks = 0
    while after is not None:
        after = _apply_to_next(task, due, after, change)
        chunks += 1
        if after is not None and chunks.bit_count() == 1:  # the first, second, fourth, eighth …
            with task.store.write(durable=False) as connection:
                statistics.refresh(connection, events)


def _apply_to_next(
    task: Task, due: ColumnElement[bool], after: ColumnElement[bool], change: Change
) -> ColumnElement[bool] | None:
    """One chunk; what comes after it, or none if nothing can."""
    ids: Sequence[int] = ()
    following: ColumnElement[bool] | None = None

    def apply(some: Sequence[int]) -> None:
        with task.store.write() as connection:
            change(connection, _locked(connection, due, some))

    try:
        with task.store.write() as connection:
            ids, following = _next(connection, due, after, task.chunk_size)
            if ids:
                change(connection, _locked(connection, due, ids, just_read=True))
    except Exception as error:
        if not ids or not concerns_one_row(error):
            raise
        in_halves(ids, apply, task.park_box)
    task.advance(len(ids))
    return following


def _next(
    connection: Connection, due: ColumnElement[bool], after: ColumnElement[bool], limit: int
) -> tuple[Sequence[int], ColumnElement[bool] | None]:
    """The ids of the next boxes, and what comes after them; none if they are fewer than were asked for."""
    chosen = (
        select(boxes.c.id)
        .where(due, after)
        .order_by(boxes.c.expires_on, boxes.c.address_key)
        .limit(limit)
        .subquery("chosen")
    )
    ids: Sequence[int] = connection.execute(select(listed(chosen.c.id))).scalar_one()
    return ids, _after_the_last(connection, ids) if len(ids) == limit else None


def _locked(
    connection: Connection, due: ColumnElement[bool], ids: Sequence[int], *, just_read: bool = False
) -> Sequence[int]:
    """Those of the boxes that are due now, which they stay until the end of the transaction."""
    if just_read and writes_alone(connection):
        return ids
    rows = (
        select(boxes.c.id)
        .where(among(boxes.c.id, ids), due)
        .order_by(boxes.c.id)
        .with_for_update(of=boxes, key_share=True)
        .cte("locked")
    )
    locked: Sequence[int] = connection.execute(select(listed(rows.c.id))).scalar_one()
    return locked


def _after_the_last(connection: Connection, ids: Sequence[int]) -> ColumnElement[bool]:
    last = connection.execute(
        select(boxes.c.expires_on, boxes.c.address_key)
        .where(among(boxes.c.id, ids))
        .order_by(boxes.c.expires_on.desc(), boxes.c.address_key.desc())
        .limit(1)
    ).one()
    return after_the(last)


def after_the(last: Any) -> ColumnElement[bool]:
    """The boxes that come after this one by E and address."""
    # The first half alone would be enough for the answer's shape; it lets the index skip what is done.
    return and_(
        boxes.c.expires_on >= last.expires_on,
        or_(boxes.c.expires_on > last.expires_on, boxes.c.address_key > last.address_key),
    )
