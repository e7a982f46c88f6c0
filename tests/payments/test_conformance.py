"""Every gateway that ships keeps the promises of a gateway."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lifecycle_jobs.payments.conformance import GatewayConformance
from lifecycle_jobs.payments.gateway import Gateway
from lifecycle_jobs.payments.sandbox import SandboxGateway, bookings, refunds
from tests.payments.stripe_account import open_at
from tests.stripe_servers import StripeServer

READ_SECONDS = 1


class TestSandbox(GatewayConformance):
    paid_token = "pm_card_visa"
    soft_token = "pm_card_visa_chargeDeclinedInsufficientFunds"
    hard_token = "pm_card_visa_chargeDeclinedStolenCard"
    silent_token = "sandbox_lost_answer_paid"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    def open_gateway(self) -> Gateway:
        return SandboxGateway(self.journal)

    def open_unreachable_gateway(self) -> Gateway:
        return SandboxGateway(self.folder)  # a folder cannot be written to as a file

    def moved(self, key: str) -> int:
        return sum(line.amount_cents for line in bookings(self.journal) if line.key == key)

    def given_back(self, reference: str) -> int:
        return sum(line.amount_cents for line in refunds(self.journal) if line.reference == reference)


class OfStripe(GatewayConformance):
    server: StripeServer

    def open_gateway(self) -> Gateway:
        return open_at(self.server.url, read_timeout=READ_SECONDS)

    def open_unreachable_gateway(self) -> Gateway:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        return open_at(f"http://127.0.0.1:{port}")

    def moved(self, key: str) -> int:
        return sum(charge.amount for charge in self.server.charges() if charge.key == key)

    def given_back(self, reference: str) -> int:
        return sum(refund.amount for refund in self.server.refunds() if refund.reference == reference)


class TestStripeWithACard(OfStripe):
    paid_token = "pm_card_visa"
    soft_token = "pm_card_visa_chargeDeclinedInsufficientFunds"
    hard_token = "pm_card_visa_chargeDeclinedStolenCard"
    silent_token = "pm_fault_late"
    gateway_customer_id: str | None = "cus_1"

    @pytest.fixture(autouse=True)
    def _server(self, stripe_server: StripeServer) -> None:
        self.server = stripe_server


class TestStripeWithACardThatBelongsToNoCustomer(TestStripeWithACard):
    gateway_customer_id = None


class TestStripeWithPayPal(TestStripeWithACard):
    paid_token = "pm_paypal"
    hard_token = "pm_paypal_agreement_cancelled"
    method_kind = "paypal"


class TestLocalstripe(OfStripe):
    """Keys, filters, the refusal of a second refund and the faults come from our front; the rest does not."""

    silent_token = "pm_fault_silent"

    @pytest.fixture(autouse=True)
    def _server(self, localstripe_server: StripeServer) -> None:
        self.server = localstripe_server
        self.gateway_customer_id = self.server.post("/v1/customers")["id"]
        self.paid_token = self.card("4242424242424242")
        self.soft_token = self.card("4000000000000341")
        self.hard_token = self.card("4000002500003155")  # asks for authentication

    def card(self, number: str) -> str:
        return self.server.stored_card(number, str(self.gateway_customer_id))
