"""A small provider with terms that end on every day of a year, and every way of renewing them."""

from __future__ import annotations

import random
from datetime import date, timedelta

from sqlalchemy import Connection

from lifecycle_jobs.forecast.assumptions import Assumptions, ByHand, Declines
from tests import factories

TODAY = date(2027, 3, 1)
DAY = timedelta(days=1)

RATES = Assumptions(
    {"card": Declines(0.35, hard=0.2, by_slot={7: 0.12, 5: 0.6}), "paypal": Declines(0.2, hard=0.1)},
    ByHand(0.65, {60: 0.1, 30: 0.3, 15: 0.2, 7: 0.2, 1: 0.1, -4: 0.1}),
)
"""Cards that were declined once are mostly declined again; most who pay by hand do so on an alert, some too late."""

_WAYS = ("card",) * 5 + ("paypal",) * 2 + ("credit", "agreement") + (None,) * 4


def settle(connection: Connection, holders: int, ends_within: int = 365) -> None:
    """So many holders, each with one to three boxes, from a draw that is the same each time."""
    chance = random.Random(1)  # noqa: S311 -- chance that must repeat itself
    number = 0
    for holder in (f"c{each:04d}" for each in range(holders)):
        kind = chance.choice(_WAYS)
        factories.customer(connection, holder, credit=100_000 if kind == "credit" else chance.choice((0, 1000)))
        method = None if kind is None else factories.method(connection, f"m{holder}", holder, kind=kind)
        for _ in range(1 if kind == "credit" else chance.choice((1, 1, 2, 3))):
            number += 1
            ends = TODAY + chance.randint(-100, ends_within) * DAY
            gone = ends < TODAY
            box = factories.box(
                connection,
                f"box{number:05d}@pec.example.it",
                customer_id=holder,
                expires_on=ends,
                plan=chance.choice(("standard", "standard", "pro")),
                payment_method_id=method,
                auto_renew=method is not None and chance.random() < 0.9,
                status="suspended" if gone else "active",
                suspended_on=ends + DAY if gone else None,
                suspended_reason="unpaid" if gone else None,
                cancelled_on=TODAY - DAY if chance.random() < 0.03 else None,
            )
        if chance.random() < 0.3 and kind != "credit":
            factories.addon(connection, f"a{number:05d}", box, paid_from="credit")
