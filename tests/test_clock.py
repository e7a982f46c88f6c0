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


@pytest.mark.parametrize("day", ["1900-01-01", "2027-03-31", "2999-12-31"])
def test_a_date_is_read_as_it_is_written(day: str) -> None:
    assert clock.read_date(day).isoformat() == day


@pytest.mark.parametrize("day", ["", "31/03/2027", "2027-02-30", "1899-12-31", "3000-01-01", "9999-12-31"])
def test_what_is_no_date_or_one_of_no_use_is_refused(day: str) -> None:
    with pytest.raises(ValueError, match=r"is not a date|does not lie between"):
        clock.read_date(day)
