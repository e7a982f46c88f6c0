"""A message as its holder saw it, for a person who looks at it later.

Where messages are files, the file is what was sent. With "smtp" no text is kept, so it is put together again from the
history: from the lines that were in it when it was sent, by the templates and with the data of today. Nothing is
recorded by looking.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from sqlalchemy import Connection, select

from lifecycle_jobs.db.tables import messages
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.mail.contents import LOCALES, Locale
from lifecycle_jobs.mail.detail import Unreadable
from lifecycle_jobs.mail.eml_files import file_name
from lifecycle_jobs.mail.facts import PRICED_KINDS, Dossier, Event, read_dossiers
from lifecycle_jobs.mail.gather import Office
from lifecycle_jobs.mail.moot import is_moot
from lifecycle_jobs.mail.render import Rendered, Renderer
from lifecycle_jobs.mail.template_files import RenderError
from lifecycle_jobs.settings import Settings


@dataclass(frozen=True, slots=True)
class Retold:
    """A message in words. `kept`: it is what was sent, and not put together again."""

    locale: Locale
    rendered: Rendered
    kept: bool


def retell(connection: Connection, settings: Settings, message_id: int, today: date) -> Retold:
    """The message of a number. Raises Refused if there is none, or if it cannot be put together any more."""
    row = connection.execute(select(messages).where(messages.c.id == message_id)).one_or_none()
    if row is None:
        raise Refused(f"There is no message {message_id}.")
    locale: Locale = row.locale if row.locale in LOCALES else "it"
    kept = _file(settings, row)
    if kept is not None:
        return Retold(locale, kept, kept=True)
    (dossier,) = read_dossiers(connection, [message_id])
    on = row.accepted_on or today
    try:
        content = Office(settings, on).content(dossier.message, _lines(dossier, row.status, on))
        return Retold(locale, Renderer(settings.templates.directory).render(content, locale), kept=False)
    except (Unreadable, RenderError) as error:
        raise Refused(f"Message {message_id} cannot be put together again: {error}") from error


def _lines(dossier: Dossier, status: str, on: date) -> list[Event]:
    """Those that were told. Of one that is still to be sent: those that would be told now, or else all."""
    if status == "queued":
        return [event for event in dossier.events if not is_moot(event, on)] or list(dossier.events)
    told = [event for event in dossier.events if not event.marked_moot] or list(dossier.events)
    return [_as_it_was(event) for event in told]


def _as_it_was(event: Event) -> Event:
    """A warning before expiry told the end of its own term, from which the box may have moved on since."""
    if event.kind not in PRICED_KINDS or event.box is None or event.term is None:
        return event
    return event._replace(box=event.box._replace(expires_on=event.term))


def _file(settings: Settings, row: Any) -> Rendered | None:
    if settings.mail.transport != "files" or row.status != "sent":
        return None
    name = file_name(row.created_on, row.kind, row.customer_id, row.message_key)
    try:
        content = (settings.mail.directory / row.created_on.isoformat() / name).read_bytes()
    except OSError:
        return None
    message = message_from_bytes(content, policy=default)
    return Rendered(str(message["Subject"] or ""), _part(message, "plain"), _part(message, "html"))


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return "" if body is None else str(body.get_content()).replace("\r\n", "\n")
