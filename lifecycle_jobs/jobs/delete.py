"""Delete for good what stayed unpaid (SPEC §3).

A box is deleted when all of this is true:

- it is suspended for `unpaid` and X has come: the latest of E + 91, suspended_on + 30 and hold_until + 30 by default;
- it is not on hold;
- it has no unresolved charge, and no payment that could not be applied to it;
- nothing about it is parked;
- with `deletion.require_delivered_warning`: a suspension notice or deletion warning of this term was accepted by the
  mail server at least 7 days ago, or a clerk approved the deletion of this very box.

It becomes `deleted`; its active add-ons end, its open orders are cancelled, and an event `box.deleted` is written. The
row stays as a tombstone.

More boxes due than max(100, 5 % of all not deleted) look like an import gone wrong or a wrong clock, and deletion is
the one thing that nobody can undo: then none is deleted, and the run says how many there were. `--approve-deletions N`
with exactly that number lets them go, in that run only. A run that keeps to a plan (`--plan`) has the plan's number
approved by it, and deletes none at all if a box is due that the plan did not name.

With `watching.stop_deletions` the same holds for more boxes than are usual on such a day (`watching.judging`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, Insert, Update, and_, exists, func, literal, or_, select, update

from lifecycle_jobs.db.conditions import (
    Refusals,
    by_plan,
    days_from,
    deletion_date_by,
    none_of,
    on_hold,
    parked_by_another_than,
    unapplied_payment,
    unresolved_charge,
    warning_delivered,
)
from lifecycle_jobs.db.dialect import among, json_object
from lifecycle_jobs.db.tables import addons, boxes, deletion_approvals, messages, orders
from lifecycle_jobs.history import event_of_each
from lifecycle_jobs.jobs.approvals import (
    NOT_AS_PLANNED,
    TOO_MANY,
    approved_number,
    number_done,
    number_due,
    number_unplanned,
    use_up,
)
from lifecycle_jobs.jobs.chunks import apply_in_chunks
from lifecycle_jobs.jobs.parts import IN_HAND, Part
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.policy import UNPAID, deletions_allowed
from lifecycle_jobs.runs import JobReport
from lifecycle_jobs.settings import DeletionSettings, WatchingSettings
from lifecycle_jobs.watching.reading import UNUSUALLY_MANY
from lifecycle_jobs.watching.stopping import exceeded

NAME = "delete"
DELETED = "box.deleted"


def run(
    task: Task, rules: DeletionSettings, watching: WatchingSettings, planned: frozenset[int] | None = None
) -> JobReport:
    """Delete every box whose day has come, or none if they are too many, or others than the planned ones."""
    report = JobReport(NAME)
    _refuse_too_many(replace(task, of_customer=None), rules, watching, planned, report)
    if report.refused is None:
        for part in parts(task, rules):
            apply_in_chunks(task, part)
    use_up(task, deletion_approvals)
    with task.store.read() as connection:
        report.skipped |= task.count_skipped(connection, candidates(task), refusals(task, rules))
    return report


def parts(task: Task, rules: DeletionSettings) -> Iterator[Part]:
    """What this job does to boxes, once it is certain that they may go."""
    by_date = and_(candidates(task), _in_scope(task))
    yield Part("unpaid for good", by_date, refusals(task, rules), _deletion(task))


def candidates(task: Task) -> ColumnElement[bool]:
    """Suspended for `unpaid`, and X is not after the business date."""
    return and_(
        boxes.c.status == "suspended",
        boxes.c.suspended_reason == UNPAID,
        by_plan(task.catalog.groups(), lambda policy: deletion_date_by(policy, task.on)),
    )


def refusals(task: Task, rules: DeletionSettings) -> Refusals:
    """Why such a box stays."""
    reasons = [
        ("on_hold", on_hold(task.on)),
        ("unresolved_charge", unresolved_charge()),
        ("unapplied_payment", unapplied_payment()),
        ("something_parked", parked_by_another_than(NAME)),
        ("parked", task.parked_here),
    ]
    if rules.require_delivered_warning:
        warned = warning_delivered(
            and_(
                messages.c.status == "sent",
                messages.c.accepted_on <= days_from(task.on, -rules.delivered_warning_days),
            )
        )
        reasons.append(("no_delivered_warning", ~or_(warned, approved_by_a_clerk())))
    return reasons


def approved_by_a_clerk() -> ColumnElement[bool]:
    """A person has let the box go although no warning could be delivered; once: not again after it was revived."""
    return exists().where(
        deletion_approvals.c.box_id == boxes.c.id,
        deletion_approvals.c.term_expires_on == boxes.c.expires_on,
        ~deletion_approvals.c.used,
    )


def _due(task: Task, rules: DeletionSettings) -> ColumnElement[bool]:
    return and_(candidates(task), none_of(refusals(task, rules)), _in_scope(task))


def _in_scope(task: Task) -> ColumnElement[bool]:
    """Approvals are for everything that is due, so a pass that takes them up looks at all boxes."""
    approved = exists().where(
        or_(
            deletion_approvals.c.run_on == task.on,
            deletion_approvals.c.box_id == boxes.c.id,
        ),
        ~deletion_approvals.c.used,
    )
    return or_(task.in_scope, and_(task.of_whom, approved))


def _refuse_too_many(
    task: Task,
    rules: DeletionSettings,
    watching: WatchingSettings,
    planned: frozenset[int] | None,
    report: JobReport,
) -> None:
    with task.store.read() as connection:
        number = number_due(connection, _due(task, rules))
        unplanned = number_unplanned(connection, _due(task, rules), planned)
        in_all = number + number_done(connection, task, DELETED)
        approved = approved_number(connection, deletion_approvals, task, _due(task, rules), DELETED)
        too_many = None if approved == in_all else _too_many(connection, task, rules, watching, number, in_all)
    if unplanned:
        report.refuse(
            NOT_AS_PLANNED,
            number,
            f"{unplanned} of {number} boxes that are due for deletion are not in the plan: none was deleted. "
            f"What is due now: lifecycle-jobs plan {task.on}. To do that: lifecycle-jobs replay {task.on} --plan HASH",
        )
    elif too_many is not None:
        reason, compared = too_many
        wrong = "" if approved is None else f" {approved} were approved, which is another number."
        report.refuse(
            reason,
            number,
            f"{number} boxes are due for deletion, {compared}: none was deleted.{wrong} "
            f"See which: lifecycle-jobs plan {task.on}. To let them go: lifecycle-jobs replay {task.on} --plan HASH, "
            f"or --approve-deletions {in_all}",
        )


def _too_many(
    connection: Connection,
    task: Task,
    rules: DeletionSettings,
    watching: WatchingSettings,
    number: int,
    in_all: int,
) -> tuple[str, str] | None:
    """None if the boxes may go; otherwise the reason, and what their number was compared with."""
    if number > rules.always_allowed:
        # As many as make the number few enough, and no more: that is no matter of how many boxes there are.
        enough = -(-number * 100 // rules.max_percent) if rules.max_percent else 0
        some = select(boxes.c.id).where(boxes.c.status != "deleted").order_by(boxes.c.id).limit(enough)
        counted = connection.scalar(select(func.count()).select_from(some.subquery())) or 0
        if not deletions_allowed(number, counted, max_percent=rules.max_percent, always_allowed=rules.always_allowed):
            not_deleted = connection.scalar(select(func.count()).where(boxes.c.status != "deleted")) or 0
            compared = f"more than {rules.max_percent} % of {not_deleted} and more than {rules.always_allowed}"
            return TOO_MANY, compared
    if watching.stop_deletions and number:
        usual = exceeded(connection, watching, task.on, NAME, DELETED, in_all)
        if usual is not None:
            return UNUSUALLY_MANY, f"where {round(usual)} are usual on such a day"
    return None


def _deletion(task: Task) -> Sequence[Insert | Update]:
    in_hand = among(boxes.c.id, IN_HAND)
    return (
        update(boxes)
        .where(in_hand, boxes.c.status == "suspended", boxes.c.suspended_reason == UNPAID)
        .values(status="deleted", deleted_on=task.on),
        update(addons).where(among(addons.c.box_id, IN_HAND), addons.c.status == "active").values(status="terminated"),
        update(orders)
        .where(among(orders.c.box_id, IN_HAND), orders.c.status == "awaiting_payment")
        .values(status="cancelled"),
        event_of_each(task.origin, DELETED, in_hand, detail=json_object(literal("suspended_on"), boxes.c.suspended_on)),
        update(deletion_approvals).where(among(deletion_approvals.c.box_id, IN_HAND)).values(used=True),
    )
