"""Providers at random, on a day on which every job has something to do and the gateway answers in every way."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from lifecycle_jobs.db.session import Store
from tests import factories

_PAYS = ("pm_card_visa",)
"""Once more than the others: most days most cards pay."""


def seeds(quick: int, all_of_them: int) -> list[Any]:
    """The first ones in each test run, and all of them in the soak."""
    late = [pytest.param(seed, marks=pytest.mark.soak) for seed in range(quick, all_of_them)]
    return [*range(quick), *late]


def populate(store: Store, on: date, seed: int, boxes: int = 40) -> None:
    """So many boxes about which the day of a date has something to do or to leave alone; the same each time."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable, not secret
    customers = 1 + boxes // 3
    with store.write() as connection:
        for number in range(customers):
            _customer(connection, number, chance)
        for number in range(boxes):
            _box(connection, on, number, chance.randrange(customers), chance)


def _customer(connection: Connection, number: int, chance: random.Random) -> None:
    factories.customer(
        connection, f"c{number}", locale=chance.choice(("it", "en")), credit=chance.choice((0, 200, 305, 1500, 9000))
    )
    kind = chance.choice(("card", "card", "card", "paypal", "credit", "agreement"))
    token = chance.choice((*factories.TOKENS, *_PAYS)) if kind in {"card", "paypal"} else None
    factories.method(connection, f"pm{number}", f"c{number}", kind=kind, token=token)


def _box(connection: Connection, on: date, number: int, customer: int, chance: random.Random) -> None:
    status = chance.choice(("active", "active", "active", "suspended"))
    days = chance.choice((90, 37, 30, 15, 7, 7, 6, 5, 3, 1, 0, 0, -1, -1, -4, -11))
    expires_on = on + timedelta(days=days if status == "active" else chance.choice((-31, -61, -84, -91, -92, -120)))
    box_id = factories.box(
        connection,
        f"{chance.choice('abcXYZ')}{number:03}@pec.example.it",
        customer_id=f"c{customer}",
        plan=chance.choice(("standard", "standard", "pro", "premium", "domain")),
        status=status,
        expires_on=expires_on,
        renewal_years=chance.choice((1, 1, 2)),
        auto_renew=chance.random() < 0.7,
        payment_method_id=f"pm{customer}" if chance.random() < 0.8 else None,
        cancelled_on=expires_on - timedelta(days=200) if chance.random() < 0.1 else None,
        hold_reason="dispute" if chance.random() < 0.1 else None,
    )
    if chance.random() < 0.4:
        paid_from = chance.choice(("credit", "credit", "renewal"))
        ends = expires_on if paid_from == "renewal" else expires_on - timedelta(days=chance.choice((0, 0, 365, 366)))
        factories.addon(connection, f"a{number}", box_id, paid_from=paid_from, expires_on=ends)
