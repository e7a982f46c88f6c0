"""Calls of a gateway in flight: so many at a time, so many a second, each with its back-off.

The threads only talk to the gateway. Everything that is written is written by the thread that owns the `Calls`, before
a call begins and after it has ended, so that no transaction is ever open while the gateway works. A gateway that takes
one call at a time is called by that thread itself, in the order in which the calls were begun.

Why threads: the transport of Stripe's client came within 5 % of the ideal at 64 calls in flight, where a shared
asynchronous client reached a sixth of it.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

from lifecycle_jobs.pace import Pace
from lifecycle_jobs.payments.gateway import NotAttempted

Subject = TypeVar("Subject")
Outcome = TypeVar("Outcome")


_AHEAD = 2
"""For every so many calls in flight one more is prepared, so that no line to the gateway is idle while the database
writes. It waits for a fraction of a call's time, and for that long its last look at the box is old."""

_GATHER = 0.05
_FEW = 4
"""Where many calls are in flight and few have ended, the next are waited for, so many seconds: a transaction for each
would cost more than that."""


_FRESH = 1.0
"""Seconds for which a call in a thread may wait for its turn before its box is looked at again."""

_AT_A_STRETCH = 20
_STRETCH_SECONDS = 1.0
"""A gateway that takes one call at a time gets so many one after the other before their outcomes are recorded, or as
many as take so many seconds: two durable transactions for each call take longer than a quick one's calls. Before each
but the first its box is looked at again, which costs a fraction of that."""

_LONGEST_WAIT = timedelta(minutes=5)
"""A gateway that asks to be left alone for longer is not waited for: the slot stays free, and the next run tries."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a gateway may be worked. `back_off` is in seconds; one call at a time where `parallel` is false."""

    parallel: bool
    concurrency: int
    per_second: int
    back_off: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ended(Generic[Subject, Outcome]):
    """A call that has come to its end.

    `outcome` is none where there is nothing to say: work was stopped before it began (then it is not `begun`) or while
    it waited to be tried again, or it was `withdrawn`, because nobody wanted it any more when its turn came, for the
    first time (then it is not `begun` either) or again.
    """

    subject: Subject
    outcome: Outcome | None
    begun: bool = True
    withdrawn: bool = False


class Calls(Generic[Subject, Outcome]):
    """The calls that one thread has in flight. On leaving the block no new try begins; what is under way ends.

    `may_begin` is asked in the thread of each call right before each try: false, and it is as if work was stopped.
    `tick` is called after each call that the owner's thread makes itself; what it raises comes out of `ended`.
    """

    def __init__(self, limits: Limits, may_begin: Callable[[], bool], tick: Callable[[], None] = lambda: None) -> None:
        self.in_flight = 0
        self._limits = limits
        self._may_begin = may_begin
        self._tick = tick
        self._pace = Pace(limits.per_second)
        self._ended: SimpleQueue[Ended[Subject, Outcome]] = SimpleQueue()
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(limits.concurrency, "gateway") if limits.parallel else None
        self._in_turn: deque[Callable[[], None]] = deque()

    def room(self, most: int | None = None) -> int:
        """How many calls may begin now, up to `most`."""
        concurrency = self._limits.concurrency
        at_once = concurrency + concurrency // _AHEAD if self._pool is not None else _AT_A_STRETCH
        places = max(0, at_once - self.in_flight)
        wanted = places if most is None else min(places, most)
        return wanted if self._pool is None else self._pace.take(wanted)

    def give_back(self, room: int) -> None:
        """Room that was not needed after all."""
        self._pace.give_back(room)

    def begin(self, subject: Subject, call: Callable[[], Outcome], still_wanted: Callable[[], bool]) -> None:
        """Make a call, and again after each pause if it was not taken, as long as it is `still_wanted`.

        The latter is asked in the thread of the call, before the first try too if that had to wait for its turn.
        """
        self.in_flight += 1
        if self._pool is None:
            believed_until = 0.0 if self._in_turn else math.inf
            self._in_turn.append(partial(self._persist, subject, call, still_wanted, believed_until))
        else:
            self._pool.submit(self._persist, subject, call, still_wanted, time.monotonic() + _FRESH)

    def ended(self, patience: float) -> list[Ended[Subject, Outcome]]:
        """The calls that have ended, in that order; waits so many seconds for the first.

        With a gateway that takes one call at a time this is where they are made.
        """
        found: list[Ended[Subject, Outcome]] = []
        self._make_in_turn()
        try:
            if self.in_flight:
                found.append(self._ended.get(timeout=patience))
                if self._ended.qsize() < self.in_flight // _FEW:
                    time.sleep(_GATHER)
                while True:
                    found.append(self._ended.get_nowait())
            elif self._pool is not None:
                time.sleep(self._pace.next_in())
        except Empty:
            pass
        self.in_flight -= len(found)
        return found

    def stop(self) -> None:
        """Let what is under way end, and try nothing again."""
        self._stopped.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def _make_in_turn(self) -> None:
        began = time.monotonic()
        while self._in_turn and time.monotonic() - began < _STRETCH_SECONDS:
            self._in_turn.popleft()()
            if not self._stopped.is_set():
                self._tick()  # whoever asks to stop in the middle of a stretch is not to wait for the rest of it

    def _persist(
        self, subject: Subject, call: Callable[[], Outcome], still_wanted: Callable[[], bool], believed_until: float
    ) -> None:
        """One call with its back-off. Whatever happens, it ends: a call that never did would be waited for."""
        ended: Ended[Subject, Outcome] | None = None
        try:
            ended = self._tried(subject, call, still_wanted, believed_until)
        finally:
            self._ended.put(Ended(subject, None) if ended is None else ended)

    def _tried(
        self, subject: Subject, call: Callable[[], Outcome], still_wanted: Callable[[], bool], believed_until: float
    ) -> Ended[Subject, Outcome]:
        if self._stopped.is_set() or not self._may_begin():
            return Ended(subject, None, begun=False)
        if time.monotonic() > believed_until and not still_wanted():
            return Ended(subject, None, begun=False, withdrawn=True)
        for pause in self._limits.back_off:
            outcome = call()
            if not isinstance(outcome, NotAttempted) or not _worth_waiting(outcome):
                return Ended(subject, outcome)
            if not self._waited(max(pause, _asked_to_wait(outcome))) or not self._may_begin():
                return Ended(subject, None)
            if not still_wanted():
                return Ended(subject, None, withdrawn=True)
        return Ended(subject, call())

    def _waited(self, seconds: float) -> bool:
        """Sleep, then until another call may begin; false if work was stopped meanwhile."""
        stopped = self._stopped.wait(seconds)
        while not stopped and not self._pace.take(1):
            stopped = self._stopped.wait(self._pace.next_in())
        return not stopped


def _worth_waiting(refused: NotAttempted) -> bool:
    return refused.retry_after is not None and refused.retry_after <= _LONGEST_WAIT


def _asked_to_wait(refused: NotAttempted) -> float:
    return 0 if refused.retry_after is None else refused.retry_after.total_seconds()
