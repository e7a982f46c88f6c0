"""The outbox as the database keeps it: what waits, and what became of it.

A message leaves `queued` only by a write that says `WHERE status = 'queued'`. None of these writes waits for the
disk: what a power cut loses is at most the news of a hand-over, and the message goes out again, recognisable by its
Message-ID.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Update, bindparam, func, insert, literal, or_, select, update

from lifecycle_jobs import clock
from lifecycle_jobs.db.dialect import among, joined
from lifecycle_jobs.db.tables import message_events, messages, parked_rows
from lifecycle_jobs.mail.discretion import describe, without_addresses

JOB: Final = "deliver"
"""The name under which messages are parked."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message whose turn has come. `was_parked`: it once could not be put together, and was queued again."""

    id: int
    lines: int
    was_parked: bool


def waiting(
    connection: Connection, *, after: int, limit: int, at: datetime, only: Sequence[int] | None
) -> list[Waiting]:
    """The next messages to deliver, in the order of their ids; `only` names the ones that are asked for."""
    lines = (
        select(func.count())
        .select_from(message_events)
        .where(message_events.c.message_id == messages.c.id)
        .scalar_subquery()
    )
    parked = select(parked_rows.c.id).where(
        parked_rows.c.job == JOB,
        parked_rows.c.subject == joined(literal("message:"), messages.c.id),
        parked_rows.c.state != "resolved",
    )
    query = (
        select(messages.c.id, lines, parked.exists())
        .where(
            messages.c.status == "queued",
            messages.c.id > after,
            or_(messages.c.next_attempt_at.is_(None), messages.c.next_attempt_at <= at),
        )
        .order_by(messages.c.id)
        .limit(limit)
    )
    if only is not None:
        query = query.where(among(messages.c.id, only))
    return [Waiting(id_, count, bool(was_parked)) for id_, count, was_parked in connection.execute(query)]


def mark_lines(connection: Connection, marks: Mapping[int, bool]) -> None:
    """Record which events have become moot, or no longer are."""
    for moot in (True, False):
        changed = [event_id for event_id, now in marks.items() if now is moot]
        if changed:
            connection.execute(
                update(message_events).where(among(message_events.c.event_id, changed)).values(moot=moot)
            )


def record_sent(connection: Connection, accepted: Mapping[int, str], on: date) -> None:
    """The mail server took these, on that business date, and said so."""
    if not accepted:
        return
    now = clock.now()
    connection.execute(
        _leave_queue().values(
            status="sent",
            attempts=messages.c.attempts + 1,
            next_attempt_at=None,
            accepted_on=bindparam("on"),
            accepted_at=bindparam("at"),
            response=bindparam("said"),
        ),
        [
            {"message": id_, "on": on, "at": now, "said": without_addresses(response)}
            for id_, response in accepted.items()
        ],
    )


def record_moot(connection: Connection, message_ids: Sequence[int]) -> None:
    """Every line of these had become pointless."""
    if message_ids:
        connection.execute(
            _leave_queue().values(status="moot", next_attempt_at=None),
            [{"message": id_} for id_ in message_ids],
        )


def record_failed(connection: Connection, message_id: int, response: str, *, handed_over: bool) -> None:
    """This one will never be delivered; it is listed for review."""
    connection.execute(
        _leave_queue().values(
            status="failed",
            attempts=messages.c.attempts + int(handed_over),
            next_attempt_at=None,
            response=without_addresses(response),
        ),
        {"message": message_id},
    )


def record_deferred(connection: Connection, message_id: int, response: str, minutes: int) -> None:
    """This one is to be tried again, so many minutes from now."""
    connection.execute(
        _leave_queue().values(
            attempts=messages.c.attempts + 1,
            next_attempt_at=clock.now() + timedelta(minutes=minutes),
            response=without_addresses(response),
        ),
        {"message": message_id},
    )


def record_parked(connection: Connection, message_id: int, error: Exception, on: date) -> None:
    """This one could not be put together: set aside with its error until somebody has looked."""
    text = describe(error)
    connection.execute(_leave_queue().values(status="parked", response=text), {"message": message_id})
    values: dict[str, Any] = {"last_run_on": on, "error": text, "state": "open", "parked_at": clock.now()}
    known = connection.execute(
        update(parked_rows)
        .where(
            parked_rows.c.job == JOB,
            parked_rows.c.subject == _subject(message_id),
            parked_rows.c.state != "resolved",
        )
        .values(times=parked_rows.c.times + 1, **values)
    )
    if known.rowcount == 0:
        connection.execute(insert(parked_rows).values(run_on=on, job=JOB, subject=_subject(message_id), **values))


def resolve_parked(connection: Connection, message_ids: Sequence[int]) -> None:
    """These were parked once; now there is an end to it."""
    if message_ids:
        connection.execute(
            update(parked_rows)
            .where(
                parked_rows.c.job == JOB,
                among(parked_rows.c.subject, [_subject(id_) for id_ in message_ids]),
                parked_rows.c.state != "resolved",
            )
            .values(state="resolved")
        )


def queue_parked_again(connection: Connection) -> int:
    """Give every parked message another chance; how many there are."""
    connection.execute(
        update(parked_rows).where(parked_rows.c.job == JOB, parked_rows.c.state == "open").values(state="retrying")
    )
    return connection.execute(
        update(messages).where(messages.c.status == "parked").values(status="queued", next_attempt_at=None)
    ).rowcount


def _leave_queue() -> Update:
    return update(messages).where(messages.c.id == bindparam("message"), messages.c.status == "queued")


def _subject(message_id: int) -> str:
    return f"message:{message_id}"
