"""The way out for messages, as far as it can be walked without sending one."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lifecycle_jobs.checking.check import Check, ok, reason, warning, wrong
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.mail.addresses import NotAnAddress, wire_address
from lifecycle_jobs.mail.discretion import without_addresses
from lifecycle_jobs.mail.signing import signer_for
from lifecycle_jobs.settings import MailSettings, Settings

_NAME: Final = "mail"

_DONE: Final = 250
"""What a server answers to NOOP (RFC 5321, 4.1.1.9)."""
_LONGEST_WAIT: Final = 20
"""Seconds."""


def check_mail(settings: Settings) -> Iterator[Check]:
    """The transport, and what of its settings is meant for rehearsals only."""
    mail = settings.mail
    yield _smtp(mail) if mail.transport == "smtp" else _files(mail.directory)
    if mail.redirect_to:
        yield warning(_NAME, "mail.redirect_to is set: no holder gets anything", "Empty it when the rehearsal is over.")
    if mail.transport == "smtp" and not settings.deletion.require_delivered_warning:
        yield warning(
            _NAME,
            "boxes are deleted without proof that their holder was warned",
            "Set deletion.require_delivered_warning = true.",
        )
    for key in ("sender", "reply_to", "redirect_to"):
        address = getattr(mail, key)
        try:
            if address:
                wire_address(address)
        except NotAnAddress as error:
            yield wrong(_NAME, f"mail.{key}: {error}", "Set an address that can be written to.")


def check_dkim(mail: MailSettings) -> Iterator[Check]:
    """Sign something with the key, and compare the domain with the sender's, as receivers do (RFC 7489, 3.1)."""
    try:
        if signer_for(mail) is None:
            return
    except ConfigurationError as error:
        yield wrong("dkim", str(error), "Until then no message leaves.")
        return
    record = f"{mail.dkim_selector}._domainkey.{mail.dkim_domain}"
    sender = mail.sender.rpartition("@")[2].lower()
    domain = mail.dkim_domain.lower()
    if sender == domain or sender.endswith(f".{domain}"):
        yield ok("dkim", f"the key signs; its public half belongs in DNS at {record}")
    else:
        yield warning(
            "dkim", f"the key signs for {domain}, but messages come from {sender}", "Receivers want the two to agree."
        )


def _files(directory: Path) -> Check:
    there = next(folder for folder in (directory.absolute(), *directory.absolute().parents) if folder.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return ok(_NAME, f"files in {directory}; nothing leaves the machine")
    return wrong(_NAME, f"{there} cannot be written to", "Change mail.directory, or the rights of the folder.")


def _smtp(mail: MailSettings) -> Check:
    """Connect, greet, encrypt, authenticate and ask for nothing."""
    where, step = f"{mail.host}:{mail.port}", "connecting"
    timeout = min(mail.timeout, _LONGEST_WAIT)
    try:
        smtp: smtplib.SMTP
        if mail.tls == "tls":
            smtp = smtplib.SMTP_SSL(mail.host, mail.port, timeout=timeout, context=ssl.create_default_context())
        else:
            smtp = smtplib.SMTP(mail.host, mail.port, timeout=timeout)
        with smtp:
            step = "EHLO"
            smtp.ehlo_or_helo_if_needed()
            if mail.tls == "starttls":
                step = "STARTTLS"
                smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo_or_helo_if_needed()
            if mail.username:
                step = "AUTH"
                smtp.login(mail.username, mail.password.get_secret_value())
            step = "NOOP"
            code, said = smtp.noop()
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else type(error).__name__
        return wrong(_NAME, f"{where}, {step}: {without_addresses(why)}", "Look at the [mail] settings and the server.")
    if code != _DONE:
        return wrong(_NAME, f"{where}, NOOP: {code} {said.decode(errors='replace')}", "Look at the mail server.")
    how = {"none": "not encrypted", "starttls": "STARTTLS", "tls": "TLS"}[mail.tls]
    who = "authenticated" if mail.username else "without a password"
    return ok(_NAME, f"{where} answers, {how}, {who}; no message was sent")
