"""A forecast against simulations: is each monthly count within the interval in which its mean lies, says chance?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from lifecycle_jobs.forecast.contents import Figures, Forecast
from lifecycle_jobs.simulating.contents import History

STUDENT = {20: 2.861, 10: 3.250, 6: 4.032, 4: 5.841}
"""By how many standard errors the mean of so many draws misses what is expected in one case of a hundred."""

_FEW = 30
"""Of what is expected less often than so in all simulations together, the months are taken together: of rare things
the spread of so few draws tells little."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A count of a month (or of several in which it is rare): what was forecast, and what the simulations gave."""

    what: str
    expected: float
    mean: float
    margin: float

    @property
    def outside(self) -> bool:
        """What was forecast does not lie in the interval; where nothing is left to chance, it is another number."""
        return abs(self.mean - self.expected) > self.margin + 1e-6


def compare(forecast: Forecast, histories: Sequence[History]) -> list[Compared]:
    """Every monthly count of a forecast with the mean of the simulations, and its 99 % interval."""
    values: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * len(histories))
    for number, history in enumerate(histories):
        for month in history.months():
            for name, value in _counts(month.happened):
                values[name, f"{month.first:%Y-%m}"][number] += value
    expected: defaultdict[tuple[str, str], float] = defaultdict(float)
    for foretold_month in forecast.months():
        for name, value in _counts(foretold_month.figures):
            expected[name, f"{foretold_month.first:%Y-%m}"] += value
    return [
        Compared(what, foretold, mean(drawn), STUDENT[len(drawn)] * stdev(drawn) / math.sqrt(len(drawn)))
        for what, foretold, drawn in _rare_together(values, expected)
    ]


def _rare_together(
    values: Mapping[tuple[str, str], list[float]], expected: Mapping[tuple[str, str], float]
) -> Iterator[tuple[str, float, list[float]]]:
    rare: defaultdict[str, tuple[float, list[float]]] = defaultdict(lambda: (0.0, []))
    for key in sorted(expected.keys() | values.keys()):
        name, month = key
        foretold = expected.get(key, 0.0)
        drawn = values[key]
        if foretold * len(drawn) >= _FEW:
            yield f"{name} in {month}", foretold, drawn
        else:
            before, sums = rare[name]
            together = [one + other for one, other in zip(sums or [0.0] * len(drawn), drawn, strict=True)]
            rare[name] = (before + foretold, together)
    for name, (foretold, drawn) in rare.items():
        yield f"{name} in months in which it is rare", foretold, drawn


def _counts(figures: Figures) -> Iterator[tuple[str, float]]:
    yield "terms that end", figures.expiring
    yield "add-ons short", figures.addons_short
    yield "euros for add-ons", figures.addon_cents / 100
    for name in ("renewed", "charges", "declined", "events", "emails"):
        for kind, number in sorted(getattr(figures, name).items()):
            yield f"{name} {kind}", number
    for way, cents in sorted(figures.cents.items()):
        yield f"euros by {way}", cents / 100
