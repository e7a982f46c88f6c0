"""What is going to happen to a box under today's policy, if nobody does anything: the dates and the money.

The dates are those of `policy`; whether it renews by itself, and what that will cost, is asked where the jobs ask it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select

from lifecycle_jobs.accounts.next_charge import next_charge_on, next_run_on
from lifecycle_jobs.db.conditions import latest_charge_not_attempted
from lifecycle_jobs.db.tables import boxes, payment_methods
from lifecycle_jobs.jobs.send_alerts import will_be_auto_renewed
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.languages import Speech, spoken
from lifecycle_jobs.languages.payment_methods import method_text
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


@dataclass(frozen=True, slots=True)
class Coming:
    """One thing that lies ahead of a box. `what` is one of the codes of the group `coming`."""

    on: date
    what: str
    told: str


class _Unless(NamedTuple):
    """What comes only if something fails that lies before it."""

    suspension: str
    warning: str
    deletion: str


_UNPAID: Final = _Unless(
    spoken("if it is not paid"),
    spoken("{days} before {day}, if it is not paid"),
    spoken("for good, if it is not paid"),
)
_AFTER_CHARGE: Final = _Unless(
    spoken("if the charge does not go through"),
    spoken("{days} before {day}, if the charge does not go through"),
    spoken("for good, if the charge does not go through"),
)


def coming_of(speech: Speech, connection: Connection, task: Task, box: Row[Any]) -> list[Coming]:
    """What lies ahead of a box from the task's date on, earliest first; of warnings, those that W has not passed."""
    if box.status == "deleted" or box.plan not in task.catalog.plans:
        return []
    policy = task.catalog.policy_of(box.plan)
    if box.status == "active":
        found = _of_active(speech, connection, task, box, policy)
    else:
        found = _of_suspended(speech, box, policy)
    ahead = (each for each in found if each.on >= task.on and not _behind(each, task))
    return sorted(ahead, key=lambda each: each.on)


def _behind(coming: Coming, task: Task) -> bool:
    """A warning whose day a completed run has been through: the holder was told then, or was not to be told."""
    return coming.what in {"expiry alert", "renewal notice", "deletion warning"} and coming.on <= task.run.since


def _of_active(speech: Speech, connection: Connection, task: Task, box: Row[Any], policy: Policy) -> Iterator[Coming]:
    end = box.expires_on
    renewing = connection.scalar(select(boxes.c.id).where(boxes.c.id == box.id, will_be_auto_renewed(task))) is not None
    if box.cancelled_on is None:
        milestones = policy.notice_milestones if renewing else policy.alert_milestones
        kind = "renewal notice" if renewing else "expiry alert"
        for milestone in milestones:
            days = speech.count(milestone, "{n} day", "{n} days")
            told = speech("{days} before {end}", days=days, end=end)
            yield Coming(end - timedelta(days=milestone), kind, told)
    charged_on = _charged_on(connection, task, box)
    if charged_on is not None:
        yield _charge(speech, connection, task, box, charged_on)
    first = max(suspends_on(end), next_run_on(connection, task.on))
    if charged_on is not None:
        # Later than E only after an outage: until then it is not suspended.
        first = max(first, charged_on)
    elif _outage_came_last(connection, box):
        first = max(first, end + timedelta(days=policy.outage_grace_days + 1))
    if on_hold(box.hold_until, box.hold_reason, first):
        if box.hold_until is None:
            return
        first = box.hold_until + timedelta(days=1)
    unless = _AFTER_CHARGE if charged_on is not None else _UNPAID
    yield Coming(first, "suspension", speech(unless.suspension))
    yield from _deletion(speech, box, policy, first, unless)


def _outage_came_last(connection: Connection, box: Row[Any]) -> bool:
    found = connection.scalar(select(boxes.c.id).where(boxes.c.id == box.id, latest_charge_not_attempted()))
    return found is not None


def _of_suspended(speech: Speech, box: Row[Any], policy: Policy) -> Iterator[Coming]:
    endless = box.hold_until is None and box.hold_reason is not None
    if box.suspended_reason == UNPAID and not endless:
        yield from _deletion(speech, box, policy, box.suspended_on, _UNPAID)


def _deletion(speech: Speech, box: Row[Any], policy: Policy, suspended_on: date, unless: _Unless) -> Iterator[Coming]:
    day = deletion_date(policy, box.expires_on, suspended_on, box.hold_until)
    for milestone in policy.deletion_milestones:
        warned = day - timedelta(days=milestone)
        if warned > suspended_on:
            days = speech.count(milestone, "{n} day", "{n} days")
            yield Coming(warned, "deletion warning", speech(unless.warning, days=days, day=day))
    yield Coming(day, "deletion", speech(unless.deletion))


def _charged_on(connection: Connection, task: Task, box: Row[Any]) -> date | None:
    if not box.auto_renew or box.payment_method_id is None or box.plan not in task.catalog.auto_renewable():
        return None
    return next_charge_on(connection, task.catalog, box, _method(connection, box), task.on)


def _charge(speech: Speech, connection: Connection, task: Task, box: Row[Any], day: date) -> Coming:
    method = _method(connection, box)
    said = {
        "amount": speech.euros(quote_renewals(connection, task.catalog, [box])[box.id].gross_cents),
        "method": method_text(speech, method.kind, method.brand, method.last4),
        "until": renewed_until(box.expires_on, box.renewal_years),
    }
    ended = card_ended_before(method.exp_month, method.exp_year, day)
    if ended is None:
        return Coming(day, "charge", speech("{amount} to {method}: renewed to {until}", **said))
    told = speech("{amount} to {method}: renewed to {until}; but it ends on {ended}, before that", ended=ended, **said)
    return Coming(day, "charge", told)


def _method(connection: Connection, box: Row[Any]) -> Row[Any]:
    return connection.execute(
        select(payment_methods).where(payment_methods.c.payment_method_id == box.payment_method_id)
    ).one()
