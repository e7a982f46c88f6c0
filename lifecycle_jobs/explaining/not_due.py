"""Why a job does not even consider a box: a matter of its state and of dates. Pure; the dates are those of `policy`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Row

from lifecycle_jobs.policy import UNPAID, Policy, deletion_date, slot_date, suspends_on
from lifecycle_jobs.runs import Run


def not_due(job: str, box: Row[Any], policy: Policy | None, run: Run) -> str:
    """A sentence for a box that is none of the job's candidates. Raises KeyError for a job that has no boxes."""
    if box.status == "deleted":
        return f"it was deleted on {box.deleted_on}"
    if policy is None:
        return f"its plan, {box.plan}, is not in the configuration"
    return _SENTENCES[job](box, policy, run)


def _no_doubt(_box: Row[Any], _policy: Policy, _run: Run) -> str:
    return "no charge of it is without an answer"


def _no_suspension(box: Row[Any], _policy: Policy, _run: Run) -> str:
    if box.status == "active":
        return f"it is paid until {box.expires_on}"
    by_hand = "" if box.suspended_reason == UNPAID else f" by hand ({box.suspended_reason})"
    return f"it is suspended already{by_hand}, since {box.suspended_on}"


def _no_charge(box: Row[Any], policy: Policy, run: Run) -> str:
    if box.status == "suspended":
        return "it is suspended: it has to be renewed by hand"
    first = slot_date(box.expires_on, max(policy.charge_slots))
    if run.on < first:
        return f"paid until {box.expires_on}: the first charge would be made on {first}"
    return f"its term ended on {box.expires_on}, more than {policy.late_charge_days} days ago"


def _no_deletion(box: Row[Any], policy: Policy, _run: Run) -> str:
    if box.status == "active":
        return f"it is not suspended; unpaid, it would be on {suspends_on(box.expires_on)} at the earliest"
    if box.suspended_reason != UNPAID:
        return f"it was suspended by hand ({box.suspended_reason}): such a box is never deleted"
    return f"not before {deletion_date(policy, box.expires_on, box.suspended_on, box.hold_until)}"


def _no_alert(box: Row[Any], policy: Policy, run: Run) -> str:
    if box.status == "active":
        if box.expires_on < run.on:
            return f"its term ended on {box.expires_on}: there is nothing left to warn of"
        return _next_one(
            [box.expires_on - timedelta(days=m) for m in {*policy.alert_milestones, *policy.notice_milestones}], run
        )
    if box.suspended_reason != UNPAID:
        return f"it was suspended by hand ({box.suspended_reason}): it is not going to be deleted"
    if box.suspended_on == run.on:
        return "its holder has just been told of the suspension"
    end = deletion_date(policy, box.expires_on, box.suspended_on, box.hold_until)
    if end <= run.on:
        return f"the day of its deletion, {end}, has come: no warning is left"
    return _next_one([end - timedelta(days=m) for m in policy.deletion_milestones], run)


def _next_one(days: list[date], run: Run) -> str:
    due = max((day for day in days if run.since < day <= run.on), default=None)
    if due is not None:
        return f"its holder has been told already, or need not be, on {due}"
    following = min((day for day in days if day > run.on), default=None)
    nothing = "no message falls on this day"
    return nothing if following is None else f"{nothing}; the next one may on {following}"


_SENTENCES: Mapping[str, Callable[[Row[Any], Policy, Run], str]] = {
    "reconcile_charges": _no_doubt,
    "auto_renew": _no_charge,
    "suspend": _no_suspension,
    "delete": _no_deletion,
    "send_alerts": _no_alert,
}
