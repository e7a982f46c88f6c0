"""What a forecast says: expected numbers by day, and the same by month. Money is cents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from lifecycle_jobs.forecast.assumptions import Sentence

MESSAGES: Final = (
    "box.expiry_alert",
    "box.renewal_notice",
    "box.renewed",
    "charge.declined",
    "addon.credit_short",
    "addon.renewed",
    "addon.disabled",
    "box.suspended",
    "box.deletion_warning",
    "box.deleted",
)
"""The kinds of message that a run writes, in the order in which they are told of."""


class Expected(dict[str, float]):
    """Expected numbers by name; of what is not named, none."""

    def __missing__(self, name: str) -> float:
        return 0.0

    def total(self) -> float:
        """All of them together."""
        return sum(self.values())

    def add(self, others: Mapping[str, float]) -> None:
        """Count in others."""
        for name, number in others.items():
            self[name] += number


@dataclass(slots=True)
class Figures:
    """Expected numbers, whole only where nothing is left to chance.

    `expiring`: boxes whose term ends, renewed before or not. `renewed`, `cents`, `charges` and `declined` go by the way
    of payment; `by_hand` are payments outside the runs. `events` are boxes and add-ons told something, by kind;
    `emails` the messages of the runs, one per holder and kind. `addons_short` are add-ons for which credit will not
    suffice, on the day on which that is first known. `addon_cents` is what credit pays for add-ons.
    """

    expiring: float = 0.0
    renewed: Expected = field(default_factory=Expected)
    cents: Expected = field(default_factory=Expected)
    charges: Expected = field(default_factory=Expected)
    declined: Expected = field(default_factory=Expected)
    events: Expected = field(default_factory=Expected)
    emails: Expected = field(default_factory=Expected)
    addons_short: float = 0.0
    addon_cents: float = 0.0

    @property
    def suspended(self) -> float:
        """Boxes that are suspended for `unpaid`."""
        return self.events["box.suspended"]

    @property
    def deleted(self) -> float:
        """Boxes that reach the day of their deletion, and go then if that many may."""
        return self.events["box.deleted"]

    def add(self, other: Figures) -> None:
        """Count in what another time brings."""
        self.expiring += other.expiring
        self.addons_short += other.addons_short
        self.addon_cents += other.addon_cents
        for name in ("renewed", "cents", "charges", "declined", "events", "emails"):
            getattr(self, name).add(getattr(other, name))

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: numbers with two decimals, cents whole."""
        return {
            "expiring": round(self.expiring, 2),
            "renewed": _rounded(self.renewed),
            "cents": {way: round(cents) for way, cents in sorted(self.cents.items())},
            "charges": _rounded(self.charges),
            "declined": _rounded(self.declined),
            "suspended": round(self.suspended, 2),
            "deleted": round(self.deleted, 2),
            "events": _rounded(self.events),
            "emails": _rounded(self.emails),
            "emails_total": round(self.emails.total(), 2),
            "addons_short": round(self.addons_short, 2),
            "addon_cents": round(self.addon_cents),
        }


@dataclass(slots=True)
class ForecastDay:
    """One business date. `living` boxes are not deleted in the morning, `cap` is how many may be on the day unasked."""

    on: date
    figures: Figures = field(default_factory=Figures)
    living: float = 0.0
    cap: int = 0

    @property
    def over_cap(self) -> bool:
        """Whether so many boxes are due to be deleted that a run would delete none."""
        return round(self.figures.deleted) > self.cap


@dataclass(slots=True)
class ForecastMonth:
    """A calendar month, as far as it is forecast. `days_over_cap`: on so many of its days a run would delete none."""

    first: date
    last: date
    figures: Figures
    days_over_cap: Sequence[date]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The days in order, what they were reckoned with, and how many boxes wait for a person and are left out."""

    days: Sequence[ForecastDay]
    assumptions: Sequence[Sentence]
    set_aside: int

    def months(self) -> Iterator[ForecastMonth]:
        """The same by calendar month; the first and the last may be parts of one."""
        month: ForecastMonth | None = None
        for day in self.days:
            if month is None or (month.first.year, month.first.month) != (day.on.year, day.on.month):
                if month is not None:
                    yield month
                month = ForecastMonth(day.on, day.on, Figures(), [])
            month.last = day.on
            month.figures.add(day.figures)
            if day.over_cap:
                month.days_over_cap = [*month.days_over_cap, day.on]
        if month is not None:
            yield month

    def total(self) -> Figures:
        """All of it together."""
        whole = Figures()
        for day in self.days:
            whole.add(day.figures)
        return whole

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "first": self.days[0].on,
            "last": self.days[-1].on,
            "assumptions": [str(sentence) for sentence in self.assumptions],
            "set_aside": self.set_aside,
            "total": self.total().as_dict(),
            "months": [
                {"first": month.first, "last": month.last, "days_over_cap": list(month.days_over_cap)}
                | month.figures.as_dict()
                for month in self.months()
            ],
            "days": [
                {"date": day.on, "living": round(day.living, 2), "cap": day.cap, "over_cap": day.over_cap}
                | day.figures.as_dict()
                for day in self.days
            ],
        }


def _rounded(numbers: Expected) -> dict[str, float]:
    return {name: round(number, 2) for name, number in sorted(numbers.items())}
