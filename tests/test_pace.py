"""So many a second, evenly."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lifecycle_jobs.pace import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    turned = SimpleNamespace(now=100.0)
    turned.monotonic = lambda: turned.now
    monkeypatch.setattr("lifecycle_jobs.pace.time", turned)
    return turned


def test_what_may_begin_comes_evenly(clock: SimpleNamespace) -> None:
    pace = Pace(32)
    assert pace.take(100) == 3
    assert pace.take(1) == 0

    clock.now += pace.next_in()
    assert pace.take(100) == 1


def test_what_was_not_used_is_not_saved_up(clock: SimpleNamespace) -> None:
    pace = Pace(20)

    clock.now += 3600

    assert pace.take(100) == 2


def test_what_did_not_begin_after_all_is_given_back(clock: SimpleNamespace) -> None:
    del clock
    pace = Pace(20)
    taken = pace.take(2)
    pace.give_back(taken)

    assert pace.take(2) == 2
