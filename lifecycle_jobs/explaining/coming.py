"""What is going to happen to a box under today's policy, if nobody does anything: the dates and the money.

The dates are those of `policy`; whether it renews by itself, and what that will cost, is asked where the jobs ask it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from lifecycle_jobs.accounts.next_charge import next_charge_on
from lifecycle_jobs.db.tables import boxes, payment_methods
from lifecycle_jobs.history import euros
from lifecycle_jobs.jobs.send_alerts import will_be_auto_renewed
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.payments.orders import quote_renewals
from lifecycle_jobs.policy import (
    UNPAID,
    Policy,
    card_ended_before,
    deletion_date,
    on_hold,
    renewed_until,
    suspends_on,
)
from lifecycle_jobs.reasons import counted


@dataclass(frozen=True, slots=True)
class Coming:
    """One thing that lies ahead of a box."""

    on: date
    what: str
    told: str


def coming_of(connection: Connection, task: Task, box: Row[Any]) -> list[Coming]:
    """What lies ahead of a box from the task's date on, earliest first."""
    if box.status == "deleted" or box.plan not in task.catalog.plans:
        return []
    policy = task.catalog.policy_of(box.plan)
    found = _of_active(connection, task, box, policy) if box.status == "active" else _of_suspended(box, policy)
    return sorted((each for each in found if each.on >= task.on), key=lambda each: each.on)


def _of_active(connection: Connection, task: Task, box: Row[Any], policy: Policy) -> Iterator[Coming]:
    end = box.expires_on
    renewing = connection.scalar(select(boxes.c.id).where(boxes.c.id == box.id, will_be_auto_renewed(task))) is not None
    if box.cancelled_on is None:
        milestones = policy.notice_milestones if renewing else policy.alert_milestones
        kind = "renewal notice" if renewing else "expiry alert"
        for milestone in milestones:
            day = end - timedelta(days=milestone)
            if task.run.since < day:
                yield Coming(day, kind, f"{counted(milestone, 'day')} before {end}")
    charged_on = _charged_on(connection, task, box)
    if charged_on is not None:
        yield _charge(connection, task, box, charged_on)
    first = suspends_on(end)
    unless = "if the charge does not go through" if charged_on is not None else "if it is not paid"
    if on_hold(box.hold_until, box.hold_reason, first):
        if box.hold_until is None:
            return
        first = box.hold_until + timedelta(days=1)
    yield Coming(first, "suspension", unless)
    yield from _deletion(box, policy, max(first, task.on), unless)


def _of_suspended(box: Row[Any], policy: Policy) -> Iterator[Coming]:
    endless = box.hold_until is None and box.hold_reason is not None
    if box.suspended_reason == UNPAID and not endless:
        yield from _deletion(box, policy, box.suspended_on, "if it is not paid")


def _deletion(box: Row[Any], policy: Policy, suspended_on: date, unless: str) -> Iterator[Coming]:
    day = deletion_date(policy, box.expires_on, suspended_on, box.hold_until)
    for milestone in policy.deletion_milestones:
        warned = day - timedelta(days=milestone)
        if warned > suspended_on:
            yield Coming(warned, "deletion warning", f"{counted(milestone, 'day')} before {day}, {unless}")
    yield Coming(day, "deletion", f"for good, {unless}")


def _charged_on(connection: Connection, task: Task, box: Row[Any]) -> date | None:
    if not box.auto_renew or box.payment_method_id is None or box.plan not in task.catalog.auto_renewable():
        return None
    return next_charge_on(connection, task.catalog, box, _method(connection, box), task.on)


def _charge(connection: Connection, task: Task, box: Row[Any], day: date) -> Coming:
    method = _method(connection, box)
    gross = euros(quote_renewals(connection, task.catalog, [box])[box.id].gross_cents)
    until = renewed_until(box.expires_on, box.renewal_years)
    number = "" if method.last4 is None else f" ending in {method.last4}"
    name = f"{method.brand or method.kind}{number}"
    ended = card_ended_before(method.exp_month, method.exp_year, day)
    warning = "" if ended is None else f"; but it ends on {ended}, before that"
    return Coming(day, "charge", f"{gross} to {name}: renewed to {until}{warning}")


def _method(connection: Connection, box: Row[Any]) -> Row[Any]:
    return connection.execute(
        select(payment_methods).where(payment_methods.c.payment_method_id == box.payment_method_id)
    ).one()
