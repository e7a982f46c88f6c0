"""What every gateway must pass before it is trusted with money: the promises of `gateway`, as tests.

Derive a class whose name begins with `Test`, in a test file of the gateway's own, and give it the hooks:

    class TestExamplePay(GatewayConformance):
        paid_token, soft_token, hard_token, silent_token = "tok_ok", "tok_no_funds", "tok_stolen", "tok_hangs"

        def open_gateway(self) -> Gateway:
            return ExamplePay("http://127.0.0.1:8080")
        …

pytest does the rest. Run it against something that plays the service in a process of its own: a gateway is only as
trustworthy as what it was tried against.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from lifecycle_jobs import clock
from lifecycle_jobs.payments.gateway import (
    ChargeRequest,
    Declined,
    Gateway,
    NeverSeen,
    NoAnswer,
    NotAttempted,
    Refunded,
    RefundRefused,
    RefundRequest,
    Succeeded,
    Unknown,
)

AMOUNT = 1208
"""Cents of every charge that is made here."""

_AT_ONCE = 16


class GatewayConformance(ABC):
    """Tests that a gateway inherits. Every charge has a key of its own, so the service may be a long-lived one."""

    paid_token: str
    """A stored method that pays."""

    soft_token: str
    """One that is declined for now."""

    hard_token: str
    """One that is declined for good."""

    silent_token: str
    """One for which the service takes the charge and whoever asked gets no answer."""

    method_kind: Literal["card", "paypal"] = "card"

    gateway_customer_id: str | None = None
    """Whose method it is at the service; None if the service does not need to know."""

    @abstractmethod
    def open_gateway(self) -> Gateway:
        """A gateway, made anew each time, of the same account."""

    @abstractmethod
    def open_unreachable_gateway(self) -> Gateway:
        """One whose service is not there: the connection is refused."""

    @abstractmethod
    def moved(self, key: str) -> int:
        """How many cents the service has taken under this key, refunds not counted."""

    @abstractmethod
    def given_back(self, reference: str) -> int:
        """How many cents of this charge the service has given back."""

    def wait_for_the_list(self) -> None:  # noqa: B027 -- most services need no waiting
        """Let the service's list catch up, if it runs behind. Called before a look-up that must find something."""

    def request(self, token: str) -> ChargeRequest:
        """A charge that nobody has asked for yet."""
        now = clock.now()
        return ChargeRequest(
            idempotency_key=f"conformance-{uuid.uuid4().hex}",
            amount_cents=AMOUNT,
            method_kind=self.method_kind,
            token=token,
            gateway_customer_id=self.gateway_customer_id,
            order_number="R-17",
            box_address="mario.rossi@pec.example.it",
            slot_on=now.date(),
            asked_at=now,
        )

    def test_a_success_has_a_reference_and_moves_the_amount_once(self) -> None:
        request = self.request(self.paid_token)

        outcome = self.open_gateway().charge(request)

        assert isinstance(outcome, Succeeded)
        assert outcome.reference
        assert self.moved(request.idempotency_key) == AMOUNT

    def test_the_same_key_gets_the_same_answer_and_moves_nothing_more(self) -> None:
        request = self.request(self.paid_token)
        gateway = self.open_gateway()

        answers = [gateway.charge(request), gateway.charge(request), self.open_gateway().charge(request)]

        assert isinstance(answers[0], Succeeded)
        assert answers == [answers[0]] * 3
        assert self.moved(request.idempotency_key) == AMOUNT

    def test_a_key_with_another_amount_moves_nothing_and_denies_nothing(self) -> None:
        request = self.request(self.paid_token)
        gateway = self.open_gateway()
        gateway.charge(request)

        outcome = gateway.charge(replace(request, amount_cents=AMOUNT + 1))

        assert isinstance(outcome, Unknown)
        assert self.moved(request.idempotency_key) == AMOUNT

    def test_one_key_from_many_threads_moves_money_once(self) -> None:
        request = self.request(self.paid_token)
        gateway = self.open_gateway()

        with ThreadPoolExecutor(_AT_ONCE) as threads:
            outcomes = list(threads.map(gateway.charge, [request] * _AT_ONCE))

        assert {type(outcome) for outcome in outcomes} <= {Succeeded, Unknown}
        assert len({outcome for outcome in outcomes if isinstance(outcome, Succeeded)}) == 1
        assert self.moved(request.idempotency_key) == AMOUNT

    def test_a_soft_decline_moves_nothing_and_is_remembered(self) -> None:
        self._is_declined(self.soft_token, hard=False)

    def test_a_hard_decline_moves_nothing_and_is_remembered(self) -> None:
        self._is_declined(self.hard_token, hard=True)

    def _is_declined(self, token: str, *, hard: bool) -> None:
        request = self.request(token)
        gateway = self.open_gateway()

        outcome = gateway.charge(request)

        assert isinstance(outcome, Declined)
        assert (bool(outcome.code), outcome.hard) == (True, hard)
        assert gateway.charge(request) == outcome
        assert self.moved(request.idempotency_key) == 0
        self.wait_for_the_list()
        found = self.open_gateway().look_up(request)
        assert isinstance(found, Declined)
        assert (found.code, found.hard) == (outcome.code, outcome.hard)

    def test_a_look_up_finds_what_was_paid(self) -> None:
        request = self.request(self.paid_token)
        outcome = self.open_gateway().charge(request)
        self.wait_for_the_list()

        assert self.open_gateway().look_up(request) == outcome

    def test_a_look_up_of_what_nobody_asked_for_finds_nothing(self) -> None:
        request = self.request(self.paid_token)

        assert self.open_gateway().look_up(request) == NeverSeen()
        assert self.moved(request.idempotency_key) == 0

    def test_it_says_how_far_look_ups_lag_and_how_long_keys_are_remembered(self) -> None:
        gateway = self.open_gateway()

        assert gateway.lag >= timedelta(0)
        assert gateway.memory is None or gateway.memory > timedelta(0)

    def test_a_lost_answer_is_unknown(self) -> None:
        request = self.request(self.silent_token)

        assert isinstance(self.open_gateway().charge(request), Unknown)
        assert self.moved(request.idempotency_key) <= AMOUNT

    def test_a_service_that_is_not_there_has_not_been_asked(self) -> None:
        request = self.request(self.paid_token)
        gateway = self.open_unreachable_gateway()

        assert isinstance(gateway.charge(request), NotAttempted)
        assert isinstance(gateway.look_up(request), NoAnswer)
        assert isinstance(gateway.refund(RefundRequest(f"{request.idempotency_key}-r", "x", AMOUNT)), NotAttempted)
        assert self.moved(request.idempotency_key) == 0

    def test_a_charge_is_given_back_once_however_often_it_is_asked_for(self) -> None:
        request = self.request(self.paid_token)
        gateway = self.open_gateway()
        paid = gateway.charge(request)
        assert isinstance(paid, Succeeded)
        refund = RefundRequest(f"{request.idempotency_key}-r", paid.reference, AMOUNT)

        outcomes = [
            gateway.refund(refund),
            self.open_gateway().refund(refund),
            gateway.refund(replace(refund, idempotency_key=f"{request.idempotency_key}-s")),
        ]

        assert [type(outcome) for outcome in outcomes] == [Refunded] * 3
        assert self.given_back(paid.reference) == AMOUNT

    def test_what_was_never_charged_is_not_given_back(self) -> None:
        refund = RefundRequest(f"conformance-{uuid.uuid4().hex}", "no-such-reference", AMOUNT)

        assert isinstance(self.open_gateway().refund(refund), RefundRefused)

    def test_another_amount_than_that_of_the_charge_is_not_given_back(self) -> None:
        request = self.request(self.paid_token)
        gateway = self.open_gateway()
        paid = gateway.charge(request)
        assert isinstance(paid, Succeeded)

        for amount in (AMOUNT - 1, AMOUNT + 1):
            refund = RefundRequest(f"{request.idempotency_key}-{amount}", paid.reference, amount)
            assert isinstance(gateway.refund(refund), RefundRefused)
        assert self.given_back(paid.reference) == 0

    def test_a_rehearsal_moves_nothing(self) -> None:
        request = self.request(self.paid_token)

        outcome = self.open_gateway().rehearse().charge(request)

        assert isinstance(outcome, Succeeded)
        assert self.moved(request.idempotency_key) == 0
        assert self.open_gateway().look_up(request) == NeverSeen()
