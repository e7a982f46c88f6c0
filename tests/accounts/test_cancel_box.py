"""The holder's notice: nothing is charged for the box any more, it ends with its term, and it can be taken back."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lifecycle_jobs.accounts import CancelledBox, WithdrawnBox, cancel_box, withdraw_cancellation
from lifecycle_jobs.db import tables
from tests import factories
from tests.accounts.asking import clerk, letters, queued, refused
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, box_row, charged, details, everything, happened, look, renewing_box, tried

E = factories.EXPIRES_ON
ON = date(2027, 3, 10)
FIRST_SLOT = E - timedelta(days=7)
ADDRESS = "a@pec.example.it"


def cancel(
    office: Office, *, on: date = ON, request_id: str = "cancel", address: str = ADDRESS, customer: str | None = None
) -> CancelledBox:
    return cancel_box(office.store, clerk(on), address, request_id=request_id, customer_id=customer)


def withdraw(
    office: Office, *, on: date = ON, request_id: str = "withdraw", customer: str | None = None
) -> WithdrawnBox:
    return withdraw_cancellation(office.store, clerk(on), ADDRESS, request_id=request_id, customer_id=customer)


@pytest.fixture
def box(office: Office) -> int:
    """A box that renews itself by card."""
    with office.store.write() as connection:
        return renewing_box(connection)


def test_a_cancelled_box_is_not_charged_and_ends_with_its_term(office: Office, box: int) -> None:
    assert cancel(office) == CancelledBox(ADDRESS, E, being_charged=False, open_order=None)

    for on in (FIRST_SLOT, E, E + timedelta(days=1)):
        office.day(on)

    assert charged(office.store) == []
    assert happened(office.store, box) == ["cancellation.recorded", "box.suspended"]
    assert box_row(office.store, box)["cancelled_on"] == ON
    assert_books_are_right(office.store, office.settings)


def test_its_holder_is_told_until_when_it_works_and_when_it_may_be_deleted(office: Office, box: int) -> None:
    cancel(office)

    (text,) = letters(office, ON)
    assert queued(office) == ["cancellation.recorded"]
    assert "La casella funziona normalmente fino al 31 marzo 2027 compreso" in text
    assert "cancellabile dal 30 giugno 2027" in text
    assert happened(office.store, box) == ["cancellation.recorded"]


def test_withdrawn_it_is_as_it_was_before_and_renews_itself(office: Office, box: int) -> None:
    before = box_row(office.store, box)
    cancel(office)

    assert withdraw(office) == WithdrawnBox(ADDRESS, E, renews_itself=True)

    assert box_row(office.store, box) == before
    assert details(office.store, "cancellation.withdrawn") == [{"cancelled_on": "2027-03-10", "renews_itself": True}]
    office.day(FIRST_SLOT)
    assert charged(office.store) == [(7, "succeeded")]


@pytest.mark.usefixtures("box")
def test_the_last_day_to_withdraw_is_e(office: Office) -> None:
    cancel(office)

    assert refused(office, lambda: withdraw(office, on=E + timedelta(days=1))) == (
        f"{ADDRESS} has ended on 2027-03-31: its cancellation cannot be withdrawn any more. Renewing it by hand voids "
        f"it (lifecycle-jobs order renew {ADDRESS})."
    )
    assert withdraw(office, on=E).expires_on == E


@pytest.mark.usefixtures("box")
def test_asked_again_each_is_done_once(office: Office) -> None:
    first = cancel(office)
    after = everything(office.store)
    assert cancel(office) == first
    assert everything(office.store) == after

    back = withdraw(office)
    assert withdraw(office) == back
    assert cancel(office) == first, "the same id stands for what was done under it"
    assert [row["cancelled_on"] for row in look(office.store, tables.boxes)] == [None]


def test_a_cancellation_says_what_could_still_renew_the_box(office: Office, box: int) -> None:
    with office.store.write() as connection:
        tried(connection, box, 7, "unknown")

    assert cancel(office) == CancelledBox(ADDRESS, E, being_charged=True, open_order="R-1-20270331")


@pytest.mark.usefixtures("box")
def test_what_was_cancelled_before_or_never_is_refused(office: Office) -> None:
    assert refused(office, lambda: withdraw(office)) == f"{ADDRESS} is not cancelled: there is nothing to withdraw."
    cancel(office)
    assert refused(office, lambda: cancel(office, request_id="again")) == (
        f"{ADDRESS} was cancelled on 2027-03-10 already; it ends on 2027-03-31."
    )


@pytest.mark.usefixtures("box")
def test_a_box_that_is_not_there_or_somebody_elses_is_not_found(office: Office) -> None:
    assert refused(office, lambda: cancel(office, address="b@pec.example.it")) == "There is no box b@pec.example.it."
    assert refused(office, lambda: cancel(office, customer="c-b")) == f"There is no box {ADDRESS}."
    assert cancel(office, customer="c-a").address == ADDRESS
    assert refused(office, lambda: withdraw(office, customer="c-b")) == f"There is no box {ADDRESS}."


def test_a_deleted_box_can_only_be_bought_anew(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection, ADDRESS, status="deleted", deleted_on=ON)

    assert refused(office, lambda: cancel(office)) == (
        f"{ADDRESS} was deleted on 2027-03-10. It can only be bought anew (lifecycle-jobs box buy {ADDRESS})."
    )
