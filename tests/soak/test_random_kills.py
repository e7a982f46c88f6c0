"""The day killed at random moments, many times, on both databases. Takes minutes: `make soak`."""

from __future__ import annotations

import math
import os
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.crash.launcher import Point
from tests.crash.provider import settle_with_stripe
from tests.crash.stages import AIMED_AT, ELSEWHERE, stages
from tests.crash.trial import Outcome, Server, Trial, trial

KILLS = int(os.environ.get("SOAK_KILLS", "200"))
AT_EACH_POINT = KILLS // 10
LONGEST = 1.1
"""Times of an undisturbed day within which the kill falls: a few come too late, so that the end is met as well."""


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killed_at_a_random_moment_the_day_ends_as_if_nothing_had_happened(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(f"{database} {KILLS}")  # noqa: S311 -- repeatable, not secret
    fell: Counter[str] = Counter()
    harm: dict[float, list[str]] = {}
    with Server() as server:
        usual = math.inf
        for _ in range(3):  # the first is slow: everything is still to be read from the disk
            with trial(server, database) as day:
                usual = min(usual, day.run_timed())
                expected = day.outcome()
        for _ in range(KILLS):
            moment = chance.uniform(0, usual * LONGEST)
            with trial(server, database) as day:
                day.run(kill_after=moment)
                fell[day.cut_off_in()] += 1
                day.run()
                differences = expected.differences(day.outcome())
                if differences:
                    harm[moment] = differences
    with capsys.disabled():
        print(f"\n{database}: {KILLS} kills within {usual * LONGEST:.2f} s: {dict(fell.most_common())}")  # noqa: T201 -- the figures are the point
    assert harm == {}


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killed_at_a_random_moment_of_charging_nobody_is_charged_twice_or_forgotten(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """All kills but the last are random; what they hit too seldom is then aimed at until it was hit often enough."""
    chance = random.Random(f"charging {database} {KILLS}")  # noqa: S311 -- repeatable, not secret
    by_chance: Counter[str] = Counter()
    aimed: Counter[str] = Counter()
    harm: dict[str, list[str]] = {}
    with Server() as server:
        expected, first, last = _undisturbed_charging(server, database)
        for number in range(KILLS):
            moment = chance.uniform(first, last)
            with trial(server, database, settle_with_stripe, stripe_delay=_DELAY) as day:
                day.run(kill_after=moment)
                by_chance.update(stages(day.marks()))
                harm |= _harm(f"{number}: after {moment:.4f} s", day, expected)
        for stage, where in AIMED_AT.items():
            while by_chance[stage] + aimed[stage] < AT_EACH_POINT:
                point = Point(where, chance.randint(1, 3))
                with trial(server, database, settle_with_stripe, stripe_delay=_DELAY) as day:
                    assert day.run(point) == _KILLED
                    found = stages(day.marks())
                    assert stage in found
                    aimed[stage] += 1
                    harm |= _harm(f"{stage} {aimed[stage]}: {point}", day, expected)
    with capsys.disabled():
        print(_as_table(database, by_chance, aimed))  # noqa: T201 -- the figures are the point
    assert harm == {}


_DELAY = 0.05
_KILLED = -9
_MARGIN = 0.01
"""Seconds before the first intent and after the last outcome within which a kill falls as well."""


def _undisturbed_charging(server: Server, database: str) -> tuple[Outcome, float, float]:
    """How an undisturbed day ends, and between which moments it usually charges."""
    spans: list[tuple[float, float]] = []
    for _ in range(4):
        with trial(server, database, settle_with_stripe, stripe_delay=_DELAY) as day:
            day.run()
            moments = [moment for moment, where in day.marks() if where in {"intending", "recorded"}]
            spans.append((moments[0] - _MARGIN, moments[-1] + _MARGIN))
            expected = day.outcome()
    first, last = sorted(spans, key=lambda span: span[1])[len(spans) // 2]
    return expected, first, last


def _harm(kill: str, day: Trial, expected: Outcome) -> dict[str, list[str]]:
    """Run the date again, and say what is not as it is after an undisturbed day."""
    code = day.run()
    wrong = expected.differences(day.outcome())
    if code != 0:
        wrong.append(f"exit code {code}")
    if day.unresolved():
        wrong.append(f"{day.unresolved()} unresolved charges")
    return {kill: wrong} if wrong else {}


def _as_table(database: str, by_chance: Counter[str], aimed: Counter[str]) -> str:
    lines: Sequence[str] = [f"{stage:<36}{by_chance[stage]:>10}{aimed[stage]:>8}" for stage in (*AIMED_AT, ELSEWHERE)]
    title = (
        f"{database}: {KILLS} kills at random moments of charging, {aimed.total()} aimed at points too short for "
        "chance. A kill counts at every point at which it met the process or one of its charges."
    )
    return "\n".join(["", title, f"{'':<36}{'by chance':>10}{'aimed':>8}", *lines])
