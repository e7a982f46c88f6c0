"""A real SMTP server for tests, on a loopback port of its own, that does what the recipient's name asks for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST = "127.0.0.1"

_ANSWERS = {
    "later": "451 4.7.1 Greylisted, try again",
    "never": "550 5.1.1 <never@example.it>: Recipient address rejected",
    "closing": "421 4.3.2 Shutting down",
}


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
    """Accepts everything, except for the recipients named in `_ANSWERS`, `full@` and `drop@`."""

    port: int
    delivered: list[Delivered] = field(default_factory=list)
    sessions: int = 0
    when_announced: Callable[[], None] | None = None
    when_taken: Callable[[], None] | None = None
    refuse_sender: str | None = None
    close_after: int | None = None

    async def handle_EHLO(  # noqa: N802 -- aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.sessions += 1
        return responses

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
        answer = _ANSWERS.get(address.partition("@")[0])
        if answer is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 -- same
        recipient = envelope.rcpt_tos[0]
        if recipient.startswith("drop@"):
            cast(Any, server).transport.abort()
            return "451 never read"
        if recipient.startswith("full@"):
            return "552 5.2.2 Mailbox full"
        self.delivered.append(Delivered(recipient, cast(bytes, envelope.original_content)))
        if self.when_taken is not None:
            self.when_taken()
        return "250 2.0.0 Queued"


@contextmanager
def mail_server(*, utf8: bool = True, password: str | None = None) -> Iterator[MailServer]:
    """A server that runs for the length of the block; with a password, only for who gives it."""
    handler = MailServer(free_port())
    options: dict[str, Any] = {"enable_SMTPUTF8": utf8}
    if password is not None:

        def authenticate(*arguments: object) -> AuthResult:
            given = arguments[-1]
            right = isinstance(given, LoginPassword) and given.password == password.encode()
            return AuthResult(success=right, handled=False)

        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
    controller = Controller(handler, hostname=HOST, port=handler.port, **options)
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


def free_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
