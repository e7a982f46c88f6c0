"""A rendered message as it goes over the wire (RFC 5322, RFC 2045): text and HTML as alternatives, lines end in CRLF.

Everything that a holder or an operator typed reaches a header only through `one_line` and the header types of the
`email` package, which refuse line breaks: no name and no subject can become a header of its own.
"""

from __future__ import annotations

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from typing import Final

from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.mail.addresses import NotAnAddress, WireAddress, wire_address
from lifecycle_jobs.mail.contents import Locale, MessageKind
from lifecycle_jobs.mail.render import Rendered, one_line
from lifecycle_jobs.settings import Settings

# Bodies always fit servers that take seven bits only: there is nothing to be gained from asking first.
_POLICY: Final = SMTP.clone(cte_type="7bit")
_POLICY_UTF8: Final = SMTPUTF8.clone(cte_type="7bit")

_LONGEST_NAME: Final = 300
"""Characters of a name that a header shows: a word cannot be folded, and a line ends at 998 (RFC 5322, 2.1.1)."""


class Stationery:
    """What all messages of an installation have in common: sender, name, and where answers go."""

    def __init__(self, settings: Settings) -> None:
        mail, provider = settings.mail, settings.provider
        self.sender = _configured("mail.sender", mail.sender or provider.support_email)
        self._from = _mailbox(mail.sender_name or provider.name, self.sender)
        self._reply_to = _mailbox("", _configured("mail.reply_to", mail.reply_to)) if mail.reply_to else None

    def needs_smtputf8(self, recipient: WireAddress) -> bool:
        """Whether a message to this recipient can only be taken by a server that knows SMTPUTF8."""
        return self.sender.needs_smtputf8 or recipient.needs_smtputf8

    def write(
        self,
        rendered: Rendered,
        *,
        kind: MessageKind,
        locale: Locale,
        message_id: str,
        name: str,
        recipient: WireAddress,
        moment: datetime,
    ) -> bytes:
        """The whole message to this holder; `moment` is what its Date says."""
        message = EmailMessage(policy=_POLICY_UTF8 if self.needs_smtputf8(recipient) else _POLICY)
        message["From"] = self._from
        message["To"] = _mailbox(name, recipient)
        message["Subject"] = _shown(rendered.subject)
        message["Date"] = moment
        message["Message-ID"] = message_id
        if self._reply_to is not None:
            message["Reply-To"] = self._reply_to
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: holiday notices do not answer it
        message["X-Lifecycle-Kind"] = kind
        message.set_content(rendered.text)
        message.add_alternative(rendered.html, subtype="html")
        message["Content-Language"] = locale  # last: every Content- header set before goes to the first part
        # The same message has the same bytes whenever it is written.
        message.set_boundary(f"=_{message_id.strip('<>').partition('@')[0]}")
        return message.as_bytes()


def _mailbox(name: str, address: WireAddress) -> Address:
    return Address(_shown(name)[:_LONGEST_NAME], address.local, address.domain)


def _shown(text: str) -> str:
    # Text that looks like an encoded word would be decoded by the reader's program and show something else.
    line = one_line(text).replace("=?", "= ?")
    return line.encode(errors="replace").decode()  # half a surrogate pair cannot be written at all


def _configured(key: str, address: str) -> WireAddress:
    try:
        return wire_address(address)
    except NotAnAddress as error:
        raise ConfigurationError(f"{key}: {error}") from error
