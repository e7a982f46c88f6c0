"""What a payment gateway must be able to do, and the only answers it can give (SPEC §3).

The program knows five outcomes of a charge and nothing else. The two that matter most are the ones that other
systems fold into "failed": `Unknown` (the money may have moved: look it up, never charge again) and
`NotAttempted` (it certainly has not: the slot stays free).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """One attempt to collect an order. `slot_on` is the first day of the slot, E − r."""

    idempotency_key: str
    amount_cents: int
    method_kind: Literal["card", "paypal"]
    token: str
    gateway_customer_id: str | None
    order_number: str
    slot_on: date


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The money was collected."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The bank said no. `hard`: this method will not work again in this term, asking again is useless."""

    code: str
    hard: bool
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request may have reached the gateway and no answer came: time-out, 5xx, connection lost after sending."""

    why: str


@dataclass(frozen=True, slots=True)
class NotAttempted:
    """The gateway has certainly not acted: connection refused, or it said "not now"."""

    why: str


@dataclass(frozen=True, slots=True)
class NeverSeen:
    """A look-up found nothing under the key. Believed only after a while: look-ups lag behind charges."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The look-up itself failed. Says nothing about the charge."""

    why: str


ChargeOutcome = Succeeded | Declined | Unknown | NotAttempted
LookUpOutcome = Succeeded | Declined | NeverSeen | NoAnswer


class Gateway(Protocol):
    """A payment service. Neither call raises for anything that the service or the network does."""

    lag: timedelta
    """How long a look-up may miss a charge that was made: before that, `NeverSeen` is not believed."""

    memory: timedelta | None
    """How long the same key may be presented again without a second charge; None: for ever."""

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        """Collect the amount, at most once for the key however often it is presented within `memory`."""

    def look_up(self, idempotency_key: str) -> LookUpOutcome:
        """What became of a charge."""

    def rehearse(self) -> Gateway:
        """A gateway for dry runs: moves nothing, writes nothing, and answers as far as that can be known."""
