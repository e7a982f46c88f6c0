"""A month shows what became of each of its dates, in words and not by colour alone."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import insert

from lifecycle_jobs import clock
from lifecycle_jobs.console.calendar import outcomes_of
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import runs
from tests.console.browsing import Browser

FIRST = date(2027, 3, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number - 1)


def ran(store: Store, number: int, state: str, failures: int = 0) -> None:
    with store.write() as connection:
        connection.execute(
            insert(runs).values(
                run_on=day(number),
                run_pass=1,
                scope="everything",
                state=state,
                since=day(number - 1),
                started_at=clock.now(),
                failures=failures,
            )
        )


def test_each_date_has_its_outcome(store: Store) -> None:
    for number, state, failures in ((2, "completed", 0), (3, "completed", 4), (5, "superseded", 0)):
        ran(store, number, state, failures)
    ran(store, 6, "completed")
    ran(store, 7, "running")

    with store.read() as connection:
        outcomes = outcomes_of(connection, day(1), day(8))

    assert [outcomes[day(number)] for number in range(1, 9)] == [
        "none", "good", "attention", "missed", "superseded", "good", "unfinished", "none",
    ]  # fmt: skip


def test_the_page_says_it_in_words_and_leads_to_the_day(sqlite_store: Store, viewer: Browser) -> None:
    ran(sqlite_store, 24, "completed", 1)

    page = viewer.get("/calendar?month=2027-03").text

    assert "March 2027" in page
    assert '<a href="/days/2027-03-24">' in page
    assert "done, but something needs a person" in page


def test_whatever_is_typed_as_a_month_is_this_one(viewer: Browser) -> None:
    for typed in ("", "2027-13", "<script>", "0000-01"):
        assert viewer.get(f"/calendar?month={typed}").status_code == 200
    assert viewer.get("/calendar?month=9999-12").status_code == 200
    assert viewer.get("/calendar?month=0001-01").status_code == 200
