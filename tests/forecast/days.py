"""A forecast under given assumptions, and what the runs really did, in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.forecast import foretell as foretell_span
from lifecycle_jobs.forecast.assumptions import Assumptions
from lifecycle_jobs.forecast.contents import Figures, Forecast
from lifecycle_jobs.forecast.population import Population
from lifecycle_jobs.forecast.reading import read_population
from lifecycle_jobs.forecast.span import span_of_months
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.simulating.happened import what_happened

Day = dict[str, Any]
"""What happens on a day: events, e-mails, charges, declines and renewals by kind, and cents."""


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


def foretell(store: Store, settings: Settings, today: date, assumptions: Assumptions, months: int) -> Forecast:
    """The forecast with these assumptions."""
    with store.read() as connection:
        span = span_of_months(settings, today, runs.latest_completed(connection), months)
        return foretell_span(connection, settings, span, assumptions)


def population(store: Store, settings: Settings, today: date, months: int) -> Population:
    """Who is there."""
    with store.read() as connection:
        span = span_of_months(settings, today, runs.latest_completed(connection), months)
        return read_population(connection, span)


def expected(forecast: Forecast) -> dict[date, Day]:
    """Each day of a forecast that leaves nothing to chance."""
    return {day.on: _expected(day.figures) for day in forecast.days}


def _expected(figures: Figures) -> Day:
    return {
        "expiring": round(figures.expiring),
        "events": _whole(figures.events),
        "emails": _whole(figures.emails),
        "charges": _whole(figures.charges),
        "declined": _whole(figures.declined),
        "renewed": _whole(figures.renewed),
        "cents": _whole(figures.cents),
        "addon_cents": round(figures.addon_cents),
        "addons_short": round(figures.addons_short),
    }


def _whole(numbers: Mapping[str, float]) -> dict[str, int]:
    """But for what floating point makes of it each is whole."""
    assert all(abs(number - round(number)) < 1e-6 for number in numbers.values()), numbers
    return {name: round(number) for name, number in numbers.items() if round(number)}


def happened(store: Store, forecast: Forecast) -> dict[date, Day]:
    """The same days as they were, as a simulation counts them."""
    with store.read() as connection:
        found = what_happened(connection, [day.on for day in forecast.days])
    return {on: _expected(figures) for on, figures in found.items()}
