"""Set-based work in small transactions: choose the next boxes in order, change them all, go on after the last.

Each chunk is one transaction with the choice, the change and its events; no box travels through this program but for
its id. PostgreSQL chooses candidates, by what is cheap to ask of very many, locks them, in the order of their ids as
everybody does, and only then asks all that makes them due: one that was altered in between is left alone. SQLite lets
nobody write from the choice on, so all is asked there and then.

With workers the boxes themselves are the queue. Whoever takes a chunk locks it while choosing, passing over what others
have locked (SKIP LOCKED), in the transaction that changes it. So a chunk belongs to whoever can change it: a worker
that dies gives it back at once, and its boxes are as due as before; one that hangs loses it when PostgreSQL ends its
transaction. The alternative, a table in which workers claim chunks, would have to be filled before and emptied after,
would cost a durable write for each claim, and a claim outlives its worker: somebody would have to find the dead, and
decide how much of a chunk they had done.

At the end this process goes over the part by itself, from the beginning and waiting for locks. It finds what workers
left, so what the day comes to does not depend on them; and it is where the next part, or job, waits for this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Connection, Tuple, and_, literal, select, true, tuple_

from lifecycle_jobs import runs
from lifecycle_jobs.db import statistics
from lifecycle_jobs.db.conditions import Refusals, none_of
from lifecycle_jobs.db.dialect import among, listed, writes_alone
from lifecycle_jobs.db.faults import concerns_one_row, in_halves
from lifecycle_jobs.db.tables import boxes, events
from lifecycle_jobs.jobs.task import Place, Task

Change: TypeAlias = Callable[[Connection, Sequence[int]], None]


@dataclass(frozen=True, slots=True)
class Part:
    """A change to all boxes that are due for it: the candidates that are not refused.

    The name is its own within the job, and the same everywhere.
    """

    name: str
    candidates: ColumnElement[bool]
    refusals: Refusals
    change: Change

    @property
    def due(self) -> ColumnElement[bool]:
        """All that is asked of a box before it is changed."""
        return and_(self.candidates, none_of(self.refusals))


class Chunk(NamedTuple):
    """What a worker did: to how many boxes. `seconds` is for how long it held them.

    `failed` says why it had to leave them as they were, if it had to.
    """

    boxes: int
    seconds: float
    failed: str | None = None


def apply_in_chunks(task: Task, part: Part) -> None:
    """Make the change to all due boxes, by E and address, a chunk and a transaction at a time.

    They are locked, and due while they are. A chunk that fails is halved until the failing box stands alone and is
    parked. If there are workers, and more than one chunk, they do it, and here what they leave is done.
    """
    after = _apply_to_next(task, part, None)
    chunks = 1
    if after is not None and task.share is not None:
        keep_statistics_true(task, chunks)
        task.share(task, part.name, after, partial(_ahead, task, part))
        after = _apply_to_next(task, part, None)
    while after is not None:
        keep_statistics_true(task, chunks)
        after = _apply_to_next(task, part, after)
        chunks += 1


def keep_statistics_true(task: Task, chunks: int) -> None:
    """After the first, second, fourth, eighth … chunk, have the database look how much history there is by now."""
    if chunks.bit_count() == 1:
        with task.store.write(durable=False) as connection:
            statistics.refresh(connection, events)


def take_chunk(task: Task, part: Part, after: Place, until: Place | None) -> Chunk:
    """Make the change to the boxes between two places that nobody else has in hand, as one of several workers.

    Without `until`, to as many as make a chunk.

    They are asked again once they are locked: who had them before may have written their events after this choice had
    begun, and a box that is only told of is not altered, so that the lock alone would not notice.

    A chunk that fails is left: halving it takes patience, and one who parks.
    """
    ids: Sequence[int] = ()
    began = time.monotonic()
    try:
        with task.store.write() as connection:
            here = part.candidates if until is None else and_(part.candidates, up_to(until))
            ids, _ = _chosen(connection, here, after, task.chunk_size, pass_over_locked=True)
            still_due = _locked(connection, part.due, ids) if ids else ()
            if still_due:
                part.change(connection, still_due)
    except Exception as error:
        if not ids or not concerns_one_row(error):
            raise
        return Chunk(0, time.monotonic() - began, runs.describe(error))
    return Chunk(len(still_due), time.monotonic() - began)


def _apply_to_next(task: Task, part: Part, after: Place | None) -> Place | None:
    """One chunk; the last of it, or none if nothing can come after it."""
    due: Sequence[int] = ()
    following: Place | None = None

    def apply(some: Sequence[int]) -> None:
        with task.store.write() as connection:
            part.change(connection, _locked(connection, part.due, some))

    try:
        with task.store.write() as connection:
            alone = writes_alone(connection)
            due, following = _chosen(connection, part.due if alone else part.candidates, after, task.chunk_size)
            if due and not alone:
                due = _locked(connection, part.due, due)
            if due:
                part.change(connection, due)
    except Exception as error:
        if not due or not concerns_one_row(error):
            raise
        in_halves(due, apply, task.park_box)
    task.advance(len(due))
    return following


def _ahead(task: Task, part: Part, after: Place, number: int) -> Place | None:
    with task.store.read() as connection:
        last = connection.execute(
            select(boxes.c.expires_on, boxes.c.address_key)
            .where(after_the(after), part.candidates)
            .order_by(boxes.c.expires_on, boxes.c.address_key)
            .offset(number - 1)
            .limit(1)
        ).one_or_none()
    return None if last is None else Place(last.expires_on, last.address_key)


def _chosen(
    connection: Connection,
    wanted: ColumnElement[bool],
    after: Place | None,
    limit: int,
    *,
    pass_over_locked: bool = False,
) -> tuple[Sequence[int], Place | None]:
    """The ids of the next boxes, and the last of them; none if these are all that are left."""
    rows = (
        select(boxes.c.id, boxes.c.expires_on, boxes.c.address_key)
        .where(true() if after is None else after_the(after), wanted)
        .order_by(boxes.c.expires_on, boxes.c.address_key)
        .limit(limit)
    )
    if pass_over_locked:
        rows = rows.with_for_update(of=boxes, key_share=True, skip_locked=True)
    chosen = rows.cte("chosen")
    # The last by its number: to look for the greatest takes PostgreSQL several times what the choice takes.
    expires_on, address_key = (
        select(column).order_by(chosen.c.expires_on, chosen.c.address_key).offset(limit - 1).limit(1).scalar_subquery()
        for column in (chosen.c.expires_on, chosen.c.address_key)
    )
    found = connection.execute(select(select(listed(chosen.c.id)).scalar_subquery(), expires_on, address_key)).one()
    return found[0], None if found[1] is None else Place(*found[1:])


def _locked(connection: Connection, due: ColumnElement[bool], ids: Sequence[int]) -> Sequence[int]:
    """Those of the boxes that are due now, which they stay until the end of the transaction."""
    rows = (
        select(boxes.c.id)
        .where(among(boxes.c.id, ids), due)
        .order_by(boxes.c.id)
        .with_for_update(of=boxes, key_share=True)
        .cte("locked")
    )
    locked: Sequence[int] = connection.execute(select(listed(rows.c.id))).scalar_one()
    return locked


def after_the(last: Any) -> ColumnElement[bool]:
    """The boxes that come after this one by E and address.

    To be named before what makes them due: of several bounds of an index SQLite takes the first.
    """
    return _place() > _place_of(last)


def up_to(last: Place) -> ColumnElement[bool]:
    """The boxes that do not come after this place."""
    return _place() <= _place_of(last)


def _place() -> Tuple:
    # Compared as a pair, so that the index begins right there. Taken apart into `E > … OR …`, PostgreSQL reads and
    # sorts all that is still due for each chunk, and SQLite goes over what it has done: each is slower than the last.
    return tuple_(boxes.c.expires_on, boxes.c.address_key)


def _place_of(box: Any) -> Tuple:
    return tuple_(literal(box.expires_on, boxes.c.expires_on.type), literal(box.address_key, boxes.c.address_key.type))
