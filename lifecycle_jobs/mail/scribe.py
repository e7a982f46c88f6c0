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
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Protocol, Self

from lifecycle_jobs.errors import RunStopped
from lifecycle_jobs.mail.addresses import wire_address
from lifecycle_jobs.mail.gather import Ready
from lifecycle_jobs.mail.identity import message_id
from lifecycle_jobs.mail.mime import Stationery
from lifecycle_jobs.mail.render import Renderer
from lifecycle_jobs.mail.transports import Outgoing
from lifecycle_jobs.settings import Settings

Written = Outgoing | Exception
"""An envelope, or why there is none."""

_ENDS_WITHIN: Final = 5.0
_GONE: Final = "The process that writes letters has ended. What had left is recorded, the rest stays in the queue."


class Desk(Protocol):
    """Where letters are written. What was given in is to be taken out, in turn, before more than one more is given."""

    def give(self, some: Sequence[Ready], moment: datetime) -> None:
        """Have these written; `moment` is what their Date says."""

    def take(self) -> list[Written]:
        """What was given first and not taken yet, in its order."""


class Scribe:
    """Writes in this process, when it is asked for what it has written."""

    def __init__(self, settings: Settings, renderer: Renderer) -> None:
        self._stationery = Stationery(settings)
        self._renderer = renderer
        self._domain = settings.mail.message_id_domain
        self._given: list[tuple[Sequence[Ready], datetime]] = []

    def give(self, some: Sequence[Ready], moment: datetime) -> None:
        """Keep them until they are asked for."""
        self._given.append((some, moment))

    def take(self) -> list[Written]:
        """Write what was given first."""
        some, moment = self._given.pop(0)
        return [self.written(ready, moment) for ready in some]

    def written(self, ready: Ready, moment: datetime) -> Written:
        """One envelope, or the error for which it cannot be written."""
        try:
            return self._envelope(ready, moment)
        except Exception as error:  # noqa: BLE001 -- one that cannot be written is recorded, the others go out
            return error

    def _envelope(self, ready: Ready, moment: datetime) -> Outgoing:
        message, content = ready.message, ready.content
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
                self._renderer.render(content, ready.locale),
                kind=content.kind,
                locale=ready.locale,
                message_id=message_id(message.key, self._domain),
                name=content.holder.name,
                recipient=recipient,
                moment=moment,
            ),
        )


class ScribeProcess:
    """Has another process write, while this one goes on. Open for the length of a `with` block."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # Its own module by name: with `multiprocessing` it would first run this program's entry point again.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from lifecycle_jobs.mail.scribe import serve; serve()"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        _send(self._pipes[0], self._settings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        for pipe in self._pipes:
            with suppress(BrokenPipeError):  # what it was to be told last, if it is gone
                pipe.close()
        try:
            self._process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def give(self, some: Sequence[Ready], moment: datetime) -> None:
        """Have these written. Raises RunStopped if the other process is gone, as `take` does."""
        try:
            _send(self._pipes[0], (some, moment))
        except BrokenPipeError as error:
            raise RunStopped(_GONE) from error

    def take(self) -> list[Written]:
        """Wait for what was given first."""
        try:
            written: list[Written] = pickle.load(self._pipes[1])  # noqa: S301 -- a pipe between two of our own processes
        except (EOFError, pickle.UnpicklingError) as error:
            raise RunStopped(_GONE) from error
        return written

    @property
    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._process is not None  # noqa: S101 -- for the type checker: used inside the block only
        assert self._process.stdin is not None  # noqa: S101 -- same
        assert self._process.stdout is not None  # noqa: S101 -- same
        return self._process.stdin, self._process.stdout


def serve() -> None:
    """The other process: settings come in first, then what messages say; the answers go out in the same order."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # whoever asked decides when this ends
    # Not `sys.stdout.buffer`: under PYTHONUNBUFFERED it writes only a part of what does not fit into the pipe at once.
    with (
        suppress(EOFError, BrokenPipeError),
        open(sys.stdin.fileno(), "rb", closefd=False) as incoming,
        open(sys.stdout.fileno(), "wb", closefd=False) as outgoing,
    ):
        settings: Settings = pickle.load(incoming)  # noqa: S301 -- as above
        scribe = Scribe(settings, Renderer(settings.templates.directory))
        while True:
            some, moment = pickle.load(incoming)  # noqa: S301 -- as above
            _send(outgoing, [_sendable(scribe.written(ready, moment)) for ready in some])


def _send(pipe: IO[bytes], what: object) -> None:
    pickle.dump(what, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _sendable(written: Written) -> Written:
    """Errors of templates hold frames that cannot be sent; what they say can."""
    try:
        pickle.dumps(written)
    except Exception:  # noqa: BLE001 -- whatever keeps it from being sent
        return RuntimeError(f"{type(written).__name__}: {written}")
    return written
