"""A day on which ten times as many are due is stopped, and goes on by the hash of its plan; nothing else is held up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import delete, select, update

from lifecycle_jobs import log
from lifecycle_jobs.daemon import Daemon
from lifecycle_jobs.day import DayReport
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, suspension_approvals
from lifecycle_jobs.errors import StopRequested
from lifecycle_jobs.explaining.verdicts import verdicts_on
from lifecycle_jobs.languages import Speech
from lifecycle_jobs.planning.rehearsal import rehearse_in_run
from lifecycle_jobs.watching.noticing import Unusual
from tests import factories
from tests.daily import settings_for
from tests.watching.past import DAY, days_before, record_runs
from tests.watching.stopped import USUAL, WATCHING, Days, due, happened, kinds, number_of, provider, skipped
from tests.workers import ON, do_day, settings_of


@pytest.fixture(autouse=True)
def _quiet() -> None:
    log.configure("error", "json")


@pytest.fixture
def days(store: Store, tmp_path: Path) -> Days:
    """A provider who suspends and deletes a box a day, and wants to be asked when they are many more."""
    return provider(store, tmp_path)


@pytest.fixture
def sqlite_days(sqlite_store: Store, tmp_path: Path) -> Days:
    """The same, on SQLite."""
    return provider(sqlite_store, tmp_path)


def test_ten_times_as_many_are_stopped_and_let_go_by_the_plan(days: Days) -> None:
    due(days.store, 10)
    due(days.store, 10, deletion=True)
    with days.store.write() as connection:
        factories.box(connection, "warned@pec.example.it", expires_on=ON + 30 * DAY)

    stopped = days.run(ON)

    assert [skipped(stopped, job) for job in ("suspend", "delete")] == [{"unusually_many": 10}] * 2
    for failure, what in zip(stopped.failures, ("suspension", "deletion"), strict=True):
        assert failure.startswith(f"10 boxes are due for {what}, where 1 are usual on such a day: none was ")
        assert f"lifecycle-jobs plan {ON}" in failure
        assert f"lifecycle-jobs replay {ON} --plan HASH" in failure
    assert stopped.unusual == [
        Unusual(ON, "delete", "box.deleted", 10, usual=1, stopped=True),
        Unusual(ON, "suspend", "box.suspended", 10, usual=1, stopped=True),
    ]
    assert kinds(days.store) == {"box.expiry_alert": 1}, "the other jobs go on"
    assert days.run(ON).run_pass is None, "the date is completed, and is not done again by itself"

    plan = days.plan(ON)
    assert (plan.approve_suspensions, plan.approve_deletions) == (10, 10)
    done = days.run(ON, plan=plan.digest)

    assert (done.run_pass, done.failures) == (2, [])
    assert kinds(days.store) == {
        "box.expiry_alert": 1,
        "box.suspended": 10,
        "box.deleted": 10,
        "suspensions.approved": 1,
        "deletions.approved": 1,
    }
    assert [(each.number, each.stopped) for each in done.unusual] == [(10, False), (10, False)]
    assert days.plan(ON).report.run_pass is None


def test_three_times_as_many_are_business_as_usual(sqlite_days: Days) -> None:
    days = sqlite_days
    due(days.store, 3, deletion=True)
    due(days.store, 3)

    report = days.run(ON)

    assert (report.failures, report.unusual) == ([], [])
    assert (happened(days.store, "box.deleted"), happened(days.store, "box.suspended")) == (3, 3)


def test_unless_it_is_asked_to_stop_the_run_goes_on_and_says_so(sqlite_store: Store, tmp_path: Path) -> None:
    days = provider(sqlite_store, tmp_path, stop_suspensions=False, stop_deletions=False)
    due(days.store, 10, deletion=True)
    due(days.store, 10)

    report = days.run(ON)

    assert report.failures == []
    assert report.unusual == [
        Unusual(ON, "delete", "box.deleted", 10, usual=1),
        Unusual(ON, "suspend", "box.suspended", 10, usual=1),
    ]


def test_a_run_by_a_plan_made_before_does_it_in_one_go(sqlite_days: Days) -> None:
    days = sqlite_days
    due(days.store, 10, deletion=True)
    due(days.store, 10)

    plan = days.plan(ON)
    report = days.run(ON, plan=plan.digest)

    assert (plan.approve_suspensions, plan.approve_deletions) == (10, 10)
    assert (report.run_pass, report.failures) == (1, [])
    assert (happened(days.store, "box.deleted"), happened(days.store, "box.suspended")) == (10, 10)


def test_the_day_after_downtime_may_do_the_work_of_all_its_days(sqlite_store: Store, tmp_path: Path) -> None:
    record_runs(sqlite_store, dict.fromkeys(days_before(ON, 57)[:-4], USUAL))
    with sqlite_store.write() as connection:
        factories.customer(connection)
    days = Days(sqlite_store, settings_for(tmp_path, watching=WATCHING), tmp_path)
    due(days.store, 10)

    assert days.run(ON).failures == []
    assert happened(days.store, "box.suspended") == 10


def test_each_unusual_day_asks_anew(sqlite_days: Days) -> None:
    days = sqlite_days
    due(days.store, 10)
    days.run(ON, plan=days.plan(ON).digest)
    with days.store.write() as connection:
        for each in range(10):
            factories.box(connection, f"next{each}@pec.example.it", expires_on=ON)

    assert skipped(days.run(ON + DAY), "suspend") == {"unusually_many": 10}


def test_a_number_of_deletions_may_be_approved_as_with_the_cap(sqlite_days: Days) -> None:
    due(sqlite_days.store, 10, deletion=True)

    wrong = sqlite_days.run(ON, approve_deletions=9)
    right = sqlite_days.run(ON, approve_deletions=10)

    assert "9 were approved, which is another number" in wrong.failures[0]
    assert (right.failures, happened(sqlite_days.store, "box.deleted")) == ([], 10)


def stop_in(job: str) -> Any:
    def progress(name: str, rows: int) -> None:
        if name == job and (rows or job == "send_alerts"):
            raise StopRequested("asked to stop")

    return progress


def test_a_job_that_was_stopped_stays_so_when_the_interrupted_run_is_continued(sqlite_days: Days) -> None:
    days = sqlite_days
    due(days.store, 10)
    due(days.store, 10, deletion=True)
    with pytest.raises(StopRequested):
        days.run(ON, progress=stop_in("send_alerts"))

    continued = days.run(ON)

    assert (continued.run_pass, len(continued.failures)) == (1, 2)
    assert (happened(days.store, "box.suspended"), happened(days.store, "box.deleted")) == (0, 0)
    assert [(each.job, each.number, each.stopped) for each in continued.unusual] == [
        ("delete", 10, True),
        ("suspend", 10, True),
    ]


def test_an_interrupted_run_in_which_jobs_were_stopped_is_continued_by_a_plan(sqlite_days: Days) -> None:
    days = sqlite_days
    due(days.store, 10)
    due(days.store, 10, deletion=True)
    with pytest.raises(StopRequested):
        days.run(ON, progress=stop_in("send_alerts"))

    report = days.run(ON, plan=days.plan(ON).digest)

    assert (report.run_pass, report.failures) == (1, [])
    assert (happened(days.store, "box.suspended"), happened(days.store, "box.deleted")) == (10, 10)


def test_suspensions_that_were_let_go_and_interrupted_are_finished_under_the_same_approval(days: Days) -> None:
    due(days.store, 10)
    with pytest.raises(StopRequested):
        days.run(ON, plan=days.plan(ON).digest, progress=stop_in("suspend"))
    assert 0 < happened(days.store, "box.suspended") < 10

    report = days.run(ON)  # whoever continues it, a daemon say, knows no plan

    assert (report.run_pass, report.failures, happened(days.store, "box.suspended")) == (1, [], 10)
    with days.store.read() as connection:
        assert connection.scalars(select(suspension_approvals.c.used)).all() == [True]


def test_a_run_killed_after_the_approval_was_used_up_does_not_ask_for_it_again(sqlite_days: Days) -> None:
    days = sqlite_days
    due(days.store, 10)
    days.run(ON, plan=days.plan(ON).digest)
    with days.store.write() as connection:
        connection.execute(update(tables.runs).where(tables.runs.c.run_on == ON).values(state="running"))
        connection.execute(delete(tables.run_jobs).where(tables.run_jobs.c.run_on == ON))

    report = days.run(ON)

    assert (report.run_pass, report.failures, happened(days.store, "box.suspended")) == (1, [], 10)


def test_a_box_that_falls_due_between_the_look_and_the_suspension_stops_them_all(
    sqlite_days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = sqlite_days
    held, *_ = due(days.store, 10)
    with days.store.write() as connection:
        connection.execute(update(boxes).where(boxes.c.id == held).values(hold_reason="dispute"))
    plan = days.plan(ON)

    def release_after_the_last_look(*args: Any) -> DayReport:
        report = rehearse_in_run(*args)
        if not report.failures:
            with days.store.write() as connection:
                connection.execute(update(boxes).where(boxes.c.id == held).values(hold_reason=None))
        return report

    monkeypatch.setattr("lifecycle_jobs.planning.day_plan.rehearse_in_run", release_after_the_last_look)
    report = days.run(ON, plan=plan.digest)

    assert happened(days.store, "box.suspended") == 0
    assert report.failures[0].startswith("1 of 10 boxes that are due for suspension are not in the plan")
    assert days.plan(ON).approve_suspensions == 10, "they can be planned anew"


def test_what_one_approval_lets_go_does_not_make_the_other_be_forgotten(sqlite_days: Days) -> None:
    days = sqlite_days
    due(days.store, 10)
    due(days.store, 10, deletion=True)
    days.run(ON)
    days.run(ON, approve_deletions=10)

    plan = days.plan(ON)

    assert (plan.approve_suspensions, plan.approve_deletions) == (10, None)
    assert days.run(ON, plan=plan.digest).failures == []
    assert happened(days.store, "box.suspended") == 10


def test_workers_are_stopped_and_let_go_as_one_alone(postgresql_store: Store, tmp_path: Path) -> None:
    url = postgresql_store.engine.url.render_as_string(hide_password=False)
    settings = settings_of(tmp_path, url, chunk_size=3, count=2).model_copy(
        update={"watching": settings_for(tmp_path, watching=WATCHING).watching}
    )
    days = replace(provider(postgresql_store, tmp_path), settings=settings)
    due(days.store, 10)
    due(days.store, 10, deletion=True)

    stopped = do_day(days.store, settings)
    assert (len(stopped.failures), happened(days.store, "box.suspended"), happened(days.store, "box.deleted")) == (
        2,
        0,
        0,
    )
    plan = days.plan(ON)
    with_approval = do_day(days.store, settings)
    assert with_approval.run_pass is None

    days.run(ON, plan=plan.digest)
    assert (happened(days.store, "box.suspended"), happened(days.store, "box.deleted")) == (10, 10)


def test_what_stopped_a_daemon_is_let_go_by_a_command_beside_it(sqlite_days: Days) -> None:
    days = sqlite_days
    due(days.store, 10)
    with freeze_time(f"{ON}T04:00:00Z"):
        daemon = Daemon(days.store, days.settings)
        daemon.do("day")
        assert (happened(days.store, "box.suspended"), number_of(days.store, "active")) == (0, 10)

        days.run(ON, plan=days.plan(ON).digest)
        daemon.do("day")

    assert happened(days.store, "box.suspended") == 10


def test_it_is_explained_to_the_holder_of_each_box(sqlite_days: Days) -> None:
    box_id, *_ = due(sqlite_days.store, 10)

    told = {each.job: each for each in verdicts_on(sqlite_days.store, sqlite_days.settings, box_id, ON, Speech("en"))}

    assert told["suspend"].reason == "unusually_many"
    assert told["suspend"].told.startswith("10 boxes are due for suspension, far more than is usual on such a day")


def test_a_stopped_box_is_suspended_when_it_is_let_go_and_has_all_its_days_from_then_on(sqlite_days: Days) -> None:
    days = sqlite_days
    due(days.store, 10)
    days.run(ON)
    late = ON + DAY

    days.run(late, plan=days.plan(late).digest)

    with days.store.read() as connection:
        assert set(connection.scalars(select(tables.boxes.c.suspended_on))) == {late}
