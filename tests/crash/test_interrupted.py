"""A day that is disturbed while it charges at a Stripe server, without being killed: nobody is charged twice either."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import servers
from tests.crash.launcher import Point
from tests.crash.provider import ON, settle_with_stripe
from tests.crash.trial import Outcome, Server, Trial, trial
from tests.stripe_servers import StripeServer

SLOW = 0.5
"""Seconds that the bank takes: there is time to do something meanwhile."""

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(scope="module")
def undisturbed(server: Server) -> Outcome:
    """How the day ends, on either database."""
    with trial(server, "sqlite", settle_with_stripe, stripe_delay=0.01) as day:
        assert day.run() == 0, day.output()
        return day.outcome()


def wait_until_calls_are_under_way(day: Trial) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if day.bank is not None and day.bank.statistics()["calls"].get("charge", 0) >= 2:
            return
        time.sleep(0.02)
    raise AssertionError("no call was made")


@pytest.mark.parametrize("database", DATABASES)
def test_asked_to_stop_it_makes_no_new_call_records_those_in_flight_and_the_same_command_continues(
    server: Server, undisturbed: Outcome, database: str
) -> None:
    with trial(server, database, settle_with_stripe, stripe_delay=SLOW) as day:
        assert day.run(Point("sent", 4, "term")) == 143
        assert "Stopped as asked, during auto_renew" in day.output()
        assert day.bank is not None
        assert day.bank.statistics()["calls"]["charge"] == 4
        assert day.counts()["recorded"] == 4
        assert day.unresolved() == 0

        day.bank.answer_after(0.01)
        assert day.run() == 0, day.output()
        assert undisturbed.differences(day.outcome()) == []


@pytest.mark.parametrize("database", DATABASES)
def test_of_two_runs_started_at_the_same_moment_one_does_the_day_and_the_other_leaves(
    server: Server, another: Server, undisturbed: Outcome, database: str
) -> None:
    another.warm_up()
    with (
        trial(server, database, settle_with_stripe, stripe_delay=SLOW) as day,
        ThreadPoolExecutor() as pool,
    ):
        runs = [pool.submit(day.run, server=each) for each in (server, another)]

        assert sorted(run.result() for run in runs) == [0, 3], day.output()
        assert undisturbed.differences(day.outcome()) == []


def test_a_database_that_is_restarted_stops_the_run_with_a_sentence_and_the_same_command_continues(
    server: Server, undisturbed: Outcome
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="lifecycle-trial-") as folder,
        servers.own_postgresql() as database,
        StripeServer(Path(folder) / "stripe.jsonl", delay=SLOW) as bank,
        ThreadPoolExecutor() as pool,
    ):
        day = Trial(server, database.database_url, Path(folder), settle_with_stripe, ON, bank)
        run = pool.submit(day.run)
        wait_until_calls_are_under_way(day)
        database.crash()

        assert run.result() == 1, day.output()
        assert f"The run of {ON} stopped: the database does not work" in day.output()
        assert "Traceback" not in day.output()
        assert bank.charges() != []
        assert day.unresolved() > 0

        bank.answer_after(0.01)
        assert day.run() == 0, day.output()
        assert day.unresolved() == 0
        assert undisturbed.differences(day.outcome()) == []
