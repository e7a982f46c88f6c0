"""A receiver, and a provider whose webhooks were configured before anything happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.settings import Settings
from tests.webhooks.receiver import Receiver
from tests.webhooks.sending import deliver, settings_to


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Takes everything until it is told otherwise."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def settings(tmp_path: Path, receiver: Receiver) -> Settings:
    """The shipped settings, with the receiver."""
    return settings_to(tmp_path, receiver.url)


@pytest.fixture
def told(store: Store, settings: Settings) -> Store:
    """A database on which a first pass was made."""
    deliver(store, settings)
    return store
