"""What the next days bring is counted as the jobs would do it: the forecast is held against the days themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import charges, events
from lifecycle_jobs.report.coming import coming_days
from lifecycle_jobs.report.contents import ComingDay
from tests import factories, servers
from tests.daily import run, settings_for
from tests.factories import CATALOG

TODAY = date(2027, 3, 24)
DAY = timedelta(days=1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database of each kind for all boxes of this file: each is rolled back."""
    with ExitStack() as over:
        if request.param == "sqlite":
            url = servers.fresh_sqlite(tmp_path_factory.mktemp("coming"))
        else:
            url = over.enter_context(servers.fresh_postgresql())
        store = open_store(url)
        over.callback(store.engine.dispose)
        yield store


def provider(store: Store) -> None:
    """One customer, and a card that pays."""
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)


def add(store: Store, name: str, **values: Any) -> None:
    with store.write() as connection:
        factories.box(connection, f"{name}@pec.example.it", **values)


def on_the(days: int, store: Store) -> ComingDay:
    """What the day so many days from now brings."""
    return coming_days(store, CATALOG, TODAY)[days - 1]


LONG_PAST = TODAY - 200 * DAY
AUTOMATIC = {"auto_renew": True, "payment_method_id": "pm1"}


@pytest.mark.parametrize(
    ("days", "values", "counted"),
    [
        (1, {"expires_on": TODAY + 31 * DAY}, {"expiry_alerts": 1}),
        (1, {"expires_on": TODAY + 31 * DAY, "cancelled_on": TODAY}, {}),
        (3, {"expires_on": TODAY + 40 * DAY, **AUTOMATIC}, {"renewal_notices": 1}),
        (2, {"expires_on": TODAY + 9 * DAY, **AUTOMATIC}, {"first_charges": 1}),
        (2, {"expires_on": TODAY + 9 * DAY, **AUTOMATIC, "cancelled_on": TODAY}, {}),
        (7, {"expires_on": TODAY + 6 * DAY}, {"ended_by_hand": 1}),
        (1, {"expires_on": TODAY, **AUTOMATIC}, {"ended_automatic": 1}),
        (1, {"expires_on": TODAY, "plan": "domain", **AUTOMATIC}, {"ended_by_hand": 1}),
        (1, {"expires_on": TODAY, "hold_reason": "court order"}, {}),
        (4, {"status": "suspended", "expires_on": TODAY - 87 * DAY}, {"deletions": 1}),
        (3, {"status": "suspended", "expires_on": TODAY - 87 * DAY}, {}),
        (5, {"status": "suspended", "expires_on": TODAY - 87 * DAY}, {}),
        (4, {"status": "suspended", "expires_on": TODAY - 87 * DAY, "suspended_reason": "abuse"}, {}),
        (4, {"status": "suspended", "expires_on": TODAY - 87 * DAY, "hold_reason": "court order"}, {}),
        (2, {"status": "suspended", "expires_on": LONG_PAST, "suspended_on": TODAY - 28 * DAY}, {"deletions": 1}),
        (2, {"status": "suspended", "expires_on": LONG_PAST, "hold_until": TODAY - 28 * DAY}, {"deletions": 1}),
    ],
)  # fmt: skip
def test_a_box_is_counted_on_the_day_that_concerns_it(
    either: Store, days: int, values: dict[str, Any], counted: dict[str, int]
) -> None:
    with either.rehearse() as store:
        provider(store)
        add(store, "a", **values)

        assert on_the(days, store) == ComingDay(TODAY + days * DAY, **counted)


def test_a_week_comes_as_it_was_foretold(sqlite_store: Store, tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    provider(sqlite_store)
    for number in range(-93, 100):
        values: dict[str, Any] = {"expires_on": TODAY + number * DAY}
        if number < 0:
            values["status"] = "suspended"
        elif number % 3 == 0:
            values |= AUTOMATIC
        add(sqlite_store, f"box{number}", **values)
    run(sqlite_store, settings, TODAY, again=True)

    foretold = coming_days(sqlite_store, settings.catalog(), TODAY)
    for ahead in range(1, 8):
        run(sqlite_store, settings, TODAY + ahead * DAY)

    for coming in foretold:
        done = _done(sqlite_store, coming.on)
        assert coming.expiry_alerts == done["box.expiry_alert"]
        assert coming.renewal_notices == done["box.renewal_notice"]
        assert coming.first_charges == done["first_charge"]
        assert coming.ended_by_hand == done["box.suspended"]
        assert coming.deletions == done["box.deleted"]
    assert sum(coming.expiry_alerts + coming.renewal_notices for coming in foretold) > 20
    assert sum(coming.deletions for coming in foretold) == 7


def _done(store: Store, on: date) -> Counter[str]:
    """What the run of a day did, by kind; charges of the first slot as `first_charge`."""
    with store.read() as connection:
        done = Counter(connection.scalars(select(events.c.kind).where(events.c.run_on == on)))
        done["first_charge"] = len(
            connection.scalars(select(charges.c.id).where(charges.c.attempted_on == on, charges.c.slot == 7)).all()
        )
    return done
