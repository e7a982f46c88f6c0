"""Bars over months, as shapes with places and sizes; the template draws them.

Nothing here knows what is shown. Colours are classes of the style sheet, one for each series, so that they follow the
theme. Lengths are units of the picture's own, whose width is `WIDTH`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil, log10
from typing import Final

WIDTH: Final = 760.0
HEIGHT: Final = 260.0
_LEFT: Final = 58.0
_TOP: Final = 22.0
_BOTTOM: Final = 30.0
_STEPS: Final = 4
"""At most so many lines above the ground line."""

_ROOM: Final = 13
"""In so many places every text has room: a year, and the part of a month that it begins with."""


@dataclass(frozen=True, slots=True)
class Series:
    """What a colour stands for (`name` is its class), and its value in each place."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, and what it says when it is pointed at."""

    name: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that is drawn. `lines` are the heights of the values at the side, `marks` stand above places."""

    bars: Sequence[Bar]
    below: Sequence[Label]
    above: Sequence[Label]
    side: Sequence[Label]
    marks: Sequence[Label] = field(default_factory=list)
    width: float = WIDTH
    height: float = HEIGHT
    left: float = _LEFT
    ground: float = HEIGHT - _BOTTOM


Say = Callable[[float], str]
"""A value in words, short enough for its place."""


def stacked(places: Sequence[str], series: Sequence[Series], say: Say, titles: Say) -> Chart:
    """One bar in each place, made of all series, with its sum above."""
    sums = [sum(each.values[place] for each in series) for place in range(len(places))]
    frame = _Frame(len(places), max(sums, default=0.0))
    bars = []
    for place in range(len(places)):
        tops = list(accumulate(each.values[place] for each in series))
        for each, top in zip(series, tops, strict=True):
            value = each.values[place]
            if value > 0:
                shape = (frame.x(place, 0.66), frame.y(top), frame.step * 0.66, frame.length(value))
                bars.append(_bar(each.name, shape, f"{places[place]}: {titles(value)}"))
    above = frame.above(sums, say)
    return Chart(bars, frame.below(places), above, frame.side(say))


def beside(
    places: Sequence[str], series: Sequence[Series], say: Say, titles: Say, marks: Sequence[str | None] = ()
) -> Chart:
    """One bar for each series in each place, with a mark over places that have one."""
    frame = _Frame(len(places), max((value for each in series for value in each.values), default=0.0))
    bars = []
    share = 0.72 / len(series)
    for number, each in enumerate(series):
        for place, value in enumerate(each.values):
            if value > 0:
                left = frame.x(place, 0.72) + number * share * frame.step
                shape = (left, frame.y(value), frame.step * share, frame.length(value))
                bars.append(_bar(each.name, shape, f"{places[place]}: {titles(value)}"))
    highest = [max(each.values[place] for each in series) for place in range(len(places))]
    above = frame.above(highest, say) if len(series) == 1 else []
    marked = [
        _label(frame.middle(place), frame.y(highest[place]) - 6, text) for place, text in enumerate(marks) if text
    ]
    return Chart(bars, frame.below(places), above, frame.side(say), marked)


class _Frame:
    """Turns values into places."""

    def __init__(self, places: int, highest: float) -> None:
        self.step = (WIDTH - _LEFT) / max(places, 1)
        self._line = _round_up(highest / _STEPS)
        self._lines = max(1, ceil(highest / self._line)) if highest > 0 else 1
        self._scale = (HEIGHT - _TOP - _BOTTOM) / (self._line * self._lines)

    def middle(self, place: int) -> float:
        return _LEFT + (place + 0.5) * self.step

    def x(self, place: int, share: float) -> float:
        return self.middle(place) - self.step * share / 2

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - self.length(value)

    def length(self, value: float) -> float:
        return value * self._scale

    def side(self, say: Say) -> list[Label]:
        values = [self._line * number for number in range(self._lines + 1)]
        return [_label(_LEFT - 8, self.y(value), say(value)) for value in values]

    def above(self, sums: Sequence[float], say: Say) -> list[Label]:
        """The sums over their bars; where the bars stand close, only over the highest."""
        highest = max(sums, default=0.0)
        return [
            _label(self.middle(place), self.y(total) - 5, say(total))
            for place, total in enumerate(sums)
            if total > 0 and (len(sums) <= _ROOM or total == highest)
        ]

    def below(self, places: Sequence[str]) -> list[Label]:
        every = 1 if len(places) <= _ROOM else 2
        return [
            _label(self.middle(place), HEIGHT - _BOTTOM + 19, name)
            for place, name in enumerate(places)
            if place % every == 0
        ]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … that is not less: no line stands for a part of a thing."""
    if value <= 1:
        return 1.0
    power: float = 10.0 ** int(log10(value))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= value)


def _bar(name: str, shape: tuple[float, float, float, float], title: str) -> Bar:
    x, y, width, height = (round(length, 1) for length in shape)
    return Bar(name, x, y, width, height, title)


def _label(x: float, y: float, text: str) -> Label:
    return Label(round(x, 1), round(y, 1), text)
