"""A console, and those who look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lifecycle_jobs.db.session import Store
from tests.console.browsing import Browser, console_settings, served


@pytest.fixture
def url(sqlite_store: Store, tmp_path: Path) -> Iterator[str]:
    """Where the console of an SQLite database is."""
    with served(console_settings(tmp_path, sqlite_store)) as address:
        yield address


@pytest.fixture
def stranger(url: str) -> Browser:
    """Nobody has signed in."""
    return Browser(url)


@pytest.fixture
def viewer(url: str) -> Browser:
    """vera, who may look."""
    return _signed_in(url, "vera")


@pytest.fixture
def operator(url: str) -> Browser:
    """olga, who may act."""
    return _signed_in(url, "olga")


@pytest.fixture
def anew(store: Store, tmp_path: Path) -> Iterator[Callable[[], Browser]]:
    """olga at the console of either kind of database."""
    with served(console_settings(tmp_path, store)) as address:
        yield lambda: _signed_in(address, "olga")


def _signed_in(url: str, name: str) -> Browser:
    browser = Browser(url)
    assert browser.sign_in(name).ok
    return browser
