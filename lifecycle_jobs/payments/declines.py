"""Why a charge was declined: whether asking again can help, and what the holder can do about it.

The codes are those that Stripe publishes, for cards and for PayPal, at https://docs.stripe.com/declines/codes; the
error codes that come where no bank was asked, from https://docs.stripe.com/error-codes; and our own. Hard are those
after which that page or the bank says that the same method will not work again, and those that need the holder. What is
in doubt is soft: it is asked again in the next slot.

Card networks charge merchants who do not take no for an answer, and how often a box may ask is bounded by construction,
below what they allow: one attempt a slot, slots on five dates of a term, never again after a hard decline.

- Visa: 15 attempts in 30 days for one transaction (20 since May 2025), none after a category 1 decline: no such
  account, or the card was lost, stolen, picked up or closed. All of those are hard here.
- Mastercard: 10 declines in 24 hours and 35 in 30 days for one card and amount, none after the advice "do not try
  again".

The networks count by card. A card that pays for more than ten boxes of one price is declined once for each of them, on
the same day; Stripe stops that with `card_decline_rate_limit_exceeded`, which is soft here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Advice = Literal["funds", "replace", "confirm", "bank", "credit", "provider", "later"]
"""What the holder can do.

`funds`: put money on it. `replace`: use another method. `confirm`: come in and authenticate. `bank`: ask the bank.
`credit`: top up. `provider`: nothing, the trouble is ours. `later`: nothing, it is tried again.
"""


@dataclass(frozen=True, slots=True)
class Reason:
    """What a decline code means. `hard`: the same method will not work again in this term."""

    hard: bool
    advice: Advice


_NO_FUNDS = Reason(hard=False, advice="funds")
_ASK_THE_BANK = Reason(hard=False, advice="bank")
_LATER = Reason(hard=False, advice="later")
_OUR_TROUBLE = Reason(hard=False, advice="provider")
_NO_CREDIT = Reason(hard=False, advice="credit")
_UNUSABLE = Reason(hard=True, advice="replace")
_HOLDER_NEEDED = Reason(hard=True, advice="confirm")

UNLISTED = _ASK_THE_BANK
"""For a code that is not in the table: nobody said that asking again is useless."""

_CARDS = {
    "approve_with_id": _ASK_THE_BANK,
    "authentication_not_handled": _HOLDER_NEEDED,
    "authentication_required": _HOLDER_NEEDED,
    "call_issuer": _ASK_THE_BANK,
    "card_not_supported": _UNUSABLE,
    "card_velocity_exceeded": _NO_FUNDS,
    "currency_not_supported": _UNUSABLE,
    "do_not_honor": _ASK_THE_BANK,
    "do_not_try_again": _UNUSABLE,
    "duplicate_transaction": _LATER,
    "expired_card": _UNUSABLE,
    "fraudulent": _ASK_THE_BANK,
    "generic_decline": _ASK_THE_BANK,
    "incorrect_address": _UNUSABLE,
    "incorrect_cvc": _UNUSABLE,
    "incorrect_number": _UNUSABLE,
    "incorrect_pin": _UNUSABLE,
    "incorrect_zip": _UNUSABLE,
    "insufficient_funds": _NO_FUNDS,
    "invalid_account": _UNUSABLE,
    "invalid_amount": _ASK_THE_BANK,
    "invalid_cvc": _UNUSABLE,
    "invalid_expiry_month": _UNUSABLE,
    "invalid_expiry_year": _UNUSABLE,
    "invalid_number": _UNUSABLE,
    "invalid_pin": _UNUSABLE,
    "issuer_not_available": _LATER,
    "lost_card": _UNUSABLE,
    "merchant_blacklist": _UNUSABLE,
    "mobile_device_authentication_required": _HOLDER_NEEDED,
    "new_account_information_available": _UNUSABLE,
    "no_action_taken": _ASK_THE_BANK,
    "not_permitted": _ASK_THE_BANK,
    "offline_pin_required": _HOLDER_NEEDED,
    "online_or_offline_pin_required": _HOLDER_NEEDED,
    "pickup_card": _UNUSABLE,
    "pin_try_exceeded": _UNUSABLE,
    "processing_error": _LATER,
    "reenter_transaction": _LATER,
    "restricted_card": _UNUSABLE,
    "revocation_of_all_authorizations": _UNUSABLE,
    "revocation_of_authorization": _UNUSABLE,
    "security_violation": _ASK_THE_BANK,
    "service_not_allowed": _ASK_THE_BANK,
    "stolen_card": _UNUSABLE,
    "stop_payment_order": _UNUSABLE,
    "testmode_decline": _UNUSABLE,
    "transaction_not_allowed": _UNUSABLE,
    "try_again_later": _LATER,
    "withdrawal_count_limit_exceeded": _NO_FUNDS,
}

_PAYPAL_AND_OTHERS = {
    "compliance_violation": _UNUSABLE,
    "expired_payment_information": _UNUSABLE,
    "invalid_authorization": _UNUSABLE,
    "invalid_billing_agreement": _UNUSABLE,
    "invalid_business_account": _OUR_TROUBLE,
    "invalid_customer_account": _ASK_THE_BANK,
    "invalid_payment_information": _UNUSABLE,
    "partner_generic_decline": _ASK_THE_BANK,
    "partner_high_risk_customer": _ASK_THE_BANK,
    "partner_payment_not_found": _OUR_TROUBLE,
    "payment_disputed": _ASK_THE_BANK,
    "payment_limit_exceeded": _NO_FUNDS,
}

_ERROR_CODES = {
    "account_closed": _UNUSABLE,
    "authentication_failure": _HOLDER_NEEDED,
    "card_decline_rate_limit_exceeded": _LATER,
    "card_declined": _ASK_THE_BANK,
    "charge_exceeds_transaction_limit": _NO_FUNDS,
    "debit_not_authorized": _UNUSABLE,
    "expired_payment_method": _UNUSABLE,
    "highest_risk_level": _UNUSABLE,
    "incorrect_postal_code": _UNUSABLE,
    "invalid_card_type": _UNUSABLE,
    "payment_intent_action_required": _HOLDER_NEEDED,
    "payment_intent_authentication_failure": _HOLDER_NEEDED,
    "payment_intent_mandate_invalid": _UNUSABLE,
    "payment_intent_payment_attempt_expired": _HOLDER_NEEDED,
    "payment_intent_payment_attempt_failed": _ASK_THE_BANK,
    "payment_method_customer_decline": _UNUSABLE,
    "payment_method_not_available": _LATER,
    "payment_method_provider_decline": _ASK_THE_BANK,
    "payment_method_provider_timeout": _LATER,
    "payment_method_restricted": _UNUSABLE,
    "refer_to_customer": _ASK_THE_BANK,
}

_OURS = {
    "canceled": _OUR_TROUBLE,
    "insufficient_credit": _NO_CREDIT,
    "payment_method_gone": _UNUSABLE,
    "unknown_token": _UNUSABLE,
}
"""`canceled`: the payment was called off at the gateway. `payment_method_gone`: it is no longer kept there.

`unknown_token`: the sandbox does not know it.
"""

REASONS: dict[str, Reason] = _CARDS | _PAYPAL_AND_OTHERS | _ERROR_CODES | _OURS
"""Every decline code that we know."""


def reason_of(code: str) -> Reason:
    """What a decline code means; `UNLISTED` if it is not in the table."""
    return REASONS.get(code, UNLISTED)
