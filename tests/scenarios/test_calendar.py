"""The business date is the calendar's in Rome, whatever the hour and whatever the clocks do there."""

from __future__ import annotations

import pytest

from tests.scenarios.provider import Provider


def test_half_past_ten_at_night_in_utc_is_already_the_next_date_in_rome(provider: Provider) -> None:
    provider.box("unpaid", "2027-06-30")
    assert provider.bring_in().code == 0

    provider.at("2027-06-30T21:30:00Z")
    assert provider.command("run").code == 0
    assert provider.books().life("unpaid") == []

    provider.at("2027-06-30T22:30:00Z")
    assert provider.command("run").code == 0
    assert provider.books().life("unpaid") == ["2027-07-01 box.suspended unpaid"]
    assert _dates_run(provider) == ["2027-07-01", "2027-06-30"]


@pytest.mark.parametrize(
    ("sunday", "before", "moments"),
    [
        pytest.param(
            "2027-03-28",
            "2027-03-27",
            # 00:30, 01:30, 03:30 (there is no 02:30), 12:00 and 23:30 in Rome
            ["03-27T23:30", "03-28T00:30", "03-28T01:30", "03-28T10:00", "03-28T21:30"],
            id="spring",
        ),
        pytest.param(
            "2027-10-31",
            "2027-10-30",
            # 00:30, 02:30, 02:30 once more, 12:00 and 23:30 in Rome
            ["10-30T22:30", "10-31T00:30", "10-31T01:30", "10-31T11:00", "10-31T22:30"],
            id="autumn",
        ),
    ],
)
def test_on_the_sunday_when_clocks_change_there_is_one_run_and_nothing_happens_twice(
    embedded: Provider, sunday: str, before: str, moments: list[str]
) -> None:
    embedded.at(f"{before}T03:00:00Z")
    embedded.box("renewing", sunday, token="pm_card_visa")
    embedded.box("declining", sunday, token="pm_card_visa_chargeDeclined")
    embedded.box("unpaid", before)
    assert embedded.bring_in().code == 0
    assert embedded.run(before).code == 0

    answers = []
    for moment in moments:
        embedded.at(f"2027-{moment}:00Z")
        answers.append(embedded.command("run"))

    assert [answer.code for answer in answers] == [0, 0, 0, 0, 0]
    assert ["completed already" in answer.out for answer in answers] == [False, True, True, True, True]
    books = embedded.books()
    assert books.charges("renewing") == ["slot 1 #1 succeeded 12.08"]
    assert books.charges("declining") == [
        "slot 1 #1 declined generic_decline 12.08",
        "slot 0 #1 declined generic_decline 12.08",
    ]
    assert books.life("unpaid") == [f"{sunday} box.suspended unpaid"]
    assert books.messages("unpaid") == [f"{sunday} box.suspended sent"]
    assert _dates_run(embedded) == [sunday, before]


def _dates_run(provider: Provider) -> list[str]:
    runs = provider.command("status", "--json", "--last", "10").json()["runs"]
    assert {run["run_pass"] for run in runs} == {1}
    return [run["run_on"] for run in runs]
