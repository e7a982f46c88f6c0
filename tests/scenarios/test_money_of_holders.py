"""What holders do about money between two runs, as a clerk types it: cards, auto-renew, credit, extra space."""

from __future__ import annotations

import json
import re

import pytest

from tests.scenarios.provider import Answer, Provider, address

E = "2027-03-31"
NO_FUNDS = "pm_card_visa_chargeDeclinedInsufficientFunds"


def typed(provider: Provider, *arguments: str) -> Answer:
    """Type a command that must succeed."""
    answer = provider.command(*arguments)
    assert answer.code == 0, answer.out + answer.err
    return answer


def refused(provider: Provider, *arguments: str) -> str:
    answer = provider.command(*arguments)
    assert answer.code == 2, answer.out + answer.err
    return " ".join(answer.err.split())


def test_8_48_of_credit_buy_space_for_two_years_and_no_more_until_it_is_topped_up(provider: Provider) -> None:
    provider.at("2027-01-31T08:00:00Z")
    provider.box("mario", "2028-03-31", plan="pro", credit="8.48")
    assert provider.bring_in().code == 0
    more = ("addon", "buy", address("mario"), "--extra-inbox")

    quoted = json.loads(typed(provider, *more, "1", "--quote", "--json").out)
    assert (quoted["years"], quoted["gross_cents"]) == (2, 610)
    first = json.loads(typed(provider, *more, "1", "--json").out)
    assert (first["gross_cents"], first["balance_cents"], first["paid_until"]) == (610, 238, "2028-03-31")
    assert refused(provider, *more, "2") == ("The credit of 2.38 does not suffice for 12.20: top up by 9.82 at least.")

    provider.at("2028-01-11T08:00:00Z")  # 80 days before the end
    second = json.loads(typed(provider, *more, "2", "--json").out)
    assert (second["gross_cents"], second["balance_cents"]) == (0, 238)

    provider.at("2028-03-10T08:00:00Z")
    typed(provider, "order", "renew", address("mario"), "--years", "1", "--pay", "bank_transfer")
    typed(provider, "order", "pay", "R-1-20280331", "--amount", "30.50", "--reference", "CRO-1")
    provider.run_daily("2028-03-30", "2028-04-01")
    books = provider.books()
    assert [books.addon(each["addon_id"])["status"] for each in (first, second)] == ["disabled", "disabled"]
    assert books.credit("mario") == "2.38"

    typed(provider, "credit", "register", "mario", "--amount", "9.82", "--reference", "CRO-2")
    again = json.loads(typed(provider, *more, "2", "--json").out)
    assert (again["gross_cents"], again["balance_cents"], again["paid_until"]) == (610, 610, "2029-03-31")
    assert provider.books().ledger("mario") == [
        "2027-01-31 addon -6.10, 2.38 left",
        "2028-04-01 topup 9.82, 12.20 left",
        "2028-04-01 addon -6.10, 6.10 left",
    ]
    assert typed(provider, "credit", "statement", "mario", "--json").out.count('"amount_cents"') == 4


def test_a_standard_box_takes_one_gigabyte_whatever_the_credit(embedded: Provider) -> None:
    embedded.at("2027-01-31T08:00:00Z")
    embedded.box("mario", "2028-03-31", credit="100.00")
    embedded.addon("gb1", "mario", "2028-03-31")
    assert embedded.bring_in().code == 0

    sentence = refused(embedded, "addon", "buy", address("mario"), "--extra-inbox", "1")

    assert "plan Standard takes at most 1 GB of extra inbox, and the box has 1 GB of it already" in sentence


def test_a_card_replaced_two_days_before_the_end_after_three_declines(provider: Provider) -> None:
    provider.at("2027-03-24T03:00:00Z")
    provider.box("mario", E, token=NO_FUNDS)
    assert provider.bring_in().code == 0
    provider.run_daily("2027-03-24", "2027-03-28")

    provider.at("2027-03-29T03:00:00Z")
    answer = typed(provider, "method", "replace", "mario-method", "--token", "pm_card_visa", "--id", "new")
    assert "is charged on 2027-03-29." in answer.out
    provider.run_on("2027-03-29")

    books = provider.books()
    assert books.box("mario")["expires_on"] == "2028-03-31"
    assert books.charges("mario") == [
        "slot 7 #1 declined insufficient_funds 12.08",
        "slot 5 #1 declined insufficient_funds 12.08",
        "slot 3 #1 declined insufficient_funds 12.08",
        "slot 3 #2 succeeded 12.08",
    ]
    assert "2027-03-29 method.replaced sent" in books.messages("mario")


def test_with_paypal_registered_and_switched_on(embedded: Provider) -> None:
    embedded.at("2027-03-20T03:00:00Z")
    embedded.box("mario", E)
    assert embedded.bring_in().code == 0

    typed(embedded, "method", "register", "mario", "--kind", "paypal", "--token", "pm_card_visa", "--id", "pp")
    answer = typed(embedded, "autorenew", "on", address("mario"), "--years", "2")
    assert "It is charged on 2027-03-24." in answer.out
    embedded.run_on("2027-03-24")

    assert embedded.books().life("mario") == [
        "2027-03-20 autorenew.switched_on pp, 2 years",
        "2027-03-24 box.renewed until 2029-03-31, 24.16 by paypal",
    ]


def test_auto_renew_must_be_switched_off_before_a_renewal_by_hand(embedded: Provider) -> None:
    embedded.at("2027-03-16T03:00:00Z")
    embedded.box("mario", E, token="pm_card_visa")
    assert embedded.bring_in().code == 0
    renew = ("order", "renew", address("mario"), "--years", "1", "--pay", "bank_transfer")

    (switch_off,) = re.findall(r"\(lifecycle-jobs (.*?)\)", refused(embedded, *renew))
    typed(embedded, *switch_off.split())
    typed(embedded, *renew)

    embedded.run_on("2027-03-24")
    assert embedded.books().charges("mario") == []


@pytest.mark.parametrize("days_late", [1, 2])
def test_a_card_replaced_after_the_end_leaves_the_order_to_be_paid_by_hand(embedded: Provider, days_late: int) -> None:
    embedded.at("2027-03-24T03:00:00Z")
    embedded.box("mario", E, token=NO_FUNDS)
    assert embedded.bring_in().code == 0
    embedded.run_daily("2027-03-24", f"2027-04-0{days_late}")

    answer = typed(embedded, "method", "replace", "mario-method", "--token", "pm_card_visa")
    (pay,) = re.findall(r"\(lifecycle-jobs (.*?)\)", answer.out)
    typed(embedded, *pay.split(), "--amount", "12.08", "--reference", "CRO-1")

    box = embedded.books().box("mario")
    assert (box["status"], box["expires_on"]) == ("active", "2028-03-31")
