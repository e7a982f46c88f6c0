"""Simulations of a test's own provider, one after the other from the same state."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from lifecycle_jobs.db.session import Store, open_to_read
from lifecycle_jobs.forecast import foretell
from lifecycle_jobs.forecast.assumptions import Assumptions
from lifecycle_jobs.forecast.contents import Forecast
from lifecycle_jobs.forecast.span import Span, span_between
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.simulating.bank import Trouble
from lifecycle_jobs.simulating.contents import History
from lifecycle_jobs.simulating.copying import copied, to_live_in
from lifecycle_jobs.simulating.living import Living
from tests.simulating.crowd import TODAY

CLERK = Operator("test", None, TODAY)


def in_silence(_name: str, _rows: int) -> None:
    """Nobody watches."""


def source_of(store: Store) -> Store:
    """The same database, as a simulation opens it."""
    return open_to_read(store.engine.url.render_as_string(hide_password=False))


def lives(
    store: Store,
    settings: Settings,
    last: date,
    assumptions: Assumptions,
    seeds: Iterable[int],
    trouble: Trouble | None = None,
) -> list[History]:
    """The days from `TODAY` to the last, once for each seed."""
    found = []
    with copied(source_of(store), in_silence) as original:
        for seed in seeds:
            with to_live_in(original) as copy:
                living = Living(copy, settings, span(settings, last), assumptions, seed=seed, trouble=trouble)
                found.append(living.live("test", in_silence))
    return found


def span(settings: Settings, last: date) -> Span:
    """The days from `TODAY` to the last, with no run before."""
    return span_between(settings, TODAY, last, None)


def foretold(store: Store, settings: Settings, last: date, assumptions: Assumptions) -> Forecast:
    """The forecast of the same days with these assumptions."""
    with store.read() as connection:
        return foretell(connection, settings, span(settings, last), assumptions)
