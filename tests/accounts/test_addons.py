"""Extra space bought from credit and given up again: what it costs, what stands in its way, what is told."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from lifecycle_jobs.accounts import (
    AddonQuote,
    BoughtAddon,
    CancelledAddon,
    Extra,
    Wanted,
    WantedSpace,
    buy_addon,
    cancel_addon,
    place_renewals,
    quote_addon,
)
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.credit import debit
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    Office,
    addon_row,
    details,
    everything,
    happened,
    look,
    renewing_box,
    tried,
    while_waiting,
)

E = factories.EXPIRES_ON
FOURTEEN_MONTHS_BEFORE = date(2026, 1, 31)
ON = date(2027, 1, 10)
MARIO = "mario.rossi@pec.example.it"
ONE_GB = Extra("extra_inbox", 1)


def clerk(on: date = ON) -> Operator:
    return Operator("anna", "asked for it", on)


def buy(office: Office, extra: Extra = ONE_GB, *, on: date = ON, address: str = MARIO, **more: Any) -> BoughtAddon:
    usual: dict[str, Any] = {"request_id": "buy"}
    return buy_addon(office.store, factories.CATALOG, clerk(on), address, extra, **(usual | more))


def cancel(office: Office, addon_id: str = "a1", **more: Any) -> CancelledAddon:
    usual: dict[str, Any] = {"request_id": "cancel"}
    return cancel_addon(office.store, clerk(), addon_id, **(usual | more))


def refused(office: Office, extra: Extra = ONE_GB, **more: Any) -> str:
    before = everything(office.store)
    with pytest.raises(Refused) as refusal:
        buy(office, extra, **more)
    assert everything(office.store) == before
    return str(refusal.value)


def not_cancelled(office: Office, addon_id: str = "a1", **more: Any) -> str:
    before = everything(office.store)
    with pytest.raises(Refused) as refusal:
        cancel(office, addon_id, **more)
    assert everything(office.store) == before
    return str(refusal.value)


def sold(office: Office, *, credit: int = 848, **box: Any) -> int:
    """A pro box, renewed by hand, whose holder has some credit."""
    with office.store.write() as connection:
        factories.customer(connection, credit=credit)
        return factories.box(connection, MARIO, **({"plan": "pro"} | box))


def test_fourteen_months_before_its_end_a_gigabyte_costs_two_years_and_2_38_are_left(office: Office) -> None:
    box = sold(office)

    bought = buy(office, on=FOURTEEN_MONTHS_BEFORE)

    assert bought.addon_id.startswith(f"X-{box}-")
    assert bought == BoughtAddon(bought.addon_id, MARIO, "extra_inbox", 1, E, 610, 238, f"A-{bought.addon_id}-20260131")
    addon = addon_row(office.store, bought.addon_id)
    assert (addon["status"], addon["paid_from"], addon["expires_on"]) == ("active", "credit", E)
    assert [row["status"] for row in look(office.store, tables.orders)] == ["paid"]
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["addon.bought"]
    assert_books_are_right(office.store, office.settings)

    assert refused(office, Extra("extra_inbox", 2), on=FOURTEEN_MONTHS_BEFORE, request_id="more") == (
        "The credit of 2.38 does not suffice for 12.20: top up by 9.82 at least."
    )


@pytest.mark.parametrize(
    ("on", "years", "gross"),
    [
        (date(2026, 3, 31), 1, 305),
        (date(2026, 3, 30), 2, 610),
        (date(2026, 12, 30), 1, 305),
        (date(2026, 12, 31), 0, 0),
        (E, 0, 0),
    ],
)
def test_later_than_three_calendar_months_before_its_end_space_is_free_until_then(
    office: Office, on: date, years: int, gross: int
) -> None:
    sold(office)

    quoted = quote_addon(office.store, factories.CATALOG, MARIO, ONE_GB, on)

    assert quoted == AddonQuote(MARIO, "extra_inbox", 1, E, years, years * 250, gross, 305, 848)
    assert buy(office, on=on).gross_cents == gross


def test_a_quote_names_what_the_credit_lacks_and_buys_nothing(office: Office) -> None:
    sold(office, credit=238)
    before = everything(office.store)

    quoted = quote_addon(office.store, factories.CATALOG, MARIO, Extra("extra_archive", 2), FOURTEEN_MONTHS_BEFORE)

    assert (quoted.gross_cents, quoted.shortfall_cents) == (1220, 982)
    assert everything(office.store) == before


def test_what_was_bought_is_renewed_with_its_box_from_credit(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, credit=848, plan="pro")
    addon = buy(office, address="a@pec.example.it").addon_id

    office.day(E - timedelta(days=7))

    assert addon_row(office.store, addon)["expires_on"] == date(2028, 3, 31)
    assert [row["credit_cents"] for row in look(office.store, tables.customers)] == [543]
    assert_books_are_right(office.store, office.settings)


def test_paid_for_and_renewed_on_the_same_day_of_two_years_it_has_an_order_for_each(office: Office) -> None:
    sold(office)
    bought = buy(office, on=FOURTEEN_MONTHS_BEFORE)
    place_renewals(office.store, factories.CATALOG, clerk(E), [MARIO], Wanted(1, "bank_transfer"), request_id="renew")
    with office.store.write() as connection:
        connection.execute(
            tables.boxes.update().values(expires_on=date(2028, 3, 31), imported_expires_on=date(2028, 3, 31))
        )
        connection.execute(tables.orders.update().where(tables.orders.c.kind == "renewal").values(status="cancelled"))
        factories.credit_entry(connection, amount=1000, balance_after=1238)
        connection.execute(tables.customers.update().values(credit_cents=1238))
    office.job("renew_addons", E)

    numbers = [row["order_number"] for row in look(office.store, tables.orders) if row["kind"] == "addon"]
    assert numbers == [f"A-{bought.addon_id}-20260131", f"A-{bought.addon_id}-20270331"]
    assert_books_are_right(office.store, office.settings)


def test_asked_again_it_is_bought_once(office: Office) -> None:
    sold(office)
    first = buy(office, on=FOURTEEN_MONTHS_BEFORE)
    before = everything(office.store)

    assert buy(office, on=FOURTEEN_MONTHS_BEFORE) == first
    assert everything(office.store) == before


def test_a_plan_takes_no_more_than_its_limit_whatever_the_credit(office: Office) -> None:
    box = sold(office, credit=100_000, plan="standard")
    with office.store.write() as connection:
        factories.addon(connection, "a1", box)

    assert refused(office) == (
        f"{MARIO}: plan Standard takes at most 1 GB of extra inbox, and the box has 1 GB of it already. A larger plan "
        "comes with the next renewal (lifecycle-jobs order renew --plan)."
    )
    assert refused(office, Extra("extra_archive", 1)) == (
        f"{MARIO}: plan Standard takes at most 0 GB of extra archive, and the box has 0 GB of it already. A larger "
        "plan comes with the next renewal (lifecycle-jobs order renew --plan)."
    )


def test_space_that_ends_with_the_term_still_counts(office: Office) -> None:
    box = sold(office, plan="standard")
    with office.store.write() as connection:
        factories.addon(connection, "a1", box, cancelled_on=ON)

    assert "the box has 1 GB of it already" in refused(office)


def test_a_smaller_plan_that_is_ordered_already_sets_the_limit(office: Office) -> None:
    box = sold(office, used_archive_mb=0)
    space = WantedSpace("standard", accept_archive_loss=True)
    wanted = Wanted(1, "bank_transfer", space)
    place_renewals(office.store, factories.CATALOG, clerk(), [MARIO], wanted, request_id="renew")

    sentence = refused(office, Extra("extra_inbox", 2))

    assert "plan Standard takes at most 1 GB of extra inbox" in sentence
    assert sentence.endswith(f"(That is so once its order R-{box}-20270331 is paid.)")
    assert buy(office).quantity == 1


@pytest.mark.parametrize(
    ("box", "on", "sentence"),
    [
        (
            {"status": "suspended"},
            E + timedelta(days=2),
            f"{MARIO} is suspended: nothing can be bought for it until it is active again.",
        ),
        (
            {},
            E + timedelta(days=1),
            f"{MARIO} has ended on 2027-03-31. Have it renewed first (lifecycle-jobs order renew).",
        ),
        (
            {"status": "deleted"},
            date(2027, 7, 1),
            f"{MARIO} was deleted on 2027-06-30. It can only be bought anew (lifecycle-jobs box buy {MARIO}).",
        ),
    ],
)
def test_a_box_that_is_not_in_use_gets_nothing(office: Office, box: dict[str, Any], on: date, sentence: str) -> None:
    sold(office, **box)

    assert refused(office, on=on) == sentence


def test_a_box_that_is_being_charged_or_somebody_elses_or_not_asked_anything_is_refused(office: Office) -> None:
    with office.store.write() as connection:
        tried(connection, renewing_box(connection, plan="pro"), 7, "unknown")
    sold(office)

    assert refused(office, address="a@pec.example.it") == (
        "a@pec.example.it is being charged, and nobody knows the outcome yet. Ask again when that is settled "
        "(lifecycle-jobs reconcile)."
    )
    assert refused(office, customer_id="c-a") == f"There is no box {MARIO}."
    assert refused(office, Extra("extra_inbox", 0)) == "Say how many GB: 1 at the least."


def test_credit_that_is_spent_at_the_same_moment_is_not_spent_twice(postgresql_office: Office) -> None:
    office = postgresql_office
    sold(office, credit=610)
    answers: list[str] = []

    def spend(connection: Connection) -> None:
        debit(connection, "c1", 1, on=ON, reason="correction", order_number="x")

    def try_to_buy() -> None:
        answers.append(refused_by(office))

    while_waiting(office, spend, try_to_buy)

    assert answers == ["The credit of 6.09 does not suffice for 6.10: top up by 0.01 at least."]


def refused_by(office: Office) -> str:
    with pytest.raises(Refused) as refusal:
        buy(office, on=FOURTEEN_MONTHS_BEFORE)
    return str(refusal.value)


# Given up


def test_an_add_on_given_up_stays_until_the_end_of_its_term_and_then_ends(office: Office) -> None:
    box = sold(office)
    with office.store.write() as connection:
        factories.addon(connection, "a1", box, paid_from="credit")

    assert cancel(office) == CancelledAddon("a1", MARIO, E)

    assert (addon_row(office.store, "a1")["status"], addon_row(office.store, "a1")["cancelled_on"]) == ("active", ON)
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["addon.cancelled"]
    office.day(E)
    assert addon_row(office.store, "a1")["status"] == "active"
    office.day(E + timedelta(days=1))
    assert addon_row(office.store, "a1")["status"] == "terminated"
    assert details(office.store, "addon.disabled") == [{"reason": "cancelled"}]
    assert_books_are_right(office.store, office.settings)


def test_one_paid_with_the_renewal_is_given_up_and_the_renewal_costs_less(office: Office) -> None:
    with office.store.write() as connection:
        factories.addon(connection, "a1", renewing_box(connection))

    cancel(office)
    office.day(E - timedelta(days=7))

    assert [row["gross"] for row in details(office.store, "box.renewed")] == ["12.08"]
    assert "addon.cancelled" in happened(office.store)


def test_one_on_an_open_order_is_not_given_up_before_that_is_cancelled_or_paid(office: Office) -> None:
    box = sold(office)
    with office.store.write() as connection:
        factories.addon(connection, "a1", box)
        factories.addon(connection, "a2", box, paid_from="credit")
    place_renewals(office.store, factories.CATALOG, clerk(), [MARIO], Wanted(1, "bank_transfer"), request_id="renew")

    assert not_cancelled(office) == (
        f"Add-on a1 is on order R-{box}-20270331, which waits for its payment. Cancel that first (lifecycle-jobs order "
        f"cancel R-{box}-20270331), or give the add-on up once it is paid."
    )
    assert cancel(office, "a2").addon_id == "a2"


def test_what_is_no_active_add_on_of_the_holder_is_not_given_up(office: Office) -> None:
    box = sold(office)
    with office.store.write() as connection:
        factories.addon(connection, "a1", box)
        factories.addon(connection, "a2", box, status="disabled")
        factories.addon(connection, "a3", box, cancelled_on=ON)
        charged = renewing_box(connection)
        factories.addon(connection, "a4", charged)
        tried(connection, charged, 7, "pending")

    assert not_cancelled(office, "a9") == "There is no add-on a9."
    assert not_cancelled(office, "a1", customer_id="c-a") == "There is no add-on a1."
    assert not_cancelled(office, "a2") == "Add-on a2 is disabled already."
    assert not_cancelled(office, "a3") == "Add-on a3 was given up on 2027-01-10; it ends after 2027-03-31."
    assert not_cancelled(office, "a4").startswith("a@pec.example.it is being charged, and nobody knows")
