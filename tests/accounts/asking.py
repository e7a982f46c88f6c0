"""An operation that is asked for by a clerk, and what is read back of it."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from datetime import date

import pytest

from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.mail.delivery import deliver_now
from lifecycle_jobs.operators import Operator
from tests.jobs.running import Office, everything, look


def clerk(on: date) -> Operator:
    """Whoever sits in the office on a day."""
    return Operator("anna", "asked for it", on)


def refused(office: Office, ask: Callable[[], object]) -> str:
    """The sentence with which an operation is refused; nothing at all is written."""
    before = everything(office.store)
    with pytest.raises(Refused) as refusal:
        ask()
    assert everything(office.store) == before
    return str(refusal.value)


def queued(office: Office) -> list[str]:
    """The kinds of all messages, in the order in which they were queued."""
    return [row["kind"] for row in look(office.store, tables.messages)]


def letters(office: Office, on: date) -> list[str]:
    """What the messages that are delivered on a day say in plain text, without line breaks."""
    deliver_now(office.store, office.settings, on, lambda _name, _rows: None)
    texts = []
    for path in sorted(office.settings.mail.directory.rglob("*.eml")):
        letter = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        body = letter.get_body(("plain",))
        assert body is not None
        texts.append(" ".join(body.get_content().split()))
    return texts
