"""Suspension: what nobody paid, the day after E, and everything that stands in its way (SPEC §3, suspend)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from lifecycle_jobs.db import tables
from tests import factories
from tests.jobs.running import (
    BROKEN,
    E,
    Office,
    box_row,
    broken,
    details,
    everything,
    happened,
    look,
    parked,
    renewing_box,
    settings_for,
    status,
    too_little_comes_in,
    tried,
    while_waiting,
)

ON = E + timedelta(days=1)
DAY = timedelta(days=1)


def test_of_four_neighbours_only_the_unpaid_one_is_suspended(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        unpaid = factories.box(connection, "unpaid@pec.example.it")
        factories.box(connection, "paid@pec.example.it", expires_on=ON)
        factories.box(connection, "held@pec.example.it", hold_reason="dispute")
        factories.box(connection, "by.hand@pec.example.it", status="suspended", suspended_reason="abuse")
    before = look(office.store, tables.boxes)

    report = office.job("suspend", ON)

    changed = {"status": "suspended", "suspended_on": ON, "suspended_reason": "unpaid"}
    assert look(office.store, tables.boxes) == [before[0] | changed, *before[1:]]
    assert happened(office.store) == ["box.suspended"]
    assert happened(office.store, unpaid) == ["box.suspended"]
    assert details(office.store, "box.suspended") == [{"reason": "unpaid"}]
    assert report.skipped == {"on_hold": 1}


def test_the_event_tells_who_when_and_which_term(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)

    office.job("suspend", ON, run_pass=2)

    (event,) = look(office.store, tables.events)
    assert {name: event[name] for name in ("occurred_on", "run_on", "run_pass", "job")} == {
        "occurred_on": ON,
        "run_on": ON,
        "run_pass": 2,
        "job": "suspend",
    }
    assert (event["box_id"], event["customer_id"], event["term_expires_on"]) == (box, "c1", E)
    assert (event["milestone"], event["actor"]) == (None, None)


def test_a_second_run_changes_nothing(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection)
    office.job("suspend", ON)
    before = everything(office.store)

    office.job("suspend", ON)
    office.job("suspend", ON + DAY)

    assert everything(office.store) == before


def test_a_box_is_suspended_from_the_day_after_the_last_paid_one(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        for days in (-2, -1, 0, 1):
            factories.box(connection, f"{days}@pec.example.it", expires_on=ON + days * DAY)

    office.job("suspend", ON)

    assert [row["status"] for row in look(office.store, tables.boxes)] == ["suspended", "suspended", "active", "active"]


def test_a_missed_day_is_caught_up_and_counts_from_the_day_it_was_done(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)

    office.job("suspend", E + 40 * DAY)

    assert box_row(office.store, box)["suspended_on"] == E + 40 * DAY


def test_a_box_on_hold_is_left_active(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        held = [
            factories.box(connection, "through.today@pec.example.it", hold_until=ON),
            factories.box(connection, "through.tomorrow@pec.example.it", hold_until=ON + DAY, hold_reason="dispute"),
            factories.box(connection, "without.end@pec.example.it", hold_reason="court order"),
        ]
        released = factories.box(connection, "released@pec.example.it", hold_until=ON - DAY, hold_reason="dispute")

    report = office.job("suspend", ON)

    assert {status(office.store, box) for box in held} == {"active"}
    assert status(office.store, released) == "suspended"
    assert report.skipped == {"on_hold": 3}


@pytest.mark.parametrize("charge_status", ["pending", "unknown"])
def test_a_box_with_an_unresolved_charge_is_left_active(office: Office, charge_status: str) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        box, neighbour = (factories.box(connection, f"{name}@pec.example.it") for name in ("a", "b"))
        order = factories.order(connection, "R-1", box_id=box)
        factories.charge(connection, "k", order_id=order, box_id=box, slot=0, status=charge_status)

    report = office.job("suspend", E + 30 * DAY)

    assert (status(office.store, box), status(office.store, neighbour)) == ("active", "suspended")
    assert report.skipped == {"unresolved_charge": 1}


def test_a_charge_that_never_reached_the_bank_protects_for_three_days(office: Office) -> None:
    with office.store.write() as connection:
        for days in (1, 3, 4):
            box = renewing_box(connection, str(days), expires_on=ON - days * DAY)
            tried(connection, box, 1, "declined")
            tried(connection, box, 0, "not_attempted")

    report = office.job("suspend", ON)

    assert [row["status"] for row in look(office.store, tables.boxes)] == ["active", "active", "suspended"]
    assert report.skipped == {"outage_grace": 2}


def test_only_the_latest_charge_of_the_term_protects(office: Office) -> None:
    last_year = E - timedelta(days=365)
    with office.store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        declined_last, renewed_before = (factories.box(connection, f"{name}@pec.example.it") for name in ("a", "b"))
        order = factories.order(connection, "R-1", box_id=declined_last)
        factories.charge(connection, "k1", order_id=order, box_id=declined_last, slot=1, status="not_attempted")
        factories.charge(connection, "k2", order_id=order, box_id=declined_last, slot=0, status="declined")
        old = factories.order(connection, "R-2", box_id=renewed_before, term_expires_on=last_year, status="paid")
        factories.charge(
            connection, "k3", order_id=old, box_id=renewed_before, term_expires_on=last_year, status="not_attempted"
        )

    office.job("suspend", ON)

    assert [row["status"] for row in look(office.store, tables.boxes)] == ["suspended", "suspended"]


def test_a_plan_may_have_other_grace_days(office: Office, tmp_path: Path) -> None:
    shipped = settings_for(tmp_path)
    plans = {
        code: plan.model_copy(update={"policy": plan.policy.model_copy(update={"outage_grace_days": 6})})
        if code == "domain"
        else plan
        for code, plan in shipped.plans.items()
    }
    lenient = replace(office, settings=shipped.model_copy(update={"plans": plans}))
    with office.store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        for number, plan in enumerate(("standard", "domain")):
            box = factories.box(connection, f"{plan}@pec.example.it", plan=plan)
            order = factories.order(connection, f"R-{number}", box_id=box)
            factories.charge(connection, plan, order_id=order, box_id=box, slot=0, status="not_attempted")

    lenient.job("suspend", E + 6 * DAY)

    assert [row["status"] for row in look(office.store, tables.boxes)] == ["suspended", "active"]


def test_a_row_that_the_database_refuses_is_parked_and_the_others_are_suspended(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        boxes = [factories.box(connection, f"{number}@pec.example.it") for number in range(5)]
    bad = boxes[2]
    with broken(office.store, "boxes", "UPDATE", f"NEW.id = {bad} AND NEW.status = 'suspended'"):
        report = office.day(ON)

    assert [status(office.store, box) for box in boxes] == [
        "suspended",
        "suspended",
        "active",
        "suspended",
        "suspended",
    ]
    assert happened(office.store, bad) == []
    ((job, subject, error),) = parked(office.store)
    assert (job, subject) == ("suspend", f"box:{bad}")
    assert BROKEN in error
    assert any("1 rows are parked" in failure for failure in report.failures)

    repaired = office.day(ON)

    assert repaired.failures == []
    assert (status(office.store, bad), parked(office.store)) == ("suspended", [])
    assert happened(office.store).count("box.suspended") == 5
    assert office.day(ON).run_pass is None


def test_a_parked_row_is_taken_up_by_the_next_days_run_too(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
    with broken(office.store, "boxes", "UPDATE", f"NEW.id = {box}"):
        office.day(ON)
        still = office.day(ON + DAY)

    assert len(still.failures) == 1
    (row,) = look(office.store, tables.parked_rows)
    assert (row["state"], row["times"]) == ("open", 2)
    assert (row["run_on"], row["last_run_on"]) == (ON, ON + DAY)
    assert office.day(ON + 2 * DAY).failures == []
    assert box_row(office.store, box)["suspended_on"] == ON + 2 * DAY


def test_a_box_that_made_auto_renew_fail_is_not_suspended_in_that_run(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        box = factories.box(connection, auto_renew=True, payment_method_id="pm1")
        neighbour = factories.box(connection, "neighbour@pec.example.it")
    with broken(office.store, "orders", "INSERT", f"NEW.box_id = {box}"):
        report = office.day(ON)

    assert [name for name, _, _ in parked(office.store)] == ["auto_renew"]
    assert report.failures != []
    assert (status(office.store, box), status(office.store, neighbour)) == ("active", "suspended")

    office.day(ON)

    assert happened(office.store, box) == ["box.renewed"]
    assert status(office.store, box) == "active"


def test_many_chunks_give_the_same_as_one(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        for number in range(7):
            factories.box(connection, f"{number}@pec.example.it", expires_on=E - (number % 3) * DAY)

    office.job("suspend", ON, chunk_size=2)

    assert {row["status"] for row in look(office.store, tables.boxes)} == {"suspended"}
    order = [(row["term_expires_on"], row["box_id"]) for row in look(office.store, tables.events)]
    assert order == sorted(order)
    assert len(order) == 7


def test_addresses_of_one_day_go_by_code_point(office: Office) -> None:
    addresses = [
        "b@pec.example.it",
        "_a@pec.example.it",
        "à@pec.example.it",
        "a-b@pec.example.it",
        "a.b@pec.example.it",
    ]
    with office.store.write() as connection:
        factories.customer(connection)
        ids = {factories.box(connection, address): address for address in addresses}

    office.job("suspend", ON, chunk_size=2)

    assert [ids[row["box_id"]] for row in look(office.store, tables.events)] == sorted(addresses)


@pytest.mark.parametrize("meanwhile", [{"hold_reason": "dispute"}, {"expires_on": E + 365 * DAY}])
def test_a_box_that_another_program_changes_between_choosing_and_writing_is_left_alone(
    postgresql_office: Office, meanwhile: dict[str, object]
) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection)
        box, neighbour = (factories.box(connection, f"{name}@pec.example.it") for name in ("a", "b"))

    def by_hand(connection: Connection) -> None:
        connection.execute(update(tables.boxes).where(tables.boxes.c.id == box).values(**meanwhile))

    while_waiting(office, by_hand, lambda: office.job("suspend", ON))

    assert (status(office.store, box), status(office.store, neighbour)) == ("active", "suspended")
    assert happened(office.store, box) == []


def test_money_that_comes_in_while_the_job_waits_for_the_box_keeps_it(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection)
        box, neighbour = (factories.box(connection, f"{name}@pec.example.it") for name in ("a", "b"))
        factories.order(connection, "R-1", box_id=box)

    while_waiting(office, lambda connection: too_little_comes_in(connection, box), lambda: office.job("suspend", ON))

    assert (status(office.store, box), status(office.store, neighbour)) == ("active", "suspended")
    assert happened(office.store, box) == []
