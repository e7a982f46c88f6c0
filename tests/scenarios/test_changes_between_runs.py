"""What a holder or a clerk changes between two runs, and what the next runs make of it. E is 31 March 2027."""

from __future__ import annotations

import pytest

from lifecycle_jobs import testing
from tests.scenarios.provider import Provider, address

EXPIRES_ON = "2027-03-31"


def test_auto_renew_switched_off_before_the_first_charge_brings_the_alerts_back(provider: Provider) -> None:
    _sell(provider, "2027-02-21", token="pm_card_visa")
    provider.run_on("2027-02-21", "2027-02-22", "2027-03-01", "2027-03-10")
    provider.correct_box("box", auto_renew="false")

    provider.run_on("2027-03-11", "2027-03-15", "2027-03-16")
    provider.run_daily("2027-03-23", "2027-04-01")

    books = provider.books()
    assert books.life("box") == [
        "2027-02-22 box.renewal_notice 37",
        "2027-03-16 box.expiry_alert 15",
        "2027-03-24 box.expiry_alert 7",
        "2027-03-30 box.expiry_alert 1",
        "2027-04-01 box.suspended unpaid",
    ]
    assert books.charges("box") == []


@pytest.mark.lifecycle(today="2027-03-23")
def test_auto_renew_switched_off_after_a_decline_leaves_the_order_to_be_paid_by_hand(
    lifecycle: testing.Provider,
) -> None:
    box = lifecycle.box(expires_on=EXPIRES_ON, card="pm_card_visa_chargeDeclined")
    lifecycle.travel_to("2027-03-25")
    box.switch_auto_renew_off()

    lifecycle.travel_to("2027-04-02")
    assert box.status == "suspended"
    paid = box.pay()

    assert (paid.order_number, box.status, str(box.expires_on)) == ("R-1-20270331", "active", "2028-03-31")
    assert [(str(each.date), each.kind) for each in lifecycle.events(box)] == [
        ("2027-03-24", "charge.declined"),
        ("2027-03-25", "autorenew.switched_off"),
        ("2027-03-30", "box.expiry_alert"),
        ("2027-04-01", "box.suspended"),
        ("2027-04-02", "box.renewed"),
        ("2027-04-02", "payment.registered"),
    ]


def test_auto_renew_switched_on_late_is_charged_but_listed_for_want_of_a_notice(embedded: Provider) -> None:
    _sell(embedded, "2027-03-15", token="pm_card_visa", auto_renew="false")
    embedded.run_daily("2027-03-15", "2027-03-20")
    embedded.correct_box("box", auto_renew="true")

    embedded.run_daily("2027-03-21", "2027-03-24")

    assert embedded.books().life("box") == [
        "2027-03-16 box.expiry_alert 15",
        "2027-03-24 box.renewed until 2028-03-31, 12.08 by card",
    ]
    listed = embedded.command("status", "--json").json()["charged_without_notice"]
    assert [row["address"] for row in listed["rows"]] == [address("box")]


def test_another_method_after_a_hard_decline_is_charged_on_the_next_run(provider: Provider) -> None:
    _sell(provider, "2027-03-23", token="pm_card_chargeDeclinedExpiredCard")
    provider.run_daily("2027-03-23", "2027-03-24")
    provider.method("new-card", "box", token="pm_card_visa")
    assert provider.bring_in().code == 0
    provider.correct_box("box", payment_method_id="new-card")

    provider.run_daily("2027-03-25", "2027-03-28")

    books = provider.books()
    assert books.charges("box") == ["slot 7 #1 declined expired_card 12.08", "slot 7 #2 succeeded 12.08"]
    assert books.life("box") == [
        "2027-03-24 charge.declined expired_card in slot 7, final",
        "2027-03-25 box.renewed until 2028-03-31, 12.08 by card",
    ]
    assert books.orders("box") == ["2027-03-24 renewal 9.90 + 2.18 = 12.08 paid 2027-03-25"]


def test_another_token_of_the_same_method_is_charged_at_once_and_only_once(embedded: Provider) -> None:
    _sell(embedded, "2027-03-23", token="pm_card_visa_chargeDeclined")
    embedded.run_daily("2027-03-23", "2027-03-24")
    _replace_token(embedded, "pm_card_visa_chargeDeclinedInsufficientFunds")

    embedded.run_daily("2027-03-25", "2027-03-27")

    assert embedded.books().charges("box") == [
        "slot 7 #1 declined generic_decline 12.08",
        "slot 7 #2 declined insufficient_funds 12.08",
        "slot 5 #1 declined insufficient_funds 12.08",
    ]


@pytest.mark.lifecycle(today="2027-03-29")
def test_a_card_replaced_before_the_last_run_renews_and_one_replaced_after_it_does_not(
    lifecycle: testing.Provider,
) -> None:
    in_time = lifecycle.box(expires_on=EXPIRES_ON, card="pm_card_visa_chargeDeclined")
    too_late = lifecycle.box(expires_on=EXPIRES_ON, card="pm_card_visa_chargeDeclined")
    lifecycle.travel_to("2027-03-30")
    in_time.replace_card("pm_card_visa")

    lifecycle.travel_to("2027-03-31")
    too_late.replace_card("pm_card_visa")
    lifecycle.travel_to("2027-04-03")

    assert (in_time.status, str(in_time.expires_on)) == ("active", "2028-03-31")
    assert (too_late.status, str(too_late.suspended_on)) == ("suspended", "2027-04-01")
    assert [(each.slot, each.status) for each in lifecycle.charges if each.address == too_late.address] == [
        (3, "declined"),
        (1, "declined"),
        (0, "declined"),
    ]


def test_a_method_replaced_in_the_night_after_the_last_day_is_charged_for_the_slot_left_unused(
    embedded: Provider,
) -> None:
    _sell(embedded, "2027-03-29", token="pm_card_visa_chargeDeclinedStolenCard")
    embedded.run_daily("2027-03-29", "2027-03-31")
    _replace_token(embedded, "pm_card_visa")

    embedded.run_daily("2027-04-01", "2027-04-01")

    books = embedded.books()
    assert books.charges("box") == ["slot 3 #1 declined stolen_card 12.08", "slot 0 #1 succeeded 12.08"]
    assert books.box("box")["expires_on"] == "2028-03-31"


def test_a_gateway_that_comes_back_after_expiry_is_in_time_for_three_days(embedded: Provider) -> None:
    embedded.at("2027-03-23T03:00:00Z")
    for name in ("third-day", "fourth-day"):
        embedded.box(name, EXPIRES_ON, token="sandbox_unavailable")
    assert embedded.bring_in().code == 0
    embedded.run_daily("2027-03-23", "2027-04-02")
    _replace_token(embedded, "pm_card_visa", "third-day")

    embedded.run_daily("2027-04-03", "2027-04-03")
    _replace_token(embedded, "pm_card_visa", "fourth-day")
    embedded.run_daily("2027-04-04", "2027-04-05")

    books = embedded.books()
    assert books.life("third-day")[-1] == "2027-04-03 box.renewed until 2028-03-31, 12.08 by card"
    assert books.charges("third-day")[-1] == "slot 0 #4 succeeded 12.08"
    assert books.life("fourth-day")[-1] == "2027-04-04 box.suspended unpaid"


def test_a_hold_put_on_a_suspended_box_silences_it_and_moves_its_deletion(embedded: Provider) -> None:
    _sell(embedded, "2027-05-29", status="suspended")
    embedded.run_on("2027-05-29", "2027-05-31", "2027-06-10", "2027-06-20")
    embedded.correct_box("box", hold_until="2027-07-05", hold_reason="dispute")

    embedded.run_on("2027-06-23", "2027-06-30", "2027-07-05", "2027-07-06", "2027-07-16", "2027-07-26")
    embedded.run_on("2027-07-27", "2027-07-28", "2027-08-03", "2027-08-04", "2027-08-05")

    assert embedded.books().life("box") == [
        "2027-05-31 box.deletion_warning 30 before 2027-06-30",
        "2027-07-28 box.deletion_warning 7 before 2027-08-04",
        "2027-08-04 box.deleted",
    ]


@pytest.mark.lifecycle(today="2027-03-23")
def test_a_hold_put_on_after_a_decline_stops_the_charges_until_it_is_lifted(lifecycle: testing.Provider) -> None:
    box = lifecycle.box(expires_on=EXPIRES_ON, card="sandbox_paid_from:2027-03-26")
    lifecycle.travel_to("2027-03-24")
    box.hold("court order")
    lifecycle.travel_to("2027-04-02")
    assert [each.status for each in lifecycle.charges] == ["declined"]
    box.release()

    lifecycle.travel_to("2027-04-03")

    assert [each.status for each in lifecycle.charges] == ["declined", "succeeded"]
    assert [(str(each.date), each.kind) for each in lifecycle.events(box)] == [
        ("2027-03-24", "charge.declined"),
        ("2027-03-24", "hold.placed"),
        ("2027-03-30", "box.expiry_alert"),
        ("2027-04-02", "hold.released"),
        ("2027-04-03", "box.renewed"),
    ]


def test_a_cancelled_box_is_neither_alerted_nor_charged_any_more(embedded: Provider) -> None:
    _sell(embedded, "2027-02-21", token="pm_card_visa")
    embedded.run_on("2027-02-21", "2027-02-22", "2027-03-01", "2027-03-10")
    embedded.correct_box("box", cancelled_on="2027-03-10")

    embedded.run_on("2027-03-11", "2027-03-16")
    embedded.run_daily("2027-03-23", "2027-04-02")
    embedded.run_on("2027-04-12", "2027-04-22", "2027-05-01")

    books = embedded.books()
    assert books.life("box") == [
        "2027-02-22 box.renewal_notice 37",
        "2027-04-01 box.suspended unpaid",
        "2027-05-01 box.deletion_warning 60 before 2027-06-30",
    ]
    assert books.charges("box") == []


def test_a_box_paid_elsewhere_is_left_in_peace_once_its_new_expiry_was_imported(embedded: Provider) -> None:
    _sell(embedded, "2027-03-23", token="pm_card_visa_chargeDeclined")
    embedded.run_daily("2027-03-23", "2027-03-25")
    embedded.correct_box("box", expires_on="2028-03-31")

    embedded.run_daily("2027-03-26", "2027-04-03")

    books = embedded.books()
    assert books.life("box") == ["2027-03-24 charge.declined generic_decline in slot 7, next 2027-03-26"]
    assert books.box("box")["status"] == "active"


def test_status_and_expiry_of_a_known_box_stay_without_overwrite(embedded: Provider) -> None:
    _sell(embedded, "2027-03-31")
    embedded.run_daily("2027-03-31", "2027-04-01")
    embedded.box("box", "2028-03-31")

    answer = embedded.bring_in()

    assert answer.code == 0
    box = embedded.books().box("box")
    assert (box["status"], box["expires_on"]) == ("suspended", EXPIRES_ON)


def _sell(provider: Provider, on: str, *, token: str | None = None, **columns: str) -> None:
    provider.at(f"{on}T03:00:00Z")
    provider.box("box", EXPIRES_ON, token=token, **columns)
    assert provider.bring_in().code == 0


def _replace_token(provider: Provider, token: str, name: str = "box") -> None:
    provider.correct("payment_methods.csv", {"payment_method_id": f"{name}-method"}, token=token)
