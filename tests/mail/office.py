"""Settings for mail tests, and queued messages of every kind, as the jobs and the compose step leave them."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, Row, select

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import messages
from lifecycle_jobs.settings import Settings, load_settings
from tests import factories

ON = date(2027, 3, 24)
E = factories.EXPIRES_ON


def settings_for(tmp_path: Path, **mail: Any) -> Settings:
    """The shipped settings, with messages going to a folder of the test unless said."""
    settings = _shipped_settings()
    changed = settings.mail.model_copy(update={"directory": tmp_path / "mail", **mail})
    return settings.model_copy(update={"mail": changed})


def _shipped_settings() -> Settings:
    others = {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")}
    with patch.dict(os.environ, others, clear=True):  # what the developer has set must not decide a test
        return load_settings()


def queued(
    connection: Connection,
    *event_ids: int,
    kind: str = "box.expiry_alert",
    customer_id: str = "c1",
    recipient: str | None = None,
    locale: str = "it",
    created_on: date = ON,
) -> int:
    """A message with the key that the compose step would give it. Returns its id."""
    return factories.message(
        connection,
        f"{created_on}/1/{customer_id}/{kind}",
        *event_ids,
        customer_id=customer_id,
        kind=kind,
        locale=locale,
        recipient=recipient or f"{customer_id}@example.it",
        created_on=created_on,
    )


def alert(connection: Connection, box_id: int, *, term: date = E, milestone: int = 7, customer_id: str = "c1") -> int:
    """An expiry alert that a run has written. Returns the event's id."""
    return factories.event(
        connection,
        "box.expiry_alert",
        occurred_on=ON,
        box_id=box_id,
        customer_id=customer_id,
        term_expires_on=term,
        milestone=milestone,
        detail={"milestone": milestone, "days_left": milestone},
        run_on=ON,
        run_pass=1,
    )


def queue_alerts(store: Store, *recipients: str, first: int = 1) -> list[int]:
    """One expiry alert for each of these addresses, each of a customer with one box. Returns the messages' ids.

    Customers and boxes are numbered from `first` on.
    """
    with store.write() as connection:
        return [_queue_alert(connection, number, recipient) for number, recipient in enumerate(recipients, first)]


def _queue_alert(connection: Connection, number: int, recipient: str) -> int:
    customer = factories.customer(connection, f"c{number}", email=recipient)
    box = factories.box(connection, f"box{number}@pec.example.it", customer_id=customer)
    event = alert(connection, box, customer_id=customer)
    return queued(connection, event, customer_id=customer, recipient=recipient)


def message_row(store: Store, message_id: int) -> Row[Any]:
    """A message as it is recorded now."""
    with store.read() as connection:
        return connection.execute(select(messages).where(messages.c.id == message_id)).one()
