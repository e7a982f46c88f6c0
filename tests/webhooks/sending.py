"""A provider that tells a mail platform what happens: its settings, its history, and one pass of delivery."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Connection, Row, func, select, update

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, webhook_deliveries
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.webhooks.deliver import WebhookReport, deliver_webhooks
from lifecycle_jobs.webhooks.records import Delivery
from tests import factories
from tests.daily import settings_for
from tests.webhooks.receiver import SECRET

ON = date(2027, 4, 1)

DELETED = Delivery(
    event_id=17,
    kind="box.deleted",
    occurred_on=date(2027, 6, 30),
    box_id=3,
    address="mario.rossi@pec.example.it",
    customer_id="c1",
    term_expires_on=date(2027, 3, 31),
    addon_id=None,
    addon_kind=None,
    addon_quantity=None,
    detail={"suspended_on": "2027-04-01"},
    queued_at=datetime(2027, 6, 30, 1, 2, 3, 456789, tzinfo=UTC),
    attempts=0,
)
"""An event on its way, as it is read from the queue."""


def settings_to(tmp_path: Path, url: str, **webhooks: Any) -> Settings:
    """The shipped settings, with a receiver."""
    wanted = {"url": url, "secret": SecretStr(SECRET), "concurrency": 4, "timeout": 5}
    return settings_for(tmp_path, webhooks=wanted | webhooks)


def changed(settings: Settings, **webhooks: Any) -> Settings:
    """The same settings, but for some of the webhooks'."""
    return settings.model_copy(update={"webhooks": settings.webhooks.model_copy(update=webhooks)})


def deliver(store: Store, settings: Settings) -> WebhookReport:
    """One pass."""
    return deliver_webhooks(store, settings, lambda _name, _rows: None)


def counted(report: WebhookReport) -> tuple[int, int, int]:
    """Delivered, failed, waiting."""
    return dataclasses.astuple(report)[:3]


def boxes_named(store: Store, *names: str) -> list[int]:
    """A box of each name, all of one customer. Returns the ids."""
    with store.write() as connection:
        if not connection.scalar(select(func.count()).select_from(boxes)):
            factories.customer(connection)
        return [factories.box(connection, f"{name}@pec.example.it") for name in names]


def happen(store: Store, box_id: int | None, *kinds: str, on: date = ON) -> list[int]:
    """Things happen to a box, one after the other. Returns the events' ids."""
    with store.write() as connection:
        return [event(connection, box_id, kind, on=on) for kind in kinds]


def event(connection: Connection, box_id: int | None, kind: str = "box.suspended", *, on: date = ON) -> int:
    """Something happens to a box, in a transaction of its own choosing. Returns the event's id."""
    return factories.event(connection, kind, occurred_on=on, box_id=box_id)


def history(store: Store, *, boxes: int, each: int) -> list[int]:
    """So many boxes, to which so many things happen by turns. Returns the events' ids."""
    ids = boxes_named(store, *[f"box{number}" for number in range(boxes)])
    with store.write() as connection:
        return [event(connection, box_id) for _ in range(each) for box_id in ids]


def delivery(store: Store, event_id: int) -> Row[Any]:
    """What is recorded of an event's delivery."""
    with store.read() as connection:
        return connection.execute(select(webhook_deliveries).where(webhook_deliveries.c.event_id == event_id)).one()


def queued(store: Store) -> Sequence[int]:
    """The events that wait, in order."""
    with store.read() as connection:
        return connection.scalars(
            select(webhook_deliveries.c.event_id)
            .where(webhook_deliveries.c.status == "pending")
            .order_by(webhook_deliveries.c.event_id)
        ).all()


def back_off_is_over(store: Store) -> None:
    """As if time had passed."""
    with store.write() as connection:
        connection.execute(update(webhook_deliveries).values(next_attempt_at=None))
