"""What a run refused is done by the plan that names it, and nothing else is."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from lifecycle_jobs import stops
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, events, runs
from lifecycle_jobs.errors import StopRequested
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.console.browsing import Browser, console_settings, served
from tests.daily import run

ON = date(2026, 3, 31)
PAGE = f"/plan?date={ON}"


@pytest.fixture
def settings(store: Store, tmp_path: Path) -> Settings:
    """Two deletions a day are few, three are many; and a plan is kept however old its date is."""
    chosen = console_settings(tmp_path, store)
    few = chosen.deletion.model_copy(update={"always_allowed": 2, "max_percent": 1})
    kept = chosen.day_plans.model_copy(update={"keep_days": 36500})
    return chosen.model_copy(update={"deletion": few, "day_plans": kept})


@pytest.fixture
def refused(store: Store, settings: Settings) -> list[int]:
    """Three boxes that the run of the date would not delete."""
    with store.write() as connection:
        factories.customer(connection)
        found = [
            factories.box(connection, f"gone{each}@pec.it", status="suspended", expires_on=ON - timedelta(days=91))
            for each in range(3)
        ]
    assert run(store, settings, ON).failures
    return found


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    with served(settings) as url:
        yield url


def signed_in(address: str, name: str) -> Browser:
    browser = Browser(address)
    assert browser.sign_in(name).ok
    return browser


@pytest.fixture
def olga(address: str, refused: list[int]) -> Browser:  # noqa: ARG001 -- there is something to approve
    """An operator who had the plan made."""
    browser = signed_in(address, "olga")
    browser.fill_in("/plan", {"date": ON.isoformat()})
    browser.wait_for(f"/plan/live?date={ON}")
    return browser


def hash_on(page: str) -> str:
    found = re.search(r"<code>([0-9a-f]{16})</code>", page)
    assert found is not None
    return found[1]


def approve(browser: Browser, digest: str, why: str = "") -> None:
    browser.fill_in("/plan/approve", {"date": ON.isoformat(), "hash": digest, "why": why})
    browser.wait_for(f"/plan/approve/live?date={ON}")


def deleted(store: Store) -> int:
    with store.read() as connection:
        return len(connection.scalars(select(boxes.c.id).where(boxes.c.status == "deleted")).all())


def test_the_page_before_shows_number_boxes_and_hash_and_the_approval_does_just_that(
    store: Store, olga: Browser
) -> None:
    digest = hash_on(olga.get(PAGE).text)

    before = olga.read(f"/plan/approve?date={ON}")
    approve(olga, digest, "I know them")
    after = olga.read(PAGE)

    assert "deletions: 3" in before
    assert digest in before
    assert all(f"gone{each}@pec.it" in before for each in range(3))
    assert "What olga approved was done" in after
    assert deleted(store) == 3
    with store.read() as connection:
        recorded = connection.execute(
            select(events.c.actor, events.c.why, events.c.detail).where(events.c.kind == "deletions.approved")
        ).one()
    assert tuple(recorded) == ("olga", "I know them", {"run_on": ON.isoformat(), "number": 3, "plan": digest})


def test_a_plan_that_has_changed_is_not_done_and_the_difference_is_shown(
    store: Store, olga: Browser, refused: list[int]
) -> None:
    digest = hash_on(olga.get(PAGE).text)
    with store.write() as connection:
        connection.execute(update(boxes).where(boxes.c.id == refused[0]).values(hold_reason="dispute"))

    approve(olga, digest)
    page = olga.read(PAGE)

    assert deleted(store) == 0
    assert "Nothing was done: the plan has changed" in page
    assert "No longer done: 1" in page
    assert "gone0@pec.it" in page


def test_the_emergency_stop_does_not_wait_until_the_plan_is_compared(
    store: Store, olga: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hash_on(olga.get(PAGE).text)
    comparing = threading.Event()

    def endless(*arguments: object) -> None:
        rehearsed, progress = arguments[0], arguments[5]
        assert isinstance(rehearsed, Store)
        assert callable(progress)
        with rehearsed.rehearse():
            comparing.set()
            for _ in range(500):
                progress("suspend", 1)
                threading.Event().wait(0.01)
        raise StopRequested("nobody has stopped it")

    monkeypatch.setattr("lifecycle_jobs.planning.day_plan.rehearse_in_run", endless)
    olga.fill_in("/plan/approve", {"date": ON.isoformat(), "hash": digest})
    assert comparing.wait(10)

    olga.fill_in("/stop", {"why": "double charges?"})
    page = olga.read(PAGE)

    assert "Broken off. What was committed stays done" in page
    assert deleted(store) == 0
    with store.read() as connection:
        assert stops.in_force(connection) is not None


def test_a_viewer_reads_what_would_be_approved_and_is_not_asked(address: str, olga: Browser) -> None:
    viewer = signed_in(address, "vera")

    assert "An operator may approve just what the plan says." in viewer.read(PAGE)
    assert "Approve, and do it now" not in viewer.read(f"/plan/approve?date={ON}")
    refusal = viewer.fill_in("/plan/approve", {"date": ON.isoformat(), "hash": hash_on(olga.get(PAGE).text)})
    assert refusal.status_code == 403


def test_what_is_not_the_plan_on_the_page_is_refused(store: Store, olga: Browser) -> None:
    forms: list[dict[str, str]] = [{}, {"date": "yesterday"}, {"date": ON.isoformat(), "hash": "0123456789abcdef"}]
    for form in forms:
        assert olga.fill_in("/plan/approve", form).status_code == 409
    assert deleted(store) == 0


def test_a_date_that_is_not_completed_is_not_begun_from_here(store: Store, olga: Browser) -> None:
    digest = hash_on(olga.get(PAGE).text)
    with store.write() as connection:
        connection.execute(update(runs).values(state="running"))

    page = olga.read(PAGE)

    assert "Refused by the run" not in page
    assert f"lifecycle-jobs replay {ON} --plan {digest}" in page
    assert olga.get(f"/plan/approve?date={ON}").status_code == 409
    assert olga.fill_in("/plan/approve", {"date": ON.isoformat(), "hash": digest}).status_code == 409
    assert deleted(store) == 0
