"""Adds up what becomes of everybody, by day: a pure function of who is there, today's policy and the assumptions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from lifecycle_jobs.forecast.assumptions import Assumptions
from lifecycle_jobs.forecast.contents import MESSAGES, Forecast, ForecastDay
from lifecycle_jobs.forecast.course import Courses
from lifecycle_jobs.forecast.lives import Life, Lives
from lifecycle_jobs.forecast.population import AddonGroup, BoxGroup, Population
from lifecycle_jobs.policy import deletion_cap

_TOLD: Final = frozenset(MESSAGES)
_SILENT: Final[Mapping[tuple[str, date], float]] = {}
Told = Mapping[tuple[str, date], float]
"""The probability that something is told on a date, by kind."""


def project(
    population: Population,
    assumptions: Assumptions,
    *,
    proof_days: int | None,
    max_percent: int,
    always_allowed: int,
) -> Forecast:
    """What the days bring. `max_percent` and `always_allowed` cap the deletions of a day (SPEC §3, delete).

    Deletions over the cap are counted on their day, as if a person approved them.
    """
    lives = Lives(Courses(assumptions, proof_days), population.first, population.last)
    number_of_days = (population.last - population.first).days + 1
    days = {
        on: ForecastDay(on) for on in (population.first + timedelta(days=number) for number in range(number_of_days))
    }
    told_boxes: dict[str, Told] = {}
    for name, box in population.boxes.items():
        life = lives.of_box(box)
        told_boxes[name] = _told(life)
        _count_boxes(days, box, life)
    told_addons: dict[str, Told] = {}
    for name, addon in population.addons.items():
        life = lives.of_addon(addon)
        told_addons[name] = _told(life)
        _count_addons(days, addon, life)
    for held, told in ((population.several_boxes, told_boxes), (population.several_addons, told_addons)):
        for (kind, on), spared in _spared(held, told).items():
            days[on].figures.emails[kind] -= spared
    _watch_the_cap(days.values(), population.living, max_percent=max_percent, always_allowed=always_allowed)
    return Forecast(list(days.values()), assumptions.told, population.set_aside)


def _told(life: Life) -> Told:
    return {key: probability for key, probability in life.events.items() if key[0] in _TOLD}


def _count_boxes(days: Mapping[date, ForecastDay], group: BoxGroup, life: Life) -> None:
    for term in life.terms:
        if term.expires_on in days:
            days[term.expires_on].figures.expiring += term.probability * group.number
    way = group.standing.way
    for (kind, on), probability in life.events.items():
        figures, expected = days[on].figures, probability * group.number
        if kind in _TOLD:
            figures.events[kind] += expected
            figures.emails[kind] += expected
        if kind == "charge":
            figures.charges[way] += expected
        elif kind == "charge.declined":
            figures.declined[way] += expected
        elif kind in {"box.renewed", "paid_by_hand"}:
            figures.renewed[way] += expected
            figures.cents[way] += probability * group.gross_cents


def _count_addons(days: Mapping[date, ForecastDay], group: AddonGroup, life: Life) -> None:
    for (kind, on), probability in life.events.items():
        figures, expected = days[on].figures, probability * group.number
        if kind == "addon.short":
            figures.addons_short += expected
            continue
        figures.events[kind] += expected
        figures.emails[kind] += expected
        if kind == "addon.renewed":
            caught_up = 1.0 if on == life.caught_up_on else 0.0
            figures.addon_cents += (probability - caught_up) * group.cost_cents + caught_up * group.behind_cents


def _spared(held: Iterable[Sequence[str]], told: Mapping[str, Told]) -> Mapping[tuple[str, date], float]:
    """How many messages fewer there are than things told, because a holder is told of several in one."""
    spared: defaultdict[tuple[str, date], float] = defaultdict(float)
    for names in held:
        silent: dict[tuple[str, date], float] = {}
        for name in names:
            for key, probability in told.get(name, _SILENT).items():
                before = silent.get(key)
                if before is None:
                    silent[key] = 1 - probability
                else:
                    spared[key] += probability * (1 - before)
                    silent[key] = before * (1 - probability)
    return spared


def _watch_the_cap(days: Iterable[ForecastDay], living: float, *, max_percent: int, always_allowed: int) -> None:
    for day in days:
        day.living = living
        day.cap = deletion_cap(round(living), max_percent=max_percent, always_allowed=always_allowed)
        living -= day.figures.deleted
