"""The queue of webhooks as the database keeps it: what may go now, and what became of it.

None of these writes waits for the disk: what a power cut loses is at most the news of an answer, and the event goes
again under the same id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Update, bindparam, func, or_, select, update

from lifecycle_jobs.db.tables import addons, boxes, events, webhook_deliveries
from lifecycle_jobs.pace import back_off


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way, with what a mail platform needs to act on it. `queued_at`: when it was first taken up."""

    event_id: int
    kind: str
    occurred_on: date
    box_id: int | None
    address: str | None
    customer_id: str | None
    term_expires_on: date | None
    addon_id: str | None
    addon_kind: str | None
    addon_quantity: int | None
    detail: Mapping[str, Any]
    queued_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver, or the network, said to one request.

    `taken`: any 2xx. `reached`: there is somebody who answers for the receiver, so it may be about this event alone.
    `retry_after`: for how many seconds the receiver asks to be left alone with it.
    """

    said: str
    taken: bool = False
    reached: bool = True
    retry_after: float = 0


def due(connection: Connection, *, after: int, at: datetime, span: int) -> tuple[list[Delivery], int] | None:
    """The next events that may go, in their order, and the number after which to look for more; none at the end.

    An event may go when its back-off is over and no earlier one of the same box is pending. Only so many numbers are
    looked through at a time, from the next pending one on: what that costs does not depend on what the database's
    planner believes about a queue that was empty when it last counted.
    """
    pending = webhook_deliveries.c.status == "pending"
    lowest = connection.scalar(
        select(webhook_deliveries.c.event_id)
        .where(pending, webhook_deliveries.c.event_id > after)
        .order_by(webhook_deliveries.c.event_id)
        .limit(1)
    )
    if lowest is None:
        return None
    upto = lowest + span - 1
    earlier = webhook_deliveries.alias()
    first_of_box = (
        select(func.min(earlier.c.event_id))
        .where(earlier.c.box_id == webhook_deliveries.c.box_id, earlier.c.status == "pending")
        .scalar_subquery()
    )
    rows = connection.execute(
        select(
            events.c.id,
            events.c.kind,
            events.c.occurred_on,
            events.c.box_id,
            boxes.c.address,
            events.c.customer_id,
            events.c.term_expires_on,
            events.c.addon_id,
            addons.c.kind,
            addons.c.quantity,
            events.c.detail,
            webhook_deliveries.c.queued_at,
            webhook_deliveries.c.attempts,
        )
        .join(events, events.c.id == webhook_deliveries.c.event_id)
        .outerjoin(boxes, boxes.c.id == events.c.box_id)
        .outerjoin(addons, addons.c.addon_id == events.c.addon_id)
        .where(
            pending,
            webhook_deliveries.c.event_id.between(lowest, upto),
            or_(webhook_deliveries.c.next_attempt_at.is_(None), webhook_deliveries.c.next_attempt_at <= at),
            or_(webhook_deliveries.c.box_id.is_(None), webhook_deliveries.c.event_id == first_of_box),
        )
        .order_by(webhook_deliveries.c.event_id)
    )
    return [Delivery(*values) for values in map(tuple, rows)], upto


def record(
    connection: Connection, answers: Sequence[tuple[Delivery, Answer]], now: datetime, pauses: Sequence[int]
) -> None:
    """Record what was said to each: delivered, or to be tried again after a pause (seconds)."""
    taken = [
        {"event": delivery.event_id, "said": answer.said, "at": now} for delivery, answer in answers if answer.taken
    ]
    refused = [
        {"event": delivery.event_id, "said": answer.said, "at": now + _pause(delivery, answer, pauses)}
        for delivery, answer in answers
        if not answer.taken
    ]
    if taken:
        connection.execute(_TAKEN, taken)
    if refused:
        connection.execute(_REFUSED, refused)


def _pause(delivery: Delivery, answer: Answer, pauses: Sequence[int]) -> timedelta:
    return timedelta(seconds=max(back_off(pauses, delivery.attempts), answer.retry_after))


def _leaving() -> Update:
    return (
        update(webhook_deliveries)
        .where(webhook_deliveries.c.event_id == bindparam("event"), webhook_deliveries.c.status == "pending")
        .values(attempts=webhook_deliveries.c.attempts + 1, response=bindparam("said"))
    )


_TAKEN = _leaving().values(status="delivered", delivered_at=bindparam("at"), next_attempt_at=None)
_REFUSED = _leaving().values(next_attempt_at=bindparam("at"))
