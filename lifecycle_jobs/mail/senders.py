"""The connections to the mail server, each owned by a thread that does nothing but hand over.

Everything that is read or recorded is so by the thread that owns the `Senders`. It puts rendered letters in, takes
what became of them out, commits that, and only then `release`s the connections.

**On no connection the text of a letter leaves before the fate of the last one is committed.** What goes before, the
sender, the recipient and the server's consent, may overlap with that commit: until the text has left nothing has
happened. So at a kill each connection sends at most one letter twice, the one it had in hand.

Before the text leaves `may_hand_over` is asked as well, in the thread of the connection; while it says no the letter
waits, until it may go or the delivery ends. One that has grown too old by the time it would begin, or much too old by
the time its text would leave, comes back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from lifecycle_jobs.mail.transports import Outcome, Outgoing, TemporaryFailure, Transport, Withheld
from lifecycle_jobs.pace import Pace

Letter = TypeVar("Letter")

_LOOK_AGAIN: Final = 0.02
"""Seconds after which a letter that may not go asks again."""

_TOGETHER: Final = 0.0004
"""Seconds for which the fate of one letter waits for those of the others in hand, to be recorded with them.

Against recording each as soon as it is known: on PostgreSQL a twentieth more messages a second over four connections,
a sixth more over sixteen, on SQLite a tenth. With a millisecond it is no better.
"""

_ENDS_WITHIN: Final = 0.1
"""Seconds after which a connection whose last letter is not committed looks whether the delivery ends."""

_PREPARED: Final = 2
"""Letters for each connection that are ready when it has finished one; few, because they are all of the memory that a
delivery needs, and what they say grows old."""

_STAND_BACK: Final = 30.0
"""Seconds for which a connection that the server did not want leaves the letters to the others."""

LONGEST_WAIT: Final = 20.0
"""Seconds. A server that has not answered by then is not waited for when the process is to end: the letter stays in
the queue, as at a kill."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[Letter]):
    """What became of a letter. `sender` is the connection that waits for this to be committed."""

    letter: Letter
    outcome: Outcome
    sender: int


@dataclass(frozen=True, slots=True)
class _Broken:
    """What a connection raised, and how many letters it had in hand: one, or none before the first."""

    error: BaseException
    in_hand: int


class Senders(Generic[Letter]):
    """Hands letters over on several transports at a time, for one owner. On leaving the block all is at rest.

    The transports are opened and closed here. `room` says how many letters may be put in. `good_for` says for how many
    seconds more one may begin; `consent` is how long after that its text may still leave, because the server took its
    time to let it in.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        pace: Pace,
        may_hand_over: Callable[[], bool],
        good_for: Callable[[Letter], float],
        consent: float,
    ) -> None:
        self.in_hand = 0
        self._pace = pace
        self._may_hand_over = may_hand_over
        self._good_for = good_for
        self._consent = consent
        self._waiting: SimpleQueue[tuple[Letter, Outgoing] | None] = SimpleQueue()
        self._ended: SimpleQueue[Ended[Letter] | _Broken] = SimpleQueue()
        self._ending = threading.Event()
        self._end_by = 0.0
        # Held by a connection whose last letter is not committed yet. A lock, because it is the cheapest to wait for.
        self._unsettled = [threading.Lock() for _ in transports]
        self._most = len(transports) * (1 + _PREPARED)
        self._threads = [
            threading.Thread(target=self._work, args=(number, transport), name=f"mail-{number}", daemon=True)
            for number, transport in enumerate(transports)
        ]

    @property
    def room(self) -> int:
        """How many letters may be put in now."""
        return self._most - self.in_hand

    def put(self, letter: Letter, envelope: Outgoing) -> None:
        """Have one handed over."""
        self.in_hand += 1
        self._waiting.put((letter, envelope))

    @property
    def told(self) -> int:
        """Of how many letters it is known by now what became of them, about."""
        return self._ended.qsize()

    def ended(self, patience: float) -> list[Ended[Letter]]:
        """What became of letters; waits so many seconds for the first. Raises what a transport raised."""
        found, broken = self._heard(patience)
        if broken is not None and found:
            self._ended.put(broken)  # first what is known is to be recorded
        elif broken is not None:
            self.in_hand -= broken.in_hand
            raise broken.error
        return found

    def _heard(self, patience: float) -> tuple[list[Ended[Letter]], _Broken | None]:
        found: list[Ended[Letter]] = []
        broken: _Broken | None = None
        together = min(len(self._threads), self.in_hand)
        try:
            each = self._ended.get(timeout=patience) if patience > 0 else self._ended.get_nowait()
            while not isinstance(each, _Broken):
                found.append(each)
                each = self._ended.get(timeout=_TOGETHER) if len(found) < together else self._ended.get_nowait()
            broken = each
        except Empty:
            pass
        self.in_hand -= len(found)
        return found, broken

    def release(self, ended: Sequence[Ended[Letter]]) -> None:
        """The fate of these is committed: their connections may hand over the next."""
        for each in ended:
            if self._unsettled[each.sender].locked():  # at the end of all, a second letter may have followed a first
                self._unsettled[each.sender].release()

    def begin_no_more(self) -> None:
        """Those that wait come back as `Withheld`; of those in hand it will be known what became of them."""
        self._ending.set()

    @property
    def ending(self) -> bool:
        """Whether no letter begins any more."""
        return self._ending.is_set()

    def rest(self) -> list[Ended[Letter]]:
        """Begin no letter any more; what became of those that were in hand. `Withheld` are those that were not.

        What the server takes longer for than may be waited is not among them. What a transport raises meanwhile is not
        told: there is another error on its way already, or a stop.
        """
        self._end()
        found: list[Ended[Letter]] = []
        while self.in_hand and self._seconds_left():
            heard, broken = self._heard(_LOOK_AGAIN)
            found += heard
            if broken is not None:
                self.in_hand -= broken.in_hand
        return found

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(self._seconds_left())

    def _end(self) -> None:
        self._ending.set()
        if not self._end_by:
            self._end_by = time.monotonic() + LONGEST_WAIT

    def _seconds_left(self) -> float:
        return max(0.0, self._end_by - time.monotonic())

    def _work(self, number: int, transport: Transport) -> None:
        """Whatever happens, the owner hears of it: a letter of which nothing came back would be waited for."""
        in_hand = 0
        try:
            with transport:
                while (taken := self._waiting.get()) is not None:
                    in_hand = 1
                    letter, envelope = taken
                    outcome = self._handed_over(number, transport, letter, envelope)
                    if _one_too_many(outcome):
                        self._waiting.put(taken)
                        in_hand = 0
                        self._ending.wait(_STAND_BACK)
                        continue
                    self._last_is_settled(number)
                    self._unsettled[number].acquire(blocking=False)
                    self._ended.put(Ended(letter, outcome, number))
                    in_hand = 0
        except BaseException as error:  # noqa: BLE001 -- the owner raises it; lost in this thread, its letter would be waited for
            self._ended.put(_Broken(error, in_hand))

    def _handed_over(self, number: int, transport: Transport, letter: Letter, envelope: Outgoing) -> Outcome:
        if not self._in_turn() or self._good_for(letter) <= 0:
            return Withheld()
        return transport.send(envelope, lambda: self._cleared(number, letter))

    def _in_turn(self) -> bool:
        """Wait until one more may begin; false if the delivery ends."""
        while not self._ending.is_set():
            if self._pace.take(1):
                return True
            self._ending.wait(self._pace.next_in())
        return False

    def _cleared(self, number: int, letter: Letter) -> bool:
        """Wait until the text may leave; false if the delivery ends, or the letter is much too old by now."""
        if not self._last_is_settled(number):
            return False
        while not self._ending.is_set() and self._good_for(letter) > -self._consent:
            if self._may_hand_over():
                return True
            self._ending.wait(_LOOK_AGAIN)
        return False

    def _last_is_settled(self, number: int) -> bool:
        """Wait for it; false if the delivery ends before."""
        while not self._unsettled[number].acquire(timeout=_ENDS_WITHIN):
            if self._ending.is_set():
                return False
        self._unsettled[number].release()
        return True


def _one_too_many(outcome: Outcome) -> bool:
    """The server wants no more connections than the others have."""
    return isinstance(outcome, TemporaryFailure) and not outcome.attempted and not outcome.unavailable
