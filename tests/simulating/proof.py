"""A forecast against simulations: is each monthly count within the interval in which its mean lies, says chance?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from lifecycle_jobs.forecast.contents import Figures, Forecast
from lifecycle_jobs.simulating.contents import History

STUDENT = {20: 2.861, 10: 3.250, 6: 4.032, 4: 5.841}
"""By how many standard errors the mean of so many draws misses what is expected in one case of a hundred."""

_ENOUGH = 100
"""Where chance made fewer differences than so in all simulations together, months are taken together: of rare things
the spread of so few draws tells too little for an interval."""

_PRICE = 12.08
"""One difference of money: a renewal of the cheapest plan."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A count of a month (or of several in which it is rare): what was forecast, and what the simulations gave."""

    what: str
    expected: float
    mean: float
    margin: float

    @property
    def certain(self) -> bool:
        """Nothing is left to chance: the forecast is a whole number, and each simulation gave the same."""
        return self.margin == 0.0

    @property
    def outside(self) -> bool:
        """What was forecast does not lie in the interval; where nothing is left to chance, it is another number."""
        return abs(self.mean - self.expected) > self.margin + 1e-6


@dataclass(frozen=True, slots=True)
class _Cell:
    """A count of a month, by name: what was forecast, and what each simulation gave."""

    name: str
    month: str
    expected: float
    drawn: Sequence[float]

    @property
    def unit(self) -> float:
        return _PRICE if self.name.startswith("euros") else 1.0

    @property
    def certain(self) -> bool:
        return stdev(self.drawn) == 0 and abs(self.expected * 100 - round(self.expected * 100)) < 1e-6

    @property
    def enough(self) -> bool:
        return len(self.drawn) * (stdev(self.drawn) / self.unit) ** 2 >= _ENOUGH

    def with_another(self, other: _Cell) -> _Cell:
        drawn = [one + another for one, another in zip(self.drawn, other.drawn, strict=True)]
        return _Cell(self.name, "months in which it is rare", self.expected + other.expected, drawn)

    def compared(self) -> Compared:
        return Compared(f"{self.name} in {self.month}", self.expected, mean(self.drawn), self._margin())

    def _margin(self) -> float:
        if self.certain:
            return 0.0
        # Whatever is counted in whole numbers and is so much on average strays by this at the least.
        part = self.expected / self.unit % 1
        spread = max(stdev(self.drawn), self.unit * math.sqrt(part * (1 - part)))
        return STUDENT[len(self.drawn)] * spread / math.sqrt(len(self.drawn))


def compare(forecast: Forecast, histories: Sequence[History]) -> list[Compared]:
    """Every monthly count of a forecast with the mean of the simulations, and its 99 % interval."""
    rare: dict[str, _Cell] = {}
    found = []
    for cell in _cells(forecast, histories):
        if cell.certain or cell.enough:
            found.append(cell.compared())
        else:
            before = rare.get(cell.name)
            rare[cell.name] = cell if before is None else before.with_another(cell)
    return found + [cell.compared() for cell in rare.values()]


def _cells(forecast: Forecast, histories: Sequence[History]) -> Iterator[_Cell]:
    drawn: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * len(histories))
    for number, history in enumerate(histories):
        for month in history.months():
            for name, value in _counts(month.happened):
                drawn[name, f"{month.first:%Y-%m}"][number] += value
    expected: defaultdict[tuple[str, str], float] = defaultdict(float)
    for foretold_month in forecast.months():
        for name, value in _counts(foretold_month.figures):
            expected[name, f"{foretold_month.first:%Y-%m}"] += value
    for name, of_month in sorted(expected.keys() | drawn.keys()):
        yield _Cell(name, of_month, expected[name, of_month], drawn[name, of_month])


def _counts(figures: Figures) -> Iterator[tuple[str, float]]:
    yield "terms that end", figures.expiring
    yield "add-ons short", figures.addons_short
    yield "euros for add-ons", figures.addon_cents / 100
    for name in ("renewed", "charges", "declined", "events", "emails"):
        for kind, number in sorted(getattr(figures, name).items()):
            yield f"{name} {kind}", number
    for way, cents in sorted(figures.cents.items()):
        yield f"euros by {way}", cents / 100
