"""An ordinary provider whose days go by: boxes are sold, paid, forgotten, suspended and deleted, all by chance.

What is ordinary here: more is sold on working days than at the weekend; holders have one box, or a few that end on one
day; some cards are declined and stay so; some pay by hand, some too late, some never; mail bounces now and then.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import Connection, func, insert, select, update

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, customers, events, messages, payment_methods
from lifecycle_jobs.policy import renewed_until

DAY = timedelta(days=1)

_YEAR = 365
_HELD_TOGETHER = (1, 1, 1, 1, 1, 1, 2, 2, 3, 6)
"""How many boxes a holder has that end on one day."""

_WAYS = ("card",) * 5 + ("paypal", "agreement") + ("by_hand",) * 3
_OF_WEEKDAY = (1.2, 1.2, 1.2, 1.2, 1.2, 0.6, 0.4)
"""How much is sold on each weekday, of what is sold on an average day."""

_DECLINED = 0.03
_FORGETS = 0.15
"""Of those who pay by hand, how many never do."""

_BOUNCES = 0.02


class Provider:
    """The holders of a provider, drawn from a seed; `settle` first, then `between` before each run and `after` it."""

    def __init__(self, store: Store, boxes_sold_a_day: float, seed: int) -> None:
        self._store = store
        self._a_day = boxes_sold_a_day
        self._chance = random.Random(seed)  # noqa: S311 -- chance that must repeat itself
        self._holders = 0

    def settle(self, today: date) -> None:
        """Everybody whose box ends within a year, and those whose boxes have been suspended for up to 90 days."""
        with self._store.write() as connection:
            for ahead in range(_YEAR):
                self._sell(connection, today + ahead * DAY, self._a_day)
            for back in range(1, 91):
                lost = self._a_day * _FORGETS * 0.3
                self._sell(connection, today - back * DAY, lost, status="suspended")

    def between(self, on: date) -> None:
        """What holders do in the night before a run: some buy, some pay."""
        with self._store.write() as connection:
            lost = self._a_day * _FORGETS * 0.3
            self._sell(connection, renewed_until(on, 1), lost * _OF_WEEKDAY[on.weekday()])
            self._pay_by_hand(connection, on)
            self._replace_cards(connection, on)

    def after(self, on: date) -> None:
        """What comes of the e-mails of a run."""
        with self._store.write() as connection:
            made = connection.scalars(select(messages.c.id).where(messages.c.created_on == on)).all()
            bounced = [each for each in made if self._chance.random() < _BOUNCES]
            connection.execute(
                update(messages)
                .where(messages.c.id.in_(bounced))
                .values(status="failed", accepted_on=None, accepted_at=None, next_attempt_at=None)
            )

    def _sell(self, connection: Connection, expires_on: date, number: float, status: str = "active") -> None:
        """So many boxes on average, to holders of one or some."""
        per_holder = sum(_HELD_TOGETHER) / len(_HELD_TOGETHER)
        holders = self._times(number / per_holder)
        for _ in range(holders):
            self._holder(connection, expires_on, status)

    def _times(self, average: float) -> int:
        """How often something happens that happens so often on average (Poisson)."""
        times, waited = 0, self._chance.expovariate(1)
        while waited < average:
            times += 1
            waited += self._chance.expovariate(1)
        return times

    def _holder(self, connection: Connection, expires_on: date, status: str) -> None:
        self._holders += 1
        holder = f"h{self._holders:06}"
        way = self._chance.choice(_WAYS)
        declined = self._chance.random() < _DECLINED
        connection.execute(
            insert(customers).values(
                customer_id=holder, name=holder, email=f"{holder}@example.it", locale="it", credit_cents=0
            )
        )
        method = None if way == "by_hand" else f"m-{holder}"
        if method is not None:
            connection.execute(
                insert(payment_methods).values(
                    payment_method_id=method,
                    customer_id=holder,
                    kind=way,
                    token=None if way == "agreement" else _token(declined=declined),
                )
            )
        held = [
            {
                "address": f"{holder}-{number}@pec.example.it",
                "address_key": f"{holder}-{number}@pec.example.it",
                "customer_id": holder,
                "plan": self._chance.choice(("standard", "standard", "pro")),
                "status": status,
                "expires_on": expires_on,
                "imported_expires_on": expires_on,
                "renewal_years": 1,
                "auto_renew": method is not None,
                "payment_method_id": method,
                "suspended_on": expires_on + DAY if status == "suspended" else None,
                "suspended_reason": "unpaid" if status == "suspended" else None,
            }
            for number in range(self._chance.choice(_HELD_TOGETHER))
        ]
        connection.execute(insert(boxes), held)

    def _pay_by_hand(self, connection: Connection, on: date) -> None:
        """Most on one of the last 60 days, some only once they are suspended."""
        by_hand = boxes.c.payment_method_id.is_(None)
        ending = connection.execute(
            select(boxes.c.customer_id, func.min(boxes.c.expires_on).label("end"))
            .where(by_hand, boxes.c.status == "active", boxes.c.expires_on.between(on, on + 60 * DAY))
            .group_by(boxes.c.customer_id)
            .order_by(boxes.c.customer_id)
        ).all()
        paying = [row.customer_id for row in ending if self._pays(row.customer_id, (row.end - on).days)]
        suspended = connection.scalars(
            select(boxes.c.customer_id).where(boxes.c.status == "suspended").distinct().order_by(boxes.c.customer_id)
        ).all()
        self._renew(connection, [*paying, *(each for each in suspended if self._chance.random() < 0.005)])

    def _pays(self, holder: str, days_left: int) -> bool:
        """Everybody has a habit: a certain number of days before the end, or never."""
        habit = random.Random(f"{holder}/{days_left // 366}")  # noqa: S311 -- chance that must repeat itself
        return habit.random() >= _FORGETS and days_left == habit.randint(0, 60)

    def _renew(self, connection: Connection, holders: Sequence[str]) -> None:
        for holder in holders:
            for box in connection.execute(
                select(boxes).where(boxes.c.customer_id == holder, boxes.c.status != "deleted")
            ).all():
                end = renewed_until(box.expires_on, 1)
                connection.execute(
                    update(boxes)
                    .where(boxes.c.id == box.id)
                    .values(
                        status="active",
                        suspended_on=None,
                        suspended_reason=None,
                        expires_on=end,
                        imported_expires_on=end,
                        imported_after_event=select(func.max(events.c.id)).scalar_subquery(),
                    )
                )

    def _replace_cards(self, connection: Connection, on: date) -> None:
        """A card that worked is declined one day, and another is put in the place of one that was."""
        del on
        cards = connection.execute(
            select(payment_methods.c.payment_method_id, payment_methods.c.token)
            .where(payment_methods.c.token.is_not(None))
            .order_by(payment_methods.c.payment_method_id)
        ).all()
        for card in cards:
            working = card.token == _token(declined=False)
            if self._chance.random() < (_DECLINED / _YEAR if working else 1 / 60):
                connection.execute(
                    update(payment_methods)
                    .where(payment_methods.c.payment_method_id == card.payment_method_id)
                    .values(token=_token(declined=working))
                )


def _token(*, declined: bool) -> str:
    return "pm_card_visa_chargeDeclined" if declined else "pm_card_visa"
