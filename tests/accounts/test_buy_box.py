"""A box is sold once it is paid; a deleted address only to whom it belonged, and as a new box (SPEC §2, §3 delete)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from lifecycle_jobs.accounts import BoughtBox, FirstPayment, Payment, Purchase, buy_box, pay_order
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from tests import factories
from tests.accounts.asking import clerk, letters, queued, refused
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    Office,
    box_row,
    charged,
    details,
    everything,
    happened,
    look,
    status,
    while_waiting,
)

ON = date(2027, 4, 1)
E = date(2028, 3, 31)
ADDRESS = "nuova@pec.example.it"
TRANSFER = FirstPayment("bank_transfer", 1208, "CRO-1")
WRONG_AMOUNT = (
    "It costs 12.08, not 12.00. Money that arrived is not lost: lifecycle-jobs order pay NONE --amount 12.00 "
    "--reference CRO-1 keeps it as an unapplied payment, to be given back or applied."
)


def buy(
    office: Office,
    payment: FirstPayment = TRANSFER,
    *,
    on: date = ON,
    request_id: str = "buy",
    address: str = ADDRESS,
    customer: str = "c1",
    plan: str = "standard",
    years: int | None = 1,
    **more: Any,
) -> BoughtBox:
    purchase = Purchase(customer, address, plan, years, **more)
    return buy_box(office.store, factories.CATALOG, clerk(on), purchase, payment, request_id=request_id)


@pytest.fixture
def holder(office: Office) -> str:
    """A holder with a card and some credit."""
    with office.store.write() as connection:
        factories.customer(connection, tax_id="RSSMRA80A01H501U", credit=1500)
        return factories.method(connection)


def _unapplied(office: Office, reference: str = "CRO-7", amount: int = 1208) -> None:
    payment = Payment(amount, reference, ON)
    assert not pay_order(
        office.store, factories.CATALOG, clerk(ON), "NONE", payment, request_id=f"kept-{reference}"
    ).applied


@pytest.mark.usefixtures("holder")
def test_a_box_that_is_paid_is_there_and_works_a_full_year_from_today(office: Office) -> None:
    bought = buy(office)

    assert bought == BoughtBox(
        address=ADDRESS,
        box_id=1,
        order_number="R-1-20270331",
        expires_on=E,
        gross_cents=1208,
        renews_itself=False,
        deleted_on=None,
        hint=None,
    )
    box = box_row(office.store, 1)
    assert (box["status"], box["expires_on"], box["plan"], box["customer_id"]) == ("active", E, "standard", "c1")
    (order,) = look(office.store, tables.orders)
    assert (order["status"], order["paid_on"], order["gross_cents"]) == ("paid", ON, 1208)
    assert happened(office.store, 1) == ["payment.registered", "box.bought"]
    office.day(ON)
    assert_books_are_right(office.store, office.settings)


@pytest.mark.usefixtures("holder")
def test_its_holder_is_welcomed_once_and_has_a_receipt(office: Office) -> None:
    buy(office)

    (text,) = letters(office, ON)
    assert queued(office) == ["box.bought"]
    assert "è attiva dal 1º aprile 2027 ed è valida fino al 31 marzo 2028 compreso" in text
    assert "Imponibile 9,90 € + IVA 2,18 €, pagamento manuale" in text.replace("\u00a0", " ")


@pytest.mark.usefixtures("holder")
def test_the_platform_is_told_all_that_it_needs_to_create_it(office: Office) -> None:
    buy(office, FirstPayment("bank_transfer", 3050, "CRO-1"), plan="pro")

    (told,) = details(office.store, "box.bought")
    assert {key: told[key] for key in ("plan", "inbox_gb", "archive_gb", "new_expires_on")} == {
        "plan": "pro",
        "inbox_gb": 2,
        "archive_gb": 3,
        "new_expires_on": "2028-03-31",
    }


def test_paid_by_card_it_renews_itself_in_the_same_rhythm(office: Office, holder: str) -> None:
    assert buy(office, FirstPayment("card", 2416, "pi_1"), years=2).renews_itself

    box = box_row(office.store, 1)
    assert (box["auto_renew"], box["renewal_years"], box["payment_method_id"]) == (True, 2, holder)
    office.day(date(2029, 3, 24))
    assert charged(office.store) == [(7, "succeeded")]
    assert box_row(office.store, 1)["expires_on"] == date(2031, 3, 31)
    assert_books_are_right(office.store, office.settings)


@pytest.mark.usefixtures("holder")
def test_by_card_without_auto_renew_or_without_a_card_it_does_not_renew_itself(office: Office) -> None:
    off = buy(office, FirstPayment("card", 1208, "pi_1"), auto_renew=False)
    none = buy(office, FirstPayment("paypal", 1208, "pi_2"), address="due@pec.example.it", request_id="second")

    assert (off.renews_itself, off.hint) == (False, None)
    assert none.renews_itself is False
    assert none.hint == "No paypal of the holder to charge is stored, or more than one: register it, or name it."


@pytest.mark.usefixtures("holder")
def test_credit_pays_it_through_the_ledger(office: Office) -> None:
    buy(office, FirstPayment("credit"))

    assert [row["credit_cents"] for row in look(office.store, tables.customers)] == [292]
    entry = look(office.store, tables.credit_entries)[-1]
    assert (entry["amount_cents"], entry["reference"]) == (-1208, "R-1-20270331")
    assert_books_are_right(office.store, office.settings)
    sentence = "The credit of 2.92 does not suffice for 12.08: top up by 9.16 at least."
    again: dict[str, Any] = {"address": "due@pec.example.it", "request_id": "second"}
    assert refused(office, lambda: buy(office, FirstPayment("credit"), **again)) == sentence


@pytest.mark.usefixtures("holder")
def test_under_an_agreement_nothing_is_collected_and_it_renews_itself(office: Office) -> None:
    assert refused(office, lambda: buy(office, FirstPayment("agreement"))) == (
        "This holder has no agreement to be invoiced under, or more than one: name it (--method ID)."
    )
    with office.store.write() as connection:
        factories.method(connection, "agreed", kind="agreement", token=None)

    assert buy(office, FirstPayment("agreement")).renews_itself

    assert [row["status"] for row in look(office.store, tables.orders)] == ["on_account"]
    assert_books_are_right(office.store, office.settings)


@pytest.mark.usefixtures("holder")
def test_an_unapplied_payment_pays_it_under_its_reference(office: Office) -> None:
    _unapplied(office)

    buy(office, FirstPayment("bank_transfer", 1208, "CRO-7"))

    (payment,) = look(office.store, tables.registered_payments)
    assert (payment["effective"], payment["order_number"]) == (True, "R-1-20270331")
    assert happened(office.store, 1) == ["payment.applied", "box.bought"]
    assert_books_are_right(office.store, office.settings)


@pytest.mark.usefixtures("holder")
def test_a_reference_of_another_payment_is_refused(office: Office) -> None:
    sentence = "The reference CRO-1 stands for another payment already. Nothing was done."
    buy(office)
    again: dict[str, Any] = {"address": "due@pec.example.it", "request_id": "second"}
    assert refused(office, lambda: buy(office, **again)) == sentence
    _unapplied(office, amount=1000)
    assert "The reference CRO-7 stands for another payment" in refused(
        office, lambda: buy(office, FirstPayment("bank_transfer", 1208, "CRO-7"), **again)
    )


# A deleted address


def _deleted(connection: Connection, customer: str, tax_id: str | None, on: date = ON) -> int:
    factories.customer(connection, customer, tax_id=tax_id)
    box = factories.box(connection, ADDRESS, customer_id=customer, status="deleted", deleted_on=on)
    factories.event(connection, "box.deleted", occurred_on=on, box_id=box, customer_id=customer)
    return box


@pytest.mark.usefixtures("holder")
@pytest.mark.parametrize("former", ["RSSMRA80A01H501U", None])
def test_a_deleted_address_is_sold_to_a_holder_of_the_same_tax_id_and_to_no_other(
    office: Office, former: str | None
) -> None:
    with office.store.write() as connection:
        _deleted(connection, "c2", former)
        factories.customer(connection, "c3", tax_id="01234567890")

    sentence = (
        f"{ADDRESS} was deleted on 2027-04-01 and is reserved for its former holder: only one with the same tax id may "
        "take it again. Choose another address."
    )
    assert refused(office, lambda: buy(office, customer="c3")) == sentence
    if former is None:
        assert refused(office, lambda: buy(office)) == sentence
        assert buy(office, customer="c2").deleted_on == ON
    else:
        assert buy(office).deleted_on == ON


@pytest.mark.usefixtures("holder")
def test_the_tombstone_stays_and_its_history_is_not_the_new_boxs(office: Office) -> None:
    with office.store.write() as connection:
        old = _deleted(connection, "c2", "RSSMRA80A01H501U")
    tombstone = box_row(office.store, old)

    new = buy(office, address=ADDRESS.upper()).box_id

    assert box_row(office.store, old) == tombstone
    assert happened(office.store, old) == ["box.deleted"]
    assert happened(office.store, new) == ["payment.registered", "box.bought"]
    assert "la casella è nuova e vuota" in letters(office, ON)[0]
    assert_books_are_right(office.store, office.settings)


@pytest.mark.usefixtures("holder")
def test_a_life_from_purchase_to_purchase(office: Office) -> None:
    first = buy(office).box_id
    for on in (E + timedelta(days=1), E + timedelta(days=91)):
        office.day(on)
    assert status(office.store, first) == "deleted"

    deleted_on = E + timedelta(days=91)
    again = buy(office, FirstPayment("credit"), on=deleted_on, request_id="again")

    assert (again.deleted_on, again.box_id != first) == (deleted_on, True)
    assert box_row(office.store, again.box_id)["expires_on"] == date(2029, 6, 29)
    assert_books_are_right(office.store, office.settings)


# With a domain


def test_a_box_on_a_domain_costs_nothing_and_ends_with_the_others_on_it(office: Office, holder: str) -> None:
    assert holder
    domain: dict[str, Any] = {"plan": "domain", "years": None, "domain": "esempio.it"}
    assert refused(office, lambda: buy(office, FirstPayment(), **domain)) == (
        "Say until when the domain esempio.it is paid (--until DATE): there is no box on it yet."
    )
    first = buy(office, FirstPayment(), **domain, until=date(2027, 12, 31))
    second = buy(office, FirstPayment(), **domain, address="due@pec.example.it", request_id="second")

    assert (first.gross_cents, first.expires_on, second.expires_on) == (0, date(2027, 12, 31), date(2027, 12, 31))
    assert box_row(office.store, second.box_id)["domain"] == "esempio.it"
    assert_books_are_right(office.store, office.settings)
    assert refused(office, lambda: buy(office, FirstPayment(), **domain, on=date(2028, 1, 1), request_id="late")) == (
        f"{ADDRESS} is taken. Choose another address."
    )
    late: dict[str, Any] = {"on": date(2028, 1, 1), "address": "tre@pec.example.it", "request_id": "late"}
    assert refused(office, lambda: buy(office, FirstPayment(), **domain, **late)) == (
        "The domain esempio.it has ended on 2027-12-31. Renew it first (lifecycle-jobs domain renew esempio.it)."
    )


def test_a_box_on_a_domain_ends_on_no_other_day_than_the_others_on_it(office: Office, holder: str) -> None:
    assert holder
    domain: dict[str, Any] = {"plan": "domain", "years": None, "domain": "esempio.it"}
    buy(office, FirstPayment(), **domain, until=date(2027, 12, 31))
    later: dict[str, Any] = {"address": "due@pec.example.it", "until": date(2028, 12, 31), "request_id": "later"}

    told = refused(office, lambda: buy(office, FirstPayment(), **domain, **later))

    assert told == (
        "A box on the domain esempio.it cannot end on 2028-12-31: its boxes end on 2027-12-31. If the domain is paid "
        "until then, renew it first (lifecycle-jobs domain renew esempio.it --until 2028-12-31)."
    )
    same: dict[str, Any] = later | {"until": date(2027, 12, 31)}
    assert buy(office, FirstPayment(), **domain, **same).expires_on == date(2027, 12, 31)


def test_a_box_that_its_holder_has_cancelled_does_not_say_when_the_domain_ends(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        domain: dict[str, Any] = {"plan": "domain", "domain": "esempio.it"}
        factories.box(connection, "uno@esempio.it", expires_on=date(2028, 12, 31), **domain)
        factories.box(connection, "due@esempio.it", expires_on=date(2027, 12, 31), cancelled_on=ON, **domain)

    bought = buy(office, FirstPayment(), years=None, **domain)

    assert bought.expires_on == date(2028, 12, 31)


def test_a_box_sold_while_its_domain_is_renewed_ends_on_the_new_day(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "uno@esempio.it", plan="domain", domain="esempio.it", expires_on=date(2027, 12, 31))

    def renew(connection: Connection) -> None:
        connection.execute(update(tables.boxes).values(expires_on=date(2028, 12, 31)))

    while_waiting(office, renew, lambda: buy(office, FirstPayment(), plan="domain", years=None, domain="esempio.it"))

    assert {row["expires_on"] for row in look(office.store, tables.boxes)} == {date(2028, 12, 31)}


# Refusals


@pytest.mark.parametrize(
    ("payment", "wanted", "sentence"),
    [
        (FirstPayment(), {}, "It costs 12.08: say how it is paid (--pay)."),
        (
            FirstPayment("bank_transfer"),
            {},
            "It costs 12.08: say what arrived, and what the bank calls it (--amount, --reference).",
        ),
        (
            FirstPayment("bank_transfer", 1200, "CRO-1"),
            {},
            WRONG_AMOUNT,
        ),
        (
            FirstPayment("credit", 1208),
            {},
            "It costs 12.08, which credit pays: leave out amount and reference.",
        ),
        (
            FirstPayment("card", 1208, "pi_1", ON + timedelta(days=1)),
            {},
            "2027-04-02 lies in the future: nothing can have been paid then.",
        ),
        (TRANSFER, {"customer": "c9"}, "There is no customer c9. Import the holder first (customers.csv)."),
        (TRANSFER, {"address": "nuova"}, "nuova cannot be sold: the e-mail address has no @."),
        (TRANSFER, {"plan": "gold"}, "There is no plan gold. Known: domain, premium, pro, promo, standard."),
        (TRANSFER, {"plan": "domain"}, "Plan Domain comes with a domain: name it (--domain NAME)."),
        (TRANSFER, {"domain": "e.it"}, "Plan Standard is not sold with a domain: leave the domain out."),
        (TRANSFER, {"plan": "promo", "years": 3}, "Plan Promo is sold for 1 to 2 years, not 3."),
        (
            TRANSFER,
            {"years": None},
            "Say for how many years (--years N); only a box on a domain ends on a date of its own.",
        ),
        (
            FirstPayment(),
            {"plan": "domain", "domain": "e.it"},
            "A box on a domain ends with that: leave the years out.",
        ),
        (TRANSFER, {"payment_method_id": "pm9"}, "pm9 is no payment method of this holder."),
        (
            FirstPayment("paypal", 1208, "pi_1"),
            {"payment_method_id": "pm1"},
            "pm1 is a payment method of the kind card, not paypal.",
        ),
    ],
)
@pytest.mark.usefixtures("holder")
def test_what_cannot_be_sold_is_refused_with_what_to_do(
    office: Office, payment: FirstPayment, wanted: dict[str, Any], sentence: str
) -> None:
    assert refused(office, lambda: buy(office, payment, **wanted)) == sentence


@pytest.mark.usefixtures("holder")
def test_an_address_that_lives_is_taken_in_whatever_case(office: Office) -> None:
    with office.store.write() as connection:
        factories.box(connection, "Nuova@PEC.example.it")

    assert refused(office, lambda: buy(office)) == f"{ADDRESS} is taken. Choose another address."


@pytest.mark.usefixtures("holder")
def test_asked_again_it_is_sold_once(office: Office) -> None:
    first = buy(office)
    after = everything(office.store)

    assert buy(office) == first
    assert everything(office.store) == after


def test_of_two_who_buy_an_address_at_the_same_moment_one_is_told_to_look_again(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection)
    answers = []

    def buy_too() -> None:
        try:
            buy(office)
        except Refused as refusal:
            answers.append(str(refusal))

    def be_first(connection: Connection) -> None:
        factories.box(connection, ADDRESS)

    while_waiting(office, be_first, buy_too)

    sentence = f"{ADDRESS} was sold, or the payment registered, at this very moment. Nothing was done; look again "
    assert answers == [sentence + "(lifecycle-jobs customer show)."]
    assert look(office.store, tables.registered_payments) == []
