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
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, exists, func, literal, or_, select, update

from lifecycle_jobs import runs
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
from lifecycle_jobs.history import record_for_boxes
from lifecycle_jobs.jobs.chunks import Part, apply_in_chunks
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.policy import UNPAID, deletions_allowed
from lifecycle_jobs.runs import JobReport
from lifecycle_jobs.settings import DeletionSettings

NAME = "delete"
TOO_MANY = "too_many_at_once"
"""Why boxes stay that are too many to be deleted unasked."""
NOT_AS_PLANNED = "not_as_planned"
"""Why they stay if one of them is not in the plan by which the run is made."""


def run(task: Task, rules: DeletionSettings, planned: frozenset[int] | None = None) -> JobReport:
    """Delete every box whose day has come, or none if they are too many, or others than the planned ones."""
    everywhere = replace(task, of_customer=None)
    with task.store.write() as connection:
        number = _number_due(connection, everywhere, rules)
        unplanned = 0 if planned is None else _number_unplanned(connection, everywhere, rules, planned)
        too_many = _refusal(connection, everywhere, rules, number)
    report = JobReport(NAME)
    if unplanned:
        report.refused = (
            f"{unplanned} of {number} boxes that are due for deletion are not in the plan: none was deleted. "
            f"What is due now: lifecycle-jobs plan {task.on}. To do that: lifecycle-jobs replay {task.on} --plan HASH"
        )
        report.skipped[NOT_AS_PLANNED] = number
    elif too_many is not None:
        report.refused = too_many
        report.skipped[TOO_MANY] = number
    if report.refused is None:
        for part in parts(task, rules):
            apply_in_chunks(task, part)
    else:
        report.failures.append(report.refused)
    with task.store.write() as connection:
        connection.execute(update(deletion_approvals).where(deletion_approvals.c.run_on == task.on).values(used=True))
    with task.store.read() as connection:
        report.skipped |= task.count_skipped(connection, candidates(task), refusals(task, rules))
    return report


def parts(task: Task, rules: DeletionSettings) -> Iterator[Part]:
    """What this job does to boxes, once it is certain that they may go."""
    by_date = and_(candidates(task), _in_scope(task))
    yield Part("unpaid for good", by_date, refusals(task, rules), partial(_delete, task))


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
        reasons.append(("no_delivered_warning", ~or_(warned, _approved_by_a_clerk())))
    return reasons


def _approved_by_a_clerk() -> ColumnElement[bool]:
    return exists().where(
        deletion_approvals.c.box_id == boxes.c.id, deletion_approvals.c.term_expires_on == boxes.c.expires_on
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


def _number_due(connection: Connection, task: Task, rules: DeletionSettings) -> int:
    return connection.scalar(select(func.count()).select_from(boxes).where(_due(task, rules))) or 0


def _number_unplanned(connection: Connection, task: Task, rules: DeletionSettings, planned: frozenset[int]) -> int:
    due = connection.scalars(select(boxes.c.id).where(_due(task, rules)).execution_options(yield_per=1000))
    return sum(box_id not in planned for box_id in due)


def _refusal(connection: Connection, task: Task, rules: DeletionSettings, number: int) -> str | None:
    """None if the boxes may go; otherwise the sentence for the operator."""
    if number <= rules.always_allowed:
        return None
    # As many as make the number few enough, and no more: that is no matter of how many boxes there are.
    enough = -(-number * 100 // rules.max_percent) if rules.max_percent else 0
    some = select(boxes.c.id).where(boxes.c.status != "deleted").order_by(boxes.c.id).limit(enough)
    counted = connection.scalar(select(func.count()).select_from(some.subquery())) or 0
    if deletions_allowed(number, counted, max_percent=rules.max_percent, always_allowed=rules.always_allowed):
        return None
    not_deleted = connection.scalar(select(func.count()).where(boxes.c.status != "deleted")) or 0
    approved = connection.scalar(
        select(deletion_approvals.c.number)
        .where(deletion_approvals.c.run_on == task.on, ~deletion_approvals.c.used)
        .order_by(deletion_approvals.c.id.desc())
    )
    done_already = runs.events_by_kind(connection, task.run, NAME).get("box.deleted", 0)
    if approved == number + done_already:
        return None
    wrong = "" if approved is None else f" {approved} were approved, which is another number."
    return (
        f"{number} boxes are due for deletion, more than {rules.max_percent} % of {not_deleted} "
        f"and more than {rules.always_allowed}: none was deleted.{wrong} "
        f"See which: lifecycle-jobs plan {task.on}. To let them go: lifecycle-jobs replay {task.on} --plan HASH, or "
        f"--approve-deletions {number + done_already}"
    )


def _delete(task: Task, connection: Connection, ids: Sequence[int]) -> None:
    connection.execute(
        update(boxes)
        .where(among(boxes.c.id, ids), boxes.c.status == "suspended", boxes.c.suspended_reason == UNPAID)
        .values(status="deleted", deleted_on=task.on)
    )
    connection.execute(
        update(addons).where(among(addons.c.box_id, ids), addons.c.status == "active").values(status="terminated")
    )
    connection.execute(
        update(orders)
        .where(among(orders.c.box_id, ids), orders.c.status == "awaiting_payment")
        .values(status="cancelled")
    )
    detail = json_object(literal("suspended_on"), boxes.c.suspended_on)
    record_for_boxes(connection, task.origin, "box.deleted", among(boxes.c.id, ids), detail=detail)
    connection.execute(update(deletion_approvals).where(among(deletion_approvals.c.box_id, ids)).values(used=True))
