"""Warn in time: expiry alerts, renewal notices and deletion warnings (SPEC §3).

Before E. A box gets a message about its expiry when all of this is true:

- it is active, not cancelled, and the business date is not after E;
- it has no unresolved charge, and no charge of it was declined today (that milestone is lost: the holder has just been
  written to);
- a milestone of its kind falls after W and not after the business date (before W too, if the box was parked by this
  job and is taken up now), and no message of this term has gone out for that milestone or one nearer to E.

A box that will be renewed automatically (switched on, not on hold, with a payment method, on a renewable plan, and no
charge of the term declined or not attempted) follows the renewal-notice milestones; it is also the written notice of
art. 65-bis of the Italian consumer code. Every other box follows the expiry-alert milestones. If several milestones are
due, only the one nearest to E is sent, and it tells the real number of days left.

After E. A box suspended for `unpaid`, not on hold and without an unresolved charge, gets deletion warnings by the same
window counted back from X, while X lies ahead, and not on the day it was suspended. Cancelled boxes get them too. With
`deletion.require_delivered_warning`, a box that reaches X without a delivered notice is warned at once.

This job writes events only; the messages are made from them afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, select

from lifecycle_jobs.db.conditions import (
    Refusals,
    days_from,
    deletion_date_by,
    none_of,
    of_this_term,
    on_hold,
    taken_up,
    unapplied_payment,
    unresolved_charge,
    warning_delivered,
)
from lifecycle_jobs.db.dialect import among, days_between, days_later, json_object, latest
from lifecycle_jobs.db.tables import boxes, charges, events, messages
from lifecycle_jobs.history import event_of_each
from lifecycle_jobs.jobs.chunks import apply_in_chunks
from lifecycle_jobs.jobs.eligibility import not_eligible
from lifecycle_jobs.jobs.parts import IN_HAND, Part
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.policy import UNPAID, Policy, PolicyGroup
from lifecycle_jobs.runs import JobReport
from lifecycle_jobs.settings import DeletionSettings

NAME = "send_alerts"
BEFORE_EXPIRY = ("box.expiry_alert", "box.renewal_notice")
AT_ONCE = 0
"""The milestone of a deletion warning that is sent because X came before any notice was delivered."""


def run(task: Task, rules: DeletionSettings) -> JobReport:
    """Write every alert, notice and warning that is due."""
    report = JobReport(NAME)
    for warning in due_warnings(task, rules):
        # Most windows are empty: to look costs less than a transaction that writes.
        with task.store.read() as connection:
            if connection.execute(select(boxes.c.id).where(warning.candidates).limit(1)).first() is None:
                continue
        left = apply_in_chunks(task, warning.as_part(task))
        if left and warning.milestone != AT_ONCE:
            with task.store.read() as connection:
                skipped = task.count_skipped(connection, warning.candidates, warning.refusals)
            for reason, count in skipped.items():
                report.skipped[reason] = report.skipped.get(reason, 0) + count
    return report


def parts(task: Task, rules: DeletionSettings) -> Iterator[Part]:
    """What this job does for boxes, in this order."""
    return (warning.as_part(task) for warning in due_warnings(task, rules))


@dataclass(frozen=True, slots=True)
class DueWarning:
    """One kind of event for one milestone, to the boxes of some plans."""

    kind: str
    milestone: int
    plans: Sequence[str]
    candidates: ColumnElement[bool]
    refusals: Refusals
    detail: ColumnElement[object]

    def as_part(self, task: Task) -> Part:
        """What the job does for the boxes that are due for it."""
        in_hand = among(boxes.c.id, IN_HAND)
        event = event_of_each(task.origin, self.kind, in_hand, detail=self.detail, milestone=self.milestone)
        name = f"{self.kind} {self.milestone} {' '.join(self.plans)}"
        return Part(name, self.candidates, self.refusals, (event,))


def due_warnings(task: Task, rules: DeletionSettings) -> Iterator[DueWarning]:
    """Every kind and milestone, in the order in which they are looked at."""
    repeated = _repeated(task)
    renewing, no_alert, no_warning = will_be_auto_renewed(task), refused_an_alert(task), _refused_a_warning(task)
    for group in task.catalog.groups():
        for kind, milestones, addressed in (
            ("box.renewal_notice", group.policy.notice_milestones, renewing),
            ("box.expiry_alert", group.policy.alert_milestones, ~renewing),
        ):
            # Nearest milestone first: once its event stands, the farther ones are no longer due.
            for milestone in sorted(milestones):
                yield _before_expiry(task, group, kind, milestone, addressed, no_alert, repeated)
        for milestone in sorted(group.policy.deletion_milestones):
            yield _before_deletion(task, group, milestone, no_warning, repeated)
        if rules.require_delivered_warning:
            yield _at_deletion(task, group, rules, no_warning)


def will_be_auto_renewed(task: Task) -> ColumnElement[bool]:
    """What auto_renew asks of a box with E ≥ the business date, and no charge of this term has gone wrong yet."""
    gone_wrong = exists().where(
        of_this_term,
        charges.c.status.in_(("declined", "not_attempted")),
        # Follows from E: without it all that ever went wrong would be looked through.
        charges.c.term_expires_on >= task.on,
    )
    return and_(none_of(not_eligible(task)), ~gone_wrong)


def _repeated(task: Task) -> Sequence[int]:
    """The boxes on which this job failed in an earlier pass and that it repeats: their milestones may lie before W.

    Asked first, because usually there are none, and then only what has come since W needs to be looked at.
    """
    with task.store.read() as connection:
        return connection.scalars(taken_up(NAME)).all()


def _come_since(window: ColumnElement[bool], repeated: Sequence[int]) -> ColumnElement[bool]:
    return or_(window, among(boxes.c.id, repeated)) if repeated else window


def _before_expiry(
    task: Task,
    group: PolicyGroup,
    kind: str,
    milestone: int,
    addressed: ColumnElement[bool],
    refusals: Refusals,
    repeated: Sequence[int],
) -> DueWarning:
    candidates = and_(
        boxes.c.status == "active",
        boxes.c.plan.in_(group.plans),
        _come_since(boxes.c.expires_on > days_from(task.run.since, milestone), repeated),
        boxes.c.expires_on <= days_from(task.on, milestone),
        boxes.c.expires_on >= task.on,
        addressed,
        ~_told(BEFORE_EXPIRY, milestone),
        task.in_scope,
    )
    detail = json_object(
        literal("milestone"), literal(milestone), literal("days_left"), _days_until(boxes.c.expires_on, task.on)
    )
    return DueWarning(kind, milestone, group.plans, candidates, refusals, detail)


def _before_deletion(
    task: Task, group: PolicyGroup, milestone: int, refusals: Refusals, repeated: Sequence[int]
) -> DueWarning:
    policy = group.policy
    candidates = and_(
        boxes.c.status == "suspended",
        boxes.c.suspended_reason == UNPAID,
        boxes.c.plan.in_(group.plans),
        boxes.c.suspended_on < task.on,
        deletion_date_by(policy, days_from(task.on, milestone)),
        _come_since(~deletion_date_by(policy, days_from(task.run.since, milestone)), repeated),
        ~deletion_date_by(policy, task.on),
        ~_told(("box.deletion_warning",), milestone),
        task.in_scope,
    )
    detail = _warning_detail(milestone, deletion_day(policy), task.on)
    return DueWarning("box.deletion_warning", milestone, group.plans, candidates, refusals, detail)


def _at_deletion(task: Task, group: PolicyGroup, rules: DeletionSettings, refusals: Refusals) -> DueWarning:
    candidates = and_(
        boxes.c.status == "suspended",
        boxes.c.suspended_reason == UNPAID,
        boxes.c.plan.in_(group.plans),
        deletion_date_by(group.policy, task.on),
        ~warning_delivered(messages.c.status.in_(("sent", "queued"))),
        ~_told(("box.deletion_warning",), AT_ONCE),
        task.in_scope,
    )
    goes_on = days_from(task.on, rules.delivered_warning_days)
    detail = _warning_detail(AT_ONCE, literal(goes_on, boxes.c.expires_on.type), task.on)
    return DueWarning("box.deletion_warning", AT_ONCE, group.plans, candidates, refusals, detail)


def refused_an_alert(task: Task) -> Refusals:
    """Why an active box gets no message about its expiry now."""
    return [
        ("cancelled", boxes.c.cancelled_on.is_not(None)),
        ("unresolved_charge", unresolved_charge()),
        ("unapplied_payment", unapplied_payment()),
        ("declined_today", _declined_on(task.on)),
        ("parked", task.parked_here),
    ]


def _refused_a_warning(task: Task) -> Refusals:
    return [
        ("on_hold", on_hold(task.on)),
        ("unresolved_charge", unresolved_charge()),
        ("unapplied_payment", unapplied_payment()),
        ("parked", task.parked_here),
    ]


def deletion_day(policy: Policy) -> ColumnElement[date]:
    """X of a suspended box."""
    days = [
        days_later(boxes.c.expires_on, policy.suspended_days + 1),
        days_later(boxes.c.suspended_on, policy.minimum_suspension_days),
        # A box without a hold must not turn the whole into NULL; suspended_on + 30 stands in and changes nothing.
        days_later(func.coalesce(boxes.c.hold_until, boxes.c.suspended_on), policy.minimum_suspension_days),
    ]
    return latest(*days)


def _warning_detail(milestone: int, deletes_on: ColumnElement[date], on: date) -> ColumnElement[object]:
    return json_object(
        literal("milestone"),
        literal(milestone),
        literal("deletes_on"),
        deletes_on,
        literal("days_left"),
        _days_until(deletes_on, on),
    )


def _days_until(day: ColumnElement[date], on: date) -> ColumnElement[int]:
    return days_between(literal(on, boxes.c.expires_on.type), day)


def _told(kinds: Sequence[str], milestone: int) -> ColumnElement[bool]:
    """This term has been written to for this milestone or a nearer one."""
    return exists().where(
        events.c.box_id == boxes.c.id,
        events.c.term_expires_on == boxes.c.expires_on,
        events.c.kind.in_(kinds),
        events.c.milestone <= milestone,
    )


def _declined_on(on: date) -> ColumnElement[bool]:
    return exists().where(
        events.c.box_id == boxes.c.id,
        events.c.term_expires_on == boxes.c.expires_on,
        events.c.kind == "charge.declined",
        events.c.occurred_on == on,
    )
