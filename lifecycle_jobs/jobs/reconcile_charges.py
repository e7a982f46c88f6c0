"""Find out what became of charges whose answer was lost, before anything else is done to their boxes (SPEC §3).

Every charge left `pending` (the process died) or `unknown` (the answer was lost) is looked up at the gateway, by key:

- found: the outcome is applied exactly as if the answer had come in time, dated today;
- never seen: believed only on a later business date than the attempt's, and only after the gateway's own lag
  (`gateway.trust_not_found_after` with a real one), because look-ups can run behind; it becomes `not_attempted`;
- never seen, but `pending` from this very date (cut off with its process), and its box still asks for it: presented
  again under its own key, see `lifecycle_jobs.payments.collect`;
- no answer: it stays unresolved, and while it does nobody charges, warns, suspends or deletes its box.

A pass that was cut off during auto_renew does this again before it goes on, for the charge it had in hand.

After `gateway.report_unresolved_after` days an unresolved charge is reported as an error.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from lifecycle_jobs import clock, runs
from lifecycle_jobs.db.conditions import days_from, unresolved
from lifecycle_jobs.db.tables import charges
from lifecycle_jobs.jobs.eligibility import still_wanted
from lifecycle_jobs.jobs.task import Task, concerns_one_row
from lifecycle_jobs.payments.collect import Collector
from lifecycle_jobs.payments.gateway import NeverSeen, NoAnswer, NotAttempted
from lifecycle_jobs.runs import JobReport

NAME = "reconcile_charges"


def run(task: Task, collector: Collector, *, resend_within: timedelta, report_after: int) -> JobReport:
    """Look up every unresolved charge. `report_after` is in days."""
    found = _settle_all(task, collector, resend_within, unresolved)
    report = JobReport(NAME)
    report.done = {f"charge.{name}": found[name] for name in ("not_attempted",) if found[name]}
    report.skipped = {
        name: found[name] for name in ("not_trusted_yet", "changed_meanwhile", "no_answer") if found[name]
    }
    with task.store.read() as connection:
        old = _older_than(connection, task, report_after)
    if old:
        report.failures.append(
            f"{old} charges have been unresolved for {report_after} days or more: their boxes are neither charged, "
            "warned, suspended nor deleted. Look at them: lifecycle-jobs status"
        )
    return report


def resume(task: Task, collector: Collector, *, resend_within: timedelta) -> None:
    """Settle what a later job had in hand when its process died; this job was done already in that pass."""
    cut_off = and_(charges.c.status == "pending", charges.c.attempted_on == task.on)
    _settle_all(task, collector, resend_within, cut_off)


def _settle_all(
    task: Task, collector: Collector, resend_within: timedelta, chosen: ColumnElement[bool]
) -> Counter[str]:
    found: Counter[str] = Counter()
    with task.store.read() as connection:
        rows = connection.execute(select(charges).where(chosen).order_by(charges.c.id)).all()
    for charge in rows:
        try:
            found[_settle(task, collector, charge, resend_within)] += 1
        except Exception as error:
            if not concerns_one_row(error):
                raise
            runs.park(task.store, task.run, NAME, f"charge:{charge.id}", error, box_id=charge.box_id)
        task.advance(1)
    return found


def _settle(task: Task, collector: Collector, charge: Row[Any], resend_within: timedelta) -> str:
    answer = collector.gateway.look_up(charge.idempotency_key)
    if isinstance(answer, NoAnswer):
        return "no_answer"
    if not isinstance(answer, NeverSeen):
        return collector.settle(charge.id, answer)
    age = clock.now() - charge.attempted_at
    if charge.attempted_on < task.on and age >= collector.gateway.lag:
        return collector.settle(charge.id, NotAttempted("the gateway never saw it"))
    memory = collector.gateway.memory
    if charge.status == "pending" and charge.attempted_on == task.on and (memory is None or age <= resend_within):
        return collector.present_again(charge.id, still_wanted(task, charge.id))
    return "not_trusted_yet"


def _older_than(connection: Connection, task: Task, days: int) -> int:
    too_old = charges.c.attempted_on <= days_from(task.on, -days)
    return connection.scalar(select(func.count()).select_from(charges).where(unresolved, too_old)) or 0
