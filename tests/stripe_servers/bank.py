"""Recorded behaviour: what Stripe's documentation says of PaymentIntents and refunds, answered from memory, by token.

Names of test tokens are Stripe's, https://docs.stripe.com/testing; beside them `pm_decline_CODE` is declined with any
code, `pm_advice_CODE` with the networks' advice not to try again; `pm_card_processing` stays under way,
`pm_card_unfinished` is not confirmed, `pm_card_action` waits for the holder although he is not there;
`pm_refused_STATUS` is declined and leaves its payment so all the same; `pm_missing` and `pm_detached` are not kept any
more. `pm_paypal…` are PayPal accounts. Whatever else begins with `pm_` is a card that pays. A customer `cus_missing` is
not known, `cus_deleted` was deleted.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifecycle_jobs import clock
from tests.stripe_servers import journal
from tests.stripe_servers.listing import Shown, listed, searched
from tests.stripe_servers.wire import Request, Response, problem

INVALID = "invalid_request_error"

DECLINED = {
    "pm_card_visa_chargeDeclined": "generic_decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_visa_chargeDeclinedLostCard": "lost_card",
    "pm_card_visa_chargeDeclinedStolenCard": "stolen_card",
    "pm_card_chargeDeclinedExpiredCard": "expired_card",
    "pm_card_chargeDeclinedProcessingError": "processing_error",
    "pm_card_authenticationRequired": "authentication_required",
    "pm_paypal_agreement_cancelled": "invalid_billing_agreement",
}
_OF_ITS_OWN = frozenset({"authentication_required", "expired_card", "processing_error"})
"""Codes that come as the error's `code` too; the others come with `card_declined`."""

_LEFT = {
    "pm_card_processing": "processing",
    "pm_card_unfinished": "requires_confirmation",
    "pm_card_action": "requires_action",
}
"""In what status a payment is left that is neither made nor declined."""


@dataclass(slots=True)
class Bank:
    """The payments that were made here, and those that were not."""

    file: Path
    shown: Shown

    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    made_at: dict[str, float] = field(default_factory=dict)
    given_back: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def answer(self, request: Request) -> Response:  # noqa: PLR0911 -- a table of calls, one a line
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "POST", ["payment_intents"]:
                return self._charge(request)
            case "POST", ["payment_intents", reference, "cancel"] if reference in self.intents:
                return self._cancel(reference, request.fields.get("cancellation_reason"))
            case "GET", ["payment_intents"]:
                return listed(self._visible(self.shown.list_lag), request)
            case "GET", ["payment_intents", "search"]:
                return searched(self._visible(self.shown.search_lag), request, self.shown)
            case "GET", ["payment_intents", reference] if reference in self.intents:
                return Response(200, self.intents[reference])
            case "POST", ["refunds"] if request.fields.get("payment_intent") in self.intents:
                return self._refund(request)
            case "GET", ["refunds"]:
                made = self.given_back.get(request.fields["payment_intent"], [])
                return Response(200, {"object": "list", "url": "/v1/refunds", "has_more": False, "data": made})
            case "GET", ["customers", customer] if customer != "cus_missing":
                return Response(200, {"id": customer, "object": "customer", "deleted": customer == "cus_deleted"})
        return problem(404, INVALID, "resource_missing", param="id")

    def _visible(self, lag: float) -> list[dict[str, Any]]:
        latest = time.monotonic() - lag
        return [intent for reference, intent in self.intents.items() if self.made_at[reference] <= latest]

    def _charge(self, request: Request) -> Response:
        fields = request.fields
        token = fields["payment_method"]
        if fields.get("customer") == "cus_missing":
            return problem(404, INVALID, "resource_missing", param="customer")
        if token == "pm_missing" or not token.startswith("pm_"):
            return problem(404, INVALID, "resource_missing", param="payment_method")
        if token == "pm_detached":
            return problem(400, INVALID, param="payment_method")
        intent = _intent(fields)
        self.intents[intent["id"]] = intent
        self.made_at[intent["id"]] = time.monotonic()
        kind, _, code = token.removeprefix("pm_").partition("_")
        if token in DECLINED or kind in {"decline", "advice"}:
            return _declined(intent, DECLINED.get(token, code), advice="do_not_try_again" if kind == "advice" else None)
        if kind == "refused":
            refused = _declined(intent, "generic_decline")
            intent["status"] = code
            return refused
        intent["status"] = _LEFT.get(token, "succeeded")
        if intent["status"] == "succeeded":
            intent["amount_received"] = intent["amount"]
            note_charge(self.file, request, intent)
        return Response(200, intent)

    def _cancel(self, reference: str, reason: str | None) -> Response:
        intent = self.intents[reference]
        if intent["status"] in {"succeeded", "canceled", "processing"}:
            return problem(400, INVALID, "payment_intent_unexpected_state", payment_intent=intent)
        intent |= {"status": "canceled", "cancellation_reason": reason, "canceled_at": _now()}
        return Response(200, intent)

    def _refund(self, request: Request) -> Response:
        intent = self.intents[request.fields["payment_intent"]]
        made = self.given_back.setdefault(intent["id"], [])
        if made:
            return problem(400, INVALID, "charge_already_refunded")
        refund = {
            "id": "re_" + secrets.token_hex(12),
            "object": "refund",
            "amount": int(request.fields.get("amount", intent["amount"])),
            "payment_intent": intent["id"],
            "status": "succeeded",
        }
        made.append(refund)
        note_refund(self.file, request, refund)
        return Response(200, refund)


def note_charge(file: Path, request: Request, intent: dict[str, Any]) -> None:
    entry = journal.Charge(
        moment=clock.now().isoformat(),
        key=request.headers["idempotency-key"],
        amount=intent["amount"],
        payment_method=intent["payment_method"],
        customer=intent["customer"],
        reference=intent["id"],
        order=intent["metadata"].get("order", ""),
        box=intent["metadata"].get("box", ""),
    )
    journal.append(file, entry)


def note_refund(file: Path, request: Request, refund: dict[str, Any]) -> None:
    entry = journal.Refund(
        moment=clock.now().isoformat(),
        key=request.headers["idempotency-key"],
        amount=refund["amount"],
        reference=refund["payment_intent"],
        refund=refund["id"],
    )
    journal.append(file, entry)


def _intent(fields: dict[str, str]) -> dict[str, Any]:
    return {
        "id": "pi_" + secrets.token_hex(12),
        "object": "payment_intent",
        "amount": int(fields["amount"]),
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "created": _now(),
        "currency": fields["currency"],
        "customer": fields.get("customer"),
        "last_payment_error": None,
        "metadata": {
            name.removeprefix("metadata[").removesuffix("]"): value
            for name, value in fields.items()
            if name.startswith("metadata[")
        },
        "next_action": None,
        "payment_method": fields["payment_method"],
        "status": "requires_confirmation",
    }


def _declined(intent: dict[str, Any], code: str, *, advice: str | None = None) -> Response:
    error = {
        "type": "card_error",
        "code": code if code in _OF_ITS_OWN else "card_declined",
        "decline_code": code,
        "advice_code": advice,
        "message": "The card was declined.",
    }
    intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": error}
    return Response(402, {"error": {**error, "payment_intent": intent}})


def _now() -> int:
    return int(clock.now().timestamp())
