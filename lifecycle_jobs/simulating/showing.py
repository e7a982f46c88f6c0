"""A simulation as rows: what happened, and in brackets what was forecast; and every number by day for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from lifecycle_jobs.forecast.contents import Figures
from lifecycle_jobs.forecast.showing import CHARGED, WAYS, cells_of, month_name, whole_euros
from lifecycle_jobs.simulating.contents import History, SimulatedDay, SimulatedMonth

COLUMNS: Final = ("renewed", "euros", "declined", "e-mails", "suspended", "deleted")
"""What a person is shown of a month."""

BY_WAY: Final = ("renewals", "euros", "charges", "declined")


Show = Callable[[float], str]


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def months(history: History) -> Iterator[tuple[str, Sequence[str]]]:
    """Each month, and all of them."""
    for month in history.months():
        yield month_name(month.first, month.last), _month(month)
    yield "all", _month(history.total())


def by_way(history: History) -> Iterator[tuple[str, Sequence[str]]]:
    """A row for each way of payment that there was or that was foretold."""
    total = history.total()

    def beside(figures: str, way: str, show: Show = _whole) -> str:
        return _beside(total, lambda side: getattr(side, figures)[way], show)

    for way in WAYS:
        if any(side.renewed[way] or side.charges[way] for side in (total.happened, total.foretold)):
            renewals = beside("renewed", way), beside("cents", way, whole_euros)
            charges = (beside("charges", way), beside("declined", way)) if way in CHARGED else ("", "")
            yield way, (*renewals, *charges)


def on_the_way(history: History) -> Iterator[str]:
    """Sentences about what the forecast does not reckon with, and what a person would have had to do."""
    troubles = history.troubles
    met = troubles.met
    if met.lost_answers:
        found = met.lost_answers - met.never_seen
        yield (
            f"{met.lost_answers:,} answers of the bank were lost: {found:,} of the charges were found when it was "
            f"asked, {met.never_seen:,} had never arrived."
        )
    if met.outages:
        yield f"On {_days(met.outages)} nobody reached the bank."
    if met.lost_answers or met.outages:
        yield "The forecast reckons with nothing of that: what differs from it by more than chance comes of it."
    if troubles.approved:
        yield f"Deletions over the cap were approved on {_days(len(troubles.approved))}, as asked."
    refused = [day for day in history.days if day.refused]
    if refused:
        yield (
            f"! On {_days(len(refused))} more boxes were due to be deleted than a run deletes unasked, so it deleted "
            f"none: first on {refused[0].on} ({refused[0].refused:,}), at the end {refused[-1].refused:,} on "
            f"{refused[-1].on}. To let them go, as a person would: --approve-deletions"
        )
    if troubles.turned.number:
        yield (
            f"! {troubles.turned.number:,} payments by hand were refused, so there are fewer than forecast. The first: "
            f"{troubles.turned.first_reason}"
        )
    if troubles.failures:
        on, failure = troubles.failures[0]
        days = len({each for each, _ in troubles.failures})
        yield f"! On {_days(days)} a run would have ended with exit code 1; first on {on}: {failure}"


def as_csv(histories: Sequence[History]) -> str:
    """A line for each configuration and day: every number as it happened and as it was forecast."""
    text = io.StringIO()
    written = csv.writer(text, lineterminator="\n")
    header: list[str] = []
    for history in histories:
        for day in history.days:
            cells = {"config": history.label} | _cells(day)
            if not header:
                header = list(cells)
                written.writerow(header)
            written.writerow(cells.values())
    return text.getvalue()


def _cells(day: SimulatedDay) -> dict[str, str]:
    cells = {"date": day.on.isoformat(), "deletions_refused": str(day.refused)}
    foretold = cells_of(day.foretold)
    for name, value in cells_of(day.happened).items():
        cells |= {name: value, f"{name}_forecast": foretold[name]}
    return cells


def _month(lived: SimulatedMonth) -> Sequence[str]:
    return (
        _beside(lived, lambda figures: figures.renewed.total()),
        _beside(lived, lambda figures: figures.cents.total(), whole_euros),
        _beside(lived, lambda figures: figures.declined.total()),
        _beside(lived, lambda figures: figures.emails.total()),
        _beside(lived, lambda figures: figures.suspended),
        _beside(lived, lambda figures: figures.deleted),
    )


def _beside(lived: SimulatedMonth, value: Callable[[Figures], float], show: Show = _whole) -> str:
    return f"{show(value(lived.happened))} ({show(value(lived.foretold))})"


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number:,} days"
