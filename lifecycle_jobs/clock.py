"""The only place that asks the machine for the time (SPEC §1); freezegun moves it in tests."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

_SLEEPLESS: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A virtual machine that was paused must notice how long; CLOCK_MONOTONIC stands still meanwhile, but is everywhere."""


def now() -> datetime:
    """This moment, in UTC. For leases, retries and records; never for business rules."""
    return datetime.now(UTC)


def running() -> float:
    """Seconds from some moment on, that nobody can set and that go on while the machine sleeps."""
    return time.clock_gettime(_SLEEPLESS)


def business_date(zone: ZoneInfo) -> date:
    """Today's calendar date where the business is. `date.today()` would give the machine's."""
    return datetime.now(zone).date()
