"""`addon`: what is typed, what is shown, and what is refused."""

from __future__ import annotations

import json

import pytest

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.policy import renewed_until
from lifecycle_jobs.settings import load_settings
from tests import factories
from tests.cli.conftest import Type

MARIO = "mario.rossi@pec.example.it"


@pytest.fixture
def until(sqlite_store: Store) -> str:
    """The end of a pro box, two years from today, whose holder has a credit of 8.48."""
    ends = renewed_until(clock.business_date(load_settings().zone), 2)
    with sqlite_store.write() as connection:
        factories.customer(connection, credit=848)
        factories.box(connection, MARIO, plan="pro", expires_on=ends)
    return ends.isoformat()


@pytest.mark.parametrize("command", [("addon", "quote", MARIO), ("addon", "buy", MARIO, "--quote")])
def test_the_price_is_shown_first(lifecycle: Type, until: str, command: tuple[str, ...]) -> None:
    assert lifecycle(*command, "--extra-inbox", "2").out == (
        f"2 GB more for {MARIO}: 12.20 now, for 2 year(s) until {until}; after that 6.10 a year.\n"
        "Credit: 8.48, 3.72 missing.\n"
    )
    assert json.loads(lifecycle(*command, "--extra-archive", "1", "--json").out)["shortfall_cents"] == 0


def test_space_is_bought_and_given_up(lifecycle: Type, until: str) -> None:
    bought = lifecycle("addon", "buy", MARIO, "--extra-inbox", "1", "--request-id", "r-1")
    addon = json.loads(lifecycle("addon", "buy", MARIO, "--extra-inbox", "1", "--request-id", "r-1", "--json").out)

    assert bought.out == f"{MARIO} has 1 GB more as {addon['addon_id']}, for 6.10 until {until}. Credit left: 2.38.\n"
    cancelled = lifecycle("addon", "cancel", addon["addon_id"])
    assert cancelled.out == f"{MARIO} keeps {addon['addon_id']} up to and including {until}; it is not renewed.\n"


@pytest.mark.parametrize("arguments", [(), ("--extra-inbox", "1", "--extra-archive", "1")])
@pytest.mark.usefixtures("until")
def test_one_kind_of_space_must_be_named(lifecycle: Type, arguments: tuple[str, ...]) -> None:
    typed = lifecycle("addon", "buy", MARIO, *arguments)

    assert (typed.code, typed.err.strip()) == (
        2,
        "Say what is wanted: either --extra-inbox GB or --extra-archive GB.",
    )


@pytest.mark.parametrize("kind", ["addon.bought", "addon.cancelled"])
def test_what_the_holder_is_told_can_be_previewed(lifecycle: Type, kind: str) -> None:
    assert lifecycle("preview", kind, "--locale", "it", "--part", "text").code == 0


def test_space_is_ordered_and_paid(lifecycle: Type, until: str) -> None:
    arguments = ("addon", "buy", MARIO, "--extra-inbox", "1", "--pay", "bank_transfer", "--request-id", "r-1")
    ordered = lifecycle(*arguments)
    number = json.loads(lifecycle(*arguments, "--json").out)["order_number"]

    assert ordered.out == (
        f"Ordered as {number}: 6.10 for 2 year(s), until {until}. {MARIO} has it once that is paid (lifecycle-jobs "
        "order pay).\n"
    )
    paid = lifecycle("order", "pay", number, "--amount", "6.10", "--reference", "CRO-1")
    assert paid.out.startswith(f"Order {number} is paid, and {MARIO} has X-")


def test_free_space_is_there_at_once(lifecycle: Type, sqlite_store: Store) -> None:
    ends = clock.business_date(load_settings().zone)
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.box(connection, MARIO, plan="pro", expires_on=ends)

    typed = lifecycle("addon", "buy", MARIO, "--extra-archive", "2", "--pay", "card")

    assert f"free of charge until {ends}; from then on its renewal includes it." in typed.out
