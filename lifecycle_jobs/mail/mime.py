"""A rendered message as it goes over the wire (RFC 5322, RFC 2045): text and HTML as alternatives, lines end in CRLF.

What all messages of one kind and language have in common is put together once; only the name, the subject, the two
texts and the like are filled in for each. Alternative: `EmailMessage`, which takes more than 2 ms for each message,
several times what all the rest of a delivery costs. A test compares what it would make of the same content.

Everything that a holder or an operator typed reaches a header only through `one_line` and `headers`, which refuses
line breaks: no name and no subject can become a header of its own.
"""

from __future__ import annotations

from binascii import b2a_qp
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Final

from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.mail.addresses import NotAnAddress, WireAddress, wire_address
from lifecycle_jobs.mail.contents import Locale
from lifecycle_jobs.mail.headers import mailbox_header, text_header, token_header
from lifecycle_jobs.mail.remembered import Remembered
from lifecycle_jobs.mail.render import Rendered, one_line
from lifecycle_jobs.mail.signing import signer_for
from lifecycle_jobs.settings import Settings

_LONGEST_NAME: Final = 300
"""Characters of a name that a header shows."""

# Quoted-printable for both parts: it fits servers that take seven bits only, lines are never too long, and
# filters for spam do not like text in base64.
_TEXT: Final = b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
_HTML: Final = b'Content-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'


class Stationery:
    """What all messages of an installation have in common: sender, name, and where answers go.

    With `mail.redirect_to` everything is addressed there, and `X-Lifecycle-Recipient` names who would have got it.
    """

    def __init__(self, settings: Settings) -> None:
        mail, provider = settings.mail, settings.provider
        self.sender = _configured("mail.sender", mail.sender or provider.support_email)
        self._redirect_to = _configured("mail.redirect_to", mail.redirect_to) if mail.redirect_to else None
        # RFC 3834: holiday notices do not answer what was submitted by a program.
        self._common = b"".join(
            [
                mailbox_header("From", _shown(mail.sender_name or provider.name)[:_LONGEST_NAME], self.sender),
                mailbox_header("Reply-To", "", _configured("mail.reply_to", mail.reply_to)) if mail.reply_to else b"",
                token_header("List-Id", f"<{mail.list_id}>") if mail.list_id else b"",
                token_header("Auto-Submitted", "auto-generated"),
                token_header("MIME-Version", "1.0"),
            ]
        )
        self._signer = signer_for(mail)
        self._skeletons: dict[tuple[str, Locale], bytes] = {}

    def needs_smtputf8(self, recipient: WireAddress) -> bool:
        """Whether a message to this recipient can only be taken by a server that knows SMTPUTF8."""
        return self.sender.needs_smtputf8 or (self._redirect_to or recipient).needs_smtputf8

    def write(
        self,
        rendered: Rendered,
        *,
        kind: str,
        locale: Locale,
        message_id: str,
        name: str,
        recipient: WireAddress,
        moment: datetime,
    ) -> bytes:
        """The whole message to this recipient; `moment` is what its Date says.

        The same message has the same bytes whenever it is written, but for the signature. Raises LineBreak for a
        `kind` or `message_id` that would break its header.
        """
        boundary = f"=_{message_id.strip('<>').partition('@')[0]}".encode("ascii")
        content = b"".join(
            [
                self._common,
                self._skeleton(kind, locale),
                mailbox_header("To", _shown(name)[:_LONGEST_NAME], self._redirect_to or recipient),
                text_header("X-Lifecycle-Recipient", str(recipient)) if self._redirect_to else b"",
                text_header("Subject", _shown(rendered.subject)),
                token_header("Date", _date(moment)),
                token_header("Message-ID", message_id),
                b'Content-Type: multipart/alternative;\r\n boundary="%b"\r\n' % boundary,
                b"\r\n--%b\r\n" % boundary,
                _TEXT,
                _quoted(rendered.text),
                b"\r\n--%b\r\n" % boundary,
                _HTML,
                _quoted(rendered.html),
                b"\r\n--%b--\r\n" % boundary,
            ]
        )
        return content if self._signer is None else self._signer.signed(content)

    def _skeleton(self, kind: str, locale: Locale) -> bytes:
        known = self._skeletons.get((kind, locale))
        if known is None:
            known = token_header("X-Lifecycle-Kind", kind) + token_header("Content-Language", locale)
            self._skeletons[kind, locale] = known
        return known


def _quoted(text: str) -> bytes:
    """The text in quoted-printable, whatever ends its lines; it comes out ending in a line break."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    return b"\r\n".join([*map(_line, lines), b""])


def _quoted_line(line: str) -> bytes:
    return b2a_qp(f"{line}\r\n".encode(errors="replace"), istext=True)[:-2]


_date = lru_cache(maxsize=64)(format_datetime)  # many are written in the same moment

_line = Remembered(_quoted_line).__getitem__


def _shown(text: str) -> str:
    # Text that looks like an encoded word would be decoded by the reader's program and show something else.
    line = one_line(text).replace("=?", "= ?")
    return line.encode(errors="replace").decode()  # half a surrogate pair cannot be written at all


def _configured(key: str, address: str) -> WireAddress:
    try:
        return wire_address(address)
    except NotAnAddress as error:
        raise ConfigurationError(f"{key}: {error}") from error
