"""Credit topped up by card: the five outcomes, each charged once, whatever breaks and however often it is asked."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from typing import Any

import freezegun
import pytest

from lifecycle_jobs import between_runs
from lifecycle_jobs.accounts import CardTopUp, resolve, resolve_charge, top_up_by_card
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import EmergencyStop, Refused
from lifecycle_jobs.operators import Operator, stop_everything
from lifecycle_jobs.payments.gateway import ChargeOutcome, ChargeRequest, NotAttempted, Succeeded
from lifecycle_jobs.payments.sandbox import SandboxGateway, bookings
from lifecycle_jobs.payments.top_up_charges import settle_top_up
from tests import factories
from tests.auditing import assert_books_are_right, report_on
from tests.jobs.running import Office, details, everything, look

ON = date(2027, 2, 1)
DAY = timedelta(days=1)
DECLINED = "pm_card_visa_chargeDeclined"


def clerk(on: date = ON) -> Operator:
    return Operator("anna", None, on)


def top_up(
    office: Office, *, request_id: str = "r-1", gateway: SandboxGateway | None = None, on: date = ON, **more: Any
) -> CardTopUp:
    usual: dict[str, Any] = {"amount_cents": 1000}
    customer = more.pop("customer_id", "c1")
    bank = gateway or office.gateway
    with freezegun.freeze_time(f"{on}T08:00:00Z"):
        return top_up_by_card(
            office.store, office.settings, bank, clerk(on), customer, request_id=request_id, **(usual | more)
        )


def reconcile(office: Office, on: date) -> None:
    with freezegun.freeze_time(f"{on}T09:00:00Z"):
        between_runs.reconcile(office.store, office.settings, clerk(on), lambda _job, _rows: None)


def with_card(office: Office, token: str = "pm_card_visa") -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=848)
        factories.method(connection, token=token)


def known(office: Office) -> tuple[str, str, int]:
    """What the books say: the charge, its order, and the credit."""
    (charge,) = look(office.store, tables.top_up_charges)
    (order,) = look(office.store, tables.orders)
    (customer,) = look(office.store, tables.customers)
    assert_books_are_right(office.store, office.settings)
    return charge["status"], order["status"], customer["credit_cents"]


def booked(office: Office) -> int:
    return len(bookings(office.settings.sandbox.journal))


def messages(office: Office) -> list[str]:
    return [row["kind"] for row in look(office.store, tables.messages)]


class _Dies(SandboxGateway):
    """The process dies at the call: before it, or after the bank has booked it."""

    booked = False

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        if self.booked:
            super().charge(request)
        raise KeyboardInterrupt


class _DiesLate(_Dies):
    booked = True


def test_a_card_is_charged_and_its_money_is_credit_at_once(office: Office) -> None:
    with_card(office)

    done = top_up(office)

    assert (done.state, done.balance_cents, done.payment_method_id) == ("succeeded", 1848, "pm1")
    assert known(office) == ("succeeded", "paid", 1848)
    assert booked(office) == 1
    assert messages(office) == ["credit.topped_up"]
    assert [row["by_card"] for row in details(office.store, "credit.topped_up")] == [True]


def test_asked_again_it_is_charged_once(office: Office) -> None:
    with_card(office)
    first = top_up(office)
    before = everything(office.store)

    assert top_up(office, on=ON + DAY) == first
    assert (everything(office.store), booked(office)) == (before, 1)
    with pytest.raises(Refused, match="The request id r-1 stands for another request already"):
        top_up(office, amount_cents=999)


def test_declined_nothing_is_credit_and_the_order_is_cancelled(office: Office) -> None:
    with_card(office, DECLINED)

    done = top_up(office)

    assert (done.state, done.decline_code, done.balance_cents) == ("declined", "generic_decline", None)
    assert known(office) == ("declined", "cancelled", 848)
    assert messages(office) == ["credit.topup_failed"]
    assert top_up(office) == done


def test_a_gateway_that_cannot_be_reached_has_charged_nothing(office: Office) -> None:
    with_card(office, "sandbox_unavailable")

    assert top_up(office).state == "not_attempted"
    assert known(office) == ("not_attempted", "cancelled", 848)


def test_an_answer_that_was_lost_is_looked_up_when_asked_again_and_not_charged_twice(office: Office) -> None:
    with_card(office, "sandbox_lost_answer_paid")

    assert top_up(office).state == "unknown"
    assert known(office) == ("unknown", "awaiting_payment", 848)
    assert messages(office) == []

    assert (top_up(office).state, booked(office)) == ("succeeded", 1)
    assert known(office) == ("succeeded", "paid", 1848)
    assert messages(office) == ["credit.topped_up"]


def test_an_answer_that_was_lost_is_found_by_reconcile_and_by_the_next_run(office: Office) -> None:
    with_card(office, "sandbox_lost_answer_paid")
    top_up(office)
    top_up(office, request_id="r-2")

    reconcile(office, ON)
    assert [row["status"] for row in look(office.store, tables.top_up_charges)] == ["succeeded", "succeeded"]
    assert messages(office) == ["credit.topped_up"]  # one for both, as of one operation
    assert top_up(office).balance_cents == 2848
    assert booked(office) == 2
    assert_books_are_right(office.store, office.settings)


def test_what_the_bank_never_saw_is_given_up_on_a_later_date_and_not_before(office: Office) -> None:
    with_card(office, "sandbox_lost_answer_never_seen")
    top_up(office)

    office.day(ON)
    assert known(office)[0] == "unknown"
    assert top_up(office).state == "unknown"

    with freezegun.freeze_time(f"{ON + DAY}T04:00:00Z"):
        office.day(ON + DAY)
    assert known(office) == ("not_attempted", "cancelled", 848)
    assert top_up(office, on=ON + DAY).state == "not_attempted"
    assert messages(office) == ["credit.topup_failed"]


@pytest.mark.parametrize(("bank", "status", "credit"), [(_Dies, "not_attempted", 848), (_DiesLate, "succeeded", 1848)])
def test_a_process_that_dies_at_the_call_leaves_a_charge_that_is_found(
    office: Office, bank: type[_Dies], status: str, credit: int
) -> None:
    with_card(office)
    with pytest.raises(KeyboardInterrupt):
        top_up(office, gateway=bank(office.settings.sandbox.journal))
    assert known(office) == ("pending", "awaiting_payment", 848)

    reconcile(office, ON + DAY)

    assert (known(office)[0], known(office)[2]) == (status, credit)
    assert top_up(office, on=ON + DAY).state == status
    assert booked(office) == (1 if credit == 1848 else 0)


def test_asked_again_after_a_crash_it_is_looked_up_and_never_presented_a_second_time(office: Office) -> None:
    with_card(office)
    with pytest.raises(KeyboardInterrupt):
        top_up(office, gateway=_Dies(office.settings.sandbox.journal))

    assert top_up(office).state == "unknown"
    assert booked(office) == 0


def test_money_that_came_after_it_was_given_up_is_credit_all_the_same(office: Office) -> None:
    with_card(office, "sandbox_lost_answer_paid")
    top_up(office)
    (charge,) = look(office.store, tables.top_up_charges)
    said = NotAttempted("a person says so")
    assert resolve_charge(office.store, office.settings, clerk(), charge["idempotency_key"], said) == "not_attempted"

    with office.store.write() as connection:
        settle_top_up(connection, clerk().operation(), charge["id"], Succeeded("ref"))

    assert known(office) == ("succeeded", "paid", 1848)


def test_a_clerk_who_knows_better_settles_it(office: Office) -> None:
    with_card(office, "sandbox_lost_answer_paid")
    top_up(office)
    (charge,) = look(office.store, tables.top_up_charges)
    key = charge["idempotency_key"]
    assert [row["subject"] for row in report_on(office.store, office.settings).waiting[0].rows] == [f"charge:{key}"]

    assert resolve_charge(office.store, office.settings, clerk(), key, Succeeded("ref")) == "topped_up"

    assert known(office) == ("succeeded", "paid", 1848)
    with pytest.raises(Refused, match=rf"^Charge {key} is settled already: succeeded\. Nothing was done\.$"):
        resolve_charge(office.store, office.settings, clerk(), key, Succeeded("ref"))


def test_a_clerk_whose_word_comes_too_late_is_told_and_nothing_says_otherwise(
    postgresql_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = postgresql_office
    with_card(office, "sandbox_lost_answer_paid")
    top_up(office)
    (charge,) = look(office.store, tables.top_up_charges)

    def after_the_answer(*arguments: Any) -> bool:
        with office.store.write() as connection:
            settle_top_up(connection, clerk().operation(), charge["id"], Succeeded("ref"))
        return settle_top_up(*arguments)

    monkeypatch.setattr(resolve, "settle_top_up", after_the_answer)
    with pytest.raises(Refused, match="has been settled meanwhile"):
        resolve_charge(office.store, office.settings, clerk(), charge["idempotency_key"], NotAttempted("not there"))

    assert known(office) == ("succeeded", "paid", 1848)
    assert details(office.store, "charge.resolved") == []


def test_a_charge_that_may_be_under_way_is_not_settled_by_a_persons_word(office: Office) -> None:
    with_card(office)
    with pytest.raises(KeyboardInterrupt):
        top_up(office, gateway=_Dies(office.settings.sandbox.journal))
    (charge,) = look(office.store, tables.top_up_charges)

    with pytest.raises(Refused, match="may be under way at this moment"):
        resolve_charge(office.store, office.settings, clerk(), charge["idempotency_key"], NotAttempted("x"))


def test_two_that_ask_under_one_id_at_the_same_moment_charge_once(postgresql_office: Office) -> None:
    office = postgresql_office
    with_card(office)
    states: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: states.append(
                top_up_by_card(
                    office.store, office.settings, office.gateway, clerk(), "c1", amount_cents=1000, request_id="r-1"
                ).state
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert set(states) <= {"succeeded", "unknown"}
    assert (known(office), booked(office)) == (("succeeded", "paid", 1848), 1)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"customer_id": "c9"}, "There is no customer c9."),
        ({"amount_cents": 0}, "A top-up is of one cent at the least."),
        ({"amount_cents": 100_001}, "A top-up by card is of 1000.00 at the most (gateway.max_amount)."),
        ({"payment_method_id": "pm9"}, "c1 has no card or PayPal account pm9."),
        ({}, "c1 has several payment methods. Say which with --method: pm1 (card), pm2 (paypal)."),
        (
            {"customer_id": "c2"},
            "c2 has no card or PayPal account. Store one first (lifecycle-jobs method register c2).",
        ),
    ],
)
def test_what_cannot_be_charged_is_refused(office: Office, more: dict[str, Any], sentence: str) -> None:
    with_card(office)
    with office.store.write() as connection:
        factories.method(connection, "pm2", kind="paypal")
        factories.customer(connection, "c2")
        factories.method(connection, "pm3", "c2", kind="credit")

    with pytest.raises(Refused) as refusal:
        top_up(office, **more)

    assert str(refusal.value) == sentence
    assert look(office.store, tables.account_requests) == look(office.store, tables.orders) == []


def test_while_the_emergency_stop_is_on_nobody_is_charged(office: Office) -> None:
    with_card(office)
    stop_everything(office.store, clerk(), "double charges")

    with pytest.raises(EmergencyStop):
        top_up(office)

    assert (booked(office), look(office.store, tables.top_up_charges)) == (0, [])


def test_a_charge_unresolved_for_days_is_reported(office: Office) -> None:
    class _Silent(SandboxGateway):
        def look_up(self, request: ChargeRequest) -> Any:
            raise OSError(request.order_number)

    with_card(office, "sandbox_lost_answer_paid")
    top_up(office)
    silent = Office(office.store, office.settings, _Silent(office.settings.sandbox.journal))

    report = silent.job("reconcile_charges", ON + 3 * DAY)

    assert report.skipped == {"not_trusted_yet": 1}
    assert [failure[:60] for failure in report.failures] == [
        "1 charges for credit have been unresolved for 3 days or more"
    ]
