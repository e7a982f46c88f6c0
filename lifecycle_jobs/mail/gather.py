"""From queued messages to what they will say: moot lines dropped, the rest nearest expiry first (SPEC §4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple, TypeAlias, cast

from sqlalchemy import Connection

from lifecycle_jobs.mail.contents import (
    LINE_TYPES,
    LOCALES,
    Content,
    Holder,
    Links,
    Locale,
    MessageKind,
    Sender,
)
from lifecycle_jobs.mail.desk import Desk, page
from lifecycle_jobs.mail.detail import Unreadable
from lifecycle_jobs.mail.facts import Dossier, Event, Message, read_dossiers
from lifecycle_jobs.mail.lines import line_for
from lifecycle_jobs.mail.moot import is_moot
from lifecycle_jobs.settings import Settings


class Ready(NamedTuple):
    """A message that has something to say. `marks` holds the events whose mootness is no longer as recorded."""

    message: Message
    locale: Locale
    content: Content
    marks: Mapping[int, bool]


class Pointless(NamedTuple):
    """A message all of whose lines are moot: it is not sent."""

    message: Message
    marks: Mapping[int, bool]


class Unfit(NamedTuple):
    """A message that could not be put together; it stands in nobody's way."""

    message_id: int
    error: Exception


Gathered: TypeAlias = Ready | Pointless | Unfit


class Office:
    """Everything about a message that does not depend on its customer: the provider, the pages, the catalogue."""

    def __init__(self, settings: Settings, on: date) -> None:
        self._provider = Sender(
            name=settings.provider.name,
            website=settings.provider.website,
            support_email=settings.provider.support_email,
            support_phone=settings.provider.support_phone,
            legal_line=settings.provider.legal_line,
            bank_account=settings.provider.bank_account,
        )
        self._links = settings.links
        deletion = settings.deletion
        self.desk = Desk(
            on=on,
            catalog=settings.catalog(),
            renew_link=settings.links.renew,
            days_after_warning=deletion.delivered_warning_days if deletion.require_delivered_warning else 0,
        )

    def content(self, message: Message, events: Iterable[Event]) -> Content:
        """What a message says about these events; raises Unreadable."""
        ordered = sorted(events, key=_nearest_expiry_first)
        if not ordered:
            raise Unreadable(f"message {message.id} tells of no event")
        return Content(
            kind=cast("MessageKind", message.kind),
            holder=Holder(message.customer_name, message.recipient),
            sender=self._provider,
            links=self._pages(ordered[0]),
            lines=tuple(line_for(event, message.credit_cents, self.desk) for event in ordered),
            written_on=self.desk.on,
        )

    def _pages(self, first: Event) -> Links:
        # These pages are the customer's and not a box's; an operator who names one all the same gets the first.
        address = first.box.address if first.box else ""
        return Links(
            account=page(self._links.account, address),
            credit=page(self._links.credit, address),
            payment_method=page(self._links.payment_method, address),
        )


def gather(connection: Connection, message_ids: Sequence[int], office: Office) -> list[Gathered]:
    """What each of these messages says on the day of delivery, in the order of their ids.

    Takes at most five queries, however many messages and lines there are. A message that cannot be put together
    comes back as Unfit; only an error of the database itself is raised.
    """
    return [_gathered(dossier, office) for dossier in read_dossiers(connection, message_ids)]


def _gathered(dossier: Dossier, office: Office) -> Gathered:
    message = dossier.message
    try:
        locale = _locale(message)
        moot = {event.id: is_moot(event, office.desk.on) for event in dossier.events}
        marks = {event.id: moot[event.id] for event in dossier.events if event.marked_moot != moot[event.id]}
        left = [event for event in dossier.events if not moot[event.id]]
        if dossier.events and not left:
            return Pointless(message, marks)
        return Ready(message, locale, office.content(message, left), marks)
    except Exception as error:  # noqa: BLE001 -- whatever is wrong with one message, the others go out (SPEC §4)
        return Unfit(message.id, error)


def _locale(message: Message) -> Locale:
    if message.locale not in LOCALES:
        raise Unreadable(f"there are no texts in the language {message.locale}")
    if message.kind not in LINE_TYPES:
        raise Unreadable(f"there is no message of the kind {message.kind}")
    return message.locale


def _nearest_expiry_first(event: Event) -> tuple[date, str, int]:
    box = event.box
    if box is None:  # what was done to the customer's own things
        return (event.term or event.occurred_on, "", event.id)
    return (event.term or box.expires_on, box.address_key, event.id)
