"""A provider with a past for the console to show: the sample boxes, a spike of unpaid ones, and a name with script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from freezegun import freeze_time

from lifecycle_jobs import lease
from lifecycle_jobs.db.schema import upgrade
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.transfer.load import import_directory
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.console.browsing import console_settings
from tests.daily import run
from tests.demo.__main__ import PROVIDER

TODAY = date(2027, 3, 28)
DAY = timedelta(days=1)
SCRIPT = "<script>document.title='caught'</script>"
SPIKE = 120
"""Boxes that are to be deleted on one day: more than a run deletes unasked."""


@contextmanager
def provider(folder: Path) -> Iterator[tuple[Store, Settings]]:
    """Three months of it, up to yesterday, and today's run, which leaves its deletions to a person."""
    url = f"sqlite:///{folder}/lifecycle.db"
    store = open_store(url)
    try:
        upgrade(store)
        settings = console_settings(folder, store)
        with lease.hold(store, "run", 60) as held:
            import_directory(
                store.fenced(held), settings.catalog(), PROVIDER, overwrite=False, dry_run=False, today=TODAY
            )
        _add_a_spike(store)
        for number in range(88):
            run(store, settings, TODAY - (87 - number) * DAY)
        yield store, settings
    finally:
        store.engine.dispose()


def _add_a_spike(store: Store) -> None:
    unpaid_since = TODAY - 91 * DAY
    with store.write() as connection:
        factories.customer(connection, "script", name=SCRIPT, email="script@example.it")
        factories.box(connection, "script@pec.example.it", customer_id="script", expires_on=TODAY + 7 * DAY)
        for number in range(SPIKE):
            holder = factories.customer(connection, f"spike{number:03}")
            factories.box(
                connection,
                f"spike{number:03}@pec.example.it",
                customer_id=holder,
                status="suspended",
                expires_on=unpaid_since,
            )


@contextmanager
def todays_clock(moment: str = f"{TODAY} 08:00:00") -> Iterator[None]:
    """It is the morning of `TODAY`, and time goes on from there."""
    with freeze_time(moment, tick=True, real_asyncio=True):
        yield
