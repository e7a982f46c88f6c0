"""Suspend what nobody paid (SPEC §3).

A box is suspended when all of this is true:

- it is active and E lies before the business date;
- it is not on hold;
- it has no unresolved charge, and no payment that could not be applied to it;
- it is not in outage grace: its latest charge of the term never reached the bank, and it is no more than
  `outage_grace_days` after E;
- auto_renew did not fail on it in this run.

It becomes `suspended` for `unpaid` as of the business date, and an event `box.suspended` is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, and_, literal, update

from lifecycle_jobs.db.conditions import (
    Refusals,
    by_plan,
    days_from,
    latest_charge_not_attempted,
    on_hold,
    parked_by,
    unapplied_payment,
    unresolved_charge,
)
from lifecycle_jobs.db.dialect import among, json_object
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.history import record_for_boxes
from lifecycle_jobs.jobs.chunks import Part, apply_in_chunks
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.policy import UNPAID
from lifecycle_jobs.runs import JobReport

NAME = "suspend"


def run(task: Task) -> JobReport:
    """Suspend every unpaid box."""
    for part in parts(task):
        apply_in_chunks(task, part)
    with task.store.read() as connection:
        return JobReport(NAME, skipped=task.count_skipped(connection, candidates(task), refusals(task)))


def parts(task: Task) -> Iterator[Part]:
    """What this job does to boxes."""

    def change(connection: Connection, ids: Sequence[int]) -> None:
        now_suspended = among(boxes.c.id, ids)
        connection.execute(
            update(boxes)
            .where(now_suspended, boxes.c.status == "active")
            .values(status="suspended", suspended_on=task.on, suspended_reason=UNPAID)
        )
        detail = json_object(literal("reason"), literal(UNPAID))
        record_for_boxes(connection, task.origin, "box.suspended", now_suspended, detail=detail)

    yield Part("unpaid", candidates(task), refusals(task), change)


def candidates(task: Task) -> ColumnElement[bool]:
    """Active and past the last day that is paid for."""
    return and_(boxes.c.status == "active", boxes.c.expires_on < task.on, task.in_scope)


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
