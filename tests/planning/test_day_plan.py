"""A day is planned, changes, is interrupted; the run by its plan begins only if it would do the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Table, select, update

from lifecycle_jobs import runs
from lifecycle_jobs.day import DayReport
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, events, payment_methods
from lifecycle_jobs.errors import LeaseHeld, StopRequested
from lifecycle_jobs.jobs.task import Progress
from lifecycle_jobs.lease import hold
from lifecycle_jobs.planning.day_plan import AnotherPlan
from lifecycle_jobs.planning.rehearsal import rehearse_in_run
from tests import factories
from tests.crash.provider import ON, settle
from tests.daily import all_rows, settings_for
from tests.planning.days import Days, done_by

DAY = timedelta(days=1)
X = ON
UNPAID = ON - 91 * DAY
"""E of a box whose day of deletion is the business date."""


@pytest.fixture
def days(store: Store, tmp_path: Path) -> Days:
    """Two deletions a day are few, three are many."""
    settings = settings_for(tmp_path, deletion={"always_allowed": 2, "max_percent": 1}, gateway={"outage_limit": 2})
    return Days(store, settings, tmp_path)


def unpaid_for_good(store: Store, number: int) -> list[int]:
    with store.write() as connection:
        factories.customer(connection)
        return [
            factories.box(connection, f"box{each}@pec.example.it", status="suspended", expires_on=UNPAID)
            for each in range(number)
        ]


def deleted(store: Store) -> int:
    with store.read() as connection:
        return len(connection.scalars(select(boxes.c.id).where(boxes.c.status == "deleted")).all())


def put_on_hold(store: Store, box_id: int) -> None:
    with store.write() as connection:
        connection.execute(update(boxes).where(boxes.c.id == box_id).values(hold_reason="dispute"))


def take_off_hold(store: Store, box_id: int) -> None:
    with store.write() as connection:
        connection.execute(update(boxes).where(boxes.c.id == box_id).values(hold_reason=None))


def test_planning_writes_nothing_anywhere_but_the_plan(days: Days) -> None:
    settle(days.store, days.settings.sandbox.journal)
    before = all_rows(days.store)
    journal = days.settings.sandbox.journal.read_bytes()

    plan = days.plan(ON)

    assert all_rows(days.store) == before
    assert days.settings.sandbox.journal.read_bytes() == journal
    assert not days.settings.mail.directory.exists()
    assert [path.name for path in Path(str(days.settings.day_plans.directory)).iterdir()] == [
        f"{ON}-{plan.digest}.jsonl.gz"
    ]


def test_the_totals_stand_in_the_order_of_the_day_with_what_they_ask_for(days: Days) -> None:
    with days.store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        for name, years in (("a", 1), ("b", 2)):
            factories.box(
                connection,
                f"{name}@pec.it",
                expires_on=ON,
                auto_renew=True,
                payment_method_id="pm1",
                renewal_years=years,
            )
        factories.box(connection, "c@pec.it", expires_on=ON - DAY)
        factories.box(connection, "d@pec.it", expires_on=ON + 30 * DAY)

    totals = days.plan(ON).totals

    assert [(*key, total.number, total.cents) for key, total in totals.items()] == [
        ("auto_renew", "box.renewed", 2, 1208 + 2416),
        ("suspend", "box.suspended", 1, None),
        ("send_alerts", "box.expiry_alert", 1, None),
    ]


def test_another_card_makes_another_plan(days: Days) -> None:
    with days.store.write() as connection:
        factories.customer(connection)
        for name in ("charged", "not charged", "another"):
            factories.method(connection, name)
        renewing: dict[str, Any] = {"expires_on": ON, "auto_renew": True}
        box = factories.box(connection, "a@pec.it", payment_method_id="charged", **renewing)
        factories.box(connection, "b@pec.it", payment_method_id="not charged", expires_on=ON)
    before = days.plan(ON).digest

    def after(table: Table, values: dict[str, str], where: ColumnElement[bool]) -> str:
        with days.store.write() as connection:
            connection.execute(update(table).where(where).values(values))
        return days.plan(ON).digest

    method = payment_methods.c.payment_method_id
    assert after(payment_methods, {"token": "pm_card_mastercard"}, method == "not charged") == before
    replaced = after(payment_methods, {"token": "pm_card_mastercard"}, method == "charged")
    other = after(boxes, {"payment_method_id": "another"}, boxes.c.id == box)
    assert len({before, replaced, other}) == 3


def test_a_plan_approves_its_deletions(days: Days) -> None:
    unpaid_for_good(days.store, 3)

    plan = days.plan(X)
    assert (plan.approve_deletions, deleted(days.store)) == (3, 0)
    days.run(X, plan=plan.digest)

    assert deleted(days.store) == 3
    with days.store.read() as connection:
        (approval,) = connection.scalars(select(events.c.detail).where(events.c.kind == "deletions.approved"))
    assert approval == {"run_on": X.isoformat(), "number": 3, "plan": plan.digest}


def test_few_deletions_need_no_approval(days: Days) -> None:
    unpaid_for_good(days.store, 2)

    plan = days.plan(X)
    days.run(X, plan=plan.digest)

    assert (plan.approve_deletions, deleted(days.store)) == (None, 2)
    with days.store.read() as connection:
        assert connection.scalar(select(events.c.id).where(events.c.kind == "deletions.approved")) is None


def test_deletions_that_a_completed_run_refused_can_be_planned_and_made(days: Days) -> None:
    unpaid_for_good(days.store, 3)
    assert days.run(X).failures

    plan = days.plan(X)
    assert plan.approve_deletions == 3
    report = days.run(X, plan=plan.digest)

    assert (report.run_pass, report.failures, deleted(days.store)) == (2, [], 3)


def test_they_are_planned_too_where_the_run_left_something_else_to_be_taken_up(days: Days) -> None:
    unpaid_for_good(days.store, 3)
    days.run(X)
    run = runs.Run(X, 1, "everything", X - DAY)
    runs.park(days.store, run, "send_alerts", "box:1", ValueError("too long"), box_id=None)

    plan = days.plan(X)
    days.run(X, plan=plan.digest)

    assert (plan.approve_deletions, deleted(days.store)) == (3, 3)


def test_deletions_that_have_become_few_since_they_were_refused_can_be_planned_too(days: Days) -> None:
    first, *_ = unpaid_for_good(days.store, 3)
    days.run(X)
    put_on_hold(days.store, first)

    plan = days.plan(X)
    report = days.run(X, plan=plan.digest)

    assert (plan.approve_deletions, report.failures, deleted(days.store)) == (2, [], 2)


def test_a_run_whose_plan_has_changed_does_nothing_and_says_what_is_different(days: Days) -> None:
    first, *_ = unpaid_for_good(days.store, 2)
    plan = days.plan(X)
    put_on_hold(days.store, first)
    with days.store.write() as connection:
        factories.box(connection, "late@pec.it", expires_on=ON - DAY)
    before = all_rows(days.store, but=("leases",))

    with pytest.raises(AnotherPlan, match=r"Nothing was done.*1 of its actions are gone, 1 have come") as changed:
        days.run(X, plan=plan.digest)

    assert all_rows(days.store, but=("leases",)) == before
    assert changed.value.difference is not None
    assert [(each.what, each.box_id) for each in changed.value.difference.gone] == [("box.deleted", first)]
    assert [(each.what, each.address) for each in changed.value.difference.come] == [("box.suspended", "late@pec.it")]
    assert changed.value.found in str(changed.value)


def test_a_plan_that_was_not_kept_is_refused_without_its_difference(days: Days) -> None:
    unpaid_for_good(days.store, 2)

    with pytest.raises(
        AnotherPlan, match="no plan of 2027-03-31 with the hash 0123456789abcdef is kept here"
    ) as changed:
        days.run(X, plan="0123456789abcdef")

    assert (changed.value.difference, deleted(days.store)) == (None, 0)


def test_the_plan_of_one_date_is_not_that_of_another(days: Days) -> None:
    unpaid_for_good(days.store, 1)
    plan = days.plan(X)

    with pytest.raises(AnotherPlan):
        days.run(X + DAY, plan=plan.digest)


def test_a_box_that_falls_due_between_the_look_and_the_deletion_stops_them_all(
    days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, *_ = unpaid_for_good(days.store, 2)
    put_on_hold(days.store, held)
    plan = days.plan(X)

    def then_release(*args: Any) -> DayReport:
        report = rehearse_in_run(*args)
        take_off_hold(days.store, held)
        return report

    monkeypatch.setattr("lifecycle_jobs.planning.day_plan.rehearse_in_run", then_release)
    report = days.run(X, plan=plan.digest)

    assert deleted(days.store) == 0
    assert any("1 of 2 boxes that are due for deletion are not in the plan" in each for each in report.failures)
    assert report.jobs[4].skipped == {"not_as_planned": 2}
    assert days.plan(X).approve_deletions == 2, "they can be planned anew"


def test_an_interrupted_run_is_continued_by_the_same_plan(days: Days) -> None:
    settle(days.store, days.settings.sandbox.journal)
    plan = days.plan(ON)

    def stop_in_suspend(job: str, rows: int) -> None:
        if job == "suspend" and rows:
            raise StopRequested("asked to stop")

    with pytest.raises(StopRequested):
        days.run(ON, plan=plan.digest, progress=stop_in_suspend)
    assert 0 < done_by(days.store, ON).total() < sum(total.number for total in plan.totals.values())
    days.run(ON, plan=plan.digest)

    assert days.plan(ON).report.run_pass is None, "the date is completed"
    assert deleted(days.store) == plan.totals["delete", "box.deleted"].number


def test_what_a_plan_approved_lets_no_other_boxes_go_when_the_run_is_continued_without_it(days: Days) -> None:
    held, paid, *_ = unpaid_for_good(days.store, 4)
    put_on_hold(days.store, held)
    with pytest.raises(StopRequested):
        days.run(X, plan=days.plan(X).digest, progress=stop_before("delete"))
    take_off_hold(days.store, held)
    put_on_hold(days.store, paid)

    report = days.run(X)  # as many as were approved are due, but not the same

    assert deleted(days.store) == 0
    assert report.failures[0].startswith("3 boxes are due for deletion")
    assert days.plan(X).approve_deletions == 3, "they can be planned anew"


def test_what_a_plan_approved_is_done_when_the_run_is_continued_without_it(days: Days) -> None:
    unpaid_for_good(days.store, 3)
    with pytest.raises(StopRequested):
        days.run(X, plan=days.plan(X).digest, progress=stop_before("delete"))

    assert days.run(X).failures == []
    assert deleted(days.store) == 3


def stop_before(job: str) -> Progress:
    def advance(name: str, _rows: int) -> None:
        if name == job:
            raise StopRequested("asked to stop")

    return advance


def test_no_plan_is_made_while_a_run_is_under_way(days: Days) -> None:
    with hold(days.store, "run", 60), pytest.raises(LeaseHeld, match="A run is under way"):
        days.plan(ON)


def test_a_folder_that_takes_no_plan_does_not_keep_it_from_being_shown(days: Days) -> None:
    Path(str(days.settings.day_plans.directory)).write_text("a file where the folder should be")
    unpaid_for_good(days.store, 1)

    assert days.plan(X).totals["delete", "box.deleted"].number == 1
