"""What a simulation says: each day as it happened beside what was forecast for it, and what went wrong on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import Any

from lifecycle_jobs.forecast.contents import Figures
from lifecycle_jobs.simulating.bank import Met
from lifecycle_jobs.simulating.payers import Turned


@dataclass(frozen=True, slots=True)
class SimulatedDay:
    """A business date. `refused` boxes were due for deletion and stayed, because they were more than the cap."""

    on: date
    happened: Figures
    foretold: Figures
    refused: int = 0


@dataclass(slots=True)
class SimulatedMonth:
    """A calendar month, as far as it was lived through. `days_refused`: on so many of its days deletions were."""

    first: date
    last: date
    happened: Figures = field(default_factory=Figures)
    foretold: Figures = field(default_factory=Figures)
    days_refused: int = 0


@dataclass(slots=True)
class Troubles:
    """What a person would have been told on the way.

    `met` is the bank's, `turned` are holders who could not pay, `failures` what the runs said, with the date.
    `approved`: days on which deletions above the cap were let go.
    """

    met: Met
    turned: Turned = field(default_factory=Turned)
    failures: list[tuple[date, str]] = field(default_factory=list)
    approved: list[date] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class History:
    """What the days brought under one configuration, known by its `label`; the sentences say what was assumed."""

    label: str
    days: Sequence[SimulatedDay]
    assumptions: Sequence[str]
    troubles: Troubles

    def months(self) -> Iterator[SimulatedMonth]:
        """The same by calendar month; the first and the last may be parts of one."""
        for _, of_month in groupby(self.days, key=lambda day: (day.on.year, day.on.month)):
            yield _together(list(of_month))

    def total(self) -> SimulatedMonth:
        """All of it together."""
        return _together(self.days)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "config": self.label,
            "assumptions": list(self.assumptions),
            "total": _beside(self.total()),
            "months": [
                {"first": month.first, "last": month.last, "days_refused": month.days_refused} | _beside(month)
                for month in self.months()
            ],
            "days": [{"date": day.on, "deletions_refused": day.refused} | _beside(day) for day in self.days],
            "lost_answers": self.troubles.met.lost_answers,
            "never_seen": self.troubles.met.never_seen,
            "outages": self.troubles.met.outages,
            "turned_away": self.troubles.turned.number,
            "deletions_approved": self.troubles.approved,
            "failures": [{"date": on, "failure": failure} for on, failure in self.troubles.failures],
        }


def _together(days: Sequence[SimulatedDay]) -> SimulatedMonth:
    whole = SimulatedMonth(days[0].on, days[-1].on)
    for day in days:
        whole.happened.add(day.happened)
        whole.foretold.add(day.foretold)
        whole.days_refused += day.refused > 0
    return whole


def _beside(lived: SimulatedDay | SimulatedMonth) -> dict[str, Any]:
    return {"happened": lived.happened.as_dict(), "forecast": lived.foretold.as_dict()}
