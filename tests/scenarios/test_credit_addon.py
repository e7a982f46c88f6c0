"""The example of the old operator's guide: one add-on that prepaid credit pays, on a box renewed by agreement."""

from __future__ import annotations

import pytest

from lifecycle_jobs import accounts, testing
from lifecycle_jobs.testing import Addon
from tests.scenarios.provider import Provider

BOX = "mario.rossi@pec.ording.roma.it"
EXPIRES_ON = "2017-03-30"


def test_credit_of_8_48_renews_the_addon_and_leaves_5_43(provider: Provider) -> None:
    _sell(provider, credit="8.48")

    provider.run_daily("2017-03-22", "2017-04-01")

    books = provider.books()
    assert books.life(BOX) == [
        "2017-03-23 box.renewed until 2018-03-30, 12.08 by agreement",
        "2017-03-23 addon.renewed gb1 until 2018-03-30, 3.05, 5.43 left",
    ]
    assert books.orders(BOX) == [
        "2017-03-23 renewal 9.90 + 2.18 = 12.08 on_account",
        "2017-03-23 addon 2.50 + 0.55 = 3.05 paid 2017-03-23",
    ]
    assert books.charges(BOX) == []
    assert books.ledger("ording") == ["2017-03-23 addon -3.05, 5.43 left"]
    assert books.credit("ording") == "5.43"
    assert books.messages("ording") == ["2017-03-23 addon.renewed sent", "2017-03-23 box.renewed sent"]


def test_credit_of_3_04_is_announced_as_short_and_the_addon_disabled_after_its_last_day(provider: Provider) -> None:
    _sell(provider, credit="3.04")

    provider.run_daily("2017-03-22", "2017-04-01")

    books = provider.books()
    assert books.life(BOX) == [
        "2017-03-23 box.renewed until 2018-03-30, 12.08 by agreement",
        "2017-03-23 addon.credit_short gb1 0.01 short",
        "2017-03-31 addon.disabled gb1 credit_short, 0.01 short",
    ]
    assert books.ledger("ording") == []
    assert books.credit("ording") == "3.04"
    assert books.addon("gb1")["status"] == "disabled"


@pytest.mark.lifecycle(today="2017-03-22")
def test_credit_topped_up_the_day_before_the_last_still_renews_the_addon(lifecycle: testing.Provider) -> None:
    box = lifecycle.box(
        BOX, expires_on=EXPIRES_ON, pay_by="agreement", credit="3.04", addons=[Addon(paid_from="credit")]
    )
    lifecycle.travel_to("2017-03-29")
    accounts.register_top_up(
        lifecycle.store,
        lifecycle.operator,
        box.customer_id,
        amount_cents=1,
        reference="CRO-1",
        paid_on=lifecycle.today,
        request_id="1",
    )

    lifecycle.travel_to("2017-04-01")

    assert [(str(each.date), each.kind) for each in lifecycle.events(box)] == [
        ("2017-03-23", "box.renewed"),
        ("2017-03-23", "addon.credit_short"),
        ("2017-03-30", "addon.renewed"),
    ]
    with lifecycle.store.read() as connection:
        statement = accounts.state_credit(connection, box.customer_id)
    assert [(entry.reason, entry.amount_cents, entry.balance_after_cents) for entry in statement.entries] == [
        ("opening", 304, 304),
        ("topup", 1, 305),
        ("addon", -305, 0),
    ]


def _sell(provider: Provider, *, credit: str) -> None:
    provider.at("2017-03-22T03:00:00Z")
    provider.customer("ording", credit=credit)
    provider.box(BOX, EXPIRES_ON, customer="ording", kind="agreement")
    provider.addon("gb1", BOX, EXPIRES_ON)
    assert provider.bring_in().code == 0
