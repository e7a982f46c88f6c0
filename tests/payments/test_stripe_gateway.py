"""Charging through Stripe: what is sent, and what every answer, or none, is taken for.

`test_localstripe_…` run against localstripe behind our front, the others against recorded behaviour.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import structlog
from pydantic import SecretStr

from lifecycle_jobs import clock
from lifecycle_jobs.payments.declines import reason_of
from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
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
from tests import factories
from tests.payments.stripe_account import open_at
from tests.stripe_servers import API_KEY, StripeServer

CUSTOMER = "cus_1"
HIDDEN = 3600.0
AT_ONCE = timedelta(0)

_keys = iter(range(10**6))


def asking(token: str = "pm_card_visa", **other: Any) -> ChargeRequest:
    """A charge of this moment with a key of its own."""
    wanted = {"gateway_customer_id": CUSTOMER, "asked_at": clock.now(), "token": token, **other}
    return factories.charge_request(f"lifecycle-{clock.now():%H%M%S%f}-{next(_keys)}", **wanted)


def booked(server: StripeServer, request: ChargeRequest) -> int:
    return sum(charge.key == request.idempotency_key for charge in server.charges())


@pytest.fixture
def gateway(stripe_server: StripeServer) -> Gateway:
    return open_at(stripe_server.url, read_timeout=1)


# What is sent


def test_a_paypal_charge_is_the_one_that_stripe_documents(stripe_server: StripeServer) -> None:
    """https://docs.stripe.com/payments/paypal/set-up-future-payments, "Charge off-session payments later".

    Two fields by newer rules than the example there: `allowed_payment_method_types` instead of `payment_method_types`,
    https://docs.stripe.com/changelog/endive/2026-09-30/removes-the-payment-method-types-parameter-from-payment-intents-and-setup-intents
    and with it `return_url`, https://docs.stripe.com/payments/save-and-reuse. `statement_descriptor` and not its
    suffix: https://docs.stripe.com/get-started/account/statement-descriptors. Amounts in the smallest unit, currency in
    lower case: https://docs.stripe.com/api/payment_intents/create. The header:
    https://docs.stripe.com/api/idempotent_requests.
    """
    request = asking("pm_paypal", method_kind="paypal")

    open_at(stripe_server.url, statement_descriptor="PEC ESEMPIO").charge(request)

    sent = stripe_server.statistics()["last"][-1]
    assert sent["target"] == "/v1/payment_intents"
    assert sent["form"] == {
        "amount": "1208",
        "currency": "eur",
        "customer": "cus_1",
        "allowed_payment_method_types[0]": "paypal",
        "payment_method": "pm_paypal",
        "off_session": "true",
        "confirm": "true",
        "return_url": "https://www.example.it/account",
        "statement_descriptor": "PEC ESEMPIO",
        "metadata[order]": "R-17",
        "metadata[box]": "mario.rossi@pec.example.it",
        "metadata[lifecycle_key]": request.idempotency_key,
    }
    headers = sent["headers"]
    assert headers["idempotency-key"] == request.idempotency_key
    assert headers["authorization"] == f"Bearer {API_KEY}"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["stripe-version"] >= "2026-09-30.endive"
    assert "x-stripe-client-telemetry" not in headers


def test_a_card_carries_the_statement_descriptor_as_a_suffix(stripe_server: StripeServer) -> None:
    open_at(stripe_server.url, statement_descriptor="PEC ESEMPIO").charge(asking(gateway_customer_id=None))

    form = stripe_server.statistics()["last"][-1]["form"]
    assert form["allowed_payment_method_types[0]"] == "card"
    assert form["statement_descriptor_suffix"] == "PEC ESEMPIO"
    assert not {"statement_descriptor", "customer", "receipt_email"} & form.keys()


def test_without_a_statement_descriptor_the_account_s_own_is_used(
    stripe_server: StripeServer, gateway: Gateway
) -> None:
    gateway.charge(asking())

    assert not [name for name in stripe_server.statistics()["last"][-1]["form"] if "descriptor" in name]


def test_the_key_is_ours_whatever_the_account_s_netrc_file_says(
    stripe_server: StripeServer, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    gateway.charge(asking())

    assert stripe_server.statistics()["last"][-1]["headers"]["authorization"] == f"Bearer {API_KEY}"


def test_many_threads_share_a_gateway_and_each_keeps_its_connection(stripe_server: StripeServer) -> None:
    gateway = open_at(stripe_server.url)
    before = stripe_server.statistics()["connections"]
    stripe_server.answer_after(0.02)

    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(gateway.charge, [asking() for _ in range(160)]))

    assert {type(outcome) for outcome in outcomes} == {Succeeded}
    assert len({outcome.reference for outcome in outcomes if isinstance(outcome, Succeeded)}) == 160
    figures = stripe_server.statistics()
    assert figures["connections"] - before <= 16 + 2  # and the two of this test's own questions
    assert figures["most_in_flight"] >= 12


# Every answer is one of five


@pytest.mark.parametrize(
    ("fault", "answer", "times"),
    [
        ("silent", Unknown("TimeoutError"), 0),
        ("late", Unknown("TimeoutError"), 1),
        ("closed_undone", Unknown("RemoteDisconnected"), 0),
        ("closed_before", Unknown("RemoteDisconnected"), 1),
        ("closed_middle", Unknown("IncompleteRead"), 1),
        ("error_done", Unknown("APIError 500"), 1),
        ("error_undone", Unknown("APIError 500"), 0),
        ("nonsense", Unknown("APIError 200"), 1),
        ("nothing", Unknown("AttributeError"), 1),
        ("mixed_up", Unknown("the answer is about another charge"), 1),
        ("redirected", Unknown("APIError 303"), 1),
        ("rate_limited", NotAttempted("rate_limit", timedelta(seconds=7)), 0),
        ("rate_limited_bare", NotAttempted("rate_limit", AT_ONCE), 0),
        ("lock_timeout", NotAttempted("lock_timeout", AT_ONCE), 0),
        ("forbidden", NotAttempted("PermissionError 403", None), 0),
    ],
)
def test_what_went_wrong_is_named_and_a_look_up_finds_the_truth(
    stripe_server: StripeServer, gateway: Gateway, fault: str, answer: ChargeOutcome, times: int
) -> None:
    request = asking(f"pm_fault_{fault}")

    assert gateway.charge(request) == answer

    assert booked(stripe_server, request) == times
    assert type(gateway.look_up(request)) is (Succeeded if times else NeverSeen)


def test_a_connection_that_was_closed_after_the_answer_is_replaced(gateway: Gateway) -> None:
    first = gateway.charge(asking("pm_fault_closed_after"))
    time.sleep(0.2)  # until the closing has arrived; a request that crosses it is lost, and unknown

    assert [type(first), type(gateway.charge(asking()))] == [Succeeded, Succeeded]


@pytest.mark.parametrize(
    ("token", "answer"),
    [
        ("pm_card_processing", Unknown("processing")),
        ("pm_card_unfinished", Unknown("requires_confirmation")),
        ("pm_refused_processing", Unknown("processing")),
        ("pm_refused_succeeded", Unknown("succeeded")),
        ("pm_refused_requires_capture", Unknown("requires_capture")),
        ("pm_refused_requires_action", Declined("authentication_required", hard=True)),
        ("pm_advice_generic_decline", Declined("do_not_try_again", hard=True)),
        ("pm_advice_lost_card", Declined("lost_card", hard=True)),
        ("pm_card_visa_chargeDeclined", Declined("generic_decline", hard=False)),
        ("pm_card_chargeDeclinedExpiredCard", Declined("expired_card", hard=True)),
        ("pm_card_authenticationRequired", Declined("authentication_required", hard=True)),
        ("pm_missing", Declined("payment_method_gone", hard=True)),
        ("pm_detached", Declined("payment_method_gone", hard=True)),
        ("pm_paypal_agreement_cancelled", Declined("invalid_billing_agreement", hard=True)),
    ],
)
def test_a_method_that_does_not_pay(
    stripe_server: StripeServer, gateway: Gateway, token: str, answer: ChargeOutcome
) -> None:
    request = asking(token)

    outcome = gateway.charge(request)

    assert (replace(outcome, reference=None) if isinstance(outcome, Declined) else outcome) == answer
    assert booked(stripe_server, request) == 0


@pytest.mark.parametrize("code", ["insufficient_funds", "lost_card", "do_not_honor", "payment_limit_exceeded"])
def test_a_decline_is_hard_or_soft_by_the_table(gateway: Gateway, code: str) -> None:
    outcome = gateway.charge(asking(f"pm_decline_{code}"))

    assert isinstance(outcome, Declined)
    assert (outcome.code, outcome.hard) == (code, reason_of(code).hard)


def test_a_code_that_is_not_in_the_table_is_soft_and_reported_once(gateway: Gateway) -> None:
    with structlog.testing.capture_logs() as logs:
        outcomes = [gateway.charge(asking("pm_decline_brand_new")) for _ in range(2)]

    assert [(outcome.code, outcome.hard) for outcome in outcomes if isinstance(outcome, Declined)] == [
        ("brand_new", False)
    ] * 2
    assert [line for line in logs if line["event"] == "decline_code_unlisted"] == [
        {"event": "decline_code_unlisted", "log_level": "warning", "code": "brand_new"}
    ]


def test_what_waits_for_the_holder_is_called_off_before_it_counts_as_declined(
    stripe_server: StripeServer, gateway: Gateway
) -> None:
    request = asking("pm_card_action")

    outcome = gateway.charge(request)

    assert isinstance(outcome, Declined)
    assert (outcome.code, outcome.hard) == ("authentication_required", True)
    assert gateway.charge(request) == gateway.look_up(request) == outcome
    form = next(asked["form"] for asked in stripe_server.statistics()["last"] if asked["target"].endswith("/cancel"))
    assert form == {"cancellation_reason": "abandoned"}


@pytest.mark.parametrize("fault", ["error_undone", "closed_undone", "silent", "rate_limited"])
def test_what_could_not_be_called_off_is_unknown_until_a_look_up_does_it(
    stripe_server: StripeServer, gateway: Gateway, fault: str
) -> None:
    request = asking("pm_card_action")
    stripe_server.fail(fault, call="cancel", times=2)

    assert isinstance(gateway.charge(request), Unknown)
    assert isinstance(gateway.look_up(request), NoAnswer)
    found = gateway.look_up(request)
    assert isinstance(found, Declined)
    assert (found.code, found.hard) == ("authentication_required", True)


def test_what_was_called_off_is_declined_even_if_the_answer_to_that_was_lost(
    stripe_server: StripeServer, gateway: Gateway
) -> None:
    stripe_server.fail("closed_before", call="cancel", times=1)

    outcome = gateway.charge(asking("pm_card_action"))

    assert isinstance(outcome, Declined)


def test_a_key_with_other_parameters_may_have_been_charged(gateway: Gateway) -> None:
    request = asking()
    gateway.charge(request)

    assert gateway.charge(replace(request, amount_cents=1)) == Unknown("IdempotencyError 400")


def test_a_key_that_is_at_work_may_be_charged(stripe_server: StripeServer, gateway: Gateway) -> None:
    request = asking()
    stripe_server.answer_after(0.5)

    with ThreadPoolExecutor(2) as threads:
        outcomes = set(threads.map(gateway.charge, [request] * 2))

    assert Unknown("idempotency_key_in_use") in outcomes
    assert booked(stripe_server, request) == 1


# Our own mistakes decline nobody


def test_a_wrong_key_charges_and_declines_nobody(stripe_server: StripeServer) -> None:
    gateway = open_at(stripe_server.url, api_key=SecretStr("pk_live_of_somebody_else"))

    assert gateway.charge(asking()) == NotAttempted("AuthenticationError 401")
    assert gateway.look_up(asking()) == NoAnswer("AuthenticationError 401")


def test_a_key_that_cannot_be_sent_is_not_a_charge_in_doubt(stripe_server: StripeServer) -> None:
    assert open_at(stripe_server.url, api_key=SecretStr("sk_test_1\n2")).charge(asking()) == NotAttempted(
        "InvalidHeader", AT_ONCE
    )


@pytest.mark.parametrize("token", ["pm_missing", "pm_detached"])
@pytest.mark.parametrize("customer", ["cus_missing", "cus_deleted", None])
def test_with_the_key_of_another_account_no_holder_is_told_to_replace_his_card(
    gateway: Gateway, token: str, customer: str | None
) -> None:
    outcome = gateway.charge(asking(token, gateway_customer_id=customer))

    assert isinstance(outcome, NotAttempted)
    assert outcome.retry_after is None


def test_an_amount_that_stripe_does_not_take_is_our_mistake(gateway: Gateway) -> None:
    assert gateway.charge(asking(amount=0)) == NotAttempted("parameter_invalid_integer")


# Whether a request can have been sent


def test_a_name_that_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(*_address: object, **_kind: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)

    assert open_at("https://stripe.example.it").charge(asking()) == NotAttempted("gaierror", AT_ONCE)


def test_a_connection_that_is_not_accepted_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for other in waiting:
            other.setblocking(False)
            other.connect_ex(address)
        outcome = open_at(f"http://127.0.0.1:{address[1]}", connect_timeout=1).charge(asking())
        for other in waiting:
            other.close()

    assert outcome == NotAttempted("TimeoutError", AT_ONCE)


def test_a_server_that_does_not_speak_tls(stripe_server: StripeServer) -> None:
    gateway = open_at(stripe_server.url.replace("http://", "https://"), connect_timeout=1)

    assert gateway.charge(asking()) == NotAttempted("TimeoutError", AT_ONCE)


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_connection_cut_in_the_handshake_is_certain_and_one_cut_later_is_not(scheme: str) -> None:
    with hanging_up() as port:
        outcome = open_at(f"{scheme}://127.0.0.1:{port}").charge(asking())

    assert type(outcome) is (NotAttempted if scheme == "https" else Unknown)


def test_an_error_that_somebody_else_was_handling_proves_nothing(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    try:
        requests.get(f"http://127.0.0.1:{port}", timeout=1)
    except requests.ConnectionError:
        outcome = gateway.charge(asking("pm_fault_silent"))

    assert outcome == Unknown("TimeoutError")


@contextmanager
def hanging_up() -> Iterator[int]:
    """A server that takes what comes and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as threads:

        def hang_up() -> None:
            connection, _ = listening.accept()
            connection.recv(65536)
            connection.close()

        answered = threads.submit(hang_up)
        yield listening.getsockname()[1]
        answered.result()


# Looking up


def test_a_charge_is_found_after_stripe_has_forgotten_its_key(stripe_server: StripeServer, gateway: Gateway) -> None:
    request = asking("pm_fault_late")
    gateway.charge(request)
    stripe_server.forget_keys()

    assert gateway.look_up(request) == Succeeded(stripe_server.charges()[-1].reference)


@pytest.mark.parametrize(
    ("customer", "shown", "found"),
    [
        (CUSTOMER, {}, Succeeded),
        (CUSTOMER, {"search_lag": HIDDEN}, Succeeded),
        (CUSTOMER, {"search": False}, Succeeded),
        (CUSTOMER, {"list_lag": HIDDEN}, Succeeded),
        (CUSTOMER, {"list_lag": HIDDEN, "search_lag": HIDDEN}, NeverSeen),
        (CUSTOMER, {"list_lag": HIDDEN, "search": False}, NeverSeen),
        (None, {}, Succeeded),
        (None, {"search_lag": HIDDEN}, NeverSeen),
        (None, {"search": False}, Succeeded),
        (None, {"search": False, "list_lag": HIDDEN}, NeverSeen),
    ],
)
def test_a_look_up_asks_the_customer_s_list_then_the_search_or_the_list_of_all(
    stripe_server: StripeServer, gateway: Gateway, customer: str | None, shown: dict[str, Any], found: type
) -> None:
    request = asking(gateway_customer_id=customer)
    gateway.charge(request)
    stripe_server.show(**shown)

    assert type(gateway.look_up(request)) is found


def test_what_is_not_found_at_first_is_found_later(stripe_server: StripeServer, gateway: Gateway) -> None:
    request = asking("pm_fault_error_done")
    gateway.charge(request)

    stripe_server.show(list_lag=HIDDEN, search_lag=HIDDEN)
    assert gateway.look_up(request) == NeverSeen()
    stripe_server.show()
    assert isinstance(gateway.look_up(request), Succeeded)


def test_never_seen_is_believed_after_the_hours_that_the_settings_say(stripe_server: StripeServer) -> None:
    gateway = open_at(stripe_server.url, trust_not_found_after=30)

    assert (gateway.lag, gateway.memory, gateway.parallel) == (timedelta(hours=30), timedelta(hours=24), True)


@pytest.mark.parametrize("fault", ["silent", "closed_undone", "error_undone", "rate_limited", "nonsense", "nothing"])
@pytest.mark.parametrize("place", ["list", "search"])
def test_a_look_up_that_meets_trouble_says_nothing(
    stripe_server: StripeServer, gateway: Gateway, fault: str, place: str
) -> None:
    stripe_server.fail(fault, call="look_up", times=1)

    found = gateway.look_up(asking(gateway_customer_id=CUSTOMER if place == "list" else None))

    assert isinstance(found, NoAnswer)


def test_more_than_a_page_of_payments_is_read_to_its_end(stripe_server: StripeServer) -> None:
    gateway = open_at(stripe_server.url)
    customer = f"cus_{next(_keys)}"
    first = asking(gateway_customer_id=customer)
    for request in [first, *(asking(gateway_customer_id=customer) for _ in range(120))]:
        gateway.charge(request)
    stripe_server.show(search_lag=HIDDEN)

    assert isinstance(gateway.look_up(first), Succeeded)
    assert gateway.look_up(asking(gateway_customer_id=customer)) == NeverSeen()


def test_a_charge_that_was_presented_again_hours_later_is_found(stripe_server: StripeServer, gateway: Gateway) -> None:
    request = asking(asked_at=clock.now() - timedelta(hours=23))
    paid = gateway.charge(request)
    stripe_server.show(search_lag=HIDDEN)

    assert gateway.look_up(request) == paid


def test_what_was_never_confirmed_is_called_off_and_may_be_tried_again(gateway: Gateway) -> None:
    request = asking("pm_card_unfinished")
    gateway.charge(request)

    found = gateway.look_up(request)

    assert isinstance(found, Declined)
    assert (found.code, found.hard) == ("canceled", False)
    assert gateway.look_up(request) == found


def test_what_is_under_way_is_not_answered(gateway: Gateway) -> None:
    request = asking("pm_card_processing")
    gateway.charge(request)

    assert gateway.look_up(request) == NoAnswer("processing")


def test_a_key_that_was_charged_twice_is_reported_and_the_money_counts(
    stripe_server: StripeServer, gateway: Gateway
) -> None:
    request = asking("pm_card_visa_chargeDeclined")
    gateway.charge(request)
    stripe_server.forget_keys()
    paid = gateway.charge(replace(request, token="pm_card_visa"))

    with structlog.testing.capture_logs() as logs:
        found = gateway.look_up(request)

    assert found == paid
    assert [(line["event"], line["log_level"], len(line["references"])) for line in logs] == [
        ("charge_found_more_than_once", "error", 2)
    ]


# Refunds


def paid_by(gateway: Gateway) -> RefundRequest:
    outcome = gateway.charge(asking())
    assert isinstance(outcome, Succeeded)
    return RefundRequest(f"{outcome.reference}-refund", outcome.reference, 1208)


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("closed_before", Unknown("RemoteDisconnected")),
        ("closed_undone", Unknown("RemoteDisconnected")),
        ("late", Unknown("TimeoutError")),
        ("nonsense", Unknown("APIError 200")),
        ("rate_limited", NotAttempted("rate_limit", timedelta(seconds=7))),
    ],
)
def test_a_refund_that_met_trouble_is_asked_for_again_and_made_once(
    stripe_server: StripeServer, gateway: Gateway, fault: str, answer: object
) -> None:
    refund = paid_by(gateway)
    stripe_server.fail(fault, call="refund", times=1)

    assert gateway.refund(refund) == answer
    assert isinstance(gateway.refund(refund), Refunded)
    assert [made.reference for made in stripe_server.refunds()].count(refund.reference) == 1


def test_a_payment_that_was_given_back_by_hand_is_given_back(stripe_server: StripeServer, gateway: Gateway) -> None:
    refund = paid_by(gateway)
    by_hand = gateway.refund(replace(refund, idempotency_key=f"{refund.reference}-by-hand"))

    assert gateway.refund(refund) == by_hand == Refunded(stripe_server.refunds()[-1].refund)


def test_a_payment_that_was_not_made_is_not_given_back(gateway: Gateway) -> None:
    declined = gateway.charge(asking("pm_card_visa_chargeDeclined"))
    assert isinstance(declined, Declined)
    assert declined.reference is not None

    assert gateway.refund(RefundRequest("refund", declined.reference, 1208)) == RefundRefused(
        "the payment is requires_payment_method"
    )


# Discretion


def test_a_rehearsal_asks_nobody() -> None:
    rehearsal = open_at("http://127.0.0.1:1").rehearse()

    assert isinstance(rehearsal.charge(asking()), Succeeded)
    assert isinstance(rehearsal.look_up(asking()), NoAnswer)
    assert isinstance(rehearsal.refund(RefundRequest("key", "pi_1", 1208)), RefundRefused)
    assert rehearsal.rehearse().lag == rehearsal.lag


def test_neither_key_nor_token_nor_address_is_written_anywhere(stripe_server: StripeServer) -> None:
    charging = (
        "import logging\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "from tests.payments.test_stripe_gateway import asking, open_at\n"
        f"gateway = open_at({stripe_server.url!r})\n"
        "for token in ('pm_card_visa', 'pm_decline_secret_code', 'pm_missing', 'pm_fault_nonsense'):\n"
        "    request = asking(token)\n"
        "    print(gateway, gateway.charge(request), gateway.look_up(request))\n"
    )

    told = subprocess.run(
        [sys.executable, "-c", charging], env={"STRIPE_LOG": "debug"}, capture_output=True, text=True, check=True
    )

    written = told.stdout + told.stderr
    assert "decline_code_unlisted" in written
    for secret in (API_KEY, "pm_card_visa", "mario.rossi"):
        assert secret not in written


# Against localstripe


@pytest.fixture
def local(localstripe_server: StripeServer) -> Gateway:
    return open_at(localstripe_server.url, read_timeout=5)


@pytest.fixture
def with_card(localstripe_server: StripeServer) -> Callable[[str], ChargeRequest]:
    customer = localstripe_server.post("/v1/customers", name="Mario Rossi")["id"]
    return lambda number: asking(localstripe_server.stored_card(number, customer), gateway_customer_id=customer)


def test_localstripe_a_card_pays_once_is_found_and_is_given_back(
    localstripe_server: StripeServer, local: Gateway, with_card: Callable[[str], ChargeRequest]
) -> None:
    request = with_card("4242424242424242")

    paid = local.charge(request)

    assert isinstance(paid, Succeeded)
    assert local.charge(request) == local.look_up(request) == paid
    refund = RefundRequest(f"{request.idempotency_key}-refund", paid.reference, request.amount_cents)
    assert isinstance(local.refund(refund), Refunded)
    assert [charge.key for charge in localstripe_server.charges()].count(request.idempotency_key) == 1
    assert [made.reference for made in localstripe_server.refunds()].count(paid.reference) == 1


def test_localstripe_a_declined_card(local: Gateway, with_card: Callable[[str], ChargeRequest]) -> None:
    request = with_card("4000000000000341")

    # It gives no decline code, and no PaymentIntent with the error; the look-up finds that.
    assert local.charge(request) == Declined("card_declined", hard=False)
    found = local.look_up(request)
    assert isinstance(found, Declined)
    assert (found.code, found.hard) == ("card_declined", False)


@pytest.mark.parametrize(
    "number",
    ["4000002500003155", "4000002760003184", "4000008260003178", "4000000000003220", "4000000000003063"],
)
def test_localstripe_a_card_that_wants_3d_secure_is_called_off(
    localstripe_server: StripeServer, local: Gateway, with_card: Callable[[str], ChargeRequest], number: str
) -> None:
    request = with_card(number)

    outcome = local.charge(request)

    assert isinstance(outcome, Declined)
    assert (outcome.code, outcome.hard) == ("authentication_required", True)
    assert local.look_up(request) == outcome
    assert booked(localstripe_server, request) == 0


def test_localstripe_a_card_that_it_does_not_know(local: Gateway, with_card: Callable[[str], ChargeRequest]) -> None:
    request = replace(with_card("4242424242424242"), token="pm_of_another_account")

    # It says 404 and nothing else, so that nothing shows whose fault it is: nobody is declined for that.
    assert local.charge(request) == NotAttempted("InvalidRequestError 404")


def test_localstripe_a_charge_that_nobody_asked_for_is_not_found(
    local: Gateway, with_card: Callable[[str], ChargeRequest]
) -> None:
    assert local.look_up(with_card("4242424242424242")) == NeverSeen()


@pytest.mark.parametrize("fault", ["closed_before", "error_done", "nonsense"])
def test_localstripe_a_lost_answer_is_found_again(
    localstripe_server: StripeServer, local: Gateway, with_card: Callable[[str], ChargeRequest], fault: str
) -> None:
    request = with_card("4242424242424242")
    localstripe_server.fail(fault, times=1)

    assert isinstance(local.charge(request), Unknown)
    assert isinstance(local.look_up(request), Succeeded)
    assert booked(localstripe_server, request) == 1
