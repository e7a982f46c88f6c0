"""What the fixture `lifecycle` offers: boxes are written down, days go by, and the books are there to look at."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from lifecycle_jobs import accounts
from lifecycle_jobs.db.tables import addons, runs
from lifecycle_jobs.testing import Addon, Provider

E = date(2027, 3, 31)

pytestmark = pytest.mark.lifecycle(today="2027-03-23")


@pytest.mark.parametrize(
    ("how", "method"),
    [
        ({"card": "pm_card_visa"}, "card"),
        ({"paypal": "pm_card_visa"}, "paypal"),
        ({"pay_by": "credit", "credit": "12.08"}, "credit"),
        ({"pay_by": "agreement"}, "agreement"),
    ],
)
def test_a_box_renews_itself_by_the_method_that_it_was_given(
    lifecycle: Provider, how: dict[str, Any], method: str
) -> None:
    box = lifecycle.box(expires_on=E, **how)

    lifecycle.travel_to("2027-03-24")

    assert box.expires_on == date(2028, 3, 31)
    (renewed,) = lifecycle.events(box)
    assert (renewed.date, renewed.kind, renewed.by) == (date(2027, 3, 24), "box.renewed", "auto_renew")
    assert renewed.detail["method"] == method


def test_a_box_without_a_method_is_warned_and_one_that_ended_yesterday_suspended(lifecycle: Provider) -> None:
    ending = lifecycle.box(expires_on="2027-03-30")
    ended = lifecycle.box(expires_on="2027-03-22")

    lifecycle.travel_to("2027-03-23")

    assert (ending.status, ended.status, ended.suspended_on) == ("active", "suspended", date(2027, 3, 23))
    assert [(sent.kind, sent.recipient) for sent in lifecycle.sent] == [
        ("box.expiry_alert", "customer-1@example.it"),
        ("box.suspended", "customer-2@example.it"),
    ]


def test_every_day_on_the_way_is_run_once(lifecycle: Provider) -> None:
    days = [date(2027, 3, 23) + timedelta(days=number) for number in range(4)]

    first = lifecycle.travel_to("2027-03-24")
    again = lifecycle.travel_to("2027-03-24")
    rest = lifecycle.travel_to(days[-1])

    assert [report.on for report in (*first, *again, *rest)] == days
    with lifecycle.store.read() as connection:
        assert list(connection.scalars(select(runs.c.run_on).order_by(runs.c.run_on))) == days
    assert lifecycle.today == days[-1]


def test_time_does_not_go_back(lifecycle: Provider) -> None:
    with pytest.raises(ValueError, match="It is 2027-03-23 already"):
        lifecycle.travel_to("2027-03-22")


def test_a_message_is_read_as_it_was_delivered(lifecycle: Provider) -> None:
    holder = lifecycle.customer("anna", locale="en", email="anna@example.org")
    lifecycle.box("anna@pec.example.it", expires_on="2027-03-30", customer=holder)

    lifecycle.travel_to("2027-03-23")

    (sent,) = lifecycle.sent
    assert (sent.date, sent.kind, sent.recipient, sent.locale) == (
        date(2027, 3, 23),
        "box.expiry_alert",
        "anna@example.org",
        "en",
    )
    assert "anna@pec.example.it" in sent.subject
    assert "30 March 2027" in sent.text
    assert "<html" in sent.html


def test_charges_are_listed_as_they_were_tried(lifecycle: Provider) -> None:
    lifecycle.box("anna@pec.example.it", expires_on=E, card="sandbox_paid_from:2027-03-26")

    lifecycle.travel_to("2027-03-26")

    assert [(str(each.date), each.status, each.decline_code, each.slot) for each in lifecycle.charges] == [
        ("2027-03-24", "declined", "insufficient_funds", 7),
        ("2027-03-26", "succeeded", None, 5),
    ]
    assert {(each.address, each.amount_cents, each.method) for each in lifecycle.charges} == {
        ("anna@pec.example.it", 1208, "card")
    }


def test_addons_end_with_their_box_and_are_paid_as_they_say(lifecycle: Provider) -> None:
    box = lifecycle.box(
        expires_on=E,
        pay_by="agreement",
        plan="pro",
        credit="3.05",
        addons=[Addon("extra_archive", 2), Addon(paid_from="credit", addon_id="gb1")],
    )

    lifecycle.travel_to("2027-03-24")

    assert [happened.kind for happened in lifecycle.events(box)] == ["box.renewed", "addon.renewed"]
    with lifecycle.store.read() as connection:
        assert set(connection.scalars(select(addons.c.expires_on))) == {date(2028, 3, 31)}


@pytest.mark.lifecycle(gateway={"max_amount": "5.00"})
def test_what_a_run_would_have_told_a_person_is_kept_with_its_date(lifecycle: Provider) -> None:
    lifecycle.box(expires_on=E, card="pm_card_visa")

    lifecycle.travel_to("2027-03-24")

    assert lifecycle.failures == ["2027-03-24: 1 rows are parked because they failed. See: lifecycle-jobs status"]


def test_any_operation_of_the_accounts_can_be_done_on_the_provider(lifecycle: Provider) -> None:
    holder = lifecycle.customer()

    accounts.register_top_up(
        lifecycle.store,
        lifecycle.operator,
        holder,
        amount_cents=1_000,
        reference="CRO-1",
        paid_on=lifecycle.today,
        request_id="1",
    )
    lifecycle.deliver()

    assert [sent.kind for sent in lifecycle.sent] == ["credit.topped_up"]


def test_several_ways_to_pay_are_refused(lifecycle: Provider) -> None:
    with pytest.raises(ValueError, match="one method: card or paypal"):
        lifecycle.box(expires_on=E, card="pm_card_visa", paypal="pm_card_visa")


def test_credit_is_refused_for_a_holder_who_is_there_already(lifecycle: Provider) -> None:
    holder = lifecycle.customer()

    with pytest.raises(ValueError, match="credit belongs to the holder"):
        lifecycle.box(expires_on=E, customer=holder, credit="5.00")
