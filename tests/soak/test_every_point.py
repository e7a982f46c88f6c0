"""The day killed at every single point that it passes, on both databases. Takes minutes: `make soak`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

import pytest

from tests.crash.launcher import Where
from tests.crash.test_killed import assert_harmless, points, undisturbed
from tests.crash.trial import Server

_WHERE_THE_DAY_IS_DONE: Final[Mapping[Where, int]] = {"commit": -1, "committed": -2}
"""The last commit gives the lease back, the one before says that the day is done: done once more, it ends with 0."""


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killed_at_any_point_the_day_ends_as_if_nothing_had_happened(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server() as server:
        expected, counts = undisturbed(server, database)
        everywhere = [
            point for where in get_args(Where) for point in points(counts, where)[: _WHERE_THE_DAY_IS_DONE.get(where)]
        ]
        with capsys.disabled():
            print(f"\n{database}: {len(everywhere)} points")  # noqa: T201 -- the figure is the point
        assert_harmless(server, database, expected, everywhere)
