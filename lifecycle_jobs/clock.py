"""The only place that asks the machine for the time (SPEC §1); freezegun moves it in tests."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo


def now() -> datetime:
    """This moment, in UTC. For leases, retries and records; never for business rules."""
    return datetime.now(UTC)


def business_date(zone: ZoneInfo) -> date:
    """Today's calendar date where the business is. `date.today()` would give the machine's."""
    return datetime.now(zone).date()
