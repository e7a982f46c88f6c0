"""Servers that behave like Stripe, started once for a test file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stripe_servers import StripeServer


@pytest.fixture(scope="module")
def _recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeServer]:
    with StripeServer(_journal(tmp_path_factory), late=1.5) as server:
        yield server


@pytest.fixture(scope="module")
def _localstripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeServer]:
    with StripeServer(_journal(tmp_path_factory), localstripe=True) as server:
        yield server


@pytest.fixture
def stripe_server(_recorded: StripeServer) -> Iterator[StripeServer]:
    """Recorded behaviour of Stripe, with nothing wrong with it."""
    yield _recorded
    _recorded.mend()
    _recorded.show()
    _recorded.answer_after(0)


@pytest.fixture
def localstripe_server(_localstripe: StripeServer) -> Iterator[StripeServer]:
    """localstripe behind our front."""
    yield _localstripe
    _localstripe.mend()


def _journal(folders: pytest.TempPathFactory) -> Path:
    return folders.mktemp("stripe") / "journal.jsonl"
