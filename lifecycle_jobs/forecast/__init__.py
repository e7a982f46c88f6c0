"""How much money, mail and deletion is coming (`lifecycle-jobs forecast`).

`reading` asks the database for groups of boxes that stand alike (`alike`, `prices`, `demands`: what makes them so),
`course` says what becomes of such a box in one term under today's policy, `lives` goes from term to term, `projection`
adds all of it up by day, and `contents` is what comes out. `assumptions` holds what nobody can know: which cards
decline, and who pays by hand; `last_year` measures it. `showing` and `picture` are for whoever looks at it.

Days that came exactly as foretold, wherever nothing is left to chance, are what `tests/forecast` proves it with.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.forecast.assumptions import Assumptions
from lifecycle_jobs.forecast.contents import Forecast
from lifecycle_jobs.forecast.last_year import Given, assume
from lifecycle_jobs.forecast.projection import project
from lifecycle_jobs.forecast.reading import read_population
from lifecycle_jobs.forecast.span import Span, span_of_months
from lifecycle_jobs.gates import check_plans
from lifecycle_jobs.settings import Settings


def forecast(store: Store, settings: Settings, today: date, months: int, given: Given) -> Forecast:
    """So many calendar months from today on, or from the day after the latest completed run if that is later.

    Raises ConfigurationError if there are boxes of a plan that the configuration does not have.
    """
    check_plans(store, settings)
    with store.read() as connection:
        span = span_of_months(settings, today, runs.latest_completed(connection), months)
        return foretell(connection, settings, span, assume(connection, span, given))


def foretell(connection: Connection, settings: Settings, span: Span, assumptions: Assumptions) -> Forecast:
    """The days of a span, under the configuration that it was made of and these assumptions."""
    return project(
        read_population(connection, span),
        assumptions,
        proof_days=span.proof_days,
        max_percent=settings.deletion.max_percent,
        always_allowed=settings.deletion.always_allowed,
    )
