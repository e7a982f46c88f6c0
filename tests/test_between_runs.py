"""`between_runs.reconcile`: unresolved charges looked up outside a run, and the holders told, once (SPEC §3 and §4)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from lifecycle_jobs import between_runs, clock, lease
from lifecycle_jobs.day import Wish
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import LeaseHeld, StopRequested
from lifecycle_jobs.jobs.task import Progress
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.sandbox import SandboxGateway
from lifecycle_jobs.planning.rehearsal import dry_run
from lifecycle_jobs.runs import JobReport
from tests import factories
from tests.auditing import assert_books_are_right
from tests.daily import run
from tests.jobs.running import (
    Office,
    broken,
    change,
    charged,
    everything,
    expires_on,
    look,
    renewing_box,
    settings_for,
    tried,
)

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
DAY = timedelta(days=1)
FIRST_SLOT = E - 7 * DAY
LOST = "sandbox_lost_answer_paid"


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    settings = settings_for(tmp_path)
    return Office(store, settings, SandboxGateway(settings.sandbox.journal))


@pytest.fixture
def unresolved(office: Office) -> list[int]:
    """Two boxes of one holder and one of another, all charged in the last run, whose answers were lost."""
    with office.store.write() as connection:
        first = renewing_box(connection, "a", token=LOST)
        second = factories.box(
            connection, "a2@pec.example.it", customer_id="c-a", auto_renew=True, payment_method_id="pm-a"
        )
        third = renewing_box(connection, "b", token=LOST)
    office.day(FIRST_SLOT)
    assert charged(office.store) == [(7, "unknown")] * 3
    return [first, second, third]


def nothing(_name: str, _rows: int) -> None:
    """Nobody watches."""


def reconcile(office: Office, on: date = FIRST_SLOT, progress: Progress = nothing) -> JobReport:
    return between_runs.reconcile(office.store, office.settings, Operator("anna", "a holder called", on), progress)


def told(office: Office) -> list[tuple[str, str, int]]:
    """Customer, kind and number of lines of every message, by customer."""
    with office.store.read() as connection:
        rows = connection.execute(
            select(tables.messages.c.customer_id, tables.messages.c.kind, tables.message_events.c.event_id)
            .join(tables.message_events, tables.message_events.c.message_id == tables.messages.c.id)
            .order_by(tables.messages.c.customer_id, tables.messages.c.kind)
        ).all()
    heads = [(row.customer_id, row.kind) for row in rows]
    return [(*head, heads.count(head)) for head in dict.fromkeys(heads)]


RECEIPTS = [("c-a", "box.renewed", 2), ("c-b", "box.renewed", 1)]


def test_every_unresolved_charge_is_settled_without_a_run(office: Office, unresolved: list[int]) -> None:
    report = reconcile(office)

    assert (report.done, report.skipped, report.failures) == ({"box.renewed": 3}, {}, [])
    assert [expires_on(office.store, box) for box in unresolved] == [NEXT_E] * 3
    assert len(office.booked()) == 3
    assert_books_are_right(office.store, office.settings)


@pytest.mark.usefixtures("unresolved")
def test_each_holder_gets_one_message_of_each_kind(office: Office) -> None:
    reconcile(office)

    assert told(office) == RECEIPTS


@pytest.mark.usefixtures("unresolved")
def test_the_history_says_who_asked_and_why(office: Office) -> None:
    reconcile(office)

    renewed = [row for row in look(office.store, tables.events) if row["kind"] == "box.renewed"]
    assert {(row["actor"], row["why"], row["run_on"], row["occurred_on"]) for row in renewed} == {
        ("anna", "a holder called", None, FIRST_SLOT)
    }
    assert len({row["operation"] for row in renewed}) == 1


@pytest.mark.usefixtures("unresolved")
def test_asked_again_or_followed_by_a_run_nothing_happens_twice(office: Office) -> None:
    reconcile(office)
    before = everything(office.store)

    assert reconcile(office).done == {}
    assert everything(office.store) == before

    office.day(FIRST_SLOT + DAY)
    assert told(office) == RECEIPTS
    assert {row["status"] for row in look(office.store, tables.messages)} == {"sent"}


@pytest.mark.usefixtures("unresolved")
def test_while_a_run_is_under_way_it_is_refused(office: Office) -> None:
    before = everything(office.store)

    with lease.hold(office.store, "run", 60), pytest.raises(LeaseHeld, match="Another run is under way"):
        reconcile(office)

    assert everything(office.store) == before


def test_a_charge_that_was_cut_off_today_is_presented_again_under_its_own_key(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)
        tried(connection, box, 7, "pending", on=FIRST_SLOT)

    report = reconcile(office)

    assert report.done == {"box.renewed": 1}
    assert (charged(office.store), len(office.booked())) == ([(7, "succeeded")], 1)


def test_what_the_gateway_has_never_seen_is_left_for_a_later_day(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, token="sandbox_lost_answer_never_seen")
    office.day(FIRST_SLOT)

    assert reconcile(office).skipped == {"not_trusted_yet": 1}
    assert reconcile(office, FIRST_SLOT + DAY).done == {"charge.not_attempted": 1}


def test_money_that_no_box_can_take_is_told(office: Office, unresolved: list[int]) -> None:
    change(office.store, tables.boxes, unresolved[0], expires_on=NEXT_E)

    report = reconcile(office)

    assert report.done == {"box.renewed": 2, "payment.to_be_refunded": 1}
    assert report.failures == ["1 payments are to be refunded. See: lifecycle-jobs refunds list"]


def test_a_charge_that_cannot_be_settled_is_parked_and_told_and_the_others_are_settled(
    office: Office, unresolved: list[int]
) -> None:
    with broken(office.store, "boxes", "UPDATE", f"NEW.id = {unresolved[1]}"):
        report = reconcile(office)

    assert report.done == {"box.renewed": 2}
    assert report.failures == ["1 rows are parked because they failed. See: lifecycle-jobs status"]
    assert [expires_on(office.store, box) for box in unresolved] == [NEXT_E, E, NEXT_E]

    assert reconcile(office).done == {"box.renewed": 1}
    assert office.day(FIRST_SLOT).failures == []


class TestDiedBeforeItWroteToTheHolders:
    @pytest.fixture(autouse=True)
    def _stopped(self, office: Office, unresolved: list[int]) -> None:
        """Everything is settled, and the process ended before it came to the messages."""
        settled = 0

        def stop(_name: str, rows: int) -> None:
            nonlocal settled
            settled += rows
            if settled == len(unresolved):
                raise StopRequested

        with pytest.raises(StopRequested):
            reconcile(office, progress=stop)
        assert [expires_on(office.store, box) for box in unresolved] == [NEXT_E] * 3
        assert told(office) == []

    def test_the_next_run_writes_to_them_once(self, office: Office) -> None:
        office.day(FIRST_SLOT + DAY)
        assert told(office) == RECEIPTS

        office.day(FIRST_SLOT + 2 * DAY)
        office.day(FIRST_SLOT + 2 * DAY, again=True)
        assert told(office) == RECEIPTS

    def test_a_dry_run_would_and_does_not(self, office: Office) -> None:
        operator = Operator("anna", None, FIRST_SLOT + DAY)
        rehearsed = dry_run(
            office.store, office.settings, FIRST_SLOT + DAY, operator, Wish(), lambda _name, _rows: None
        )

        assert (rehearsed.queued, told(office)) == (2, [])

    def test_two_operations_that_died_have_a_message_each(self, office: Office) -> None:
        with office.store.write() as connection:
            box = factories.box(connection, "a3@pec.example.it", customer_id="c-a")
            factories.event(connection, "box.renewed", occurred_on=FIRST_SLOT, box_id=box, customer_id="c-a")
            connection.execute(
                tables.events.update().where(tables.events.c.box_id == box).values(operation="2027-03-24/other")
            )

        office.day(FIRST_SLOT + DAY)

        keys = [row["message_key"] for row in look(office.store, tables.messages) if row["customer_id"] == "c-a"]
        assert len(keys) == 2
        assert "2027-03-24/other/c-a/box.renewed" in keys


class TestParkedRetry:
    def test_what_leaves_today_warned_nobody_on_the_date_that_is_repeated(self, store: Store, tmp_path: Path) -> None:
        """Nine days nothing ran, then a clerk retries what was parked: the box must not be deleted the same day."""
        settings = settings_for(tmp_path, deletion={"require_delivered_warning": True, "delivered_warning_days": 7})
        last, today = E + 83 * DAY, E + 92 * DAY
        with store.write() as connection:
            factories.customer(connection)
            factories.box(connection, "a@pec.example.it")
        for on in (E + DAY, last):
            run(store, settings, on, deliver=False)
        with store.write() as connection:
            parked = {"run_on": last, "last_run_on": last, "parked_at": clock.now(), "state": "open", "times": 1}
            connection.execute(
                insert(tables.parked_rows).values(job="compose", subject="customer:c9", error="x", **parked)
            )

        with clock.standing_at(datetime(today.year, today.month, today.day, 10, tzinfo=UTC)):
            between_runs.take_up_parked(store, settings, Operator("anna", None, today), lambda _name, _rows: None)
            run(store, settings, today)

        with store.read() as connection:
            told = select(tables.messages.c.accepted_on).where(tables.messages.c.kind == "box.suspended")
            assert connection.scalars(told).all() == [today]
            assert connection.scalar(select(tables.boxes.c.status)) == "suspended"
