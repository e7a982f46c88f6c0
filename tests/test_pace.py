"""So many a second, evenly; and not all again at the same moment."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lifecycle_jobs.pace import Pace, back_off


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


@pytest.mark.parametrize(("attempts", "pause"), [(0, 5), (1, 60), (2, 60), (40, 60)])
def test_pauses_grow_to_the_last_give_or_take_a_fifth(attempts: int, pause: int) -> None:
    drawn = [back_off([5, 60], attempts) for _ in range(500)]

    assert pause * 0.8 <= min(drawn) < pause * 0.9
    assert pause * 1.1 < max(drawn) <= pause * 1.2
