"""The day killed at every single point that it passes, on both databases. Takes minutes: `make soak`."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.crash.launcher import Where
from tests.crash.test_killed import assert_harmless, points, undisturbed
from tests.crash.trial import Server


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killed_at_any_point_the_day_ends_as_if_nothing_had_happened(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server() as server:
        expected, counts = undisturbed(server, database)
        everywhere = [
            point
            for where in get_args(Where)
            for point in points(counts, where)[
                : -1 if where in {"commit", "committed"} else None
            ]  # gives the lease back
        ]
        with capsys.disabled():
            print(f"\n{database}: {len(everywhere)} points")  # noqa: T201 -- the figure is the point
        assert_harmless(server, database, expected, everywhere)
