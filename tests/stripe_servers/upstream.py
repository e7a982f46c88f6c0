"""localstripe behind the front, and what the front supplies where it lacks something.

Forwarded: everything about customers, payment methods, PaymentIntents and refunds. Left out when forwarding, because it
would be refused: statement descriptors, `return_url`, `cancellation_reason` (kept here and given back). Renamed:
`allowed_payment_method_types`, which it knows by the older name. Supplied: filters, search, a second refund refused,
and PayPal, which goes to the recorded behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.stripe_servers.bank import INVALID, Bank, note_charge, note_refund
from tests.stripe_servers.listing import listed, searched
from tests.stripe_servers.wire import Request, Response, ask, problem

_NOT_FORWARDED = ("statement_descriptor", "statement_descriptor_suffix", "return_url", "cancellation_reason")


@dataclass(slots=True)
class LocalStripe:
    """The server on this port; `bank` plays the parts that it does not have."""

    port: int
    bank: Bank
    reasons: dict[str, str] = field(default_factory=dict)

    async def answer(self, request: Request) -> Response:  # noqa: PLR0911 -- a table of calls, one a line
        fields = request.fields
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "POST", ["payment_intents"] if fields["payment_method"].startswith("pm_paypal"):
                return await self.bank.answer(request)
            case _, ["payment_intents", reference, *_] if reference in self.bank.intents:
                return await self.bank.answer(request)
            case "POST" | "GET", ["refunds"] if fields.get("payment_intent") in self.bank.intents:
                return await self.bank.answer(request)
            case "GET", ["payment_intents"]:
                return listed(await self._intents(request), request)
            case "GET", ["payment_intents", "search"]:
                return searched(await self._intents(request), request, self.bank.shown)
            case "POST", ["payment_intents", reference, "cancel"]:
                self.reasons[reference] = fields.get("cancellation_reason", "")
            case "POST", ["refunds"]:
                return await self._refund(request)
        response = await self._forward(request)
        content = response.content
        if request.path == "/v1/payment_intents" and isinstance(content, dict) and content.get("status") == "succeeded":
            note_charge(self.bank.file, request, content)
        return response

    async def _forward(self, request: Request) -> Response:
        form = {
            name.replace("allowed_payment_method_types[0]", "payment_method_types[]"): value
            for name, value in request.fields.items()
            if name not in _NOT_FORWARDED
        }
        sent = {
            "Authorization": request.headers["authorization"],
            "Content-Type": "application/x-www-form-urlencoded",
        }
        if request.method == "GET":
            return self._completed(await ask(self.port, "GET", request.target, sent, b""))
        return self._completed(await ask(self.port, request.method, request.path, sent, urlencode(form).encode()))

    async def _intents(self, request: Request) -> list[dict[str, Any]]:
        every = Request("GET", "/v1/payment_intents?limit=100", request.headers, b"")
        content = (await self._forward(every)).content
        assert isinstance(content, dict)
        return [self._with_reason(intent) for intent in content["data"]]

    async def _refund(self, request: Request) -> Response:
        made = Request("GET", f"/v1/refunds?payment_intent={request.fields['payment_intent']}", request.headers, b"")
        content = (await self._forward(made)).content
        if isinstance(content, dict) and content.get("data"):
            return problem(400, INVALID, "charge_already_refunded")
        response = await self._forward(request)
        if response.status == 200 and isinstance(response.content, dict):
            note_refund(self.bank.file, request, response.content)
        return response

    def _completed(self, response: Response) -> Response:
        content = response.content
        if isinstance(content, dict) and content.get("object") == "payment_intent":
            return Response(response.status, self._with_reason(content))
        return response

    def _with_reason(self, intent: dict[str, Any]) -> dict[str, Any]:
        return {**intent, "cancellation_reason": self.reasons.get(intent["id"]) or None}
