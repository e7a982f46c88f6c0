"""What is usual and what is unusual, in numbers."""

from __future__ import annotations

from datetime import date, timedelta
from math import exp, lgamma, log, sqrt

import pytest

from lifecycle_jobs.watching.judging import Bounds, Sample, Usual, usual_number, usual_share

ON = date(2027, 3, 24)
DAY = timedelta(days=1)
BOUNDS = Bounds(3, 50)
"""The shipped ones."""


def weeks(*numbers: float) -> list[Sample]:
    """The number of the same weekday in each of the weeks before, the last one first; nothing on other days."""
    return [
        Sample(ON - (7 * back + other) * DAY, ON - (7 * back + other) * DAY, 0 if other else number)
        for back, number in enumerate(numbers, start=1)
        for other in range(7)
    ]


def every_day(number: float, days: int) -> list[Sample]:
    return [Sample(ON - back * DAY, ON - back * DAY, number) for back in range(1, days + 1)]


def test_usual_is_the_median_of_the_same_weekday() -> None:
    assert usual_number(weeks(90, 110, 100, 95, 105, 4000, 0, 102), [ON]) == Usual(101, settled=True)


def test_other_weekdays_do_not_count() -> None:
    samples = [Sample(each.on, each.run_on, each.number or 7777) for each in weeks(*[100] * 8)]

    assert usual_number(samples, [ON]) == Usual(100, settled=True)


def test_of_fewer_than_four_such_weekdays_nothing_is_usual() -> None:
    assert usual_number(weeks(100, 100, 100), [ON]) is None
    assert usual_number(weeks(100, 100, 100, 100), [ON]) == Usual(100, settled=True)


def test_after_downtime_what_is_usual_on_each_of_its_days_is_added_up() -> None:
    samples = [
        Sample(day, day, 10 if day.weekday() >= 5 else 100) for day in (ON - back * DAY for back in range(1, 57))
    ]
    saturday = ON + 3 * DAY

    assert usual_number(samples, [saturday - DAY, saturday, saturday + DAY]) == Usual(120, settled=True)


def test_a_run_that_covered_many_days_counts_once_for_each_weekday() -> None:
    ran_once = ON - DAY
    samples = [Sample(ON - back * DAY, ran_once, 100) for back in range(1, 57)]

    assert usual_number(samples, [ON]) is None


def test_what_never_happened_has_zero_for_usual() -> None:
    assert usual_number(every_day(0, 56), [ON]) == Usual(0, settled=True)


def test_what_has_only_begun_to_happen_is_compared_with_its_busiest_day_so_far() -> None:
    samples = [*every_day(0, 56)[2:], Sample(ON - 2 * DAY, ON - 2 * DAY, 425), Sample(ON - DAY, ON - DAY, 390)]

    assert usual_number(samples, [ON]) == Usual(425, settled=False)


def test_what_began_four_weeks_ago_is_compared_with_what_was_since() -> None:
    assert usual_number(weeks(400, 420, 410, 430, 0, 0, 0, 0), [ON]) == Usual(415, settled=True)


def test_a_share_is_the_median_of_such_weekdays_too() -> None:
    assert usual_share([0.03, 0.02, 0.9, 0.04]) == pytest.approx(0.035)
    assert usual_share([0.03, 0.02, 0.04]) is None


@pytest.mark.parametrize(
    ("number", "usual", "unusual"),
    [
        (300, 100, False),
        (301, 100, True),
        (50, 0, True),
        (49, 0, False),
        (60, 6, True),
        (50, 5, False),
        (4250, 425, True),
    ],
)
def test_too_many_is_beyond_the_factor_and_beyond_the_least_difference(
    number: int, usual: float, *, unusual: bool
) -> None:
    assert BOUNDS.too_many(number, usual) is unusual


@pytest.mark.parametrize(
    ("number", "usual", "unusual"), [(0, 900, True), (0, 149, False), (0, 150, True), (300, 900, False)]
)
def test_too_few_is_as_far_from_it_the_other_way(number: int, usual: float, *, unusual: bool) -> None:
    assert BOUNDS.too_few(number, usual) is unusual


@pytest.mark.parametrize(("factor", "least"), [(3, 50), (2, 50), (5, 20)])
def test_chance_alone_has_the_same_long_way_to_both_sides(factor: float, least: int) -> None:
    bounds = Bounds(factor, least)

    too_many = min((n - usual) / sqrt(usual) for usual in range(1, 400) if (n := _first_too_many(bounds, usual)))
    too_few = min(
        (usual - few) / sqrt(usual) for usual in range(1, 4000) if (few := _last_too_few(bounds, usual)) is not None
    )

    promised = sqrt(least * (factor - 1))
    assert promised <= too_many < promised + 0.6
    assert promised <= too_few < promised + 0.6


@pytest.mark.parametrize(("together", "once_in_days"), [(1, 1e12), (4, 2e4)])
def test_chance_alone_is_hardly_ever_unusual_even_where_boxes_come_in_fours(together: int, once_in_days: float) -> None:
    likeliest = max(
        _tail(usual / together, _first_too_many(BOUNDS, usual) / together) for usual in range(together, 400)
    )

    assert 1 / likeliest > once_in_days


def _first_too_many(bounds: Bounds, usual: int) -> int:
    return next(number for number in range(usual, 100_000) if bounds.too_many(number, usual))


def _last_too_few(bounds: Bounds, usual: int) -> int | None:
    return max((number for number in range(usual) if bounds.too_few(number, usual)), default=None)


def _tail(average: float, least: float) -> float:
    """The probability that something that happens so often on average happens at least so often (Poisson)."""
    first = -int(-least // 1)
    return sum(exp(-average + n * log(average) - lgamma(n + 1)) for n in range(first, first + 200))
