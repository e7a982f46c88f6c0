"""The one door to the time, and the clock that stands for simulated days."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from lifecycle_jobs import clock

EVENING = datetime(2027, 3, 31, 22, 30, tzinfo=UTC)


def test_in_the_block_it_is_the_given_moment_and_its_business_date() -> None:
    with clock.standing_at(EVENING):
        assert clock.now() == EVENING
        assert clock.business_date(ZoneInfo("Europe/Rome")) == date(2027, 4, 1)

    assert clock.now() != EVENING


def test_after_an_error_in_the_block_the_clock_goes_on() -> None:
    with pytest.raises(ValueError, match="in the block"), clock.standing_at(EVENING):
        raise ValueError("in the block")

    assert clock.now() != EVENING


def test_another_thread_is_on_time() -> None:
    seen: list[datetime] = []

    with clock.standing_at(EVENING):
        thread = threading.Thread(target=lambda: seen.append(clock.now()))
        thread.start()
        thread.join()

    assert seen != [EVENING]
