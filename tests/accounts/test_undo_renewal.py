"""A renewal that was a mistake is taken back to the day and to the cent, and nothing that happened is forgotten."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import update

from lifecycle_jobs.accounts import (
    FirstPayment,
    Payment,
    Purchase,
    UndoneRenewal,
    Wanted,
    WantedSpace,
    apply_payment,
    buy_box,
    pay_order,
    place_renewals,
    renew_domain,
    undo_renewal,
    withdraw_cancellation,
)
from lifecycle_jobs.db import tables
from lifecycle_jobs.payments import refunds
from tests import factories
from tests.accounts.asking import clerk, letters, queued, refused
from tests.auditing import assert_books_are_right, breaches
from tests.jobs.running import (
    Office,
    addon_row,
    box_row,
    change,
    charged,
    details,
    everything,
    expires_on,
    happened,
    look,
    renewing_box,
    status,
    tried,
)

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
FIRST_SLOT = E - timedelta(days=7)
ON = date(2027, 3, 26)
ADDRESS = "a@pec.example.it"


def undo(office: Office, *, on: date = ON, request_id: str = "undo", address: str = ADDRESS) -> UndoneRenewal:
    return undo_renewal(office.store, factories.CATALOG, clerk(on), address, request_id=request_id)


def pay_by_hand(office: Office, *, on: date = ON, space: WantedSpace | None = None, years: int = 1) -> str:
    """The number of an order that is placed and paid by bank transfer."""
    wanted = Wanted(years, "bank_transfer", space or WantedSpace())
    key = f"{on}-{years}"
    placed = place_renewals(
        office.store, factories.CATALOG, clerk(on), [ADDRESS], wanted, request_id=f"order-{key}"
    ).orders[0]
    payment = Payment(placed.gross_cents, f"CRO-{key}", on)
    pay_order(office.store, factories.CATALOG, clerk(on), placed.order_number, payment, request_id=f"pay-{key}")
    return placed.order_number


@pytest.fixture
def charged_box(office: Office) -> int:
    """A box with extra space that renewed itself by card in the first slot."""
    with office.store.write() as connection:
        box = renewing_box(connection)
        factories.addon(connection, "a1", box)
    office.day(FIRST_SLOT)
    return box


def test_e_and_what_it_carried_along_are_back_and_the_charge_is_to_be_refunded(
    office: Office, charged_box: int
) -> None:
    (charge,) = look(office.store, tables.charges)
    key = charge["idempotency_key"]

    assert undo(office) == UndoneRenewal(
        address=ADDRESS,
        expires_on=E,
        undone_expires_on=NEXT_E,
        order_number="R-1-20270331",
        to_refund=key,
        credit_cents=0,
        auto_renew_off=True,
        suspended=False,
    )

    assert (expires_on(office.store, charged_box), addon_row(office.store, "a1")["expires_on"]) == (E, E)
    assert [row["status"] for row in look(office.store, tables.orders)] == ["cancelled"]
    with office.store.read() as connection:
        (due,) = connection.execute(refunds.due()).mappings().all()
    assert (due["key"], due["amount_cents"]) == (key, 1513)
    assert happened(office.store, charged_box) == ["box.renewed", "box.renewal_undone"]
    assert_books_are_right(office.store, office.settings)


def test_the_holder_is_told_what_he_gets_back(office: Office, charged_box: int) -> None:
    undo(office)

    assert queued(office) == ["box.renewed", "box.renewal_undone"]
    (text,) = [text for text in letters(office, ON) if "annullato l’ultimo rinnovo" in text]
    assert "la scadenza è di nuovo il 31 marzo 2027" in text
    assert "Le restituiremo 15,13 €" in text.replace("\u00a0", " ")
    assert "Il rinnovo automatico è ora disattivato" in text
    assert charged_box


def test_until_it_is_refunded_nobody_touches_the_box_and_then_it_is_not_charged_again(
    office: Office, charged_box: int
) -> None:
    key = undo(office).to_refund
    assert key is not None
    office.day(E + timedelta(days=1))
    assert status(office.store, charged_box) == "active"

    refunds.give_back(office.store, office.gateway, clerk(E + timedelta(days=1)).operation(), key)
    assert_books_are_right(office.store, office.settings)
    office.day(E + timedelta(days=2))

    assert (status(office.store, charged_box), charged(office.store)) == ("suspended", [(7, "succeeded")])
    assert_books_are_right(office.store, office.settings)


def test_a_payment_by_hand_is_unapplied_and_can_pay_the_term_anew(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, ADDRESS)
    number = pay_by_hand(office)

    assert undo(office).to_refund == "CRO-2027-03-26-1"
    wanted = Wanted(1, "bank_transfer")
    again = place_renewals(office.store, factories.CATALOG, clerk(ON), [ADDRESS], wanted, request_id="again").orders[0]
    apply_payment(
        office.store, factories.CATALOG, clerk(ON), "CRO-2027-03-26-1", again.order_number, request_id="apply"
    )

    assert again.order_number == f"{number}-2"
    assert expires_on(office.store, box) == NEXT_E
    assert_books_are_right(office.store, office.settings)


def test_a_charge_that_was_given_back_before_is_not_given_back_again(office: Office) -> None:
    """Paid by hand while the charge was in flight: what paid the renewal is the payment by hand."""
    with office.store.write() as connection:
        renewing_box(connection, token="sandbox_lost_answer_paid")
    office.job("auto_renew", FIRST_SLOT)
    (order,) = look(office.store, tables.orders)
    payment = Payment(order["gross_cents"], "CRO-1", FIRST_SLOT)
    pay_order(office.store, factories.CATALOG, clerk(ON), order["order_number"], payment, request_id="pay")
    office.job("reconcile_charges", ON)
    (charge,) = look(office.store, tables.charges)
    refunds.give_back(office.store, office.gateway, clerk(ON).operation(), charge["idempotency_key"])

    assert undo(office).to_refund == "CRO-1"

    with office.store.read() as connection:
        assert [row.key for row in connection.execute(refunds.due())] == ["CRO-1"]
    assert_books_are_right(office.store, office.settings)


def test_credit_goes_back_at_once_with_what_credit_paid_for_add_ons_since(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, kind="credit", credit=2000)
        factories.addon(connection, "a1", box, paid_from="credit", quantity=2)
    office.day(FIRST_SLOT)
    assert [row["credit_cents"] for row in look(office.store, tables.customers)] == [2000 - 1208 - 610 + 0]

    undone = undo(office)

    assert (undone.to_refund, undone.credit_cents) == (None, 1818)
    assert [row["credit_cents"] for row in look(office.store, tables.customers)] == [2000]
    refunded = [row for row in look(office.store, tables.credit_entries) if row["reason"] == "refund"]
    assert [(row["amount_cents"], row["reference"]) for row in refunded] == [
        (610, "A-a1-20270331"),
        (1208, "R-1-20270331"),
    ]
    assert (addon_row(office.store, "a1")["expires_on"], addon_row(office.store, "a1")["status"]) == (E, "active")
    assert "addon.renewal_undone" in happened(office.store, box)
    assert_books_are_right(office.store, office.settings)

    change(office.store, tables.boxes, box, auto_renew=True)
    office.day(E - timedelta(days=5))
    numbers = {row["order_number"]: row["status"] for row in look(office.store, tables.orders)}
    assert numbers == {
        "R-1-20270331": "cancelled",
        "A-a1-20270331": "cancelled",
        "R-1-20270331-2": "paid",
        "A-a1-20270331-2": "paid",
    }
    assert_books_are_right(office.store, office.settings)


def test_credit_that_paid_an_order_by_hand_goes_back_too(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=1500)
        factories.box(connection, ADDRESS)
    place_renewals(office.store, factories.CATALOG, clerk(ON), [ADDRESS], Wanted(1, "credit"), request_id="order")

    assert undo(office).credit_cents == 1208

    assert [row["credit_cents"] for row in look(office.store, tables.customers)] == [1500]
    assert_books_are_right(office.store, office.settings)


def test_under_an_agreement_nothing_is_refunded_and_a_box_past_e_is_suspended_as_of_today(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, kind="agreement", token="")
    office.day(FIRST_SLOT)
    late = E + timedelta(days=20)
    office.day(late)

    undone = undo(office, on=late)

    assert (undone.to_refund, undone.credit_cents, undone.suspended) == (None, 0, True)
    row = box_row(office.store, box)
    assert (row["status"], row["suspended_on"], row["suspended_reason"]) == ("suspended", late, "unpaid")
    assert "box.suspended" in queued(office)
    assert_books_are_right(office.store, office.settings)


def test_a_notice_that_the_renewal_had_voided_is_there_again(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, ADDRESS, cancelled_on=date(2027, 3, 1))
    pay_by_hand(office)
    assert box_row(office.store, box)["cancelled_on"] is None

    undo(office)

    assert box_row(office.store, box)["cancelled_on"] == date(2027, 3, 1)


def test_a_notice_that_the_holder_had_withdrawn_himself_is_not(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, ADDRESS, cancelled_on=date(2027, 3, 1))
    wanted = Wanted(1, "bank_transfer")
    order = place_renewals(office.store, factories.CATALOG, clerk(ON), [ADDRESS], wanted, request_id="order").orders[0]
    withdraw_cancellation(office.store, clerk(ON), ADDRESS, request_id="withdraw")
    payment = Payment(order.gross_cents, "CRO-1", ON)
    pay_order(office.store, factories.CATALOG, clerk(ON), order.order_number, payment, request_id="pay")

    undo(office)

    assert box_row(office.store, box)["cancelled_on"] is None


def test_the_one_before_can_be_undone_next_and_then_there_is_none_left(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, ADDRESS)
    pay_by_hand(office)
    pay_by_hand(office, years=2)
    assert expires_on(office.store, box) == date(2030, 3, 31)

    assert undo(office).expires_on == NEXT_E
    assert undo(office, request_id="second").expires_on == E

    assert_books_are_right(office.store, office.settings)
    sentence = f"{ADDRESS} was not renewed here: there is nothing to undo."
    assert refused(office, lambda: undo(office, request_id="third")) == sentence


def test_a_box_renewed_with_its_domain_goes_back_and_nothing_is_refunded(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, ADDRESS, plan="domain", domain="pec.example.it")
    renew_domain(office.store, clerk(ON), "pec.example.it", date(2088, 3, 31), request_id="wrong")

    undone = undo(office)

    assert (undone.order_number, undone.to_refund, expires_on(office.store, box)) == (None, None, E)
    assert_books_are_right(office.store, office.settings)


def test_a_purchase_is_not_undone(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=5000)
    purchase = Purchase("c1", ADDRESS, "standard", 1)
    buy_box(office.store, factories.CATALOG, clerk(ON), purchase, FirstPayment("credit"), request_id="buy")

    assert refused(office, lambda: undo(office)) == (
        f"{ADDRESS} was not renewed since it was bought. A purchase is not undone: cancel the box, and give back what "
        f"was paid (lifecycle-jobs box cancel {ADDRESS})."
    )


def test_a_renewal_that_brought_another_plan_is_not_undone(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection, ADDRESS)
    number = pay_by_hand(office, space=WantedSpace(plan="pro"))

    assert refused(office, lambda: undo(office)) == (
        f"{ADDRESS} got another plan or space with that renewal (order {number}), which cannot be undone. Order the "
        "former plan with its next renewal, and give back the difference as credit."
    )


@pytest.mark.parametrize("paid_from", ["renewal", "credit"])
def test_add_ons_that_were_bought_since_are_to_be_cancelled_first(
    office: Office, charged_box: int, paid_from: str
) -> None:
    with office.store.write() as connection:
        factories.addon(connection, "a2", charged_box, paid_from=paid_from)

    assert refused(office, lambda: undo(office)) == (
        f"{ADDRESS} has add-ons that were bought since that renewal and are paid until 2028-03-31: a2. Cancel them "
        "first, and give back what was paid for them."
    )
    change(office.store, tables.addons, "a2", cancelled_on=ON)
    assert undo(office).expires_on == E


def test_a_box_that_is_being_charged_or_was_moved_otherwise_is_refused(office: Office, charged_box: int) -> None:
    change(office.store, tables.boxes, charged_box, expires_on=date(2028, 4, 1))
    assert refused(office, lambda: undo(office)) == (
        f"{ADDRESS} ends on 2028-04-01, which its last renewal did not bring about."
    )
    with office.store.write() as connection:
        tried(connection, charged_box, 7, "unknown")
    assert refused(office, lambda: undo(office)) == (
        f"{ADDRESS} is being charged, and nobody knows the outcome yet. Undo its renewal when that is settled "
        "(lifecycle-jobs reconcile)."
    )


@pytest.mark.usefixtures("charged_box")
def test_asked_again_it_is_undone_once(office: Office) -> None:
    first = undo(office)
    after = everything(office.store)

    assert undo(office) == first
    assert everything(office.store) == after


# What the audit finds


def test_the_audit_names_an_undoing_that_moved_e_elsewhere(office: Office, charged_box: int) -> None:
    undo(office)
    (detail,) = details(office.store, "box.renewal_undone")
    elsewhere = detail | {"new_expires_on": "2027-04-30"}
    with office.store.write() as connection:
        undone = tables.events.c.kind == "box.renewal_undone"
        connection.execute(update(tables.events).where(undone).values(detail=elsewhere))
    change(office.store, tables.boxes, charged_box, expires_on=date(2027, 4, 30))
    change(office.store, tables.addons, "a1", expires_on=date(2027, 4, 30))

    assert breaches(office.store, office.settings) == {
        "expiry_explained": [("undone, but E was not moved back by what it was moved", "event:2")]
    }


def test_the_audit_names_credit_that_went_back_for_an_order_that_is_still_paid(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, kind="credit", credit=2000)
    office.day(FIRST_SLOT)
    undo(office)
    with office.store.write() as connection:
        connection.execute(update(tables.orders).values(status="paid", paid_on=ON))

    found = breaches(office.store, office.settings)

    assert ("given back, but its order is still paid", "credit:R-1-20270331") in found["money_placed"]
    assert found["renewals_ordered"] == [("settled, but its box was not renewed", "order:R-1-20270331")]
