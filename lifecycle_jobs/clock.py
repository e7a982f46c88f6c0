"""The only place that asks the machine for the time (SPEC §1); freezegun moves it in tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

_SLEEPLESS: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A virtual machine that was paused must notice how long; CLOCK_MONOTONIC stands still meanwhile, but is everywhere."""

_EARLIEST: Final = date(1900, 1, 1)
_LATEST: Final = date(2999, 12, 31)
"""Dates that somebody may mean: all that the rules reckon from them lies in the calendar too."""

_STANDS_AT: ContextVar[datetime | None] = ContextVar("_STANDS_AT", default=None)


def now() -> datetime:
    """This moment, in UTC. For leases, retries and records; never for business rules."""
    return _STANDS_AT.get() or datetime.now(UTC)


@contextmanager
def standing_at(moment: datetime) -> Iterator[None]:
    """For what is done in the block it is this moment, for nothing else: so simulated days are dated as they would be.

    Threads that are started in the block are on time: what they renew or wait for is real.
    """
    before = _STANDS_AT.set(moment)
    try:
        yield
    finally:
        _STANDS_AT.reset(before)


def running() -> float:
    """Seconds from some moment on, that nobody can set and that go on while the machine sleeps."""
    return time.clock_gettime(_SLEEPLESS)


def read_date(text: str) -> date:
    """A date as it is typed, YYYY-MM-DD. Raises ValueError if it is none, or none that the rules can reckon with."""
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is not a date; write it as 2027-03-31"
        raise ValueError(message) from error
    if not _EARLIEST <= found <= _LATEST:
        message = f"{found} does not lie between {_EARLIEST} and {_LATEST}"
        raise ValueError(message)
    return found


def business_date(zone: ZoneInfo) -> date:
    """Today's calendar date where the business is. `date.today()` would give the machine's."""
    return now().astimezone(zone).date()
