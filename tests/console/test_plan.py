"""A plan is made when an operator asks for it, and shows whoever looks what a day would do, box by box."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from lifecycle_jobs import lease, stops
from lifecycle_jobs.console import plan
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, runs
from tests import factories
from tests.console.browsing import Browser

ON = date(2027, 3, 31)
DAY = timedelta(days=1)
PAGE = f"/plan?date={ON}"


def make(browser: Browser, on: date = ON) -> None:
    assert browser.fill_in("/plan", {"date": on.isoformat()}).ok
    browser.wait_for(f"/plan/live?date={on}")


def unpaid(store: Store, number: int) -> list[str]:
    """So many boxes that are suspended on the date."""
    addresses = [f"b{each:03}@pec.example.it" for each in range(number)]
    with store.write() as connection:
        factories.customer(connection)
        for address in addresses:
            factories.box(connection, address, expires_on=ON - DAY)
    return addresses


def test_it_is_not_made_by_looking_and_not_for_a_viewer(sqlite_store: Store, viewer: Browser) -> None:
    unpaid(sqlite_store, 1)

    page = viewer.read(PAGE)

    assert "Not made yet" in page
    assert "Only an operator may have it made" in page
    assert viewer.fill_in("/plan", {"date": ON.isoformat()}).status_code == 403
    assert "Not made yet" in viewer.read(PAGE)


def test_what_an_operator_had_made_everybody_reads(store: Store, anew: Callable[[], Browser]) -> None:
    unpaid(store, 2)
    with store.write() as connection:
        factories.method(connection)
        factories.box(connection, "pays@pec.example.it", expires_on=ON, auto_renew=True, payment_method_id="pm1")
    browser = anew()

    make(browser)
    page = browser.read(PAGE)

    assert re.search(r"2 suspended", page)
    assert "€12.08" in page
    assert "not paid: the last paid day was 30 March 2027" in page
    assert "The days before 31 March 2027 are not played" in page
    digest = re.search(r"[0-9a-f]{16}", page)
    assert digest is not None
    assert f"lifecycle-jobs replay {ON} --plan {digest[0]}" in page
    assert "A day is begun by the daemon or by this command, not from here" in page
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(runs)) == 0
        assert connection.scalar(select(func.count()).select_from(boxes).where(boxes.c.status == "suspended")) == 0


def test_every_action_is_told_once_page_by_page(sqlite_store: Store, operator: Browser) -> None:
    addresses = unpaid(sqlite_store, 2 * plan.PAGE + 3)
    make(operator)

    told, path = [], f"{PAGE}&what=box.suspended"
    while path:
        page = operator.get(path).text
        told += re.findall(r'<th scope="row"><a href="/boxes/[^"]+">([^<]+)</a>', page)
        further = re.search(r'href="(/plan\?[^"]+from=[^"#]+)#', page)
        path = further[1].replace("&amp;", "&") if further else ""

    assert sorted(told) == addresses


def test_one_box_is_found_in_it(sqlite_store: Store, operator: Browser) -> None:
    unpaid(sqlite_store, 3)
    make(operator)

    page = operator.read(f"{PAGE}&box=B001@pec.example.it")

    assert "b001@pec.example.it" in page
    assert "b002@pec.example.it" not in page
    assert "Nothing would be done to nobody@pec.it on 31 March 2027." in operator.read(f"{PAGE}&box=nobody@pec.it")


def test_whatever_is_typed_as_a_place_in_it_is_its_beginning(operator: Browser) -> None:
    make(operator)

    for typed in ("date=yesterday", "from=x", "from=99999999999999999999", "what=<script>", "from=-1"):
        answer = operator.get(f"{PAGE}&{typed}")
        assert answer.status_code == 200
        assert "<script>" not in answer.text


def test_script_in_an_address_is_shown_as_text(sqlite_store: Store, operator: Browser) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "<script>alert(1)</script>@pec.example.it", expires_on=ON - DAY)

    make(operator)

    assert "<script>alert" not in operator.get(PAGE).text
    assert "&lt;script&gt;alert(1)" in operator.get(PAGE).text


def test_while_a_run_is_going_none_is_made_and_it_says_why(sqlite_store: Store, operator: Browser) -> None:
    with lease.hold(sqlite_store, "run", 60):
        make(operator)

    assert "A run is under way" in operator.read(PAGE)


def test_the_emergency_stop_does_not_wait_for_a_plan(
    sqlite_store: Store, operator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpaid(sqlite_store, 1)
    begun = threading.Event()

    def endless(*arguments: object, **_names: object) -> None:
        store, progress = arguments[0], arguments[5]
        assert isinstance(store, Store)
        assert callable(progress)
        with store.rehearse():
            begun.set()
            while True:
                progress("suspend", 1)
                threading.Event().wait(0.01)

    monkeypatch.setattr("lifecycle_jobs.console.plan.plan_day", endless)
    operator.fill_in("/plan", {"date": ON.isoformat()})
    assert begun.wait(10)
    assert 'hx-get="/plan/live' in operator.get(PAGE).text
    another = operator.fill_in("/plan", {"date": (ON + DAY).isoformat()})

    operator.fill_in("/stop", {"why": "double charges?"})

    assert another.status_code == 409
    with sqlite_store.read() as connection:
        assert stops.in_force(connection) is not None
    assert "Broken off" in operator.read(PAGE)
