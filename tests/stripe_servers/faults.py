"""What goes wrong on purpose: by token (`pm_fault_NAME`, for the first call under a key) or as a test asks for it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.stripe_servers.wire import Request

FAULTS = {
    "silent": "takes the request, does nothing and never answers",
    "late": "does it, and answers when nobody waits any more",
    "closed_undone": "takes the request, does nothing and closes the connection",
    "closed_before": "does it, and closes the connection before the answer",
    "closed_middle": "does it, and closes the connection in the middle of the answer",
    "closed_after": "does it, answers, and closes the connection without having said that it would",
    "error_done": "does it, and answers 500",
    "error_undone": "does nothing, and answers 500",
    "rate_limited": "does nothing, and answers 429 with Retry-After",
    "rate_limited_bare": "does nothing, and answers 429 without Retry-After",
    "lock_timeout": "does nothing, and answers 429 with the code lock_timeout",
    "forbidden": "does nothing, and answers 403",
    "nonsense": "does it, and answers with a page of a proxy",
    "nothing": "does it, and answers with an empty object",
    "mixed_up": "does it, and answers with what is another charge's answer",
    "redirected": "does it, and points to another address, at which nobody listens",
}

CALLS = frozenset({"charge", "cancel", "look_up", "refund", "other"})


@dataclass(slots=True)
class Fault:
    """One that was asked for: for which calls, how often at most, until when at most (monotonic)."""

    name: str
    call: str = "charge"
    times: int | None = None
    until: float | None = None

    def __post_init__(self) -> None:
        if self.name not in FAULTS or self.call not in CALLS:
            raise ValueError(f"{self.name} on {self.call}")

    def strikes(self, call: str) -> bool:
        """Whether it is this one's turn, which is then used up."""
        if call != self.call or self.times == 0 or (self.until is not None and time.monotonic() > self.until):
            return False
        if self.times is not None:
            self.times -= 1
        return True


def call_of(request: Request) -> str:
    match request.method, request.path.removeprefix("/v1/").split("/"):
        case "POST", ["payment_intents"]:
            return "charge"
        case "POST", ["payment_intents", _, "cancel"]:
            return "cancel"
        case "GET", ["payment_intents", *_]:
            return "look_up"
        case "POST", ["refunds"]:
            return "refund"
    return "other"


def of_token(request: Request) -> Fault | None:
    token = request.fields.get("payment_method", "")
    return Fault(token.removeprefix("pm_fault_")) if token.startswith("pm_fault_") else None
