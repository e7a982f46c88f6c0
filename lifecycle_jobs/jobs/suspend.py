"""Suspend what nobody paid (SPEC §3).

A box is suspended when all of this is true:

- it is active and E lies before the business date;
- it is not on hold;
- it has no unresolved charge, and no payment that could not be applied to it;
- it is not in outage grace: its latest charge of the term never reached the bank, and it is no more than
  `outage_grace_days` after E;
- auto_renew did not fail on it in this run.

It becomes `suspended` for `unpaid` as of the business date, and an event `box.suspended` is written.

With `watching.stop_suspensions`, more boxes due than are usual on such a day (`watching.judging`) look like an import
gone wrong: then none is suspended, and so none of them deleted later, and the run says how many there were. A run by
the plan that names them (`--plan`) lets just these go, in that run only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import ColumnElement, and_, exists, literal, or_, update

from lifecycle_jobs.db.conditions import (
    Refusals,
    by_plan,
    days_from,
    latest_charge_not_attempted,
    none_of,
    on_hold,
    parked_by,
    unapplied_payment,
    unresolved_charge,
)
from lifecycle_jobs.db.dialect import among, json_object
from lifecycle_jobs.db.tables import boxes, suspension_approvals
from lifecycle_jobs.history import event_of_each
from lifecycle_jobs.jobs.approvals import (
    NOT_AS_PLANNED,
    approved_number,
    number_done,
    number_due,
    number_unplanned,
    use_up,
)
from lifecycle_jobs.jobs.chunks import apply_in_chunks
from lifecycle_jobs.jobs.parts import IN_HAND, Part
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.policy import UNPAID
from lifecycle_jobs.runs import JobReport
from lifecycle_jobs.settings import WatchingSettings
from lifecycle_jobs.watching.reading import UNUSUALLY_MANY
from lifecycle_jobs.watching.stopping import exceeded

NAME = "suspend"
SUSPENDED = "box.suspended"


def run(task: Task, watching: WatchingSettings, planned: frozenset[int] | None = None) -> JobReport:
    """Suspend every unpaid box, or none if they are unusually many, or others than the planned ones."""
    report = JobReport(NAME)
    if watching.stop_suspensions or planned is not None:
        _refuse_too_many(replace(task, of_customer=None), watching, planned, report)
    if report.refused is None:
        for part in parts(task):
            apply_in_chunks(task, part)
    use_up(task, suspension_approvals)
    with task.store.read() as connection:
        report.skipped |= task.count_skipped(connection, candidates(task), refusals(task))
    return report


def parts(task: Task) -> Iterator[Part]:
    """What this job does to boxes, once it is certain that they are not too many."""
    in_hand = among(boxes.c.id, IN_HAND)
    suspension = (
        update(boxes)
        .where(in_hand, boxes.c.status == "active")
        .values(status="suspended", suspended_on=task.on, suspended_reason=UNPAID)
    )
    detail = json_object(literal("reason"), literal(UNPAID))
    changes = (suspension, event_of_each(task.origin, SUSPENDED, in_hand, detail=detail))
    yield Part("unpaid", candidates(task), refusals(task), changes)


def candidates(task: Task) -> ColumnElement[bool]:
    """Active and past the last day that is paid for."""
    return and_(boxes.c.status == "active", boxes.c.expires_on < task.on, _in_scope(task))


def refusals(task: Task) -> Refusals:
    """Why such a box is left active."""
    in_outage_grace = by_plan(
        task.catalog.groups(), lambda policy: boxes.c.expires_on >= days_from(task.on, -policy.outage_grace_days)
    )
    return [
        ("on_hold", on_hold(task.on)),
        ("unresolved_charge", unresolved_charge()),
        ("unapplied_payment", unapplied_payment()),
        ("outage_grace", and_(in_outage_grace, latest_charge_not_attempted())),
        ("auto_renew_failed", parked_by("auto_renew", task.on)),
        ("parked", task.parked_here),
    ]


def _refuse_too_many(task: Task, watching: WatchingSettings, planned: frozenset[int] | None, report: JobReport) -> None:
    with task.store.read() as connection:
        number = number_due(connection, _due(task))
        unplanned = number_unplanned(connection, _due(task), planned)
        in_all = number + number_done(connection, task, SUSPENDED)
        usual = None
        if watching.stop_suspensions and number:
            usual = exceeded(connection, watching, task.on, NAME, SUSPENDED, in_all)
        approved = approved_number(connection, suspension_approvals, task, _due(task), SUSPENDED)
    if unplanned:
        report.refuse(
            NOT_AS_PLANNED,
            number,
            f"{unplanned} of {number} boxes that are due for suspension are not in the plan: none was suspended. "
            f"What is due now: lifecycle-jobs plan {task.on}. To do that: lifecycle-jobs replay {task.on} --plan HASH",
        )
    elif usual is not None and approved != in_all:
        report.refuse(
            UNUSUALLY_MANY,
            number,
            f"{number} boxes are due for suspension, where {round(usual)} are usual on such a day: none was suspended. "
            f"See which: lifecycle-jobs plan {task.on}. To suspend them: lifecycle-jobs replay {task.on} --plan HASH",
        )


def _due(task: Task) -> ColumnElement[bool]:
    return and_(candidates(task), none_of(refusals(task)))


def _in_scope(task: Task) -> ColumnElement[bool]:
    """An approval is for everything that is due, so a pass that takes it up looks at all boxes."""
    approved = exists().where(suspension_approvals.c.run_on == task.on, ~suspension_approvals.c.used)
    return or_(task.in_scope, and_(task.of_whom, approved))
