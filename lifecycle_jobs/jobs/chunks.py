"""Set-based work in small transactions: choose the next boxes in order, change them all, go on after the last.

Each chunk is one transaction with the choice, the change and its events; no box travels through this program but for
its id. PostgreSQL chooses candidates, by what is cheap to ask of very many, locks them, in the order of their ids as
everybody does, and only then, in a statement of its own, asks all that makes them due: one that was altered in between,
or for which money has come in, is left alone. SQLite lets nobody write from the choice on, so all is asked there and
then.

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
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from lifecycle_jobs import runs
from lifecycle_jobs.db import statistics
from lifecycle_jobs.db.faults import concerns_one_row, in_halves
from lifecycle_jobs.db.tables import events
from lifecycle_jobs.jobs.parts import Part, Steps
from lifecycle_jobs.jobs.task import Place, Task


class Chunk(NamedTuple):
    """What a worker did: to how many boxes. `seconds` is for how long it held them.

    `failed` says why it had to leave them as they were, if it had to.
    """

    boxes: int
    seconds: float
    failed: str | None = None


def apply_in_chunks(task: Task, part: Part) -> int:
    """Make the change to all due boxes, by E and address, a chunk and a transaction at a time.

    They are locked, and due while they are. A chunk that fails is halved until the failing box stands alone and is
    parked. If there are workers, and more than one chunk, they do it, and here what they leave is done.

    Returns how many candidates it left as they were, those parked among them, so that reasons are asked for only where
    there are any.
    """
    steps = Steps(task, part)
    after, left = _apply_to_next(task, steps, None)
    chunks = 1
    if after is not None and task.share is not None:
        keep_statistics_true(task, chunks)
        task.share(task, part.name, after, partial(_ahead, task, steps))
        after, left = _apply_to_next(task, steps, None)
    while after is not None:
        keep_statistics_true(task, chunks)
        after, more = _apply_to_next(task, steps, after)
        left += more
        chunks += 1
    return left


def keep_statistics_true(task: Task, chunks: int) -> None:
    """After the first, second, fourth, eighth … chunk, have the database look how much history there is by now."""
    if chunks.bit_count() == 1:
        with task.store.write(durable=False) as connection:
            statistics.refresh(connection, events)


def take_chunk(task: Task, steps: Steps, after: Place, until: Place | None) -> Chunk:
    """Make the change to the boxes between two places that nobody else has in hand, as one of several workers.

    Without `until`, to as many as make a chunk. `steps` are those that pass over what is locked.

    They are asked again once they are locked: who had them before may have written their events after this choice had
    begun, and a box that is only told of is not altered, so that the lock alone would not notice.

    Nothing is done once the job is finished: one who was given up, and wakes during a later job, would tell of what is
    due by then when the messages of this run are made already. A chunk that fails is left: halving it takes patience,
    and one who parks.
    """
    ids: Sequence[int] = ()
    began = time.monotonic()
    try:
        with task.store.write() as connection:
            if runs.keep_going(connection, task.run, task.job):
                ids = steps.choose(connection, after, until).ids
            still_due = steps.lock(connection, ids) if ids else ()
            steps.change(connection, still_due)
    except Exception as error:
        if not ids or not concerns_one_row(error):
            raise
        return Chunk(0, time.monotonic() - began, runs.describe(error))
    return Chunk(len(still_due), time.monotonic() - began)


def _apply_to_next(task: Task, steps: Steps, after: Place | None) -> tuple[Place | None, int]:
    """One chunk; the last of it, or none if nothing can come after it, and how many candidates it left alone."""
    ids: Sequence[int] = ()
    candidates = done = 0
    following: Place | None = None

    def apply(some: Sequence[int]) -> None:
        nonlocal done
        with task.store.write() as connection:
            due = steps.lock(connection, some)
            steps.change(connection, due)
        done += len(due)

    try:
        with task.store.write() as connection:
            ids, candidates, following = steps.choose(connection, after)
            due = steps.lock(connection, ids) if ids and not steps.alone else ids
            steps.change(connection, due)
        done = len(due)
    except Exception as error:
        if not ids or not concerns_one_row(error):
            raise
        in_halves(ids, apply, task.park_box)
    task.advance(done)
    return following, candidates - done


def _ahead(task: Task, steps: Steps, after: Place, number: int) -> Place | None:
    with task.store.read() as connection:
        return steps.look_ahead(connection, after, number)
