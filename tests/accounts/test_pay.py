"""A renewal order paid by hand: the box is renewed at once, and no payment is lost or used twice (SPEC §3)."""

from __future__ import annotations

import email
import email.policy
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import DBAPIError

from lifecycle_jobs.accounts import Paid, Payment, Wanted, apply_payment, pay_from_credit, pay_order, place_renewals
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.mail.delivery import deliver_now
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments import refunds
from tests import factories
from tests.auditing import assert_books_are_right, breaches
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
MARIO = "mario.rossi@pec.example.it"


def pay(
    office: Office,
    order: str,
    *,
    amount: int = 1208,
    reference: str = "CRO-1",
    on: date = ON,
    paid_on: date | None = None,
    request_id: str | None = None,
    **how: Any,
) -> Paid:
    clerk = Operator("anna", "bank statement of the day", on)
    payment = Payment(amount, reference, paid_on or on, **how)
    number = request_id or uuid.uuid4().hex
    return pay_order(office.store, factories.CATALOG, clerk, order, payment, request_id=number)


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
    paid = pay(office, "R-1", amount=1513, paid_on=E)

    assert paid == Paid("R-1", "CRO-1", applied=True, address="mario.rossi@pec.example.it", expires_on=NEXT_E)

    assert expires_on(office.store, declined_box) == NEXT_E
    assert addon_row(office.store, "a1")["expires_on"] == NEXT_E
    assert addon_row(office.store, "a2")["expires_on"] == E, "credit pays for this one, in its own job"
    (order,) = look(office.store, tables.orders)
    assert (order["status"], order["paid_on"]) == ("paid", E)
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
        {
            "order_number": "R-1",
            "amount": "15.13",
            "reference": "CRO-1",
            "effective": True,
            "unapplied_because": None,
        }
    ]


@pytest.mark.usefixtures("declined_box")
def test_the_receipt_is_there_with_the_payment_and_says_that_it_was_paid_by_hand(office: Office) -> None:
    pay(office, "R-1", amount=1513)
    assert queued(office) == ["box.renewed"]

    deliver_now(office.store, office.settings, ON, lambda _name, _rows: None)

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
    assert pay(office, "R-1", amount=1513).applied


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

    assert pay(office, "R-1", amount=1513).applied

    assert status(office.store, declined_box) == "suspended"
    assert expires_on(office.store, declined_box) == NEXT_E


@pytest.mark.parametrize(
    ("order", "amount", "because"),
    [
        ("R-1", 1512, "it is for 15.13, not 15.12"),
        ("R-1", 1514, "it is for 15.13, not 15.14"),
        ("R-2", 1513, "there is no order R-2"),
        ("T-1", 305, "it is for no box"),
        ("R-0", 1208, "it is on account: the invoice collects it"),
    ],
)
def test_what_cannot_be_the_payment_of_the_order_is_kept_as_an_unapplied_payment(
    office: Office, declined_box: int, order: str, amount: int, because: str
) -> None:
    with office.store.write() as connection:
        factories.order(connection, "T-1", kind="topup", term_expires_on=None, net=250, vat=55)
        earlier = date(2026, 3, 31)
        factories.order(connection, "R-0", box_id=declined_box, term_expires_on=earlier, status="on_account")
    before = box_row(office.store, declined_box)

    assert pay(office, order, amount=amount) == Paid(order, "CRO-1", applied=False, unapplied_because=because)

    assert box_row(office.store, declined_box) == before
    with office.store.read() as connection:
        (listed,) = connection.execute(refunds.due()).mappings().all()
    assert (listed["key"], listed["order_number"], listed["amount_cents"]) == ("CRO-1", order, amount)
    assert listed["because"] == because
    told = [] if order == "R-2" else ["payment.unapplied"]  # of R-2 nobody knows whose it is
    assert queued(office) == told


def test_a_payment_of_tomorrow_is_refused(office: Office) -> None:
    sentence = "2027-04-06 lies in the future: nothing can have been paid then."
    assert refused(office, "R-1", paid_on=ON + timedelta(days=1)) == sentence


@pytest.mark.usefixtures("declined_box")
def test_the_same_reference_is_registered_once(office: Office) -> None:
    pay(office, "R-1", amount=1513)
    before = everything(office.store)

    assert pay(office, "R-1", amount=1513) == Paid("R-1", "CRO-1", applied=True, known=True)

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


@pytest.mark.parametrize(
    ("prepare", "because"),
    [
        (_paid_by_its_card, "it is paid already"),
        (_cancelled, "it was cancelled"),
        (_deleted, "its box was deleted on 2027-06-30"),
        (_paid_by_hand_before, "it is paid already"),
    ],
)
def test_a_payment_that_its_order_cannot_take_is_registered_and_to_be_given_back(
    office: Office, prepare: Callable[[Office], str], because: str
) -> None:
    order = prepare(office)
    before, messages = box_row(office.store, 1), queued(office)

    assert pay(office, order) == Paid(order, "CRO-1", applied=False, unapplied_because=because)

    assert registered(office)[-1] == ("CRO-1", False)
    assert box_row(office.store, 1) == before
    assert queued(office) == [*messages, "payment.unapplied"]
    assert details(office.store, "payment.unapplied")[-1]["effective"] is False
    assert pay(office, order) == Paid(order, "CRO-1", applied=False, unapplied_because=because, known=True)
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
    assert pay(office, f"R-{box}-20270331", on=FIRST_SLOT).applied

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
    results: list[Paid] = []

    def paid_at_the_counter(connection: Any) -> None:
        connection.execute(tables.boxes.update().where(tables.boxes.c.id == box).values(expires_on=NEXT_E))
        connection.execute(tables.orders.update().values(status="paid", paid_on=ON))

    while_waiting(office, paid_at_the_counter, lambda: results.append(pay(office, order)))

    assert results == [Paid(order, "CRO-1", applied=False, unapplied_because="it is paid already")]
    assert expires_on(office.store, box) == NEXT_E


# Paid by card or PayPal


def with_method(office: Office, kind: str, *, ordered: str = "card", years: int = 2, **box: Any) -> str:
    """An order of a holder who has such a method; its number."""
    with office.store.write() as connection:
        factories.customer(connection)
        factories.method(connection, kind=kind)
        factories.box(connection, **box)
    clerk = Operator("anna", None, FIRST_SLOT)
    wanted = Wanted(years, ordered)  # type: ignore[arg-type]
    place_renewals(office.store, factories.CATALOG, clerk, [MARIO], wanted, request_id="order")
    return "R-1-20270331"


@pytest.mark.parametrize("kind", ["card", "paypal"])
def test_a_box_paid_by_card_or_paypal_renews_itself_from_now_on_in_the_same_rhythm(office: Office, kind: str) -> None:
    order = with_method(office, kind, ordered=kind)

    paid = pay(office, order, amount=2416)

    assert (paid.renews_itself, paid.hint) == (True, None)
    box = box_row(office.store, 1)
    assert (box["auto_renew"], box["renewal_years"], box["payment_method_id"]) == (True, 2, "pm1")
    assert happened(office.store, 1) == [
        "order.placed",
        "box.renewed",
        "autorenew.switched_on",
        "payment.registered",
    ]
    assert details(office.store, "box.renewed")[0]["method"] == kind
    assert_books_are_right(office.store, office.settings)


def test_a_box_paid_by_card_does_not_renew_itself_where_that_is_not_wanted(office: Office) -> None:
    paid = pay(office, with_method(office, "card"), amount=2416, auto_renew=False)

    assert (paid.applied, paid.renews_itself, paid.hint) == (True, False, None)
    assert box_row(office.store, 1)["auto_renew"] is False


def test_a_box_paid_by_bank_transfer_does_not_renew_itself(office: Office) -> None:
    paid = pay(office, with_method(office, "card", ordered="bank_transfer"), amount=2416)

    assert (paid.applied, paid.renews_itself, paid.hint) == (True, False, None)


def test_how_it_was_paid_in_the_end_counts_and_not_how_it_was_to_be(office: Office) -> None:
    paid = pay(office, with_method(office, "card", ordered="bank_transfer"), amount=2416, paid_by="card")

    assert paid.renews_itself


def test_without_a_stored_card_the_box_is_renewed_and_the_answer_says_what_is_missing(office: Office) -> None:
    paid = pay(office, with_method(office, "paypal"), amount=2416)

    assert (paid.applied, paid.renews_itself) == (True, False)
    assert paid.hint == "No card of the holder to charge is stored, or more than one: register it, or name it."


def test_of_several_cards_the_one_that_is_named_is_charged_from_now_on(office: Office) -> None:
    order = with_method(office, "card")
    with office.store.write() as connection:
        factories.method(connection, "pm2")

    assert pay(office, order, amount=2416, payment_method_id="pm2").renews_itself
    assert box_row(office.store, 1)["payment_method_id"] == "pm2"


@pytest.mark.parametrize("named", ["pm2", "pm-of-nobody"])
def test_a_card_of_somebody_else_is_refused(office: Office, named: str) -> None:
    order = with_method(office, "card")
    with office.store.write() as connection:
        factories.customer(connection, "c2")
        factories.method(connection, "pm2", "c2")

    sentence = f"{named} is no payment method of this holder of the kind card."
    assert refused(office, order, amount=2416, payment_method_id=named) == sentence


def test_a_plan_that_does_not_renew_itself_does_not_begin_to(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        box = factories.box(connection, plan="domain", annual_price=990)
        factories.order(connection, "R-1", box_id=box)

    paid = pay(office, "R-1", paid_by="card")

    assert (paid.applied, paid.renews_itself, paid.hint) == (True, False, "Plan Domain does not renew itself.")


# Paid from credit


def pay_by_credit(office: Office, order: str, customer_id: str | None = None) -> Paid:
    clerk = Operator("anna", None, ON)
    return pay_from_credit(office.store, factories.CATALOG, clerk, order, request_id="r-1", customer_id=customer_id)


def test_credit_pays_an_open_order(office: Office, declined_box: int) -> None:
    with office.store.write() as connection:
        connection.execute(update(tables.customers).values(credit_cents=1600))
        factories.credit_entry(connection, amount=1600, balance_after=1600)

    paid = pay_by_credit(office, "R-1")

    assert (paid.applied, paid.expires_on) == (True, NEXT_E)
    assert [(row["amount_cents"], row["reason"]) for row in look(office.store, tables.credit_entries)] == [
        (1600, "correction"),
        (-1513, "renewal"),
    ]
    assert details(office.store, "box.renewed")[0]["method"] == "credit"
    assert expires_on(office.store, declined_box) == NEXT_E
    assert_books_are_right(office.store, office.settings)


def test_no_credit_is_taken_for_an_order_whose_charge_may_have_succeeded(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token="sandbox_lost_answer_paid", credit=5000)
    office.day(FIRST_SLOT)

    with pytest.raises(Refused, match="nobody knows the outcome yet: no credit is taken for what may be paid already"):
        pay_by_credit(office, f"R-{box}-20270331")

    assert [row["credit_cents"] for row in look(office.store, tables.customers)] == [5000]
    assert expires_on(office.store, box) == E


@pytest.mark.usefixtures("declined_box")
def test_an_order_that_is_paid_from_credit_without_a_debit_would_be_found(office: Office) -> None:
    with office.store.write() as connection:
        connection.execute(update(tables.customers).values(credit_cents=1600))
        factories.credit_entry(connection, amount=1600, balance_after=1600)
    pay_by_credit(office, "R-1")
    with office.store.write() as connection:
        connection.execute(delete(tables.credit_entries).where(tables.credit_entries.c.amount_cents < 0))

    found = breaches(office.store, office.settings)

    assert found["paid_once"] == [("paid, but there is no payment for it", "order:R-1")]


@pytest.mark.usefixtures("declined_box")
def test_credit_that_does_not_suffice_pays_nothing_and_what_is_missing_is_named(office: Office) -> None:
    before = everything(office.store)

    with pytest.raises(Refused) as refusal:
        pay_by_credit(office, "R-1")

    assert str(refusal.value) == "The credit of 0.00 does not suffice for 15.13: top up by 15.13 at least."
    assert everything(office.store) == before


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ("R-2", "There is no order R-2."),
        ("R-9", "Order R-9 cannot be paid: it was cancelled."),
    ],
)
def test_credit_does_not_pay_what_is_not_open(office: Office, order: str, sentence: str) -> None:
    _cancelled(office)

    with pytest.raises(Refused) as refusal:
        pay_by_credit(office, order)

    assert str(refusal.value) == sentence


@pytest.mark.usefixtures("declined_box")
def test_a_holder_does_not_pay_the_orders_of_others(office: Office) -> None:
    with pytest.raises(Refused, match=r"There is no order R-1\."):
        pay_by_credit(office, "R-1", "c2")


# Applied to another order


def apply(office: Office, order: str, reference: str = "CRO-1") -> Paid:
    clerk = Operator("anna", "they meant this one", ON)
    return apply_payment(office.store, factories.CATALOG, clerk, reference, order, request_id=uuid.uuid4().hex)


def test_a_payment_under_a_wrong_number_is_applied_to_the_order_that_was_meant(
    office: Office, declined_box: int
) -> None:
    pay(office, "R-7", amount=1513)

    paid = apply(office, "R-1")

    assert (paid.applied, paid.expires_on) == (True, NEXT_E)
    assert registered(office) == [("CRO-1", True)]
    assert happened(office.store, declined_box) == ["box.renewed", "payment.applied"]
    assert_books_are_right(office.store, office.settings)
    with pytest.raises(Refused, match="There is no unapplied payment CRO-1"):
        apply(office, "R-1")


def test_a_box_whose_unapplied_payment_went_to_another_waits_for_the_next_run_and_the_books_are_right(
    office: Office,
) -> None:
    with office.store.write() as connection:
        kept = renewing_box(connection, "a", auto_renew=False)
        renewing_box(connection, "b", auto_renew=False)
    after = E + timedelta(days=1)
    numbers = [
        place_renewals(
            office.store,
            factories.CATALOG,
            Operator("anna", None, after),
            [f"{name}@pec.example.it"],
            Wanted(years, "bank_transfer"),
            request_id=name,
        ).orders[0]
        for name, years in (("a", 1), ("b", 2))
    ]
    pay(office, numbers[0].order_number, amount=numbers[1].gross_cents, on=after)
    office.day(after)

    apply_payment(
        office.store,
        factories.CATALOG,
        Operator("anna", None, after),
        "CRO-1",
        numbers[1].order_number,
        request_id="apply",
    )
    assert status(office.store, kept) == "active"
    assert_books_are_right(office.store, office.settings)

    office.day(after + timedelta(days=1))
    assert status(office.store, kept) == "suspended"


@pytest.mark.parametrize("wanted", [True, False])
def test_what_was_said_of_auto_renew_with_the_payment_counts_when_it_is_applied(
    office: Office, *, wanted: bool
) -> None:
    order = with_method(office, "card")
    pay(office, "R-7", amount=2416, paid_by="card", auto_renew=wanted)

    assert apply(office, order).renews_itself is wanted


@pytest.mark.usefixtures("declined_box")
@pytest.mark.parametrize(
    ("amount", "order", "reference", "sentence"),
    [
        (
            1512,
            "R-1",
            "CRO-1",
            "Order R-1 cannot take the payment CRO-1: it is for 15.13, not 15.12.",
        ),
        (1513, "R-8", "CRO-1", "Order R-8 cannot take the payment CRO-1: there is no order R-8."),
        (1513, "R-1", "CRO-2", "There is no unapplied payment CRO-2. See: lifecycle-jobs refunds list"),
    ],
)
def test_a_payment_is_applied_only_to_an_order_of_its_amount(
    office: Office, amount: int, order: str, reference: str, sentence: str
) -> None:
    pay(office, "R-7", amount=amount)

    with pytest.raises(Refused) as refusal:
        apply(office, order, reference)

    assert str(refusal.value) == sentence
    assert registered(office) == [("CRO-1", False)]


def test_what_was_given_back_is_not_applied_any_more(office: Office) -> None:
    pay(office, "R-7")
    refunds.note(office.store, Operator("anna", None, ON).operation(), "CRO-1", reference="back")

    with pytest.raises(Refused, match="There is no unapplied payment CRO-1"):
        apply(office, "R-1")


# Notice to quit


@pytest.mark.parametrize(("given_since", "stands"), [(None, None), (ON, ON)])
def test_paying_an_order_voids_the_notice_that_was_given_before_it_and_no_later_one(
    office: Office, given_since: date | None, stands: date | None
) -> None:
    order = with_method(office, "card", ordered="bank_transfer", cancelled_on=date(2027, 3, 1))
    if given_since is not None:
        change(office.store, tables.boxes, 1, cancelled_on=given_since)

    pay(office, order, amount=2416)

    assert box_row(office.store, 1)["cancelled_on"] == stands
