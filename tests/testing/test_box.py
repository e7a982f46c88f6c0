"""What a holder or a clerk does about a box in a test, between two days."""

from __future__ import annotations

from datetime import date

import pytest

from lifecycle_jobs.errors import Refused
from lifecycle_jobs.testing import Provider

E = date(2027, 3, 31)
RENEWED = date(2028, 3, 31)
DECLINED = "pm_card_visa_chargeDeclined"

pytestmark = pytest.mark.lifecycle(today="2027-03-23")


def test_a_renewal_that_is_ordered_waits_until_it_is_paid(lifecycle: Provider) -> None:
    box = lifecycle.box(expires_on=E)

    ordered = box.order_renewal(years=2)
    assert (ordered.gross_cents, box.expires_on) == (2416, E)
    lifecycle.travel_to("2027-04-01")
    assert box.status == "suspended"
    paid = box.pay()

    assert (paid.applied, box.status, box.expires_on) == (True, "active", date(2029, 3, 31))
    assert [sent.kind for sent in lifecycle.sent if sent.date == date(2027, 4, 1)] == ["box.renewed", "box.suspended"]


def test_what_a_declined_card_has_left_is_paid_by_hand(lifecycle: Provider) -> None:
    box = lifecycle.box(expires_on=E, card=DECLINED)
    lifecycle.travel_to("2027-03-24")

    box.pay()
    lifecycle.travel_to("2027-03-26")

    assert box.expires_on == RENEWED
    assert len(lifecycle.charges) == 1


def test_another_amount_pays_nothing(lifecycle: Provider) -> None:
    box = lifecycle.box(expires_on=E)
    box.order_renewal()

    paid = box.pay(1200)

    assert (paid.applied, box.expires_on) == (False, E)


def test_without_an_order_there_is_nothing_to_pay(lifecycle: Provider) -> None:
    box = lifecycle.box("anna@pec.example.it", expires_on=E)

    with pytest.raises(Refused, match=r"No order of anna@pec\.example\.it waits"):
        box.pay()


def test_a_card_that_is_replaced_is_charged_on_the_next_day(lifecycle: Provider) -> None:
    box = lifecycle.box(expires_on=E, card=DECLINED)
    lifecycle.travel_to("2027-03-24")

    box.replace_card("pm_card_visa")
    lifecycle.travel_to("2027-03-25")

    assert box.expires_on == RENEWED


def test_auto_renew_is_switched_off_and_on(lifecycle: Provider) -> None:
    box = lifecycle.box(expires_on=E, card="pm_card_visa")

    box.switch_auto_renew_off()
    lifecycle.travel_to("2027-03-25")
    assert (box.auto_renew, lifecycle.charges) == (False, [])
    box.switch_auto_renew_on(years=2)
    lifecycle.travel_to("2027-03-26")

    assert (box.auto_renew, box.expires_on) == (True, date(2029, 3, 31))


@pytest.mark.lifecycle(today="2027-06-29")
def test_a_box_on_hold_is_not_deleted_and_neither_is_one_released_until_thirty_days_later(lifecycle: Provider) -> None:
    held = lifecycle.box(expires_on=E, status="suspended", suspended_on="2027-04-01", suspended_reason="unpaid")
    free = lifecycle.box(expires_on=E, status="suspended", suspended_on="2027-04-01", suspended_reason="unpaid")

    held.hold("dispute", until=date(2027, 7, 31))
    lifecycle.travel_to("2027-06-30")
    assert (held.status, free.status, free.deleted_on) == ("suspended", "deleted", date(2027, 6, 30))
    held.release()
    lifecycle.travel_to("2027-07-01")

    assert held.status == "suspended"
    assert [happened.kind for happened in lifecycle.events(held)] == ["hold.placed", "hold.released"]


def test_a_box_that_is_cancelled_ends_without_a_charge(lifecycle: Provider) -> None:
    box = lifecycle.box(expires_on="2027-03-24", card="pm_card_visa")

    box.cancel()
    lifecycle.travel_to("2027-03-25")

    assert (box.status, lifecycle.charges) == ("suspended", [])
