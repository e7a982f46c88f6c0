"""When a rule applies and what a thing costs: pure functions over dates and whole cents.

No SQL, no clock, no I/O. The jobs' queries state the same cut-offs; ``tests/policy/test_cutoffs_agree.py``
holds the two together. E is ``expires_on``, the last day that is paid for; X is the day of deletion; W is the
business date up to which milestones have been looked after (SPEC §1).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

MAX_RENEWAL_YEARS = 5
"""Longest term a box can be sold for (SPEC, opening)."""

UNPAID = "unpaid"
"""The ``suspended_reason`` that the program itself gives; any other is a suspension by hand and is never deleted."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The periods of SPEC §1, in days. Milestones and slots are descending, as they come in time."""

    alert_milestones: tuple[int, ...] = (90, 60, 30, 15, 7, 1)
    notice_milestones: tuple[int, ...] = (90, 37)
    charge_slots: tuple[int, ...] = (7, 5, 3, 1, 0)
    late_charge_days: int = 10
    outage_grace_days: int = 3
    suspended_days: int = 90
    minimum_suspension_days: int = 30
    deletion_milestones: tuple[int, ...] = (60, 30, 7)


@dataclass(frozen=True, slots=True)
class Plan:
    """A catalogue entry (SPEC §2): price per year in net cents, space in GB, longest term in years."""

    code: str
    name: str
    annual_price_cents: int
    inbox_gb: int
    archive_gb: int
    max_extra_inbox_gb: int
    max_extra_archive_gb: int
    longest_term_years: int
    auto_renewable: bool
    policy: Policy


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """The plans that share one policy, so that a query can state their cut-offs as constants."""

    policy: Policy
    plans: tuple[str, ...]


@dataclass(frozen=True)
class Catalog:
    """What is sold, the VAT on it in percent, and the net price of a GB of extra space per year, in cents."""

    plans: Mapping[str, Plan]
    vat_percent: Decimal
    extra_gb_cents: int = 250

    def groups(self) -> Sequence[PolicyGroup]:
        """The plans by policy, in a fixed order."""
        by_policy: dict[Policy, list[str]] = {}
        for code in sorted(self.plans):
            by_policy.setdefault(self.plans[code].policy, []).append(code)
        return [PolicyGroup(policy, tuple(codes)) for policy, codes in by_policy.items()]

    def policy_of(self, plan: str) -> Policy:
        """The policy that rules a box of this plan."""
        return self.plans[plan].policy

    def auto_renewable(self) -> tuple[str, ...]:
        """Codes of the plans that may be charged without being asked."""
        return tuple(code for code in sorted(self.plans) if self.plans[code].auto_renewable)

    def gross(self, net_cents: int) -> int:
        """Net plus VAT, rounded half up to the cent, once per order (SPEC §2): 990 → 1208."""
        exact = Decimal(net_cents) * (100 + self.vat_percent) / 100
        return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def renewed_until(expires_on: date, years: int) -> date:
    """E after a renewal by `years`: counted from E, whenever it was paid.

    29 February becomes 28 where there is none, never 1 March, and stays 28 from then on, as the next renewal counts
    from it: 2028-02-29 + 1 year is 2029-02-28, + 4 years is 2032-02-29 (SPEC §1).
    """
    try:
        return expires_on.replace(year=expires_on.year + years)
    except ValueError:
        return expires_on.replace(year=expires_on.year + years, day=28)


def years_to_reach(expires_on: date, on: date) -> int:
    """The fewest years by which a box must be renewed for its E not to lie before `on`; at least one."""
    years = max(1, on.year - expires_on.year)
    return years if renewed_until(expires_on, years) >= on else years + 1


def months_later(day: date, months: int) -> date:
    """The same day so many calendar months later (earlier, if negative); a month's last where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def whole_years(start: date, end: date) -> int:
    """Years from `start` to `end`, a begun year counting whole; 0 if `end` is not later (SPEC §3, renew_addons)."""
    if end <= start:
        return 0
    years = end.year - start.year
    return years if renewed_until(start, years) >= end else years + 1


ADDON_FREE_MONTHS = 3
"""An add-on bought so many calendar months before E, or later, costs nothing until then."""


def addon_years_to_pay(on: date, expires_on: date) -> int:
    """The years for which an add-on is paid when it is bought: what remains up to E, a begun year counting whole.

    0 if E is not later than three calendar months from now: it is free until E, and then renewed as any other.
    """
    return whole_years(on, expires_on) if expires_on > months_later(on, ADDON_FREE_MONTHS) else 0


def renewal_net(annual_price_cents: int, addon_annual_cents: int, years: int) -> int:
    """Net price of a renewal order: years × (annual price + add-ons paid with the renewal) (SPEC §3, auto_renew).

    `addon_annual_cents` is the sum of quantity × unit price over those add-ons. 2 × (9.90 + 2.50) = 24.80.
    """
    return years * (annual_price_cents + addon_annual_cents)


def on_hold(hold_until: date | None, hold_reason: str | None, on: date) -> bool:
    """A box is on hold through `hold_until`, or for as long as there is a reason without a date (SPEC §2)."""
    if hold_until is not None:
        return on <= hold_until
    return hold_reason is not None


def slot_on(policy: Policy, expires_on: date, on: date) -> int | None:
    """The charge slot that applies on a day: the latest E − r that is not after it; None before the first."""
    reached = [r for r in policy.charge_slots if expires_on - timedelta(days=r) <= on]
    return min(reached) if reached else None


def slot_date(expires_on: date, slot: int) -> date:
    """First day of a charge slot: E − r."""
    return expires_on - timedelta(days=slot)


def next_slot_date(policy: Policy, expires_on: date, on: date) -> date | None:
    """First slot after a day, or None when no further attempt is planned."""
    dates = [slot_date(expires_on, r) for r in policy.charge_slots]
    return min((day for day in dates if day > on), default=None)


def next_attempt_on(policy: Policy, expires_on: date, slot: int, on: date) -> date | None:
    """When a charge of `slot` that was declined on a day is tried again: today if a later slot has come since.

    That is so only where the answer came late; None when no further attempt is planned.
    """
    reached = slot_on(policy, expires_on, on)
    if reached is not None and reached < slot and on <= expires_on + timedelta(days=policy.late_charge_days):
        return on
    return next_slot_date(policy, expires_on, on)


def switch_off_by(policy: Policy, expires_on: date) -> date:
    """Last day on which the holder can switch auto-renew off before the first charge: E − 8 by default (SPEC §3)."""
    return slot_date(expires_on, max(policy.charge_slots)) - timedelta(days=1)


def card_ended_before(exp_month: int | None, exp_year: int | None, day: date) -> date | None:
    """Last day of a card that is no longer valid on `day`; None while it is, or where its expiry is not known.

    A card is valid through the last day of the month printed on it: one of 03/2027 on 2027-03-31, not on 2027-04-01.
    """
    if exp_month is None or exp_year is None:
        return None
    if (exp_year, exp_month) >= (day.year, day.month):
        return None
    return date(exp_year, exp_month, monthrange(exp_year, exp_month)[1])


def due_milestone(milestones: Sequence[int], target: date, since: date, on: date) -> int | None:
    """The milestone to send on a day: W < target − m ≤ on, the one nearest to the target (SPEC §3, send_alerts)."""
    due = [m for m in milestones if since < target - timedelta(days=m) <= on]
    return min(due) if due else None


def suspends_on(expires_on: date) -> date:
    """First unpaid day: E + 1."""
    return expires_on + timedelta(days=1)


def deletion_date(policy: Policy, expires_on: date, suspended_on: date, hold_until: date | None) -> date:
    """X: the latest of E + 91, suspended_on + 30 and hold_until + 30 (SPEC §1).

    The two thirties are one rule, `minimum_suspension_days`: nobody loses a box less than that many days after
    it was suspended, or after a dispute about it ended.
    """
    dates = [
        expires_on + timedelta(days=policy.suspended_days + 1),
        suspended_on + timedelta(days=policy.minimum_suspension_days),
    ]
    if hold_until is not None:
        dates.append(hold_until + timedelta(days=policy.minimum_suspension_days))
    return max(dates)


def deletion_cap(not_deleted: int, *, max_percent: int, always_allowed: int) -> int:
    """How many boxes a day may delete unasked: max(100, 5 % of all that are not deleted), rounded down (SPEC §3)."""
    return max(always_allowed, max_percent * not_deleted // 100)


def deletions_allowed(due: int, not_deleted: int, *, max_percent: int, always_allowed: int) -> bool:
    """Whether a day may delete `due` boxes unasked."""
    return due <= deletion_cap(not_deleted, max_percent=max_percent, always_allowed=always_allowed)


def longest_course(policy: Policy) -> int:
    """Days from the first that a holder is told of a term's end to the deletion, suspended on the last day it may be.

    Within them a rule may ask what was told of the term.
    """
    first = max(*policy.alert_milestones, *policy.notice_milestones)
    return first + policy.late_charge_days + policy.suspended_days + 1 + policy.minimum_suspension_days


MB_PER_GB = 1024


@dataclass(frozen=True, slots=True)
class Space:
    """What a plan and its extra space hold, in GB."""

    inbox_gb: int
    archive_gb: int


def space_of(plan: Plan, extra_inbox_gb: int, extra_archive_gb: int) -> Space:
    """All the space of a box: its plan's, and what was bought in addition."""
    return Space(plan.inbox_gb + extra_inbox_gb, plan.archive_gb + extra_archive_gb)


def archive_lost_mb(before: Space, after: Space, used_mb: int | None) -> int | None:
    """How much of an archive no longer has room: 0 if all has; None if nobody knows and some may not.

    An archive that is given up altogether is lost with all that is in it.
    """
    if after.archive_gb >= before.archive_gb:
        return 0
    if used_mb is None:
        return None
    return max(0, used_mb - after.archive_gb * MB_PER_GB)


AddonStep = Literal["renew", "announce_short", "disable", "end", "wait"]
"""What becomes of an add-on that credit pays: see `addon_step`."""


def addon_renewed_with_box(*, box_status: str, box_expires_on: date, addon_expires_on: date, on: date) -> bool:
    """The box was renewed, so its add-on follows: active, E ≥ on, and E later than A (SPEC §3, renew_addons)."""
    return box_status == "active" and box_expires_on >= on and box_expires_on > addon_expires_on


def addon_step(
    *, followed: bool, cancelled: bool, addon_expires_on: date, on: date, cost_cents: int, balance_cents: int
) -> AddonStep:
    """What to do with an active credit add-on on a day (SPEC §3, renew_addons).

    `followed`: the box was renewed (`addon_renewed_with_box`); `cost_cents` is then the gross cost up to the box's E,
    otherwise the gross cost of renewing for the box's renewal_years. An add-on that was cancelled ends after A.
    """
    past = addon_expires_on < on
    if cancelled:
        return "end" if past else "wait"
    if balance_cents >= cost_cents:
        return "renew" if followed else "wait"
    if past:
        return "disable"
    return "announce_short" if followed else "wait"
