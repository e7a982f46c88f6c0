"""`customer show`, as it is typed."""

from __future__ import annotations

import json

import pytest

from lifecycle_jobs.db.session import Store
from tests import factories
from tests.cli.conftest import Type


@pytest.fixture(autouse=True)
def _customer(sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection, credit=848)
        factories.order(connection, "R-1", box_id=factories.box(connection))


def test_a_customer_is_shown_with_what_belongs_to_him(lifecycle: Type) -> None:
    shown = lifecycle("customer", "show", "mario.rossi@pec.example.it")

    assert shown.code == 0, shown.err
    for words in ("Customer c1", "Mario Rossi", "8.48", "Boxes", "2027-03-31", "Orders", "R-1", "Credit"):
        assert words in shown.out
    assert "Add-ons" not in shown.out


def test_as_json(lifecycle: Type) -> None:
    shown = json.loads(lifecycle("customer", "show", "c1", "--json").out)

    assert (shown["customer"]["credit_cents"], shown["boxes"][0]["expires_on"]) == (848, "2027-03-31")


def test_whoever_is_not_there_is_exit_code_2(lifecycle: Type) -> None:
    shown = lifecycle("customer", "show", "nobody")

    assert (shown.code, shown.out, shown.err) == (2, "", "There is no customer nobody.\n")
