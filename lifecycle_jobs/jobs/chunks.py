"""Set-based work in small transactions: choose the next boxes in order, change them all, go on after the last.

Each chunk is one transaction with the change and its events. Which boxes are due is asked once, to have their ids in
order; the change asks again, under lock, so that a box that was altered in between is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from lifecycle_jobs.db.faults import in_halves
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.jobs.task import Task


def apply_in_chunks(task: Task, due: ColumnElement[bool], change: Callable[[Connection, Sequence[int]], None]) -> None:
    """Call `change` with the ids of all due boxes, by E and address, a chunk and a transaction at a time.

    `change` must state `due` in its own write. A chunk that fails is halved until the failing box stands alone and
    is parked.
    """
    after = and_(True)

    def apply(ids: Sequence[int]) -> None:
        with task.store.write() as connection:
            change(connection, ids)

    while True:
        with task.store.read() as connection:
            rows = connection.execute(
                select(boxes.c.id, boxes.c.expires_on, boxes.c.address_key)
                .where(due, after)
                .order_by(boxes.c.expires_on, boxes.c.address_key)
                .limit(task.chunk_size)
            ).all()
        if rows:
            in_halves([row.id for row in rows], apply, task.park_box)
            task.advance(len(rows))
        if len(rows) < task.chunk_size:
            return
        after = after_the(rows[-1])


def after_the(last: Any) -> ColumnElement[bool]:
    """The boxes that come after this one by E and address."""
    # The first half alone would be enough for the answer's shape; it lets the index skip what is done.
    return and_(
        boxes.c.expires_on >= last.expires_on,
        or_(boxes.c.expires_on > last.expires_on, boxes.c.address_key > last.address_key),
    )
