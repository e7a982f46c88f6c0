"""Why a job does not even consider a box: a matter of its state and of dates. Pure; the dates are those of `policy`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Row

from lifecycle_jobs.languages import Speech
from lifecycle_jobs.policy import UNPAID, Policy, deletion_date, slot_date, suspends_on
from lifecycle_jobs.runs import Run


def not_due(speech: Speech, job: str, box: Row[Any], policy: Policy | None, run: Run) -> str:
    """A sentence for a box that is none of the job's candidates. Raises KeyError for a job that has no boxes."""
    if box.status == "deleted":
        return speech("it was deleted on {on}", on=box.deleted_on)
    if policy is None:
        return speech("its plan, {plan}, is not in the configuration", plan=box.plan)
    return _SENTENCES[job](speech, box, policy, run)


def _no_doubt(speech: Speech, _box: Row[Any], _policy: Policy, _run: Run) -> str:
    return speech("no charge of it is without an answer")


def _no_suspension(speech: Speech, box: Row[Any], _policy: Policy, _run: Run) -> str:
    if box.status == "active":
        return speech("it is paid until {until}", until=box.expires_on)
    if box.suspended_reason == UNPAID:
        return speech("it is suspended already, since {since}", since=box.suspended_on)
    return speech(
        "it is suspended already by hand ({why}), since {since}", why=box.suspended_reason, since=box.suspended_on
    )


def _no_charge(speech: Speech, box: Row[Any], policy: Policy, run: Run) -> str:
    if box.status == "suspended":
        return speech("it is suspended: it has to be renewed by hand")
    first = slot_date(box.expires_on, max(policy.charge_slots))
    if run.on < first:
        return speech(
            "paid until {until}: the first charge would be made on {first}", until=box.expires_on, first=first
        )
    days = speech.count(policy.late_charge_days, "{n} day", "{n} days")
    return speech("its term ended on {ended}, more than {days} ago", ended=box.expires_on, days=days)


def _no_deletion(speech: Speech, box: Row[Any], policy: Policy, _run: Run) -> str:
    if box.status == "active":
        first = suspends_on(box.expires_on)
        return speech("it is not suspended; unpaid, it would be on {first} at the earliest", first=first)
    if box.suspended_reason != UNPAID:
        return speech("it was suspended by hand ({why}): such a box is never deleted", why=box.suspended_reason)
    day = deletion_date(policy, box.expires_on, box.suspended_on, box.hold_until)
    return speech("not before {day}", day=day)


def _no_alert(speech: Speech, box: Row[Any], policy: Policy, run: Run) -> str:
    if box.status == "active":
        if box.expires_on < run.on:
            return speech("its term ended on {ended}: there is nothing left to warn of", ended=box.expires_on)
        milestones = {*policy.alert_milestones, *policy.notice_milestones}
        return _next_one(speech, [box.expires_on - timedelta(days=m) for m in milestones], run)
    if box.suspended_reason != UNPAID:
        return speech("it was suspended by hand ({why}): it is not going to be deleted", why=box.suspended_reason)
    if box.suspended_on == run.on:
        return speech("its holder has just been told of the suspension")
    end = deletion_date(policy, box.expires_on, box.suspended_on, box.hold_until)
    if end <= run.on:
        return speech("the day of its deletion, {day}, has come: no warning is left", day=end)
    return _next_one(speech, [end - timedelta(days=m) for m in policy.deletion_milestones], run)


def _next_one(speech: Speech, days: list[date], run: Run) -> str:
    due = max((day for day in days if run.since < day <= run.on), default=None)
    if due is not None:
        return speech("its holder has been told already, or need not be, on {day}", day=due)
    following = min((day for day in days if day > run.on), default=None)
    if following is None:
        return speech("no message falls on this day")
    return speech("no message falls on this day; the next one may on {following}", following=following)


_SENTENCES: Mapping[str, Callable[[Speech, Row[Any], Policy, Run], str]] = {
    "reconcile_charges": _no_doubt,
    "auto_renew": _no_charge,
    "suspend": _no_suspension,
    "delete": _no_deletion,
    "send_alerts": _no_alert,
}
