"""Where nothing is left to chance, every day comes exactly as it was foretold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from lifecycle_jobs import clock, log
from lifecycle_jobs.accounts import Payment, Wanted, pay_order, place_renewals
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, deletion_approvals
from lifecycle_jobs.forecast.assumptions import ByHand
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.daily import OPERATOR, run, settings_for
from tests.forecast.crowd import CARDS_DECLINE, CARDS_PAY, DAY, TODAY, Answers, Crowd
from tests.forecast.days import expected, foretell, happened, with_brief_plan
from tests.jobs.running import renewing_box, tried

ON_EACH = pytest.mark.parametrize("kind", ["sqlite_store", pytest.param("postgresql_store", marks=pytest.mark.soak)])
"""What the kinds of database do differently is proved by the first test; in the others only the rules are new."""


@pytest.fixture(autouse=True)
def _quiet() -> None:
    log.configure("error", "json")  # hundreds of days have a lot to say


@pytest.mark.parametrize(
    ("months", "last"),
    [(1, date(2028, 1, 9)), pytest.param(4, date(2028, 4, 9), marks=pytest.mark.soak)],
    ids=["a month", "four months"],
)
@pytest.mark.parametrize(
    ("answers", "proof"),
    [(CARDS_DECLINE, True), (CARDS_PAY, False)],
    ids=["cards decline, warnings must be proved", "cards pay, PayPal declines for good"],
)
def test_every_day_of_months_comes_exactly_as_it_was_foretold(
    store: Store, tmp_path: Path, answers: Answers, months: int, last: date, *, proof: bool
) -> None:
    settings = with_brief_plan(settings_for(tmp_path, deletion={"require_delivered_warning": proof}))
    with store.write() as connection:
        Crowd(connection, answers).settle(60)

    foretold = foretell(store, settings, TODAY, answers.assumptions, months=months)
    for day in foretold.days:
        run(store, settings, day.on)

    assert foretold.days[-1].on == last
    assert expected(foretold) == happened(store, foretold)


@ON_EACH
def test_a_forecast_from_the_midst_of_things_after_downtime_knows_what_has_been_charged_and_told(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    store: Store = request.getfixturevalue(kind)
    settings = with_brief_plan(settings_for(tmp_path, deletion={"require_delivered_warning": True}))
    with store.write() as connection:
        Crowd(connection, CARDS_DECLINE, seed=2).settle(40)
    for number in range(10):
        run(store, settings, TODAY + number * DAY)

    back = TODAY + 16 * DAY
    foretold = foretell(store, settings, back, CARDS_DECLINE.assumptions, months=1)
    for day in foretold.days:
        run(store, settings, day.on)

    assert foretold.days[0].on == back
    assert expected(foretold) == happened(store, foretold)


def assert_comes_true(store: Store, settings: Settings, first: date = TODAY) -> None:
    """A month of days comes exactly as it is foretold."""
    foretold = foretell(store, settings, first, CARDS_PAY.assumptions, months=1)
    for day in foretold.days:
        run(store, settings, day.on)
    assert expected(foretold) == happened(store, foretold)


@ON_EACH
@pytest.mark.parametrize("late", [3, 4])
def test_after_an_outage_a_slot_is_free_for_as_long_as_the_jobs_leave_it(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, late: int
) -> None:
    store: Store = request.getfixturevalue(kind)
    with store.write() as connection:
        box = renewing_box(connection, expires_on=TODAY - late * DAY)
        tried(connection, box, 0, "not_attempted", on=TODAY - DAY)

    assert_comes_true(store, settings_for(tmp_path))


def credit(connection: Connection, cents: int) -> Callable[..., int]:
    """Makes boxes of one holder that are charged to his credit."""
    factories.customer(connection, credit=cents)
    factories.method(connection, kind="credit")
    return partial(factories.box, connection, auto_renew=True, payment_method_id="pm1")


def unpaid_with_addon(connection: Connection, box: Callable[..., int]) -> None:
    """A suspended box, and an add-on of it that credit pays."""
    unpaid = box("unpaid@pec.it", expires_on=TODAY - 40 * DAY, status="suspended")
    factories.addon(connection, "of-unpaid", unpaid, paid_from="credit")


@ON_EACH
def test_no_credit_is_kept_back_for_what_will_not_be_debited(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    store: Store = request.getfixturevalue(kind)
    with store.write() as connection:
        box = credit(connection, 1208 + 305)
        box("charged@pec.it", expires_on=TODAY + 10 * DAY)
        box("held@pec.it", expires_on=TODAY - 300 * DAY, hold_reason="court order")
        box("held.for.long@pec.it", expires_on=TODAY + 5 * DAY, hold_reason="dispute", hold_until=TODAY + 60 * DAY)
        unpaid_with_addon(connection, box)

    assert_comes_true(store, settings_for(tmp_path))


def test_an_addon_of_an_unpaid_box_does_not_take_the_credit_from_a_box(sqlite_store: Store, tmp_path: Path) -> None:
    with sqlite_store.write() as connection:
        box = credit(connection, 1208)
        box("charged@pec.it", expires_on=TODAY + 10 * DAY)
        unpaid_with_addon(connection, box)

    foretold = foretell(sqlite_store, settings_for(tmp_path), TODAY, CARDS_PAY.assumptions, months=1)

    assert sum(day.figures.renewed["credit"] for day in foretold.days) == 1
    assert sum(day.figures.events["addon.disabled"] for day in foretold.days) == 1


@ON_EACH
@pytest.mark.parametrize("cents", [304, 610, 914, 915])
def test_addons_that_were_left_behind_catch_up_in_their_turn_as_far_as_the_credit_goes(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, cents: int
) -> None:
    store: Store = request.getfixturevalue(kind)
    with store.write() as connection:
        factories.customer(connection, credit=cents)
        box = factories.box(connection, expires_on=TODAY + 2 * 365 * DAY)
        for number, years in enumerate((2, 1)):
            ends = TODAY + (2 - years) * 365 * DAY + number * DAY
            factories.addon(connection, f"a{number}", box, paid_from="credit", expires_on=ends)

    assert_comes_true(store, settings_for(tmp_path))


@ON_EACH
def test_an_addon_that_outlasts_its_box_costs_nothing_at_its_renewal(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    store: Store = request.getfixturevalue(kind)
    with store.write() as connection:
        box = renewing_box(connection, credit=9000, expires_on=TODAY + 10 * DAY)
        factories.addon(connection, "a", box, paid_from="credit", expires_on=TODAY + 400 * DAY)

    assert_comes_true(store, settings_for(tmp_path))


@ON_EACH
def test_where_a_warning_must_be_proved_one_that_waits_and_a_clerks_word_count(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    store: Store = request.getfixturevalue(kind)
    settings = settings_for(tmp_path, deletion={"require_delivered_warning": True})
    past = TODAY - 95 * DAY
    with store.write() as connection:
        factories.customer(connection)
        for name in ("unwarned", "approved", "waiting"):
            box = factories.box(connection, f"{name}@pec.it", status="suspended", expires_on=past)
            if name == "approved":
                approval = {"box_id": box, "term_expires_on": past, "actor": "anna", "approved_at": clock.now()}
                connection.execute(insert(deletion_approvals).values(approval))
            if name == "waiting":
                told: dict[str, Any] = {"occurred_on": TODAY - DAY, "term_expires_on": past, "milestone": 0}
                warning = factories.event(connection, "box.deletion_warning", box_id=box, **told)
                factories.message(connection, "m-1", warning, kind="box.deletion_warning", created_on=TODAY - DAY)

    assert_comes_true(store, settings)


def test_a_hold_until_the_last_of_all_days_is_one_without_an_end(sqlite_store: Store, tmp_path: Path) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        held: dict[str, Any] = {"hold_reason": "court order", "hold_until": date.max}
        for status, days in (("active", 10), ("suspended", -95)):
            ends = TODAY + days * DAY
            factories.box(connection, f"{status}@pec.it", status=status, expires_on=ends, **held)

    assert_comes_true(sqlite_store, settings_for(tmp_path))


@ON_EACH
def test_what_is_paid_by_hand_is_renewed_on_its_day_and_told_nothing_more(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    store: Store = request.getfixturevalue(kind)
    settings = settings_for(tmp_path)
    with store.write() as connection:
        for number in range(10):
            holder = factories.customer(connection, f"c{number}", credit=(0, 305)[number % 2])
            ends = TODAY + (16 + 3 * number) * DAY
            box = factories.box(connection, f"b{number}@pec.example.it", customer_id=holder, expires_on=ends)
            factories.addon(connection, f"a{number}", box, paid_from="credit")
    assumptions = replace(CARDS_PAY.assumptions, by_hand=ByHand(1.0, {15: 1.0}))

    foretold = foretell(store, settings, TODAY, assumptions, months=1)
    for day in foretold.days:
        run(store, settings, day.on)
        _pay_by_hand(store, settings, day.on)

    assert sum(day.figures.renewed["by_hand"] for day in foretold.days) == pytest.approx(10)
    assert expected(foretold) == happened(store, foretold)


def _pay_by_hand(store: Store, settings: Settings, on: date) -> None:
    """Whoever has 15 days left orders the renewal and pays it."""
    clerk = replace(OPERATOR, on=on)
    with store.read() as connection:
        due = connection.scalars(select(boxes.c.address).where(boxes.c.expires_on == on + 15 * DAY)).all()
    for address in due:
        wanted = Wanted(years=1, pay_by="bank_transfer")
        placed = place_renewals(store, settings.catalog(), clerk, [address], wanted, request_id=f"order-{address}")
        (order,) = placed.orders
        payment = Payment(order.gross_cents, f"paid-{address}", on)
        pay_order(store, settings.catalog(), clerk, order.order_number, payment, request_id=f"pay-{address}")


@pytest.mark.soak
def test_a_box_that_is_renewed_is_told_of_and_charged_for_its_next_term_too(store: Store, tmp_path: Path) -> None:
    settings = with_brief_plan(settings_for(tmp_path))
    with store.write() as connection:
        Crowd(connection, CARDS_PAY, seed=5).settle(60)

    foretold = foretell(store, settings, TODAY, CARDS_PAY.assumptions, months=14)
    for day in foretold.days:
        run(store, settings, day.on)

    assert expected(foretold) == happened(store, foretold)
