"""Rates are those of the last year, unless they are given."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.forecast.assumptions import Assumptions, Declines
from lifecycle_jobs.forecast.last_year import Given, assume
from lifecycle_jobs.forecast.span import Span
from lifecycle_jobs.languages import Language, Speech
from tests import factories
from tests.factories import CATALOG
from tests.forecast.crowd import DAY, TODAY

SOME_TIME_AGO = TODAY - 100 * DAY


@pytest.fixture
def last_year(store: Store) -> Store:
    """Of four charges one declined for good, at slot 7; of three terms without auto-renewal one paid, 5 days early."""
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        for number, (slot, status) in enumerate(
            [(7, "succeeded"), (7, "declined"), (5, "succeeded"), (5, "succeeded")]
        ):
            box = factories.box(connection, f"auto{number}@pec.example.it", auto_renew=True, payment_method_id="pm1")
            order = factories.order(connection, f"R-{number}", box_id=box, term_expires_on=SOME_TIME_AGO)
            factories.charge(
                connection,
                f"key-{number}",
                order_id=order,
                box_id=box,
                term_expires_on=SOME_TIME_AGO,
                slot=slot,
                status=status,
                hard=status == "declined",
            )
        paid = factories.box(connection, "paid@pec.example.it", expires_on=SOME_TIME_AGO + 365 * DAY)
        factories.event(
            connection,
            "box.renewed",
            box_id=paid,
            occurred_on=SOME_TIME_AGO - 5 * DAY,
            term_expires_on=SOME_TIME_AGO,
        )
        factories.box(connection, "unpaid@pec.example.it", status="suspended", expires_on=SOME_TIME_AGO)
        factories.box(
            connection,
            "gone@pec.example.it",
            status="deleted",
            expires_on=SOME_TIME_AGO,
            suspended_on=SOME_TIME_AGO + DAY,
            suspended_reason="unpaid",
        )
    return store


def assumed(store: Store, given: Given) -> Assumptions:
    with store.read() as connection:
        return assume(connection, Span(CATALOG, TODAY, TODAY + 365 * DAY, TODAY - DAY, 100_000, None), given)


def told(assumptions: Assumptions, language: Language = "en") -> list[str]:
    return [sentence.said(Speech(language)) for sentence in assumptions.told]


def test_each_slot_has_the_rate_that_it_had(last_year: Store) -> None:
    card = assumed(last_year, Given({})).of("card")

    assert card == Declines(0.25, hard=1.0, by_slot={7: 0.5, 5: 0.0})
    assert (card.rate(7), card.rate(5), card.rate(0)) == (0.5, 0.0, 0.25)


def test_the_share_that_is_paid_by_hand_and_when_are_those_of_the_last_year(last_year: Store) -> None:
    by_hand = assumed(last_year, Given({})).by_hand

    assert by_hand.rate == pytest.approx(1 / 3)
    assert by_hand.days_before == {5: 1.0}


def test_what_cancelled_and_renewing_boxes_do_says_nothing_of_who_pays_by_hand(last_year: Store) -> None:
    with last_year.write() as connection:
        notice = SOME_TIME_AGO - 30 * DAY
        factories.box(connection, "left@x.it", status="suspended", expires_on=SOME_TIME_AGO, cancelled_on=notice)
        renewing: dict[str, Any] = {
            "auto_renew": True,
            "payment_method_id": "pm1",
            "expires_on": SOME_TIME_AGO + 365 * DAY,
        }
        for name in ("answered.late@x.it", "helped.after.a.decline@x.it"):
            box = factories.box(connection, name, **renewing)
            factories.event(
                connection, "box.renewed", box_id=box, occurred_on=SOME_TIME_AGO, term_expires_on=SOME_TIME_AGO
            )

    by_hand = assumed(last_year, Given({})).by_hand

    assert by_hand.rate == pytest.approx(1 / 3)
    assert by_hand.days_before == {5: 1.0}


def test_what_is_given_goes_before_what_was_measured(last_year: Store) -> None:
    assumptions = assumed(last_year, Given({"card": 0.05}, 0.2, 0.6))

    assert assumptions.of("card") == Declines(0.05, hard=0.2)
    assert assumptions.by_hand.rate == 0.6
    assert "card: 5.0 % of charges are declined (given); 20.0 % of declines are for good." in told(assumptions)
    assert told(assumed(last_year, Given({}, 0.2)))[0] == (
        "card: 25.0 % of 4 charges of the last year were declined, by slot; 20.0 % of declines are taken to be for "
        "good (given)."
    )


def test_it_is_told_in_the_language_of_who_reads_it(last_year: Store) -> None:
    assert told(assumed(last_year, Given({})))[:3] == [
        "card: 25.0 % of 4 charges of the last year were declined, by slot; 100.0 % of them for good.",
        "PayPal account: no charges in the last year, none declined.",
        "Without auto-renewal: 33.3 % of terms are paid by hand (last year: 1 of 3), on the days of the last year's.",
    ]
    italian = told(assumed(last_year, Given({}, by_hand=0.5)), "it")
    assert italian[0].startswith("carta: dei 4 addebiti dell’ultimo anno rifiutati 25,0 %")
    assert italian[2].startswith("Senza rinnovo automatico, periodi pagati a mano: 50,0 % (indicato)")


def test_without_a_last_year_nothing_is_declined_and_nobody_pays_by_hand_and_it_says_so(store: Store) -> None:
    assumptions = assumed(store, Given({}))

    assert assumptions.of("card").rate(7) == 0
    assert assumptions.by_hand.rate == 0
    assert "card: no charges in the last year, none declined." in told(assumptions)
    assert "Without auto-renewal: 0.0 % of terms are paid by hand (nobody did in the last year)." in told(assumptions)
