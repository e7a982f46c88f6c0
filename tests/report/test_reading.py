"""What the report finds: the day against two others, deletions by name, and all that waits for a person."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import freezegun
import pytest
from sqlalchemy import event, insert, update

from lifecycle_jobs import operators, runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import events, messages, staff_reports
from lifecycle_jobs.notices import settle_notices
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.notices import Concern, Notice, record_notice
from lifecycle_jobs.payments.staff_notices import list_for_staff
from lifecycle_jobs.report import reading
from lifecycle_jobs.report.contents import DailyReport
from lifecycle_jobs.report.reading import read_report
from lifecycle_jobs.runs import JobReport
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.daily import settings_for

E = factories.EXPIRES_ON
ON = E + timedelta(days=91)
DAY = timedelta(days=1)
NOON = datetime.combine(ON, time(12), UTC)
UNKNOWN_KEY = "lifecycle-17-0a1b2c3d-20270331-7-1"
"""As this installation makes them, and of no charge that is known here."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


@pytest.fixture
def box(store: Store) -> int:
    with store.write() as connection:
        factories.customer(connection)
        return factories.box(connection, expires_on=date(2035, 1, 1))


def complete(store: Store, on: date, *jobs: JobReport) -> None:
    """A run of a date that came to its end."""
    run = runs.begin(store, on)
    assert run is not None
    for job in jobs:
        runs.job_began(store, run, job.job)
        runs.job_finished(store, run, job)
    runs.finish(store, run, sum(len(job.failures) for job in jobs))


def happened(store: Store, box: int, kind: str, *days: date, operation: str | None = None) -> None:
    """Events of runs of these days, or of an operation on them."""
    with store.write() as connection:
        for day in days:
            happening = factories.event(
                connection, kind, occurred_on=day, box_id=box, run_on=None if operation else day, run_pass=1
            )
            if operation:
                connection.execute(update(events).where(events.c.id == happening).values(operation=operation))


def told(store: Store, number: str, kind: str, **values: Any) -> None:
    """The gateway tells something now."""
    concerns: Concern = "dispute" if "dispute" in kind else "refund" if "refund" in kind else "outcome"
    assert record_notice(store, Notice(number, kind, concerns, **values))


def settle(store: Store, settings: Settings) -> None:
    """What the daemon does every minute."""
    settle_notices(store, settings, Operator("daemon", None, ON), lambda _name, _rows: None)


def disputed(store: Store, settings: Settings, number: str, moment: datetime) -> None:
    """The payment `pi_1` is disputed, and that is taken up at once."""
    with freezegun.freeze_time(moment):
        told(store, number, "charge.dispute.updated", gateway_reference="pi_1")
        settle(store, settings)


def sent(store: Store, on: date, accepted_at: datetime) -> None:
    """The report of a date was sent."""
    with store.write() as connection:
        connection.execute(insert(staff_reports).values(run_on=on, status="sent", accepted_at=accepted_at))


@pytest.fixture
def paid(store: Store, box: int) -> None:
    """A payment, `pi_1` at the gateway."""
    with store.write() as connection:
        order = factories.order(connection, "R-1", box_id=box, status="paid")
        factories.charge(connection, "paid", order_id=order, box_id=box, status="succeeded", gateway_reference="pi_1")


def report(store: Store, settings: Settings, on: date = ON, today: date = ON) -> DailyReport:
    return read_report(store, settings, on, today)


def test_a_quiet_day_has_nothing_to_do_and_nothing_to_list(store: Store, settings: Settings) -> None:
    complete(store, ON)

    found = report(store, settings)

    assert (found.to_do, found.completed, found.counts, found.problems) == (0, True, [], [])
    assert found.deletions.total == found.parked.total == found.unresolved.total == found.held_back.total == 0
    assert [coming.on for coming in found.coming] == [ON + n * DAY for n in range(1, 8)]
    assert not any(coming.anything for coming in found.coming)


def test_each_kind_of_event_is_counted_against_the_day_before_and_the_same_weekday(
    store: Store, settings: Settings, box: int
) -> None:
    complete(store, ON)
    happened(store, box, "box.renewed", ON, ON, ON - DAY, ON - 2 * DAY, ON + DAY)
    happened(store, box, "box.renewed", ON, operation="paid by hand")
    happened(store, box, "box.suspended", ON - 7 * DAY)
    happened(store, box, "payment.registered", ON - DAY, operation="paid by hand")

    assert [
        (count.kind, count.number, count.day_before, count.week_before) for count in report(store, settings).counts
    ] == [
        ("box.renewed", 3, 1, 0),
        ("box.suspended", 0, 0, 1),
        ("payment.registered", 0, 1, 0),
    ]


def test_every_deletion_of_the_day_is_listed_by_name(store: Store, settings: Settings, box: int) -> None:
    complete(store, ON)
    with store.write() as connection:
        gone = factories.box(
            connection, "gone@pec.example.it", status="deleted", suspended_on=E + DAY, suspended_reason="unpaid"
        )
    happened(store, gone, "box.deleted", ON)
    happened(store, box, "box.deleted", ON - DAY)

    assert report(store, settings).deletions.rows == [
        {"address": "gone@pec.example.it", "customer_id": "c1", "expires_on": E, "suspended_on": E + DAY}
    ]


def test_of_very_many_deletions_the_first_are_listed_and_all_are_counted(
    store: Store, settings: Settings, box: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "DELETIONS_NAMED", 2)
    complete(store, ON)
    happened(store, box, "box.deleted", ON, ON, ON)

    deletions = report(store, settings).deletions

    assert (deletions.total, len(deletions.rows)) == (3, 2)


def test_what_waits_for_a_person_is_counted_one_by_one(store: Store, settings: Settings, box: int) -> None:
    refused = "130 boxes are due for deletion: none was deleted."
    complete(store, ON, JobReport("delete", refused=refused, failures=[refused]), JobReport("suspend"))
    run = runs.Run(ON, 1, "everything", ON - DAY)
    runs.park(store, run, "suspend", "box:17", ValueError("no good"), box_id=None)
    with store.write() as connection:
        order = factories.order(connection, "R-1", box_id=box)
        factories.charge(connection, "old", order_id=order, box_id=box, status="unknown", attempted_on=ON - 3 * DAY)
        failed = factories.message(connection, "failed", created_on=ON - 2 * DAY)
        connection.execute(update(messages).where(messages.c.id == failed).values(status="failed", response="550"))
        factories.registered_payment(connection, "CRO 1", order_id=order, effective=False, registered_on=ON)
        factories.charge(
            connection, "paid", order_id=order, box_id=box, slot=5, status="succeeded", gateway_reference="pi_1"
        )
    with freezegun.freeze_time(NOON):
        told(store, "evt_1", "charge.dispute.created", gateway_reference="pi_1")
        settle(store, settings)

    found = report(store, settings)

    assert found.problems == [refused]
    assert [row["subject"] for row in found.parked.rows] == ["box:17"]
    assert [(row["idempotency_key"], row["days"], row["amount_cents"]) for row in found.unresolved.rows] == [
        ("old", 3, 1208)
    ]
    assert [row["response"] for row in found.failed_messages.rows] == ["550"]
    assert [row["key"] for row in found.refunds_due.rows] == ["CRO 1"]
    assert [row["notice_id"] for row in found.notices.rows] == ["evt_1"]
    assert found.to_do == 6


def test_what_settles_itself_is_listed_but_needs_nobody(store: Store, settings: Settings, box: int) -> None:
    complete(store, ON, JobReport("reconcile_charges", failures=["1 charges have been unresolved for 3 days"]))
    with store.write() as connection:
        order = factories.order(connection, "R-1", box_id=box)
        factories.charge(connection, "fresh", order_id=order, box_id=box, status="unknown", attempted_on=ON - 2 * DAY)
        factories.box(connection, "held@pec.example.it", status="suspended", hold_reason="court order")
        old = factories.message(connection, "old", created_on=ON - 7 * DAY)
        connection.execute(update(messages).where(messages.c.id == old).values(status="failed"))
    with freezegun.freeze_time(NOON):
        told(store, "evt_1", "charge.dispute.created", gateway_reference="pi_of_the_shop")
        settle(store, settings)

    found = report(store, settings)

    assert (found.unresolved.total, found.overdue, found.held_back.total) == (1, 0, 1)
    assert (found.problems, found.failed_messages.total, found.notices.total) == ([], 0, 0)
    assert found.to_do == 0


@pytest.mark.usefixtures("paid")
def test_what_the_gateway_told_is_listed_and_counted_in_one_report(store: Store, settings: Settings) -> None:
    the_day_before = datetime.combine(ON - DAY, time(), UTC)
    complete(store, ON - DAY)
    disputed(store, settings, "known", the_day_before + timedelta(hours=1))
    with freezegun.freeze_time(the_day_before + timedelta(hours=2)):
        told(store, "looked into", "payment_intent.succeeded", idempotency_key=UNKNOWN_KEY)
    sent(store, ON - DAY, the_day_before + timedelta(hours=3))
    with freezegun.freeze_time(the_day_before + timedelta(hours=10)):
        settle(store, settings)
        told(store, "refund", "charge.refunded", gateway_reference="pi_1")
        settle(store, settings)
    disputed(store, settings, "fresh", datetime.combine(ON, time(1), UTC))
    complete(store, ON)

    first = report(store, settings)
    sent(store, ON, datetime.combine(ON, time(2), UTC))
    complete(store, ON + DAY)
    second = report(store, settings, ON + DAY, ON + DAY)

    assert [(row["notice_id"], row["concerns"]) for row in first.notices.rows] == [
        ("looked into", "outcome"),
        ("refund", "refund"),
        ("fresh", "dispute"),
    ]
    assert (first.notices.total, first.to_do) == (3, 3)
    assert (second.notices.total, second.to_do) == (0, 0)
    with freezegun.freeze_time(NOON), store.read() as connection:
        assert list_for_staff(connection, ON, 100)[0] == 4


@pytest.mark.usefixtures("paid")
def test_where_none_was_sent_it_is_told_from_the_date_of_the_run_before_by_the_clock_of_the_business(
    store: Store, settings: Settings
) -> None:
    complete(store, ON - 3 * DAY)
    begins = datetime.combine(ON - 4 * DAY, time(22), UTC)  # midnight in Rome
    ends = datetime.combine(ON, time(22), UTC)
    for number, moment in (
        ("too early", begins - timedelta(seconds=1)),
        ("first", begins),
        ("last", ends - timedelta(seconds=1)),
        ("too late", ends),
    ):
        disputed(store, settings, number, moment)
    complete(store, ON)

    listed = report(store, settings).notices.rows

    assert [(row["notice_id"], row["received_at"].date()) for row in listed] == [("first", ON - 3 * DAY), ("last", ON)]


@pytest.mark.usefixtures("paid")
def test_a_report_that_was_not_sent_has_told_nothing(store: Store, settings: Settings) -> None:
    complete(store, ON - 2 * DAY)
    sent(store, ON - 2 * DAY, datetime.combine(ON - 2 * DAY, time(3), UTC))
    complete(store, ON - DAY)
    with store.write() as connection:
        connection.execute(insert(staff_reports).values(run_on=ON - DAY, status="failed", response="550"))
    disputed(store, settings, "evt_1", datetime.combine(ON - 2 * DAY, time(12), UTC))
    complete(store, ON)

    assert report(store, settings).notices.total == 1


def test_what_nobody_could_take_up_yet_is_told_all_the_same(store: Store, settings: Settings) -> None:
    complete(store, ON)
    with freezegun.freeze_time(NOON - 5 * DAY):
        told(store, "evt_1", "charge.dispute.created", gateway_reference="pi_1")
        told(store, "evt_2", "payment_intent.succeeded", idempotency_key=UNKNOWN_KEY)

    found = report(store, settings)

    assert [row["notice_id"] for row in found.notices.rows] == ["evt_1"]
    assert found.to_do == 1


@pytest.mark.usefixtures("box")
def test_a_box_that_lacks_only_the_proof_of_a_warning_needs_a_person(store: Store, tmp_path: Path) -> None:
    strict = settings_for(tmp_path, deletion={"require_delivered_warning": True})
    complete(store, ON)
    with store.write() as connection:
        factories.box(connection, "unwarned@pec.example.it", status="suspended")

    found = report(store, strict)

    assert (found.held_back.total, found.unwarned, found.to_do) == (1, 1, 1)


def test_the_emergency_stop_and_a_suspected_gap_are_told(store: Store, settings: Settings) -> None:
    complete(store, ON)
    operators.stop_everything(store, Operator("anna", None, ON), "double charges?")

    found = report(store, settings, today=ON + 11 * DAY)

    assert (found.gap, found.stop is not None and found.stop.why) == (ON, "double charges?")
    assert found.to_do == 2


def test_a_day_that_was_not_run_or_not_finished_is_no_good_day(store: Store, settings: Settings) -> None:
    complete(store, ON - DAY)
    runs.begin(store, ON)

    unfinished, missing = report(store, settings), report(store, settings, on=ON - 3 * DAY)

    assert (unfinished.completed, unfinished.to_do) == (False, 1)
    assert (missing.run, missing.to_do) == (None, 1)


def test_the_cost_of_a_report_follows_what_there_is_to_tell(sqlite_store: Store, settings: Settings) -> None:
    """Ten million boxes and their history cannot be looked at one by one."""
    complete(sqlite_store, ON)
    plans: list[str] = []

    def explain(_conn: object, cursor: Any, statement: str, parameters: Any, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall())

    event.listen(sqlite_store.engine, "before_cursor_execute", explain)
    report(sqlite_store, settings)
    event.remove(sqlite_store.engine, "before_cursor_execute", explain)

    assert any("ix_boxes_active_by_expiry (expires_on=?)" in plan for plan in plans), plans
    assert any("ix_boxes_suspended_by_expiry (expires_on<?)" in plan for plan in plans), plans
    growing = ("boxes", "events", "messages", "message_events", "charges", "orders", "customers", "gateway_notices")
    walked = {plan for plan in plans if plan.startswith(tuple(f"SCAN {table}" for table in growing))}
    # These indexes hold nothing but what waits.
    assert walked <= {
        "SCAN charges USING INDEX uq_charges_unresolved_of_box",
        "SCAN charges USING INDEX ix_charges_unapplied",
        "SCAN gateway_notices USING INDEX ix_gateway_notices_waiting",
    }
    assert [plan for plan in plans if "ix_boxes_plan" in plan] == []
