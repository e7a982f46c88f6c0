"""What is usual on a day, and what is not: numbers only, no SQL and no clock.

**Usual** is the median of the same weekday in the 8 weeks before, because a business has weekdays, and a median does
not care for the one day that went wrong.

- A run does the work of all days since the one before. So what it did is spread evenly over these days, and what is
  usual for it is the sum over the days that it covers. A day without a run is therefore no zero, and the day after
  downtime, which does the work of several, is compared with several; a provider who runs on working days only is
  compared with weeks like his own.
- Fewer than 4 runs of such a weekday tell nothing: a new installation is not judged for its first four weeks.
- A kind of thing that has only begun to happen (the first boxes of a new provider reach their deletion) would be
  compared with days before it began for four more weeks. Its history begins with the day on which it first happened;
  until that has 4 such weekdays, the busiest day since counts as usual. The very first day is compared with none at
  all, so it is unusual if it is large, and a person sees it.

**Unusual** is what differs by the factor *and* by enough. With factor f and a least difference d:

    too many:  number > f × usual   and   number − usual ≥ d
    too few:   usual > f × number   and   usual − number ≥ f × d

The factor alone would cry out about four boxes where one is usual. How rarely chance alone gets so far: what falls on
a day varies, if boxes come independently of each other, by the square root u of what is usual (Poisson). The factor
demands (f − 1) × √u of these, d demands d ÷ √u of them; together they demand least where both say the same, at
u = d ÷ (f − 1), and there it is √(d × (f − 1)). Too few is the same pair of numbers seen from the other side, so with
f × d it demands just as much. With 3 and 50 that is 10 standard deviations, at 25 where 75 would be too many: chance
alone gets there less than once in a million million numbers. Boxes do not come independently, because a holder has
several with one end; if all come in fours, it is still less than once in twenty thousand. Rarer surprises than that
cannot be had without missing a tenfold day of a small provider: with 3 and 50, six a day are watched, and five are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Final

WEEKS: Final = 8
LEAST_RUNS: Final = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """How much of what a run did falls on one of the days that it covered."""

    on: date
    run_on: date
    number: float


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual. `settled`: it is a median; else the most there was since such things began to happen."""

    number: float
    settled: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """From where on a number is unusual."""

    factor: float
    least: int

    def too_many(self, number: float, usual: float) -> bool:
        """Whether it is unusually large."""
        return number > self.factor * usual and number - usual >= self.least

    def too_few(self, number: float, usual: float) -> bool:
        """Whether it is unusually small."""
        return usual > self.factor * number and usual - number >= self.factor * self.least


def usual_number(samples: Sequence[Sample], days: Sequence[date]) -> Usual | None:
    """What is usual for a run that covers these days; none if too little is known of any of them."""
    if any(len(_of_weekday(samples, day)) < LEAST_RUNS for day in days):
        return None
    begun = min((sample.on for sample in samples if sample.number), default=None)
    if begun is None:
        return Usual(0.0, settled=True)
    since = [sample for sample in samples if sample.on >= begun]
    found = [_usual_on(since, day) for day in days]
    return Usual(sum(usual.number for usual in found), settled=all(usual.settled for usual in found))


def usual_share(shares: Sequence[float]) -> float | None:
    """What is usual of a share (of charges that were declined, say), given that of each such weekday before."""
    return None if len(shares) < LEAST_RUNS else median(shares)


def _usual_on(samples: Sequence[Sample], day: date) -> Usual:
    numbers = _of_weekday(samples, day)
    if len(numbers) < LEAST_RUNS:
        return Usual(max(sample.number for sample in samples), settled=False)
    return Usual(median(numbers), settled=True)


def _of_weekday(samples: Sequence[Sample], day: date) -> Sequence[float]:
    """One number a run: one that covered weeks says no more of a weekday than any other."""
    same = {sample.run_on: sample.number for sample in samples if sample.on.weekday() == day.weekday()}
    return list(same.values())
