"""What waits to be settled is listed, and settled by an operator's word as the commands do it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from lifecycle_jobs import clock, lease, runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges, events, gateway_notices, parked_rows
from tests import factories
from tests.console.browsing import Browser, console_settings
from tests.daily import run

KEY = "lj-1-abcd1234-20270331-7-1"
DAY = timedelta(days=1)


@pytest.fixture
def today(store: Store, tmp_path: Path) -> date:
    return clock.business_date(console_settings(tmp_path, store).zone)


@pytest.fixture
def box(store: Store, today: date) -> int:
    """A box whose charge has been without an answer for four days."""
    ends = today + 3 * DAY
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        box = factories.box(connection, "b@pec.it", expires_on=ends, auto_renew=True, payment_method_id="pm1")
        order = factories.order(connection, "R-1", box_id=box, term_expires_on=ends)
        factories.charge(
            connection,
            KEY,
            order_id=order,
            box_id=box,
            term_expires_on=ends,
            status="unknown",
            attempted_on=today - 4 * DAY,
        )
    return box


def last_event(store: Store) -> tuple[str, str | None, str | None]:
    with store.read() as connection:
        row = connection.execute(
            select(events.c.actor, events.c.why, events.c.detail).where(events.c.kind == "charge.resolved")
        ).one()
    return row.actor, row.why, row.detail["outcome"]


def test_where_nothing_waits_it_says_so(viewer: Browser) -> None:
    assert "Nothing. All is well." in viewer.read("/unresolved")


def test_of_a_long_list_the_first_hundred_are_shown_and_more_for_whoever_asks(
    store: Store, today: date, anew: Callable[[], Browser]
) -> None:
    parked = {"run_on": today, "last_run_on": today, "job": "suspend", "error": "?", "state": "open"}
    with store.write() as connection:
        connection.execute(
            insert(parked_rows),
            [{**parked, "subject": f"box:{number}.", "parked_at": clock.now()} for number in range(102)],
        )
    browser = anew()

    first = browser.get("/unresolved").text
    assert (first.count(">box:"), "2 more are not shown." in first) == (100, True)
    assert '<a href="/unresolved?more=1#parked">Show up to 1,000</a>' in first
    more = browser.get("/unresolved?more=1").text
    assert (more.count(">box:"), "not shown" in more) == (102, False)


@pytest.mark.usefixtures("box")
def test_a_charge_is_listed_with_its_age(anew: Callable[[], Browser]) -> None:
    page = anew().get("/unresolved").text

    assert KEY in page
    assert '<span class="badge attention">4 days</span>' in page


def test_paid_renews_the_box_in_the_name_of_who_says_so(
    store: Store, today: date, box: int, anew: Callable[[], Browser]
) -> None:
    browser = anew()
    assert "the box is renewed and its holder gets a receipt" in browser.read(f"/unresolved/charge?key={KEY}")

    page = browser.fill_in("/unresolved/paid", {"key": KEY, "reference": " pi_123 ", "why": "seen there"}).text

    assert "Recorded as paid: the box is renewed." in page
    assert last_event(store) == ("olga", "seen there", "paid")
    with store.read() as connection:
        assert connection.scalars(select(boxes.c.expires_on).where(boxes.c.id == box)).one() > today + 300 * DAY
        assert connection.scalar(select(charges.c.gateway_reference)) == "pi_123"


@pytest.mark.usefixtures("box")
def test_not_made_needs_a_reason_and_says_so_to_the_history(store: Store, anew: Callable[[], Browser]) -> None:
    browser = anew()

    without = browser.fill_in("/unresolved/not-made", {"key": KEY, "why": "  "})
    page = browser.fill_in("/unresolved/not-made", {"key": KEY, "why": "not on their pages"}).text

    assert (without.status_code, "Say how you know" in without.text) == (422, True)
    assert "Recorded as not made: the next run may charge the box again." in page
    assert last_event(store) == ("olga", "not on their pages", "not_made")


@pytest.mark.usefixtures("box")
def test_refusals_are_those_of_the_command(store: Store, anew: Callable[[], Browser]) -> None:
    browser = anew()

    nameless = browser.fill_in("/unresolved/paid", {"key": KEY, "reference": " "})
    with lease.hold(store, "run", 60):
        meanwhile = browser.fill_in("/unresolved/paid", {"key": KEY, "reference": "pi_123"})
    none = browser.fill_in("/unresolved/paid", {"key": "nothing", "reference": "pi_123"})

    assert nameless.status_code == 422
    assert (meanwhile.status_code, none.status_code) == (409, 409)
    assert "There is no charge nothing." in none.text
    with store.read() as connection:
        assert connection.scalar(select(charges.c.status)) == "unknown"


def test_what_was_set_aside_is_taken_up_again_and_what_came_of_it_is_shown(
    store: Store, tmp_path: Path, today: date, anew: Callable[[], Browser]
) -> None:
    with store.write() as connection:
        factories.customer(connection)
    run(store, console_settings(tmp_path, store), today, deliver=False)
    with store.write() as connection:
        box = factories.box(connection, "late@pec.it", expires_on=today - DAY)
    runs.park(
        store, runs.Run(today, 1, "everything", today - DAY), "suspend", f"box:{box}", ValueError("x"), box_id=box
    )
    browser = anew()
    assert "ValueError: x" in browser.read("/unresolved")
    assert "1 row failed and was set aside." in browser.read("/unresolved/retry")

    browser.fill_in("/unresolved/retry", {"why": "mended"})
    browser.wait_for("/unresolved/live")
    page = browser.read("/unresolved")

    assert "by olga" in page
    assert "1 suspended" in page
    with store.read() as connection:
        retried = connection.execute(
            select(events.c.actor, events.c.why).where(events.c.kind == "parked.retried")
        ).one()
    assert tuple(retried) == ("olga", "mended")


def test_a_viewer_sees_the_lists_and_no_way_to_settle(sqlite_store: Store, viewer: Browser) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        connection.execute(
            insert(gateway_notices).values(
                notice_id="evt_1",
                kind="charge.dispute.created",
                concerns="dispute",
                amount_cents=1208,
                reason="<script>alert(1)</script>",
                received_at=datetime.now(UTC),  # noqa: TID251 -- listed for 90 days
                state="handled",
                for_staff=True,
            )
        )
        box = factories.box(connection, "paid@pec.it")
        order = factories.order(connection, "R-1", box_id=box)
        factories.registered_payment(connection, "CRO 1", order_id=order, effective=False)
        factories.charge(connection, KEY, order_id=order, box_id=box, status="unknown")

    page = viewer.get("/unresolved").text

    assert "CRO 1" in page
    assert "answer it on the gateway&#39;s pages" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "Settle …" not in page
    assert "Record as paid" not in viewer.read(f"/unresolved/charge?key={KEY}")
