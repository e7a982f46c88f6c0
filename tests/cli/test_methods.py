"""`method` and `autorenew`: what is typed, what is shown, and what is refused."""

from __future__ import annotations

import json

import pytest

from lifecycle_jobs.db.session import Store
from tests import factories
from tests.cli.conftest import Type

MARIO = "mario.rossi@pec.example.it"
LONG = factories.EXPIRES_ON.replace(year=2099)


@pytest.fixture
def box(sqlite_store: Store) -> int:
    """A box that nothing renews by itself, and that ends far in the future."""
    with sqlite_store.write() as connection:
        factories.customer(connection)
        return factories.box(connection, MARIO, expires_on=LONG)


CARD = ("--token", "pm_card_visa", "--brand", "visa", "--last4", "4242", "--expires", "12/2098")


@pytest.mark.usefixtures("box")
def test_a_card_is_stored_charged_replaced_and_removed(lifecycle: Type) -> None:
    stored = lifecycle("method", "register", "c1", *CARD, "--id", "pm1")
    assert (stored.code, stored.out) == (
        0,
        "Stored as pm1. To charge a box to it: lifecycle-jobs autorenew on ADDRESS\n",
    )

    on = lifecycle("autorenew", "on", MARIO, "--years", "2")
    assert on.out == f"{MARIO} renews itself, for 2 year(s), with pm1.\nIt is charged on 2099-03-24.\n"
    assert lifecycle("autorenew", "on", MARIO).out.startswith(f"{MARIO} renews itself already")

    replaced = lifecycle("method", "replace", "pm1", "--kind", "paypal", "--token", "pm_card_visa", "--id", "pm2")
    assert replaced.out == f"pm1 is replaced by pm2.\n{MARIO} is charged on 2099-03-24.\n"

    removed = lifecycle("method", "remove", "pm2", "--request-id", "r-1")
    assert removed.out == f"pm2 is removed.\n{MARIO} does not renew itself any more; it expires on 2099-03-31.\n"
    again = json.loads(lifecycle("method", "remove", "pm2", "--request-id", "r-1", "--json").out)
    assert (again["request_id"], again["boxes"][0]["switched_off"]) == ("r-1", True)


@pytest.mark.usefixtures("box")
def test_auto_renew_is_switched_off_and_said_to_be_off_already(lifecycle: Type) -> None:
    lifecycle("method", "register", "c1", *CARD)
    lifecycle("autorenew", "on", MARIO)

    assert lifecycle("autorenew", "off", MARIO).out == (
        f"{MARIO} does not renew itself any more; it expires on 2099-03-31.\n"
    )
    assert lifecycle("autorenew", "off", MARIO).out == f"{MARIO} did not renew itself. Nothing was done.\n"
    assert json.loads(lifecycle("autorenew", "off", MARIO, "--json").out)["changed"] is False


@pytest.mark.parametrize(("order", "how"), [("R-9", "order pay R-9"), (None, "autorenew off {}, then order renew")])
def test_a_card_replaced_too_late_says_how_the_box_is_renewed(
    lifecycle: Type, sqlite_store: Store, order: str | None, how: str
) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        box = factories.box(connection, MARIO, status="suspended", auto_renew=True, payment_method_id="pm1")
        if order:
            factories.order(connection, order, box_id=box)

    typed = lifecycle("method", "replace", "pm1", "--token", "pm_other", "--id", "pm2")

    assert typed.out.splitlines()[1] == (
        f"{MARIO} is not charged in this term any more: it has to be renewed by hand "
        f"(lifecycle-jobs {how.format(MARIO)})."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("method", "register", "c1", "--last4", "42"), "'42' are not the last four digits of a card"),
        (
            ("method", "register", "c1", "--expires", "2027-03"),
            "'2027-03' is not when a card ends; write it as 03/2027",
        ),
        (("method", "register", "c9", "--token", "x"), "There is no customer c9."),
        (("autorenew", "on", MARIO), f"The holder of {MARIO} has no payment method. Store one first"),
    ],
)
@pytest.mark.usefixtures("box")
def test_what_cannot_be_done_is_refused_with_2(lifecycle: Type, arguments: tuple[str, ...], sentence: str) -> None:
    typed = lifecycle(*arguments)

    assert typed.code == 2
    assert sentence in typed.err


@pytest.mark.parametrize("locale", ["it", "en"])
@pytest.mark.parametrize(
    "kind",
    ["method.registered", "method.replaced", "method.removed", "autorenew.switched_on", "autorenew.switched_off"],
)
def test_what_the_holder_is_told_can_be_previewed(lifecycle: Type, kind: str, locale: str) -> None:
    assert lifecycle("preview", kind, "--locale", locale, "--part", "text").code == 0
