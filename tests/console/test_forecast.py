"""The months ahead are reckoned once for everybody, drawn, and told in tables and in a file."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from pathlib import Path

import pytest

from lifecycle_jobs import clock
from lifecycle_jobs.console.charts import HEIGHT, WIDTH, Series, beside, stacked
from lifecycle_jobs.db.session import Store
from tests import factories
from tests.console.browsing import Browser, console_settings
from tests.daily import run

DAY = timedelta(days=1)


@pytest.fixture
def today(sqlite_store: Store, tmp_path: Path) -> date:
    """Ten boxes are renewed in 40 days, and 120 are deleted in 20."""
    today = clock.business_date(console_settings(tmp_path, sqlite_store).zone)
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        for each in range(10):
            ends = today + 40 * DAY
            address = f"r{each}@pec.it"
            factories.box(connection, address, expires_on=ends, auto_renew=True, payment_method_id="pm1")
        for each in range(120):
            factories.box(connection, f"d{each}@pec.it", status="suspended", expires_on=today - 71 * DAY)
    return today


def reckoned(browser: Browser, months: int) -> str:
    browser.get(f"/forecast?months={months}")
    browser.wait_for(f"/forecast/live?months={months}")
    return browser.get(f"/forecast?months={months}").text


@pytest.mark.usefixtures("today")
def test_a_viewer_sees_charts_tables_assumptions_and_days_over_the_cap(viewer: Browser) -> None:
    page = reckoned(viewer, 3)

    assert page.count("<svg") == 3
    assert page.count("<details>") == 3
    assert 'class="shape of-card"' in page
    assert "€120.80" in page
    assert "120 boxes are due to be deleted, more than a run deletes unasked" in page
    assert "Nobody buys, cancels, replaces a card" in page
    assert "style=" not in page


def test_every_day_is_in_the_file(today: date, viewer: Browser) -> None:
    reckoned(viewer, 3)

    answer = viewer.get("/forecast/csv?months=3")
    days = {row["date"]: row for row in csv.DictReader(io.StringIO(answer.text))}

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert days[(today + 20 * DAY).isoformat()]["deleted"] == "120.00"
    assert min(days) == today.isoformat()


def test_it_is_kept_until_a_run_or_an_operator_makes_it_old(
    sqlite_store: Store, tmp_path: Path, today: date, operator: Browser, viewer: Browser
) -> None:
    first = reckoned(viewer, 3)
    with sqlite_store.write() as connection:
        factories.box(connection, "new@pec.it", expires_on=today + 2 * DAY, auto_renew=True, payment_method_id="pm1")

    again = viewer.get("/forecast?months=3").text
    operator.fill_in("/forecast", {"months": "3"})
    anew = reckoned(viewer, 3)
    run(sqlite_store, console_settings(tmp_path, sqlite_store), today, deliver=False)
    after = reckoned(viewer, 3)

    assert "€120.80" in first
    assert "€120.80" in again
    assert "€132.88" in anew
    assert "€120.80" in after, "the new box was renewed by the run"
    assert viewer.fill_in("/forecast", {"months": "3"}).status_code == 403


def test_whatever_is_typed_as_months_is_a_year(viewer: Browser) -> None:
    for typed in ("", "7", "x", "24000"):
        assert '<a href="/forecast?months=12" aria-current="page">' in viewer.get(f"/forecast?months={typed}").text
    viewer.wait_for("/forecast/live?months=12")


class TestCharts:
    def test_bars_stand_on_each_other_and_their_sum_above(self) -> None:
        chart = stacked(["Jan", "Feb"], [Series("a", [10, 0]), Series("b", [30, 20])], str, str)

        lower, upper, alone = chart.bars
        assert (lower.name, upper.name, alone.name) == ("a", "b", "b")
        assert upper.y + upper.height == pytest.approx(lower.y, abs=0.2)
        assert lower.y + lower.height == pytest.approx(chart.ground, abs=0.2)
        assert [label.text for label in chart.above] == ["40", "20"]
        assert upper.height == pytest.approx(3 * lower.height, rel=0.02)

    def test_marks_stand_over_the_highest_bar_of_their_place(self) -> None:
        chart = beside(["Jan", "Feb"], [Series("a", [10, 5]), Series("b", [2, 8])], str, str, [None, "3"])

        (mark,) = chart.marks
        assert mark.text == "3"
        assert mark.y < min(bar.y for bar in chart.bars if bar.title.startswith("Feb"))

    @pytest.mark.parametrize("highest", [0, 0.3, 1, 7, 99, 100, 101, 12_345_678])
    def test_everything_has_room_whatever_the_numbers_are(self, highest: float) -> None:
        chart = stacked(["Jan"] * 25, [Series("a", [highest] * 25)], str, str)

        assert all(bar.y >= 0 and bar.y + bar.height <= HEIGHT and bar.x + bar.width <= WIDTH for bar in chart.bars)
        assert 2 <= len(chart.side) <= 6
        assert all(label.y >= 0 for label in (*chart.side, *chart.above))
