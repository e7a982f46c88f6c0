"""What has happened to a box, in the order in which it did: history with its messages, charges and orders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, select

from lifecycle_jobs.db.tables import charges, events, message_events, messages, orders
from lifecycle_jobs.explaining.details import details_told
from lifecycle_jobs.languages import Speech
from lifecycle_jobs.languages.codes import code_text
from lifecycle_jobs.reasons import because


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a box's past. `what` is the kind of an event, `charge` or `order`.

    `by` is a job or a person; `message` how the e-mail about it fared, `message_id` which that is. `run_on` is the
    business date of the run that did it, none if it was done outside of one.
    """

    on: date
    what: str
    told: str
    by: str
    message: str = ""
    run_on: date | None = None
    message_id: int | None = None


def past_of(speech: Speech, connection: Connection, box_id: int) -> list[Happening]:
    """Everything that is on record about a box, oldest first."""
    found = [
        *_events(speech, connection, box_id),
        *_charges(speech, connection, box_id),
        *_orders(speech, connection, box_id),
    ]
    return sorted(found, key=lambda each: each.on)


def _events(speech: Speech, connection: Connection, box_id: int) -> Iterator[Happening]:
    rows = connection.execute(
        select(
            events,
            messages.c.status.label("message_status"),
            messages.c.accepted_on,
            messages.c.reply_code,
            messages.c.queue_id,
            message_events.c.message_id,
            message_events.c.moot.label("line_moot"),
        )
        .outerjoin(message_events, message_events.c.event_id == events.c.id)
        .outerjoin(messages, messages.c.id == message_events.c.message_id)
        .where(events.c.box_id == box_id)
        .order_by(events.c.id)
    )
    for row in rows:
        told = told_of(speech, row)
        yield Happening(row.occurred_on, row.kind, told, _by(row), _delivery(speech, row), row.run_on, row.message_id)


def told_of(speech: Speech, event: Row[Any]) -> str:
    """Why a job did it; of what a person did, or an older version wrote with other details, those details."""
    if event.job is not None:
        with suppress(KeyError):
            return because(speech, event.kind, event.term_expires_on, event.detail)
    return details_told(speech, event.detail)


def _by(row: Row[Any]) -> str:
    if row.job is not None:
        return str(row.job)
    why = f" ({row.why})" if row.why else ""
    return f"{row.actor or '-'}{why}"


def _delivery(speech: Speech, row: Row[Any]) -> str:
    if row.message_status is None:
        return ""
    if row.line_moot:
        return speech("moot, left out")
    if row.message_status != "sent":
        return code_text(speech, "message", row.message_status)
    proof = " ".join(str(each) for each in (row.reply_code, row.queue_id) if each is not None)
    if not proof:
        return speech("accepted on {on}", on=row.accepted_on)
    return speech("accepted on {on} ({proof})", on=row.accepted_on, proof=proof)


def _charges(speech: Speech, connection: Connection, box_id: int) -> Iterator[Happening]:
    rows = connection.execute(select(charges).where(charges.c.box_id == box_id).order_by(charges.c.id))
    for row in rows:
        outcome = code_text(speech, "charge", row.status)
        if row.decline_code is not None:
            outcome = f"{outcome} ({code_text(speech, 'decline', row.decline_code)})"
        said = {
            "amount": speech.euros(row.amount_cents),
            "method": code_text(speech, "method", row.method_kind),
            "outcome": outcome,
        }
        if row.slot == 0:
            told = speech("{amount} by {method}, attempt of the last paid day: {outcome}", **said)
        else:
            days = speech.count(row.slot, "{n} day", "{n} days")
            told = speech(
                "{amount} by {method}, attempt of {days} before the last paid day: {outcome}", days=days, **said
            )
        yield Happening(row.attempted_on, "charge", told, "auto_renew")


def _orders(speech: Speech, connection: Connection, box_id: int) -> Iterator[Happening]:
    rows = connection.execute(select(orders).where(orders.c.box_id == box_id).order_by(orders.c.id))
    for row in rows:
        said = {
            "number": row.order_number,
            "kind": code_text(speech, "order_kind", row.kind),
            "amount": speech.euros(row.gross_cents),
            "status": code_text(speech, "order", row.status),
        }
        if row.paid_on is None:
            told = speech("{number}, {kind}, {amount}: {status}", **said)
        else:
            told = speech("{number}, {kind}, {amount}: {status} on {on}", on=row.paid_on, **said)
        yield Happening(row.placed_on, "order", told, "")
