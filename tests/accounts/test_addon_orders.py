"""Extra space on an order: what it costs, when the box has it, and that no renewal is charged at another price."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from lifecycle_jobs.accounts import (
    Extra,
    OrderedAddon,
    Paid,
    Payment,
    Wanted,
    cancel_order,
    order_addon,
    pay_from_credit,
    pay_order,
    place_renewals,
)
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.mail.delivery import deliver_now
from lifecycle_jobs.operators import Operator
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, addon_row, box_row, change, details, everything, look, renewing_box, tried

E = factories.EXPIRES_ON
ON = date(2026, 1, 31)
LATE = date(2027, 1, 10)
MARIO = "mario.rossi@pec.example.it"
ONE_GB = Extra("extra_inbox", 1)


def clerk(on: date = ON) -> Operator:
    return Operator("anna", "asked for it", on)


def order(
    office: Office, extra: Extra = ONE_GB, pay_by: Any = "bank_transfer", *, on: date = ON, **more: Any
) -> OrderedAddon:
    usual: dict[str, Any] = {"request_id": "order"}
    address = more.pop("address", MARIO)
    return order_addon(office.store, factories.CATALOG, clerk(on), address, extra, pay_by, **(usual | more))


def pay(office: Office, number: str, *, on: date = ON, amount: int = 610, **more: Any) -> Paid:
    payment = Payment(amount, more.pop("reference", "CRO-1"), on, **more)
    return pay_order(office.store, factories.CATALOG, clerk(on), number, payment, request_id=f"pay-{payment.reference}")


def number_of(ordered: OrderedAddon) -> str:
    assert ordered.order_number is not None
    return ordered.order_number


def refused(office: Office, **more: Any) -> str:
    before = everything(office.store)
    with pytest.raises(Refused) as refusal:
        order(office, **more)
    assert everything(office.store) == before
    return str(refusal.value)


@pytest.fixture
def box(office: Office) -> int:
    """A pro box that nothing renews by itself; its holder has a card and some credit."""
    with office.store.write() as connection:
        factories.customer(connection, credit=10_000)
        factories.method(connection)
        return factories.box(connection, MARIO, plan="pro")


def test_ordered_fourteen_months_before_its_end_two_years_are_to_be_paid_and_only_that_brings_it(
    office: Office, box: int
) -> None:
    ordered = order(office)

    assert (ordered.years, ordered.gross_cents, ordered.paid_until, ordered.addon_id) == (2, 610, E, None)
    assert look(office.store, tables.addons) == []
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["addon.ordered"]

    paid = pay(office, number_of(ordered))

    assert (paid.applied, paid.renews_itself, paid.expires_on) == (True, False, E)
    addon = addon_row(office.store, str(paid.addon_id))
    assert (addon["box_id"], addon["status"], addon["paid_from"], addon["expires_on"]) == (box, "active", "renewal", E)
    assert [row["renewal"] for row in details(office.store, "addon.bought")] == ["33.55"]
    assert_books_are_right(office.store, office.settings)


def test_paid_by_card_the_box_renews_itself_in_its_own_rhythm_and_the_renewal_includes_it(
    office: Office, box: int
) -> None:
    pay(office, number_of(order(office, pay_by="card")))

    row = box_row(office.store, box)
    assert (row["auto_renew"], row["renewal_years"], row["payment_method_id"]) == (True, 1, "pm1")
    office.day(E - timedelta(days=7))
    assert [row["gross"] for row in details(office.store, "box.renewed")] == ["33.55"]
    assert [row["expires_on"] for row in look(office.store, tables.addons)] == [date(2028, 3, 31)]
    assert_books_are_right(office.store, office.settings)


def test_less_than_three_months_before_its_end_it_is_there_at_once_and_on_the_next_renewal(
    office: Office, box: int
) -> None:
    ordered = order(office, on=LATE)

    assert (ordered.gross_cents, ordered.order_number) == (0, None)
    assert addon_row(office.store, str(ordered.addon_id))["paid_from"] == "renewal"
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["addon.bought"]
    placed = place_renewals(
        office.store, factories.CATALOG, clerk(LATE), [MARIO], Wanted(1, "bank_transfer"), request_id="renew"
    )
    assert [each.gross_cents for each in placed.orders] == [3355]
    assert box_row(office.store, box)["auto_renew"] is False


def test_asked_again_it_is_ordered_once(office: Office, box: int) -> None:
    first = order(office)
    before = everything(office.store)

    assert order(office) == first
    assert (everything(office.store), box) == (before, 1)


def test_while_an_order_of_the_box_waits_nothing_is_ordered(office: Office, box: int) -> None:
    ordered = number_of(order(office))
    sentence = (
        f"{MARIO} has an order that waits for its payment: {ordered} for 6.10. Have it paid, or cancel it first "
        f"(lifecycle-jobs order cancel {ordered})."
    )
    assert refused(office, request_id="again") == sentence

    cancel_order(office.store, clerk(), ordered, request_id="cancel")
    place_renewals(office.store, factories.CATALOG, clerk(), [MARIO], Wanted(1, "card"), request_id="renew")
    assert f"R-{box}-20270331 for 30.50" in refused(office, request_id="again")


def test_while_the_box_is_being_charged_nothing_is_ordered(office: Office) -> None:
    with office.store.write() as connection:
        tried(connection, renewing_box(connection, plan="pro"), 7, "unknown")

    assert refused(office, address="a@pec.example.it").startswith("a@pec.example.it is being charged, and nobody knows")


def test_an_order_for_space_is_cancelled_and_its_holder_told(office: Office, box: int) -> None:
    number = number_of(order(office))

    cancelled = cancel_order(office.store, clerk(), number, request_id="cancel")

    assert (cancelled.address, cancelled.renews_itself, box) == (MARIO, False, 1)
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["addon.ordered", "addon.order_cancelled"]
    assert pay(office, number).unapplied_because == "it was cancelled"


@pytest.mark.parametrize(
    ("then", "because"),
    [
        ("renewal_ordered", "the renewal order R-1-20270331 of its box must be paid or cancelled first"),
        ("ended", "its box has ended on 2027-03-31"),
        ("suspended", "its box is suspended"),
        ("charging", "its box is being charged, and nobody knows the outcome yet"),
        ("smaller", f"{MARIO}: plan Standard takes at most 1 GB of extra inbox"),
        ("other_amount", "it is for 12.20, not 6.10"),
    ],
)
@pytest.mark.usefixtures("box")
def test_money_that_its_order_cannot_take_any_more_is_kept_as_an_unapplied_payment(
    office: Office, then: str, because: str
) -> None:
    number = number_of(order(office, Extra("extra_inbox", 2)))
    amount, on = 1220, ON
    if then == "renewal_ordered":
        place_renewals(office.store, factories.CATALOG, clerk(), [MARIO], Wanted(1, "card"), request_id="renew")
    elif then == "ended":
        on = E + timedelta(days=1)
    elif then == "other_amount":
        amount = 610
    else:
        with office.store.write() as connection:
            if then == "charging":
                connection.execute(tables.boxes.update().values(payment_method_id="pm1"))
                tried(connection, 1, 7, "unknown")
            else:
                suspended = {"status": "suspended", "suspended_on": ON, "suspended_reason": "dispute"}
                connection.execute(
                    tables.boxes.update().values(**(suspended if then == "suspended" else {"plan": "standard"}))
                )

    paid = pay(office, number, on=on, amount=amount)

    assert paid.applied is False
    assert str(paid.unapplied_because).startswith(because)
    assert look(office.store, tables.addons) == []
    assert_books_are_right(office.store, office.settings)


@pytest.mark.usefixtures("box")
def test_credit_does_not_pay_such_an_order(office: Office) -> None:
    number = number_of(order(office))

    with pytest.raises(Refused) as refusal:
        pay_from_credit(office.store, factories.CATALOG, clerk(), number, request_id="credit")

    assert str(refusal.value) == (
        f"Order {number} is for extra space. To pay that from credit, cancel the order and buy it (lifecycle-jobs "
        "addon buy)."
    )


@pytest.mark.usefixtures("box")
@pytest.mark.parametrize("ended_by", ["payment", "cancellation"])
def test_who_has_paid_or_cancelled_it_is_no_longer_asked_to_pay(office: Office, ended_by: str) -> None:
    number = number_of(order(office))
    if ended_by == "payment":
        pay(office, number)
    else:
        cancel_order(office.store, clerk(), number, request_id="cancel")

    deliver_now(office.store, office.settings, ON, lambda _name, _rows: None)

    told = {row["kind"]: row["status"] for row in look(office.store, tables.messages)}
    news = "addon.bought" if ended_by == "payment" else "addon.order_cancelled"
    assert told == {"addon.ordered": "moot", news: "sent"}


def test_who_has_lost_the_box_is_no_longer_asked_to_pay(office: Office, box: int) -> None:
    order(office)
    change(office.store, tables.boxes, box, status="deleted", deleted_on=ON)

    deliver_now(office.store, office.settings, ON, lambda _name, _rows: None)

    assert [row["status"] for row in look(office.store, tables.messages)] == ["moot"]


@pytest.mark.usefixtures("box")
def test_as_long_as_it_is_to_be_paid_its_holder_is_told(office: Office) -> None:
    order(office)

    deliver_now(office.store, office.settings, ON, lambda _name, _rows: None)

    assert [row["status"] for row in look(office.store, tables.messages)] == ["sent"]
