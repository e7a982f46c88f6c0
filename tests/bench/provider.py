"""A made-up provider on a normal day: customers, boxes, their history, and what is due on that day.

Everything follows from the number of boxes, the day and a seed. Terms end evenly over a year, so each milestone
and each slot concerns about one box in 365 of its kind. The past is as the program would have left it: a box
whose slot has gone by was renewed, or has declined charges and an open order to show for it. While the rows are
made, what the day has to do about them is counted.

All days are whole numbers counted from the business date: 0 is the day itself, −1 the day before. With days of downtime
nothing was done from day 0 on, and the day that is counted for is the one after them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import cast

from lifecycle_jobs import clock
from lifecycle_jobs.payments.gateway import ChargeRequest
from lifecycle_jobs.policy import UNPAID, Catalog, Policy, renewal_net, renewed_until
from tests.bench.due import Due, Expected
from tests.bench.population import (
    ADDON_CENTS,
    CARDS,
    DECLINES,
    GOOD,
    NAMES,
    PAID_FROM,
    PAYERS,
    PLANS,
    POOR_CENTS,
    RICH_CENTS_PER_BOX,
    SIZES,
    STATUSES,
    YEARS,
    Box,
    Customer,
    Method,
    Payer,
    answer,
    decline,
)
from tests.bench.rows import Batch, Days, Rows

BATCH = 20_000
"""Boxes whose rows are in memory at a time."""


class Provider:
    """The provider. Its rows can be had once; afterwards `due` says what the day has to do."""

    def __init__(self, boxes: int, on: date, catalog: Catalog, *, seed: int = 1, downtime: int = 0) -> None:
        self.boxes = boxes
        self.on = on
        self._expected = Expected(downtime)
        self._catalog = catalog
        self._chance = random.Random(seed)  # noqa: S311  chance that must repeat itself
        self._days = Days(on)
        self._rows = Rows(self._days)
        self._gross: dict[int, int] = {}

    @property
    def due(self) -> Due:
        """What the day has to do about the boxes made so far."""
        return self._expected.due

    def batches(self) -> Iterator[Batch]:
        """All rows, in batches that refer only to themselves and to those before."""
        made = customers = taken = 0
        while made < self.boxes:
            customers += 1
            customer = self._customer(customers, self.boxes - made)
            for _ in range(customer.size):
                made += 1
                self._make(made, customer)
            self._write_customer(customer)
            if made - taken >= BATCH:
                taken = made
                yield self._rows.taken()
        yield self._rows.taken()

    def _customer(self, number: int, at_most: int) -> Customer:
        chance = self._chance
        payer = cast("Payer", PAYERS.draw(chance))
        # One balance for many boxes would make what is due depend on the order in which they are charged.
        size = 1 if payer == "credit" else min(at_most, int(SIZES.draw(chance)))
        customer = Customer(number, payer, rich=chance.random() < 0.8, size=size, uses_credit=payer == "credit")
        if payer in {"card", "paypal"}:
            customer.methods.append(Method(f"m{number:08d}", payer, GOOD))
        elif payer in {"credit", "agreement"}:
            customer.methods.append(Method(f"m{number:08d}", payer, None))
        return customer

    def _make(self, number: int, customer: Customer) -> None:
        chance = self._chance
        domain = customer.payer == "domain"
        box = Box(
            number,
            customer,
            plan="domain" if domain else PLANS.draw(chance),
            years=1 if domain else int(YEARS.draw(chance)),
            price=848 if chance.random() < 0.03 and not domain else None,
            left=chance.randint(-1, 364),
            status=STATUSES.draw(chance),
        )
        if box.status == "deleted":
            box.left = chance.randint(-1000, -100)
            self._write_box(box)
            return
        if not domain:
            kind = chance.random()
            box.addon = "renewal" if kind < 0.10 else "credit" if kind < 0.22 else None
            customer.uses_credit = customer.uses_credit or box.addon == "credit"
        self._choose_payment(box)
        if box.status == "suspended":
            self._suspended(box)
        else:
            self._active(box)

    def _choose_payment(self, box: Box) -> None:
        customer, chance = box.customer, self._chance
        if not customer.methods:
            return
        box.method = customer.methods[0]
        box.auto_renew = chance.random() < 0.95
        if customer.payer == "card" and box.auto_renew:
            box.card = CARDS.draw(chance)
            if box.card == "pays_later":
                box.pays_from_slot = chance.choice((5, 3, 1))
        elif customer.payer == "paypal":
            box.card = GOOD

    def _suspended(self, box: Box) -> None:
        chance, policy = self._chance, self._policy(box)
        box.left = -chance.randint(2, policy.suspended_days + 1)
        roll = chance.random()
        box.suspended_reason = UNPAID if roll >= 0.005 else "abuse"
        if 0.005 <= roll < 0.015:
            box.hold_reason = "court order"
        if box.eligible(0) and box.card in {"pm_card_visa_chargeDeclined", "pm_card_chargeDeclinedExpiredCard"}:
            self._go_through_slots(box, policy)
        else:
            box.auto_renew = False
        if box.card in DECLINES:
            self._own_card(box)
        self._expected.of_suspended(box, policy)
        self._write_all(box, policy)

    def _active(self, box: Box) -> None:
        chance, policy = self._chance, self._policy(box)
        roll = chance.random()
        if roll < 0.001:
            box.hold_reason = "dispute"
            box.hold_until = chance.choice((None, chance.randint(1, 60)))
        elif roll < 0.016:
            box.cancelled = -chance.randint(1, 30)
        if box.eligible(0):
            self._go_through_slots(box, policy)
        elif box.cancelled is None and not box.held(0):
            self._maybe_renewed_by_hand(box)
        if box.card not in {None, GOOD}:
            self._own_card(box)
        self._expected.of_active(box, policy)
        self._write_all(box, policy)

    def _go_through_slots(self, box: Box, policy: Policy) -> None:
        """What auto_renew did before this day; a box that it renewed is a year or more away now."""
        for slot in policy.charge_slots:
            if slot <= box.left:
                return
            said = answer(box, slot)
            if said in {"soft", "hard"}:
                box.declined.append(slot)
                box.decline = decline(box)
                if said == "hard":
                    return
            elif said.startswith("lost") and slot == box.left + 1:
                box.unresolved = True
                return
            else:
                if said == "lost_never_seen":
                    box.card = GOOD
                self._roll(box)
                return

    def _roll(self, box: Box) -> None:
        box.before = box.left
        box.left = self._after(box.left, box.years)
        box.declined.clear()
        box.decline = None

    def _after(self, left: int, years: int) -> int:
        return (renewed_until(self.on + timedelta(left), years) - self.on).days

    def _ago(self, left: int, years: int) -> int:
        ends = self.on + timedelta(left)
        if (ends.month, ends.day) == (2, 29):
            ends -= timedelta(1)
        return (ends.replace(year=ends.year - years) - self.on).days

    def _maybe_renewed_by_hand(self, box: Box) -> None:
        chance = self._chance
        if box.left < 7 and chance.random() < 0.55:
            self._roll(box)
        elif 8 <= box.left <= 60 and chance.random() < 0.02:
            box.renewed_by_hand_yesterday = True
            self._roll(box)

    def _own_card(self, box: Box) -> None:
        """A card that is not the customer's usual one, and the good one that replaced some of the hopeless ones."""
        token = box.card
        if box.pays_from_slot is not None:
            end = box.left if box.before is None else box.before
            token = f"{PAID_FROM}{self._days.text(end - box.pays_from_slot)}"
        card = Method(f"m{box.customer.number:08d}-{box.id}", "card", token)
        box.customer.methods.append(card)
        box.method = box.charged_with = card
        hopeless = box.declined and box.decline is not None and box.decline[1]
        if hopeless and box.status == "active" and box.left >= 0 and self._chance.random() < 0.2:
            box.method = box.customer.methods[0]
            box.card = GOOD

    def _policy(self, box: Box) -> Policy:
        return self._catalog.policy_of(box.plan)

    def _write_customer(self, customer: Customer) -> None:
        credit = (RICH_CENTS_PER_BOX * customer.size if customer.rich else POOR_CENTS) if customer.uses_credit else 0
        number = customer.number
        self._rows.add(
            "customers",
            customer.id,
            f"Cliente {number}",
            customer.email,
            customer.locale,
            f"IT{number:011d}",
            credit,
        )
        if credit:
            self._rows.add("credit_entries", customer.id, self._days.text(-400), credit, credit, "opening")
        for method in customer.methods:
            brand = ("visa", "4242") if method.kind == "card" else (None, None)
            self._rows.add("payment_methods", method.payment_method_id, customer.id, method.kind, method.token, *brand)

    def _write_all(self, box: Box, policy: Policy) -> None:
        self._write_box(box)
        if box.addon is not None:
            self._write_addon(box)
        self._write_past_renewal(box)
        if box.declined or box.unresolved:
            self._write_charges(box)
        self._write_history(box, policy)

    def _write_box(self, box: Box) -> None:
        text = self._days.text
        # Addresses come in no order, as they do in life: neighbours by address are not neighbours on the disk.
        scattered = box.id * 7_368_787 % 1_000_000_007
        address = f"{NAMES[scattered % len(NAMES)]}.{scattered}@pec.example.it"
        suspended = box.status == "suspended"
        self._rows.add_numbered(
            "boxes",
            address,
            address,
            box.customer.id,
            box.plan,
            box.status,
            text(box.left),
            box.years,
            int(box.auto_renew),
            box.method.payment_method_id if box.method is not None else None,
            box.price,
            f"domain{box.customer.number}.example" if box.plan == "domain" else None,
            text(box.cancelled) if box.cancelled is not None else None,
            text(box.hold_until) if box.hold_until is not None else None,
            box.hold_reason,
            text(box.left + 1) if suspended else None,
            box.suspended_reason,
            text(box.left + 91) if box.status == "deleted" else None,
        )

    def _write_addon(self, box: Box) -> None:
        status, ends = "active", box.left
        short = not box.customer.rich
        if box.addon == "credit":
            if box.status == "suspended" and short:
                status = "disabled"
            elif box.before is None:
                if box.status == "active" and short:
                    self._expected.of_addon_of_unrenewed(box)
            elif box.renewed_by_hand_yesterday:
                ends = box.before
                self._expected.of_addon_to_renew(box, ends)
            elif short:
                ends = box.before
                self._short_since_renewal(box)
        self._rows.add(
            "addons",
            box.addon_id,
            box.id,
            "extra_inbox",
            1,
            ADDON_CENTS,
            box.addon,
            status,
            self._days.text(ends),
        )

    def _short_since_renewal(self, box: Box) -> None:
        """The box was renewed in the last days, its add-on was not: told once, and switched off when A is over."""
        before = box.before if box.before is not None else box.left
        self._rows.add_told(
            "addon.credit_short",
            box.customer.told,
            box.id,
            before,
            before - 7,
            job="renew_addons",
            addon_id=box.addon_id,
        )
        self._expected.of_addon_left_behind(box, before)

    def _lines(self, box: Box) -> Sequence[tuple[str, str | None, int]]:
        price = box.price if box.price is not None else self._catalog.plans[box.plan].annual_price_cents
        plan: tuple[str, str | None, int] = (box.plan, None, price)
        return (plan, ("extra_inbox", box.addon_id, ADDON_CENTS)) if box.addon == "renewal" else (plan,)

    def _vat_and_gross(self, lines: Sequence[tuple[str, str | None, int]], years: int) -> tuple[int, int]:
        net = renewal_net(lines[0][2], sum(line[2] for line in lines[1:]), years)
        if net not in self._gross:
            self._gross[net] = self._catalog.gross(net)
        return self._gross[net] - net, self._gross[net]

    def _write_order(self, box: Box, term: int, placed: int, status: str) -> tuple[int, int]:
        lines = self._lines(box)
        amounts = self._vat_and_gross(lines, box.years)
        number = self._rows.add_order(
            box.customer.id,
            box.id,
            term,
            box.years,
            placed=placed,
            status=status,
            vat_and_gross=amounts,
            lines=lines,
        )
        return number, amounts[1]

    def _write_past_renewal(self, box: Box) -> None:
        """The renewal that began the present term, for those who renew by themselves and have been here a term."""
        if box.status != "active" or not box.auto_renew or box.customer.payer == "credit" or box.method is None:
            return
        term = box.before if box.before is not None else self._ago(box.left, box.years)
        placed = term - (box.pays_from_slot if box.pays_from_slot is not None else 7)
        if box.method.kind == "agreement":
            self._write_order(box, term, placed, "on_account")
            return
        number, cents = self._write_order(box, term, placed, "paid")
        slot = term - placed
        self._rows.add_charge(number, box.id, term, slot, method=box.method, cents=cents, status="succeeded")

    def _write_charges(self, box: Box) -> None:
        method = box.charged_with or box.method
        if method is None:
            return
        slots = box.declined or [box.left + 1]
        number, cents = self._write_order(box, box.left, box.left - slots[0], "awaiting_payment")
        for slot in slots:
            key = self._rows.add_charge(
                number,
                box.id,
                box.left,
                slot,
                method=method,
                cents=cents,
                status="unknown" if box.unresolved else "declined",
                decline=box.decline,
            )
            if box.unresolved and method.token is not None:
                self.due.at_the_bank.append(
                    ChargeRequest(
                        idempotency_key=key,
                        amount_cents=cents,
                        method_kind="card",
                        token=method.token,
                        gateway_customer_id=None,
                        order_number=f"BENCH-{number}",
                        box_address=f"{box.id}@pec.example.it",
                        slot_on=self.on - timedelta(1),
                        asked_at=clock.now(),
                    )
                )

    def _write_history(self, box: Box, policy: Policy) -> None:
        """The term's e-mails so far."""
        tell, customer, term = self._rows.add_told, box.customer.told, box.left
        for slot in box.declined:
            tell("charge.declined", customer, box.id, term, term - slot, job="auto_renew")
        noticed = box.eligible(0)
        if box.cancelled is None:
            kind = "box.renewal_notice" if noticed else "box.expiry_alert"
            for days in policy.notice_milestones if noticed else policy.alert_milestones:
                if term - days < 0:
                    tell(kind, customer, box.id, term, term - days, job="send_alerts", milestone=days)
        if box.suspended_reason != UNPAID:
            return
        tell("box.suspended", customer, box.id, term, term + 1, job="suspend")
        for days in policy.deletion_milestones if not box.held(0) else ():
            on = term + policy.suspended_days + 1 - days
            if on < 0:
                tell("box.deletion_warning", customer, box.id, term, on, job="send_alerts", milestone=days)
