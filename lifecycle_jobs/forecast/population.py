"""Who is there on the first day that is forecast: groups of boxes and add-ons that stand alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lifecycle_jobs.forecast.course import Standing


@dataclass(frozen=True, slots=True)
class BoxGroup:
    """Boxes with the same E and years that stand alike. `gross_cents` is what renewing all of them once costs."""

    expires_on: date
    years: int
    standing: Standing
    number: int
    gross_cents: int


@dataclass(frozen=True, slots=True)
class AddonGroup:
    """Add-ons that credit pays, or that were given up, alike in themselves and in their boxes.

    `box` is the group of their boxes (its numbers do not matter here), `cost_cents` what renewing all of them for their
    boxes' years costs. Where the box has gone on without them (`followed`), `behind_cents` is what catching up with it
    costs all of them.
    """

    box: BoxGroup
    expires_on: date
    cancelled: bool
    funded: int
    followed: bool
    announced: bool
    number: int
    cost_cents: int
    behind_cents: int


@dataclass(frozen=True, slots=True)
class Population:
    """All that a forecast is made from, by the names that the groups go by.

    `several_boxes` and `several_addons` name, for each holder of more than one, the
    groups of what is held: one of a group is named once for each that is held. `living` boxes are not deleted;
    `set_aside` wait for a person, so nothing is foretold of them.
    """

    first: date
    last: date
    boxes: Mapping[str, BoxGroup]
    addons: Mapping[str, AddonGroup]
    several_boxes: Sequence[Sequence[str]]
    several_addons: Sequence[Sequence[str]]
    living: int
    set_aside: int
