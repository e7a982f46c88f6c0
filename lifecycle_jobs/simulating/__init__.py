"""Days to come, lived through on a copy (`lifecycle-jobs simulate`): what a forecast reckons, tried out.

`copying` makes the copy, `living` goes through its days by the code of every day, `bank` answers charges and `payers`
pay by hand, both by the assumptions of the forecast and by `chance`, which gives the same history for the same seed.
`happened` counts what came of it in the words of the forecast, `contents` puts the two side by side, `comparing` two
configurations, and `showing` is for whoever looks at it.

Nothing leaves the machine, and the provider's own database is opened as one that cannot be written to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from lifecycle_jobs import runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.forecast.last_year import Given, assume
from lifecycle_jobs.forecast.span import first_to_come, span_between
from lifecycle_jobs.jobs.task import Progress
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.policy import months_later
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.simulating.bank import Trouble
from lifecycle_jobs.simulating.contents import History
from lifecycle_jobs.simulating.copying import copied, keep, to_live_in
from lifecycle_jobs.simulating.living import CLERK, Living

_A_YEAR: Final = 12
_LONGEST_YEARS: Final = 5


@dataclass(frozen=True, slots=True)
class Days:
    """The business dates to live through, both included."""

    first: date
    last: date

    @property
    def number(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be simulated, under each configuration alike. `given` are rates in place of the last year's."""

    days: Days
    given: Given
    seed: int = 1
    trouble: Trouble = field(default_factory=Trouble)
    approve_deletions: bool = False


def days_to_live(source: Store, today: date, first: date | None, last: date | None) -> Days:
    """The days that were asked for: by default a year from today, or from the day after the latest completed run.

    Raises Refused for days that were lived through already, that come in the wrong order, or that are too many.
    """
    with source.read() as connection:
        latest = runs.latest_completed(connection)
    begin = first or first_to_come(today, latest)
    end = last or months_later(begin, _A_YEAR) - timedelta(days=1)
    _require_open(begin, latest)
    if end < begin:
        raise Refused(f"--to {end} lies before --from {begin}.")
    if end >= months_later(begin, 12 * _LONGEST_YEARS):
        raise Refused(f"--to {end} is more than {_LONGEST_YEARS} years after {begin}: simulate a shorter time.")
    return Days(begin, end)


def _require_open(first: date, latest: date | None) -> None:
    if latest is not None and first <= latest:
        raise Refused(
            f"--from {first}: the run of {latest} is done, and a simulation begins with things as they are now. Begin "
            f"on {latest + timedelta(days=1)} or later."
        )


def simulate(
    source: Store,
    configurations: Sequence[tuple[str, Settings]],
    wanted: Wanted,
    progress: Progress,
    *,
    keep_in: Path | None = None,
) -> list[History]:
    """Live through the days under each configuration, known by its label, and each time with the same luck.

    `keep_in` is a file for the copy that was lived in last. Raises LeaseHeld while a run is under way, and Refused if
    the first day was run since it was asked for.
    """
    clerk = Operator(CLERK, None, wanted.days.first)
    histories = []
    with copied(source, lambda _table, _rows: progress("copy", 0)) as original:
        for label, settings in configurations:
            with to_live_in(original) as copy:
                with copy.read() as connection:
                    latest = runs.latest_completed(connection)
                    _require_open(wanted.days.first, latest)
                    span = span_between(settings, wanted.days.first, wanted.days.last, latest)
                    assumptions = assume(connection, span, wanted.given)
                living = Living(
                    copy,
                    settings,
                    span,
                    assumptions,
                    seed=wanted.seed,
                    trouble=wanted.trouble,
                    approve_deletions=wanted.approve_deletions,
                )
                histories.append(living.live(label, progress))
                if keep_in is not None:
                    keep(copy, keep_in, clerk)
    return histories
