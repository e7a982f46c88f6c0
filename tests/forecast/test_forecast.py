"""Where nothing is left to chance, every day comes exactly as it was foretold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import charges, credit_entries, events, messages, orders
from lifecycle_jobs.forecast.assumptions import Assumptions
from lifecycle_jobs.forecast.contents import Figures, Forecast
from lifecycle_jobs.forecast.projection import project
from lifecycle_jobs.forecast.reading import read_population
from lifecycle_jobs.forecast.span import span_of_months
from lifecycle_jobs.settings import Settings
from tests.daily import run, settings_for
from tests.forecast.crowd import DAY, DECLINED, DECLINED_FOR_GOOD, PAYS, TODAY, Crowd, certain

MONTHS = 5


def with_brief_plan(settings: Settings) -> Settings:
    """The shipped plans, and `brief`, which has other milestones and slots and a shorter suspension."""
    standard = settings.plans["standard"]
    own = standard.policy.model_copy(
        update={
            "alert_milestones": (40, 12, 3),
            "notice_milestones": (45,),
            "charge_slots": (9, 2),
            "suspended_days": 35,
            "minimum_suspension_days": 12,
            "deletion_milestones": (20, 5),
        }
    )
    brief = standard.model_copy(update={"policy": own, "annual_price": 1234})
    return settings.model_copy(update={"plans": settings.plans | {"brief": brief}})


def foretell(store: Store, settings: Settings, today: date, assumptions: Assumptions, months: int = MONTHS) -> Forecast:
    """The forecast with these assumptions."""
    deletion = settings.deletion
    proof_days = deletion.delivered_warning_days if deletion.require_delivered_warning else None
    with store.read() as connection:
        span = span_of_months(
            settings.catalog(),
            today,
            runs.latest_completed(connection),
            months,
            max_amount_cents=settings.gateway.max_amount,
            proof_days=proof_days,
        )
        population = read_population(connection, span)
    return project(
        population,
        settings.catalog(),
        assumptions,
        proof_days=proof_days,
        max_percent=deletion.max_percent,
        always_allowed=deletion.always_allowed,
    )


@pytest.mark.parametrize(
    ("token", "assumptions", "proof"),
    [
        (PAYS, certain(cards_decline=False), False),
        (DECLINED, certain(cards_decline=True), True),
        (DECLINED_FOR_GOOD, certain(cards_decline=True, for_good=True), False),
    ],
    ids=["cards pay", "cards decline, warnings must be proved", "cards decline for good"],
)
def test_every_day_of_months_comes_exactly_as_it_was_foretold(
    store: Store, tmp_path: Path, token: str, assumptions: Assumptions, *, proof: bool
) -> None:
    settings = with_brief_plan(settings_for(tmp_path, deletion={"require_delivered_warning": proof}))
    with store.write() as connection:
        Crowd(connection, token).settle(120)

    foretold = foretell(store, settings, TODAY, assumptions)
    for day in foretold.days:
        run(store, settings, day.on)

    happened = Happened(store)
    assert {day.on: _expected(day.figures) for day in foretold.days} == {
        day.on: happened.on(day.on) for day in foretold.days
    }


def _expected(figures: Figures) -> dict[str, Any]:
    return {
        "events": _whole(figures.events),
        "emails": _whole(figures.emails),
        "charges": _whole(figures.charges),
        "declined": _whole(figures.declined),
        "cents": round(sum(figures.cents.values())),
        "addon_cents": round(figures.addon_cents),
    }


class Happened:
    """What the runs did, by day, in the words of a forecast."""

    def __init__(self, store: Store) -> None:
        self._events = self._counted(store, select(events.c.occurred_on, events.c.kind, func.count()), events)
        self._emails = self._counted(store, select(messages.c.created_on, messages.c.kind, func.count()), messages)
        self._charges = self._counted(store, select(charges.c.attempted_on, charges.c.method_kind, func.count()), charges)
        refused = select(charges.c.attempted_on, charges.c.method_kind, func.count()).where(
            charges.c.status == "declined"
        )
        self._declined = self._counted(store, refused, charges)
        with store.read() as connection:
            renewed = (
                select(events.c.occurred_on, func.sum(orders.c.gross_cents))
                .join(orders, (orders.c.box_id == events.c.box_id) & (orders.c.term_expires_on == events.c.term_expires_on))
                .where(events.c.kind == "box.renewed", orders.c.kind == "renewal", orders.c.status.in_(("paid", "on_account")))
                .group_by(events.c.occurred_on)
            )
            self._cents: dict[date, int] = {on: int(cents) for on, cents in connection.execute(renewed)}
            paid = (
                select(credit_entries.c.occurred_on, func.sum(credit_entries.c.amount_cents))
                .where(credit_entries.c.reason == "addon")
                .group_by(credit_entries.c.occurred_on)
            )
            self._addon_cents: dict[date, int] = {on: -int(cents) for on, cents in connection.execute(paid)}

    def on(self, day: date) -> dict[str, Any]:
        return {
            "events": self._events[day],
            "emails": self._emails[day],
            "charges": self._charges[day],
            "declined": self._declined[day],
            "cents": self._cents.get(day, 0),
            "addon_cents": self._addon_cents.get(day, 0),
        }

    def _counted(self, store: Store, counting: Any, _table: Any) -> defaultdict[date, dict[str, int]]:
        found: defaultdict[date, dict[str, int]] = defaultdict(dict)
        with store.read() as connection:
            for on, kind, number in connection.execute(counting.group_by(*list(counting.selected_columns)[:2])):
                found[on][kind] = number
        return found


def _whole(numbers: Mapping[str, float]) -> dict[str, int]:
    """Expected numbers that leave nothing to chance: each is whole, but for what floating point makes of it."""
    assert all(abs(number - round(number)) < 1e-6 for number in numbers.values()), numbers
    return {name: round(number) for name, number in numbers.items() if round(number)}
