"""Processes that run the program in children: two for all tests that one worker has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.trial import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Runs one command after the other."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def another() -> Iterator[Server]:
    """For what is to run beside what the first one runs."""
    with Server() as server:
        yield server
