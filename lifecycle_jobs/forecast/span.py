"""The days that are forecast, and what of the configuration they are forecast under."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from lifecycle_jobs.policy import Catalog, months_later
from lifecycle_jobs.settings import Settings


@dataclass(frozen=True, slots=True)
class Span:
    """From `first` to `last`, both included; `since` is W before the first (SPEC §1).

    `max_amount_cents` is `gateway.max_amount`, `proof_days` is `deletion.delivered_warning_days` where such a proof is
    required. `lead` is how many days before E anything happens to a box.
    """

    catalog: Catalog
    first: date
    last: date
    since: date
    max_amount_cents: int
    proof_days: int | None

    @property
    def milestones(self) -> set[int]:
        """How many days before E something is told of it."""
        policies = [group.policy for group in self.catalog.groups()]
        return {days for policy in policies for days in (*policy.alert_milestones, *policy.notice_milestones)}

    @property
    def lead(self) -> int:
        """How many days before E the first thing happens to a box."""
        return max(self.slots_begin, *self.milestones)

    @property
    def slots_begin(self) -> int:
        """How many days before E a box can have been charged."""
        return max(max(group.policy.charge_slots) for group in self.catalog.groups())

    @property
    def hold_matters(self) -> int:
        """For how many days after its end a hold still puts off a deletion."""
        return max(group.policy.minimum_suspension_days for group in self.catalog.groups())

    @property
    def most_terms(self) -> int:
        """How often a box can be renewed in these days, at the most."""
        return (self.last - self.first).days // 365 + 2


def first_to_come(today: date, latest_run: date | None) -> date:
    """Today, or the day after the latest completed run if that is later."""
    done = latest_run is not None and latest_run >= today
    return latest_run + timedelta(days=1) if done and latest_run is not None else today


def span_between(settings: Settings, first: date, last: date, latest_run: date | None) -> Span:
    """These days under this configuration; `first` comes after the latest completed run."""
    deletion = settings.deletion
    return Span(
        catalog=settings.catalog(),
        first=first,
        last=last,
        since=first - timedelta(days=1) if latest_run is None else latest_run,
        max_amount_cents=settings.gateway.max_amount,
        proof_days=deletion.delivered_warning_days if deletion.require_delivered_warning else None,
    )


def span_of_months(settings: Settings, today: date, latest_run: date | None, months: int) -> Span:
    """So many calendar months from the first day to come."""
    first = first_to_come(today, latest_run)
    return span_between(settings, first, months_later(first, months) - timedelta(days=1), latest_run)
