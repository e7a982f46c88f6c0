"""How much money, mail and deletion is coming (`lifecycle-jobs forecast`).

`reading` asks the database for groups of boxes that stand alike (`alike`, `prices`, `demands`: what makes them so),
`course` says what becomes of such a box in one term under today's policy, `lives` goes from term to term, `projection`
adds all of it up by day, and `contents` is what comes out. `assumptions` holds what nobody can know: which cards
decline, and who pays by hand; `last_year` measures it. `showing` and `picture` are for whoever looks at it.

Days that came exactly as foretold, wherever nothing is left to chance, are what `tests/forecast` proves it with.
"""

from __future__ import annotations

from datetime import date

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.forecast.contents import Forecast
from lifecycle_jobs.forecast.last_year import Given, assume
from lifecycle_jobs.forecast.projection import project
from lifecycle_jobs.forecast.reading import read_population
from lifecycle_jobs.forecast.span import span_of_months
from lifecycle_jobs.settings import Settings


def forecast(store: Store, settings: Settings, today: date, months: int, given: Given) -> Forecast:
    """So many calendar months from today on, or from the day after the latest completed run if that is later."""
    deletion, catalog = settings.deletion, settings.catalog()
    proof_days = deletion.delivered_warning_days if deletion.require_delivered_warning else None
    with store.read() as connection:
        span = span_of_months(
            catalog,
            today,
            runs.latest_completed(connection),
            months,
            max_amount_cents=settings.gateway.max_amount,
            proof_days=proof_days,
        )
        assumptions = assume(connection, span, given)
        population = read_population(connection, span)
    return project(
        population,
        catalog,
        assumptions,
        proof_days=proof_days,
        max_percent=deletion.max_percent,
        always_allowed=deletion.always_allowed,
    )
