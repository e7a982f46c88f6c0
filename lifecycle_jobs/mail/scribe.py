"""Writing letters: from what a message says to the bytes that leave. Costs more time than all the rest of a delivery.

So a long queue has its letters written by a process of its own, beside the one that hands over and records; there a
second core does what would otherwise hold up every connection. It knows neither database nor server: it is given what
messages say, some at a time, and gives back envelopes. When the other end of its pipe is gone, by a kill too, it ends.

Alternative: threads. They would take turns with the connections on one core.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Final, NamedTuple, Protocol, Self

from lifecycle_jobs.errors import RunStopped
from lifecycle_jobs.mail.addresses import wire_address
from lifecycle_jobs.mail.contents import Content, Locale
from lifecycle_jobs.mail.identity import message_id
from lifecycle_jobs.mail.mime import Stationery
from lifecycle_jobs.mail.render import Renderer
from lifecycle_jobs.mail.transports import Outgoing
from lifecycle_jobs.settings import Settings


class Draft(NamedTuple):
    """What a letter is written from. It knows nothing of the database, so that the other process need not either."""

    key: str
    kind: str
    customer_id: str
    created_on: date
    recipient: str
    locale: Locale
    content: Content


Written = Outgoing | Exception
"""An envelope, or why there is none."""

_GIVES_WAY: Final = 10
"""Who writes ahead gives way to those who hand over and record, for whom somebody waits."""

_ENDS_WITHIN: Final = 5.0
_GONE: Final = "The process that writes letters has ended. What had left is recorded, the rest stays in the queue."


class Desk(Protocol):
    """Where letters are written. What was given in is to be taken out, in turn."""

    @property
    def ready(self) -> bool:
        """Whether `take` would not have to wait for anybody."""

    def give(self, some: Sequence[Draft], moment: datetime) -> None:
        """Have these written; `moment` is what their Date says."""

    def take(self) -> list[Written]:
        """What was given first and not taken yet, in its order."""


class Scribe:
    """Writes in this process, when it is asked for what it has written."""

    def __init__(self, settings: Settings, renderer: Renderer) -> None:
        self._stationery = Stationery(settings)
        self._renderer = renderer
        self._domain = settings.mail.message_id_domain
        self._given: list[tuple[Sequence[Draft], datetime]] = []

    @property
    def ready(self) -> bool:
        """There is nobody to wait for."""
        return True

    def give(self, some: Sequence[Draft], moment: datetime) -> None:
        """Keep them until they are asked for."""
        self._given.append((some, moment))

    def take(self) -> list[Written]:
        """Write what was given first."""
        some, moment = self._given.pop(0)
        return [self.written(draft, moment) for draft in some]

    def written(self, draft: Draft, moment: datetime) -> Written:
        """One envelope, or the error for which it cannot be written."""
        try:
            return self._envelope(draft, moment)
        except Exception as error:  # noqa: BLE001 -- one that cannot be written is recorded, the others go out
            return error

    def _envelope(self, draft: Draft, moment: datetime) -> Outgoing:
        recipient = wire_address(draft.recipient)
        return Outgoing(
            key=draft.key,
            kind=draft.kind,
            customer_id=draft.customer_id,
            created_on=draft.created_on,
            sender=self._stationery.sender,
            recipient=recipient,
            needs_smtputf8=self._stationery.needs_smtputf8(recipient),
            content=self._stationery.write(
                self._renderer.render(draft.content, draft.locale),
                kind=draft.content.kind,
                locale=draft.locale,
                message_id=message_id(draft.key, self._domain),
                name=draft.content.holder.name,
                recipient=recipient,
                moment=moment,
            ),
        )


class ScribeProcess:
    """Has another process write, while this one goes on. Open for the length of a `with` block.

    What it has written is read at once by a thread, whether it is asked for or not: while nobody read that, the other
    process would read nothing either, and whoever had more to give than a pipe holds would wait for ever.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._written: SimpleQueue[list[Written] | None] = SimpleQueue()
        self._asked_for = 0

    def __enter__(self) -> Self:
        # Its own module by name: with `multiprocessing` it would first run this program's entry point again.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from lifecycle_jobs.mail.scribe import serve; serve()"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        incoming, outgoing = self._pipes
        _send(incoming, self._settings)
        threading.Thread(target=self._read, args=(outgoing,), name="scribe", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        with suppress(BrokenPipeError):  # what it was to be told last, if it is gone
            self._pipes[0].close()
        try:
            self._process.wait(0 if self._asked_for else _ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it holds nothing that anybody would miss
            self._process.wait()

    @property
    def ready(self) -> bool:
        """Whether something is written."""
        return not self._written.empty()

    def give(self, some: Sequence[Draft], moment: datetime) -> None:
        """Have these written. Raises RunStopped if the other process is gone, as `take` does."""
        try:
            _send(self._pipes[0], (some, moment))
        except BrokenPipeError as error:
            raise RunStopped(_GONE) from error
        self._asked_for += 1

    def take(self) -> list[Written]:
        """Wait for what was given first."""
        written = self._written.get()
        if written is None:
            self._written.put(None)
            raise RunStopped(_GONE)
        self._asked_for -= 1
        return written

    def _read(self, outgoing: IO[bytes]) -> None:
        try:
            with suppress(EOFError, pickle.UnpicklingError), outgoing:
                while True:
                    self._written.put(pickle.load(outgoing))  # noqa: S301 -- a pipe between two processes of ours
        finally:
            self._written.put(None)

    @property
    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._process is not None  # noqa: S101 -- for the type checker: used inside the block only
        assert self._process.stdin is not None  # noqa: S101 -- same
        assert self._process.stdout is not None  # noqa: S101 -- same
        return self._process.stdin, self._process.stdout


def serve() -> None:
    """The other process: settings come in first, then what messages say; the answers go out in the same order."""
    os.nice(_GIVES_WAY)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # whoever asked decides when this ends
    # Not `sys.stdout.buffer`: under PYTHONUNBUFFERED it writes only a part of what does not fit into the pipe at once.
    with (
        suppress(EOFError, BrokenPipeError, pickle.UnpicklingError),  # the last: killed while it was giving some
        open(sys.stdin.fileno(), "rb", closefd=False) as incoming,
        open(sys.stdout.fileno(), "wb", closefd=False) as outgoing,
    ):
        settings: Settings = pickle.load(incoming)  # noqa: S301 -- a pipe between two processes of ours
        scribe = Scribe(settings, Renderer(settings.templates.directory))
        while True:
            some, moment = pickle.load(incoming)  # noqa: S301 -- as above
            outgoing.write(_packed([scribe.written(draft, moment) for draft in some]))
            outgoing.flush()


def _send(pipe: IO[bytes], what: object) -> None:
    pickle.dump(what, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _packed(some: list[Written]) -> bytes:
    try:
        return pickle.dumps(some, pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001 -- whatever keeps one of them from being sent
        return pickle.dumps([_sendable(written) for written in some], pickle.HIGHEST_PROTOCOL)


def _sendable(written: Written) -> Written:
    """Errors of templates hold frames that cannot be sent; what they say can."""
    try:
        pickle.dumps(written)
    except Exception:  # noqa: BLE001 -- as above
        return RuntimeError(f"{type(written).__name__}: {written}")
    return written
