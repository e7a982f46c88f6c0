"""What the receiver has not confirmed yet: for `webhooks list`, `status` and monitoring. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, func, literal, select, union_all

from lifecycle_jobs.db.tables import boxes, events, webhook_deliveries
from lifecycle_jobs.webhooks.take_up import looked_through, not_taken_up

_pending = webhook_deliveries.c.status == "pending"
_since = func.coalesce(webhook_deliveries.c.replayed_at, webhook_deliveries.c.queued_at)


@dataclass(frozen=True, slots=True)
class Queue:
    """How many webhooks wait, and since when the oldest of them does (UTC); none if none does."""

    waiting: int
    oldest: datetime | None


NOTHING: Final = Queue(0, None)


def queue(connection: Connection, now: datetime) -> Queue:
    """How long the queue is."""
    oldest = connection.scalar(select(func.min(_since)).where(_pending))
    return Queue(number(connection, now), oldest)


def number(connection: Connection, now: datetime) -> int:
    """How many events wait for a 2xx, those included that no pass has taken up yet."""
    queued = connection.scalar(select(func.count()).select_from(webhook_deliveries).where(_pending)) or 0
    after = looked_through(connection, now)
    if after is None:
        return queued
    return queued + (connection.scalar(select(func.count()).select_from(events).where(not_taken_up(after))) or 0)


def pending() -> Select[Any]:
    """What is queued, oldest event first."""
    return (
        select(
            events.c.id.label("event_id"),
            events.c.kind,
            boxes.c.address,
            events.c.occurred_on,
            _since.label("waiting_since"),
            webhook_deliveries.c.attempts,
            webhook_deliveries.c.next_attempt_at,
            webhook_deliveries.c.response,
        )
        .join(events, events.c.id == webhook_deliveries.c.event_id)
        .outerjoin(boxes, boxes.c.id == events.c.box_id)
        .where(_pending)
        .order_by(events.c.id)
    )


def unconfirmed(connection: Connection, kinds: Sequence[str], now: datetime) -> Select[Any]:
    """The boxes to which one of these happened and of which the platform has not said that it knows, oldest first."""
    queued = (
        select(
            events.c.id,
            boxes.c.address,
            events.c.occurred_on.label("since"),
            webhook_deliveries.c.attempts,
            webhook_deliveries.c.response,
        )
        .select_from(webhook_deliveries)
        .join(events, events.c.id == webhook_deliveries.c.event_id)
        .join(boxes, boxes.c.id == events.c.box_id)
        .where(_pending, events.c.kind.in_(kinds))
    )
    after = looked_through(connection, now)
    if after is not None:
        not_yet = (
            select(
                events.c.id,
                boxes.c.address,
                events.c.occurred_on,
                literal(0),
                literal(None, webhook_deliveries.c.response.type),
            )
            .join(boxes, boxes.c.id == events.c.box_id)
            .where(not_taken_up(after), events.c.kind.in_(kinds))
        )
        both = union_all(queued, not_yet).subquery()
    else:
        both = queued.subquery()
    return select(both.c.address, both.c.since, both.c.attempts, both.c.response).order_by(both.c.since, both.c.id)
