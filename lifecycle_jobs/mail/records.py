"""The outbox as the database keeps it: what waits, and what became of it.

A message leaves `queued` only by a write that says `WHERE status = 'queued'`. None of these writes waits for the
disk: what a power cut loses is at most the news of a hand-over, and the message goes out again, recognisable by its
Message-ID.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Connection,
    Update,
    bindparam,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    union_all,
    update,
)

from lifecycle_jobs import clock
from lifecycle_jobs.db.dialect import Parameter, among, as_it_stands, in_share, joined
from lifecycle_jobs.db.tables import boxes, message_events, messages, parked_rows
from lifecycle_jobs.mail.answers import queue_id, reply_code
from lifecycle_jobs.mail.discretion import describe, without_addresses

JOB: Final = "deliver"
"""The name under which messages are parked."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message whose turn has come. `was_parked`: it once could not be put together, and was queued again."""

    id: int
    urgency: int
    recipient_key: str
    lines: int
    was_parked: bool


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several processes delivers: all that waits for some of the recipients. Counted from 0.

    By recipient, because what one recipient gets in a day is counted by one process, and comes in the order of one.
    """

    number: int
    of: int


SENT: Final = (
    update(messages)
    .where(messages.c.id == bindparam("message"), as_it_stands(messages.c.status) == "queued")
    .values(
        status="sent",
        attempts=messages.c.attempts + 1,
        next_attempt_at=None,
        accepted_on=bindparam("on"),
        accepted_at=bindparam("at"),
        response=bindparam("said"),
        reply_code=bindparam("code"),
        queue_id=bindparam("queued_as"),
        redirected=bindparam("elsewhere"),
    )
)
"""Records one that was accepted; its values are made by `as_sent`."""


# Asked for some messages after some messages, so they are put together once.
_KEYS: Final = Parameter("keys")
_ACCEPTED: Final = (
    select(messages.c.recipient_key, func.count())
    .where(
        messages.c.status == "sent", messages.c.accepted_on == bindparam("on"), among(messages.c.recipient_key, _KEYS)
    )
    .group_by(messages.c.recipient_key)
)
_BOXES: Final = select(boxes.c.address_key, boxes.c.status).where(among(boxes.c.address_key, _KEYS))
# Those that live and those that are gone have an index each.
_STANDING: Final = union_all(_BOXES.where(boxes.c.status != "deleted"), _BOXES.where(boxes.c.status == "deleted"))


def waiting(
    connection: Connection,
    *,
    after: Waiting | None,
    limit: int,
    at: datetime,
    only: Sequence[int] | None,
    share: Share | None = None,
) -> list[Waiting]:
    """The next messages to deliver, the most urgent first, then in the order of their ids.

    `only` names the ones that are asked for; `share` leaves the others' recipients to the others.
    """
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
        select(messages.c.id, messages.c.urgency, messages.c.recipient_key, lines, parked.exists())
        .where(*_due(at))
        .order_by(messages.c.urgency, messages.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(messages.c.urgency, messages.c.id) > tuple_(after.urgency, after.id))
    if only is not None:
        query = query.where(among(messages.c.id, only))
    if share is not None:
        query = query.where(in_share(messages.c.recipient_key, share.number, share.of))
    return [
        Waiting(id_, urgency, recipient_key, count, bool(was_parked))
        for id_, urgency, recipient_key, count, was_parked in connection.execute(query)
    ]


def number_waiting(connection: Connection, most: int, at: datetime) -> int:
    """How many messages wait to be delivered; not counted any further than `most`."""
    first = select(messages.c.id).where(*_due(at)).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(first)) or 0


def _due(at: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return messages.c.status == "queued", or_(messages.c.next_attempt_at.is_(None), messages.c.next_attempt_at <= at)


def accepted_for(connection: Connection, recipient_keys: Sequence[str], on: date) -> dict[str, int]:
    """How many messages were accepted on a business date for each of these recipients, where there are any."""
    rows = connection.execute(_ACCEPTED, {"keys": recipient_keys, "on": on})
    return {row[0]: row[1] for row in rows}


def closed_boxes(connection: Connection, address_keys: Sequence[str]) -> dict[str, str]:
    """Those of the addresses that are boxes of ours which receive nothing: `suspended` or `deleted`.

    An address that was sold again is judged by the box that lives.
    """
    found: dict[str, str] = {}
    for key, status in connection.execute(_STANDING, {"keys": address_keys}):
        if status != "deleted" or key not in found:
            found[key] = status
    return {key: status for key, status in found.items() if status != "active"}


def mark_lines(connection: Connection, marks: Mapping[int, bool]) -> None:
    """Record which events have become moot, or no longer are."""
    for moot in (True, False):
        changed = [event_id for event_id, now in marks.items() if now is moot]
        if changed:
            connection.execute(
                update(message_events).where(among(message_events.c.event_id, changed)).values(moot=moot)
            )


def accepted_on(on: date, zone: ZoneInfo) -> date:
    """The business date of which it counts that a mail server takes a message now, in a delivery for that date.

    Never a day that is over: what is delivered for an earlier date (`parked retry`, `replay`, a delivery that goes on
    past midnight) has warned nobody then, and a box must not be deleted, or a card charged, as if it had.
    """
    return max(on, clock.business_date(zone))


def as_sent(message_id: int, response: str, on: date, *, redirected: bool) -> dict[str, Any]:
    """The values of `SENT`: the mail server took this one, on that business date.

    What it said is what proves a notice (SPEC §3, delete). `redirected`: it took it for somebody else than its
    recipient, which proves nothing.
    """
    said = without_addresses(response)
    return {
        "message": message_id,
        "on": on,
        "at": clock.now(),
        "said": said,
        "code": reply_code(said),
        "queued_as": queue_id(said),
        "elsewhere": redirected,
    }


def record_moot(connection: Connection, message_ids: Sequence[int]) -> None:
    """Every line of these had become pointless."""
    if message_ids:
        connection.execute(
            _leave_queue().values(status="moot", next_attempt_at=None),
            [{"message": id_} for id_ in message_ids],
        )


def record_failed(connection: Connection, responses: Mapping[int, str], *, handed_over: bool) -> None:
    """These will never be delivered; they are listed for review. Why, by the message's id."""
    if responses:
        connection.execute(
            _leave_queue().values(
                status="failed",
                attempts=messages.c.attempts + int(handed_over),
                next_attempt_at=None,
                response=bindparam("said"),
            ),
            [{"message": id_, "said": without_addresses(said)} for id_, said in responses.items()],
        )


def record_deferred(connection: Connection, message_id: int, response: str, pause: timedelta, attempts: int) -> None:
    """This one was tried, and is to be tried again after a pause; `attempts` are those that count."""
    connection.execute(
        _leave_queue().values(
            attempts=attempts,
            next_attempt_at=clock.now() + pause,
            response=without_addresses(response),
        ),
        {"message": message_id},
    )


def take_back(connection: Connection, pauses: Mapping[int, timedelta]) -> int:
    """These were refused for good, which meant nothing: they are tried again, each after its pause; how many are."""
    now = clock.now()
    return sum(
        connection.execute(
            update(messages)
            .where(messages.c.id == message_id, as_it_stands(messages.c.status) == "failed")
            .values(status="queued", attempts=messages.c.attempts - 1, next_attempt_at=now + pause)
        ).rowcount
        for message_id, pause in pauses.items()
    )


def record_untried(connection: Connection, message_id: int, response: str) -> None:
    """There was no way to the server: the message's turn is not over, but why it waits is told."""
    connection.execute(_leave_queue().values(response=without_addresses(response)), {"message": message_id})


def record_held_back(connection: Connection, message_ids: Collection[int], until: datetime, why: str) -> None:
    """These were not tried: their turn comes at that moment."""
    if message_ids:
        connection.execute(
            _leave_queue().values(next_attempt_at=until, response=why),
            [{"message": id_} for id_ in message_ids],
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
    return update(messages).where(messages.c.id == bindparam("message"), as_it_stands(messages.c.status) == "queued")


def _subject(message_id: int) -> str:
    return f"message:{message_id}"
