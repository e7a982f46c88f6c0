"""Sending events again, for a receiver that lost them (a restored backup, say), under the ids they had before."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, insert, literal, select, update

from lifecycle_jobs import clock, lease
from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import events, webhook_deliveries
from lifecycle_jobs.errors import LeaseHeld, Refused
from lifecycle_jobs.history import record
from lifecycle_jobs.lease import Lease
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.webhooks.deliver import NAME
from lifecycle_jobs.webhooks.take_up import KINDS, before_next, goes_out

_PATIENCE: Final = 30
"""Seconds to wait for the end of a delivery that is under way."""

_LOOK_EVERY: Final = 0.5


@dataclass(frozen=True, slots=True)
class Period:
    """Which events: of these business dates, both included, and of one kind or all."""

    since: date
    until: date | None
    kind: str | None


def replay(
    store: Store, settings: Settings, operator: Operator, period: Period, progress: Callable[[str, int], None]
) -> int:
    """Queue every event of a period again, delivered or not; how many. Nothing is sent here.

    No delivery can be under way meanwhile, or a later event of a box could go between two that are queued again.
    Broken off, it is simply repeated. Raises Refused if there is no receiver or the kind goes to none, and LeaseHeld if
    a delivery does not come to its end.
    """
    if not settings.webhooks.url:
        message = "webhooks.url is empty: there is nobody to send events to. Nothing was done."
        raise Refused(message)
    if period.kind is not None and not period.kind.startswith(KINDS):
        message = f"Events of the kind {period.kind} go to no other system. Those that go begin with {', '.join(KINDS)}"
        raise Refused(message)
    with ExitStack() as stack:
        fenced = store.fenced(_hold(stack, store, settings, progress))
        with fenced.write() as connection:
            detail = {
                "since": period.since.isoformat(),
                "until": None if period.until is None else period.until.isoformat(),
                "kind": period.kind,
            }
            record(connection, operator.origin, "webhooks.replayed", detail=detail)
        return _queue_all(fenced, period, settings.database.chunk_size, progress)


def _hold(stack: ExitStack, store: Store, settings: Settings, progress: Callable[[str, int], None]) -> Lease:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return stack.enter_context(lease.hold(store, NAME, settings.lease.seconds))
        except LeaseHeld:
            if time.monotonic() >= until:
                raise
        progress(NAME, 0)
        time.sleep(_LOOK_EVERY)


def _queue_all(store: Store, period: Period, chunk_size: int, progress: Callable[[str, int], None]) -> int:
    now, number = clock.now(), 0
    with store.read() as connection:
        first, last = connection.execute(select(func.min(events.c.id), func.max(events.c.id)).where(_in(period))).one()
    if first is None:
        return 0
    upto = first - 1
    while upto < last:
        with store.read() as connection:
            after = before_next(connection, upto)
            upto = after + chunk_size
            within = and_(events.c.id > after, events.c.id <= upto, _in(period))
            chunk = list(connection.scalars(select(events.c.id).where(within)))
        if chunk:
            with store.write() as connection:
                _queue(connection, chunk, now)
        number += len(chunk)
        progress(NAME, len(chunk))
    return number


def _in(period: Period) -> ColumnElement[bool]:
    wanted = [goes_out(), events.c.occurred_on >= period.since]
    if period.until is not None:
        wanted.append(events.c.occurred_on <= period.until)
    if period.kind is not None:
        wanted.append(events.c.kind == period.kind)
    return and_(*wanted)


def _queue(connection: Connection, event_ids: list[int], now: datetime) -> None:
    deliveries = webhook_deliveries.c
    connection.execute(
        update(webhook_deliveries)
        .where(among(deliveries.event_id, event_ids))
        .values(status="pending", attempts=0, next_attempt_at=None, delivered_at=None, replayed_at=now)
    )
    moment = literal(now, deliveries.queued_at.type)
    known = select(deliveries.event_id).where(among(deliveries.event_id, event_ids))
    never_queued = select(events.c.id, events.c.box_id, literal("pending"), moment, moment).where(
        among(events.c.id, event_ids), events.c.id.not_in(known)
    )
    connection.execute(
        insert(webhook_deliveries).from_select(
            ["event_id", "box_id", "status", "queued_at", "replayed_at"], never_queued
        )
    )
