"""A forecast under given assumptions, and what the runs really did, in the same words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import and_, exists, func, select

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import charges, credit_entries, events, message_events, messages, orders
from lifecycle_jobs.forecast.assumptions import Assumptions
from lifecycle_jobs.forecast.contents import Figures, Forecast
from lifecycle_jobs.forecast.population import Population
from lifecycle_jobs.forecast.projection import project
from lifecycle_jobs.forecast.reading import read_population
from lifecycle_jobs.forecast.span import span_of_months
from lifecycle_jobs.settings import Settings

Day = dict[str, Any]
"""What happens on a day: events, e-mails, charges and declines by kind, and cents."""


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
    deletion = settings.deletion
    return project(
        population(store, settings, today, months),
        settings.catalog(),
        assumptions,
        proof_days=_proof_days(settings),
        max_percent=deletion.max_percent,
        always_allowed=deletion.always_allowed,
    )


def population(store: Store, settings: Settings, today: date, months: int) -> Population:
    """Who is there."""
    with store.read() as connection:
        span = span_of_months(
            settings.catalog(),
            today,
            runs.latest_completed(connection),
            months,
            max_amount_cents=settings.gateway.max_amount,
            proof_days=_proof_days(settings),
        )
        return read_population(connection, span)


def _proof_days(settings: Settings) -> int | None:
    return settings.deletion.delivered_warning_days if settings.deletion.require_delivered_warning else None


def expected(forecast: Forecast) -> dict[date, Day]:
    """Each day of a forecast that leaves nothing to chance."""
    return {day.on: _expected(day.figures) for day in forecast.days}


def _expected(figures: Figures) -> Day:
    return {
        "events": _whole(figures.events),
        "emails": _whole(figures.emails),
        "charges": _whole(figures.charges),
        "declined": _whole(figures.declined),
        "cents": round(figures.cents.total()),
        "addon_cents": round(figures.addon_cents),
    }


def _whole(numbers: Mapping[str, float]) -> dict[str, int]:
    """But for what floating point makes of it each is whole."""
    assert all(abs(number - round(number)) < 1e-6 for number in numbers.values()), numbers
    return {name: round(number) for name, number in numbers.items() if round(number)}


def happened(store: Store, forecast: Forecast) -> dict[date, Day]:
    """The same days as they were. E-mails are those of runs; renewals by hand are in the cents."""
    by_run = exists().where(
        message_events.c.message_id == messages.c.id,
        message_events.c.event_id == events.c.id,
        events.c.run_on.is_not(None),
    )
    told = _counted(store, events.c.occurred_on, events.c.kind, events.c.run_on.is_not(None))
    written = _counted(store, messages.c.created_on, messages.c.kind, by_run)
    made = _counted(store, charges.c.attempted_on, charges.c.method_kind, charges.c.id > 0)
    refused = _counted(store, charges.c.attempted_on, charges.c.method_kind, charges.c.status == "declined")
    with store.read() as connection:
        of_term = and_(orders.c.box_id == events.c.box_id, orders.c.term_expires_on == events.c.term_expires_on)
        renewals = (
            select(events.c.occurred_on, func.sum(orders.c.gross_cents))
            .join(orders, of_term)
            .where(
                events.c.kind == "box.renewed",
                orders.c.kind == "renewal",
                orders.c.status.in_(("paid", "on_account")),
            )
            .group_by(events.c.occurred_on)
        )
        cents = {row[0]: int(row[1]) for row in connection.execute(renewals)}
        debits = (
            select(credit_entries.c.occurred_on, func.sum(credit_entries.c.amount_cents))
            .where(credit_entries.c.reason == "addon")
            .group_by(credit_entries.c.occurred_on)
        )
        addon_cents = {row[0]: -int(row[1]) for row in connection.execute(debits)}
    return {
        day.on: {
            "events": told[day.on],
            "emails": written[day.on],
            "charges": made[day.on],
            "declined": refused[day.on],
            "cents": cents.get(day.on, 0),
            "addon_cents": addon_cents.get(day.on, 0),
        }
        for day in forecast.days
    }


def _counted(store: Store, day: Any, kind: Any, chosen: Any) -> defaultdict[date, dict[str, int]]:
    found: defaultdict[date, dict[str, int]] = defaultdict(dict)
    with store.read() as connection:
        for on, name, number in connection.execute(select(day, kind, func.count()).where(chosen).group_by(day, kind)):
            found[on][name] = number
    return found
