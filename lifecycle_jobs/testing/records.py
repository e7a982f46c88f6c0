"""What a test looks at afterwards: what was charged, what was sent, what is in the history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from lifecycle_jobs.db.tables import boxes, charges, events


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that was tried on a date, for the slot so many days before E.

    `status`: succeeded, declined, unknown (nobody knows yet), pending or not_attempted.
    """

    date: date
    address: str
    amount_cents: int
    method: str
    status: str
    decline_code: str | None
    slot: int


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a box: `box.renewed`, say, with what the history tells about it. `by`: a job, or a person."""

    date: date
    kind: str
    by: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as it was delivered, on a business date."""

    date: date
    kind: str
    recipient: str
    locale: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


def charges_in(connection: Connection) -> Iterator[Charge]:
    """Every charge that was tried, in that order."""
    for row in connection.execute(
        select(charges, boxes.c.address).join(boxes, boxes.c.id == charges.c.box_id).order_by(charges.c.id)
    ):
        yield Charge(
            row.attempted_on, row.address, row.amount_cents, row.method_kind, row.status, row.decline_code, row.slot
        )


def events_of(connection: Connection, box_id: int) -> Iterator[Happened]:
    """Everything in the history of a box, in the order in which it was written down."""
    for row in connection.execute(select(events).where(events.c.box_id == box_id).order_by(events.c.id)):
        yield Happened(row.occurred_on, row.kind, row.job or row.actor, row.detail)


def sent_from(folder: Path, zone: ZoneInfo) -> list[Sent]:
    """Every message that was delivered into a folder, by date, kind and recipient."""
    found = [_read(file, zone) for file in folder.rglob("*.eml")]
    return sorted(found, key=lambda sent: (sent.date, sent.kind, sent.recipient, sent.subject))


def _read(file: Path, zone: ZoneInfo) -> Sent:
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    return Sent(
        date=parsedate_to_datetime(str(mail["Date"])).astimezone(zone).date(),
        kind=str(mail["X-Lifecycle-Kind"]),
        recipient=str(mail["To"].addresses[0].addr_spec),
        locale=str(mail["Content-Language"]),
        subject=str(mail["Subject"]),
        text=_part(mail, "plain"),
        html=_part(mail, "html"),
    )


def _part(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body((subtype,))
    return "" if part is None else str(part.get_content())
