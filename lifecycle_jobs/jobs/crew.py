"""The workers of a run, and the handing out of chunks to them.

One call is one chunk: each seat gets the next call when it has answered the last one, and an answer says how many boxes
were done. So counts and progress are those of the whole, and the emergency stop or a signal, looked for between two
answers, ends the work of all.

Each call names the places between which its boxes lie, found ahead of the workers, so that none looks at what another
has in hand: a box that is only told of is not altered, and who chose it a moment too early would find it done. That is
a matter of speed only. Nothing here has to be right about it, because `chunks.apply_in_chunks` goes over the whole part
afterwards. Therefore a worker that fails in any way is simply given up for the rest of the run: its
boxes are free again, the others go on, and if none is left, the run does the work alone.

Several workers slow each other down, and a clerk who wants a box that is in hand waits for as long as its chunk takes.
So chunks become smaller when they take long, and larger again, up to what the settings say, when they do not.

Charging, looking up charges and renewing add-ons are not shared: the gateway's rate limit and the count of calls that
it did not take hold in one place, and one customer's credit is spent in one order.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from typing import Final, NamedTuple

import structlog

from lifecycle_jobs import __version__
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.engines import Seat, given_up
from lifecycle_jobs.errors import LeaseLost, RunStopped
from lifecycle_jobs.jobs.chunks import Chunk, keep_statistics_true
from lifecycle_jobs.jobs.task import Ahead, Place, Task
from lifecycle_jobs.jobs.worker import Assignment, WorkerFailed, do_chunk
from lifecycle_jobs.lease import Lease
from lifecycle_jobs.settings import Settings

log = structlog.get_logger()

_A_MOMENT: Final = 0.1
"""Seconds after which a wait for an answer looks whether the run is to stop."""

_STARTS_WITHIN: Final = 60.0
"""Seconds more for a seat's first answer: its process may have to be started, on a busy machine."""

_ON_ITS_WAY: Final = 2.0
"""Seconds more for every answer: PostgreSQL is to end the transaction before we give up the worker."""


_HELD_FOR: Final = 0.25
"""Seconds for which a worker ought to hold its boxes: nobody else is to wait for one of them for much longer."""


class _InHand(NamedTuple):
    seat: Seat
    size: int
    until: float


def fitting(size: int, seconds: float, most: int) -> int:
    """How many boxes the next chunk ought to have when one of so many took so long."""
    wanted = int(size * _HELD_FOR / seconds) if seconds else most
    return max(1, min(wanted, 2 * size, most))


class Crew:
    """The workers of one run. Those that fail leave it."""

    def __init__(self, seats: Sequence[Seat], store: Store, settings: Settings, lease: Lease) -> None:
        self._seats = list(seats)
        self._known: set[str] = set()
        self._database = store.engine.url.render_as_string(hide_password=False)
        self._settings = settings
        self._lease = lease
        self._given_up: Counter[str] = Counter()

    def share(self, task: Task, part: str, after: Place, ahead: Ahead) -> None:
        """Have the workers do a part from a place on, until nothing is left to hand out or nobody to hand it to.

        When RunStopped is raised, no chunk begins any more, and what is in hand is waited for.
        """
        in_hand: dict[Future[Chunk], _InHand] = {}
        try:
            self._hand_out(task, part, after, ahead, in_hand)
        except RunStopped:
            self._finish(task, in_hand)
            raise

    def failures(self) -> list[str]:
        """What has become of workers since this was asked last, for a person to look at."""
        told = given_up(self._given_up)
        self._given_up.clear()
        return told

    def _hand_out(
        self, task: Task, part: str, begin: Place, ahead: Ahead, in_hand: dict[Future[Chunk], _InHand]
    ) -> None:
        assignment = self._assignment(task)
        chunks, size = 1, task.chunk_size
        after: Place | None = begin
        found: list[tuple[Place, Place | None]] = []
        while True:
            free = self._free(in_hand)
            for number in range(len(free) + 1):  # one more than is needed now: nobody shall wait until it is found
                if after is not None and not found:
                    until = ahead(after, size)
                    found.append((after, until))
                    after = until
                if found and number < len(free):
                    self._give(free[number], assignment, part, found.pop(), size, in_hand)
            if not in_hand:
                return
            for chunk, asked in self._answers(task, in_hand):
                chunks += 1
                keep_statistics_true(task, chunks)
                size = fitting(asked, chunk.seconds, task.chunk_size)
                if chunk.failed is not None:
                    log.warning("chunk_left_for_later", job=task.job, why=chunk.failed)
                task.advance(chunk.boxes)

    def _free(self, in_hand: dict[Future[Chunk], _InHand]) -> list[Seat]:
        busy = {held.seat.name for held in in_hand.values()}
        return [seat for seat in self._seats if seat.name not in busy]

    def _give(
        self,
        seat: Seat,
        assignment: Assignment,
        part: str,
        places: tuple[Place, Place | None],
        size: int,
        in_hand: dict[Future[Chunk], _InHand],
    ) -> None:
        """Give a seat a call."""
        try:
            future = seat.executor.submit(do_chunk, assignment, part, *places)
        except Exception as error:  # noqa: BLE001 -- an engine is a plug-in and may raise anything; the run does the chunk itself
            self._give_up(seat, assignment.job, _as_reason(error))
        else:
            patience = self._settings.workers.time_out + _ON_ITS_WAY
            if seat.name not in self._known:
                patience += _STARTS_WITHIN
            in_hand[future] = _InHand(seat, size, time.monotonic() + patience)

    def _answers(self, task: Task, in_hand: dict[Future[Chunk], _InHand]) -> list[tuple[Chunk, int]]:
        """What has been answered, after a moment at most, and how much was asked for; who failed is given up."""
        answered, _ = wait(in_hand, _A_MOMENT, FIRST_COMPLETED)
        chunks: list[tuple[Chunk, int]] = []
        for future in answered:
            seat, size, _ = in_hand.pop(future)
            error = CancelledError() if future.cancelled() else future.exception()
            if isinstance(error, (LeaseLost, RunStopped)):
                raise error
            if error is not None:
                self._give_up(seat, task.job, _as_reason(error))
                continue
            self._known.add(seat.name)
            chunks.append((future.result(), size))
        for future in [future for future, held in in_hand.items() if held.until < time.monotonic()]:
            future.cancel()
            seat = in_hand.pop(future).seat
            seconds = self._settings.workers.time_out
            self._give_up(seat, task.job, f"no answer within workers.time_out = {seconds} seconds")
        if not answered:
            task.advance(0)
        return chunks

    def _finish(self, task: Task, in_hand: dict[Future[Chunk], _InHand]) -> None:
        answered, _ = wait(in_hand, max((held.until for held in in_hand.values()), default=0.0) - time.monotonic())
        log.info("workers_stopped", job=task.job, finished=len(answered), broken_off=len(in_hand) - len(answered))

    def _give_up(self, seat: Seat, job: str, why: str) -> None:
        self._seats.remove(seat)
        seat.abandon()
        self._given_up[f"{why} (during {job})"] += 1
        log.warning("worker_given_up", worker=seat.name, job=job, why=why, left=len(self._seats))

    def _assignment(self, task: Task) -> Assignment:
        return Assignment(
            program=__version__,
            database=self._database,
            time_out=self._settings.workers.time_out,
            lease=self._lease,
            run=task.run,
            job=task.job,
            catalog=task.catalog,
            rules=self._settings.deletion,
            chunk_size=task.chunk_size,
        )


def _as_reason(error: BaseException) -> str:
    if isinstance(error, WorkerFailed):
        return str(error)
    if isinstance(error, BrokenExecutor):
        return "its process ended, killed or out of memory"
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed there"
    if isinstance(error, CancelledError):
        return "the engine does not answer any more"
    return f"{type(error).__name__} in the engine"
