"""A renewal order paid by hand: the box is renewed at once, and no payment is lost or used twice (SPEC §3)."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from lifecycle_jobs import day
from lifecycle_jobs.accounts import Registered, register_payment
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    Office,
    addon_row,
    box_row,
    broken,
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
    while_waiting,
)

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
ON = date(2027, 4, 5)
FIRST_SLOT = E - timedelta(days=7)


def pay(office: Office, order: str, *, amount: int = 1208, reference: str = "CRO-1", on: date = ON) -> Registered:
    clerk = Operator("anna", "bank statement of the day", on)
    return register_payment(office.store, clerk, order, amount_cents=amount, reference=reference)


def refused(office: Office, order: str, **payment: Any) -> str:
    """The sentence with which a payment is refused; nothing at all is written."""
    before = everything(office.store)
    with pytest.raises(Refused) as refusal:
        pay(office, order, **payment)
    assert everything(office.store) == before
    return str(refusal.value)


def registered(office: Office) -> list[tuple[str, bool]]:
    return [(row["reference"], row["effective"]) for row in look(office.store, tables.registered_payments)]


def queued(office: Office) -> list[str]:
    return [row["kind"] for row in look(office.store, tables.messages)]


def failures_of_next_run(office: Office, on: date = ON) -> list[str]:
    return office.day(on).failures


@pytest.fixture
def declined_box(office: Office) -> int:
    """A box whose card was declined, with an add-on on its order, an open order and nothing else to pay it."""
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
        factories.addon(connection, "a1", box)
        factories.addon(connection, "a2", box, paid_from="credit")
        order = factories.order(connection, "R-1", box_id=box, net=1240, vat=273)
        for position, (item, addon, price) in enumerate([("standard", None, 990), ("extra_inbox", "a1", 250)], 1):
            line = {"item": item, "addon_id": addon, "quantity": 1, "unit_price_cents": price, "years": 1}
            row = {"order_id": order, "position": position, "net_cents": price, **line}
            connection.execute(insert(tables.order_lines).values(row))
        return box


def test_a_payment_renews_the_box_and_the_add_ons_on_the_order(office: Office, declined_box: int) -> None:
    assert pay(office, "R-1", amount=1513) == Registered("R-1", effective=True)

    assert expires_on(office.store, declined_box) == NEXT_E
    assert addon_row(office.store, "a1")["expires_on"] == NEXT_E
    assert addon_row(office.store, "a2")["expires_on"] == E, "credit pays for this one, in its own job"
    (order,) = look(office.store, tables.orders)
    assert (order["status"], order["paid_on"]) == ("paid", ON)
    (payment,) = look(office.store, tables.registered_payments)
    assert (payment["amount_cents"], payment["registered_on"]) == (1513, ON)
    assert (payment["actor"], payment["why"]) == ("anna", "bank statement of the day")
    assert_books_are_right(office.store, office.settings)


def test_the_history_says_who_registered_what_and_why(office: Office, declined_box: int) -> None:
    pay(office, "R-1", amount=1513)

    assert happened(office.store, declined_box) == ["box.renewed", "payment.registered"]
    assert {row["actor"] for row in look(office.store, tables.events)} == {"anna"}
    assert {row["why"] for row in look(office.store, tables.events)} == {"bank statement of the day"}
    (renewed,) = details(office.store, "box.renewed")
    assert (renewed["method"], renewed["addons"], renewed["gross"]) == (None, ["a1"], "15.13")
    assert details(office.store, "payment.registered") == [
        {"order_number": "R-1", "amount": "15.13", "reference": "CRO-1", "effective": True}
    ]


@pytest.mark.usefixtures("declined_box")
def test_the_receipt_is_there_with_the_payment_and_says_that_it_was_paid_by_hand(office: Office) -> None:
    pay(office, "R-1", amount=1513)
    assert queued(office) == ["box.renewed"]

    day.deliver_now(office.store, office.settings, ON, lambda _name, _rows: None)

    (path,) = office.settings.mail.directory.rglob("*.eml")
    receipt = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    text = receipt.get_body(("plain",))
    assert text is not None
    assert "Pagamento: pagamento manuale" in text.get_content()
    assert [row["status"] for row in look(office.store, tables.messages)] == ["sent"]


@pytest.mark.usefixtures("declined_box")
def test_nobody_is_told_of_the_same_payment_again_by_the_next_run(office: Office) -> None:
    pay(office, "R-1", amount=1513)

    office.day(ON)

    assert queued(office).count("box.renewed") == 1


@pytest.mark.usefixtures("declined_box")
def test_a_payment_whose_receipt_cannot_be_written_is_not_registered_at_all(office: Office) -> None:
    with broken(office.store, "messages", "INSERT", "NEW.kind = 'box.renewed'"), pytest.raises(DBAPIError):
        pay(office, "R-1", amount=1513)

    assert (registered(office), happened(office.store)) == ([], [])
    assert pay(office, "R-1", amount=1513).effective


def test_a_box_suspended_for_want_of_payment_is_active_again(office: Office, declined_box: int) -> None:
    change(
        office.store,
        tables.boxes,
        declined_box,
        status="suspended",
        suspended_on=E + timedelta(days=1),
        suspended_reason="unpaid",
    )

    pay(office, "R-1", amount=1513)

    box = box_row(office.store, declined_box)
    assert (box["status"], box["suspended_on"], box["suspended_reason"]) == ("active", None, None)


def test_a_box_suspended_by_hand_is_renewed_and_stays_suspended(office: Office, declined_box: int) -> None:
    change(office.store, tables.boxes, declined_box, status="suspended", suspended_on=E, suspended_reason="court order")

    assert pay(office, "R-1", amount=1513).effective

    assert status(office.store, declined_box) == "suspended"
    assert expires_on(office.store, declined_box) == NEXT_E


@pytest.mark.usefixtures("declined_box")
@pytest.mark.parametrize(
    ("order", "amount", "sentence"),
    [
        ("R-1", 1512, "Order R-1 is for 15.13, not 15.12."),
        ("R-1", 1514, "Order R-1 is for 15.13, not 15.14."),
        ("R-2", 1513, "There is no order R-2."),
        ("A-a2", 305, "Order A-a2 is not for the renewal of a box; only those are paid by hand."),
        ("R-0", 1208, "Order R-0 is on account: the invoice collects it, not a payment of the order."),
    ],
)
def test_what_cannot_be_the_payment_of_the_order_is_refused(
    office: Office, declined_box: int, order: str, amount: int, sentence: str
) -> None:
    with office.store.write() as connection:
        factories.order(connection, "A-a2", kind="addon", box_id=declined_box, addon_id="a2", net=250, vat=55)
        earlier = date(2026, 3, 31)
        factories.order(connection, "R-0", box_id=declined_box, term_expires_on=earlier, status="on_account")

    assert refused(office, order, amount=amount) == sentence


@pytest.mark.usefixtures("declined_box")
def test_the_same_reference_is_registered_once(office: Office) -> None:
    pay(office, "R-1", amount=1513)
    before = everything(office.store)

    assert pay(office, "R-1", amount=1513) == Registered("R-1", effective=True, known=True)

    assert everything(office.store) == before
    assert registered(office) == [("CRO-1", True)]


def test_a_reference_that_stands_for_another_payment_is_refused(office: Office, declined_box: int) -> None:
    with office.store.write() as connection:
        other = factories.box(connection, "other@pec.example.it")
        factories.order(connection, "R-2", box_id=other)
    pay(office, "R-1", amount=1513)

    sentence = "The reference CRO-1 stands for another payment already. Nothing was done."
    assert refused(office, "R-2") == sentence
    assert refused(office, "R-1", amount=1208) == sentence
    assert expires_on(office.store, declined_box) == NEXT_E


def _paid_by_its_card(office: Office) -> str:
    with office.store.write() as connection:
        renewing_box(connection)
    office.day(FIRST_SLOT)
    return "R-1-20270331"


def _cancelled(office: Office) -> str:
    with office.store.write() as connection:
        box = renewing_box(connection, auto_renew=False)
        factories.order(connection, "R-9", customer_id="c-a", box_id=box, status="cancelled")
    return "R-9"


def _deleted(office: Office) -> str:
    with office.store.write() as connection:
        box = renewing_box(connection, auto_renew=False, status="deleted")
        factories.order(connection, "R-9", customer_id="c-a", box_id=box)
    return "R-9"


def _paid_by_hand_before(office: Office) -> str:
    with office.store.write() as connection:
        box = renewing_box(connection, auto_renew=False)
        factories.order(connection, "R-9", customer_id="c-a", box_id=box)
    pay(office, "R-9", reference="CRO-0", on=FIRST_SLOT)
    return "R-9"


@pytest.mark.parametrize("prepare", [_paid_by_its_card, _cancelled, _deleted, _paid_by_hand_before])
def test_a_payment_that_its_order_cannot_take_is_registered_and_to_be_given_back(
    office: Office, prepare: Callable[[Office], str]
) -> None:
    order = prepare(office)
    before, receipts = box_row(office.store, 1), queued(office)

    assert pay(office, order) == Registered(order, effective=False)

    assert registered(office)[-1] == ("CRO-1", False)
    assert box_row(office.store, 1) == before
    assert queued(office) == receipts, "nothing was renewed, so there is nothing to tell the holder"
    assert details(office.store, "payment.registered")[-1]["effective"] is False
    assert pay(office, order) == Registered(order, effective=False, known=True)
    assert "1 payments are to be refunded. See: lifecycle-jobs refunds list" in failures_of_next_run(office)


def test_a_box_paid_by_hand_is_not_charged_any_more(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token="pm_card_visa_chargeDeclinedInsufficientFunds")
    office.day(FIRST_SLOT)
    pay(office, f"R-{box}-20270331", on=FIRST_SLOT)

    office.day(FIRST_SLOT + timedelta(days=2))

    assert charged(office.store) == [(7, "declined")]
    assert office.booked() == []
    assert_books_are_right(office.store, office.settings)


def test_a_payment_during_a_charge_of_unknown_outcome_renews_and_the_charge_is_to_be_given_back(
    office: Office,
) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token="sandbox_lost_answer_paid")
    office.day(FIRST_SLOT)
    assert pay(office, f"R-{box}-20270331", on=FIRST_SLOT).effective

    report = office.day(FIRST_SLOT + timedelta(days=1))

    assert expires_on(office.store, box) == NEXT_E
    assert happened(office.store, box).count("box.renewed") == 1
    assert [row["unapplied"] for row in look(office.store, tables.charges)] == [True]
    assert report.failures == ["1 payments are to be refunded. See: lifecycle-jobs refunds list"]
    assert_books_are_right(office.store, office.settings)


def test_of_two_payments_at_the_same_moment_one_renews_the_box(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        box = renewing_box(connection, auto_renew=False)
        tried(connection, box, 7, "declined")
    order = f"R-{box}-20270331"
    results: list[Registered] = []

    def paid_at_the_counter(connection: Any) -> None:
        connection.execute(tables.boxes.update().where(tables.boxes.c.id == box).values(expires_on=NEXT_E))
        connection.execute(tables.orders.update().values(status="paid", paid_on=ON))

    while_waiting(office, paid_at_the_counter, lambda: results.append(pay(office, order)))

    assert results == [Registered(order, effective=False)]
    assert expires_on(office.store, box) == NEXT_E
