"""What Stripe posts: taken only with its signature, and read for the few things that concern us."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle_jobs.payments.notices import Notice
from lifecycle_jobs.payments.stripe_notices import KINDS, NotFromStripe, read_notice
from tests.payments.stripe_posts import SECRET, dispute, event, payment, refund, refunded_charge, signed

KEY = "lifecycle-17-0a1b2c3d-20270331-7-1"


def read(kind: str, about: dict[str, Any]) -> Notice | None:
    body = event(kind, about, number="evt_1")
    return read_notice(body, signed(body), SECRET)


def refusal(body: bytes, signature: str) -> str:
    with pytest.raises(NotFromStripe) as refused:
        read_notice(body, signature, SECRET)
    return str(refused.value)


@pytest.mark.parametrize(
    ("kind", "about", "notice"),
    [
        (
            "payment_intent.succeeded",
            payment("pi_7", KEY),
            Notice("evt_1", "payment_intent.succeeded", "outcome", KEY, "pi_7", 1208, None),
        ),
        (
            "payment_intent.payment_failed",
            payment("pi_7", KEY, last_payment_error={"code": "card_declined", "decline_code": "lost_card"}),
            Notice("evt_1", "payment_intent.payment_failed", "outcome", KEY, "pi_7", 1208, "lost_card"),
        ),
        (
            "payment_intent.canceled",
            payment("pi_7", KEY, cancellation_reason="abandoned"),
            Notice("evt_1", "payment_intent.canceled", "outcome", KEY, "pi_7", 1208, "abandoned"),
        ),
        (
            "charge.dispute.created",
            dispute("pi_7"),
            Notice("evt_1", "charge.dispute.created", "dispute", None, "pi_7", 1208, "fraudulent, needs_response"),
        ),
        (
            "charge.dispute.closed",
            dispute("pi_7", status="lost") | {"payment_intent": payment("pi_7", KEY)},
            Notice("evt_1", "charge.dispute.closed", "dispute", None, "pi_7", 1208, "fraudulent, lost"),
        ),
        (
            "charge.refunded",
            refunded_charge("pi_7", KEY),
            Notice("evt_1", "charge.refunded", "refund", KEY, "pi_7", 500, None),
        ),
        (
            "refund.created",
            refund("pi_7"),
            Notice("evt_1", "refund.created", "refund", None, "pi_7", 1208, "requested_by_customer, succeeded"),
        ),
        (
            "refund.failed",
            refund("pi_7", status="failed", failure_reason="expired_or_canceled_card"),
            Notice("evt_1", "refund.failed", "refund", None, "pi_7", 1208, "expired_or_canceled_card, failed"),
        ),
    ],
)
def test_each_kind_says_what_it_is_about(kind: str, about: dict[str, Any], notice: Notice) -> None:
    assert read(kind, about) == notice


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_an_event_does_not_say_is_left_open(kind: str) -> None:
    assert read(kind, {"id": ["pi_7"], "amount": "12", "metadata": None, "payment_intent": {}}) == Notice(
        "evt_1", kind, KINDS[kind]
    )


def test_what_could_not_stand_in_a_column_or_a_log_is_left_open() -> None:
    found = read("payment_intent.succeeded", payment("pi\n7", "k" * 300, amount=10**15))

    assert found == Notice("evt_1", "payment_intent.succeeded", "outcome")


@pytest.mark.parametrize("kind", ["customer.updated", "payment_intent.processing", "charge.succeeded"])
def test_of_other_kinds_nothing_is_made(kind: str) -> None:
    assert read(kind, payment("pi_7", KEY)) is None


def test_a_signature_by_another_secret_is_refused() -> None:
    body = event("payment_intent.succeeded", payment())

    assert refusal(body, signed(body, secret="whsec_of_somebody_else")) == "signature"


def test_a_body_that_was_changed_is_refused() -> None:
    body = event("payment_intent.succeeded", payment())

    assert refusal(body.replace(b"1208", b"1209"), signed(body)) == "signature"


def test_a_signature_is_good_for_five_minutes() -> None:
    body = event("payment_intent.succeeded", payment())

    assert read_notice(body, signed(body, age=290), SECRET) is not None
    assert refusal(body, signed(body, age=310)) == "signature"


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=00", "t=x,v1=00", "t=1800000000,v1=00", "t=1800000000,v1=\xe9", "t=,v1=,=", "nonsense"]
)
def test_no_or_half_a_signature_is_refused(header: str) -> None:
    assert refusal(event("payment_intent.succeeded", payment()), header) in {"signature", "not text"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"17",
        b"null",
        b"[" * 200_000,
        b'{"id": "evt_1"}',
        b'{"id": 1, "type": "refund.created", "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "refund.created", "data": null}',
        b'{"id": "evt_1", "type": "refund.created", "data": []}',
        b'{"id": "evt_1", "type": "refund.created", "data": {}}',
    ],
)
def test_what_is_signed_and_no_event_is_refused(body: bytes) -> None:
    assert refusal(body, signed(body)) in {"not text", "no JSON", "no event"}


def test_a_refusal_says_nothing_of_the_content() -> None:
    body = event("payment_intent.succeeded", payment("pi_7", KEY))

    with pytest.raises(NotFromStripe) as refused:
        read_notice(body, signed(body, secret="whsec_wrong"), SECRET)

    assert (str(refused.value), refused.value.__cause__, refused.value.__suppress_context__) == (
        "signature",
        None,
        True,
    )
