"""Holders who pay by hand, as the forecast assumes them: so large a share of terms, on so many days before E.

They come in after the day's run and do what a holder does: order the renewal and pay it, or pay the order that waits.
A box on a hosting domain is renewed with the domain. What the rules refuse them is counted, with the first reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Row, select

from lifecycle_jobs.accounts import Payment, Wanted, pay_order, place_renewals, renew_domain, switch_auto_renew_off
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.forecast.alike import may_be_paid_by_hand
from lifecycle_jobs.forecast.assumptions import ByHand
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.orders import open_orders_of
from lifecycle_jobs.policy import Catalog, renewed_until
from lifecycle_jobs.simulating.chance import Chance


@dataclass(slots=True)
class Turned:
    """Holders who wanted to pay and could not: how many, and why the first could not."""

    number: int = 0
    first_reason: str | None = None

    def away(self, reason: str) -> None:
        """One more."""
        self.number += 1
        self.first_reason = self.first_reason or reason


@dataclass(frozen=True, slots=True)
class Payers:
    """Those who pay by hand in one simulation."""

    store: Store
    catalog: Catalog
    chance: Chance
    by_hand: ByHand
    turned: Turned

    def pay(self, on: date) -> bool:
        """Everybody whose day it is; whether there was anybody."""
        chosen = self._choose(on)
        domains: set[str] = set()
        for box in chosen:
            if box.domain and box.domain.lower() in domains:
                continue  # renewed with the first box on it
            domains |= {box.domain.lower()} if box.domain else set()
            try:
                self._pay_for(box, Operator("a holder (simulated)", None, on))
            except Refused as refusal:
                self.turned.away(str(refusal))
        return bool(chosen)

    def _choose(self, on: date) -> Sequence[Row[Any]]:
        """Drawn for each box that may be paid by hand and has so many days left, in the order of E and address."""
        ends = [on + timedelta(days=before) for before in self.by_hand.days_before]
        with self.store.read() as connection:
            asked = connection.execute(
                select(boxes)
                .where(boxes.c.expires_on.in_(ends), may_be_paid_by_hand(self.catalog))
                .order_by(boxes.c.expires_on, boxes.c.address_key)
            ).all()
        return [box for box in asked if self._wants_to(box, on)]

    def _wants_to(self, box: Row[Any], on: date) -> bool:
        # The boxes on a domain are paid together or not at all.
        payer = box.domain.lower() if box.domain else box.address_key
        chance = self.by_hand.chance((on - box.expires_on).days)
        return self.chance.comes(chance, "paid by hand", payer, box.expires_on, on)

    def _pay_for(self, box: Row[Any], holder: Operator) -> None:
        request = f"simulated-{box.id}-{box.expires_on}"
        if box.domain:
            until = renewed_until(box.expires_on, box.renewal_years)
            renew_domain(self.store, holder, box.domain, until, request_id=request)
            return
        with self.store.read() as connection:
            waiting = open_orders_of(connection, [box]).get(box.id)
        if waiting is not None:
            number, cents = waiting.order_number, waiting.gross_cents
        else:
            if box.auto_renew:  # it would not be charged, but is only renewed by hand once it says so
                switch_auto_renew_off(self.store, holder, box.address, request_id=f"{request}-by-hand")
            placed = place_renewals(
                self.store,
                self.catalog,
                holder,
                [box.address],
                Wanted(box.renewal_years, "bank_transfer"),
                request_id=request,
            )
            number, cents = placed.orders[0].order_number, placed.orders[0].gross_cents
        if cents:  # what costs nothing was renewed at once
            payment = Payment(cents, f"{request}-paid", holder.on)
            pay_order(self.store, self.catalog, holder, number, payment, request_id=f"{request}-paid")
