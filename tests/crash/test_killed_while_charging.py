"""A day that is killed while several charges are under way at a Stripe server: nobody is charged twice or forgotten.

The server runs in a process of its own and keeps a journal. After the same date was run again, what the program is left
with is what it has after an undisturbed day (files, messages, the bank's payments), its books are right, and they agree
with the journal to the cent: `Trial.outcome` demands that. More of it: tests/soak.
"""

from __future__ import annotations

import pytest

from tests.crash.launcher import Point
from tests.crash.provider import COULD_BE_RENEWED, settle_with_stripe
from tests.crash.stages import (
    AFTER_INTENT,
    ANSWERED,
    BEFORE_INTENT,
    BOX_AND_EVENT,
    DURING_CALL,
    ORDER_AND_BOX,
    RECORDED,
    stages,
)
from tests.crash.trial import Outcome, Server, Trial, trial

KILLED = -9
DELAY = 0.05
"""Seconds that the bank takes: some calls are always under way."""

DATABASES = ["sqlite", "postgresql"]

POINTS = [
    pytest.param(Point("intended", 2), BEFORE_INTENT, id="before the intent is committed"),
    pytest.param(Point("begun", 5), AFTER_INTENT, id="after the intent"),
    pytest.param(Point("answer", 3), ANSWERED, id="after the answer"),
    pytest.param(Point("closed", 2), ORDER_AND_BOX, id="between order and box"),
    pytest.param(Point("moved", 2), BOX_AND_EVENT, id="between box and event"),
    pytest.param(Point("settled", 1), ANSWERED, id="before the outcome is committed"),
    pytest.param(Point("recorded", 4), RECORDED, id="after the outcome"),
]

_undisturbed: dict[str, Outcome] = {}


def undisturbed(server: Server, database: str) -> Outcome:
    if database not in _undisturbed:
        with trial(server, database, settle_with_stripe, stripe_delay=DELAY) as day:
            assert day.run() == 0, day.output()
            _undisturbed[database] = day.outcome()
    return _undisturbed[database]


def assert_harmless(day: Trial, expected: Outcome) -> None:
    """Run the date again: it ends as if nothing had happened, and nobody is in doubt about anything."""
    assert day.run() == 0, day.output()
    assert day.unresolved() == 0
    assert expected.differences(day.outcome()) == []


@pytest.mark.parametrize("database", DATABASES)
def test_undisturbed_everybody_who_can_pay_is_charged_once_and_several_at_a_time(server: Server, database: str) -> None:
    with trial(server, database, settle_with_stripe, stripe_delay=DELAY) as day:
        assert day.run() == 0, day.output()
        assert day.bank is not None
        assert day.bank.statistics()["most_in_flight"] == 4
        outcome = day.outcome()

    assert len(outcome.booked) == COULD_BE_RENEWED
    assert outcome.files["events.csv"].count(b",box.renewed,") == COULD_BE_RENEWED
    assert outcome.files["events.csv"].count(b",charge.declined,") == 3
    assert outcome.files["events.csv"].count(b",box.suspended,") == 3
    assert undisturbed(server, database).differences(outcome) == []


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize(("point", "stage"), POINTS)
def test_killed_at_any_point_and_run_again_the_day_ends_as_if_nothing_had_happened(
    server: Server, database: str, point: Point, stage: str
) -> None:
    with trial(server, database, settle_with_stripe, stripe_delay=DELAY) as day:
        assert day.run(point) == KILLED
        assert stage in stages(day.marks())
        assert_harmless(day, undisturbed(server, database))


@pytest.mark.parametrize("database", DATABASES)
def test_killed_during_calls_that_the_bank_had_booked_it_finds_the_payments_and_charges_nobody_twice(
    server: Server, database: str
) -> None:
    with trial(server, database, settle_with_stripe, stripe_delay=DELAY) as day:
        assert day.bank is not None
        day.bank.fail("late")
        assert day.run(Point("sent", 4, after=0.3)) == KILLED
        assert stages(day.marks()) >= {DURING_CALL, AFTER_INTENT}
        assert day.bank.charges() != []
        day.bank.mend()

        assert_harmless(day, undisturbed(server, database))


@pytest.mark.parametrize("database", DATABASES)
def test_killed_during_calls_that_the_bank_had_not_booked_it_makes_them_again_under_their_keys(
    server: Server, database: str
) -> None:
    with trial(server, database, settle_with_stripe, stripe_delay=DELAY) as day:
        assert day.bank is not None
        day.bank.fail("silent")
        assert day.run(Point("sent", 4, after=0.3)) == KILLED
        assert stages(day.marks()) >= {DURING_CALL, AFTER_INTENT}
        assert day.bank.charges() == []
        day.bank.mend()

        assert_harmless(day, undisturbed(server, database))


def test_killed_three_times_in_one_day_it_still_ends_as_if_nothing_had_happened(server: Server) -> None:
    with trial(server, "sqlite", settle_with_stripe, stripe_delay=DELAY) as day:
        assert day.run(Point("sent", 4)) == KILLED
        assert day.run(Point("begun", 2)) == KILLED  # one of those that are presented again
        assert day.run(Point("answer", 5)) == KILLED
        assert_harmless(day, undisturbed(server, "sqlite"))


def test_run_again_while_the_bank_is_still_at_work_on_the_calls_of_the_killed_process_it_charges_nobody_twice(
    server: Server,
) -> None:
    """The lists do not show them yet, and the keys that are presented again are in use (409)."""
    with trial(server, "sqlite", settle_with_stripe, stripe_delay=6) as day:
        assert day.bank is not None
        day.bank.show(list_lag=3600, search_lag=3600)
        assert day.run(Point("sent", 4, after=0.3)) == KILLED
        day.bank.answer_after(0.01)
        assert day.run() == 0, day.output()
        assert day.unresolved() == 4

        day.bank.show()
        assert day.run(again=True) == 0, day.output()
        assert day.unresolved() == 0
        expected, outcome = undisturbed(server, "sqlite"), day.outcome()
        assert outcome.booked == expected.booked
        assert outcome.files["charges.csv"] == expected.files["charges.csv"]
        assert outcome.files["boxes.csv"] == expected.files["boxes.csv"]
