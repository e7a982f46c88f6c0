"""`box`: what is typed, what is shown, and what is refused."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest

from lifecycle_jobs.clock import business_date
from lifecycle_jobs.db.session import Store
from tests import factories
from tests.cli.conftest import Type

MARIO = "mario.rossi@pec.example.it"
E = factories.EXPIRES_ON.replace(year=2099)


@pytest.fixture
def box(sqlite_store: Store) -> int:
    """A box that ends far in the future."""
    with sqlite_store.write() as connection:
        factories.customer(connection)
        return factories.box(connection, MARIO, expires_on=E)


@pytest.mark.usefixtures("box")
def test_a_box_is_cancelled_and_that_is_withdrawn(lifecycle: Type) -> None:
    typed = lifecycle("box", "cancel", MARIO)
    assert (typed.code, typed.out) == (0, f"{MARIO} is cancelled: it ends on 2099-03-31.\n")

    typed = lifecycle("box", "withdraw", MARIO)
    assert typed.out == f"{MARIO} is not cancelled any more: it expires on 2099-03-31 and is to be renewed by hand.\n"


def test_a_cancellation_names_the_order_that_would_still_renew(lifecycle: Type, sqlite_store: Store, box: int) -> None:
    with sqlite_store.write() as connection:
        order = factories.order(connection, "R-9", box_id=box, term_expires_on=E)
        factories.charge(connection, "k1", order_id=order, box_id=box, term_expires_on=E, status="unknown")

    typed = lifecycle("box", "cancel", MARIO)

    assert f"renewed all the same (then: lifecycle-jobs box undo-renewal {MARIO})" in typed.out
    assert (
        "Order R-9 still waits for its payment, and would renew the box (lifecycle-jobs order cancel R-9)" in typed.out
    )


@pytest.mark.usefixtures("box")
def test_a_box_is_held_and_released(lifecycle: Type) -> None:
    typed = lifecycle("box", "hold", MARIO, "--reason", "dispute", "--until", "2098-01-31")
    assert (typed.code, typed.out) == (0, f"{MARIO} is on hold until 2098-01-31.\n")
    typed = lifecycle("box", "hold", MARIO, "--reason", "dispute")
    assert typed.out == f"{MARIO} is on hold until it is released.\n"

    typed = lifecycle("box", "release", MARIO)
    assert typed.out == f"{MARIO} is not on hold any more.\n"


def test_a_release_past_the_last_day_says_what_comes(lifecycle: Type, sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.box(connection, MARIO, expires_on=factories.LONG_AGO, hold_reason="dispute")

    typed = lifecycle("box", "release", MARIO)

    assert "It has ended on 2020-01-01: the next run suspends it, unless it is renewed." in typed.out


@pytest.mark.usefixtures("box")
def test_a_box_is_suspended_by_hand_and_lifted(lifecycle: Type) -> None:
    typed = lifecycle("box", "suspend", MARIO, "--reason", "spam")
    assert typed.code == 0
    assert typed.out.startswith(f"{MARIO} is suspended by hand, since ")

    assert lifecycle("box", "lift", MARIO).out == f"{MARIO} is active again.\n"


def test_a_suspension_lifted_past_the_last_day_leaves_the_box_suspended_and_says_so(
    lifecycle: Type, sqlite_store: Store
) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.box(
            connection, MARIO, expires_on=factories.LONG_AGO, status="suspended", suspended_reason="court order"
        )

    typed = lifecycle("box", "lift", MARIO)

    assert "it is suspended for want of payment" in typed.out


@pytest.mark.usefixtures("box")
def test_a_box_is_sold_and_what_is_known_of_its_address_is_said(lifecycle: Type, sqlite_store: Store) -> None:
    new = "nuova@pec.example.it"
    with sqlite_store.write() as connection:
        factories.box(connection, new, status="deleted", expires_on=factories.LONG_AGO)
    paid = ("--pay", "card", "--amount", "12.08", "--reference", "pi_1")

    typed = lifecycle("box", "buy", new, "--customer", "c1", "--plan", "standard", "--years", "1", *paid)

    assert typed.code == 0, typed.err
    assert typed.out.startswith(f"{new} is sold until ")
    assert "The last box of this address was deleted on 2020-04-01; this one is new and empty." in typed.out
    assert "It does not renew itself. No card of the holder to charge is stored" in typed.out


@pytest.mark.usefixtures("box")
def test_what_is_missing_to_sell_a_box_is_said(lifecycle: Type) -> None:
    typed = lifecycle("box", "buy", "nuova@pec.example.it", "--customer", "c1", "--plan", "standard", "--years", "1")

    assert (typed.code, typed.err) == (2, "It costs 12.08: say how it is paid (--pay).\n")


def test_a_renewal_is_undone_and_what_follows_is_said(lifecycle: Type, sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection, credit=5000)
        factories.box(connection, MARIO, expires_on=E)
    lifecycle("order", "renew", MARIO, "--years", "1", "--pay", "credit")

    typed = lifecycle("box", "undo-renewal", MARIO)

    assert typed.out == (
        f"{MARIO} ends on 2099-03-31 again, not on 2100-03-31.\n12.08 went back to its holder's credit.\n"
    )


@pytest.mark.usefixtures("box")
def test_the_payment_of_an_undone_renewal_is_named(lifecycle: Type) -> None:
    lifecycle("order", "renew", MARIO, "--years", "1", "--pay", "bank_transfer")
    lifecycle("order", "pay", "R-1-20990331", "--amount", "12.08", "--reference", "CRO-1")

    typed = lifecycle("box", "undo-renewal", MARIO)

    assert "The payment CRO-1 is to be given back (lifecycle-jobs refunds list)" in typed.out
    assert "its renewal was undone" in lifecycle("refunds", "list", "--json").out


def test_a_deleted_box_is_revived_on_a_persons_word(lifecycle: Type, sqlite_store: Store) -> None:
    today = business_date(ZoneInfo("Europe/Rome"))
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.box(connection, MARIO, status="deleted", expires_on=factories.LONG_AGO, deleted_on=today)

    silent = lifecycle("box", "revive", MARIO)
    assert (silent.code, silent.out) == (2, "")
    assert "say so (--platform-has-it)" in silent.err

    typed = lifecycle("box", "revive", MARIO, "--platform-has-it")
    assert typed.out.startswith(f"{MARIO}, deleted on {today}, is there again. It is suspended for want of payment")


@pytest.mark.parametrize(
    "arguments",
    [
        ("cancel", MARIO),
        ("hold", MARIO, "--reason", "dispute"),
        ("suspend", MARIO, "--reason", "spam"),
    ],
)
@pytest.mark.usefixtures("box")
def test_typed_again_under_the_same_id_it_is_done_once(lifecycle: Type, arguments: tuple[str, ...]) -> None:
    first = json.loads(lifecycle("box", *arguments, "--request-id", "r-1", "--json").out)

    assert (first["request_id"], first["address"]) == ("r-1", MARIO)
    assert json.loads(lifecycle("box", *arguments, "--request-id", "r-1", "--json").out) == first


@pytest.mark.parametrize("command", ["cancel", "withdraw", "release", "lift", "undo-renewal"])
def test_what_is_refused_ends_with_2_and_a_sentence(lifecycle: Type, command: str) -> None:
    typed = lifecycle("box", command, "nobody@pec.example.it")

    assert (typed.code, typed.out, typed.err) == (2, "", "There is no box nobody@pec.example.it.\n")


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("cancellation.recorded", "We will not renew it"),
        ("cancellation.withdrawn", "We have withdrawn the cancellation"),
        ("hold.placed", "We have put the certified mailbox"),
        ("hold.released", "is no longer on hold"),
        ("box.suspended_by_hand", "by a decision of ours, not for non-payment"),
        ("box.revived", "has been recovered with everything in it"),
        ("box.renewal_undone", "We have undone the last renewal"),
        ("box.bought", "valid up to and including"),
        ("box.lifted", "you can send and receive messages again"),
    ],
)
def test_each_message_can_be_previewed(lifecycle: Type, kind: str, sentence: str) -> None:
    typed = lifecycle("preview", kind, "--locale", "en", "--part", "text")

    assert sentence.lower() in " ".join(typed.out.split()).lower()
