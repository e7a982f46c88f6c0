"""The front that every request goes through: keys, faults, delay, and the control that tests have over it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from contextlib import suppress
from typing import Any, Protocol

from tests.stripe_servers.bank import INVALID
from tests.stripe_servers.faults import Fault, call_of, of_token
from tests.stripe_servers.listing import Shown
from tests.stripe_servers.wire import Request, Response, problem, read_request

CONTROL = "/_control"
_LONG = 3600
_BUSY = None


class Behind(Protocol):
    """Who knows what to answer."""

    async def answer(self, request: Request) -> Response: ...


class Front:
    """Serves one account with one key store."""

    def __init__(self, behind: Behind, shown: Shown, *, delay: float, late: float) -> None:
        self._behind = behind
        self._shown = shown
        self._delay = delay
        self._late = late
        self._faults: list[Fault] = []
        # Per key: what was asked, and what was answered; `_BUSY` while the first call is at work.
        self._keys: dict[str, tuple[tuple[str, bytes], Response | None]] = {}
        self._calls: Counter[str] = Counter()
        self._connections = 0
        self._in_flight = 0
        self._most_in_flight = 0
        self._last: deque[Request] = deque(maxlen=100)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side closes it."""
        self._connections += 1
        with suppress(ConnectionError, asyncio.CancelledError):
            while (request := await read_request(reader)) is not None:
                if request.path == CONTROL:
                    writer.write(self._control(request).encoded())
                elif not await self._serve(request, writer):
                    break
                await writer.drain()
        writer.close()

    async def _serve(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. False if the connection is to be closed."""
        call = call_of(request)
        self._calls[call] += 1
        self._last.append(request)
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)
        try:
            refused = _refused(request)
            if refused is not None:
                writer.write(refused.encoded())
                return True
            return await self._answer(request, self._fault(request, call), writer)
        finally:
            self._in_flight -= 1

    def _fault(self, request: Request, call: str) -> str:
        asked = next((fault for fault in self._faults if fault.strikes(call)), None)
        if asked is None and call == "charge" and request.headers["idempotency-key"] not in self._keys:
            asked = of_token(request)
        return "" if asked is None else asked.name

    async def _answer(self, request: Request, fault: str, writer: asyncio.StreamWriter) -> bool:
        match fault:
            case "silent":
                await asyncio.sleep(_LONG)
            case "closed_undone":
                return False
            case "rate_limited":
                limited = problem(429, INVALID, "rate_limit")
                writer.write(Response(429, limited.content, {"Retry-After": "7"}).encoded())
                return True
            case "rate_limited_bare" | "lock_timeout":
                writer.write(problem(429, INVALID, "rate_limit" if fault != "lock_timeout" else fault).encoded())
                return True
            case "forbidden":
                writer.write(problem(403, INVALID).encoded())
                return True
            case "error_undone":
                writer.write(self._remembered(request, problem(500, "api_error")).encoded())
                return True
        response = await self._once(request)
        return await self._sent(request, response, fault, writer)

    async def _sent(self, request: Request, response: Response, fault: str, writer: asyncio.StreamWriter) -> bool:
        encoded = response.encoded()
        match fault:
            case "late":
                await asyncio.sleep(self._late)
            case "closed_before":
                return False
            case "closed_middle":
                encoded = encoded[: -len(encoded) // 3]
            case "error_done":
                encoded = self._remembered(request, problem(500, "api_error")).encoded()
            case "nonsense":
                encoded = Response(200, b"<html><body>Welcome to the hotel's network</body></html>").encoded()
            case "nothing":
                encoded = Response(200, {}).encoded()
            case "mixed_up" if isinstance(response.content, dict):
                other = {**response.content, "metadata": {"lifecycle_key": "another"}}
                encoded = Response(200, other).encoded()
            case "redirected":
                encoded = Response(303, {}, {"Location": "http://127.0.0.1:1/v1/payment_intents"}).encoded()
        writer.write(encoded)
        await writer.drain()
        return fault not in {"closed_middle", "closed_after"}

    async def _once(self, request: Request) -> Response:
        """The answer, done once for a key: https://docs.stripe.com/api/idempotent_requests."""
        key = request.headers.get("idempotency-key")
        if request.method != "POST" or key is None:
            return await self._done(request)
        asked = (request.path, request.body)
        if key in self._keys:
            before, answered = self._keys[key]
            if answered is _BUSY:
                return problem(409, INVALID, "idempotency_key_in_use")
            if before != asked:
                return problem(400, "idempotency_error")
            await asyncio.sleep(self._delay)
            return Response(answered.status, answered.content, {"Idempotent-Replayed": "true"})
        self._keys[key] = asked, _BUSY
        response = await self._done(request)
        if not isinstance(response.content, bytes):
            response = Response(response.status, json.loads(json.dumps(response.content)))
        self._keys[key] = asked, response
        return response

    async def _done(self, request: Request) -> Response:
        response = await self._behind.answer(request)
        await asyncio.sleep(self._delay)
        return response

    def _remembered(self, request: Request, response: Response) -> Response:
        key = request.headers.get("idempotency-key")
        if key is not None:
            self._keys[key] = (request.path, request.body), response
        return response

    def _control(self, request: Request) -> Response:
        """What a test asks of the front itself: told what to do by POST, asked how it went by GET."""
        if request.method == "POST":
            self._set(json.loads(request.body))
        last = [{"target": asked.target, "headers": asked.headers, "form": asked.fields} for asked in self._last]
        told = {
            "calls": dict(self._calls),
            "connections": self._connections,
            "most_in_flight": self._most_in_flight,
            "last": last,
        }
        return Response(200, told)

    def _set(self, wanted: dict[str, Any]) -> None:
        for name in ("list_lag", "search_lag", "search"):
            if name in wanted:
                setattr(self._shown, name, wanted[name])
        self._delay = wanted.get("delay", self._delay)
        if "fault" in wanted:
            asked = dict(wanted["fault"])
            seconds = asked.pop("seconds", None)
            self._faults.append(Fault(**asked, until=None if seconds is None else time.monotonic() + seconds))
        if wanted.get("mend"):
            self._faults.clear()
        if wanted.get("forget_keys"):
            self._keys.clear()


def _refused(request: Request) -> Response | None:
    """What Stripe turns away before it does anything."""
    if not request.headers.get("authorization", "").startswith("Bearer sk_test_"):
        return problem(401, INVALID)
    if call_of(request) == "charge":
        fields = request.fields
        if any(name.startswith("payment_method_types") for name in fields):
            # https://docs.stripe.com/changelog/endive/2026-09-30
            return problem(400, INVALID, "payment_method_types_no_longer_supported")
        if "statement_descriptor" in fields and fields.get("allowed_payment_method_types[0]") == "card":
            return problem(400, INVALID, "parameter_unknown", param="statement_descriptor")
        if int(fields["amount"]) < 1:
            return problem(400, INVALID, "parameter_invalid_integer", param="amount")
    return None
