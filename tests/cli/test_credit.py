"""`credit`: what is typed, what is shown, and what is refused."""

from __future__ import annotations

import json

import pytest

from lifecycle_jobs.db.session import Store
from tests import factories
from tests.cli.conftest import Type


@pytest.fixture
def holder(sqlite_store: Store) -> str:
    """A holder with a credit of 8.48."""
    with sqlite_store.write() as connection:
        return factories.customer(connection, credit=848)


REGISTER = ("credit", "register", "c1", "--amount", "10", "--reference", "CRO-1")


@pytest.mark.usefixtures("holder")
def test_money_is_registered_once_and_stated(lifecycle: Type) -> None:
    first = lifecycle(*REGISTER, "--request-id", "r-1")
    number = json.loads(lifecycle(*REGISTER, "--request-id", "r-1", "--json").out)["order_number"]

    assert first.out == f"Registered as {number}. Credit: 18.48.\n"
    assert lifecycle(*REGISTER).out == "This payment was registered before. Nothing was done. Credit: 18.48.\n"
    stated = lifecycle("credit", "statement", "c1").out
    assert "c1 has 18.48" in stated
    assert number in stated
    entries = json.loads(lifecycle("credit", "statement", "c1", "--since", "2026-01-01", "--json").out)["entries"]
    assert [entry["reason"] for entry in entries] == ["topup"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("credit", "statement", "c9"), "There is no customer c9."),
        ((*REGISTER, "--paid-on", "2099-01-01"), "2099-01-01 lies in the future: nothing can have been paid then."),
        ((*REGISTER[:-1], " "), "--reference is empty"),
    ],
)
@pytest.mark.usefixtures("holder")
def test_what_cannot_be_is_refused_with_2(lifecycle: Type, arguments: tuple[str, ...], sentence: str) -> None:
    typed = lifecycle(*arguments)

    assert typed.code == 2
    assert sentence in typed.err


@pytest.mark.parametrize(
    ("token", "code", "sentence"),
    [
        ("pm_card_visa", 0, "Credit: 18.48."),
        ("pm_card_visa_chargeDeclined", 1, "Declined (generic_decline); nothing was charged."),
        ("sandbox_unavailable", 1, "The gateway could not be reached; nothing was charged."),
        ("sandbox_lost_answer_paid", 1, "or the same command with --request-id r-1."),
    ],
)
@pytest.mark.usefixtures("holder")
def test_a_card_is_charged_and_the_outcome_said(
    lifecycle: Type, sqlite_store: Store, token: str, code: int, sentence: str
) -> None:
    with sqlite_store.write() as connection:
        factories.method(connection, token=token)

    typed = lifecycle("credit", "topup", "c1", "--amount", "10.00", "--request-id", "r-1")

    assert (typed.code, sentence in typed.out + typed.err) == (code, True)


@pytest.mark.usefixtures("holder")
def test_a_lost_answer_is_listed_and_found_by_reconcile(lifecycle: Type, sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.method(connection, token="sandbox_lost_answer_paid")
    lifecycle("credit", "topup", "c1", "--amount", "10.00", "--request-id", "r-1")

    (listed,) = json.loads(lifecycle("status", "--json").out)["unresolved_charges"]["rows"]
    assert (listed["status"], listed["address"]) == ("unknown", None)
    assert "credit.topped_up 1" in lifecycle("reconcile").out
    again = lifecycle("credit", "topup", "c1", "--amount", "10.00", "--request-id", "r-1", "--json")
    assert (again.code, json.loads(again.out)["balance_cents"]) == (0, 1848)


def test_the_receipt_can_be_previewed(lifecycle: Type) -> None:
    assert "Credito ricaricato" in lifecycle("preview", "credit.topped_up", "--locale", "it", "--part", "subject").out
