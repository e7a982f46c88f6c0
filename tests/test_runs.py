"""Which dates are done, how far, and from when on milestones are due (SPEC §1 W, §5)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import parked_rows
from lifecycle_jobs.db.tables import runs as run_records
from lifecycle_jobs.runs import JobReport, Run

ON = date(2027, 3, 24)


def complete(store: Store, on: date, **wish: Any) -> Run:
    run = runs.begin(store, on, **wish)
    assert run is not None
    runs.finish(store, run, 0)
    return run


def day(number: int) -> date:
    return ON + timedelta(days=number)


def test_without_an_earlier_run_w_is_the_day_before(store: Store) -> None:
    run = runs.begin(store, ON)

    assert run == Run(ON, 1, "everything", since=day(-1))


def test_w_is_the_latest_completed_run(store: Store) -> None:
    complete(store, day(-9))
    complete(store, day(-5))

    run = runs.begin(store, ON)

    assert run is not None
    assert run.since == day(-5)


def test_a_run_that_was_never_finished_does_not_count_for_w(store: Store) -> None:
    complete(store, day(-5))
    runs.begin(store, day(-2))

    run = runs.begin(store, ON)

    assert run is not None
    assert run.since == day(-5)


def test_replaying_an_earlier_date_w_is_the_day_before_it(store: Store) -> None:
    complete(store, day(-9))
    complete(store, day(3))

    run = runs.begin(store, ON)

    assert run is not None
    assert run.since == day(-1)


def test_w_can_be_set_by_hand(store: Store) -> None:
    complete(store, day(-1))

    run = runs.begin(store, ON, since=day(-40))

    assert run is not None
    assert run.since == day(-40)


def test_a_completed_date_has_nothing_left_to_do(store: Store) -> None:
    complete(store, ON)

    assert runs.begin(store, ON) is None


def test_again_is_another_pass_that_looks_for_everything(store: Store) -> None:
    complete(store, day(-5))
    complete(store, ON)

    run = runs.begin(store, ON, again=True)

    assert run is not None
    assert (run.run_pass, run.scope) == (2, "everything")


def test_again_on_a_date_before_the_latest_has_the_day_before_for_w(store: Store) -> None:
    complete(store, ON)
    complete(store, day(4))

    assert complete(store, ON, again=True).since == day(-1)


def test_an_interrupted_run_is_continued_with_its_own_w(store: Store) -> None:
    complete(store, day(-5))
    interrupted = runs.begin(store, ON)
    complete(store, day(-2))

    assert runs.begin(store, ON) == interrupted
    assert interrupted is not None
    assert interrupted.since == day(-5)


def test_an_interrupted_pass_is_continued_as_that_pass(store: Store) -> None:
    complete(store, ON)
    interrupted = runs.begin(store, ON, again=True)

    assert runs.begin(store, ON) == interrupted


def test_the_jobs_that_came_to_their_end_are_known_with_what_they_reported(store: Store) -> None:
    run = runs.begin(store, ON)
    assert run is not None
    report = JobReport("suspend", done={"box.suspended": 2}, skipped={"on_hold": 1}, failures=["look at this"])
    runs.job_began(store, run, "suspend")
    runs.job_finished(store, run, report)
    runs.job_began(store, run, "delete")

    with store.read() as connection:
        finished = runs.finished_jobs(connection, run)

    assert list(finished) == ["suspend"]
    assert finished["suspend"].done == {"box.suspended": 2}
    assert finished["suspend"].skipped == {"on_hold": 1}
    assert finished["suspend"].failures == ["look at this"]


def test_what_a_pass_has_done_does_not_count_for_the_next(store: Store) -> None:
    first = runs.begin(store, ON)
    assert first is not None
    runs.job_began(store, first, "suspend")
    runs.job_finished(store, first, JobReport("suspend"))
    runs.finish(store, first, 0)

    second = runs.begin(store, ON, again=True)

    assert second is not None
    with store.read() as connection:
        assert runs.finished_jobs(connection, second) == {}


def park(store: Store, run: Run, subject: str = "box:1") -> None:
    runs.park(store, run, "suspend", subject, ValueError("no good"), box_id=None)


def states(store: Store) -> list[tuple[str, str, int]]:
    with store.read() as connection:
        rows = connection.execute(
            select(parked_rows.c.subject, parked_rows.c.state, parked_rows.c.times).order_by(parked_rows.c.id)
        )
        return [(row.subject, row.state, row.times) for row in rows]


def test_a_parked_row_is_kept_with_its_error_and_counted_once_however_often_it_fails(store: Store) -> None:
    run = runs.begin(store, ON)
    assert run is not None

    park(store, run)
    park(store, run)

    assert states(store) == [("box:1", "open", 2)]
    with store.read() as connection:
        assert connection.scalar(select(parked_rows.c.error)) == "ValueError: no good"


def test_an_error_is_told_in_one_line_without_the_row_that_the_database_quotes() -> None:
    error = RuntimeError("duplicate key\nDETAIL: Key (email)=(someone@example.it) already exists.")

    assert runs.describe(error) == "RuntimeError: duplicate key"


def test_a_completed_date_takes_up_what_it_had_parked(store: Store) -> None:
    run = runs.begin(store, ON)
    assert run is not None
    park(store, run)
    runs.finish(store, run, 1)

    second = runs.begin(store, ON)

    assert second is not None
    assert (second.run_pass, second.scope) == (2, "left_over")
    assert states(store) == [("box:1", "retrying", 1)]
    runs.finish(store, second, 0)
    assert states(store) == [("box:1", "resolved", 1)]
    assert runs.begin(store, ON) is None


def test_what_fails_again_is_parked_again_and_not_resolved(store: Store) -> None:
    run = runs.begin(store, ON)
    assert run is not None
    park(store, run)
    runs.finish(store, run, 1)
    second = runs.begin(store, ON)
    assert second is not None

    park(store, second)
    runs.finish(store, second, 1)

    assert states(store) == [("box:1", "open", 2)]


def test_the_next_date_takes_up_what_an_earlier_one_parked(store: Store) -> None:
    run = runs.begin(store, ON)
    assert run is not None
    park(store, run)
    runs.finish(store, run, 1)

    runs.begin(store, day(1))

    assert states(store) == [("box:1", "retrying", 1)]


def test_an_earlier_date_leaves_alone_what_a_later_one_parked(store: Store) -> None:
    run = runs.begin(store, ON)
    assert run is not None
    park(store, run)
    runs.finish(store, run, 1)

    runs.begin(store, day(-3))

    assert states(store) == [("box:1", "open", 1)]


def test_an_interrupted_run_does_not_take_up_what_it_parked_itself(store: Store) -> None:
    run = runs.begin(store, ON)
    assert run is not None
    park(store, run)

    runs.begin(store, ON)

    assert states(store) == [("box:1", "open", 1)]


def test_a_later_run_supersedes_an_interrupted_one(store: Store) -> None:
    interrupted = runs.begin(store, ON)
    assert interrupted is not None
    with store.read() as connection:
        assert runs.interrupted_before(connection, day(1)) == [interrupted]

    runs.supersede(store, interrupted)

    with store.read() as connection:
        assert runs.interrupted_before(connection, day(1)) == []
        assert connection.scalar(select(run_records.c.state)) == "superseded"


@pytest.mark.parametrize("failures", [0, 3])
def test_a_run_is_completed_also_with_failures(store: Store, failures: int) -> None:
    run = runs.begin(store, ON)
    assert run is not None

    runs.finish(store, run, failures)

    with store.read() as connection:
        assert runs.latest_completed(connection) == ON
        assert connection.scalar(select(run_records.c.failures)) == failures


@pytest.mark.parametrize("again", [False, True])
def test_a_date_that_a_later_run_took_over_gets_another_pass(store: Store, again: bool) -> None:  # noqa: FBT001 -- a parameter of pytest
    """The messages of its first pass are made: what is done now must get messages of its own."""
    interrupted = runs.begin(store, ON)
    assert interrupted is not None
    runs.supersede(store, interrupted)

    assert runs.begin(store, ON, again=again) == Run(ON, 2, "everything", since=interrupted.since)
