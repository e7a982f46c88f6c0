"""Writing letters: from a queued message to the bytes that leave. Costs more time than all the rest of a delivery.

So a long queue has its letters written by a process of its own, beside the one that hands over and records; there a
second core does what would otherwise hold up every connection. It reads the database over a connection of its own and
writes nothing to it: it is told the ids of messages, some at a time, and gives back envelopes and what is to be
recorded. When the other end of its pipe is gone, by a kill too, it ends.

Alternatives: threads, which would take turns with the connections on one core; or to read and put together where is
handed over, which was tried: meanwhile every connection waited.
"""

from __future__ import annotations

import io
import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Final, NamedTuple, Protocol, Self, cast

from lifecycle_jobs import clock
from lifecycle_jobs.db.faults import concerns_one_row
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.errors import RunStopped
from lifecycle_jobs.mail.addresses import wire_address
from lifecycle_jobs.mail.beside import at_work, begin, receive, send
from lifecycle_jobs.mail.facts import Message
from lifecycle_jobs.mail.gather import Gathered, Office, Pointless, Ready, Unfit, gather
from lifecycle_jobs.mail.identity import message_id
from lifecycle_jobs.mail.mime import Stationery
from lifecycle_jobs.mail.render import Renderer
from lifecycle_jobs.mail.transports import Outgoing
from lifecycle_jobs.settings import Settings


class Written(NamedTuple):
    """A message that has something to say: its envelope, or why there is none. `marks` as in `gather.Ready`.

    `read_at` is when reading it began, by a clock that all processes of this machine share.
    """

    message: Message
    marks: Mapping[int, bool]
    envelope: Outgoing | Exception
    read_at: float


class Draft(NamedTuple):
    """The same, but not written before it is wanted: who also has connections to look after writes one at a time."""

    message: Message
    marks: Mapping[int, bool]
    write: Callable[[], Outgoing | Exception]
    read_at: float


Found = Written | Draft | Pointless | Unfit
"""What became of a message at the desk."""

_GIVES_WAY: Final = 10
"""Who writes ahead gives way to those who hand over and record, for whom somebody waits."""

_ENDS_WITHIN: Final = 5.0
_GONE: Final = "The process that writes letters has ended. What had left is recorded, the rest stays in the queue."
_STANDS_STILL: Final = (
    "The process that writes letters has not answered within workers.time_out = {} seconds, and was ended. What had "
    "left is recorded, the rest stays in the queue."
)

_AT_LEAST: Final = 10.0
"""Seconds for which an answer is waited for in any case: who was paused itself must not find that the other was."""


class Desk(Protocol):
    """Where letters are written. What was given in is to be taken out, in turn."""

    @property
    def ready(self) -> bool:
        """Whether `take` would not have to wait for anybody."""

    def give(self, message_ids: Sequence[int], moment: datetime) -> None:
        """Have these written; `moment` is what their Date says."""

    def take(self) -> list[Found]:
        """What was given first and not taken yet, in the order of the ids. Raises what keeps all from being read."""


class Scribe:
    """Writes in this process: what it is asked for are drafts."""

    def __init__(self, store: Store, settings: Settings, on: date) -> None:
        self._store = store
        self._office = Office(settings, on)
        self._stationery = Stationery(settings)
        self._renderer = Renderer(settings.templates.directory)
        self._domain = settings.mail.message_id_domain
        self._given: list[tuple[Sequence[int], datetime]] = []

    @property
    def ready(self) -> bool:
        """There is nobody to wait for."""
        return True

    def give(self, message_ids: Sequence[int], moment: datetime) -> None:
        """Keep them until they are asked for."""
        self._given.append((message_ids, moment))

    def take(self) -> list[Found]:
        """Read what was given first, and put it together."""
        message_ids, moment = self._given.pop(0)
        now = clock.running()
        return [
            Draft(each.message, each.marks, partial(self._written, each, moment), now)
            if isinstance(each, Ready)
            else each
            for each in self._gathered(message_ids)
        ]

    def found(self, message_ids: Sequence[int], moment: datetime) -> list[Found]:
        """Read these messages, put them together as they are now, and write those that still have something to say."""
        now = clock.running()
        return [
            Written(each.message, each.marks, self._written(each, moment), now) if isinstance(each, Ready) else each
            for each in self._gathered(message_ids)
        ]

    def _gathered(self, message_ids: Sequence[int]) -> Iterator[Gathered]:
        """The messages put together; if reading them fails, the halves are tried, until what fails stands alone."""
        try:
            with self._store.read() as connection:
                found = gather(connection, message_ids, self._office)
        except Exception as error:
            if not concerns_one_row(error):
                raise  # nothing is wrong with the messages: the next pass reads them
            if len(message_ids) == 1:
                yield Unfit(message_ids[0], error)
                return
            middle = len(message_ids) // 2
            yield from self._gathered(message_ids[:middle])
            yield from self._gathered(message_ids[middle:])
        else:
            yield from found

    def _written(self, ready: Ready, moment: datetime) -> Outgoing | Exception:
        """One envelope, or the error for which it cannot be written."""
        try:
            return self._envelope(ready, moment)
        except Exception as error:  # noqa: BLE001 -- one that cannot be written is recorded, the others go out
            return error

    def _envelope(self, ready: Ready, moment: datetime) -> Outgoing:
        message = ready.message
        recipient = wire_address(message.recipient)
        return Outgoing(
            key=message.key,
            kind=message.kind,
            customer_id=message.customer_id,
            created_on=message.created_on,
            sender=self._stationery.sender,
            recipient=recipient,
            needs_smtputf8=self._stationery.needs_smtputf8(recipient),
            content=self._stationery.write(
                self._renderer.render(ready.content, ready.locale),
                kind=ready.content.kind,
                locale=ready.locale,
                message_id=message_id(message.key, self._domain),
                name=ready.content.holder.name,
                recipient=recipient,
                moment=moment,
            ),
        )


class ScribeProcess:
    """Has another process write, while this one goes on. Open for the length of a `with` block.

    What it has written is read at once by a thread, whether it is asked for or not: while nobody read that, the other
    process would read nothing either, and whoever had more to give than a pipe holds would wait for ever.
    """

    def __init__(self, store: Store, settings: Settings, on: date) -> None:
        self._told = store.engine.url.render_as_string(hide_password=False), settings, on
        self._found: SimpleQueue[list[Found] | Exception | None] = SimpleQueue()
        self._asked_for = 0
        self._patience = settings.workers.time_out
        self._silent_from = 0.0
        self._up = threading.Event()

    def __enter__(self) -> Self:
        self._process = begin(__name__)
        self._incoming = cast("IO[bytes]", self._process.stdin)
        threading.Thread(target=self._read, args=(self._process.stdout,), name="scribe", daemon=True).start()
        self._tell(self._told)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError):  # what it was to be told last, if it is gone
            self._incoming.close()
        try:
            self._process.wait(0 if self._asked_for else _ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it holds nothing that anybody would miss
            self._process.wait()

    @property
    def up(self) -> bool:
        """Whether it has started, or will not any more; before, whoever gives it something waits for that too."""
        return self._up.is_set()

    @property
    def ready(self) -> bool:
        """Whether something is written, or should have been long ago."""
        return not self._found.empty() or (self._asked_for > 0 and self._waits_for <= 0)

    def give(self, message_ids: Sequence[int], moment: datetime) -> None:
        """Have these written. Raises RunStopped if the other process is gone, as `take` does."""
        if not self._asked_for:
            self._silent_from = clock.running()
        self._tell((message_ids, moment))
        self._asked_for += 1

    @property
    def _waits_for(self) -> float:
        return self._silent_from + self._patience - clock.running()

    def take(self) -> list[Found]:
        """Wait for what was given first. Raises RunStopped if the other process is gone, or stands still."""
        try:
            found = self._found.get(timeout=max(_AT_LEAST, self._waits_for))
        except Empty as error:
            raise RunStopped(_STANDS_STILL.format(self._patience)) from error
        if found is None:
            self._found.put(None)
            raise RunStopped(_GONE)
        self._asked_for -= 1
        self._silent_from = clock.running()
        if isinstance(found, Exception):
            raise found
        return found

    def _read(self, outgoing: IO[bytes]) -> None:
        try:
            with suppress(EOFError), outgoing:
                receive(outgoing)
                self._up.set()
                while True:
                    self._found.put(receive(outgoing))
        finally:
            self._found.put(None)
            self._up.set()

    def _tell(self, what: object) -> None:
        try:
            send(self._incoming, what)
        except BrokenPipeError as error:
            raise RunStopped(_GONE) from error


class HereAtFirst:
    """Writes here until the other process has started, which takes half a second, and has it write from then on."""

    def __init__(self, here: Scribe, there: ScribeProcess) -> None:
        self._here = here
        self._there = there
        self._turns: deque[Desk] = deque()

    @property
    def ready(self) -> bool:
        """Whether what is to be taken next is written, or would be written here."""
        return not self._turns or self._turns[0].ready

    def give(self, message_ids: Sequence[int], moment: datetime) -> None:
        """Have these written, here or there. Raises RunStopped if the other process is gone."""
        desk: Desk = self._there if self._there.up else self._here
        desk.give(message_ids, moment)
        self._turns.append(desk)

    def take(self) -> list[Found]:
        """Wait for what was given first."""
        return self._turns.popleft().take()


def serve() -> None:
    """The other process: what it is to know comes in first, then ids.

    It says when it is there, and then gives its answers in the order in which it was asked.
    """
    os.nice(_GIVES_WAY)
    with suppress(EOFError, BrokenPipeError), at_work() as (incoming, outgoing):
        url, settings, on = receive(incoming)
        scribe = Scribe(open_store(url, cache_mib=4), settings, on)
        send(outgoing, None)
        while True:
            message_ids, moment = receive(incoming)
            try:
                answer: list[Found] | Exception = [_sendable(each) for each in scribe.found(message_ids, moment)]
            except Exception as error:  # noqa: BLE001 -- it is raised in the process that asked, see `take`
                answer = _sendable_error(error)
            send(outgoing, answer)


def _sendable(found: Found) -> Found:
    match found:
        case Unfit(message_id, error):
            return Unfit(message_id, _sendable_error(error))
        case Written(envelope=Exception() as error):
            return found._replace(envelope=_sendable_error(error))
    return found


def _sendable_error(error: Exception) -> Exception:
    """Errors of templates hold frames that cannot be sent, others cannot be read again; what they say can."""
    pipe = io.BytesIO()
    try:
        send(pipe, error)
        pipe.seek(0)
        receive(pipe)
    except Exception:  # noqa: BLE001 -- an error's own __reduce__, or __init__, may raise anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
