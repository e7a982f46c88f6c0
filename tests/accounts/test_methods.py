"""Payment methods: stored, replaced and removed; what becomes of the boxes that are charged to them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from lifecycle_jobs.accounts import (
    NewMethod,
    RegisteredMethod,
    ReplacedMethod,
    register_method,
    remove_method,
    replace_method,
    switch_auto_renew_on,
)
from lifecycle_jobs.accounts import methods as method_operations
from lifecycle_jobs.accounts.methods import LeftBox, MovedBox, RemovedMethod
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    Office,
    box_row,
    charged,
    details,
    everything,
    expires_on,
    happened,
    look,
    renewing_box,
    status,
    tried,
    while_waiting,
)

E = factories.EXPIRES_ON
ON = date(2027, 2, 1)
FIRST_SLOT = E - timedelta(days=7)
NO_FUNDS = "pm_card_visa_chargeDeclinedInsufficientFunds"
CARD = NewMethod("card", "pm_card_visa", "visa", "4242", 12, 2030, "new")
DAY = timedelta(days=1)


def clerk(on: date = ON) -> Operator:
    return Operator("anna", "asked for it", on)


def register(office: Office, method: NewMethod = CARD, *, customer_id: str = "c1", **more: Any) -> RegisteredMethod:
    usual: dict[str, Any] = {"request_id": "register"}
    return register_method(office.store, clerk(), customer_id, method, **(usual | more))


def replace(
    office: Office, method_id: str = "pm-a", method: NewMethod = CARD, *, on: date = ON, **more: Any
) -> ReplacedMethod:
    usual: dict[str, Any] = {"request_id": "replace"}
    return replace_method(office.store, factories.CATALOG, clerk(on), method_id, method, **(usual | more))


def remove(office: Office, method_id: str = "pm-a", **more: Any) -> RemovedMethod:
    usual: dict[str, Any] = {"request_id": "remove"}
    return remove_method(office.store, clerk(), method_id, **(usual | more))


def messages(office: Office) -> list[str]:
    return [row["kind"] for row in look(office.store, tables.messages)]


def stored(office: Office) -> list[tuple[str, str, str | None]]:
    rows = look(office.store, tables.payment_methods)
    return [(row["payment_method_id"], row["kind"], row["token"]) for row in rows]


@pytest.fixture
def holder(office: Office) -> str:
    with office.store.write() as connection:
        return factories.customer(connection)


# Stored


@pytest.mark.usefixtures("holder")
def test_a_card_is_stored_and_its_holder_told_and_nothing_is_charged_to_it(office: Office) -> None:
    assert register(office) == RegisteredMethod("new", "c1", "card")

    assert look(office.store, tables.payment_methods) == [
        {
            "payment_method_id": "new",
            "customer_id": "c1",
            "kind": "card",
            "token": "pm_card_visa",
            "brand": "visa",
            "last4": "4242",
            "exp_month": 12,
            "exp_year": 2030,
        }
    ]
    assert messages(office) == ["method.registered"]


@pytest.mark.usefixtures("holder")
def test_a_token_is_kept_nowhere_but_with_its_method(office: Office) -> None:
    register(office)

    kept = [look(office.store, table) for table in (tables.account_requests, tables.events, tables.messages)]
    assert "pm_card_visa" not in repr(kept)
    assert "pm_card_visa" not in repr(CARD)


@pytest.mark.usefixtures("holder")
def test_credit_is_stored_without_a_token_and_gets_an_id_of_its_own(office: Office) -> None:
    method = register(office, NewMethod("credit"))

    assert method.payment_method_id.startswith("credit-")
    assert stored(office) == [(method.payment_method_id, "credit", None)]


@pytest.mark.usefixtures("holder")
def test_asked_again_it_is_stored_once_and_with_another_token_refused(office: Office) -> None:
    first = register(office, NewMethod("card", "pm_card_visa"))
    before = everything(office.store)

    assert register(office, NewMethod("card", "pm_card_visa")) == first
    with pytest.raises(Refused, match="The request id register stands for another request already"):
        register(office, NewMethod("card", NO_FUNDS))
    assert everything(office.store) == before


@pytest.mark.usefixtures("holder")
def test_a_holder_who_is_new_at_the_gateway_is_known_there_from_now_on(office: Office) -> None:
    register(office, NewMethod("card", "pm_card_visa", gateway_customer_id="cus_1"))

    assert [row["gateway_customer_id"] for row in look(office.store, tables.customers)] == ["cus_1"]
    with pytest.raises(Refused) as refusal:
        register(office, NewMethod("card", NO_FUNDS, gateway_customer_id="cus_2"), request_id="again")
    assert str(refusal.value) == (
        "Customer c1 is known to the gateway under another id already. Attach the method to that one at the gateway, "
        "and leave the id out here."
    )


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (NewMethod("card"), "A card is charged by the token that the gateway has given it: name that."),
        (NewMethod("paypal"), "A paypal is charged by the token that the gateway has given it: name that."),
        (NewMethod("credit", "tok"), "Credit is the holder's own and has no token."),
        (
            NewMethod("agreement"),  # type: ignore[arg-type]
            "Only a card, a PayPal account or the holder's credit can be stored, no agreement.",
        ),
        (
            NewMethod("card", "pm_card_visa", exp_month=1, exp_year=2027),
            "That card has ended on 2027-01-31. Store one that is still valid.",
        ),
        (NewMethod("card", "there"), "That card of the holder is stored already, as pm1."),
        (
            NewMethod("card", "pm_card_visa", payment_method_id="pm1"),
            "The id pm1 stands for another payment method already. Choose another, or none.",
        ),
    ],
)
@pytest.mark.usefixtures("holder")
def test_what_cannot_be_stored_is_refused_with_the_reason(office: Office, method: NewMethod, sentence: str) -> None:
    with office.store.write() as connection:
        factories.method(connection, token="there")
    before = everything(office.store)

    with pytest.raises(Refused) as refusal:
        register(office, method)

    assert str(refusal.value) == sentence
    assert everything(office.store) == before
    assert look(office.store, tables.account_requests) == []


@pytest.mark.usefixtures("holder")
def test_a_card_of_this_month_is_still_valid(office: Office) -> None:
    register(office, NewMethod("card", "pm_card_visa", exp_month=2, exp_year=2027))

    assert messages(office) == ["method.registered"]


def test_a_method_of_nobody_is_refused(office: Office) -> None:
    with pytest.raises(Refused, match=r"^There is no customer c1\.$"):
        register(office)


# Replaced


def test_a_card_replaced_before_the_first_slot_is_charged_on_it(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token=NO_FUNDS)

    replaced = replace(office)

    assert replaced == ReplacedMethod("new", "pm-a", (MovedBox("a@pec.example.it", E, True, FIRST_SLOT, None, False),))
    assert stored(office) == [("new", "card", "pm_card_visa")]
    assert box_row(office.store, box)["payment_method_id"] == "new"
    assert messages(office) == ["method.replaced"]
    assert_books_are_right(office.store, office.settings)


def test_a_card_replaced_two_days_before_e_after_three_declines_is_charged_by_the_next_run(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token=NO_FUNDS)
    for days in (7, 5, 3):
        office.day(E - days * DAY)

    moved = replace(office, on=E - 2 * DAY).boxes[0]
    assert (moved.charge_on, moved.open_order) == (E - 2 * DAY, "R-1-20270331")

    office.day(E - 2 * DAY)
    assert expires_on(office.store, box) == date(2028, 3, 31)
    assert charged(office.store)[-1] == (3, "succeeded")
    assert_books_are_right(office.store, office.settings)


def test_after_the_run_of_the_day_it_is_the_next_one_that_charges(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token=NO_FUNDS)
    office.day(E - DAY)

    assert replace(office, on=E - DAY).boxes[0].charge_on == E

    office.day(E)
    assert expires_on(office.store, box) == date(2028, 3, 31)


@pytest.mark.parametrize("late", [0, 1, 2])
def test_replaced_too_late_for_any_run_the_answer_says_that_it_is_renewed_by_hand(office: Office, late: int) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token=NO_FUNDS)
    office.day(E)
    for days in range(1, late + 1):
        office.day(E + days * DAY)

    moved = replace(office, on=E + late * DAY).boxes[0]

    assert (moved.charge_on, moved.open_order) == (None, "R-1-20270331")
    office.day(E + (late + 1) * DAY)
    assert status(office.store, box) == "suspended"
    assert [row["charge_on"] for row in details(office.store, "method.replaced")] == [None]


def test_a_stolen_card_replaced_is_charged_although_that_one_never_will_be(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token="pm_card_visa_chargeDeclinedStolenCard")
    office.day(FIRST_SLOT)

    assert replace(office, on=FIRST_SLOT + DAY).boxes[0].charge_on == FIRST_SLOT + DAY

    office.day(FIRST_SLOT + DAY)
    assert expires_on(office.store, box) == date(2028, 3, 31)


def test_a_box_on_hold_is_charged_when_that_has_ended_and_one_whose_holder_gave_notice_is_not(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, token=NO_FUNDS, hold_until=E - 6 * DAY, hold_reason="dispute")
        for name, box in (("b", {"cancelled_on": ON}), ("c", {"hold_reason": "court"}), ("d", {"auto_renew": False})):
            factories.box(
                connection,
                f"{name}@pec.example.it",
                **{"customer_id": "c-a", "payment_method_id": "pm-a", "auto_renew": True, **box},  # type: ignore[arg-type]
            )

    assert [box.charge_on for box in replace(office).boxes] == [E - 5 * DAY, None, None, None]


def test_a_charge_to_the_old_card_without_an_answer_is_told_of_and_looked_up_all_the_same(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token="sandbox_lost_answer_paid")
    office.day(FIRST_SLOT)

    assert replace(office, on=FIRST_SLOT).boxes[0].being_charged

    office.day(FIRST_SLOT + DAY)
    assert expires_on(office.store, box) == date(2028, 3, 31)
    assert office.booked() == ["R-1-20270331"]
    assert_books_are_right(office.store, office.settings)


def test_a_method_that_no_box_has_is_replaced_too(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.method(connection)

    assert replace(office, "pm1", NewMethod("paypal", "pm_card_visa_chargeDeclined", None)).boxes == ()
    assert messages(office) == ["method.replaced"]


def test_a_method_that_is_not_there_or_somebody_elses_or_an_agreement_is_not_replaced(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, kind="agreement")
        renewing_box(connection, "b")

    for method_id, customer, sentence in (
        ("pm-c", None, "There is no payment method pm-c."),
        ("pm-a", "c-b", "There is no payment method pm-a."),
        ("pm-a", None, "pm-a is an agreement: it is made by contract, and comes with the files."),
    ):
        with pytest.raises(Refused) as refusal:
            replace(office, method_id, customer_id=customer)
        assert str(refusal.value) == sentence
    with pytest.raises(Refused, match="That card of the holder is stored already, as pm-b"):
        replace(office, "pm-b")


def test_a_card_replaced_while_its_box_is_about_to_be_charged_is_not_charged(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        box = renewing_box(connection)

    def replaced(connection: Connection) -> None:
        factories.method(connection, "new", "c-a", token=NO_FUNDS)
        connection.execute(update(tables.boxes).where(tables.boxes.c.id == box).values(payment_method_id="new"))

    while_waiting(office, replaced, lambda: office.job("auto_renew", FIRST_SLOT))

    assert office.booked() == []


# Removed


def test_a_method_removed_switches_auto_renew_off_and_its_holder_is_told(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)
        factories.box(connection, "b@pec.example.it", customer_id="c-a", payment_method_id="pm-a")

    removed = remove(office)

    assert removed == RemovedMethod(
        "pm-a",
        (LeftBox("a@pec.example.it", E, True, False), LeftBox("b@pec.example.it", E, False, False)),
    )
    row = box_row(office.store, box)
    assert (row["auto_renew"], row["payment_method_id"], stored(office)) == (False, None, [])
    assert messages(office) == ["method.removed"]
    office.day(FIRST_SLOT)
    assert charged(office.store) == []
    assert_books_are_right(office.store, office.settings)


def test_a_method_removed_during_a_charge_leaves_its_outcome_to_be_found(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)
        tried(connection, box, 7, "unknown")

    assert remove(office).boxes[0].being_charged
    assert charged(office.store) == [(7, "unknown")]


def test_a_method_that_a_deleted_box_had_can_be_removed_and_the_tombstone_stays(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, status="deleted")

    assert remove(office).boxes == ()
    assert (status(office.store, box), stored(office)) == ("deleted", [])


def test_a_method_that_is_not_there_is_not_removed(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection)

    for method_id, customer in (("pm-b", None), ("pm-a", "c-b")):
        with pytest.raises(Refused) as refusal:
            remove(office, method_id, customer_id=customer)
        assert str(refusal.value) == f"There is no payment method {method_id}."
    assert remove(office, customer_id="c-a").payment_method_id == "pm-a"


def test_a_box_that_gets_the_method_while_it_is_removed_is_told_that_it_lost_it(
    postgresql_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgresql_store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        box = factories.box(connection, "a@pec.example.it")
    lock = method_operations._lock_method

    def switched_on_before(*arguments: Any) -> Any:
        switch_auto_renew_on(
            postgresql_store, factories.CATALOG, clerk(ON), "a@pec.example.it", request_id="on", payment_method_id="pm1"
        )
        return lock(*arguments)

    monkeypatch.setattr(method_operations, "_lock_method", switched_on_before)
    removed = remove_method(postgresql_store, clerk(ON), "pm1", request_id="off")

    assert [each.address for each in removed.boxes] == ["a@pec.example.it"]
    assert happened(postgresql_store, box) == ["autorenew.switched_on", "method.removed"]
