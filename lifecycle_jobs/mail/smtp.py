"""Handing messages over to a mail server: one connection for many messages, opened with the first one.

What a reply means: 2xx accepted; 4xx later; 5xx to the recipient or the text, never. A refusal that is not about the
message (no connection, no TLS, a wrong password, a sender that is not allowed, 421) must not cost any message its
delivery: it is temporary and ends the delivery, for a person to look at.

A connection that breaks after the text was sent and before the answer came leaves it open whether the message was
taken. It is tried again, with the same Message-ID: twice is a nuisance, not at all is a box lost unwarned.

Replies are waited for where the server wants it so; where it knows PIPELINING (RFC 2920) sender, recipient and DATA
go in one piece. `smtplib` opens the connection and knows about TLS and passwords; per message it is not asked, because
its reading and writing of addresses costs more than the server's answer.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from smtplib import SMTP, SMTP_SSL, SMTPException, SMTPResponseException
from types import TracebackType
from typing import Final, NamedTuple, Self

from lifecycle_jobs.mail.addresses import WireAddress, wire_address
from lifecycle_jobs.mail.transports import (
    Accepted,
    MayHandOver,
    Outcome,
    Outgoing,
    PermanentFailure,
    TemporaryFailure,
    Withheld,
    at_once,
)
from lifecycle_jobs.settings.mail import MailSettings

_POSITIVE: Final = range(200, 300)
_PERMANENT: Final = range(500, 600)
"""What a server's codes mean (RFC 5321, 4.2.1)."""

_CLOSING: Final = 421
_GO_ON: Final = 354
_REFUSALS: Final = 400
_LOSSES_IN_A_ROW: Final = 5
"""So many connections lost one after the other, and it is the server and not the message."""


class _Reply(NamedTuple):
    code: int
    text: str

    @property
    def positive(self) -> bool:
        return self.code in _POSITIVE

    @property
    def permanent(self) -> bool:
        return self.code in _PERMANENT

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class _NoConnection(Exception):
    """The server cannot be talked to: not at all, or (`more`) not over one more connection than there are."""

    def __init__(self, why: str, *, more: bool) -> None:
        super().__init__(why)
        self.more = more


class Door:
    """What the connections of one delivery know of each other.

    They are opened one after the other, so that a server that is out is asked once and not by all of them; and a
    server that wants no more connections than it has is left with those.
    """

    def __init__(self) -> None:
        self.losses = 0
        self._alone = threading.Lock()
        self._open = 0
        self._shut: str | None = None
        self._own_name: str | None = None

    def open(self, mail: MailSettings) -> SMTP:
        """A connection, ready for the first message; raises _NoConnection."""
        with self._alone:
            if self._shut is not None:
                raise _NoConnection(self._shut, more=False)
            try:
                smtp = _connected(mail, self._own_name)
            except (OSError, ValueError) as error:
                why = f"{mail.host}:{mail.port}: {_reason(error)}"
                if not self._open:
                    self._shut = why
                raise _NoConnection(why, more=bool(self._open)) from error
            self._open += 1
            self._own_name = smtp.local_hostname  # asking for it may take the resolver's time
            return smtp

    def left(self) -> None:
        """A connection is no more."""
        with self._alone:
            self._open -= 1


class SmtpRelay:
    """A connection to a mail server that takes messages for everybody. What it accepted cannot be taken back.

    With `mail.redirect_to` every message goes to that address, whoever its recipient is.
    """

    repeatable = False

    def __init__(self, settings: MailSettings, door: Door | None = None) -> None:
        self._settings = settings
        self._redirect_to = wire_address(settings.redirect_to) if settings.redirect_to else None
        self._door = door or Door()
        self._smtp: SMTP | None = None
        self._used = False
        self._unfinished = False

    def send(self, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
        """Hand one message over, on the open connection if there is one.

        `may_hand_over` is asked when the server waits for the text: everything before is undone by hanging up.
        """
        used = self._used
        outcome, handed_over = self._attempt(envelope, may_hand_over)
        if used and not handed_over and self._smtp is None and not isinstance(outcome, Withheld):
            # Servers close a connection that was idle or has carried enough; that says nothing about the next one.
            outcome, _ = self._attempt(envelope, may_hand_over)
        return outcome

    def _attempt(self, envelope: Outgoing, may_hand_over: MayHandOver) -> tuple[Outcome, bool]:
        """What came of it, and whether the message itself may have reached the server."""
        handed_over = False
        try:
            smtp = self._ready()
            refusal = self._announce(smtp, envelope)
            if refusal is not None:
                return refusal, handed_over
            if not may_hand_over():
                self._drop()
                return Withheld(), handed_over
            handed_over = True
            smtp.send(_with_dots(envelope.content))
            return self._judge(_reply(smtp)), handed_over
        except _NoConnection as error:
            return TemporaryFailure(str(error), unavailable=not error.more, attempted=False), handed_over
        except OSError as error:  # SMTPException is one too
            self._drop()
            self._door.losses += 1
            lost = f"connection lost: {_reason(error)}"
            return TemporaryFailure(lost, unavailable=self._door.losses >= _LOSSES_IN_A_ROW), handed_over

    def _ready(self) -> SMTP:
        if self._smtp is None:
            self._smtp = self._door.open(self._settings)
        elif self._unfinished:
            self._smtp.rset()  # leaves nothing of a refused message behind
        self._used = self._unfinished = True
        return self._smtp

    def _announce(self, smtp: SMTP, envelope: Outgoing) -> Outcome | None:
        """Sender, recipient and DATA; the outcome if one of them is refused."""
        options = ""
        if envelope.needs_smtputf8:
            if not smtp.has_extn("smtputf8"):
                return PermanentFailure("the mail server cannot write to addresses with such letters before the @")
            options = " SMTPUTF8 BODY=8BITMIME"
        recipient: WireAddress = self._redirect_to or envelope.recipient
        commands = [f"MAIL FROM:<{envelope.sender}>{options}\r\n", f"RCPT TO:<{recipient}>\r\n", "DATA\r\n"]
        sender, *others = _told(smtp, [command.encode() for command in commands])
        if sender.permanent and not options:
            # The sender is the same for all messages: this is a setting to correct, not a message to give up.
            return TemporaryFailure(f"sender refused: {sender}", unavailable=True, attempted=False)
        for reply in (sender, *others):
            if not reply.positive and reply.code != _GO_ON:
                return self._judge(reply)
        return None

    def _judge(self, reply: _Reply) -> Outcome:
        self._door.losses = 0
        if reply.positive:
            self._unfinished = False
            return Accepted(str(reply))
        if reply.permanent:
            return PermanentFailure(str(reply))
        if reply.code == _CLOSING or reply.code < _REFUSALS:  # the latter is no answer to what was asked
            self._drop()
        return TemporaryFailure(str(reply), unavailable=reply.code == _CLOSING)

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        self._used = self._unfinished = False
        if smtp is not None:
            self._door.left()
            smtp.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._smtp is not None and error is None:
            with suppress(OSError):
                self._smtp.quit()
        self._drop()


def _connected(mail: MailSettings, own_name: str | None) -> SMTP:
    """Raises OSError, or ValueError for a name or password that cannot be encoded."""
    smtp: SMTP | None = None
    try:
        if mail.tls == "tls":
            context = ssl.create_default_context()
            smtp = SMTP_SSL(mail.host, mail.port, own_name, timeout=mail.timeout, context=context)
        else:
            smtp = SMTP(mail.host, mail.port, own_name, timeout=mail.timeout)
        smtp.ehlo_or_helo_if_needed()
        if mail.tls == "starttls":
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo_or_helo_if_needed()
        if mail.username:
            smtp.login(mail.username, mail.password.get_secret_value())
        if smtp.sock is not None:
            smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a text ends with half a packet
    except (OSError, ValueError):
        if smtp is not None:
            smtp.close()
        raise
    return smtp


def _told(smtp: SMTP, commands: list[bytes]) -> list[_Reply]:
    """The replies to the commands; one at a time the first refusal ends it."""
    together = smtp.has_extn("pipelining")
    replies: list[_Reply] = []
    if together:
        smtp.send(b"".join(commands))
    for command in commands:
        if not together:
            smtp.send(command)
        replies.append(_reply(smtp))
        if replies[-1].code == _CLOSING or not (together or replies[-1].positive):
            break
    if replies[-1].code == _GO_ON and not all(reply.positive for reply in replies[:-1]):
        smtp.send(b".\r\n")  # RFC 2920, 3.1: it waits for a text that has no recipient
        _reply(smtp)
    return replies


def _with_dots(content: bytes) -> bytes:
    """The text with its dots doubled and its end marked (RFC 5321, 4.5.2). Its lines end in CRLF."""
    start = b"." if content.startswith(b".") else b""
    end = b"" if content.endswith(b"\r\n") else b"\r\n"
    return start + content.replace(b"\r\n.", b"\r\n..") + end + b".\r\n"


def _reply(smtp: SMTP) -> _Reply:
    code, text = smtp.getreply()
    return _Reply(code, text.decode(errors="replace"))


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    if isinstance(error, SMTPException):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return type(error).__name__  # a name or password that cannot be encoded: its text would quote it
