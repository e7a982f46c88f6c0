"""What the next days will bring if nobody does anything, asked with the jobs' own conditions.

Each number is one range of an index on E, whatever the number of boxes: a box is looked at only if its E lies exactly a
milestone, a slot or a day away. What those days themselves will change (a payment, a declined charge, a box that is put
on hold) cannot be known and is not guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, select

from lifecycle_jobs.db.conditions import deletion_date_by, none_of, on_hold, unapplied_payment, unresolved_charge
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.jobs import send_alerts, suspend
from lifecycle_jobs.jobs.eligibility import not_eligible
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.policy import UNPAID, Catalog, PolicyGroup
from lifecycle_jobs.report.contents import ComingDay
from lifecycle_jobs.runs import Run

DAYS: Final = 7


def coming_days(
    store: Store, catalog: Catalog, today: date, tick: Callable[[], None] = lambda: None
) -> Sequence[ComingDay]:
    """The 7 days after `today`, each with what falls on it. `tick` is called between any two queries."""
    with store.read() as connection:
        return [
            _coming(connection, _task(store, catalog, today + timedelta(days=ahead)), tick)
            for ahead in range(1, DAYS + 1)
        ]


def _coming(connection: Connection, task: Task, tick: Callable[[], None]) -> ComingDay:
    numbers: Counter[str] = Counter()
    for group in task.catalog.groups():
        for name, condition in _conditions(task, group).items():
            tick()
            numbers[name] += connection.scalar(select(func.count()).select_from(boxes).where(condition)) or 0
    return ComingDay(task.on, **numbers)


def _conditions(task: Task, group: PolicyGroup) -> dict[str, ColumnElement[bool]]:
    """Which boxes of a group of plans are counted on the task's date, by the fields of `ComingDay`."""
    policy, on = group.policy, task.on
    of_group = boxes.c.plan.in_(group.plans)
    active = and_(boxes.c.status == "active", of_group)
    written_to = and_(active, none_of(send_alerts.refused_an_alert(task)))
    renewing = send_alerts.will_be_auto_renewed(task)
    automatic = none_of(not_eligible(task))
    ended = and_(active, boxes.c.expires_on == on - timedelta(days=1), none_of(suspend.refusals(task)))
    return {
        "expiry_alerts": and_(_ends_after(policy.alert_milestones, on), written_to, ~renewing),
        "renewal_notices": and_(_ends_after(policy.notice_milestones, on), written_to, renewing),
        "first_charges": and_(
            _ends_after([max(policy.charge_slots)], on),
            active,
            automatic,
            ~unresolved_charge(),
            ~unapplied_payment(),
        ),
        "ended_by_hand": and_(ended, ~automatic),
        "ended_automatic": and_(ended, automatic),
        "deletions": and_(
            boxes.c.status == "suspended",
            boxes.c.suspended_reason == UNPAID,
            of_group,
            deletion_date_by(policy, on),
            ~deletion_date_by(policy, on - timedelta(days=1)),
            ~on_hold(on),
        ),
    }


def _ends_after(days: Sequence[int], on: date) -> ColumnElement[bool]:
    """E lies one of so many days after the date."""
    return boxes.c.expires_on.in_([on + timedelta(days=number) for number in days])


def _task(store: Store, catalog: Catalog, on: date) -> Task:
    """The alerts' share of a run on that date, so that the jobs' conditions can be asked."""
    run = Run(on, 0, "everything", on - timedelta(days=1))
    return Task(send_alerts.NAME, store, run, catalog, 1, lambda _job, _rows: None)
