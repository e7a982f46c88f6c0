"""A monitoring server on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.settings import Settings
from tests.monitoring.watching import Watched, watched, watched_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return watched_settings(tmp_path)


@pytest.fixture
def watch(store: Store, settings: Settings) -> Iterator[Watched]:
    with watched(store, settings) as found:
        yield found


@pytest.fixture
def sqlite_watch(sqlite_store: Store, settings: Settings) -> Iterator[Watched]:
    with watched(sqlite_store, settings) as found:
        yield found
