"""Decline codes: every one that Stripe publishes has its place, and what is hard is what the specification calls so."""

from __future__ import annotations

from typing import get_args

import pytest

from lifecycle_jobs.payments.declines import REASONS, UNLISTED, Advice, Reason, reason_of

# https://docs.stripe.com/declines/codes, "Card decline codes", as of November 2026.
CARDS = [
    "authentication_required",
    "authentication_not_handled",
    "approve_with_id",
    "call_issuer",
    "card_not_supported",
    "card_velocity_exceeded",
    "currency_not_supported",
    "do_not_honor",
    "do_not_try_again",
    "duplicate_transaction",
    "expired_card",
    "fraudulent",
    "generic_decline",
    "incorrect_address",
    "incorrect_cvc",
    "incorrect_number",
    "incorrect_pin",
    "incorrect_zip",
    "insufficient_funds",
    "invalid_account",
    "invalid_amount",
    "invalid_cvc",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "invalid_number",
    "invalid_pin",
    "issuer_not_available",
    "lost_card",
    "merchant_blacklist",
    "new_account_information_available",
    "no_action_taken",
    "not_permitted",
    "offline_pin_required",
    "online_or_offline_pin_required",
    "pickup_card",
    "pin_try_exceeded",
    "processing_error",
    "reenter_transaction",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "security_violation",
    "service_not_allowed",
    "stolen_card",
    "stop_payment_order",
    "testmode_decline",
    "transaction_not_allowed",
    "try_again_later",
    "withdrawal_count_limit_exceeded",
    "mobile_device_authentication_required",
]

# The same page, "Local payment method decline codes": PayPal among them.
OTHER_METHODS = [
    "partner_generic_decline",
    "invalid_customer_account",
    "payment_limit_exceeded",
    "invalid_billing_agreement",
    "expired_card",
    "processing_error",
    "insufficient_funds",
    "currency_not_supported",
    "invalid_amount",
    "invalid_business_account",
    "partner_high_risk_customer",
    "compliance_violation",
    "payment_disputed",
    "invalid_authorization",
    "invalid_payment_information",
    "partner_payment_not_found",
    "expired_payment_information",
    "duplicate_transaction",
]

# https://docs.stripe.com/error-codes: what comes as the code of an error where there is no decline code.
ERRORS = [
    "card_declined",
    "card_decline_rate_limit_exceeded",
    "payment_intent_action_required",
    "payment_intent_authentication_failure",
    "payment_intent_mandate_invalid",
    "payment_intent_payment_attempt_expired",
    "payment_intent_payment_attempt_failed",
    "payment_method_customer_decline",
    "payment_method_not_available",
    "payment_method_provider_decline",
    "payment_method_provider_timeout",
]

OURS = ["canceled", "insufficient_credit", "payment_method_gone", "unknown_token"]


@pytest.mark.parametrize("code", [*CARDS, *OTHER_METHODS, *ERRORS, *OURS])
def test_a_published_code_is_in_the_table(code: str) -> None:
    assert code in REASONS


# Those that SPEC §3 and §7 name; the nine that Stripe's own retries leave alone,
# https://docs.stripe.com/billing/revenue-recovery/smart-retries; and those of which the page above says that retries
# will not succeed.
@pytest.mark.parametrize(
    "code",
    [
        "expired_card",
        "stolen_card",
        "lost_card",
        "account_closed",
        "revocation_of_authorization",
        "revocation_of_all_authorizations",
        "authentication_required",
        "unknown_token",
        "incorrect_number",
        "pickup_card",
        "highest_risk_level",
        "transaction_not_allowed",
        "invalid_billing_agreement",
        "currency_not_supported",
        "compliance_violation",
        "invalid_authorization",
        "invalid_payment_information",
        "do_not_try_again",
    ],
)
def test_after_this_the_same_method_is_not_charged_again_in_the_term(code: str) -> None:
    assert reason_of(code).hard


@pytest.mark.parametrize(
    "code", ["generic_decline", "insufficient_funds", "insufficient_credit", "canceled", "try_again_later"]
)
def test_this_may_pass_in_a_later_slot(code: str) -> None:
    assert not reason_of(code).hard


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("insufficient_funds", "funds"),
        ("insufficient_credit", "credit"),
        ("expired_card", "replace"),
        ("invalid_billing_agreement", "replace"),
        ("authentication_required", "confirm"),
        ("do_not_honor", "bank"),
        ("canceled", "provider"),
        ("issuer_not_available", "later"),
    ],
)
def test_the_holder_is_told_what_helps(code: str, advice: Advice) -> None:
    assert reason_of(code).advice == advice


def test_every_kind_of_advice_is_given_for_something() -> None:
    assert {reason.advice for reason in REASONS.values()} == set(get_args(Advice))


def test_who_is_not_asked_again_is_told_to_come_in_or_to_use_another_method() -> None:
    assert {reason.advice for reason in REASONS.values() if reason.hard} == {"replace", "confirm"}
    assert not {reason.advice for reason in REASONS.values() if not reason.hard} & {"replace", "confirm"}


def test_a_holder_is_not_told_that_a_bank_suspects_him() -> None:
    """https://docs.stripe.com/declines/codes asks to show these as any other decline."""
    assert reason_of("fraudulent") == reason_of("generic_decline")
    assert (
        reason_of("lost_card") == reason_of("stolen_card") == reason_of("merchant_blacklist") == Reason(True, "replace")
    )


def test_a_code_that_nobody_has_heard_of_is_soft() -> None:
    assert reason_of("brand_new_code") == UNLISTED
    assert not UNLISTED.hard
