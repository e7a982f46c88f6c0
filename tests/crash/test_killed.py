"""A day that is killed anywhere and run again ends as if nothing had happened (SPEC §5).

Undisturbed, the day passes each place so many times; it is killed at a part of them, and done again. `make soak` kills
it at each, and anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tests.crash.launcher import Point, Where
from tests.crash.provider import settle_one_whose_answer_is_lost
from tests.crash.trial import Outcome, Server, trial

pytestmark = pytest.mark.timeout(900)

DONE_WITH_FAILURES = 1
"""The exit code of the provider's day: its gateway is out."""

KILLED = -9

_undisturbed: dict[str, tuple[Outcome, Mapping[str, int]]] = {}


def undisturbed(server: Server, database: str) -> tuple[Outcome, Mapping[str, int]]:
    if database not in _undisturbed:
        with trial(server, database) as day:
            assert day.run() == DONE_WITH_FAILURES, day.output()
            _undisturbed[database] = day.outcome(), day.counts()
    return _undisturbed[database]


def points(counts: Mapping[str, int], *places: Where) -> list[Point]:
    return [Point(where, number) for where in places for number in range(1, counts[where] + 1)]


def assert_harmless(server: Server, database: str, expected: Outcome, kills: Sequence[Point]) -> None:
    harm = {}
    for point in kills:
        with trial(server, database) as day:
            assert day.run(point) == KILLED
            code = day.run()
            differences = expected.differences(day.outcome())
            if differences or code != DONE_WITH_FAILURES:
                harm[point] = [f"exit code {code}", *differences]
    assert harm == {}


def test_the_day_has_work_for_every_job_and_every_answer(server: Server) -> None:
    outcome, _ = undisturbed(server, "sqlite")

    for word in (
        "charge.declined",
        "box.renewed",
        "addon.renewed",
        "addon.credit_short",
        "addon.disabled",
        "box.suspended",
        "box.deleted",
        "box.expiry_alert",
        "box.renewal_notice",
        "box.deletion_warning",
    ):
        assert word.encode() in outcome.files["events.csv"]
    for word in ("succeeded", "declined", "unknown", "not_attempted"):
        assert word.encode() in outcome.files["charges.csv"]
    assert len(outcome.files) == 9


def test_undisturbed_days_are_alike_to_the_byte(server: Server) -> None:
    expected, _ = undisturbed(server, "sqlite")
    on_postgresql, _ = undisturbed(server, "postgresql")

    with trial(server, "sqlite") as day:
        day.run()
        assert expected.differences(day.outcome()) == []
    assert expected.differences(on_postgresql) == []


def test_killed_before_every_twelfth_commit_the_day_ends_as_if_nothing_had_happened(server: Server) -> None:
    expected, counts = undisturbed(server, "sqlite")

    before_the_day_was_done = points(counts, "commit")[:-1]  # the last one only gives the lease back
    assert_harmless(server, "sqlite", expected, before_the_day_was_done[::12])


@pytest.mark.parametrize("place", ["call", "journal", "answer"])
def test_killed_around_every_other_call_of_the_gateway_the_day_ends_as_if_nothing_had_happened(
    server: Server, place: Where
) -> None:
    expected, counts = undisturbed(server, "sqlite")

    assert_harmless(server, "sqlite", expected, points(counts, place)[::2])


def test_killed_between_messages_the_day_ends_as_if_nothing_had_happened(server: Server) -> None:
    expected, counts = undisturbed(server, "sqlite")

    assert_harmless(server, "sqlite", expected, points(counts, "mailed")[::3])


def test_killed_on_postgresql_the_day_ends_as_if_nothing_had_happened(server: Server) -> None:
    expected, counts = undisturbed(server, "postgresql")
    sample = [
        *points(counts, "commit")[:-1:30],  # the last one only gives the lease back
        *points(counts, "committed")[7:-2:30],  # after the last two the day is done, and done once more ends with 0
        *points(counts, "call", "journal", "answer")[::15],
        *points(counts, "mailed")[::16],
    ]

    assert_harmless(server, "postgresql", expected, sample)


@pytest.mark.parametrize("place", ["journal", "answer"])
def test_killed_before_it_knew_that_an_answer_was_lost_the_day_finds_the_payment_and_does_not_charge_twice(
    server: Server, place: Where
) -> None:
    """The one case in which the ends differ: a look-up gets today what the undisturbed day learns tomorrow."""
    with trial(server, "sqlite", settle_one_whose_answer_is_lost) as day:
        assert day.run() == 0
        undisturbed_day = day.outcome()
    with trial(server, "sqlite", settle_one_whose_answer_is_lost) as day:
        assert day.run(Point(place, 1)) == KILLED
        assert day.run() == 0
        outcome = day.outcome()

    assert b",unknown," in undisturbed_day.files["charges.csv"]
    assert b",succeeded," in outcome.files["charges.csv"]
    assert len(outcome.files["charges.csv"].splitlines()) == 2
    assert outcome.booked == undisturbed_day.booked
    assert len(outcome.booked) == 1


def test_killed_twice_in_one_day_it_still_ends_as_if_nothing_had_happened(server: Server) -> None:
    expected, _ = undisturbed(server, "sqlite")

    with trial(server, "sqlite") as day:
        assert day.run(Point("journal", 3)) == KILLED
        assert day.run(Point("answer", 4)) == KILLED
        assert day.run(Point("commit", 15)) == KILLED
        assert day.run(Point("mailed", 2)) == KILLED
        day.run()
        assert expected.differences(day.outcome()) == []


def test_killed_after_everything_was_done_the_day_has_nothing_left_to_do(server: Server) -> None:
    expected, counts = undisturbed(server, "sqlite")

    with trial(server, "sqlite") as day:
        assert day.run(Point("commit", counts["commit"])) == KILLED  # about to give the lease back
        assert day.run() == 0
        assert "nothing to do" in day.output()
        assert expected.differences(day.outcome()) == []
