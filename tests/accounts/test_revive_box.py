"""A box deleted by mistake comes back for a few days, if a person says that the mail platform still has it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lifecycle_jobs.accounts import (
    Payment,
    RevivedBox,
    Wanted,
    pay_order,
    place_renewals,
    revive_box,
)
from lifecycle_jobs.db import tables
from lifecycle_jobs.webhooks.take_up import KINDS
from tests import factories
from tests.accounts.asking import clerk, letters, queued, refused
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, addon_row, box_row, everything, happened, look, status

E = factories.EXPIRES_ON
X = E + timedelta(days=91)
ADDRESS = "a@pec.example.it"


def revive(
    office: Office, *, on: date = X, said: bool = True, request_id: str = "revive", address: str = ADDRESS
) -> RevivedBox:
    return revive_box(
        office.store,
        factories.CATALOG,
        clerk(on),
        address,
        undelete_days=office.settings.deletion.undelete_days,
        platform_has_it=said,
        request_id=request_id,
    )


@pytest.fixture
def deleted(office: Office) -> int:
    """A box that nobody paid, deleted on its day, with add-ons of every fate."""
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, ADDRESS)
        factories.addon(connection, "with-it", box)
        factories.addon(connection, "dropped", box, status="terminated", expires_on=date(2026, 3, 31))
        factories.addon(connection, "given-up", box, status="terminated", cancelled_on=date(2027, 1, 1))
        factories.addon(connection, "prepaid", box, paid_from="credit", expires_on=date(2028, 3, 31))
    office.day(E + timedelta(days=1))
    office.day(X)
    assert status(office.store, box) == "deleted"
    return box


def test_it_is_there_again_suspended_as_of_today_with_what_had_ended_with_it(office: Office, deleted: int) -> None:
    on = X + timedelta(days=3)

    assert revive(office, on=on) == RevivedBox(ADDRESS, X, E, on + timedelta(days=30))

    row = box_row(office.store, deleted)
    assert (row["status"], row["suspended_on"], row["suspended_reason"]) == ("suspended", on, "unpaid")
    assert (row["deleted_on"], row["expires_on"]) == (None, E)
    assert {addon: addon_row(office.store, addon)["status"] for addon in ("with-it", "prepaid")} == {
        "with-it": "active",
        "prepaid": "active",
    }
    assert {addon_row(office.store, addon)["status"] for addon in ("dropped", "given-up")} == {"terminated"}
    assert happened(office.store, deleted)[-2:] == ["box.deleted", "box.revived"]
    assert_books_are_right(office.store, office.settings)


def test_it_is_not_deleted_again_sooner_than_thirty_days_from_then(office: Office, deleted: int) -> None:
    revive(office)
    office.job("delete", X + timedelta(days=29))
    assert status(office.store, deleted) == "suspended"

    office.job("delete", X + timedelta(days=30))
    assert status(office.store, deleted) == "deleted"


def test_paid_it_works_again(office: Office, deleted: int) -> None:
    revive(office)
    wanted = Wanted(1, "bank_transfer")
    order = place_renewals(office.store, factories.CATALOG, clerk(X), [ADDRESS], wanted, request_id="order").orders[0]
    payment = Payment(order.gross_cents, "CRO-1", X)
    pay_order(office.store, factories.CATALOG, clerk(X), order.order_number, payment, request_id="pay")

    row = box_row(office.store, deleted)
    assert (row["status"], row["expires_on"]) == ("active", date(2028, 3, 31))
    assert_books_are_right(office.store, office.settings)


@pytest.mark.usefixtures("deleted")
def test_its_holder_is_told_that_it_is_back(office: Office) -> None:
    revive(office)

    assert queued(office)[-1] == "box.revived"
    assert any(
        "è stata recuperata con il suo contenuto" in text and "dal 30 luglio 2027 potrà essere cancellata" in text
        for text in letters(office, X)
    )


def test_and_not_any_more_that_it_is_gone_if_nobody_has_told_him_yet(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, ADDRESS, status="deleted", deleted_on=X)
        gone = factories.event(connection, "box.deleted", occurred_on=X, box_id=box)
        factories.message(connection, "m1", gone, kind="box.deleted")
    revive(office)

    letters(office, X)

    assert [(row["kind"], row["status"]) for row in look(office.store, tables.messages)] == [
        ("box.deleted", "moot"),
        ("box.revived", "sent"),
    ]


def test_the_platform_hears_of_it() -> None:
    assert "box.revived".startswith(KINDS)


@pytest.mark.usefixtures("deleted")
def test_the_last_day_to_revive_is_seven_days_after_the_deletion(office: Office) -> None:
    last = X + timedelta(days=7)
    assert refused(office, lambda: revive(office, on=last + timedelta(days=1))) == (
        f"{ADDRESS} was deleted on 2027-06-30, more than 7 days ago (deletion.undelete_days). Its former holder can "
        f"buy the address anew (lifecycle-jobs box buy {ADDRESS})."
    )
    assert revive(office, on=last).deleted_on == X


@pytest.mark.usefixtures("deleted")
def test_without_a_persons_word_it_is_refused(office: Office) -> None:
    assert refused(office, lambda: revive(office, said=False)) == (
        f"Look on the mail platform whether it still has {ADDRESS}, and say so (--platform-has-it). If it has not, its "
        f"holder can buy the address anew (lifecycle-jobs box buy {ADDRESS})."
    )


@pytest.mark.usefixtures("deleted")
def test_an_address_that_lives_again_or_never_had_a_box_is_refused(office: Office) -> None:
    sentence = "There is no deleted box b@pec.example.it."
    assert refused(office, lambda: revive(office, address="b@pec.example.it")) == sentence
    with office.store.write() as connection:
        factories.box(connection, ADDRESS.upper(), expires_on=date(2028, 6, 29))
    assert (
        refused(office, lambda: revive(office)) == f"{ADDRESS} is there, and not deleted: there is nothing to revive."
    )


@pytest.mark.usefixtures("deleted")
def test_asked_again_it_is_revived_once(office: Office) -> None:
    first = revive(office)
    after = everything(office.store)

    assert revive(office) == first
    assert everything(office.store) == after
