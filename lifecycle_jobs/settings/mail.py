"""How messages leave. ``config/lifecycle.toml`` explains each key and gives its unit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from lifecycle_jobs.settings.values import (
    DOMAIN,
    LOCAL_HOSTS,
    Line,
    Positive,
    Section,
    Text,
    WholeNumbers,
    Wrong,
    e_mail_address,
)

_LONGEST_RETRY = 1_440
"""Minutes; a message that waits for more than a day might as well be written by hand."""


class MailSettings(Section):
    """How messages leave (SPEC §4)."""

    transport: Literal["files", "smtp"]
    directory: Path
    host: Line
    port: Annotated[Positive, Field(le=65535)]
    username: Line
    password: SecretStr
    tls: Literal["none", "starttls", "tls"]
    timeout: Annotated[Positive, Field(le=3600)]
    sender: Line
    sender_name: Line
    reply_to: Line
    message_id_domain: Text
    retry_after: WholeNumbers
    give_up_after: Positive
    batch_size: Positive
    connections: Annotated[Positive, Field(le=64)]
    messages_per_second: Annotated[Positive, Field(le=10_000)]
    per_recipient_per_day: Positive
    redirect_to: Line
    list_id: Line
    dkim_domain: Line
    dkim_selector: Line
    dkim_private_key: SecretStr

    def contradictions(self) -> Iterator[Wrong]:
        """A transport without what it needs, a password without its name or in the clear."""
        yield from self._addresses()
        if self.transport == "files" and self.directory == Path():
            yield Wrong(("directory",), "must name a folder")
        if self.transport == "smtp" and not self.host:
            yield Wrong(("host",), "must not be empty with transport = smtp")
        password = self.password.get_secret_value()
        if self.username and not password:
            yield Wrong(("username",), "has no password: give LIFECYCLE_MAIL__PASSWORD, or no username")
        if password and not self.username:
            yield Wrong(("password",), "has no username: give both or neither")
        if password and self.tls == "none" and self.host not in LOCAL_HOSTS:
            yield Wrong(("tls",), "none would send the password in the clear: use starttls or tls")
        if not self.retry_after or not all(1 <= pause <= _LONGEST_RETRY for pause in self.retry_after):
            yield Wrong(("retry_after",), f"must be a list of at least one number, each 1 to {_LONGEST_RETRY} minutes")

    def _addresses(self) -> Iterator[Wrong]:
        if self.sender:
            yield from e_mail_address("sender", self.sender)
        elif self.transport == "smtp":
            yield Wrong(("sender",), "must not be empty with transport = smtp")
        if self.reply_to:
            yield from e_mail_address("reply_to", self.reply_to)
        if self.redirect_to:
            yield from e_mail_address("redirect_to", self.redirect_to)
        for key in ("message_id_domain", "list_id", "dkim_domain"):
            value = getattr(self, key)
            if not DOMAIN.fullmatch(value) and (value or key == "message_id_domain"):
                yield Wrong((key,), "must be a domain name")
        signing = (self.dkim_domain, self.dkim_selector, self.dkim_private_key.get_secret_value())
        if any(signing) and not all(signing):
            yield Wrong(
                ("dkim_domain",), "signing needs dkim_domain, dkim_selector and LIFECYCLE_MAIL__DKIM_PRIVATE_KEY"
            )
