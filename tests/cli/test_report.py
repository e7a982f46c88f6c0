"""`report`: any day on the terminal, as JSON, and sent by hand."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from freezegun import freeze_time

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import open_store
from tests import factories
from tests.cli.conftest import Type

ON = date(2027, 3, 24)


@pytest.fixture
def _yesterday(sqlite_url: str) -> None:
    """A completed run, on which a box was deleted."""
    store = open_store(sqlite_url)
    run = runs.begin(store, ON)
    assert run is not None
    with store.write() as connection:
        factories.customer(connection)
        gone = factories.box(
            connection,
            "[red]gone[/red]@pec.example.it",
            status="deleted",
            suspended_on=ON - timedelta(days=60),
            suspended_reason="unpaid",
        )
        factories.event(connection, "box.deleted", occurred_on=ON, box_id=gone, run_on=ON, run_pass=1)
    runs.finish(store, run, 0)
    store.engine.dispose()


@pytest.mark.usefixtures("_yesterday")
def test_without_a_date_the_last_completed_run_is_shown(lifecycle: Type) -> None:
    shown = lifecycle("report")

    assert shown.code == 0
    assert "Report of 2027-03-24" in shown.out
    assert "[red]gone[/red]@pec.example.it" in shown.out
    assert "box.deleted" in shown.out


@pytest.mark.usefixtures("_yesterday")
def test_as_json_it_is_one_document(lifecycle: Type) -> None:
    document = json.loads(lifecycle("report", "2027-03-24", "--json").out)

    assert document["deletions"]["total"] == 1
    assert document["counts"] == [{"kind": "box.deleted", "number": 1, "day_before": 0, "week_before": 0}]
    assert len(document["coming"]) == 7


@pytest.mark.usefixtures("_yesterday")
def test_a_day_rehearsed_ahead_of_its_time_is_seen_from_that_day(lifecycle: Type) -> None:
    with freeze_time("2026-11-22 08:00:00"):
        document = json.loads(lifecycle("report", "--json").out)

    assert (document["as_of"], document["gap"]) == ("2027-03-24", None)
    assert document["coming"][0]["on"] == "2027-03-25"


def test_a_date_without_a_run_says_so(lifecycle: Type) -> None:
    shown = lifecycle("report", "2027-03-24")

    assert shown.code == 0
    assert "! There is no run of 2027-03-24." in shown.err
    assert "one" not in shown.out.splitlines()[0]


@pytest.mark.usefixtures("_yesterday")
def test_it_is_sent_by_hand_as_often_as_asked(lifecycle: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "report.to is empty" in lifecycle("report", "--send").err
    monkeypatch.setenv("LIFECYCLE_REPORT__TO", "turni@example.it")
    monkeypatch.setenv("LIFECYCLE_REPORT__LOCALE", "en")

    first, second = lifecycle("report", "--send"), lifecycle("report", "2027-03-24", "--send")

    assert (first.code, second.code) == (0, 0)
    assert "The report was sent." in second.out


@pytest.fixture
def _somebody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_REPORT__TO", "turni@example.it")


@pytest.mark.usefixtures("_yesterday", "_somebody_reads_it")
def test_after_a_night_without_a_completed_run_an_old_report_is_not_sent_again(lifecycle: Type) -> None:
    with freeze_time("2027-03-24 07:00:00"):
        assert lifecycle("report", "--send").code == 0
    with freeze_time("2027-03-25 07:00:00"):
        again = lifecycle("report", "--send")

    assert again.code == 1
    assert "The run of 2027-03-25 is not completed" in again.err
    assert "The report of 2027-03-24 was sent before and is not sent again." in again.err
    assert "The report was sent." not in again.out


@pytest.mark.usefixtures("_yesterday", "_somebody_reads_it")
def test_one_that_was_never_sent_goes_and_the_complaint_stays(lifecycle: Type) -> None:
    with freeze_time("2027-03-25 07:00:00"):
        first = lifecycle("report", "--send")

    assert first.code == 1
    assert "The run of 2027-03-25 is not completed" in first.err
    assert "The report was sent." in first.out


@pytest.mark.usefixtures("_yesterday", "_somebody_reads_it")
def test_before_the_hour_of_the_day_nothing_is_late_and_a_named_date_is_always_sent(lifecycle: Type) -> None:
    with freeze_time("2027-03-25 00:30:00"):
        early = lifecycle("report", "--send")
    with freeze_time("2027-03-25 07:00:00"):
        named = lifecycle("report", "2027-03-24", "--send")

    assert (early.code, named.code) == (0, 0)
