"""A made-up provider on a normal day: customers, boxes, their history, and what is due on that day.

Everything follows from the number of boxes, the day and a seed. Terms end evenly over a year, so each milestone
and each slot concerns about one box in 365 of its kind. The past is as the program would have left it: a box
whose slot has gone by was renewed, or has declined charges and an open order to show for it. While the rows are
made, what the day has to do about them is counted.

All days are whole numbers counted from the business date: 0 is the day itself, −1 the day before.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import accumulate
from typing import Literal, NamedTuple, cast

from lifecycle_jobs import clock
from lifecycle_jobs.payments.gateway import ChargeRequest
from lifecycle_jobs.policy import UNPAID, Catalog, Policy, renewal_net, renewed_until
from tests.bench.rows import Batch, Days, Rows

BATCH = 20_000
"""Boxes whose rows are in memory at a time."""

_ADDON_CENTS = 250
_RICH_CENTS_PER_BOX = 50_000
_POOR_CENTS = 100

_LOST_PAID = "sandbox_lost_answer_paid"
_LOST_NEVER_SEEN = "sandbox_lost_answer_never_seen"
_PAID_FROM = "sandbox_paid_from:"
_GOOD = "pm_card_visa"

Payer = Literal["card", "paypal", "credit", "agreement", "by_hand", "domain"]
Answer = Literal["paid", "soft", "hard", "lost_paid", "lost_never_seen"]


class _Shares:
    """Draws from a list of values with their weights."""

    def __init__(self, **weights: float) -> None:
        self._values = list(weights)
        self._sums = list(accumulate(weights.values()))

    def draw(self, chance: random.Random) -> str:
        return self._values[bisect(self._sums, chance.random() * self._sums[-1])]


_PAYERS = _Shares(card=44, paypal=5, credit=5, agreement=6, by_hand=36, domain=4)
_SIZES = _Shares(**{"1": 8500, "2": 900, "3": 350, "5": 150, "10": 80, "50": 16, "300": 4})
_STATUSES = _Shares(active=940, suspended=40, deleted=20)
_PLANS = _Shares(standard=70, pro=20, premium=10)
_YEARS = _Shares(**{"1": 80, "2": 15, "3": 5})
_CARDS = _Shares(
    pm_card_visa=900,
    pm_card_visa_chargeDeclined=25,
    pm_card_visa_chargeDeclinedInsufficientFunds=25,
    pays_later=25,
    pm_card_chargeDeclinedExpiredCard=15,
    pm_card_visa_chargeDeclinedStolenCard=5,
    sandbox_lost_answer_paid=12,
    sandbox_lost_answer_never_seen=8,
)
_DECLINES: dict[str, tuple[str, bool]] = {
    "pm_card_visa_chargeDeclined": ("generic_decline", False),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("insufficient_funds", False),
    "pays_later": ("insufficient_funds", False),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", True),
    "pm_card_visa_chargeDeclinedStolenCard": ("stolen_card", True),
}
_NAMES = ("studio.rossi", "avv.bianchi", "amministrazione", "info", "ing.verdi", "comune", "geom.neri", "posta")


class Method(NamedTuple):
    """A payment method, in the order in which a charge names it."""

    payment_method_id: str
    kind: str
    token: str | None


@dataclass(slots=True)
class _Customer:
    number: int
    payer: Payer
    rich: bool
    size: int
    uses_credit: bool = False
    methods: list[Method] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"c{self.number:08d}"

    @property
    def email(self) -> str:
        return f"c{self.number}@example.it"

    @property
    def locale(self) -> str:
        return "en" if self.number % 10 == 0 else "it"

    @property
    def told(self) -> tuple[str, str, str]:
        return self.id, self.email, self.locale


@dataclass(slots=True)
class _Box:
    """A box while its story is made up. `left` is E, `before` the E of the term that ended by a renewal."""

    id: int
    customer: _Customer
    plan: str
    years: int
    price: int | None
    left: int
    status: str = "active"
    auto_renew: bool = False
    method: Method | None = None
    card: str | None = None
    pays_from_slot: int | None = None
    cancelled: int | None = None
    hold_until: int | None = None
    hold_reason: str | None = None
    suspended_reason: str | None = None
    before: int | None = None
    renewed_by_hand_yesterday: bool = False
    addon: Literal["renewal", "credit"] | None = None
    declined: list[int] = field(default_factory=list)
    decline: tuple[str, bool] | None = None
    charged_with: Method | None = None
    unresolved: bool = False
    renewed_today: bool = False
    charge_failed_today: bool = False

    @property
    def held(self) -> bool:
        return self.hold_reason is not None

    @property
    def eligible(self) -> bool:
        """Whether auto_renew would ask for it, dates and charges aside."""
        return self.auto_renew and self.cancelled is None and not self.held

    @property
    def addon_id(self) -> str:
        return f"a{self.id:08d}"


@dataclass(slots=True)
class Due:
    """What the day has to do, as far as it leaves a trace."""

    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of events by job and kind."""

    attempts: Counter[str] = field(default_factory=Counter)
    """Number of charges that the day makes, by status at its end."""

    told: set[tuple[int, str]] = field(default_factory=set)
    """Customer and kind of each e-mail."""

    at_the_bank: list[ChargeRequest] = field(default_factory=list)
    """Yesterday's charges whose answer was lost: what the sandbox must have been asked before the day."""

    def expect(self, job: str, kind: str, customer: int) -> None:
        """One event, which the customer is told of."""
        self.events[job, kind] += 1
        self.told.add((customer, kind))


class Provider:
    """The provider. Its rows can be had once; afterwards `due` says what the day has to do."""

    def __init__(self, boxes: int, on: date, catalog: Catalog, *, seed: int = 1) -> None:
        self.boxes = boxes
        self.on = on
        self.due = Due()
        self._catalog = catalog
        self._chance = random.Random(seed)  # noqa: S311  chance that must repeat itself
        self._days = Days(on)
        self._rows = Rows(self._days)
        self._gross: dict[int, int] = {}

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

    def _customer(self, number: int, at_most: int) -> _Customer:
        chance = self._chance
        payer = cast("Payer", _PAYERS.draw(chance))
        # One balance for many boxes would make what is due depend on the order in which they are charged.
        size = 1 if payer == "credit" else min(at_most, int(_SIZES.draw(chance)))
        customer = _Customer(number, payer, rich=chance.random() < 0.8, size=size, uses_credit=payer == "credit")
        if payer in {"card", "paypal"}:
            customer.methods.append(Method(f"m{number:08d}", payer, _GOOD))
        elif payer in {"credit", "agreement"}:
            customer.methods.append(Method(f"m{number:08d}", payer, None))
        return customer

    def _make(self, number: int, customer: _Customer) -> None:
        chance = self._chance
        domain = customer.payer == "domain"
        box = _Box(
            number,
            customer,
            plan="domain" if domain else _PLANS.draw(chance),
            years=1 if domain else int(_YEARS.draw(chance)),
            price=848 if chance.random() < 0.03 and not domain else None,
            left=chance.randint(-1, 364),
            status=_STATUSES.draw(chance),
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

    def _choose_payment(self, box: _Box) -> None:
        customer, chance = box.customer, self._chance
        if not customer.methods:
            return
        box.method = customer.methods[0]
        box.auto_renew = chance.random() < 0.95
        if customer.payer == "card" and box.auto_renew:
            box.card = _CARDS.draw(chance)
            if box.card == "pays_later":
                box.pays_from_slot = chance.choice((5, 3, 1))
        elif customer.payer == "paypal":
            box.card = _GOOD

    def _suspended(self, box: _Box) -> None:
        chance, policy = self._chance, self._policy(box)
        box.left = -chance.randint(2, policy.suspended_days + 1)
        roll = chance.random()
        box.suspended_reason = UNPAID if roll >= 0.005 else "abuse"
        if 0.005 <= roll < 0.015:
            box.hold_reason = "court order"
        if box.eligible and box.card in {"pm_card_visa_chargeDeclined", "pm_card_chargeDeclinedExpiredCard"}:
            self._go_through_slots(box, policy)
        else:
            box.auto_renew = False
        if box.card in _DECLINES:
            self._own_card(box)
        self._expect_suspended(box, policy)
        self._write_all(box, policy)

    def _active(self, box: _Box) -> None:
        chance, policy = self._chance, self._policy(box)
        roll = chance.random()
        if roll < 0.001:
            box.hold_reason = "dispute"
            box.hold_until = chance.choice((None, chance.randint(1, 60)))
        elif roll < 0.016:
            box.cancelled = -chance.randint(1, 30)
        if box.eligible:
            self._go_through_slots(box, policy)
        elif box.cancelled is None and not box.held:
            self._maybe_renewed_by_hand(box)
        if box.card not in {None, _GOOD}:
            self._own_card(box)
        self._expect_reconciled(box)
        self._expect_charged(box, policy)
        self._expect_told(box, policy)
        if box.status == "active" and box.left == -1 and not box.held and not box.renewed_today:
            self.due.expect("suspend", "box.suspended", box.customer.number)
        self._write_all(box, policy)

    def _answer(self, box: _Box, slot: int) -> Answer:
        if box.customer.payer == "credit":
            return "paid" if box.customer.rich else "soft"
        if box.pays_from_slot is not None:
            return "paid" if slot <= box.pays_from_slot else "soft"
        if box.card in _DECLINES:
            return "hard" if _DECLINES[box.card][1] else "soft"
        if box.card == _LOST_PAID:
            return "lost_paid"
        return "lost_never_seen" if box.card == _LOST_NEVER_SEEN else "paid"

    def _go_through_slots(self, box: _Box, policy: Policy) -> None:
        """What auto_renew did before this day; a box that it renewed is a year or more away now."""
        for slot in policy.charge_slots:
            if slot <= box.left:
                return
            answer = self._answer(box, slot)
            if answer in {"soft", "hard"}:
                box.declined.append(slot)
                box.decline = self._decline(box)
                if answer == "hard":
                    return
            elif answer.startswith("lost") and slot == box.left + 1:
                box.unresolved = True
                return
            else:
                if answer == "lost_never_seen":
                    box.card = _GOOD
                self._roll(box)
                return

    def _decline(self, box: _Box) -> tuple[str, bool]:
        return _DECLINES.get(box.card or "", ("insufficient_credit", False))

    def _roll(self, box: _Box) -> None:
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

    def _maybe_renewed_by_hand(self, box: _Box) -> None:
        chance = self._chance
        if box.left < 7 and chance.random() < 0.55:
            self._roll(box)
        elif 8 <= box.left <= 60 and chance.random() < 0.02:
            box.renewed_by_hand_yesterday = True
            self._roll(box)

    def _own_card(self, box: _Box) -> None:
        """A card that is not the customer's usual one, and the good one that replaced some of the hopeless ones."""
        token = box.card
        if box.pays_from_slot is not None:
            end = box.left if box.before is None else box.before
            token = f"{_PAID_FROM}{self._days.text(end - box.pays_from_slot)}"
        card = Method(f"m{box.customer.number:08d}-{box.id}", "card", token)
        box.customer.methods.append(card)
        box.method = box.charged_with = card
        hopeless = box.declined and box.decline is not None and box.decline[1]
        if hopeless and box.status == "active" and box.left >= 0 and self._chance.random() < 0.2:
            box.method = box.customer.methods[0]
            box.card = _GOOD

    def _expect_reconciled(self, box: _Box) -> None:
        if not box.unresolved:
            return
        if box.card == _LOST_PAID:
            self._expect_renewed(box, "reconcile_charges")
        else:
            self.due.attempts["unknown"] += 1

    def _expect_charged(self, box: _Box, policy: Policy) -> None:
        replaced = bool(box.declined) and box.method != box.charged_with and box.charged_with is not None
        today = box.left in policy.charge_slots and (box.decline is None or not box.decline[1])
        if not box.eligible or box.unresolved or not (today or replaced):
            return
        answer = self._answer(box, box.left)
        if answer == "paid":
            self._expect_renewed(box, "auto_renew")
            if box.customer.payer != "agreement":
                self.due.attempts["succeeded"] += 1
        elif answer in {"soft", "hard"}:
            box.charge_failed_today = True
            self.due.attempts["declined"] += 1
            self.due.expect("auto_renew", "charge.declined", box.customer.number)
        else:
            box.charge_failed_today = True
            self.due.attempts["unknown"] += 1

    def _expect_renewed(self, box: _Box, job: str) -> None:
        box.renewed_today = True
        self.due.expect(job, "box.renewed", box.customer.number)
        if box.addon == "credit":
            self._expect_addon(box)

    def _expect_addon(self, box: _Box) -> None:
        kind = "addon.renewed" if box.customer.rich else "addon.credit_short"
        self.due.expect("renew_addons", kind, box.customer.number)

    def _expect_told(self, box: _Box, policy: Policy) -> None:
        if box.cancelled is not None or box.unresolved or box.renewed_today or box.charge_failed_today:
            return
        if box.eligible and not box.declined:
            if box.left in policy.notice_milestones:
                self.due.expect("send_alerts", "box.renewal_notice", box.customer.number)
        elif box.left in policy.alert_milestones:
            self.due.expect("send_alerts", "box.expiry_alert", box.customer.number)

    def _expect_suspended(self, box: _Box, policy: Policy) -> None:
        if box.suspended_reason != UNPAID or box.held:
            return
        to_go = box.left + policy.suspended_days + 1
        if to_go == 0:
            self.due.expect("delete", "box.deleted", box.customer.number)
        elif to_go in policy.deletion_milestones:
            self.due.expect("send_alerts", "box.deletion_warning", box.customer.number)

    def _policy(self, box: _Box) -> Policy:
        return self._catalog.policy_of(box.plan)

    def _write_customer(self, customer: _Customer) -> None:
        credit = (_RICH_CENTS_PER_BOX * customer.size if customer.rich else _POOR_CENTS) if customer.uses_credit else 0
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

    def _write_all(self, box: _Box, policy: Policy) -> None:
        self._write_box(box)
        if box.addon is not None:
            self._write_addon(box)
        self._write_past_renewal(box)
        if box.declined or box.unresolved:
            self._write_charges(box)
        self._write_history(box, policy)

    def _write_box(self, box: _Box) -> None:
        text = self._days.text
        # Addresses come in no order, as they do in life: neighbours by address are not neighbours on the disk.
        scattered = box.id * 7_368_787 % 1_000_000_007
        address = f"{_NAMES[scattered % len(_NAMES)]}.{scattered}@pec.example.it"
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

    def _write_addon(self, box: _Box) -> None:
        status, ends = "active", box.left
        short = not box.customer.rich
        if box.addon == "credit":
            if box.status == "suspended" and short:
                status = "disabled"
            elif box.status == "active" and box.left == -1 and short:
                self.due.expect("renew_addons", "addon.disabled", box.customer.number)
            elif box.renewed_by_hand_yesterday and box.before is not None:
                ends = box.before
                self._expect_addon(box)
            elif box.before is not None and short:
                ends = box.before
                self._short_since_renewal(box)
        self._rows.add(
            "addons",
            box.addon_id,
            box.id,
            "extra_inbox",
            1,
            _ADDON_CENTS,
            box.addon,
            status,
            self._days.text(ends),
        )

    def _short_since_renewal(self, box: _Box) -> None:
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
        if before == -1:
            self.due.expect("renew_addons", "addon.disabled", box.customer.number)

    def _lines(self, box: _Box) -> Sequence[tuple[str, str | None, int]]:
        price = box.price if box.price is not None else self._catalog.plans[box.plan].annual_price_cents
        plan: tuple[str, str | None, int] = (box.plan, None, price)
        return (plan, ("extra_inbox", box.addon_id, _ADDON_CENTS)) if box.addon == "renewal" else (plan,)

    def _vat_and_gross(self, lines: Sequence[tuple[str, str | None, int]], years: int) -> tuple[int, int]:
        net = renewal_net(lines[0][2], sum(line[2] for line in lines[1:]), years)
        if net not in self._gross:
            self._gross[net] = self._catalog.gross(net)
        return self._gross[net] - net, self._gross[net]

    def _write_order(self, box: _Box, term: int, placed: int, status: str) -> tuple[int, int]:
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

    def _write_past_renewal(self, box: _Box) -> None:
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

    def _write_charges(self, box: _Box) -> None:
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

    def _write_history(self, box: _Box, policy: Policy) -> None:
        """The term's e-mails so far."""
        tell, customer, term = self._rows.add_told, box.customer.told, box.left
        for slot in box.declined:
            tell("charge.declined", customer, box.id, term, term - slot, job="auto_renew")
        noticed = box.eligible
        if box.cancelled is None:
            kind = "box.renewal_notice" if noticed else "box.expiry_alert"
            for days in policy.notice_milestones if noticed else policy.alert_milestones:
                if term - days < 0:
                    tell(kind, customer, box.id, term, term - days, job="send_alerts", milestone=days)
        if box.suspended_reason != UNPAID:
            return
        tell("box.suspended", customer, box.id, term, term + 1, job="suspend")
        for days in policy.deletion_milestones if not box.held else ():
            on = term + policy.suspended_days + 1 - days
            if on < 0:
                tell("box.deletion_warning", customer, box.id, term, on, job="send_alerts", milestone=days)
