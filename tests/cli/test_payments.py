"""`reconcile`, `charges`, `refunds` and `payments`, as they are typed."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lifecycle_jobs import clock, lease
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.payments.gateway import Refunded, RefundOutcome, RefundRefused, Unknown
from lifecycle_jobs.payments.sandbox import SandboxGateway, bookings
from lifecycle_jobs.payments.sandbox import refunds as booked_refunds
from tests import factories
from tests.cli.conftest import Type, Typed
from tests.jobs.running import change, charged, expires_on, look, renewing_box

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
FIRST_SLOT = E - timedelta(days=7)
ORDER = "R-1-20270331"
SEE_REFUNDS = "See: lifecycle-jobs refunds list"


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    """The database of the provider at which commands are typed."""
    return sqlite_store


@pytest.fixture
def journal(lifecycle: Type, tmp_path: Path) -> Path:
    """The bank's own books."""
    del lifecycle
    return tmp_path / "sandbox.jsonl"


@pytest.fixture(autouse=True)
def _books(monkeypatch: pytest.MonkeyPatch, journal: Path) -> None:
    monkeypatch.setenv("LIFECYCLE_SANDBOX__JOURNAL", str(journal))


def charge_with(lifecycle: Type, store: Store, token: str, **box: Any) -> str:
    """A box, charged on its first slot with such a card; the key of the charge."""
    with store.write() as connection:
        renewing_box(connection, token=token, **box)
    lifecycle("replay", FIRST_SLOT.isoformat())
    return str(look(store, tables.charges)[0]["idempotency_key"])


@pytest.fixture
def unresolved(lifecycle: Type, store: Store) -> str:
    """The key of a charge that was booked and whose answer was lost."""
    return charge_with(lifecycle, store, "sandbox_lost_answer_paid")


@pytest.fixture
def declined(lifecycle: Type, store: Store) -> str:
    """The number of an order whose charge was declined."""
    charge_with(lifecycle, store, "pm_card_visa_chargeDeclinedInsufficientFunds")
    return ORDER


@pytest.fixture
def unused(lifecycle: Type, store: Store, unresolved: str) -> str:
    """The key of a charge that was booked, and that its box could not take."""
    change(store, tables.boxes, 1, expires_on=NEXT_E)
    lifecycle("reconcile")
    return unresolved


def register(lifecycle: Type, order: str = ORDER, amount: str = "12.08", reference: str = "CRO-1") -> Typed:
    return lifecycle("order", "pay", order, "--amount", amount, "--reference", reference, "--by", "anna")


class TestReconcile:
    def test_with_nothing_unresolved_it_says_so(self, lifecycle: Type) -> None:
        shown = lifecycle("reconcile")

        assert (shown.code, shown.out, shown.err) == (0, "Settled: nothing. Left: nothing.\n", "")

    @pytest.mark.usefixtures("unresolved")
    def test_it_says_what_was_settled(self, lifecycle: Type, store: Store) -> None:
        shown = lifecycle("reconcile", "--by", "anna", "--why", "the bank was down")

        assert (shown.code, shown.out) == (0, "Settled: box.renewed 1. Left: nothing.\n")
        assert expires_on(store, 1) == NEXT_E
        event = look(store, tables.events)[-1]
        assert (event["kind"], event["actor"], event["why"]) == ("box.renewed", "anna", "the bank was down")

    @pytest.mark.usefixtures("unresolved")
    def test_as_json(self, lifecycle: Type) -> None:
        shown = lifecycle("reconcile", "--json")

        assert json.loads(shown.out) == {"done": {"box.renewed": 1}, "left": {}, "failures": []}

    @pytest.mark.usefixtures("unresolved")
    def test_money_that_no_box_can_take_is_exit_code_1(self, lifecycle: Type, store: Store) -> None:
        change(store, tables.boxes, 1, expires_on=NEXT_E)

        shown = lifecycle("reconcile", "--json")

        assert (shown.code, shown.err) == (1, f"! 1 payments are to be refunded. {SEE_REFUNDS}\n")
        assert json.loads(shown.out)["failures"] == [f"1 payments are to be refunded. {SEE_REFUNDS}"]

    def test_while_a_run_is_under_way_it_is_exit_code_3(self, lifecycle: Type, store: Store) -> None:
        with lease.hold(store, "run", 60):
            shown = lifecycle("reconcile")

        assert (shown.code, shown.out) == (3, "")
        assert "Another run is under way" in shown.err


class TestChargesResolve:
    def test_paid(self, lifecycle: Type, store: Store, unresolved: str) -> None:
        shown = lifecycle("charges", "resolve", unresolved, "--paid", " pi_17 ", "--by", "anna")

        assert (shown.code, shown.out) == (0, "Recorded as paid: the box is renewed.\n")
        (charge,) = look(store, tables.charges)
        assert (charge["status"], charge["gateway_reference"]) == ("succeeded", "pi_17")

    def test_not_made(self, lifecycle: Type, store: Store, unresolved: str) -> None:
        shown = lifecycle("charges", "resolve", unresolved, "--not-made", "--why", "not on their pages")

        assert (shown.code, shown.out) == (0, "Recorded as not made: the next run may charge the box again.\n")
        (charge,) = look(store, tables.charges)
        assert (charge["status"], charge["why"]) == ("not_attempted", "a person says so: not on their pages")

    def test_paid_for_a_box_that_cannot_take_it_is_exit_code_1(
        self, lifecycle: Type, store: Store, unresolved: str
    ) -> None:
        change(store, tables.boxes, 1, expires_on=NEXT_E)

        shown = lifecycle("charges", "resolve", unresolved, "--paid", "pi_17")

        sentence = "Recorded as paid, but its box cannot take it: refund it (lifecycle-jobs refunds list).\n"
        assert (shown.code, shown.out, shown.err) == (1, "", sentence)

    @pytest.mark.parametrize(
        ("said", "sentence"),
        [
            ((), "Say either --paid REFERENCE or --not-made."),
            (("--paid", "pi_17", "--not-made", "--why", "x"), "Say either --paid REFERENCE or --not-made."),
            (("--not-made",), "--not-made needs --why TEXT: how do you know?"),
            (("--paid", " "), "--paid is empty: say what the bank or the gateway calls the payment."),
        ],
    )
    def test_half_a_word_is_refused(
        self, lifecycle: Type, store: Store, unresolved: str, said: tuple[str, ...], sentence: str
    ) -> None:
        shown = lifecycle("charges", "resolve", unresolved, *said)

        assert (shown.code, sentence in shown.err, "Traceback" in shown.err) == (2, True, False)
        assert charged(store) == [(7, "unknown")]

    def test_a_charge_that_is_not_there_or_settled_is_refused(self, lifecycle: Type, unresolved: str) -> None:
        nobodys = lifecycle("charges", "resolve", "k", "--paid", "pi_17")
        assert (nobodys.code, nobodys.err) == (2, "There is no charge k. See: lifecycle-jobs status\n")

        lifecycle("charges", "resolve", unresolved, "--paid", "pi_17")
        again = lifecycle("charges", "resolve", unresolved, "--paid", "pi_17")
        sentence = f"Charge {unresolved} is settled already: succeeded. Nothing was done.\n"
        assert (again.code, again.err) == (2, sentence)

    def test_while_a_run_is_under_way_it_is_exit_code_3(self, lifecycle: Type, store: Store, unresolved: str) -> None:
        with lease.hold(store, "run", 60):
            shown = lifecycle("charges", "resolve", unresolved, "--not-made", "--why", "not on their pages")

        assert (shown.code, shown.out) == (3, "")
        assert charged(store) == [(7, "unknown")]


class TestRefunds:
    def test_with_nothing_to_give_back_it_says_so(self, lifecycle: Type) -> None:
        assert lifecycle("refunds", "list").out == "Nothing is to be refunded.\n"
        assert json.loads(lifecycle("refunds", "list", "--json").out) == []

    def test_what_is_to_be_given_back_is_listed(self, lifecycle: Type, unused: str) -> None:
        shown = lifecycle("refunds", "list")
        assert shown.code == 0
        assert "Unapplied" in shown.out

        (row,) = json.loads(lifecycle("refunds", "list", "--json").out)
        assert (row["key"], row["kind"], row["order_number"], row["amount_cents"]) == (unused, "charge", ORDER, 1208)
        assert (row["address"], row["since"]) == (
            "a@pec.example.it",
            clock.business_date(ZoneInfo("Europe/Rome")).isoformat(),
        )

    def test_a_charge_is_sent_back_once(self, lifecycle: Type, journal: Path, unused: str) -> None:
        (booked,) = bookings(journal)

        shown = lifecycle("refunds", "send", unused, "--by", "anna", "--why", "paid twice")
        again = lifecycle("refunds", "send", unused)

        assert (shown.code, shown.out) == (0, f"Given back: {booked.reference}_refund.\n")
        assert (again.code, again.err) == (2, f"No charge {unused} is to be refunded. {SEE_REFUNDS}\n")
        assert [line.reference for line in booked_refunds(journal)] == [booked.reference]
        assert lifecycle("refunds", "list").out == "Nothing is to be refunded.\n"

    @pytest.mark.parametrize(
        ("answer", "sentence"),
        [
            (RefundRefused("already disputed"), "The gateway did not give it back: already disputed.\n"),
            (
                Unknown("timed out"),
                "The gateway did not say whether it gave it back (timed out). Ask again: it is given back once.\n",
            ),
        ],
    )
    def test_what_was_not_given_back_is_exit_code_1_and_stays_listed(
        self, lifecycle: Type, monkeypatch: pytest.MonkeyPatch, unused: str, answer: RefundOutcome, sentence: str
    ) -> None:
        assert not isinstance(answer, Refunded)
        monkeypatch.setattr(SandboxGateway, "refund", lambda _gateway, _request: answer)

        shown = lifecycle("refunds", "send", unused)

        assert (shown.code, shown.out, shown.err) == (1, "", sentence)
        assert [row["key"] for row in json.loads(lifecycle("refunds", "list", "--json").out)] == [unused]

    def test_what_was_given_back_otherwise_is_noted(
        self, lifecycle: Type, store: Store, journal: Path, unused: str
    ) -> None:
        shown = lifecycle("refunds", "done", unused, "--reference", "transfer 9")
        again = lifecycle("refunds", "done", unused, "--reference", "transfer 9")

        assert (shown.code, shown.out) == (0, "Recorded as given back.\n")
        assert (again.code, again.err) == (2, f"No payment {unused} is to be refunded. {SEE_REFUNDS}\n")
        assert [row["refund_reference"] for row in look(store, tables.charges)] == ["transfer 9"]
        assert booked_refunds(journal) == []

    def test_a_refund_without_a_reference_is_refused(self, lifecycle: Type, unused: str) -> None:
        shown = lifecycle("refunds", "done", unused, "--reference", "")

        assert (shown.code, "--reference is empty" in shown.err) == (2, True)


class TestOrderPay:
    def test_a_payment_renews_the_box(self, lifecycle: Type, store: Store, declined: str) -> None:
        shown = register(lifecycle, declined)

        assert (shown.code, shown.out) == (
            0,
            f"Order {declined} is paid, and a@pec.example.it is renewed until 2028-03-31.\nIt renews itself.\n",
        )
        assert expires_on(store, 1) == NEXT_E
        assert [row["actor"] for row in look(store, tables.registered_payments)] == ["anna"]

    def test_the_receipt_goes_out_with_the_next_delivery(self, lifecycle: Type, store: Store, declined: str) -> None:
        register(lifecycle, declined)
        lifecycle("confirm-gap")  # the declined charge lies in the future

        assert lifecycle("deliver").code == 0

        kinds = {row["kind"]: row["status"] for row in look(store, tables.messages)}
        assert kinds["box.renewed"] == "sent"

    def test_the_same_payment_twice_is_known(self, lifecycle: Type, declined: str) -> None:
        register(lifecycle, declined)

        shown = register(lifecycle, declined)

        assert (shown.code, shown.out) == (0, "This payment was registered before. Nothing was done.\n")

    def test_a_payment_that_its_order_cannot_take_is_exit_code_1_each_time(
        self, lifecycle: Type, declined: str
    ) -> None:
        register(lifecycle, declined)

        shown = register(lifecycle, declined, reference="CRO-2")
        again = register(lifecycle, declined, reference="CRO-2")

        sentence = (
            f"Order {declined} did not take it: it is paid already. The money is kept as an unapplied payment: give it "
            "back (lifecycle-jobs refunds list), or lifecycle-jobs payments apply CRO-2 ORDER.\n"
        )
        assert (shown.code, shown.out, shown.err) == (1, "", sentence)
        assert (again.code, again.err) == (1, sentence)
        assert again.out == "This payment was registered before. Nothing was done.\n"
        (row,) = json.loads(lifecycle("refunds", "list", "--json").out)
        assert (row["key"], row["kind"]) == ("CRO-2", "registered")

    @pytest.mark.parametrize(
        ("order", "amount", "sentence"),
        [(ORDER, "12.09", "it is for 12.08, not 12.09"), ("R-0", "12.08", "there is no order R-0")],
    )
    @pytest.mark.usefixtures("declined")
    def test_what_cannot_be_the_payment_of_the_order_is_kept_and_shown(
        self, lifecycle: Type, store: Store, order: str, amount: str, sentence: str
    ) -> None:
        shown = register(lifecycle, order, amount)

        assert (shown.code, f"Order {order} did not take it: {sentence}." in shown.err) == (1, True)
        assert expires_on(store, 1) == E
        (row,) = json.loads(lifecycle("status", "--json").out)["refunds_due"]["rows"]
        assert (row["key"], row["order_number"], row["because"]) == ("CRO-1", order, sentence)

    def test_a_payment_is_applied_to_the_order_that_was_meant(
        self, lifecycle: Type, store: Store, declined: str
    ) -> None:
        register(lifecycle, "R-0")

        shown = lifecycle("payments", "apply", "CRO-1", declined, "--by", "anna")

        assert (shown.code, expires_on(store, 1)) == (0, NEXT_E)
        assert f"Order {declined} is paid" in shown.out
        again = lifecycle("payments", "apply", "CRO-1", declined)
        assert (again.code, again.err) == (2, f"There is no unapplied payment CRO-1. {SEE_REFUNDS}\n")

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (("--amount", "12.08"), "Say what arrived, and what the bank calls it: --amount EUROS --reference TEXT."),
            (
                ("--paid-by", "credit", "--amount", "12.08"),
                "Credit pays what the order costs: leave out --amount and --reference.",
            ),
            (("--paid-by", "credit"), "The credit of 0.00 does not suffice for 12.08: top up by 12.08 at least."),
        ],
    )
    def test_half_a_payment_is_refused(
        self, lifecycle: Type, declined: str, options: tuple[str, ...], sentence: str
    ) -> None:
        shown = lifecycle("order", "pay", declined, *options)

        assert (shown.code, shown.err) == (2, sentence + "\n")

    def test_as_json(self, lifecycle: Type, declined: str) -> None:
        typed = ("order", "pay", declined, "--amount", "12.08", "--reference", "C", "--paid-on", "2026-11-01")

        shown = json.loads(lifecycle(*typed, "--request-id", "r-1", "--json").out)

        assert (shown["request_id"], shown["applied"], shown["expires_on"]) == ("r-1", True, "2028-03-31")
        assert json.loads(lifecycle(*typed, "--request-id", "r-1", "--json").out) == shown

    @pytest.mark.parametrize(
        "amount", ["twelve", "12,08", "12.080", "0", "0.00", "1e3", "1e99", "NaN", "Infinity", "1_2.08", "", "١٢.08"]
    )
    @pytest.mark.usefixtures("declined")
    def test_what_is_no_amount_is_a_usage_error(self, lifecycle: Type, amount: str) -> None:
        shown = register(lifecycle, amount=amount)

        assert shown.code == 2
        assert "is not an amount in euros; write it as 12.08" in shown.err
        assert "Traceback" not in shown.err

    @pytest.mark.parametrize("amount", ["12.08", "12.8", "12"])
    @pytest.mark.usefixtures("declined")
    def test_amounts_are_euros_with_up_to_two_decimals(self, lifecycle: Type, amount: str) -> None:
        shown = register(lifecycle, "R-0", amount)

        assert (shown.code, "there is no order R-0" in shown.err) == (1, True)

    def test_a_payment_without_a_reference_is_refused(self, lifecycle: Type, declined: str) -> None:
        shown = register(lifecycle, declined, reference="  ")

        assert (shown.code, "--reference is empty" in shown.err) == (2, True)
