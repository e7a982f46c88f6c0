"""What Stripe posts to us: whether it comes from Stripe, and what it says.

The signature is checked by Stripe's own library (https://docs.stripe.com/webhooks/signature). Of the kinds of event
(https://docs.stripe.com/api/events/types) we know those that tell what became of a charge, a dispute or a refund; all
others are taken and forgotten. Subscribe the endpoint to those of `KINDS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import stripe

from lifecycle_jobs.payments.notices import Concern, Notice
from lifecycle_jobs.payments.stripe_gateway import KEY

TOLERANCE: Final = 300
"""Seconds for which a signature is good, https://docs.stripe.com/webhooks/signature#replay-protection."""

KINDS: Final[Mapping[str, Concern]] = MappingProxyType(
    {
        "payment_intent.succeeded": "outcome",
        "payment_intent.payment_failed": "outcome",
        "payment_intent.canceled": "outcome",
        "charge.dispute.created": "dispute",
        "charge.dispute.updated": "dispute",
        "charge.dispute.closed": "dispute",
        "charge.dispute.funds_withdrawn": "dispute",
        "charge.refunded": "refund",
        "refund.created": "refund",
        "refund.failed": "refund",
    }
)

_LONGEST = 255
_MOST_CENTS = 10**12


class NotFromStripe(Exception):
    """The signature is wrong, or too old, or what it signs is no event. Says nothing of the content."""


def read_notice(body: bytes, signature: str, secret: str) -> Notice | None:
    """The notice in a request's body; none if it is of a kind that we do not know. Raises NotFromStripe."""
    event = _event(body, signature, secret)
    notice_id, kind = _word(event.get("id")), _word(event.get("type"))
    data = event.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    if notice_id is None or kind is None or not isinstance(about, dict):
        raise NotFromStripe("no event")
    concerns = KINDS.get(kind)
    if concerns is None:
        return None
    return Notice(
        notice_id=notice_id,
        kind=kind,
        concerns=concerns,
        idempotency_key=_word(_within(about, "metadata").get(KEY)),
        gateway_reference=_reference(about),
        amount_cents=_cents(about.get("amount_refunded" if kind == "charge.refunded" else "amount")),
        reason=_reason(about),
    )


def _event(body: bytes, signature: str, secret: str) -> dict[str, Any]:
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE)
    except stripe.SignatureVerificationError:
        # Its own text holds the body.
        raise NotFromStripe("signature") from None
    except (ValueError, TypeError):
        raise NotFromStripe("not text") from None
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise NotFromStripe("no JSON") from None
    if not isinstance(event, dict):
        raise NotFromStripe("no event")
    return event


def _reference(about: Mapping[str, Any]) -> str | None:
    """The PaymentIntent, by which our charges know their payment; a dispute or refund names it, expanded or not."""
    if about.get("object") == "payment_intent":
        return _word(about.get("id"))
    named = about.get("payment_intent")
    return _word(named.get("id")) if isinstance(named, dict) else _word(named)


def _reason(about: Mapping[str, Any]) -> str | None:
    """Why, in Stripe's words: of a decline, a cancellation, a dispute with its status, a refund that failed."""
    failed = _within(about, "last_payment_error")
    refund = about.get("failure_reason") if about.get("object") == "refund" else None
    said = (
        failed.get("decline_code")
        or failed.get("code")
        or about.get("cancellation_reason")
        or refund
        or about.get("reason")
    )
    words = [_word(said), _word(about.get("status")) if about.get("object") in {"dispute", "refund"} else None]
    return ", ".join(word for word in words if word) or None


def _within(about: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = about.get(name)
    return inner if isinstance(inner, dict) else {}


def _word(value: object) -> str | None:
    """A text that can stand in a column, a log and a table."""
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable() else None


def _cents(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_CENTS else None
