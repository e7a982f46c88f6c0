"""Where nothing is left to chance, every day comes exactly as it was foretold."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select

from lifecycle_jobs import log
from lifecycle_jobs.accounts import Payment, Wanted, pay_order, place_renewals
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.forecast.assumptions import ByHand
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.daily import OPERATOR, run, settings_for
from tests.forecast.crowd import CARDS_DECLINE, CARDS_PAY, DAY, TODAY, Answers, Crowd
from tests.forecast.days import expected, foretell, happened, with_brief_plan

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
