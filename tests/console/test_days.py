"""The page of a date tells what was done to whom, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from lifecycle_jobs.console import days
from lifecycle_jobs.db.session import Store
from tests import factories
from tests.console.browsing import Browser, console_settings
from tests.daily import run

ON = date(2027, 3, 24)
DAY = timedelta(days=1)


def test_every_action_is_told_once_page_by_page_whatever_its_pass(
    store: Store, tmp_path: Path, anew: Callable[[], Browser]
) -> None:
    settings = console_settings(tmp_path, store)
    addresses = [f"b{number:03}@pec.example.it" for number in range(2 * days.PAGE + 3)]
    with store.write() as connection:
        for number in range(7):
            factories.customer(connection, f"c{number}")
        for number, address in enumerate(addresses):
            factories.box(connection, address, customer_id=f"c{number % 7}", expires_on=ON - DAY)
    run(store, settings, ON)
    with store.write() as connection:
        factories.box(connection, "later@pec.example.it", customer_id="c0", expires_on=ON - DAY)
    run(store, settings, ON, again=True)
    browser = anew()

    told, path = [], f"/days/{ON}?kind=box.suspended"
    while path:
        page = browser.get(path).text
        told += re.findall(r'<th scope="row"><a href="/boxes/[^"]+">([^<]+)</a>', page)
        further = re.search(r'href="(/days/[^"]+after=[^"]+)"', page)
        path = further[1].replace("&amp;", "&") if further else ""

    assert sorted(told) == sorted([*addresses, "later@pec.example.it"])


def test_a_date_without_a_run_says_so(viewer: Browser) -> None:
    assert "Nothing has run on this date." in viewer.read("/days/2027-03-24")


def test_what_is_no_date_is_no_page(viewer: Browser) -> None:
    for path in ("/days/yesterday", "/days/2027-02-30", "/days/0001-01-01", "/days/9999-12-31"):
        assert viewer.get(path).status_code == 404


def test_whatever_is_typed_as_a_place_in_the_list_is_its_beginning(viewer: Browser) -> None:
    for after in ("x", "1|x|c1", "||", "99999999999999999999|1|c", "1|99999999999999999999|c"):
        assert viewer.get(f"/days/{ON}?kind=box.suspended&after={after}").status_code == 200


def test_script_in_a_name_or_address_is_shown_as_text(sqlite_store: Store, tmp_path: Path, viewer: Browser) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "<script>alert(1)</script>@pec.example.it", expires_on=ON - DAY)
    run(sqlite_store, console_settings(tmp_path, sqlite_store), ON, deliver=False)

    page = viewer.get(f"/days/{ON}").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;@pec.example.it" in page
