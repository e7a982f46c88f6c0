"""Two configurations, told apart by what the same days brought: the same boxes, the same luck, another policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lifecycle_jobs.forecast.contents import MESSAGES
from lifecycle_jobs.forecast.showing import WAYS, whole_euros
from lifecycle_jobs.simulating.contents import History, SimulatedMonth


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is counted over all of the days: what one and what many of it are called."""

    one: str
    many: str
    of: Callable[[SimulatedMonth], float]


MEASURES: Final = (
    Measure("deletion", "deletions", lambda lived: lived.happened.deleted),
    Measure("suspension", "suspensions", lambda lived: lived.happened.suspended),
    Measure("renewal", "renewals", lambda lived: lived.happened.renewed.total()),
    Measure("declined charge", "declined charges", lambda lived: lived.happened.declined.total()),
    Measure("e-mail", "e-mails", lambda lived: lived.happened.emails.total()),
    Measure("add-on short of credit", "add-ons short of credit", lambda lived: lived.happened.addons_short),
    Measure("day of refused deletions", "days of refused deletions", lambda lived: lived.days_refused),
)
"""In the order in which they are told."""


def difference(first: History, other: History) -> dict[str, Any]:
    """For `--json`: how much more of each there is under the other configuration; money in cents."""
    before, after = first.total(), other.total()
    found: dict[str, Any] = {measure.many: round(measure.of(after) - measure.of(before)) for measure in MEASURES}
    found["cents"] = round(after.happened.cents.total() - before.happened.cents.total())
    return {"config": other.label, "compared_with": first.label} | found


def sentence(first: History, other: History) -> str:
    """As in: With sixty.toml: 412 deletions fewer, 80 renewals more, EUR 966 more for renewals than with own.toml."""
    before, after = first.total(), other.total()
    parts = []
    for measure in MEASURES:
        more = round(measure.of(after) - measure.of(before))
        if more:
            name = measure.one if abs(more) == 1 else measure.many
            parts.append(f"{abs(more):,} {name} {'more' if more > 0 else 'fewer'}")
    cents = after.happened.cents.total() - before.happened.cents.total()
    if cents:
        parts.append(f"EUR {whole_euros(abs(cents))} {'more' if cents > 0 else 'less'} for renewals")
    if not parts:
        return f"With {other.label} all is as with {first.label}."
    return f"With {other.label}: {', '.join(parts)} than with {first.label}."


def side_by_side(histories: Sequence[History]) -> Iterator[tuple[str, Sequence[str]]]:
    """What there was of each under each configuration, what is not there under any left out."""
    totals = [history.total() for history in histories]

    def row(name: str, numbers: Sequence[float], show: Callable[[float], str]) -> Iterator[tuple[str, Sequence[str]]]:
        if any(numbers):
            yield name, [show(number) for number in numbers]

    for way in WAYS:
        renewed = [total.happened.renewed[way] for total in totals]
        yield from row(f"renewals: {way.replace('_', ' ')}", renewed, _whole)
    yield from row("euros for renewals", [total.happened.cents.total() for total in totals], whole_euros)
    yield from row("declined charges", [total.happened.declined.total() for total in totals], _whole)
    yield from row("suspensions", [total.happened.suspended for total in totals], _whole)
    yield from row("deletions", [total.happened.deleted for total in totals], _whole)
    yield from row("days of refused deletions", [total.days_refused for total in totals], _whole)
    yield from row("add-ons short of credit", [total.happened.addons_short for total in totals], _whole)
    yield from row("e-mails", [total.happened.emails.total() for total in totals], _whole)
    for kind in MESSAGES:
        yield from row(f"  {kind}", [total.happened.emails[kind] for total in totals], _whole)


def _whole(number: float) -> str:
    return f"{number:,.0f}"
