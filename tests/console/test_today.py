"""The first page tells how today's run stands, and what waits for a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from lifecycle_jobs import clock, lease, runs
from lifecycle_jobs.console.today import show_run
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import runs as run_records
from tests import factories
from tests.console.browsing import Browser, console_settings
from tests.daily import run

DAY = timedelta(days=1)


@pytest.fixture
def today(store: Store, tmp_path: Path) -> date:
    return clock.business_date(console_settings(tmp_path, store).zone)


def test_before_the_first_run_it_says_so(operator: Browser) -> None:
    page = operator.read("/")

    assert "No run yet" in page
    assert "Nothing. All is well." in page


def test_a_run_that_is_done_stands_there_with_what_it_did(
    store: Store, tmp_path: Path, today: date, anew: Callable[[], Browser]
) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, expires_on=today - DAY)
    run(store, console_settings(tmp_path, store), today)

    page = anew().get("/").text

    assert '<span class="badge good">done</span>' in page
    assert 'hx-trigger="every 20s"' in page


def test_while_a_run_is_going_its_jobs_are_told_live(store: Store, today: date, anew: Callable[[], Browser]) -> None:
    browser = anew()
    with store.write() as connection:
        factories.customer(connection)
        for number in range(3):
            factories.box(connection, f"b{number}@pec.example.it", expires_on=today - DAY)
    with lease.hold(store, "run", 60) as held:
        fenced = store.fenced(held)
        begun = runs.begin(fenced, today)
        assert begun is not None
        runs.job_began(fenced, begun, "suspend")
        with fenced.write() as connection:
            for box_id in (1, 2):
                factories.event(
                    connection,
                    "box.suspended",
                    box_id=box_id,
                    occurred_on=today,
                    run_on=today,
                    run_pass=1,
                    job="suspend",
                )
        page = browser.get("/").text
        part = browser.get("/today/live").text
        with store.read() as connection:
            shown = show_run(connection, today)

    assert shown is not None
    assert [(job.state, job.counts) for job in shown.jobs if job.job == "suspend"] == [
        ("running", {"box.suspended": 2})
    ]
    for answer in (page, part):
        assert 'hx-get="/today/live" hx-trigger="every 2s"' in answer
        assert "going on" in answer
    assert "<html" not in part


def test_a_run_whose_process_is_gone_is_not_called_going(
    store: Store, today: date, anew: Callable[[], Browser]
) -> None:
    runs.begin(store, today)

    page = anew().get("/").text

    assert "not finished" in page
    assert 'hx-trigger="every 20s"' in page


def test_what_waits_for_a_person_is_counted(
    store: Store, tmp_path: Path, today: date, anew: Callable[[], Browser]
) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.message(connection, "key", status="failed", created_on=today)
    run(store, console_settings(tmp_path, store), today - 30 * DAY)

    page = anew().read("/")

    assert "1 e-mail that failed for good" in page
    assert "A gap is suspected" in page


def test_a_run_that_needs_a_person_is_not_called_good(store: Store, today: date, anew: Callable[[], Browser]) -> None:
    runs.begin(store, today)
    with store.write() as connection:
        connection.execute(update(run_records).values(state="completed", failures=2, finished_at=clock.now()))

    assert "done, but something needs a person" in anew().read("/")


def test_a_job_that_refused_its_work_leads_to_the_plan_that_can_be_approved(
    store: Store, tmp_path: Path, today: date, anew: Callable[[], Browser]
) -> None:
    settings = console_settings(tmp_path, store)
    few = settings.deletion.model_copy(update={"always_allowed": 0, "max_percent": 0})
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, status="suspended", expires_on=today - 100 * DAY)
    run(store, settings.model_copy(update={"deletion": few}), today)

    page = anew().get("/").text

    assert f'<a href="/plan?date={today}"><span class="n">1</span> job that waits to be approved</a>' in page
