"""Auto-renew on and off: what it is charged to and when, and what stands in its way."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from lifecycle_jobs.accounts import (
    AutoRenewal,
    Wanted,
    place_renewals,
    switch_auto_renew_off,
    switch_auto_renew_on,
)
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    Office,
    box_row,
    charged,
    details,
    everything,
    expires_on,
    look,
    renewing_box,
    tried,
)

E = factories.EXPIRES_ON
ON = date(2027, 2, 1)
FIRST_SLOT = E - timedelta(days=7)
MARIO = "mario.rossi@pec.example.it"
DAY = timedelta(days=1)


def clerk(on: date = ON) -> Operator:
    return Operator("anna", "asked for it", on)


def switch_on(office: Office, address: str = MARIO, *, on: date = ON, **more: Any) -> AutoRenewal:
    usual: dict[str, Any] = {"request_id": "on"}
    return switch_auto_renew_on(office.store, factories.CATALOG, clerk(on), address, **(usual | more))


def switch_off(office: Office, address: str = "a@pec.example.it", *, on: date = ON, **more: Any) -> AutoRenewal:
    usual: dict[str, Any] = {"request_id": "off"}
    return switch_auto_renew_off(office.store, clerk(on), address, **(usual | more))


def refused(office: Office, address: str = MARIO, **more: Any) -> str:
    before = everything(office.store)
    with pytest.raises(Refused) as refusal:
        switch_on(office, address, **more)
    assert everything(office.store) == before
    return str(refusal.value)


def messages(office: Office) -> list[str]:
    return [row["kind"] for row in look(office.store, tables.messages)]


@pytest.fixture
def box(office: Office) -> int:
    """A box that is renewed by hand; its holder has a card."""
    with office.store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        return factories.box(connection, MARIO)


def test_switched_on_a_box_is_charged_with_its_first_slot_to_the_only_method_of_its_holder(
    office: Office, box: int
) -> None:
    switched = switch_on(office)

    assert switched == AutoRenewal(MARIO, E, True, True, False, 1, "pm1", FIRST_SLOT)
    assert messages(office) == ["autorenew.switched_on"]
    assert [(row["gross"], row["charge_on"]) for row in details(office.store, "autorenew.switched_on")] == [
        ("12.08", FIRST_SLOT.isoformat())
    ]
    office.day(FIRST_SLOT)
    assert expires_on(office.store, box) == date(2028, 3, 31)
    assert_books_are_right(office.store, office.settings)


def test_switched_on_in_its_window_it_is_charged_by_the_next_run(office: Office, box: int) -> None:
    assert switch_on(office, on=E - DAY, years=2).charge_on == E - DAY

    office.day(E - DAY)
    assert expires_on(office.store, box) == date(2029, 3, 31)


def test_switched_on_after_its_end_it_is_renewed_by_hand_and_the_answer_says_so(office: Office, box: int) -> None:
    office.day(E + DAY)

    assert switch_on(office, on=E + DAY).charge_on is None
    office.day(E + 2 * DAY)
    assert charged(office.store) == []
    assert box_row(office.store, box)["auto_renew"]


def test_after_a_soft_decline_the_same_card_is_charged_with_the_next_slot(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, token="sandbox_paid_from:2027-03-26")
    office.day(FIRST_SLOT)
    switch_off(office, on=FIRST_SLOT)

    assert switch_on(office, "a@pec.example.it", on=FIRST_SLOT).charge_on == E - 5 * DAY

    office.day(E - 6 * DAY)
    office.day(E - 5 * DAY)
    assert charged(office.store) == [(7, "declined"), (5, "succeeded")]


@pytest.mark.usefixtures("box")
def test_switched_on_as_it_is_already_nothing_happens(office: Office) -> None:
    switch_on(office)
    before = everything(office.store)

    assert not switch_on(office, request_id="again").changed
    assert everything(office.store) == before


@pytest.mark.usefixtures("box")
def test_another_rhythm_or_method_is_a_change_and_told(office: Office) -> None:
    switch_on(office)
    with office.store.write() as connection:
        factories.method(connection, "pm2", kind="paypal")

    switched = switch_on(office, request_id="again", years=3, payment_method_id="pm2")

    assert (switched.changed, switched.years, switched.payment_method_id) == (True, 3, "pm2")
    assert messages(office) == ["autorenew.switched_on"] * 2


def test_switched_off_a_box_is_not_charged_and_its_method_stays_stored(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)

    assert switch_off(office) == AutoRenewal("a@pec.example.it", E, False, True, False, 1, "pm-a", None)
    assert messages(office) == ["autorenew.switched_off"]
    office.day(FIRST_SLOT)
    assert (charged(office.store), box_row(office.store, box)["payment_method_id"]) == ([], "pm-a")
    assert not switch_off(office, request_id="again").changed


def test_switched_off_during_a_charge_the_answer_says_that_it_may_still_succeed(office: Office) -> None:
    with office.store.write() as connection:
        tried(connection, renewing_box(connection), 7, "unknown")

    assert switch_off(office, on=FIRST_SLOT).being_charged
    assert details(office.store, "autorenew.switched_off") == [{"being_charged": True}]


def test_a_box_with_an_order_placed_by_hand_is_refused_until_that_is_paid_or_cancelled(
    office: Office, box: int
) -> None:
    place_renewals(office.store, factories.CATALOG, clerk(), [MARIO], Wanted(2, "bank_transfer"), request_id="order")

    assert refused(office) == (
        f"{MARIO} has an order that waits for its payment: R-{box}-20270331 for 24.16. Have it paid, or cancel it "
        f"first (lifecycle-jobs order cancel R-{box}-20270331)."
    )


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"domain": "esempio.it"},
            f"{MARIO} is renewed with its domain esempio.it, not by itself (lifecycle-jobs domain renew esempio.it).",
        ),
        (
            {"plan": "domain"},
            f"{MARIO} does not renew itself: plan Domain is renewed by hand (lifecycle-jobs order renew).",
        ),
        ({"cancelled_on": ON}, f"The holder of {MARIO} gave notice on 2027-02-01. Withdraw the notice first."),
        (
            {},
            f"The holder of {MARIO} has no payment method. Store one first (lifecycle-jobs method register c1).",
        ),
    ],
)
def test_a_box_that_cannot_renew_itself_is_refused_with_the_reason(
    office: Office, changed: dict[str, Any], sentence: str
) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection, MARIO, **changed)

    assert refused(office) == sentence


@pytest.mark.usefixtures("box")
def test_a_box_that_is_not_there_or_somebody_elses_is_refused(office: Office) -> None:
    assert refused(office, "other@pec.example.it") == "There is no box other@pec.example.it."
    assert refused(office, customer_id="c2") == f"There is no box {MARIO}."


@pytest.mark.usefixtures("box")
def test_a_term_that_is_not_sold_or_a_method_that_is_not_the_holders_is_refused(office: Office) -> None:
    with office.store.write() as connection:
        factories.box(connection, "promo@pec.example.it", plan="promo")
        factories.customer(connection, "c2")
        factories.method(connection, "pm2", "c2")

    assert refused(office, "promo@pec.example.it", years=3) == (
        "promo@pec.example.it: plan Promo is renewed for 1 to 2 years, not 3."
    )
    assert refused(office, payment_method_id="pm2") == f"The holder of {MARIO} has no payment method pm2."


@pytest.mark.usefixtures("box")
def test_of_several_methods_one_must_be_named(office: Office) -> None:
    with office.store.write() as connection:
        factories.method(connection, "pm2", kind="paypal")

    assert refused(office) == (
        f"The holder of {MARIO} has several payment methods. Say which with --method: pm1 (card), pm2 (paypal)."
    )


def test_a_card_that_was_declined_for_good_is_not_taken_again_in_that_term(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, token="pm_card_visa_chargeDeclinedStolenCard")
    office.day(FIRST_SLOT)
    switch_off(office, on=FIRST_SLOT)

    assert refused(office, "a@pec.example.it", on=FIRST_SLOT) == (
        "pm-a was declined for good for a@pec.example.it, and is not charged again. Replace it (lifecycle-jobs method "
        "replace pm-a), or name another with --method."
    )
