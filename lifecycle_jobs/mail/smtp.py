"""Handing messages over to a mail server: one connection for many messages, opened with the first one.

What a reply means: 2xx accepted; 4xx later; 5xx to the recipient or the text, never. A refusal that is not about the
message (no connection, no TLS, a wrong password, a sender that is not allowed, 421) must not cost any message its
delivery: it is temporary and ends the delivery, for a person to look at.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from smtplib import SMTP, SMTP_SSL, SMTPDataError, SMTPException, SMTPResponseException
from types import TracebackType
from typing import Final, NamedTuple, Self

from lifecycle_jobs.mail.transports import Accepted, Outcome, Outgoing, PermanentFailure, TemporaryFailure
from lifecycle_jobs.settings.sections import MailSettings

_CLOSING: Final = 421
_LOSSES_IN_A_ROW: Final = 5
"""So many connections lost one after the other, and it is the server and not the message."""


class _Reply(NamedTuple):
    code: int
    text: str

    @property
    def positive(self) -> bool:
        return 200 <= self.code <= 299  # noqa: PLR2004 -- RFC 5321, 4.2.1

    @property
    def permanent(self) -> bool:
        return 500 <= self.code <= 599  # noqa: PLR2004 -- same

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class _NoConnection(Exception):
    """The server cannot be talked to at all."""


class SmtpRelay:
    """A mail server that takes messages for everybody. Of what it accepted, nothing can be taken back."""

    repeatable = False

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._smtp: SMTP | None = None
        self._used = False
        self._unfinished = False
        self._losses = 0

    def send(self, envelope: Outgoing) -> Outcome:
        """Hand one message over, on the open connection if there is one."""
        used = self._used
        outcome, handed_over = self._attempt(envelope)
        if used and not handed_over and self._smtp is None:
            # Servers close a connection that was idle or has carried enough; that says nothing about the next one.
            outcome, _ = self._attempt(envelope)
        return outcome

    def _attempt(self, envelope: Outgoing) -> tuple[Outcome, bool]:
        """What came of it, and whether the message itself may have reached the server."""
        handed_over = False
        try:
            smtp = self._ready()
            refusal = self._announce(smtp, envelope)
            if refusal is not None:
                return refusal, handed_over
            handed_over = True
            return self._judge(self._data(smtp, envelope.content)), handed_over
        except _NoConnection as error:
            return TemporaryFailure(str(error), unavailable=True), handed_over
        except OSError as error:  # SMTPException is one too
            self._drop()
            self._losses += 1
            lost = f"connection lost: {_reason(error)}"
            return TemporaryFailure(lost, unavailable=self._losses >= _LOSSES_IN_A_ROW), handed_over

    def _ready(self) -> SMTP:
        if self._smtp is None:
            self._smtp = self._open()
        elif self._unfinished:
            self._smtp.rset()  # leaves nothing of a refused message behind
        self._used = self._unfinished = True
        return self._smtp

    def _open(self) -> SMTP:
        mail = self._settings
        smtp: SMTP | None = None
        try:
            if mail.tls == "tls":
                context = ssl.create_default_context()
                smtp = SMTP_SSL(mail.host, mail.port, timeout=mail.timeout, context=context)
            else:
                smtp = SMTP(mail.host, mail.port, timeout=mail.timeout)
            smtp.ehlo_or_helo_if_needed()
            if mail.tls == "starttls":
                smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo_or_helo_if_needed()
            if mail.username:
                smtp.login(mail.username, mail.password.get_secret_value())
        except (OSError, ValueError) as error:
            if smtp is not None:
                smtp.close()
            raise _NoConnection(f"{mail.host}:{mail.port}: {_reason(error)}") from error
        return smtp

    def _announce(self, smtp: SMTP, envelope: Outgoing) -> Outcome | None:
        """Sender and recipient; the outcome if one of them is refused."""
        options = []
        if envelope.needs_smtputf8:
            if not smtp.has_extn("smtputf8"):
                return PermanentFailure("the mail server cannot write to addresses with such letters before the @")
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        reply = _reply(*smtp.mail(str(envelope.sender), options))
        if reply.permanent and not options:
            # The sender is the same for all messages: this is a setting to correct, not a message to give up.
            return TemporaryFailure(f"sender refused: {reply}", unavailable=True)
        if not reply.positive:
            return self._judge(reply)
        reply = _reply(*smtp.rcpt(str(envelope.recipient)))
        return None if reply.positive else self._judge(reply)

    def _data(self, smtp: SMTP, content: bytes) -> _Reply:
        try:
            return _reply(*smtp.data(content))
        except SMTPDataError as error:
            return _reply(error.smtp_code, error.smtp_error)

    def _judge(self, reply: _Reply) -> Outcome:
        self._losses = 0
        if reply.positive:
            self._unfinished = False
            return Accepted(str(reply))
        if reply.permanent:
            return PermanentFailure(str(reply))
        if reply.code == _CLOSING:
            self._drop()
            return TemporaryFailure(str(reply), unavailable=True)
        return TemporaryFailure(str(reply))

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        self._used = self._unfinished = False
        if smtp is not None:
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


def _reply(code: int, text: bytes | str) -> _Reply:
    return _Reply(code, text.decode(errors="replace") if isinstance(text, bytes) else text)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, SMTPResponseException):
        return str(_reply(error.smtp_code, error.smtp_error))
    if isinstance(error, SMTPException):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return type(error).__name__  # a name or password that cannot be encoded: its text would quote it
