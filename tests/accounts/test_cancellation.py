"""An order that is not to be paid any more: whoever placed it, as long as it is open and nobody charges it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lifecycle_jobs.accounts import CancelledOrder, Wanted, cancel_order, place_renewals
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.mail.delivery import deliver_now
from lifecycle_jobs.operators import Operator
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, box_row, charged, details, everything, look, renewing_box, tried

E = factories.EXPIRES_ON
ON = date(2027, 3, 25)
MARIO = "mario.rossi@pec.example.it"
FIRST_SLOT = E - timedelta(days=7)


def cancel(
    office: Office, number: str, *, on: date = ON, request_id: str = "cancel", customer_id: str | None = None
) -> CancelledOrder:
    clerk = Operator("anna", "asked for it", on)
    return cancel_order(office.store, clerk, number, request_id=request_id, customer_id=customer_id)


def refused(office: Office, number: str, *, customer_id: str | None = None) -> str:
    before = everything(office.store)
    with pytest.raises(Refused) as refusal:
        cancel(office, number, customer_id=customer_id)
    assert everything(office.store) == before
    return str(refusal.value)


def open_order(office: Office) -> str:
    """A box with an order that was placed by hand; its number."""
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection, MARIO)
    clerk = Operator("anna", None, date(2027, 3, 16))
    wanted = Wanted(1, "bank_transfer")
    placed = place_renewals(office.store, factories.CATALOG, clerk, [MARIO], wanted, request_id="order")
    return placed.orders[0].order_number


def test_an_open_order_is_cancelled_and_its_holder_told(office: Office) -> None:
    number = open_order(office)
    before = box_row(office.store, 1)

    assert cancel(office, number) == CancelledOrder(number, MARIO, renews_itself=False)

    assert [row["status"] for row in look(office.store, tables.orders)] == ["cancelled"]
    assert box_row(office.store, 1) == before
    assert details(office.store, "order.cancelled") == [
        {"order_number": number, "gross": "12.08", "renews_itself": False}
    ]
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["order.placed", "order.cancelled"]
    assert_books_are_right(office.store, office.settings)


def test_after_that_the_box_may_be_ordered_anew_under_a_number_of_its_own(office: Office) -> None:
    number = open_order(office)
    cancel(office, number)

    clerk = Operator("anna", None, ON)
    placed = place_renewals(office.store, factories.CATALOG, clerk, [MARIO], Wanted(2, "card"), request_id="again")

    assert [order.order_number for order in placed.orders] == [f"{number}-2"]


def test_an_order_left_by_a_failed_renewal_is_cancelled_and_the_next_slot_places_another(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, token="pm_card_visa_chargeDeclinedInsufficientFunds")
    office.day(FIRST_SLOT)

    assert cancel(office, "R-1-20270331", on=FIRST_SLOT).renews_itself

    office.day(FIRST_SLOT + timedelta(days=2))
    assert charged(office.store) == [(7, "declined"), (5, "declined")]
    assert [(row["order_number"], row["status"]) for row in look(office.store, tables.orders)] == [
        ("R-1-20270331", "cancelled"),
        ("R-1-20270331-2", "awaiting_payment"),
    ]


def test_asked_again_it_is_cancelled_once(office: Office) -> None:
    number = open_order(office)
    first = cancel(office, number)
    before = everything(office.store)

    assert cancel(office, number) == first
    assert everything(office.store) == before


def test_an_order_of_somebody_else_is_not_found(office: Office) -> None:
    number = open_order(office)

    assert refused(office, number, customer_id="c2") == f"There is no order {number}."
    assert cancel(office, number, customer_id="c1").order_number == number


@pytest.mark.parametrize("status", ["paid", "on_account", "cancelled"])
def test_an_order_that_is_not_open_is_refused(office: Office, status: str) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.order(connection, "R-9", box_id=factories.box(connection), status=status)

    state = status.replace("_", " ")
    assert refused(office, "R-9") == (
        f"Order R-9 is {state} already; only one that waits for its payment is cancelled."
    )


def test_an_order_that_is_none_or_a_top_up_is_refused(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.order(connection, "T-1", kind="topup", term_expires_on=None)

    assert refused(office, "R-1") == "There is no order R-1."
    assert refused(office, "T-1") == "Order T-1 is for no box: what becomes of a top-up only its payment decides."


@pytest.mark.parametrize("doubt", ["pending", "unknown"])
def test_an_order_that_is_being_charged_is_refused(office: Office, doubt: str) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)
        tried(connection, box, 7, doubt)

    assert refused(office, "R-1-20270331") == (
        "Order R-1-20270331 is being charged, and nobody knows the outcome yet. Cancel it when that is settled "
        "(lifecycle-jobs reconcile)."
    )


def test_who_has_cancelled_it_is_no_longer_asked_to_pay(office: Office) -> None:
    cancel(office, open_order(office))

    deliver_now(office.store, office.settings, ON, lambda _name, _rows: None)

    told = {row["kind"]: row["status"] for row in look(office.store, tables.messages)}
    assert told == {"order.placed": "moot", "order.cancelled": "sent"}
