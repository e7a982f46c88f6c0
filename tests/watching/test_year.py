"""An ordinary time passes in silence; a mistake at its end does not."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select, update

from lifecycle_jobs import log
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from tests.daily import run, settings_for
from tests.watching.past import DAY
from tests.watching.year import Provider

TODAY = date(2027, 1, 4)


@pytest.mark.parametrize(
    ("number", "sold_a_day", "seed"),
    [
        pytest.param(32, 2, 1, id="a month"),
        pytest.param(430, 12, 2, id="a year of 4,000 boxes", marks=pytest.mark.soak),
        pytest.param(430, 60, 3, id="a year of 22,000 boxes", marks=pytest.mark.soak),
    ],
)
def test_an_ordinary_time_is_silent_and_a_wrong_import_after_it_is_stopped(
    sqlite_store: Store, tmp_path: Path, number: int, sold_a_day: int, seed: int
) -> None:
    log.configure("error", "json")
    settings = settings_for(tmp_path, watching={"stop_suspensions": True, "stop_deletions": True})
    provider = Provider(sqlite_store, sold_a_day, seed)
    provider.settle(TODAY)

    noticed = []
    for on in (TODAY + ahead * DAY for ahead in range(number)):
        provider.between(on)
        report = run(sqlite_store, settings, on, deliver=False)
        provider.after(on)
        noticed += [*report.unusual, *report.failures]
    _expire(sqlite_store, 60, on)
    stopped = run(sqlite_store, settings, on + DAY, deliver=False)

    assert noticed == []
    assert [(each.job, each.what, each.stopped) for each in stopped.unusual] == [("suspend", "box.suspended", True)]


def _expire(store: Store, number: int, on: date) -> None:
    """So many boxes that were paid for long are said to end today."""
    with store.write() as connection:
        some = select(boxes.c.id).where(boxes.c.status == "active", boxes.c.expires_on > on + 100 * DAY).limit(number)
        connection.execute(
            update(boxes).where(boxes.c.id.in_(some)).values(expires_on=on, imported_expires_on=on, auto_renew=False)
        )
