"""DKIM signatures (RFC 6376), where the relay does not sign."""

from __future__ import annotations

from typing import Final

from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.settings.mail import MailSettings

_SIGNED: Final = (
    "From", "To", "Subject", "Date", "Message-ID", "Reply-To", "List-Id", "Auto-Submitted", "MIME-Version",
    "Content-Type", "Content-Language",
)  # fmt: skip
"""Also those that a message lacks: nobody on its way can add one and keep the signature."""

_TRIAL: Final = b"From: a@example.org\r\nSubject: trial\r\n\r\ntrial\r\n"


class Signer:
    """Signs for one domain with one key."""

    def __init__(self, domain: str, selector: str, private_key: str) -> None:
        self._domain = domain.encode("ascii")
        self._selector = selector.encode("ascii")
        self._private_key = private_key.encode("ascii")
        self.signed(_TRIAL)

    def signed(self, content: bytes) -> bytes:
        """The message with its signature at its head."""
        import dkim

        signature: bytes = dkim.sign(
            content,
            self._selector,
            self._domain,
            self._private_key,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[name.encode("ascii") for name in (*_SIGNED, "From")],
        )
        return signature + content


def signer_for(mail: MailSettings) -> Signer | None:
    """What signs the messages; none if nobody does. Raises ConfigurationError for a key that cannot sign."""
    if not mail.dkim_domain:
        return None
    try:
        return Signer(mail.dkim_domain, mail.dkim_selector, mail.dkim_private_key.get_secret_value())
    except Exception:  # noqa: BLE001 -- the library raises what its parser trips over, and the text may quote the key
        message = (
            "mail.dkim_private_key: cannot be used to sign. LIFECYCLE_MAIL__DKIM_PRIVATE_KEY must hold an RSA key "
            "in PEM, as `openssl genrsa` writes it, and mail.dkim_selector the name under which the DNS has it."
        )
        raise ConfigurationError(message) from None
