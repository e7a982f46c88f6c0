"""How a message leaves: the one thing the outbox asks of a transport, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from lifecycle_jobs.mail.addresses import WireAddress


@dataclass(frozen=True)
class Outgoing:
    """A message ready to leave. `content` is the whole of it, lines ending in CRLF.

    `key`, `kind`, `customer_id` and `created_on` name it for people; they never change.
    """

    key: str
    kind: str
    customer_id: str
    created_on: date
    sender: WireAddress
    recipient: WireAddress
    needs_smtputf8: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The other side has taken responsibility for the message."""

    response: str


@dataclass(frozen=True, slots=True)
class TemporaryFailure:
    """Not now. `unavailable`: not for any other message either, so there is no point in going on.

    `attempted` is false where the other side was not even asked about this message: there was no way to it.
    """

    response: str
    unavailable: bool = False
    attempted: bool = True


@dataclass(frozen=True, slots=True)
class PermanentFailure:
    """Never, for this message."""

    response: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """Nothing was handed over, because it was not to be any more: the delivery ends, or the letter is too old."""


Outcome: TypeAlias = Accepted | TemporaryFailure | PermanentFailure | Withheld

MayHandOver: TypeAlias = Callable[[], bool]
"""Asked at the last moment before a message is handed over; may wait. False: leave it."""


def at_once() -> bool:
    """Nothing has to be waited for."""
    return True


class Transport(Protocol):
    """A way out, open for the length of a `with` block. Failures are answers, never exceptions."""

    @property
    def repeatable(self) -> bool:
        """Whether sending a message again changes nothing.

        If so, results may be recorded a batch at a time; if not, each before the next message is handed over.
        """

    def send(self, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
        """Hand one message over, unless `may_hand_over` says no when nothing has reached the other side yet."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class AlwaysOpen:
    """For a way out that has nothing to open and nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Nowhere(AlwaysOpen):
    """Takes everything and keeps nothing: for rehearsals, in which nothing may leave."""

    repeatable = True

    def send(self, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
        """Pretend."""
        del envelope
        return Accepted("rehearsed") if may_hand_over() else Withheld()
