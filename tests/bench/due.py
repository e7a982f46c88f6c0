"""What a made-up provider's day has to do, worked out from the story of each box and not by the program.

All days are counted as in `population`. The day that is asked about is 0, or the first one after so many days of
downtime: then nothing was done on day 0 and those that follow, and what they missed is due at once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lifecycle_jobs.payments.gateway import ChargeRequest
from lifecycle_jobs.policy import UNPAID, Policy
from tests.bench.population import LOST_PAID, Box, answer


@dataclass(slots=True)
class Due:
    """What the day has to do, as far as it leaves a trace."""

    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of events by job and kind."""

    attempts: Counter[str] = field(default_factory=Counter)
    """Number of charges that the day makes, by status at its end."""

    told: set[tuple[int, str]] = field(default_factory=set)
    """Customer and kind of each e-mail."""

    at_the_bank: list[ChargeRequest] = field(default_factory=list)
    """Yesterday's charges whose answer was lost: what the sandbox must have been asked before the day."""

    def expect(self, job: str, kind: str, customer: int) -> None:
        """One event, which the customer is told of."""
        self.events[job, kind] += 1
        self.told.add((customer, kind))


class Expected:
    """Goes through the day's jobs with one box after the other, and counts in `due`."""

    def __init__(self, day: int) -> None:
        self.day = day
        self.due = Due()

    def of_active(self, box: Box, policy: Policy) -> None:
        """What the jobs do about an active box, its add-on aside where the box is not renewed."""
        self._reconciled(box)
        self._charged(box, policy)
        self._told(box, policy)
        if box.left < self.day and not (box.held(self.day) or box.renewed_today or box.unresolved_today):
            self.due.expect("suspend", "box.suspended", box.customer.number)

    def of_suspended(self, box: Box, policy: Policy) -> None:
        """The same for a suspended box."""
        if box.suspended_reason != UNPAID or box.held(self.day):
            return
        deleted = box.left + policy.suspended_days + 1
        if deleted <= self.day:
            self.due.expect("delete", "box.deleted", box.customer.number)
        elif any(self._missed(deleted - days) for days in policy.deletion_milestones):
            self.due.expect("send_alerts", "box.deletion_warning", box.customer.number)

    def of_addon_of_unrenewed(self, box: Box) -> None:
        """An active box whose term and whose add-on, paid from too little credit, end together."""
        if box.left < self.day and not (box.renewed_today or box.unresolved_today):
            self._addon(box, "addon.disabled")

    def of_addon_left_behind(self, box: Box, ended: int) -> None:
        """An add-on that stayed behind when its box was renewed, and was told to be short of credit then."""
        if ended < self.day:
            self._addon(box, "addon.disabled")

    def of_addon_to_renew(self, box: Box, ends: int) -> None:
        """An add-on whose box was renewed since the last run."""
        short = "addon.credit_short" if self.day <= ends else "addon.disabled"
        self._addon(box, "addon.renewed" if box.customer.rich else short)

    def _reconciled(self, box: Box) -> None:
        if box.unresolved and box.card == LOST_PAID:
            self._renewed(box, "reconcile_charges")

    def _charged(self, box: Box, policy: Policy) -> None:
        slot = min((slot for slot in policy.charge_slots if box.left - slot <= self.day), default=None)
        if not box.eligible(self.day) or box.renewed_today or slot is None:
            return
        replaced = bool(box.declined) and box.method != box.charged_with and box.charged_with is not None
        hopeless = box.decline is not None and box.decline[1] and not replaced
        reached = not hopeless and all(slot < earlier for earlier in box.declined)
        if not (reached or (replaced and self.day <= box.left)):
            return
        said = answer(box, slot)
        if said == "paid":
            self._renewed(box, "auto_renew")
            if box.customer.payer != "agreement":
                self.due.attempts["succeeded"] += 1
        elif said in {"soft", "hard"}:
            box.declined_today = True
            self.due.attempts["declined"] += 1
            self.due.expect("auto_renew", "charge.declined", box.customer.number)
        else:
            box.unresolved_today = True
            self.due.attempts["unknown"] += 1

    def _renewed(self, box: Box, job: str) -> None:
        box.renewed_today = True
        self.due.expect(job, "box.renewed", box.customer.number)
        if box.addon == "credit":
            self.of_addon_to_renew(box, box.left)

    def _told(self, box: Box, policy: Policy) -> None:
        untold = box.cancelled is None and not (box.renewed_today or box.declined_today or box.unresolved_today)
        if not untold or box.left < self.day:
            return
        renewing = box.eligible(self.day) and not box.declined
        kind = "box.renewal_notice" if renewing else "box.expiry_alert"
        milestones = policy.notice_milestones if renewing else policy.alert_milestones
        if any(self._missed(box.left - days) for days in milestones):
            self.due.expect("send_alerts", kind, box.customer.number)

    def _addon(self, box: Box, kind: str) -> None:
        self.due.expect("renew_addons", kind, box.customer.number)

    def _missed(self, day: int) -> bool:
        return 0 <= day <= self.day
