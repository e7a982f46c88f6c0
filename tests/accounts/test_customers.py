"""Whoever calls is found by what he says of himself, and what belongs to him is all there."""

from __future__ import annotations

from datetime import date

import pytest

from lifecycle_jobs.accounts import Sheet, find_customer
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import Refused
from tests import factories

MARIO = "mario.rossi@pec.example.it"


def find(store: Store, sought: str) -> Sheet:
    with store.read() as connection:
        return find_customer(connection, sought)


@pytest.fixture
def store(store: Store) -> Store:
    """Two customers, each with a box; and an address that was sold twice."""
    with store.write() as connection:
        factories.customer(connection, "c1", name="Mario Rossi", email="Mario@Example.org", tax_id="RSSMRA", credit=848)
        factories.customer(connection, "c2", name="Maria Rossini", email="maria@example.org")
        box = factories.box(connection, MARIO)
        factories.box(connection, "sold@pec.example.it", customer_id="c2")
        factories.box(connection, "sold@pec.example.it", status="deleted", deleted_on=date(2026, 1, 1))
        factories.box(connection, "gone@pec.example.it", status="deleted")
        factories.addon(connection, "a1", box)
        factories.order(connection, "R-1", box_id=box)
        factories.order(connection, "T-1", kind="topup", term_expires_on=None, years=None)
        factories.method(connection, token="pm_secret", brand="visa", last4="4242")
        event = factories.event(connection, "box.expiry_alert", occurred_on=date(2027, 3, 1), box_id=box)
        factories.message(connection, "m1", event)
    return store


@pytest.mark.parametrize(
    "sought",
    ["c1", MARIO, "MARIO.ROSSI@pec.example.it", "gone@pec.example.it", "mario@example.org", "RSSMRA", "mario rossi"],
)
def test_a_customer_is_found_by_id_address_email_tax_id_or_name(store: Store, sought: str) -> None:
    assert find(store, f" {sought} ").customer["customer_id"] == "c1"


def test_a_part_of_a_name_will_do(store: Store) -> None:
    assert find(store, "rossini").customer["customer_id"] == "c2"


def test_an_address_that_was_sold_again_is_its_present_holders(store: Store) -> None:
    assert find(store, "sold@pec.example.it").customer["customer_id"] == "c2"


def test_where_several_fit_they_are_named(store: Store) -> None:
    with pytest.raises(Refused) as refusal:
        find(store, "ross")

    assert str(refusal.value) == (
        "Several customers fit: c1 (Mario Rossi), c2 (Maria Rossini). Ask for one of them by id."
    )


@pytest.mark.parametrize(
    ("sought", "sentence"),
    [
        ("nobody", "There is no customer nobody."),
        ("100%", "There is no customer 100%."),
        (" ", "Say whom: an id, an address, an e-mail or a name."),
    ],
)
def test_whoever_is_not_there_is_not_found(store: Store, sought: str, sentence: str) -> None:
    with pytest.raises(Refused) as refusal:
        find(store, sought)

    assert str(refusal.value) == sentence


def test_all_that_belongs_to_a_customer_is_shown_and_no_token(store: Store) -> None:
    sheet = find(store, "c1")

    assert sheet.customer["credit_cents"] == 848
    assert [row["address"] for row in sheet.boxes] == [MARIO, "gone@pec.example.it", "sold@pec.example.it"]
    assert [row["addon_id"] for row in sheet.addons] == ["a1"]
    assert [(row["order_number"], row["address"]) for row in sheet.orders] == [("T-1", None), ("R-1", MARIO)]
    assert [(row["reason"], row["amount_cents"]) for row in sheet.credit] == [("opening", 848)]
    assert [(row["kind"], row["brand"], row["last4"]) for row in sheet.methods] == [("card", "visa", "4242")]
    assert [row["kind"] for row in sheet.messages] == ["box.expiry_alert"]
    assert "pm_secret" not in str(sheet.as_dict())
