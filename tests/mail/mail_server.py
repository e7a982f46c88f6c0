"""A real SMTP server for tests, on a loopback port of its own, that does what the recipient's name asks for.

In a thread of the test (`mail_server`), or in a process of its own (`MailProcess`), which can be stopped and started
again on the same port and keeps a journal of what arrived.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST = "127.0.0.1"

_ANSWERS = {
    "later": "451 4.7.1 Greylisted, try again",
    "never": "550 5.1.1 <never@example.it>: Recipient address rejected",
    "closing": "421 4.3.2 Shutting down",
}
_ROOT = Path(__file__).parents[2]
_MESSAGE_ID = re.compile(rb"^Message-ID: (\S+)\r$", re.MULTILINE)


@dataclass
class Delivered:
    """A message as the server took it."""

    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=default)


@dataclass
class MailServer:
    """Accepts everything, but for recipients whose name begins with a word that says what happens to them.

    `later`, `never`, `closing`: refused with 451, 550, 421. `full`: refused after the text. `cut`: the connection is
    dropped in the middle of the text. `drop`: after the text, which is not taken. `taken`: after the text, which is
    taken, but nobody is told. `slow`: the answer to the text takes `slowness` seconds. With `-once` after the word it
    happens the first time only.
    """

    port: int
    delivered: list[Delivered] = field(default_factory=list)
    sessions: int = 0
    open_now: int = 0
    most_at_once: int = 0
    answer: str = "250 2.0.0 Queued"
    slowness: float = 0.3
    pipelining: bool = False
    when_announced: Callable[[], None] | None = None
    when_taken: Callable[[], None] | None = None
    refuse_sender: str | None = None
    close_after: int | None = None
    most_connections: int | None = None
    journal: Path | None = None
    _seen: set[str] = field(default_factory=set)

    async def handle_EHLO(  # noqa: N802 -- aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.sessions += 1
        return [responses[0], *(["250-PIPELINING"] if self.pipelining else []), *responses[1:]]

    async def handle_MAIL(  # noqa: N802 -- same
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuse_sender is not None:
            return self.refuse_sender
        if self.close_after is not None and len(self.delivered) >= self.close_after * self.sessions:
            cast(Any, server).transport.abort()
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 -- same
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.when_announced is not None:
            self.when_announced()
        answer = _ANSWERS.get(word_of(address))
        if answer is not None and self.misbehaves(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 -- same
        recipient = envelope.rcpt_tos[0]
        word = word_of(recipient) if self.misbehaves(recipient) else ""
        if word == "drop":
            cast(Any, server).transport.abort()
            return "451 never read"
        if word == "full":
            return "552 5.2.2 Mailbox full"
        self._take(Delivered(recipient, cast(bytes, envelope.original_content)))
        if word == "taken":
            cast(Any, server).transport.abort()
        if word == "slow":
            await asyncio.sleep(self.slowness)
        return self.answer

    def misbehaves(self, recipient: str) -> bool:
        """Whether what the recipient's name says is to happen now."""
        if "-once" in recipient and recipient in self._seen:
            return False
        self._seen.add(recipient)
        return True

    def _take(self, delivered: Delivered) -> None:
        if self.journal is None:
            self.delivered.append(delivered)
        else:
            found = _MESSAGE_ID.search(delivered.content)
            assert found is not None
            with self.journal.open("a", encoding="utf-8") as journal:
                journal.write(json.dumps([delivered.recipient, found[1].decode()]) + "\n")
        if self.when_taken is not None:
            self.when_taken()


def word_of(recipient: str) -> str:
    """What a recipient's name begins with."""
    return re.split(r"[-@]", recipient, maxsplit=1)[0]


class _Server(SMTP):
    """Counts the connections that are open, and drops those that are to be cut in the middle of a text."""

    event_handler: MailServer

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.event_handler.open_now += 1
        most = self.event_handler.most_connections
        if most is not None and self.event_handler.open_now > most:
            transport.abort()
        self.event_handler.most_at_once = max(self.event_handler.most_at_once, self.event_handler.open_now)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.open_now -= 1
        super().connection_lost(error)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 -- aiosmtpd's name
        recipients = self.envelope.rcpt_tos if self.envelope is not None else []
        if recipients and word_of(recipients[0]) == "cut" and self.event_handler.misbehaves(recipients[0]):
            await self.push("354 Go on")
            await cast(Any, self)._reader.readuntil(b"\r\n")
            cast(Any, self).transport.abort()
            return
        await super().smtp_DATA(arg)


class _Controller(Controller):
    def factory(self) -> _Server:
        return _Server(self.handler, **self.SMTP_kwargs)


@contextmanager
def mail_server(
    *, utf8: bool = True, password: str | None = None, certificate: Path | None = None, tls: str = "starttls"
) -> Iterator[MailServer]:
    """A server that runs for the length of the block; with a password, only for who gives it.

    With a `certificate` (and its key, in one file) it wants to be spoken to by `starttls` or `tls`.
    """
    handler = MailServer(free_port())
    options: dict[str, Any] = {"enable_SMTPUTF8": utf8}
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        options |= {"tls_context": context, "require_starttls": True} if tls == "starttls" else {"ssl_context": context}
    if password is not None:

        def authenticate(*arguments: object) -> AuthResult:
            given = arguments[-1]
            right = isinstance(given, LoginPassword) and given.password == password.encode()
            return AuthResult(success=right, handled=False)

        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": certificate is not None}
    controller = _Controller(handler, hostname=HOST, port=handler.port, **options)
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


class Arrived(NamedTuple):
    """A message that the server took."""

    recipient: str
    message_id: str


class MailProcess:
    """The server in a process of its own, for the length of a block. It keeps its port and its journal."""

    def __init__(self, folder: Path, *, slowness: float = 0.3) -> None:
        self.port = free_port()
        self._journal = folder / "arrived.jsonl"
        self._slowness = slowness
        self._process: subprocess.Popen[str] | None = None

    def arrived(self) -> list[Arrived]:
        """Everything it took, in order, since the first start."""
        text = self._journal.read_text(encoding="utf-8") if self._journal.exists() else ""
        return [Arrived(*json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def size(self) -> int:
        """How many messages it took: quicker than `arrived`."""
        return self._journal.read_bytes().count(b"\n") if self._journal.exists() else 0

    def recipients(self) -> Counter[str]:
        """How many messages arrived for whom."""
        return Counter(each.recipient for each in self.arrived())

    def start(self) -> None:
        """Open for business, also again."""
        command = [sys.executable, "-m", "tests.mail.mail_server"]
        self._process = subprocess.Popen(
            [*command, str(self.port), str(self._journal), str(self._slowness)],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def stop(self) -> None:
        """Close at once, whatever is under way."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()


def free_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def main(arguments: Sequence[str]) -> None:
    """Serve on a port until killed."""
    port, journal, slowness = arguments
    handler = MailServer(int(port), journal=Path(journal), slowness=float(slowness))
    _Controller(handler, hostname=HOST, port=handler.port).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
