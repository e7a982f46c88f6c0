"""`forecast`: on the terminal, as JSON, as CSV, and as a picture."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import pytest
from freezegun import freeze_time

from lifecycle_jobs.db.session import open_store
from tests import factories
from tests.cli.conftest import Type

TODAY = "2027-03-01 08:00:00"


@pytest.fixture
def _provider(sqlite_url: str) -> None:
    """Two boxes that nobody pays, one that its card pays, and 150 to be deleted on one day."""
    store = open_store(sqlite_url)
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        factories.box(connection, "a@pec.example.it")
        factories.box(connection, "b@pec.example.it")
        factories.box(connection, "c@pec.example.it", auto_renew=True, payment_method_id="pm1")
        for number in range(150):
            ended = date(2027, 1, 9)
            factories.box(connection, f"s{number}@pec.example.it", status="suspended", expires_on=ended)
    store.engine.dispose()


@pytest.mark.usefixtures("_provider")
@freeze_time(TODAY)
def test_months_are_told_with_what_is_assumed_and_days_over_the_cap(lifecycle: Type) -> None:
    shown = lifecycle("forecast", "--months", "6", "--manual-rate", "0")

    assert shown.code == 0
    assert "Money expected from 2027-03-01 to 2027-08-31" in shown.out
    assert "Without auto-renewal: 0.0 % of terms are paid by hand (given)." in shown.out
    assert "On 10 April 2027 150 boxes are due to be deleted, more than a run deletes unasked" in shown.err
    assert "the cap is 100." in shown.err


@pytest.mark.usefixtures("_provider")
@freeze_time(TODAY)
def test_json_has_days_and_months_and_money_in_cents(lifecycle: Type) -> None:
    found = json.loads(lifecycle("forecast", "--months", "6", "--json").out)

    assert (found["first"], found["last"]) == ("2027-03-01", "2027-08-31")
    assert [month["first"] for month in found["months"]][:2] == ["2027-03-01", "2027-04-01"]
    assert found["total"]["cents"] == {"card": 1208}
    by_date = {day["date"]: day for day in found["days"]}
    assert by_date["2027-03-24"]["renewed"] == {"card": 1.0}
    assert by_date["2027-04-01"]["suspended"] == 2
    assert by_date["2027-04-10"]["over_cap"] is True
    assert by_date["2027-04-10"]["emails"] == {"box.deleted": 1.0}
    assert by_date["2027-06-30"]["deleted"] == 2


@pytest.mark.usefixtures("_provider")
@freeze_time(TODAY)
def test_the_csv_has_a_line_a_day_with_amounts_in_euros(lifecycle: Type, tmp_path: Path) -> None:
    file = tmp_path / "forecast.csv"

    assert lifecycle("forecast", "--months", "2", "--csv", str(file)).code == 0

    with file.open(encoding="utf-8") as opened:
        rows = {row["date"]: row for row in csv.DictReader(opened)}
    assert len(rows) == 61
    assert rows["2027-03-24"]["euros_card"] == "12.08"
    assert rows["2027-04-10"]["over_cap"] == "true"


@pytest.mark.usefixtures("_provider")
def test_pictures_are_drawn_and_the_same_forecast_is_the_same_picture(lifecycle: Type, tmp_path: Path) -> None:
    png, svg, again = (tmp_path / name for name in ("forecast.png", "forecast.svg", "again.svg"))

    # Not frozen: what draws looks at the clock.
    assert lifecycle("forecast", "--png", str(png), "--svg", str(svg)).code == 0
    assert lifecycle("forecast", "--svg", str(again)).code == 0

    assert png.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in svg.read_bytes()
    assert svg.read_bytes() == again.read_bytes()
    assert sorted(file.name for file in tmp_path.glob(".*")) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--decline-rate", "cash=0.1"], "write it as card=0.05,paypal=0.03"),
        (["--decline-rate", "card=5"], "each from 0 to 1"),
        (["--png", "forecast.jpg"], "the name of such a picture ends in .png"),
        (["--csv", "nowhere/forecast.csv"], "cannot be written: No such file or directory"),
        (["--svg", "nowhere/forecast.svg"], "cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(lifecycle: Type, arguments: list[str], says: str) -> None:
    refused = lifecycle("forecast", "--months", "1", *arguments)

    assert refused.code == 2
    assert says in refused.err


def test_without_matplotlib_a_picture_is_refused_by_its_name(lifecycle: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle_jobs.forecast.picture.find_spec", lambda _name: None)

    refused = lifecycle("forecast", "--png", "forecast.png")

    assert refused.code == 2
    assert "pip install 'lifecycle-jobs[pictures]'" in refused.err
