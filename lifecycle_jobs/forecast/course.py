"""What becomes of a box in one term, day by day, as the jobs would have it: a pure function over dates.

A course depends on how far a day lies from E, not on what date it is, so all days here are whole numbers counted from
E: −7 is the first charge slot, 1 the suspension. Boxes that stand alike share one course. What chance decides (a
declined charge, a payment by hand) splits it: every event comes with its probability.

Each day goes as `lifecycle_jobs.day` has it: charge, suspend, delete, warn; payments by hand come in after the run.
The rules are those of `policy`, asked on an arbitrary term, since it takes dates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from heapq import heapify, heappop, heappush
from typing import Final, Literal

from lifecycle_jobs.forecast.assumptions import Assumptions
from lifecycle_jobs.policy import Policy, deletion_date, due_milestone, on_hold, slot_on, suspends_on

Way = Literal["card", "paypal", "credit", "agreement", "free", "by_hand", "set_aside"]
"""How a renewal is paid. `free`: it costs nothing, so nobody is asked. `by_hand`: it is not renewed by itself.

`set_aside` waits for a person: it was suspended for another reason, or costs more than may be charged unasked.
"""

Kind = Literal[
    "charge",
    "charge.declined",
    "box.renewed",
    "paid_by_hand",
    "box.suspended",
    "box.deleted",
    "box.expiry_alert",
    "box.renewal_notice",
    "box.deletion_warning",
]
"""The kinds of event of a box, and `charge`, an attempt; `paid_by_hand` is a renewal outside a run."""

AT_ONCE: Final = 0
"""The milestone of a warning that is sent because X came before any notice was delivered, as in `send_alerts`."""

_E: Final = date(2001, 12, 31)
"""The end of the term in which courses are reckoned."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How boxes stand before the first day that is forecast, in days counted from E.

    `start` is that day, `since` is W (SPEC §1). `told` is the nearest milestone of which this term was written to.
    `slot_used` is the latest slot that was charged. `held_until` with `held` is a hold up to that day, `held` alone
    one without an end. `warned` is when the mail server took the first notice of the suspension; a box that is
    `approved` may be deleted without one. `funded` is for how many terms the credit suffices.
    """

    policy: Policy
    way: Way
    start: int
    since: int
    suspended: int | None = None
    cancelled: bool = False
    held: bool = False
    held_until: int | None = None
    told: int | None = None
    slot_used: int | None = None
    gone_wrong: bool = False
    hard: bool = False
    not_attempted: bool = False
    warned: int | None = None
    approved: bool = False
    funded: int = 0


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens so many days after E, with a probability."""

    kind: Kind
    offset: int
    probability: float


@dataclass(slots=True)
class Course:
    """Everything that may happen in the term, in order of days."""

    happenings: list[Happening] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Branch:
    """One way that things may have gone so far."""

    suspended: int | None
    told: int | None
    slot_used: int | None
    gone_wrong: bool
    hard: bool
    not_attempted: bool
    warned: int | None
    declined_on: int | None = None


class Courses:
    """Courses by standing, each reckoned once. `proof_days`: `deletion.delivered_warning_days` where it is required."""

    def __init__(self, assumptions: Assumptions, proof_days: int | None) -> None:
        self._assumptions = assumptions
        self._proof_days = proof_days
        self._known: dict[Standing, Course] = {}

    def of(self, standing: Standing) -> Course:
        """What becomes of a box that stands so."""
        course = self._known.get(standing)
        if course is None:
            if standing.way == "set_aside":
                course = Course()
            else:
                course = _Reckoning(standing, self._assumptions, self._proof_days).course()
            self._known[standing] = course
        return course

    def first_day(self, policy: Policy) -> int:
        """The first day of a term, from E, on which anything can happen."""
        leads = (*policy.alert_milestones, *policy.notice_milestones, *policy.charge_slots)
        return -max(*leads, *self._assumptions.by_hand.days_before)


class _Reckoning:
    """Goes through the days of one standing on which a rule may apply."""

    def __init__(self, standing: Standing, assumptions: Assumptions, proof_days: int | None) -> None:
        self._standing = standing
        self._policy = standing.policy
        self._assumptions = assumptions
        self._proof_days = proof_days
        self._happened: defaultdict[tuple[int, Kind], float] = defaultdict(float)
        self._days: list[int] = []
        self._planned: set[int] = set()

    def course(self) -> Course:
        standing = self._standing
        begun = _Branch(
            standing.suspended,
            standing.told,
            standing.slot_used,
            standing.gone_wrong,
            standing.hard,
            standing.not_attempted,
            standing.warned,
        )
        branches: dict[_Branch, float] = {begun: 1.0}
        self._plan(self._first_days())
        if begun.suspended is not None:
            self._plan(self._days_to_deletion(begun.suspended))
            self._plan_proof(begun.warned)
        heapify(self._days)
        while self._days and branches:
            on = heappop(self._days)
            since = standing.since if on == standing.start else on - 1
            following: defaultdict[_Branch, float] = defaultdict(float)
            for branch, probability in branches.items():
                for after, share in self._after_the_run(branch, probability, on, since):
                    still_unpaid = share - self._paid_by_hand(share, on)
                    if still_unpaid > 0:
                        following[after] += still_unpaid
            branches = following
        course = Course()
        course.happenings = [
            Happening(kind, on, probability) for (on, kind), probability in sorted(self._happened.items())
        ]
        return course

    def _plan(self, days: set[int]) -> None:
        for on in days - self._planned:
            if on >= self._standing.start:
                self._planned.add(on)
                heappush(self._days, on)

    def _first_days(self) -> set[int]:
        standing, policy = self._standing, self._policy
        days = {standing.start, _offset(suspends_on(_E)), policy.outage_grace_days + 1}
        days |= {-lead for lead in (*policy.alert_milestones, *policy.notice_milestones, *policy.charge_slots)}
        if standing.held_until is not None:
            days.add(standing.held_until + 1)
        if standing.way == "by_hand" and not standing.cancelled:
            days |= {-before for before in self._assumptions.by_hand.days_before}
        return days

    def _days_to_deletion(self, suspended: int) -> set[int]:
        deleted = self._deletion(suspended)
        return {deleted, *(deleted - milestone for milestone in self._policy.deletion_milestones)}

    def _plan_proof(self, warned: int | None) -> None:
        """From this day on it is proved that the holder was warned in time."""
        if warned is not None and self._proof_days is not None:
            self._plan({warned + self._proof_days})

    def _after_the_run(
        self, branch: _Branch, probability: float, on: int, since: int
    ) -> Iterator[tuple[_Branch, float]]:
        """How the box may stand after the run of a day; renewed and deleted boxes have left the term."""
        for charged, share in self._charge(branch, probability, on):
            standing = self._suspend(charged, share, on)
            if self._delete(standing, share, on):
                continue
            yield self._warn(standing, share, on, since), share

    def _charge(self, branch: _Branch, probability: float, on: int) -> Iterator[tuple[_Branch, float]]:
        way = self._standing.way
        slot = slot_on(self._policy, _E, _day(on))
        due = (
            branch.suspended is None
            and way != "by_hand"
            and not self._on_hold(on)
            and on <= self._policy.late_charge_days
            and not branch.hard
            and slot is not None
            and (branch.slot_used is None or branch.slot_used > slot)
        )
        if not due or slot is None:
            yield branch, probability
            return
        declined, hard = self._decline(slot)
        if way in {"card", "paypal", "credit"}:
            self._note("charge", on, probability)
        self._note("box.renewed", on, probability * (1 - declined))
        self._note("charge.declined", on, probability * declined)
        refused = replace(branch, slot_used=slot, gone_wrong=True, not_attempted=False, declined_on=on)
        for final, share in ((True, declined * hard), (False, declined * (1 - hard))):
            if share > 0:
                yield replace(refused, hard=final), probability * share

    def _decline(self, slot: int) -> tuple[float, float]:
        """The share that is declined, and the share of those that are declined for good."""
        standing = self._standing
        if standing.way == "credit":
            return (0.0 if standing.funded else 1.0), 0.0
        if standing.way in {"agreement", "free"}:
            return 0.0, 0.0
        rates = self._assumptions.of(standing.way)
        return rates.rate(slot), rates.hard

    def _suspend(self, branch: _Branch, probability: float, on: int) -> _Branch:
        in_outage_grace = branch.not_attempted and on <= self._policy.outage_grace_days
        unpaid = branch.suspended is None and on >= _offset(suspends_on(_E))
        if not unpaid or self._on_hold(on) or in_outage_grace:
            return branch
        self._note("box.suspended", on, probability)
        self._plan(self._days_to_deletion(on))
        self._plan_proof(on)
        # What was told of the expiry says nothing about warnings of the deletion. The notice of the suspension leaves
        # on the same day.
        return replace(branch, suspended=on, told=None, warned=on)

    def _delete(self, branch: _Branch, probability: float, on: int) -> bool:
        if branch.suspended is None or on < self._deletion(branch.suspended) or self._on_hold(on):
            return False
        if not self._may_go(branch, on):
            return False
        self._note("box.deleted", on, probability)
        return True

    def _may_go(self, branch: _Branch, on: int) -> bool:
        """Whether it is proved in time that the holder was warned, where that must be proved."""
        if self._proof_days is None or self._standing.approved:
            return True
        return branch.warned is not None and branch.warned <= on - self._proof_days

    def _warn(self, branch: _Branch, probability: float, on: int, since: int) -> _Branch:
        if branch.suspended is not None:
            return self._warn_of_deletion(branch, probability, on, since)
        if on > 0 or self._standing.cancelled or branch.declined_on == on:
            return branch
        renewing = self._standing.way != "by_hand" and not self._on_hold(on) and not branch.gone_wrong
        kind: Kind = "box.renewal_notice" if renewing else "box.expiry_alert"
        milestones = self._policy.notice_milestones if renewing else self._policy.alert_milestones
        milestone = due_milestone(milestones, _E, _day(since), _day(on))
        if milestone is None or (branch.told is not None and branch.told <= milestone):
            return branch
        self._note(kind, on, probability)
        return replace(branch, told=milestone)

    def _warn_of_deletion(self, branch: _Branch, probability: float, on: int, since: int) -> _Branch:
        suspended = branch.suspended
        if suspended is None or self._on_hold(on):
            return branch
        deleted = self._deletion(suspended)
        if on < deleted:
            if suspended == on:
                return branch
            milestone = due_milestone(self._policy.deletion_milestones, _day(deleted), _day(since), _day(on))
        else:
            milestone = AT_ONCE if self._proof_days is not None and branch.warned is None else None
        if milestone is None or (branch.told is not None and branch.told <= milestone):
            return branch
        self._note("box.deletion_warning", on, probability)
        if branch.warned is not None:
            return replace(branch, told=milestone)
        self._plan_proof(on)
        return replace(branch, told=milestone, warned=on)

    def _paid_by_hand(self, probability: float, on: int) -> float:
        if self._standing.way != "by_hand" or self._standing.cancelled:
            return 0.0
        paid = probability * self._assumptions.by_hand.chance(on)
        self._note("paid_by_hand", on, paid)
        return paid

    def _deletion(self, suspended: int) -> int:
        held_until = None if self._standing.held_until is None else _day(self._standing.held_until)
        return _offset(deletion_date(self._policy, _E, _day(suspended), held_until))

    def _on_hold(self, on: int) -> bool:
        standing = self._standing
        until = None if standing.held_until is None else _day(standing.held_until)
        return on_hold(until, "held" if standing.held else None, _day(on))

    def _note(self, kind: Kind, on: int, probability: float) -> None:
        if probability > 0:
            self._happened[on, kind] += probability


def _day(offset: int) -> date:
    return _E + timedelta(days=offset)


def _offset(day: date) -> int:
    return (day - _E).days
