"""Renewals that holders ask for and pay by hand, day by day, as a clerk types them (SPEC §2, order)."""

from __future__ import annotations

import pytest

from lifecycle_jobs import testing
from tests.scenarios.provider import Answer, Provider, address

E = "2027-03-31"
NUMBER = "R-1-20270331"


def order(provider: Provider, name: str = "mario", *options: str, years: int = 1, pay: str = "bank_transfer") -> Answer:
    return provider.command("order", "renew", address(name), "--years", str(years), "--pay", pay, *options)


def pay(provider: Provider, amount: str = "12.08", *options: str, number: str = NUMBER) -> Answer:
    return provider.command("order", "pay", number, "--amount", amount, "--reference", "CRO-1", *options)


def sell(provider: Provider, at: str, **box: str) -> None:
    provider.at(f"{at}T03:00:00Z")
    provider.box("mario", E, **box)
    assert provider.bring_in().code == 0


def test_fifteen_days_before_the_end(provider: Provider) -> None:
    sell(provider, "2027-03-16")
    assert provider.run("2027-03-16").code == 0

    assert order(provider).code == 0
    assert pay(provider).code == 0
    provider.run_on("2027-03-24", "2027-03-30", "2027-04-01")

    books = provider.books()
    assert sorted(books.life("mario")) == [
        "2027-03-16 box.expiry_alert 15",
        "2027-03-16 box.renewed until 2028-03-31, 12.08 by None",
        "2027-03-16 order.placed standard until 2028-03-31, 12.08 by bank_transfer",
        "2027-03-16 payment.registered 12.08 applied",
    ]
    assert books.orders("mario") == ["2027-03-16 renewal 9.90 + 2.18 = 12.08 paid 2027-03-16"]
    assert sorted(books.messages("mario")) == [
        "2027-03-16 box.expiry_alert sent",
        "2027-03-16 box.renewed sent",
        "2027-03-16 order.placed moot",
    ]


@pytest.mark.lifecycle(today=E)
def test_on_the_last_day(lifecycle: testing.Provider) -> None:
    box = lifecycle.box(expires_on=E)
    lifecycle.travel_to(E)

    box.order_renewal(pay_by="card")
    box.pay()
    lifecycle.travel_to("2027-04-02")

    assert (box.status, str(box.expires_on)) == ("active", "2028-03-31")


@pytest.mark.parametrize(("first", "last"), [("2027-04-01", "2027-05-10"), ("2027-04-01", "2027-06-29")])
def test_forty_and_ninety_days_after_the_end_the_box_revives_and_its_term_counts_from_the_old_end(
    embedded: Provider, first: str, last: str
) -> None:
    sell(embedded, first)
    for on in (first, last):
        assert embedded.run(on, "--accept-gap").code == 0
    assert embedded.books().box("mario")["status"] == "suspended"

    assert order(embedded).code == 0
    assert pay(embedded).code == 0

    box = embedded.books().box("mario")
    assert (box["status"], box["suspended_on"], box["expires_on"]) == ("active", "", "2028-03-31")


def test_on_day_91_it_is_deleted_and_can_only_be_bought_anew(provider: Provider) -> None:
    sell(provider, "2027-04-01")
    assert provider.run("2027-04-01").code == 0
    assert order(provider).code == 0
    assert provider.run("2027-06-30", "--accept-gap").code == 0
    assert provider.books().box("mario")["deleted_on"] == "2027-06-30"

    refused = order(provider)
    late = pay(provider)

    mario = address("mario")
    sentence = f"{mario} was deleted on 2027-06-30. It can only be bought anew (lifecycle-jobs box buy {mario}).\n"
    assert (refused.code, refused.err) == (2, sentence)
    assert (late.code, "it was cancelled" in late.err) == (1, True)
    assert provider.books().life("mario")[-1] == "2027-06-30 payment.unapplied 12.08 it was cancelled"


def test_while_it_renews_itself_it_is_not_renewed_by_hand(embedded: Provider) -> None:
    sell(embedded, "2027-03-16", token="pm_card_visa")

    refused = order(embedded)
    assert (refused.code, "renews itself" in refused.err) == (2, True)
    embedded.correct_box("mario", auto_renew="false")

    assert order(embedded).code == 0


def test_a_transfer_that_comes_three_days_late_revives_the_box_and_counts_from_the_old_end(provider: Provider) -> None:
    sell(provider, "2027-03-20")
    assert order(provider).code == 0
    provider.run_on(E, "2027-04-01", "2027-04-03")
    assert provider.books().box("mario")["status"] == "suspended"

    assert pay(provider, "12.08", "--paid-on", "2027-03-30").code == 0
    provider.run_on("2027-04-04")

    books = provider.books()
    assert (books.box("mario")["status"], books.box("mario")["expires_on"]) == ("active", "2028-03-31")
    assert books.orders("mario") == ["2027-03-20 renewal 9.90 + 2.18 = 12.08 paid 2027-03-30"]


def test_paid_with_paypal_it_renews_itself_in_the_same_rhythm_from_then_on(embedded: Provider) -> None:
    sell(embedded, "2027-03-16", token="pm_card_visa", kind="paypal")
    embedded.correct_box("mario", auto_renew="false")
    assert order(embedded, years=2, pay="paypal").code == 0

    paid = pay(embedded, "24.16")

    assert "It renews itself." in paid.out
    embedded.run("2029-03-24")
    assert embedded.books().life("mario")[-2:] == [
        "2027-03-16 payment.registered 24.16 applied",
        "2029-03-24 box.renewed until 2031-03-31, 24.16 by paypal",
    ]


def test_two_years_with_one_gb_more_are_renewed_with_it_the_next_time(embedded: Provider) -> None:
    sell(embedded, "2027-03-16")
    assert order(embedded, "mario", "--extra-inbox", "1", years=2).code == 0
    assert pay(embedded, "30.26").code == 0

    embedded.at("2029-03-16T03:00:00Z")
    assert order(embedded).code == 0

    assert embedded.books().orders("mario") == [
        "2027-03-16 renewal 24.80 + 5.46 = 30.26 paid 2027-03-16",
        "2029-03-16 renewal 12.40 + 2.73 = 15.13 awaiting_payment",
    ]


def test_from_pro_to_standard_with_something_in_the_archive(embedded: Provider) -> None:
    sell(embedded, "2027-03-16", plan="pro", used_archive_mb="2355")

    refused = order(embedded, "mario", "--plan", "standard")
    assert refused.code == 2
    assert "2.3 GB would be lost. If its holder agrees: --accept-archive-loss." in refused.err

    assert order(embedded, "mario", "--plan", "standard", "--accept-archive-loss").code == 0
    assert pay(embedded).code == 0
    assert "2027-03-16 box.changed standard, 1 + 0 GB, 2355 MB lost" in embedded.books().life("mario")


@pytest.mark.lifecycle(today="2027-03-24")
def test_an_order_that_a_declined_card_left_is_paid_as_it_is(lifecycle: testing.Provider) -> None:
    box = lifecycle.box(expires_on=E, card="pm_card_visa_chargeDeclined")
    lifecycle.travel_to("2027-03-24")

    assert box.pay().applied
    lifecycle.travel_to(E)

    assert [(str(each.date), each.kind) for each in lifecycle.events(box)] == [
        ("2027-03-24", "charge.declined"),
        ("2027-03-24", "box.renewed"),
        ("2027-03-24", "payment.registered"),
    ]
    assert str(box.expires_on) == "2028-03-31"


def test_all_that_expire_within_three_months_are_ordered_with_one_letter(embedded: Provider) -> None:
    embedded.at("2027-03-16T03:00:00Z")
    embedded.customer("firm")
    for name, expires_on in (("a", "2027-03-31"), ("b", "2027-06-16"), ("c", "2027-06-17")):
        embedded.box(name, expires_on, customer="firm")
    assert embedded.bring_in().code == 0

    typed = embedded.command(
        "order", "renew", "--customer", "firm", "--within-months", "3", "--years", "1", "--pay", "card", "--json"
    )

    assert [placed["address"] for placed in typed.json()["orders"]] == [address("a"), address("b")]
    assert embedded.books().messages("firm") == ["2027-03-16 order.placed queued"]
    assert embedded.command("deliver").code == 0
    assert embedded.books().messages("firm") == ["2027-03-16 order.placed sent"]
