"""A box suspended by hand: payment does not revive it, nothing deletes it, and lifting makes nobody use it unpaid."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lifecycle_jobs.accounts import (
    LiftedBox,
    Payment,
    SuspendedBox,
    Wanted,
    lift_suspension,
    pay_order,
    place_renewals,
    suspend_box,
)
from lifecycle_jobs.db import tables
from tests import factories
from tests.accounts.asking import clerk, letters, queued, refused
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, box_row, change, charged, details, everything, happened, renewing_box, status

E = factories.EXPIRES_ON
ON = date(2027, 3, 10)
ADDRESS = "a@pec.example.it"


def suspend(
    office: Office, *, reason: str = "spam", on: date = ON, request_id: str = "suspend", address: str = ADDRESS
) -> SuspendedBox:
    return suspend_box(office.store, clerk(on), address, reason=reason, request_id=request_id)


def lift(office: Office, *, on: date = ON, request_id: str = "lift") -> LiftedBox:
    return lift_suspension(office.store, factories.CATALOG, clerk(on), ADDRESS, request_id=request_id)


@pytest.fixture
def box(office: Office) -> int:
    """A box that renews itself by card."""
    with office.store.write() as connection:
        return renewing_box(connection)


def test_suspended_by_hand_it_is_not_charged_and_never_deleted(office: Office, box: int) -> None:
    assert suspend(office) == SuspendedBox(ADDRESS, ON)

    for on in (E, E + timedelta(days=1), E + timedelta(days=91), E + timedelta(days=500)):
        office.day(on)

    assert (charged(office.store), status(office.store, box)) == ([], "suspended")
    assert happened(office.store, box) == queued(office) == ["box.suspended_by_hand"]
    assert_books_are_right(office.store, office.settings)


def test_paid_it_stays_suspended_and_lifted_it_is_active(office: Office, box: int) -> None:
    change(office.store, tables.boxes, box, auto_renew=False)
    suspend(office)
    wanted = Wanted(1, "bank_transfer")
    order = place_renewals(office.store, factories.CATALOG, clerk(ON), [ADDRESS], wanted, request_id="order").orders[0]
    payment = Payment(order.gross_cents, "CRO-1", ON)
    pay_order(office.store, factories.CATALOG, clerk(ON), order.order_number, payment, request_id="pay")
    assert (status(office.store, box), box_row(office.store, box)["expires_on"]) == ("suspended", date(2028, 3, 31))

    assert lift(office, on=E + timedelta(days=5)) == LiftedBox(ADDRESS, date(2028, 3, 31), unpaid=False)

    lifted = box_row(office.store, box)
    assert (lifted["status"], lifted["suspended_on"], lifted["suspended_reason"]) == ("active", None, None)
    assert details(office.store, "box.lifted") == [{"reason": "spam"}]
    assert_books_are_right(office.store, office.settings)


def test_the_holder_is_told_of_both_but_not_why(office: Office, box: int) -> None:
    suspend(office, reason="decreto 7/2027")
    lift(office)

    assert happened(office.store, box) == queued(office) == ["box.suspended_by_hand", "box.lifted"]
    texts = letters(office, ON)
    assert any("è sospesa dal 10 marzo 2027 per decisione nostra" in text for text in texts)
    assert any("può di nuovo inviare e ricevere messaggi" in text for text in texts)
    assert not any("7/2027" in text for text in texts)


def test_lifted_past_e_it_is_suspended_for_want_of_payment_from_that_day_on(office: Office, box: int) -> None:
    suspend(office)
    late = E + timedelta(days=100)
    office.day(late)

    assert lift(office, on=late) == LiftedBox(ADDRESS, E, unpaid=True)

    row = box_row(office.store, box)
    assert (row["status"], row["suspended_on"], row["suspended_reason"]) == ("suspended", late, "unpaid")
    assert details(office.store, "box.suspended") == [{"reason": "unpaid", "lifted": "spam"}]
    assert_books_are_right(office.store, office.settings)
    assert any("cancellata definitivamente" in text for text in letters(office, late))
    office.job("delete", late + timedelta(days=29))
    assert status(office.store, box) == "suspended"
    office.job("delete", late + timedelta(days=30))
    assert status(office.store, box) == "deleted"


def test_lifted_past_e_while_on_hold_it_is_active_as_a_held_box_is(office: Office, box: int) -> None:
    suspend(office)
    change(office.store, tables.boxes, box, hold_reason="dispute")

    assert not lift(office, on=E + timedelta(days=1)).unpaid

    assert status(office.store, box) == "active"


def test_what_was_suspended_for_want_of_payment_can_be_suspended_by_hand_and_is_not_deleted(
    office: Office, box: int
) -> None:
    since = E + timedelta(days=1)
    change(office.store, tables.boxes, box, status="suspended", suspended_on=since, suspended_reason="unpaid")

    assert suspend(office, on=E + timedelta(days=90)) == SuspendedBox(ADDRESS, since)

    office.job("delete", E + timedelta(days=200))
    assert status(office.store, box) == "suspended"
    assert details(office.store, "box.suspended_by_hand")[0]["was"] == "suspended"


@pytest.mark.usefixtures("box")
def test_suspending_twice_without_a_reason_or_as_unpaid_is_refused(office: Office) -> None:
    assert refused(office, lambda: suspend(office, reason=" Unpaid")) == (
        "The reason unpaid is given by the program alone, on the day after E. Give another."
    )
    assert refused(office, lambda: suspend(office, reason=" ")) == (
        "Say why, in 1 to 500 characters: the reason is kept with the box."
    )
    assert refused(office, lambda: suspend(office, address="b@pec.example.it")) == "There is no box b@pec.example.it."
    suspend(office)
    assert refused(office, lambda: suspend(office, reason="other", request_id="again")) == (
        f"{ADDRESS} is suspended by hand already, since 2027-03-10: spam."
    )


def test_what_is_not_suspended_by_hand_is_not_lifted(office: Office, box: int) -> None:
    assert refused(office, lambda: lift(office)) == f"{ADDRESS} is not suspended: there is nothing to lift."
    since = E + timedelta(days=1)
    change(office.store, tables.boxes, box, status="suspended", suspended_on=since, suspended_reason="unpaid")
    assert refused(office, lambda: lift(office)) == (
        f"{ADDRESS} is suspended because it was not paid for. Its renewal revives it "
        f"(lifecycle-jobs order renew {ADDRESS})."
    )


@pytest.mark.usefixtures("box")
def test_asked_again_each_is_done_once(office: Office) -> None:
    first = suspend(office)
    assert suspend(office) == first
    lifted = lift(office)
    after = everything(office.store)
    assert lift(office) == lifted
    assert everything(office.store) == after
