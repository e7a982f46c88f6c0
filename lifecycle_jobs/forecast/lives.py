"""What becomes of a group's box, and of its add-on, from term to term: courses set on their dates, one after another.

A renewed box begins a new term with a new E, whose course is likewise known. All is as probable as what led there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from lifecycle_jobs.forecast.course import Courses, Happening, Standing
from lifecycle_jobs.forecast.population import AddonGroup, BoxGroup
from lifecycle_jobs.policy import addon_step, renewed_until

_DAY = timedelta(days=1)


@dataclass(slots=True)
class Term:
    """A term that a box may come to, with its probability; `renewals` on each date, by whether a run did it."""

    expires_on: date
    renewed_until: date
    probability: float
    renewals: defaultdict[tuple[date, bool], float] = field(default_factory=lambda: defaultdict(float))


@dataclass(slots=True)
class Life:
    """The probability of each kind of event by date, and the terms in order of E.

    `caught_up_on` is when an add-on is renewed for all the years that its box has gone on without it.
    """

    events: defaultdict[tuple[str, date], float] = field(default_factory=lambda: defaultdict(float))
    terms: list[Term] = field(default_factory=list)
    caught_up_on: date | None = None


class Lives:
    """The lives of boxes and add-ons up to a last day."""

    def __init__(self, courses: Courses, first: date, last: date) -> None:
        self._courses = courses
        self._first = first
        self._last = last
        self._known: dict[tuple[date, int, Standing], Life] = {}

    def of_box(self, group: BoxGroup) -> Life:
        """What may happen to one of these boxes."""
        key = (group.expires_on, group.years, group.standing)
        life = self._known.get(key)
        if life is None:
            life = self._known[key] = self._live(group)
        return life

    def of_addon(self, group: AddonGroup) -> Life:
        """What may happen to one of these add-ons (SPEC §3, renew_addons); `addon.short` when lack of credit shows."""
        life = Life()
        if group.cancelled:
            self._note(life, "addon.disabled", group.expires_on + _DAY, 1.0)
            return life
        ends, funded = group.expires_on, group.funded
        if group.followed:
            if not self._catch_up(life, group):
                return life
            ends, funded = group.box.expires_on, funded - 1
        for term in self.of_box(group.box).terms:
            if ends >= term.renewed_until:
                continue  # it lasts beyond the next term of its box already
            # A payment by hand comes in after the day's run, and the next one sees to the add-on.
            renewals = [(on if in_run else on + _DAY, share) for (on, in_run), share in term.renewals.items()]
            if funded <= 0:
                in_time = [(on, share) for on, share in renewals if on <= ends]
                for on, share in in_time:
                    self._note(life, "addon.credit_short", on, share)
                    self._note(life, "addon.short", on, share)
                self._note(life, "addon.disabled", ends + _DAY, term.probability)
                self._note(life, "addon.short", ends + _DAY, term.probability - sum(share for _, share in in_time))
                break
            for on, share in renewals:
                self._note(life, "addon.renewed", on, share)
            ends, funded = term.renewed_until, funded - 1
        return life

    def _catch_up(self, life: Life, group: AddonGroup) -> bool:
        """An add-on that its box has left behind, on the first day; whether it goes on with its box."""
        step = addon_step(
            followed=True,
            cancelled=False,
            addon_expires_on=group.expires_on,
            on=self._first,
            # Whether the credit suffices for it, in its turn, is known.
            cost_cents=0 if group.funded else 1,
            balance_cents=0,
        )
        if step == "renew":
            self._note(life, "addon.renewed", self._first, 1.0)
            life.caught_up_on = self._first
            return True
        if step == "announce_short" and not group.announced:
            self._note(life, "addon.credit_short", self._first, 1.0)
        if not group.announced:
            self._note(life, "addon.short", self._first, 1.0)
        self._note(life, "addon.disabled", group.expires_on + _DAY, 1.0)
        return False

    def _note(self, life: Life, kind: str, on: date, probability: float) -> None:
        on = max(on, self._first)
        if on <= self._last and probability > 0:
            life.events[kind, on] += probability

    def _live(self, group: BoxGroup) -> Life:
        life = Life()
        to_come: defaultdict[tuple[date, Standing], float] = defaultdict(float)
        to_come[group.expires_on, group.standing] = 1.0
        while to_come:
            expires_on = min(ends for ends, _ in to_come)
            term = Term(expires_on, renewed_until(expires_on, group.years), 0.0)
            life.terms.append(term)
            for key in [key for key in to_come if key[0] == expires_on]:
                probability = to_come.pop(key)
                term.probability += probability
                for happening in self._in_sight(key[1], expires_on):
                    on, share = expires_on + timedelta(days=happening.offset), probability * happening.probability
                    life.events[happening.kind, on] += share
                    if happening.kind in {"box.renewed", "paid_by_hand"}:
                        term.renewals[on, happening.kind == "box.renewed"] += share
                        to_come[term.renewed_until, self._renewed(key[1], expires_on, term.renewed_until, on)] += share
        return life

    def _in_sight(self, standing: Standing, expires_on: date) -> Iterator[Happening]:
        for happening in self._courses.of(standing).happenings:
            if expires_on + timedelta(days=happening.offset) > self._last:
                return
            yield happening

    def _renewed(self, standing: Standing, expires_on: date, until: date, on: date) -> Standing:
        """How a box stands that was renewed on a day, seen from its new E."""
        # Before the first day of a term nothing happens, so that boxes renewed on different days stand alike again.
        start = max((on - until).days + 1, self._courses.first_day(standing.policy) - 1)
        moved = (until - expires_on).days
        held_until = None if standing.held_until is None else standing.held_until - moved
        over = held_until is not None and held_until < start
        return replace(
            standing,
            start=start,
            since=start - 1,
            suspended=None,
            held=standing.held and not over,
            held_until=None if over else held_until,
            told=None,
            slot_used=None,
            gone_wrong=False,
            hard=False,
            not_attempted=False,
            warned=None,
            approved=False,
            funded=max(0, standing.funded - 1),
        )
