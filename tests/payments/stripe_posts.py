"""What Stripe posts to an endpoint, signed as its documentation says, https://docs.stripe.com/webhooks/signature."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from typing import Any

SECRET = "whsec_test0123456789abcdefghijklmn"


def signed(body: bytes, *, secret: str = SECRET, age: int = 0) -> str:
    """The header Stripe-Signature, made so many seconds ago."""
    moment = int(time.time()) - age  # noqa: TID251 -- it is Stripe's clock, not ours
    signature = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={signature},v0=of-another-scheme"


def event(kind: str, about: dict[str, Any], *, number: str | None = None) -> bytes:
    """An event's body."""
    told = {
        "id": number or "evt_" + secrets.token_hex(12),
        "object": "event",
        "api_version": "2026-09-30.endive",
        "created": 1_800_000_000,
        "livemode": False,
        "type": kind,
        "data": {"object": about},
    }
    return json.dumps(told, indent=2).encode()


def payment(reference: str = "pi_1", key: str | None = None, *, amount: int = 1208, **more: Any) -> dict[str, Any]:
    """A PaymentIntent."""
    return {
        "id": reference,
        "object": "payment_intent",
        "amount": amount,
        "metadata": {} if key is None else {"lifecycle_key": key, "box": "mario.rossi@pec.example.it"},
        "last_payment_error": None,
        "cancellation_reason": None,
        **more,
    }


def dispute(reference: str = "pi_1", *, reason: str = "fraudulent", status: str = "needs_response") -> dict[str, Any]:
    """A dispute about a payment."""
    return {
        "id": "dp_1",
        "object": "dispute",
        "amount": 1208,
        "charge": "ch_1",
        "payment_intent": reference,
        "metadata": {},
        "reason": reason,
        "status": status,
    }


def refund(reference: str = "pi_1", *, status: str = "succeeded", **more: Any) -> dict[str, Any]:
    """A refund of a payment."""
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 1208,
        "charge": "ch_1",
        "payment_intent": reference,
        "metadata": {},
        "reason": "requested_by_customer",
        "status": status,
        **more,
    }


def refunded_charge(reference: str = "pi_1", key: str | None = None) -> dict[str, Any]:
    """A payment's charge, of which 5.00 were given back."""
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 1208,
        "amount_refunded": 500,
        "payment_intent": reference,
        "metadata": {} if key is None else {"lifecycle_key": key},
        "status": "succeeded",
    }
