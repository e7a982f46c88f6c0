"""From the outbox to letters that are ready to leave: read, put together, judged and rendered, a few at a time.

What will not leave is recorded here: what has become moot, cannot be put together, has nowhere to go, or is over what
one recipient gets in a day.

A letter is good for a minute. What it says may be no longer so by then: who has paid meanwhile must not be told that
the box is suspended. One whose turn comes later, as the server is slow or this process stood still, is read again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.mail import records
from lifecycle_jobs.mail.addresses import NotAnAddress
from lifecycle_jobs.mail.gather import Pointless, Unfit
from lifecycle_jobs.mail.records import Share, Waiting
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.mail.scribe import Desk, Draft, Found, Written
from lifecycle_jobs.mail.transports import Outgoing
from lifecycle_jobs.settings import Settings

_LINES_AT_A_TIME: Final = 5_000
"""A batch ends early at so many lines: a few customers with very many boxes must not fill the memory."""

_AHEAD: Final = 1
"""So many times some messages are being written while others are handed over, where these leave in time."""

_SECONDS_AHEAD: Final = 10
"""No more is read than leaves in so many seconds: what was read may become moot while it waits for its turn."""


_GOOD_FOR: Final = 60.0
"""Seconds. By then a letter has begun to leave, or it is read again."""

_READ_AGAIN: Final = 5
"""So many times; what is too old even then waits for the next delivery, or a server that hangs would be sat out."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that is ready to leave. `attempts` are those before; `was_parked`: it once could not be written.

    `read_at` is when it was read, for the `reading`th time.
    """

    id: int
    attempts: int
    recipient_key: str
    was_parked: bool
    read_at: float
    reading: int
    envelope: Outgoing

    @property
    def good_for(self) -> float:
        """For so many seconds more what it says can be relied upon; less than none, once it is too old."""
        return self.read_at + _GOOD_FOR - clock.running()


class Letters:
    """The letters of one pass over the outbox, the most urgent first, then the oldest.

    What is recorded here is counted in the report. `at_a_time` messages are put together with one another, and fewer
    while some grow too old before their turn comes, down to `at_once`: as many begin to leave as soon as they are
    written. `open_desk` is told how many there are at first, and gives where they are written. Once `goes_on` says no,
    nothing more is read. Where others deliver too, only a `share` of the queue is read.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        on: date,
        open_desk: Callable[[int], Desk],
        report: DeliveryReport,
        *,
        at_a_time: int,
        at_once: int,
        goes_on: Callable[[], bool],
        share: Share | None = None,
    ) -> None:
        self._store = store
        self._goes_on = goes_on
        self._mail = settings.mail
        self._on = on
        self._zone = settings.zone
        self._report = report
        self._most = self._at_a_time = at_a_time
        self._fewest = at_once
        self._open_desk = open_desk
        self._share = share
        self._waiting = 0
        self._tomorrow = _midnight(on + timedelta(days=1), settings.zone)
        self._due_by = due_by(on, settings.zone)
        self._under_way: Counter[str] = Counter()
        self._too_old: deque[int] = deque()
        self._came_back = False
        self._readings: dict[int, int] = {}

    def batches(self, only: Sequence[int] | None) -> Iterator[Iterator[Letter]]:
        """Some letters after some letters, until nothing is due any more. There may be none among some.

        While some are handed over the next ones are being written, where another process does that.
        """
        return self._in_turn(self._due(only))

    def read_again(self, letter: Letter) -> None:
        """This one did not leave, because it had grown too old."""
        self.settled(letter.recipient_key)
        self._came_back = True
        if letter.reading < _READ_AGAIN:
            self._too_old.append(letter.id)
            self._readings[letter.id] = letter.reading
        else:
            self._report.more = True

    @property
    def to_read_again(self) -> bool:
        """Whether some have grown too old since `batches` came to its end."""
        return bool(self._too_old)

    def batches_again(self) -> Iterator[Iterator[Letter]]:
        """These, as they are now."""
        return self._in_turn(iter(()))

    def _in_turn(self, due: Iterator[Sequence[Waiting]]) -> Iterator[Iterator[Letter]]:
        begun: deque[Sequence[Waiting]] = deque()
        while (some := self._next(due)) or begun:
            if some:
                self._desk.give([message.id for message in some], clock.now())
                begun.append(some)
            ahead = _AHEAD if some and self._at_a_time == self._most else 0
            while len(begun) > ahead:
                yield self._finished(begun.popleft())

    def _next(self, due: Iterator[Sequence[Waiting]]) -> Sequence[Waiting]:
        """First those that have grown too old. Half as many at a time as before if there were such, or again twice."""
        if self._came_back:
            self._at_a_time = max(self._fewest, self._at_a_time // 2)
        else:
            self._at_a_time = min(self._most, self._at_a_time * 2)
        self._came_back = False
        return self._too_old_by_now() or next(due, ())

    def _too_old_by_now(self) -> Sequence[Waiting]:
        """Those of them that still wait."""
        while self._too_old:
            if not self._goes_on():
                self._report.more = True
                self._too_old.clear()
                break
            some = [self._too_old.popleft() for _ in range(min(self._at_a_time, len(self._too_old)))]
            with self._store.read() as connection:
                found = records.waiting(
                    connection, after=None, limit=len(some), at=self._due_by, only=some, share=self._share
                )
            if found:
                return found
        return ()

    @property
    def written(self) -> bool:
        """Whether the letters that `batches` gave last are written; otherwise who asks for them has to wait."""
        return self._desk.ready

    def _due(self, only: Sequence[int] | None) -> Iterator[Sequence[Waiting]]:
        after: Waiting | None = None
        limit = min(self._mail.batch_size, self._mail.messages_per_second * _SECONDS_AHEAD)
        while True:
            if after is not None and not self._goes_on():
                self._report.more = True
                return
            with self._store.read() as connection:
                batch = _within_memory(
                    records.waiting(connection, after=after, limit=limit, at=self._due_by, only=only, share=self._share)
                )
            if not batch:
                return
            self._waiting = max(self._waiting, len(batch))
            begun = 0
            while begun < len(batch):
                some = batch[begun : begun + self._at_a_time]
                begun += len(some)
                yield some
            after = batch[-1]

    def settled(self, recipient_key: str) -> None:
        """What became of a letter to this recipient is recorded: it counts no more beside what is recorded."""
        self._under_way[recipient_key] -= 1
        if not self._under_way[recipient_key]:
            del self._under_way[recipient_key]

    def _finished(self, some: Sequence[Waiting]) -> Iterator[Letter]:
        """Those of what was given to the desk first that leave."""
        found = {_id_of(each): each for each in self._desk.take()}
        leaving = self._set_aside(some, found)
        reading = {message.id: self._readings.pop(message.id, 0) + 1 for message in some}
        for waiting, _ in leaving:
            self._under_way[waiting.recipient_key] += 1
        for waiting, written in leaving:
            envelope = written.write() if isinstance(written, Draft) else written.envelope
            if isinstance(envelope, Exception):
                self._record_unwritten(waiting, envelope)
                continue
            yield Letter(
                waiting.id,
                written.message.attempts,
                waiting.recipient_key,
                waiting.was_parked,
                written.read_at,
                reading[waiting.id],
                envelope,
            )

    @cached_property
    def _desk(self) -> Desk:
        """Opened for the first messages: it is then known how many there are."""
        return self._open_desk(self._waiting)

    def _set_aside(self, some: Sequence[Waiting], found: dict[int, Found]) -> list[tuple[Waiting, Written | Draft]]:
        """Record what will not leave, and which lines the others will not have; those that will.

        This write also comes before anything leaves: a process that has lost its lease fails here.
        """
        pointless = [each.message.id for each in found.values() if isinstance(each, Pointless)]
        unfit = [each for each in found.values() if isinstance(each, Unfit)]
        ready = {id_: each for id_, each in found.items() if isinstance(each, (Written, Draft))}
        with self._store.write(durable=False) as connection:
            for each in found.values():
                if not isinstance(each, Unfit) and each.marks:
                    records.mark_lines(connection, each.marks)
            records.record_moot(connection, pointless)
            for each in unfit:
                records.record_parked(connection, each.message_id, each.error, self._on)
            nowhere = _nowhere_to_go(connection, ready)
            records.record_failed(connection, nowhere, handed_over=False)
            self._resolve(connection, some, {*pointless, *nowhere})
            leaving = [message for message in some if message.id in ready and message.id not in nowhere]
            over = self._over_the_limit(connection, leaving)
            records.record_held_back(connection, over, self._tomorrow, self._why_held_back())
        self._report.moot += len(pointless)
        self._report.parked += len(unfit)
        self._report.failed += len(nowhere)
        self._report.held_back += len(over)
        return [(message, ready[message.id]) for message in leaving if message.id not in over]

    def _over_the_limit(self, connection: Connection, leaving: Sequence[Waiting]) -> set[int]:
        """Those whose recipients have had enough for the day, with what is under way."""
        recipients = [message.recipient_key for message in leaving]
        taken = Counter(records.accepted_for(connection, recipients, records.accepted_on(self._on, self._zone)))
        over = set()
        for message in leaving:
            key = message.recipient_key
            if taken[key] + self._under_way[key] >= self._mail.per_recipient_per_day:
                over.add(message.id)
            else:
                taken[key] += 1
        return over

    def _why_held_back(self) -> str:
        return f"held back until tomorrow: {self._mail.per_recipient_per_day} messages a day to one recipient"

    def _record_unwritten(self, waiting: Waiting, error: Exception) -> None:
        with self._store.write(durable=False) as connection:
            if isinstance(error, NotAnAddress):
                records.record_failed(connection, {waiting.id: str(error)}, handed_over=False)
                self._resolve(connection, [waiting], {waiting.id})
            else:
                records.record_parked(connection, waiting.id, error, self._on)
        if isinstance(error, NotAnAddress):
            self._report.failed += 1
        else:
            self._report.parked += 1
        self.settled(waiting.recipient_key)

    def _resolve(self, connection: Connection, some: Sequence[Waiting], done: set[int]) -> None:
        were = [message.id for message in some if message.was_parked]
        records.resolve_parked(connection, [id_ for id_ in were if id_ in done])


def _nowhere_to_go(connection: Connection, ready: Mapping[int, Written | Draft]) -> dict[int, str]:
    """The messages to boxes of ours that receive nothing, and why; whoever holds them must be reached otherwise."""
    recipients = {id_: each.message.recipient.strip().lower() for id_, each in ready.items()}
    closed = records.closed_boxes(connection, sorted(set(recipients.values())))
    return {
        id_: f"not handed over: the recipient is a box of ours that is {closed[recipient]}, and receives nothing"
        for id_, recipient in recipients.items()
        if recipient in closed
    }


def due_by(on: date, zone: ZoneInfo) -> datetime:
    """The moment by which a message must be due to be delivered now, on that business date.

    A date may be replayed before it has come; what is due at its beginning is due then.
    """
    return max(clock.now(), _midnight(on, zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The moment at which a business date begins, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _id_of(found: Found) -> int:
    return found.message_id if isinstance(found, Unfit) else found.message.id


def _within_memory(batch: Sequence[Waiting]) -> Sequence[Waiting]:
    """The messages at the head of the batch that together have no more lines than fit; at least one."""
    lines = 0
    for number, message in enumerate(batch):
        lines += message.lines
        if lines > _LINES_AT_A_TIME and number > 0:
            return batch[:number]
    return batch
