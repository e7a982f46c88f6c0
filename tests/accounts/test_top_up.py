"""Prepaid credit: money registered for it, once; and the statement of what became of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.accounts import Entry, Payment, Statement, ToppedUp, pay_order, register_top_up, state_credit
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, broken, details, everything, look, while_waiting

ON = date(2027, 2, 1)


def clerk(on: date = ON) -> Operator:
    return Operator("anna", "the bank's list", on)


def register(office: Office, *, request_id: str = "r-1", **more: Any) -> ToppedUp:
    usual: dict[str, Any] = {"amount_cents": 1000, "reference": "CRO-1", "paid_on": ON}
    customer = more.pop("customer_id", "c1")
    return register_top_up(office.store, clerk(), customer, request_id=request_id, **(usual | more))


def refused(office: Office, **more: Any) -> str:
    before = everything(office.store)
    with pytest.raises(Refused) as refusal:
        register(office, **more)
    assert everything(office.store) == before
    return str(refusal.value)


@pytest.fixture
def holder(office: Office) -> str:
    with office.store.write() as connection:
        return factories.customer(connection, credit=848)


@pytest.mark.usefixtures("holder")
def test_money_that_arrived_is_credit_with_an_order_without_vat_and_its_holder_is_told(office: Office) -> None:
    topped_up = register(office)

    assert topped_up == ToppedUp(topped_up.order_number, "c1", 1000, 1848)
    (order,) = look(office.store, tables.orders)
    assert (order["kind"], order["net_cents"], order["vat_cents"], order["status"]) == ("topup", 1000, 0, "paid")
    (payment,) = look(office.store, tables.registered_payments)
    assert (payment["reference"], payment["effective"], payment["order_id"]) == ("CRO-1", True, order["id"])
    assert details(office.store, "credit.topped_up") == [
        {"order_number": topped_up.order_number, "amount": "10.00", "balance": "18.48", "by_card": False}
    ]
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["credit.topped_up"]
    assert_books_are_right(office.store, office.settings)


@pytest.mark.usefixtures("holder")
def test_asked_again_or_under_the_same_reference_it_is_credit_once(office: Office) -> None:
    first = register(office)
    before = everything(office.store)

    assert register(office) == first
    assert register(office, request_id="r-2") == ToppedUp(first.order_number, "c1", 1000, 1848, known=True)
    assert everything(office.store) == before


@pytest.mark.usefixtures("holder")
def test_a_reference_of_another_payment_is_refused(office: Office) -> None:
    register(office)
    with office.store.write() as connection:
        factories.customer(connection, "c2")
        factories.order(connection, "R-9", box_id=factories.box(connection))
    pay_order(
        office.store, factories.CATALOG, clerk(), "R-9", Payment(1208, "CRO-2", ON, "bank_transfer"), request_id="pay"
    )

    for more in ({"amount_cents": 999}, {"customer_id": "c2"}, {"reference": "CRO-2", "amount_cents": 1208}):
        sentence = refused(office, request_id="r-2", **more)
        assert sentence == (
            f"The reference {more.get('reference', 'CRO-1')} stands for another payment already. Nothing was done."
        )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"customer_id": "c9"}, "There is no customer c9."),
        ({"amount_cents": 0}, "A top-up is of one cent at the least."),
        ({"paid_on": date(2027, 2, 2)}, "2027-02-02 lies in the future: nothing can have been paid then."),
    ],
)
@pytest.mark.usefixtures("holder")
def test_what_cannot_be_is_refused(office: Office, more: dict[str, Any], sentence: str) -> None:
    assert refused(office, **more) == sentence


@pytest.mark.usefixtures("holder")
def test_what_cannot_be_written_in_full_is_not_written_at_all(office: Office) -> None:
    before = everything(office.store)
    with (
        broken(office.store, "messages", "INSERT", "NEW.kind = 'credit.topped_up'"),
        pytest.raises(Exception, match="broken"),
    ):
        register(office)

    assert everything(office.store) == before
    assert look(office.store, tables.registered_payments) == []


def test_the_same_reference_typed_by_two_clerks_at_the_same_moment_is_credit_once(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection, credit=848)
        factories.customer(connection, "c2")
        order = factories.order(connection, "R-9", box_id=factories.box(connection))
    answers: list[str] = []

    def other_clerk(connection: Connection) -> None:
        factories.registered_payment(connection, "CRO-1", order_id=order, effective=False)

    def this_clerk() -> None:
        with pytest.raises(Refused) as refusal:
            register(office)
        answers.append(str(refusal.value))

    while_waiting(office, other_clerk, this_clerk)

    assert answers == ["The reference CRO-1 was registered at this very moment. Nothing was done; look again."]


def test_the_database_lets_a_top_up_become_credit_once(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.credit_entry(connection, amount=1, balance_after=1, reason="topup", reference="T-1")

    with pytest.raises(IntegrityError), office.store.write() as connection:
        factories.credit_entry(connection, amount=1, balance_after=2, reason="topup", reference="T-1")


@pytest.mark.usefixtures("holder")
def test_the_statement_names_every_entry_and_what_was_left(office: Office) -> None:
    number = register(office).order_number

    with office.store.read() as connection:
        everything_since, later = state_credit(connection, "c1"), state_credit(connection, "c1", ON)

    topped_up = Entry(ON, "topup", number, 1000, 1848)
    opening = Entry(factories.LONG_AGO, "opening", None, 848, 848)
    assert everything_since == Statement("c1", "Mario Rossi", 1848, None, (opening, topped_up))
    assert later.entries == (topped_up,)


def test_there_is_no_statement_of_nobody(office: Office) -> None:
    with office.store.read() as connection, pytest.raises(Refused, match=r"^There is no customer c9\.$"):
        state_credit(connection, "c9")
