"""Who the made-up provider's customers are, what boxes they have, how they pay, and how their cards answer.

All days are whole numbers counted from the day for which the provider is made: 0 is the day itself, −1 the day before.
"""

from __future__ import annotations

import random
from bisect import bisect
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, NamedTuple

ADDON_CENTS = 250
RICH_CENTS_PER_BOX = 50_000
POOR_CENTS = 100

LOST_PAID = "sandbox_lost_answer_paid"
LOST_NEVER_SEEN = "sandbox_lost_answer_never_seen"
PAID_FROM = "sandbox_paid_from:"
GOOD = "pm_card_visa"

Payer = Literal["card", "paypal", "credit", "agreement", "by_hand", "domain"]
Answer = Literal["paid", "soft", "hard", "lost_paid", "lost_never_seen"]


class Shares:
    """Draws from a list of values with their weights."""

    def __init__(self, **weights: float) -> None:
        self._values = list(weights)
        self._sums = list(accumulate(weights.values()))

    def draw(self, chance: random.Random) -> str:
        return self._values[bisect(self._sums, chance.random() * self._sums[-1])]


PAYERS = Shares(card=44, paypal=5, credit=5, agreement=6, by_hand=36, domain=4)
SIZES = Shares(**{"1": 8500, "2": 900, "3": 350, "5": 150, "10": 80, "50": 16, "300": 4})
STATUSES = Shares(active=940, suspended=40, deleted=20)
PLANS = Shares(standard=70, pro=20, premium=10)
YEARS = Shares(**{"1": 80, "2": 15, "3": 5})
CARDS = Shares(
    pm_card_visa=900,
    pm_card_visa_chargeDeclined=25,
    pm_card_visa_chargeDeclinedInsufficientFunds=25,
    pays_later=25,
    pm_card_chargeDeclinedExpiredCard=15,
    pm_card_visa_chargeDeclinedStolenCard=5,
    sandbox_lost_answer_paid=12,
    sandbox_lost_answer_never_seen=8,
)
DECLINES: dict[str, tuple[str, bool]] = {
    "pm_card_visa_chargeDeclined": ("generic_decline", False),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("insufficient_funds", False),
    "pays_later": ("insufficient_funds", False),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", True),
    "pm_card_visa_chargeDeclinedStolenCard": ("stolen_card", True),
}
NAMES = ("studio.rossi", "avv.bianchi", "amministrazione", "info", "ing.verdi", "comune", "geom.neri", "posta")


class Method(NamedTuple):
    """A payment method, in the order in which a charge names it."""

    payment_method_id: str
    kind: str
    token: str | None


@dataclass(slots=True)
class Customer:
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
class Box:
    """A box while its story is made up. `left` is E, `before` the E of the term that ended by a renewal."""

    id: int
    customer: Customer
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
    declined_today: bool = False
    unresolved_today: bool = False

    def held(self, day: int) -> bool:
        return self.hold_reason is not None and (self.hold_until is None or day <= self.hold_until)

    def eligible(self, day: int) -> bool:
        """Whether auto_renew would ask for it on that day, dates and charges aside."""
        return self.auto_renew and self.cancelled is None and not self.held(day)

    @property
    def addon_id(self) -> str:
        return f"a{self.id:08d}"


def answer(box: Box, slot: int) -> Answer:
    """What becomes of a charge for that slot."""
    if box.customer.payer == "credit":
        return "paid" if box.customer.rich else "soft"
    if box.pays_from_slot is not None:
        return "paid" if slot <= box.pays_from_slot else "soft"
    if box.card in DECLINES:
        return "hard" if DECLINES[box.card][1] else "soft"
    if box.card == LOST_PAID:
        return "lost_paid"
    return "lost_never_seen" if box.card == LOST_NEVER_SEEN else "paid"


def decline(box: Box) -> tuple[str, bool]:
    """With which code a charge is declined, and whether for good."""
    return DECLINES.get(box.card or "", ("insufficient_credit", False))
