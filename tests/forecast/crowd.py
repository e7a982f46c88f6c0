"""A small provider in which every case occurs that decides about dates, and that is left to nothing but its rates."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection

from lifecycle_jobs.forecast.assumptions import Assumptions, ByHand, Declines
from tests import factories

TODAY = date(2027, 12, 10)
"""Before a leap day, and before the end of a year."""

DAY = timedelta(days=1)
PAYS = "pm_card_visa"
DECLINED = "pm_card_visa_chargeDeclined"
DECLINED_FOR_GOOD = "pm_card_chargeDeclinedExpiredCard"

PLANS = ("standard", "standard", "pro", "premium", "domain", "brief")
"""The shipped plans, and one with a policy of its own."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the bank says to each kind of method, as tokens of the sandbox, and the assumptions that foresee it."""

    card: str
    paypal: str

    @property
    def assumptions(self) -> Assumptions:
        """Nobody pays by hand."""
        rates = {PAYS: Declines(), DECLINED: Declines(1.0), DECLINED_FOR_GOOD: Declines(1.0, hard=1.0)}
        return Assumptions({"card": rates[self.card], "paypal": rates[self.paypal]}, ByHand())


CARDS_DECLINE = Answers(DECLINED, PAYS)
CARDS_PAY = Answers(PAYS, DECLINED_FOR_GOOD)


class Crowd:
    """Fills a database with holders of one or more boxes, drawn from a seed."""

    def __init__(self, connection: Connection, answers: Answers, seed: int = 1) -> None:
        self._connection = connection
        self._tokens = {"card": answers.card, "paypal": answers.paypal}
        self._chance = random.Random(seed)  # noqa: S311 -- chance that must repeat itself
        self._boxes = self._holders = self._addons = 0

    def settle(self, holders: int) -> None:
        """So many holders with all that is theirs."""
        for _ in range(holders):
            self._holder()

    def moved_to(self, connection: Connection) -> Crowd:
        """The same crowd, to be added to in another transaction."""
        self._connection = connection
        return self

    def _holder(self) -> None:
        chance = self._chance
        self._holders += 1
        holder = f"c{self._holders:04d}"
        kind = chance.choice(("card", "card", "paypal", "credit", "agreement", None))
        factories.customer(self._connection, holder, credit=chance.choice((0, 100, 1208, 5000, 100_000)))
        method = None
        if kind is not None:
            method = factories.method(self._connection, f"m{holder}", holder, kind=kind, token=self._tokens.get(kind))
        # Where one balance is for several things, what it suffices for is an estimate: see `forecast.demands`.
        number = 1 if kind == "credit" else chance.choice((1, 1, 1, 2, 3, 8))
        same_day = chance.choice((None, None, TODAY + chance.randint(-90, 200) * DAY))
        for _ in range(number):
            self._box(holder, method, same_day)
        if kind != "credit" and chance.random() < 0.4:
            self._addon(self._latest_box, cancelled=chance.random() < 0.2)

    def _box(self, holder: str, method: str | None, same_day: date | None) -> None:
        chance = self._chance
        expires_on = same_day or TODAY + chance.randint(-95, 200) * DAY
        values: dict[str, Any] = {
            "plan": chance.choice(PLANS),
            "renewal_years": chance.choice((1, 1, 1, 2)),
            "annual_price": chance.choice((None, None, None, 848, 0)),
            "payment_method_id": method,
            "auto_renew": method is not None and chance.random() < 0.85,
        }
        if expires_on < TODAY - 5 * DAY:
            values |= {"status": "suspended", "suspended_reason": chance.choice(("unpaid",) * 9 + ("abuse",))}
            if chance.random() < 0.2:
                values["suspended_on"] = min(TODAY - DAY, expires_on + chance.randint(2, 60) * DAY)
        if chance.random() < 0.08:
            values["cancelled_on"] = TODAY - 20 * DAY
        if chance.random() < 0.15:
            values |= {"hold_reason": "dispute", "hold_until": TODAY + chance.randint(-40, 60) * DAY}
            if chance.random() < 0.2:
                values["hold_until"] = None
        self._boxes += 1
        self._latest_box = factories.box(
            self._connection,
            f"box{self._boxes:05d}@pec.example.it",
            customer_id=holder,
            expires_on=expires_on,
            **values,
        )
        if chance.random() < 0.2:
            self._addons += 1
            factories.addon(
                self._connection,
                f"r{self._addons:04d}",
                self._latest_box,
                quantity=chance.choice((1, 3)),
                cancelled_on=chance.choice((None, None, TODAY - 3 * DAY)),
            )

    def _addon(self, box_id: int, *, cancelled: bool) -> None:
        self._addons += 1
        factories.addon(
            self._connection,
            f"a{self._addons:04d}",
            box_id,
            quantity=self._chance.choice((1, 2)),
            paid_from="credit",
            cancelled_on=TODAY - DAY if cancelled else None,
        )
