"""The day killed at random moments, many times, on both databases. Takes minutes: `make soak`."""

from __future__ import annotations

import math
import os
import random
from collections import Counter

import pytest

from tests.crash.trial import Server, trial

KILLS = int(os.environ.get("SOAK_KILLS", "200"))
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
