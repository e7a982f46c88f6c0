"""`order`: what is typed, what is shown, and what is refused."""

from __future__ import annotations

import json

import pytest

from lifecycle_jobs.db.session import Store
from tests import factories
from tests.cli.conftest import Type

MARIO = "mario.rossi@pec.example.it"


@pytest.fixture
def box(sqlite_store: Store) -> int:
    """A box that nothing renews by itself, and that ends far in the future."""
    with sqlite_store.write() as connection:
        factories.customer(connection)
        return factories.box(connection, MARIO, expires_on=factories.EXPIRES_ON.replace(year=2099))


def test_an_order_is_shown_with_its_number_and_what_is_to_be_paid(lifecycle: Type, box: int) -> None:
    typed = lifecycle("order", "renew", MARIO, "--years", "2", "--pay", "bank_transfer", "--request-id", "r-1")

    assert typed.code == 0, typed.err
    assert "To be paid: 24.16 (request r-1)" in typed.out
    assert f"R-{box}-20990331" in typed.out


def test_typed_again_it_is_the_same_order(lifecycle: Type, box: int) -> None:
    arguments = ("order", "renew", MARIO, "--years", "1", "--pay", "card", "--request-id", "r-1", "--json")

    first = json.loads(lifecycle(*arguments).out)

    assert first["request_id"] == "r-1"
    assert [order["order_number"] for order in first["orders"]] == [f"R-{box}-20990331"]
    assert json.loads(lifecycle(*arguments).out) == first


@pytest.mark.usefixtures("box")
def test_boxes_that_cannot_be_ordered_are_shown_with_the_reason(lifecycle: Type, sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.box(connection, "domain@pec.example.it", domain="esempio.it", expires_on=factories.EXPIRES_ON)
        factories.box(connection, "own@pec.example.it", expires_on=factories.EXPIRES_ON)

    typed = lifecycle("order", "renew", "--customer", "c1", "--within-months", "12", "--years", "1", "--pay", "card")

    assert typed.code == 0, typed.err
    assert "own@pec.example.it" in typed.out
    assert "Left out: domain@pec.example.it is renewed with its domain esempio.it" in typed.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Name either the boxes, or --customer ID and --within-months N."),
        ((MARIO, "--within-months", "3"), "Name either the boxes, or --customer ID and --within-months N."),
        (("--within-months", "3"), "--within-months needs --customer ID: whose boxes?"),
        (("other@pec.example.it",), "There is no box other@pec.example.it."),
        ((MARIO, "--request-id", ""), "A request id has 1 to 200 printable characters."),
    ],
)
@pytest.mark.usefixtures("box")
def test_what_cannot_be_ordered_is_refused_with_2(lifecycle: Type, arguments: tuple[str, ...], sentence: str) -> None:
    typed = lifecycle("order", "renew", "--years", "1", "--pay", "card", *arguments)

    assert (typed.code, typed.err.strip(), typed.out) == (2, sentence, "")


def test_the_confirmation_can_be_previewed(lifecycle: Type) -> None:
    typed = lifecycle("preview", "order.placed", "--locale", "it", "--part", "text")

    assert "Indichi come causale il numero dell’ordine: R-4211-20270331" in typed.out


def test_an_order_is_cancelled(lifecycle: Type, box: int) -> None:
    lifecycle("order", "renew", MARIO, "--years", "1", "--pay", "card")

    typed = lifecycle("order", "cancel", f"R-{box}-20990331", "--request-id", "r-2")
    again = lifecycle("order", "cancel", f"R-{box}-20990331", "--request-id", "r-2", "--json")

    assert (typed.code, typed.out) == (0, f"Order R-{box}-20990331 is cancelled; {MARIO} stays as it is.\n")
    assert json.loads(again.out)["request_id"] == "r-2"


def test_the_cancellation_of_an_order_that_auto_renew_will_place_again_says_so(
    lifecycle: Type, sqlite_store: Store
) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.order(connection, "R-9", box_id=factories.box(connection, MARIO, auto_renew=True))

    typed = lifecycle("order", "cancel", "R-9")

    assert "another order comes with its next charge, unless that is switched off" in typed.out
