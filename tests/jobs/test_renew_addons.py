"""Add-ons that prepaid credit pays: renewed with their box, announced when credit is short, switched off (SPEC §3)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from lifecycle_jobs.db import tables
from tests import factories
from tests.jobs.running import (
    BROKEN,
    E,
    Office,
    addon_row,
    broken,
    change,
    details,
    everything,
    look,
    parked,
    renewing_box,
    tried,
    while_waiting,
)

DAY = timedelta(days=1)
NEXT_E = date(2028, 3, 31)
ON = E - 7 * DAY


def renewed_box(connection: Connection, name: str = "a", **box: Any) -> int:
    """A box that was renewed by a year; its add-ons still end on E."""
    values: dict[str, Any] = {"expires_on": NEXT_E}
    return factories.box(connection, f"{name}@pec.example.it", **(values | box))


def addon(connection: Connection, addon_id: str, box: int, **other: Any) -> str:
    """An add-on that credit pays: 1 GB for 2.50 a year, so 3.05 with VAT, up to E."""
    values: dict[str, Any] = {"paid_from": "credit", "expires_on": E}
    return factories.addon(connection, addon_id, box, **(values | other))


def addon_events(office: Office) -> list[tuple[str, str]]:
    """Kind and add-on of every event, in the order they were written."""
    return [(row["kind"].removeprefix("addon."), row["addon_id"]) for row in look(office.store, tables.events)]


def balance(office: Office, customer_id: str = "c1") -> int:
    """Credit in cents; the ledger must always say the same."""
    entries = [row for row in look(office.store, tables.credit_entries) if row["customer_id"] == customer_id]
    (customer,) = [row for row in look(office.store, tables.customers) if row["customer_id"] == customer_id]
    assert customer["credit_cents"] == sum(row["amount_cents"] for row in entries)
    found: int = customer["credit_cents"]
    return found


def test_of_four_neighbours_only_the_one_whose_box_was_renewed_is_renewed(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=5000)
        box = renewed_box(connection)
        addon(connection, "followed", box)
        addon(connection, "up.to.date", box, expires_on=NEXT_E)
        addon(connection, "on.the.order", box, paid_from="renewal")
        addon(connection, "disabled", box, status="disabled")
    before = {row["addon_id"]: row for row in look(office.store, tables.addons)}

    office.job("renew_addons", ON)

    after = {row["addon_id"]: row for row in look(office.store, tables.addons)}
    assert after == before | {"followed": before["followed"] | {"expires_on": NEXT_E, "behind": False}}
    assert addon_events(office) == [("renewed", "followed")]
    assert balance(office) == 4695


def test_a_renewal_leaves_a_paid_order_a_debit_and_a_receipt(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=5000)
        box = renewed_box(connection)
        addon(connection, "a1", box, quantity=3)

    office.job("renew_addons", ON)

    (order,) = look(office.store, tables.orders)
    assert (order["order_number"], order["kind"], order["status"]) == ("A-a1-20270331", "addon", "paid")
    assert (order["box_id"], order["addon_id"], order["term_expires_on"], order["years"]) == (box, "a1", E, 1)
    assert (order["net_cents"], order["vat_cents"], order["gross_cents"]) == (750, 165, 915)
    (line,) = look(office.store, tables.order_lines)
    assert (line["item"], line["quantity"], line["unit_price_cents"], line["years"]) == ("extra_inbox", 3, 250, 1)
    *_, debit = look(office.store, tables.credit_entries)
    assert (debit["amount_cents"], debit["balance_after_cents"], debit["reason"], debit["reference"]) == (
        -915,
        4085,
        "addon",
        "A-a1-20270331",
    )
    (event,) = look(office.store, tables.events)
    assert (event["box_id"], event["customer_id"], event["term_expires_on"]) == (box, "c1", E)
    assert event["detail"] == {
        "cost": "9.15",
        "balance": "40.85",
        "new_expires_on": "2028-03-31",
        "order_number": "A-a1-20270331",
    }


def test_a_second_run_changes_nothing(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=1000)
        box = renewed_box(connection)
        for name in ("enough", "short"):
            addon(connection, name, box)
        addon(connection, "past", box, expires_on=ON - DAY)
    office.job("renew_addons", ON)
    assert addon_events(office) == [("renewed", "past"), ("renewed", "enough"), ("credit_short", "short")]
    before = everything(office.store)

    office.job("renew_addons", ON)
    office.job("renew_addons", ON + DAY)

    assert everything(office.store) == before


@pytest.mark.parametrize(
    ("addon_ends", "cost"),
    [(E, 305), (E - 365 * DAY, 610), (E + DAY, 305), (NEXT_E - DAY, 305), (E - DAY, 610)],
)
def test_begun_years_from_a_to_e_are_paid_whole(sqlite_office: Office, addon_ends: date, cost: int) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        factories.customer(connection, credit=5000)
        addon(connection, "a1", renewed_box(connection), expires_on=addon_ends)

    office.job("renew_addons", ON)

    assert balance(office) == 5000 - cost
    assert addon_row(office.store, "a1")["expires_on"] == NEXT_E


@pytest.mark.parametrize(("credit", "renewed"), [(305, True), (304, False)])
def test_the_balance_must_cover_the_cost_to_the_cent(
    office: Office,
    credit: int,
    renewed: bool,  # noqa: FBT001
) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=credit)
        addon(connection, "a1", renewed_box(connection))

    office.job("renew_addons", ON)

    assert addon_events(office) == [("renewed" if renewed else "credit_short", "a1")]
    assert balance(office) == (0 if renewed else 304)


def test_credit_that_is_short_is_announced_once_a_term_and_after_a_the_addon_is_disabled(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=100)
        addon(connection, "a1", renewed_box(connection))

    for days in (-7, -6, -1, 0, 1, 2):
        office.job("renew_addons", E + days * DAY)

    events = look(office.store, tables.events)
    assert [(row["kind"], row["occurred_on"]) for row in events] == [
        ("addon.credit_short", E - 7 * DAY),
        ("addon.disabled", E + DAY),
    ]
    amounts = {"cost": "3.05", "balance": "1.00", "shortfall": "2.05"}
    assert [row["detail"] for row in events] == [
        amounts | {"new_expires_on": "2028-03-31"},
        {"reason": "credit_short"} | amounts,
    ]
    assert (addon_row(office.store, "a1")["status"], balance(office)) == ("disabled", 100)


def test_whoever_tops_up_in_time_is_renewed(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        addon(connection, "a1", renewed_box(connection))
    office.job("renew_addons", E)
    with office.store.write() as connection:
        connection.execute(update(tables.customers).values(credit_cents=305))
        factories.credit_entry(connection, amount=305, balance_after=305, reason="topup")

    office.job("renew_addons", E + DAY)

    assert addon_events(office) == [("credit_short", "a1"), ("renewed", "a1")]


def test_the_next_term_is_announced_anew(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        factories.customer(connection)
        box = renewed_box(connection)
        addon(connection, "a1", box)
    office.job("renew_addons", E)
    change(office.store, tables.addons, "a1", expires_on=NEXT_E)
    change(office.store, tables.boxes, box, expires_on=date(2029, 3, 31))

    office.job("renew_addons", NEXT_E)

    assert addon_events(office) == [("credit_short", "a1")] * 2


def test_an_addon_waits_undebited_for_a_box_that_was_not_renewed_if_credit_would_do(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=610)
        box = factories.box(connection, renewal_years=2)
        addon(connection, "enough", box)
        addon(connection, "too.dear", box, unit_price=251)
        addon(connection, "not.over", box, expires_on=E + DAY)

    report = office.job("renew_addons", E + DAY)

    assert addon_events(office) == [("disabled", "too.dear")]
    assert (balance(office), addon_row(office.store, "enough")["status"]) == (610, "active")
    assert report.skipped == {"waits_for_its_box": 1}


def test_addons_of_a_box_that_was_not_renewed_are_each_tested_alone(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=305)
        box = factories.box(connection, status="suspended")
        for name in ("a1", "a2", "a3"):
            addon(connection, name, box)

    office.job("renew_addons", E + DAY)

    assert addon_events(office) == []
    assert balance(office) == 305


def test_a_box_that_is_not_active_or_past_its_new_e_was_not_renewed(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=5000)
        by_hand = renewed_box(connection, "by.hand", status="suspended", suspended_on=ON, suspended_reason="abuse")
        past = renewed_box(connection, "past", expires_on=ON - DAY)
        gone = renewed_box(connection, "gone", status="deleted", deleted_on=ON)
        for box in (by_hand, past, gone):
            addon(connection, f"a{box}", box, expires_on=ON - 10 * DAY)

    office.job("renew_addons", ON)

    assert addon_events(office) == []
    assert balance(office) == 5000


def test_the_addons_of_a_manual_suspension_without_credit_are_disabled_after_a(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = renewed_box(connection, status="suspended", suspended_on=ON, suspended_reason="abuse")
        addon(connection, "today", box, expires_on=ON)
        addon(connection, "yesterday", box, expires_on=ON - DAY)

    office.job("renew_addons", ON)

    assert addon_events(office) == [("disabled", "yesterday")]


def test_addons_on_the_renewal_order_of_an_unpaid_box_stay_as_they_are(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.addon(connection, "with.it", factories.box(connection, status="suspended"))

    office.job("renew_addons", E + 50 * DAY)

    assert addon_row(office.store, "with.it")["status"] == "active"
    assert addon_events(office) == []


def test_addons_go_by_a_then_id_across_all_boxes_of_a_customer(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=3 * 305)
        first, second = renewed_box(connection, "a"), renewed_box(connection, "b")
        addon(connection, "z", first)
        addon(connection, "_m", second)
        addon(connection, "B", second)
        addon(connection, "a", first)
        addon(connection, "earlier", second, expires_on=E - DAY, unit_price=125)

    office.job("renew_addons", ON)

    assert addon_events(office) == [
        ("renewed", "earlier"),
        ("renewed", "B"),
        ("renewed", "_m"),
        ("credit_short", "a"),
        ("credit_short", "z"),
    ]
    assert balance(office) == 0


def test_one_that_is_too_dear_does_not_stop_a_cheaper_one_and_nothing_is_paid_in_part(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=400)
        box = renewed_box(connection)
        addon(connection, "a.dear", box, quantity=2)
        addon(connection, "b.cheap", box)

    office.job("renew_addons", ON)

    assert addon_events(office) == [("credit_short", "a.dear"), ("renewed", "b.cheap")]
    assert balance(office) == 95


def test_the_credit_of_one_customer_pays_for_nobody_else(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, "c1", credit=5000)
        factories.customer(connection, "c2")
        addon(connection, "a2", renewed_box(connection, "b", customer_id="c2"))

    office.job("renew_addons", ON)

    assert addon_events(office) == [("credit_short", "a2")]
    assert balance(office, "c1") == 5000


def test_an_addon_that_was_given_up_ends_after_a(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=5000)
        renewed, unpaid = renewed_box(connection), factories.box(connection, "b@pec.example.it")
        addon(connection, "from.credit", renewed, cancelled_on=ON)
        addon(connection, "unpaid", unpaid, cancelled_on=ON)
        factories.addon(connection, "with.it", renewed, expires_on=E, cancelled_on=ON)

    office.job("renew_addons", E)
    assert addon_events(office) == []
    office.job("renew_addons", E + DAY)

    assert addon_events(office) == [("disabled", name) for name in ("from.credit", "unpaid", "with.it")]
    assert details(office.store, "addon.disabled") == [{"reason": "cancelled"}] * 3
    assert {row["status"] for row in look(office.store, tables.addons)} == {"terminated"}
    assert balance(office) == 5000


def test_a_box_under_an_unresolved_charge_keeps_its_addons_as_they_are(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)
        addon(connection, "a1", box)
        tried(connection, box, 0, "unknown")

    report = office.job("renew_addons", E + 30 * DAY)

    assert addon_events(office) == []
    assert report.skipped == {"unresolved_charge": 1}


def test_boxes_are_renewed_before_addons_when_credit_is_short(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, kind="credit", credit=1208 + 304)
        addon(connection, "a1", box)

    office.day(ON)

    assert [row["kind"] for row in look(office.store, tables.events)] == ["box.renewed", "addon.credit_short"]
    assert balance(office, "c-a") == 304


def test_a_row_that_the_database_refuses_is_parked_undebited_and_the_others_of_its_box_are_renewed(
    office: Office,
) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=5000)
        box = renewed_box(connection)
        for name in ("a", "b", "c"):
            addon(connection, name, box)
    with broken(office.store, "addons", "UPDATE", "NEW.addon_id = 'a'"):
        report = office.day(ON)

    assert addon_events(office) == [("renewed", "b"), ("renewed", "c")]
    assert balance(office) == 5000 - 2 * 305
    assert len(report.failures) == 1
    ((job, subject, error),) = parked(office.store)
    assert (job, subject, BROKEN in error) == ("renew_addons", "addon:a", True)

    repaired = office.day(ON)

    assert (repaired.failures, parked(office.store)) == ([], [])
    assert addon_events(office)[-1] == ("renewed", "a")
    assert balance(office) == 5000 - 3 * 305


def test_credit_that_another_program_spends_meanwhile_is_not_spent_twice(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection, credit=305)
        addon(connection, "a1", renewed_box(connection))

    def spend(connection: Connection) -> None:
        connection.execute(update(tables.customers).values(credit_cents=0))
        factories.credit_entry(connection, amount=-305, balance_after=0)

    while_waiting(office, spend, lambda: office.job("renew_addons", ON))

    assert addon_events(office) == [("credit_short", "a1")]
    assert balance(office) == 0


def test_a_box_that_another_program_is_changing_is_waited_for_and_read_as_it_then_is(
    postgresql_office: Office,
) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection, credit=5000)
        addon(connection, "a1", renewed_box(connection))

    def take_back(connection: Connection) -> None:
        connection.execute(update(tables.boxes).values(expires_on=E))

    while_waiting(office, take_back, lambda: office.job("renew_addons", ON))

    assert (addon_events(office), balance(office)) == ([], 5000)
