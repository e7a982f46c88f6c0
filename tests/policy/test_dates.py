"""The dates of SPEC §1: worked examples, and the days on either side of every boundary."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lifecycle_jobs import policy
from lifecycle_jobs.policy import Policy

E = date(2027, 3, 31)
LEAP_E = date(2028, 2, 29)
POLICY = Policy()
DAY = timedelta(days=1)


def first_days(days: tuple[int, ...], target: date) -> list[str]:
    return [(target - timedelta(days=number)).isoformat() for number in days]


def test_a_term_to_31_march_2027_runs_as_in_the_worked_example() -> None:
    suspended = policy.suspends_on(E)
    deleted = policy.deletion_date(POLICY, E, suspended, None)

    assert first_days(POLICY.alert_milestones, E) == [
        "2026-12-31",
        "2027-01-30",
        "2027-03-01",
        "2027-03-16",
        "2027-03-24",
        "2027-03-30",
    ]
    assert [policy.slot_date(E, slot).isoformat() for slot in POLICY.charge_slots] == [
        "2027-03-24",
        "2027-03-26",
        "2027-03-28",
        "2027-03-30",
        "2027-03-31",
    ]
    assert suspended == date(2027, 4, 1)
    assert first_days(POLICY.deletion_milestones, deleted) == ["2027-05-01", "2027-05-31", "2027-06-23"]
    assert deleted == date(2027, 6, 30)


def test_a_term_to_29_february_2028_runs_as_in_the_worked_example() -> None:
    suspended = policy.suspends_on(LEAP_E)

    assert first_days(POLICY.alert_milestones, LEAP_E)[0] == "2027-12-01"
    assert policy.slot_date(LEAP_E, 7) == date(2028, 2, 22)
    assert suspended == date(2028, 3, 1)
    assert policy.deletion_date(POLICY, LEAP_E, suspended, None) == date(2028, 5, 30)
    assert policy.renewed_until(LEAP_E, 1) == date(2029, 2, 28)


@pytest.mark.parametrize(
    ("month", "year", "day", "ended"),
    [
        (3, 2027, "2027-03-31", None),
        (3, 2027, "2027-04-01", "2027-03-31"),
        (3, 2027, "2029-01-01", "2027-03-31"),
        (2, 2028, "2028-02-29", None),
        (2, 2028, "2028-03-01", "2028-02-29"),
        (12, 2026, "2026-12-31", None),
        (12, 2026, "2027-01-01", "2026-12-31"),
        (1, 2028, "2027-12-31", None),
        (None, 2027, "2029-01-01", None),
        (3, None, "2029-01-01", None),
        (None, None, "2029-01-01", None),
    ],
)
def test_a_card_is_valid_through_the_last_day_of_its_month(
    month: int | None, year: int | None, day: str, ended: str | None
) -> None:
    last_day = policy.card_ended_before(month, year, date.fromisoformat(day))

    assert (last_day and last_day.isoformat()) == ended


@pytest.mark.parametrize(
    ("expires_on", "years", "until"),
    [
        ("2027-03-31", 1, "2028-03-31"),
        ("2027-03-31", 5, "2032-03-31"),
        ("2027-02-28", 1, "2028-02-28"),
        ("2028-02-28", 4, "2032-02-28"),
        ("2028-02-29", 1, "2029-02-28"),
        ("2028-02-29", 4, "2032-02-29"),
        ("2028-03-01", 1, "2029-03-01"),
        ("2027-12-31", 1, "2028-12-31"),
    ],
)
def test_years_are_added_to_the_date_and_29_february_becomes_28(expires_on: str, years: int, until: str) -> None:
    assert policy.renewed_until(date.fromisoformat(expires_on), years) == date.fromisoformat(until)


def test_a_term_that_came_to_28_february_stays_there_and_one_of_four_years_keeps_its_29() -> None:
    step_by_step = LEAP_E
    for _ in range(4):
        step_by_step = policy.renewed_until(step_by_step, 1)

    assert step_by_step == date(2032, 2, 28)
    assert policy.renewed_until(LEAP_E, 4) == date(2032, 2, 29)


@pytest.mark.parametrize(
    ("start", "end", "years"),
    [
        ("2027-03-31", "2027-03-30", 0),
        ("2027-03-31", "2027-03-31", 0),
        ("2027-03-31", "2027-04-01", 1),
        ("2027-03-31", "2028-03-30", 1),
        ("2027-03-31", "2028-03-31", 1),
        ("2027-03-31", "2028-04-01", 2),
        ("2027-09-15", "2028-03-31", 1),
        ("2026-12-31", "2027-01-01", 1),
        ("2028-02-29", "2029-02-28", 1),
        ("2028-02-29", "2029-03-01", 2),
        ("2028-02-29", "2032-02-28", 4),
        ("2028-02-29", "2032-02-29", 4),
        ("2027-02-28", "2028-02-29", 2),
    ],
)
def test_a_begun_year_counts_whole(start: str, end: str, years: int) -> None:
    assert policy.whole_years(date.fromisoformat(start), date.fromisoformat(end)) == years


@pytest.mark.parametrize(
    ("days_before", "slot"),
    [(8, None), (7, 7), (6, 7), (5, 5), (4, 5), (3, 3), (2, 3), (1, 1), (0, 0), (-1, 0), (-10, 0)],
)
def test_the_slot_of_a_day_is_the_latest_that_has_come(days_before: int, slot: int | None) -> None:
    assert policy.slot_on(POLICY, E, E - days_before * DAY) == slot


@pytest.mark.parametrize(
    ("days_before", "following"), [(8, 7), (7, 5), (6, 5), (5, 3), (2, 1), (1, 0), (0, None), (-1, None)]
)
def test_the_next_attempt_is_the_first_slot_after_the_day(days_before: int, following: int | None) -> None:
    expected = None if following is None else E - following * DAY

    assert policy.next_slot_date(POLICY, E, E - days_before * DAY) == expected


def test_auto_renew_can_be_switched_off_up_to_the_day_before_the_first_charge() -> None:
    assert policy.switch_off_by(POLICY, E) == E - 8 * DAY


@pytest.mark.parametrize(
    ("since", "on", "milestone"),
    [
        ("2027-02-28", "2027-03-01", 30),
        ("2027-03-01", "2027-03-01", None),
        ("2027-03-01", "2027-03-02", None),
        ("2027-02-28", "2027-03-15", 30),
        ("2027-02-28", "2027-03-16", 15),
        ("2026-12-30", "2027-03-30", 1),
        ("2026-12-30", "2026-12-30", None),
        ("2026-12-30", "2026-12-31", 90),
        ("2027-03-30", "2027-03-31", None),
    ],
)
def test_of_the_milestones_after_w_and_up_to_the_day_the_nearest_is_due(
    since: str, on: str, milestone: int | None
) -> None:
    due = policy.due_milestone(POLICY.alert_milestones, E, date.fromisoformat(since), date.fromisoformat(on))

    assert due == milestone


@pytest.mark.parametrize(
    ("suspended_after", "hold_after", "deleted_after"),
    [
        (1, None, 91),
        (61, None, 91),
        (62, None, 92),
        (200, None, 230),
        (1, 61, 91),
        (1, 62, 92),
        (100, 62, 130),
        (100, 101, 131),
        (1, -400, 91),
    ],
)
def test_x_is_the_latest_of_three_days(suspended_after: int, hold_after: int | None, deleted_after: int) -> None:
    hold_until = None if hold_after is None else E + hold_after * DAY

    assert policy.deletion_date(POLICY, E, E + suspended_after * DAY, hold_until) == E + deleted_after * DAY


@pytest.mark.parametrize(
    ("hold_until", "reason", "held"),
    [
        (None, None, False),
        (None, "court order", True),
        (E - DAY, None, False),
        (E - DAY, "dispute", False),
        (E, None, True),
        (E, "dispute", True),
        (E + DAY, "dispute", True),
    ],
)
def test_a_hold_lasts_through_its_day_or_while_there_is_a_reason_without_one(
    *, hold_until: date | None, reason: str | None, held: bool
) -> None:
    assert policy.on_hold(hold_until, reason, E) is held


@pytest.mark.parametrize(
    ("slot", "days_before", "again"),
    [
        (7, 7, 5),
        (7, 6, 5),
        (7, 5, 5),
        (7, 4, 4),
        (5, 4, 3),
        (1, 0, 0),
        (0, 0, None),
        (1, -10, -10),
        (1, -11, None),
    ],
)
def test_a_declined_charge_is_tried_again_today_if_a_later_slot_has_come_since(
    slot: int, days_before: int, again: int | None
) -> None:
    expected = None if again is None else E - again * DAY

    assert policy.next_attempt_on(POLICY, E, slot, E - days_before * DAY) == expected


@pytest.mark.parametrize(
    ("on", "months", "before"),
    [
        (date(2028, 5, 31), 13, date(2027, 4, 30)),
        (date(2029, 2, 28), 12, date(2028, 2, 28)),
        (date(2029, 3, 29), 13, date(2028, 2, 29)),
        (date(2029, 1, 1), 1, date(2028, 12, 1)),
        (date(2029, 12, 31), 30, date(2027, 6, 30)),
    ],
)
def test_months_are_counted_back_to_the_same_day_or_the_months_last(on: date, months: int, before: date) -> None:
    assert policy.months_later(on, -months) == before


@pytest.mark.parametrize(
    ("expires_on", "on", "years"),
    [
        (date(2027, 3, 31), date(2027, 3, 1), 1),
        (date(2027, 3, 31), date(2028, 3, 31), 1),
        (date(2027, 3, 31), date(2028, 4, 1), 2),
        (date(2027, 3, 31), date(2029, 1, 1), 2),
        (date(2028, 2, 29), date(2029, 2, 28), 1),
        (date(2028, 2, 29), date(2029, 3, 1), 2),
    ],
)
def test_the_fewest_years_that_reach_a_day_count_from_e(expires_on: date, on: date, years: int) -> None:
    assert policy.years_to_reach(expires_on, on) == years


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2027, 3, 16), 3, date(2027, 6, 16)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
        (date(2027, 11, 30), 3, date(2028, 2, 29)),
        (date(2027, 12, 31), 12, date(2028, 12, 31)),
        (date(2027, 10, 31), 2, date(2027, 12, 31)),
    ],
)
def test_months_are_those_of_the_calendar_and_end_with_their_last_day(day: date, months: int, later: date) -> None:
    assert policy.months_later(day, months) == later
