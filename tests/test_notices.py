"""What the gateway told: a reason to ask it, settled once, and a person learns of what only a person can settle."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from lifecycle_jobs import clock, lease, notices
from lifecycle_jobs.accounts import top_up_by_card
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import EmergencyStop, GapSuspected
from lifecycle_jobs.notices import settle_notices
from lifecycle_jobs.operators import Operator, resume, stop_everything
from lifecycle_jobs.payments.sandbox import SandboxGateway, bookings
from lifecycle_jobs.payments.staff_notices import list_for_staff
from lifecycle_jobs.runs import JobReport
from lifecycle_jobs.status import read_status
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    Office,
    change,
    charged,
    details,
    everything,
    expires_on,
    happened,
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
NEVER_SEEN = "sandbox_lost_answer_never_seen"
PAID = "payment_intent.succeeded"
FAILED = "payment_intent.payment_failed"
CANCELED = "payment_intent.canceled"


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    return _office(store, tmp_path)


@pytest.fixture
def sqlite_office(sqlite_store: Store, tmp_path: Path) -> Office:
    """Where the decision is made in the same code."""
    return _office(sqlite_store, tmp_path)


def _office(store: Store, folder: Path) -> Office:
    settings = settings_for(folder)
    return Office(store, settings, SandboxGateway(settings.sandbox.journal))


def box_charged(office: Office, token: str) -> int:
    """A box whose renewal was tried this morning."""
    with office.store.write() as connection:
        box = renewing_box(connection, token=token)
    office.job("auto_renew", FIRST_SLOT)
    return box


def told(office: Office, kind: str, *, number: str = "evt_1", **values: Any) -> None:
    """The gateway tells something about the first charge, unless said otherwise."""
    charges = look(office.store, tables.charges)
    first = charges[0] if charges else {"idempotency_key": None, "gateway_reference": None}
    booked: dict[Any, str | None] = {line.key: line.reference for line in bookings(office.settings.sandbox.journal)}
    concerns = "outcome" if kind.startswith("payment") else "dispute" if "dispute" in kind else "refund"
    known = {
        "idempotency_key": first["idempotency_key"] if concerns == "outcome" else None,
        "gateway_reference": first["gateway_reference"] or booked.get(first["idempotency_key"]),
        "amount_cents": 1208,
        "reason": None,
        "received_at": clock.now(),
        "state": "waiting",
    }
    with office.store.write() as connection:
        connection.execute(
            insert(tables.gateway_notices).values(notice_id=number, kind=kind, concerns=concerns, **known | values)
        )


def settle(office: Office, on: date = FIRST_SLOT) -> JobReport:
    operator = Operator("daemon", None, on)
    return settle_notices(office.store, office.settings, operator, lambda _name, _rows: None)


def states(office: Office) -> list[str]:
    return [row["state"] for row in look(office.store, tables.gateway_notices)]


def for_staff(office: Office, on: date = FIRST_SLOT) -> list[dict[str, Any]]:
    with office.store.read() as connection:
        total, rows = list_for_staff(connection, on, 100)
    assert total == len(rows)
    return rows


def messages(office: Office) -> list[tuple[str, str]]:
    return [(row["customer_id"], row["kind"]) for row in look(office.store, tables.messages)]


class TestOutcomeOfAnUnresolvedCharge:
    def test_a_late_success_renews_the_box_and_the_holder_gets_a_receipt(self, office: Office) -> None:
        box = box_charged(office, LOST)
        assert charged(office.store) == [(7, "unknown")]
        told(office, PAID)

        report = settle(office)

        assert report.done == {"box.renewed": 1}
        assert report.skipped == {}
        assert (charged(office.store), expires_on(office.store, box)) == ([(7, "succeeded")], NEXT_E)
        assert messages(office) == [("c-a", "box.renewed")]
        assert states(office) == ["handled"]
        assert len(office.booked()) == 1
        assert_books_are_right(office.store, office.settings)

    def test_the_notice_is_not_believed_by_itself(self, office: Office) -> None:
        box_charged(office, NEVER_SEEN)
        told(office, PAID)

        report = settle(office)

        assert (report.done, report.skipped) == ({}, {"waiting": 1})
        assert charged(office.store) == [(7, "unknown")]
        assert states(office) == ["waiting"]

    def test_a_notice_that_says_the_opposite_of_what_the_gateway_answers_changes_nothing(self, office: Office) -> None:
        box_charged(office, LOST)
        told(office, FAILED)

        assert settle(office).done == {"box.renewed": 1}
        settle(office)

        assert charged(office.store) == [(7, "succeeded")]
        assert states(office) == ["handled"]
        assert for_staff(office) == []

    def test_told_many_times_and_settled_many_times_it_happens_once(self, office: Office) -> None:
        box_charged(office, LOST)
        for number in range(3):
            told(office, PAID, number=f"evt_{number}")
        settle(office)
        before = everything(office.store)

        for number in range(3, 6):
            told(office, PAID, number=f"evt_{number}")
            assert settle(office).done == {}

        assert everything(office.store) == before
        assert states(office) == ["handled"] * 6

    def test_while_a_run_is_under_way_it_waits(self, office: Office) -> None:
        box_charged(office, LOST)
        told(office, PAID)
        before = everything(office.store)

        with lease.hold(office.store, "run", 60):
            assert settle(office).skipped == {"run_under_way": 1, "waiting": 1}
        assert everything(office.store) == before

        assert settle(office).done == {"box.renewed": 1}

    def test_what_a_run_has_settled_meanwhile_is_only_marked(self, office: Office) -> None:
        box_charged(office, LOST)
        told(office, PAID)
        office.job("reconcile_charges", FIRST_SLOT + DAY)
        before = everything(office.store)

        report = settle(office, FIRST_SLOT + DAY)

        assert (report.done, report.skipped, states(office)) == ({}, {}, ["handled"])
        assert everything(office.store) == before

    def test_after_an_hour_it_is_left_to_the_look_up_of_all(self, office: Office) -> None:
        box_charged(office, LOST)
        told(office, PAID, received_at=clock.now() - timedelta(hours=2))

        assert (settle(office).done, states(office)) == ({}, ["waiting"])

        office.job("reconcile_charges", FIRST_SLOT)
        assert (settle(office).done, states(office)) == ({}, ["handled"])

    def test_only_the_charge_that_was_told_of_is_looked_up(self, office: Office) -> None:
        with office.store.write() as connection:
            renewing_box(connection, "a", token=LOST)
            renewing_box(connection, "b", token=LOST)
        office.job("auto_renew", FIRST_SLOT)
        told(office, PAID)

        settle(office)

        assert charged(office.store) == [(7, "succeeded"), (7, "unknown")]

    def test_the_emergency_stop_holds_it_up(self, office: Office) -> None:
        box_charged(office, LOST)
        told(office, PAID)
        stop_everything(office.store, Operator("anna", None, FIRST_SLOT), "look")

        with pytest.raises(EmergencyStop):
            settle(office)
        assert charged(office.store) == [(7, "unknown")]

        resume(office.store, Operator("anna", None, FIRST_SLOT))
        assert settle(office).done == {"box.renewed": 1}

    def test_a_suspected_gap_holds_it_up(self, office: Office) -> None:
        office.day(FIRST_SLOT - DAY)
        box_charged(office, LOST)
        told(office, PAID)

        with pytest.raises(GapSuspected):
            settle(office, FIRST_SLOT + 30 * DAY)

        assert (charged(office.store), states(office)) == ([(7, "unknown")], ["waiting"])


class TestContradictions:
    @pytest.mark.parametrize("kind", [PAID, FAILED, CANCELED])
    def test_what_agrees_with_the_record_changes_nothing(self, sqlite_office: Office, kind: str) -> None:
        token = "pm_card_visa" if kind == PAID else "pm_card_visa_chargeDeclined"
        box_charged(sqlite_office, token)
        told(sqlite_office, kind)
        before = everything(sqlite_office.store)

        assert settle(sqlite_office).done == {}

        assert (states(sqlite_office), for_staff(sqlite_office)) == (["handled"], [])
        assert everything(sqlite_office.store) == before

    @pytest.mark.parametrize("recorded", ["declined", "not_attempted"])
    def test_paid_there_and_recorded_otherwise_is_told_to_the_staff_and_nothing_is_changed(
        self, sqlite_office: Office, recorded: str
    ) -> None:
        box = box_charged(sqlite_office, "pm_card_visa")
        (charge,) = look(sqlite_office.store, tables.charges)
        values = {"decline_code": "generic_decline", "hard": False} if recorded == "declined" else {}
        change(sqlite_office.store, tables.charges, charge["id"], status=recorded, **values)
        told(sqlite_office, PAID, gateway_reference=charge["gateway_reference"])
        before = look(sqlite_office.store, tables.charges)

        report = settle(sqlite_office)

        assert report.done == {"gateway.contradiction": 1}
        assert look(sqlite_office.store, tables.charges) == before
        assert happened(sqlite_office.store, box)[-1] == "gateway.contradiction"
        assert details(sqlite_office.store, "gateway.contradiction") == [
            {
                "told": PAID,
                "key": charge["idempotency_key"],
                "recorded": recorded,
                "amount": "12.08",
                "reason": None,
                "reference": charge["gateway_reference"],
            }
        ]
        (listed,) = for_staff(sqlite_office)
        assert (listed["kind"], listed["address"]) == (PAID, "a@pec.example.it")
        assert "order pay" in listed["what_to_do"]

    def test_recorded_as_paid_and_not_so_there_is_told_to_the_staff(self, sqlite_office: Office) -> None:
        box_charged(sqlite_office, "pm_card_visa_chargeDeclined")
        (charge,) = look(sqlite_office.store, tables.charges)
        change(sqlite_office.store, tables.charges, charge["id"], status="succeeded", decline_code=None, hard=None)
        told(sqlite_office, CANCELED)

        assert settle(sqlite_office).done == {"gateway.contradiction": 1}
        assert "says that it is not" in for_staff(sqlite_office)[0]["what_to_do"]

    def test_a_failure_told_before_the_success_it_was_followed_by_is_none(self, sqlite_office: Office) -> None:
        box_charged(sqlite_office, "pm_card_visa")
        told(sqlite_office, FAILED)

        assert (settle(sqlite_office).done, states(sqlite_office)) == ({}, ["handled"])

    def test_paid_a_second_time_under_another_name_is_told_to_the_staff(self, sqlite_office: Office) -> None:
        box_charged(sqlite_office, "pm_card_visa")
        told(sqlite_office, PAID, gateway_reference="pi_another")

        assert settle(sqlite_office).done == {"gateway.contradiction": 1}

    def test_paid_under_a_key_of_ours_that_is_not_known_here_is_told_to_the_staff(self, sqlite_office: Office) -> None:
        told(sqlite_office, PAID, idempotency_key="lifecycle-17-0a1b2c3d-20270331-7-1")

        assert settle(sqlite_office).done == {"gateway.contradiction": 1}
        assert for_staff(sqlite_office)[0]["address"] is None

    @pytest.mark.parametrize(
        "key", [None, "shop-4711", "lifecycle-production-17-0a1b2c3d-20270331-7-1", "lifecycle-17-nonsense"]
    )
    def test_a_payment_that_is_not_ours_is_nothing_to_us(self, sqlite_office: Office, key: str | None) -> None:
        told(sqlite_office, PAID, idempotency_key=key)

        assert (settle(sqlite_office).done, states(sqlite_office), for_staff(sqlite_office)) == ({}, ["handled"], [])

    def test_without_an_answer_it_waits_for_an_hour_before_a_person_is_told(self, sqlite_office: Office) -> None:
        box_charged(sqlite_office, NEVER_SEEN)
        sqlite_office.job("reconcile_charges", FIRST_SLOT + DAY)
        assert charged(sqlite_office.store) == [(7, "not_attempted")]
        told(sqlite_office, PAID)

        report = settle(sqlite_office, FIRST_SLOT + DAY)
        assert (report.done, report.skipped) == ({}, {"waiting": 1})

        change(sqlite_office.store, tables.gateway_notices, "evt_1", received_at=clock.now() - timedelta(hours=2))
        assert settle(sqlite_office, FIRST_SLOT + DAY).done == {"gateway.contradiction": 1}


class TestDisputesAndRefunds:
    @pytest.mark.parametrize(
        ("kind", "event"),
        [
            ("charge.dispute.created", "gateway.dispute"),
            ("charge.dispute.updated", "gateway.dispute"),
            ("charge.dispute.funds_withdrawn", "gateway.dispute"),
            ("charge.dispute.closed", "gateway.dispute"),
            ("charge.refunded", "gateway.refund"),
            ("refund.created", "gateway.refund"),
            ("refund.failed", "gateway.refund"),
        ],
    )
    def test_each_stands_in_the_history_and_on_the_staffs_list(
        self, sqlite_office: Office, kind: str, event: str
    ) -> None:
        box = box_charged(sqlite_office, "pm_card_visa")
        (charge,) = look(sqlite_office.store, tables.charges)
        told(sqlite_office, kind, reason="fraudulent, needs_response", amount_cents=500)

        assert settle(sqlite_office).done == {event: 1}

        row = next(row for row in look(sqlite_office.store, tables.events) if row["kind"] == event)
        assert (row["box_id"], row["customer_id"], row["term_expires_on"]) == (box, "c-a", E)
        assert (row["actor"], row["occurred_on"], row["run_on"]) == ("daemon", FIRST_SLOT, None)
        assert row["detail"] == {
            "told": kind,
            "key": charge["idempotency_key"],
            "recorded": "succeeded",
            "amount": "5.00",
            "reason": "fraudulent, needs_response",
            "reference": charge["gateway_reference"],
        }
        (listed,) = for_staff(sqlite_office)
        assert (listed["kind"], listed["address"], listed["amount_cents"]) == (kind, "a@pec.example.it", 500)
        assert listed["what_to_do"]
        assert messages(sqlite_office) == []

    def test_a_disputed_box_is_put_on_hold_by_a_person_only(self, office: Office) -> None:
        box = box_charged(office, "pm_card_visa")
        told(office, "charge.dispute.created")

        settle(office)

        (row,) = [row for row in look(office.store, tables.boxes) if row["id"] == box]
        assert (row["hold_until"], row["hold_reason"]) == (None, None)
        assert "hold the box" in for_staff(office)[0]["what_to_do"]

    def test_in_any_order_and_repeated_each_notice_is_taken_once(self, office: Office) -> None:
        box_charged(office, "pm_card_visa")
        for number, kind in enumerate(("closed", "updated", "created")):
            told(office, f"charge.dispute.{kind}", number=f"evt_{number}")

        assert settle(office).done == {"gateway.dispute": 3}
        assert settle(office).done == {}
        assert len(for_staff(office)) == 3

    def test_taken_by_four_at_once_each_stands_in_the_history_once(self, office: Office) -> None:
        box_charged(office, "pm_card_visa")
        for number in range(20):
            told(office, "charge.dispute.updated", number=f"evt_{number}")

        threads = [threading.Thread(target=settle, args=(office,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert happened(office.store).count("gateway.dispute") == 20
        assert states(office) == ["handled"] * 20

    def test_they_are_taken_while_a_run_is_under_way(self, office: Office) -> None:
        box_charged(office, "pm_card_visa")
        told(office, "charge.dispute.created")

        with lease.hold(office.store, "run", 60):
            assert settle(office).done == {"gateway.dispute": 1}

    def test_a_refund_of_our_own_says_nothing_new_unless_it_failed(self, office: Office) -> None:
        box_charged(office, "pm_card_visa")
        (charge,) = look(office.store, tables.charges)
        change(office.store, tables.charges, charge["id"], refunded_on=FIRST_SLOT, refund_reference="re_1")
        told(office, "refund.created", number="evt_1")
        told(office, "charge.refunded", number="evt_2")
        assert settle(office).done == {}

        told(office, "refund.failed", number="evt_3")
        assert settle(office).done == {"gateway.refund": 1}

    @pytest.mark.parametrize("reference", [None, "pi_of_the_shop"])
    def test_those_of_other_payments_are_nothing_to_us(self, sqlite_office: Office, reference: str | None) -> None:
        box_charged(sqlite_office, "pm_card_visa")
        told(sqlite_office, "charge.dispute.created", gateway_reference=reference)

        assert (settle(sqlite_office).done, states(sqlite_office), for_staff(sqlite_office)) == ({}, ["handled"], [])


def test_the_staffs_list_stands_in_status_latest_first_for_ninety_days(office: Office) -> None:
    box_charged(office, "pm_card_visa")
    for number, days in enumerate((1, 89, 91)):
        told(
            office,
            "charge.dispute.created",
            number=f"evt_{number}",
            received_at=clock.now() - days * DAY,
            state="handled",
            for_staff=True,
        )

    found = read_status(office.store, office.settings, clock.now().date()).told_by_gateway

    assert (found.total, [row["days"] for row in found.rows]) == (2, [1, 89])


def test_what_said_nothing_new_is_forgotten_after_ninety_days(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_AT_A_TIME", 2)
    long_ago = {"received_at": clock.now() - 100 * DAY, "handled_at": clock.now() - 91 * DAY}
    for number in range(3):
        told(office, PAID, number=f"old_{number}", state="handled", **long_ago)
    told(office, PAID, number="new", state="handled", handled_at=clock.now() - 89 * DAY)
    told(office, PAID, number="for_staff", state="handled", for_staff=True, **long_ago)
    told(office, PAID, number="waiting", idempotency_key="shop-1")

    settle(office)
    settle(office)

    assert [row["notice_id"] for row in look(office.store, tables.gateway_notices)] == ["for_staff", "new", "waiting"]


def test_many_notices_are_taken_by_the_chunk(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_AT_A_TIME", 3)
    moment = clock.now()
    for number in range(10):
        told(office, PAID, number=f"evt_{number}", idempotency_key=f"shop-{number}", received_at=moment)
    steps: list[int] = []

    operator = Operator("daemon", None, FIRST_SLOT)
    settle_notices(office.store, office.settings, operator, lambda _name, rows: steps.append(rows))

    assert steps == [3, 3, 3, 1]
    assert states(office) == ["handled"] * 10


def test_a_charge_cut_off_with_its_process_is_settled_by_what_the_gateway_has(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)
        tried(connection, box, 7, "pending", on=FIRST_SLOT)
        connection.execute(
            update(tables.charges).values(idempotency_key="lifecycle-1-0a1b2c3d-20270331-7-1", attempted_at=clock.now())
        )
    told(office, PAID)

    settle(office)  # never seen there, so presented again under its own key

    assert charged(office.store) == [(7, "succeeded")]
    assert len(office.booked()) == 1


def top_up(office: Office, token: str) -> dict[str, Any]:
    """A top-up of 10.00 by card; its charge as recorded."""
    with office.store.write() as connection:
        factories.customer(connection)
        factories.method(connection, token=token)
    operator = Operator("anna", None, FIRST_SLOT)
    top_up_by_card(office.store, office.settings, office.gateway, operator, "c1", amount_cents=1000, request_id="r-1")
    (charge,) = look(office.store, tables.top_up_charges)
    return charge


@pytest.mark.parametrize(("token", "listed"), [("pm_card_visa", 0), (LOST, 0), ("pm_card_visa_chargeDeclined", 1)])
def test_a_top_up_that_was_paid_is_news_only_where_it_is_recorded_as_not_made(
    sqlite_office: Office, token: str, listed: int
) -> None:
    key = top_up(sqlite_office, token)["idempotency_key"]
    told(sqlite_office, PAID, idempotency_key=key)

    settle(sqlite_office)

    assert states(sqlite_office) == ["handled"]
    assert len(for_staff(sqlite_office)) == listed


@pytest.mark.parametrize(("reference", "listed"), [("of_the_top_up", 1), ("of_another", 0)])
def test_a_top_up_that_is_disputed_is_listed_for_a_person(sqlite_office: Office, reference: str, listed: int) -> None:
    charge = top_up(sqlite_office, "pm_card_visa")
    name = charge["gateway_reference"] if reference == "of_the_top_up" else reference
    told(sqlite_office, "charge.dispute.created", gateway_reference=name)

    settle(sqlite_office)

    assert len(for_staff(sqlite_office)) == listed
