"""A box is found by its address, and its page tells its life and why each job would or would not touch it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

from lifecycle_jobs import clock, lease
from lifecycle_jobs.console import boxes
from lifecycle_jobs.db.session import Store
from tests import factories
from tests.console.browsing import Browser, console_settings, text_of
from tests.daily import run

DAY = timedelta(days=1)


@pytest.fixture
def today(store: Store, tmp_path: Path) -> date:
    return clock.business_date(console_settings(tmp_path, store).zone)


def test_it_is_found_by_the_beginning_of_its_address_whatever_the_case(
    store: Store, anew: Callable[[], Browser]
) -> None:
    with store.write() as connection:
        factories.customer(connection)
        for address in ("Anna.Bianchi@pec.example.it", "anna.rossi@pec.example.it", "bruno@pec.example.it"):
            factories.box(connection, address)
    browser = anew()

    assert "2 boxes found Anna.Bianchi@pec.example.it" in _found(browser, "ANNA.")
    assert browser.get("/boxes?q=bruno").url.endswith("/boxes/bruno@pec.example.it")
    assert "No address begins with “carla”" in _found(browser, "carla")


def _found(browser: Browser, sought: str) -> str:
    said = browser.read(f"/boxes?q={sought}")
    for heading in ("box state paid until plan holder ", "state paid until"):
        said = said.replace(heading, "")
    return said


def test_a_customers_id_leads_to_all_his_boxes(store: Store, anew: Callable[[], Browser]) -> None:
    with store.write() as connection:
        factories.customer(connection, "c77")
        for number in range(boxes.SHOWN + 5):
            factories.box(connection, f"b{number:03}@pec.example.it", customer_id="c77")

    browser = anew()
    page = browser.get("/boxes?q=c77").text
    (further,) = re.findall(r'href="([^"]*after=[^"]*)"', page)
    last = browser.read(unescape(further))

    assert re.findall(r"b\d+@", text_of(page)) == [f"b{number:03}@" for number in range(boxes.SHOWN)]
    assert re.findall(r"b\d+@", last) == [f"b{number:03}@" for number in range(boxes.SHOWN, boxes.SHOWN + 5)]
    assert "Further on" not in last


def test_an_address_that_was_sold_again_leads_to_each_of_its_boxes(store: Store, anew: Callable[[], Browser]) -> None:
    with store.write() as connection:
        factories.customer(connection, "c1", name="Anna Bianchi")
        factories.customer(connection, "c2", name="Bruno Rossi")
        gone = date(2025, 5, 1)
        factories.box(connection, customer_id="c1", status="deleted", deleted_on=gone, expires_on=date(2025, 1, 1))
        address = "mario.rossi@pec.example.it"
        factories.box(connection, customer_id="c2")
    browser = anew()

    listed = browser.get("/boxes?q=mario.").text
    lives, earlier = browser.get(f"/boxes/{address}").text, browser.get(f"/boxes/{address}?deleted={gone}").text

    assert f"/boxes/{address}?deleted={gone}" in unquote(listed)
    assert f"/boxes/{address}?deleted={gone}" in unquote(lives)
    assert ("Bruno Rossi" in lives, "Bruno Rossi" in earlier) == (True, False)
    assert ("Anna Bianchi" in lives, "Anna Bianchi" in earlier) == (False, True)
    assert "The address was sold again" in text_of(earlier)


def test_the_page_of_a_box_tells_its_past_its_future_and_why(
    store: Store, tmp_path: Path, today: date, anew: Callable[[], Browser]
) -> None:
    with store.write() as connection:
        factories.customer(connection, name="Anna Bianchi")
        factories.box(connection, "anna@pec.example.it", expires_on=today + 30 * DAY)
    run(store, console_settings(tmp_path, store), today)

    page = anew().get("/boxes/anna@pec.example.it").text
    said = text_of(page)

    assert "Anna Bianchi" in said
    assert "paid until" in said
    assert "the first charge would be made on" in said
    assert "e-mail: accepted on" in said
    assert 'href="/messages/1"' in page
    assert said.index("deletion for good, if it is not paid") < said.index("suspension if it is not paid")
    assert said.index("suspension if it is not paid") < said.index("expiry alert 30 days before")


def test_an_addon_of_space_is_counted_in_gb_and_one_of_your_own_is_not(sqlite_store: Store, operator: Browser) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, "a@pec.it")
        for kind in ("extra_archive", "sms_alert"):
            factories.addon(connection, kind, box, kind=kind, quantity=2)

    page = operator.read("/boxes/a@pec.it")

    assert "extra archive space, 2 GB" in page
    assert page.count(" GB") == 1


def test_of_a_deleted_box_the_past_is_told(store: Store, anew: Callable[[], Browser]) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "gone@pec.example.it", status="deleted", deleted_on=date(2026, 3, 1))

    page = anew().read("/boxes/gone@pec.example.it")

    assert "It was deleted on 1 March 2026" in page


def test_while_a_run_is_under_way_it_is_said_that_nothing_can_be_told(sqlite_store: Store, operator: Browser) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "anna@pec.example.it")

    with lease.hold(sqlite_store, "run", 60):
        page = operator.read("/boxes/anna@pec.example.it")

    assert "A run is under way" in page


def test_an_address_that_never_was_is_said_so(operator: Browser) -> None:
    answer = operator.get("/boxes/nobody@pec.example.it")

    assert answer.status_code == 409
    assert "There is no box nobody@pec.example.it" in text_of(answer.text)


def test_script_in_a_holders_name_or_a_reason_is_text(sqlite_store: Store, operator: Browser) -> None:
    script = "<script>alert(1)</script>"
    with sqlite_store.write() as connection:
        factories.customer(connection, name=script)
        factories.box(connection, "anna@pec.example.it", hold_reason=script)
        factories.box(connection, "anna2@pec.example.it")

    for path in ("/boxes/anna@pec.example.it", "/boxes?q=anna", f"/boxes?q={script}"):
        page = operator.get(path).text
        assert script not in page, path
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page, path
