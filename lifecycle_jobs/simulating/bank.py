"""The bank of a simulation: a gateway that answers by chance, at the rates that the forecast assumes.

It stands in for the sandbox, which answers by token: in a copy of a real provider the tokens are real ones, and say
nothing about whether they will pay. It opens no connection and no file; nobody is charged.

A charge for a slot of a box is decided once for all: an outage or a lost answer delays it and does not give it another
chance. That an answer is lost is drawn for each attempt, or a box whose answer was lost once would never get one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, select

from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.tables import charges, top_up_charges
from lifecycle_jobs.forecast.assumptions import Assumptions
from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Declined,
    Gateway,
    LookUpOutcome,
    NeverSeen,
    NoAnswer,
    NotAttempted,
    RefundOutcome,
    RefundRefused,
    RefundRequest,
    Succeeded,
    Unknown,
)
from lifecycle_jobs.payments.intents import slot_of
from lifecycle_jobs.payments.top_up_charges import unresolved_top_up
from lifecycle_jobs.simulating.chance import Chance

ARRIVED: Final = 0.5
"""The share of charges without an answer that did reach the bank; the others it never saw."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the forecast leaves out: the share of charges whose answer is lost, and of days without any connection."""

    lost_answers: float = 0.0
    outages: float = 0.0


@dataclass(slots=True)
class Met:
    """The trouble that came: answers that were lost, those of them that the bank had not seen, and days of outage."""

    lost_answers: int = 0
    never_seen: int = 0
    outages: int = 0


class Bank:
    """Answers charges for one simulation.

    `left_open` are the charges that had no answer when it began, by key: their slots, none for a charge for credit.
    They are looked up as charges whose answers were lost. Of its own it remembers only those: nobody asks about others.
    """

    lag: timedelta = timedelta(0)
    memory: timedelta | None = None
    parallel: bool = False

    def __init__(
        self,
        chance: Chance,
        assumptions: Assumptions,
        trouble: Trouble,
        left_open: Mapping[str, int | None] | None = None,
    ) -> None:
        self.met = Met()
        self._chance = chance
        self._assumptions = assumptions
        self._trouble = trouble
        self._left_open = left_open or {}
        self._lost: dict[str, LookUpOutcome] = {}
        self._out_of_reach = False

    def begin(self, on: date) -> None:
        """A business date begins; on some nobody reaches the bank."""
        self._out_of_reach = self._chance.comes(self._trouble.outages, "outage", on)
        self.met.outages += self._out_of_reach

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        """What chance has in store for this slot of the box, unless the answer is lost."""
        if self._out_of_reach:
            return NotAttempted("connection refused (simulated)")
        key = request.idempotency_key
        if not self._chance.comes(self._trouble.lost_answers, "lost answer", key):
            return self._decision(request)
        self.met.lost_answers += 1
        self._lost[key] = self._found(request)
        self.met.never_seen += isinstance(self._lost[key], NeverSeen)
        return Unknown("timed out (simulated)")

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        """What became of a charge whose answer was lost, here or before the simulation began."""
        if self._out_of_reach:
            return NoAnswer("connection refused (simulated)")
        if request.idempotency_key in self._left_open:
            return self._found(request)
        return self._lost.get(request.idempotency_key, NeverSeen())

    def refund(self, request: RefundRequest) -> RefundOutcome:
        """Nobody gives anything back in a simulation."""
        return RefundRefused(f"nothing was charged under {request.reference}: it is simulated")

    def rehearse(self) -> Gateway:
        """One that answers the same and counts for itself."""
        return Bank(self._chance, self._assumptions, self._trouble, self._left_open)

    def _found(self, request: ChargeRequest) -> LookUpOutcome:
        arrived = self._chance.comes(ARRIVED, "arrived", request.idempotency_key)
        return self._decision(request) if arrived else NeverSeen()

    def _decision(self, request: ChargeRequest) -> Succeeded | Declined:
        rates = self._assumptions.of(request.method_kind)
        slot = self._slot(request.idempotency_key)
        rate = rates.otherwise if slot is None else rates.rate(slot)
        attempt = (request.box_address.lower(), request.slot_on)
        if not self._chance.comes(rate, "declined", *attempt):
            return Succeeded("simulated_" + sha256(request.idempotency_key.encode()).hexdigest()[:16])
        if self._chance.comes(rates.hard, "for good", *attempt):
            return Declined("expired_card", hard=True)
        return Declined("generic_decline", hard=False)

    def _slot(self, key: str) -> int | None:
        return self._left_open[key] if key in self._left_open else slot_of(key)


def left_open(connection: Connection) -> dict[str, int | None]:
    """The charges of which nobody knows what became of them, by key: their slots."""
    of_boxes = connection.execute(select(charges.c.idempotency_key, charges.c.slot).where(unresolved))
    for_credit = connection.scalars(select(top_up_charges.c.idempotency_key).where(unresolved_top_up))
    return {row.idempotency_key: row.slot for row in of_boxes} | dict.fromkeys(for_credit)
