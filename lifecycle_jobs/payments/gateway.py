"""What a payment gateway must be able to do, and the only answers it can give (SPEC §3).

The program knows five outcomes of a charge and nothing else: succeeded, declined for now (soft), declined for good
(hard), unknown, not attempted. The two that matter most are the ones that other systems fold into "failed": `Unknown`
(the money may have moved: look it up, never charge again) and `NotAttempted` (it certainly has not: the slot stays
free).

Adding a gateway
----------------
A gateway is a class with the calls of `Gateway` and a function `open(settings: Settings) -> Gateway`. Name the function
in the distribution's metadata, and `gateway.kind` takes that name:

    [project.entry-points."lifecycle_jobs.gateways"]
    examplepay = "examplepay.lifecycle:open_examplepay"

What it must keep, or somebody is charged twice:

1. The same key never moves money twice, within `memory`, whatever was answered the first time.
2. When in doubt, `Unknown`. `NotAttempted` is a statement of fact: not a cent can have moved, now or later.
3. `Declined` says that this key will never succeed. What may still be completed is `Unknown`, or is called off first.
4. `look_up` says `NeverSeen` only after asking where charges are listed, and `lag` says how far that list runs behind.
5. No call raises for what the service or the network does, waits longer than its time-outs, or logs a token or key.
6. Calls come from several threads at once, unless `parallel` is False.

`Checkable` is worth offering too: `lifecycle-jobs config check` asks it.

Then let it run through `lifecycle_jobs.payments.conformance.GatewayConformance`, as the shipped gateways do. Keys are
never used for two orders; a gateway that refuses a known key with other parameters must not say `NotAttempted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """One attempt to collect an order. `slot_on` is the first day of the slot, E − r.

    `asked_at` (UTC) is when the attempt was written down, before the first call: a look-up needs to search no further
    back. A request that is presented again is the same in every field.
    """

    idempotency_key: str
    amount_cents: int
    method_kind: Literal["card", "paypal"]
    token: str
    gateway_customer_id: str | None
    order_number: str
    box_address: str
    slot_on: date
    asked_at: datetime


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
    """The gateway has certainly not acted: connection refused, or it said "not now".

    `retry_after` is how long it asked to be left alone, zero if it did not say. None: asking again in this run is
    useless.
    """

    why: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class NeverSeen:
    """A look-up found nothing under the key. Believed only after a while: look-ups lag behind charges."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The look-up failed, or the charge is not decided yet. Says nothing about what will become of it."""

    why: str


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Give back the whole of a charge. `reference` is what `Succeeded` named it by."""

    idempotency_key: str
    reference: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Refunded:
    """The money is on its way back, from this call or an earlier one."""

    reference: str


@dataclass(frozen=True, slots=True)
class RefundRefused:
    """The gateway will not give it back: already disputed, too old, no such charge."""

    why: str


ChargeOutcome = Succeeded | Declined | Unknown | NotAttempted
LookUpOutcome = Succeeded | Declined | NeverSeen | NoAnswer
RefundOutcome = Refunded | RefundRefused | Unknown | NotAttempted


class Gateway(Protocol):
    """A payment service. No call raises for anything that the service or the network does."""

    lag: timedelta
    """How long a look-up may miss a charge that was made: before that, `NeverSeen` is not believed."""

    memory: timedelta | None
    """How long the same key may be presented again without a second charge; None: for ever."""

    parallel: bool
    """Whether several calls at once get done sooner. If not, they come one by one, in the order of the boxes."""

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        """Collect the amount, at most once for the key however often it is presented within `memory`."""

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        """What became of a charge, found by its key; the rest of the request tells where to look."""

    def refund(self, request: RefundRequest) -> RefundOutcome:
        """Give a charge back in full, at most once however often it is asked for."""

    def rehearse(self) -> Gateway:
        """A gateway for dry runs: moves nothing, writes nothing, and answers as far as that can be known."""


@runtime_checkable
class Checkable(Protocol):
    """What a gateway may offer beside: to be tried before anything depends on it."""

    def check(self) -> str | None:
        """None if it answers and takes the key, otherwise why not. Moves nothing, changes nothing, does not raise."""
