"""Find out what became of charges whose answer was lost, before anything else is done to their boxes (SPEC §3).

Every charge left `pending` (the process died) or `unknown` (the answer was lost) is looked up at the gateway, by key:

- found: the outcome is applied exactly as if the answer had come in time, dated today;
- never seen: believed only on a later business date than the attempt's, and only after the gateway's own lag
  (`gateway.trust_not_found_after` with a real one), because look-ups can run behind; it becomes `not_attempted`;
- never seen, but `pending` from this very date (cut off with its process), and its box still asks for it: presented
  again under its own key, see `lifecycle_jobs.payments.collect`;
- no answer: it stays unresolved, and while it does nobody charges, warns, suspends or deletes its box.

Charges for credit (`payments.top_up_charges`) are looked up in the same way, and never presented again.

A pass that was cut off during auto_renew does this again before it goes on, for the charge it had in hand.

Look-ups are given up for this run after `gateway.outage_limit` in a row without an answer. After
`gateway.report_unresolved_after` days an unresolved charge is reported as an error; a clerk who has looked at the
gateway's own pages can then settle it: `lifecycle-jobs charges resolve`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, select

from lifecycle_jobs import clock, runs
from lifecycle_jobs.db.conditions import days_from, still_unresolved, unresolved
from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.faults import concerns_one_row
from lifecycle_jobs.db.tables import charges, top_up_charges
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.payments.collect import Collector
from lifecycle_jobs.payments.gateway import ChargeOutcome, LookUpOutcome, NeverSeen, NoAnswer, NotAttempted
from lifecycle_jobs.payments.top_up_charges import (
    look_up_top_up,
    settle_top_up,
    top_up_request,
    unresolved_top_up,
    unresolved_top_ups,
)
from lifecycle_jobs.runs import JobReport

NAME = "reconcile_charges"
LEFT_ALONE = ("not_trusted_yet", "changed_meanwhile", "no_answer")
"""Why a charge stays unresolved."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long doubt about a charge may last.

    `resend_within`: how old an interrupted one may be to be presented again. `report_after`: days after which an
    unresolved one is an error. `outage_limit`: look-ups in a row without an answer after which no more is asked.
    """

    resend_within: timedelta
    report_after: int
    outage_limit: int


def run(task: Task, collector: Collector, patience: Patience) -> JobReport:
    """Look up every unresolved charge."""
    found = _settle_all(task, collector, patience, unresolved) + _settle_top_ups(task, collector, patience)
    report = JobReport(NAME)
    report.done = {f"charge.{name}": found[name] for name in ("not_attempted",) if found[name]}
    if found["to_be_refunded"]:
        report.done["payment.to_be_refunded"] = found["to_be_refunded"]
    report.skipped = {name: found[name] for name in LEFT_ALONE if found[name]}
    with task.store.read() as connection:
        old = _older_than(connection, task, patience.report_after, charges, unresolved)
        old_top_ups = _older_than(connection, task, patience.report_after, top_up_charges, unresolved_top_up)
    if old_top_ups:
        report.failures.append(
            f"{old_top_ups} charges for credit have been unresolved for {patience.report_after} days or more: look at "
            "them (lifecycle-jobs status). Once you know from the gateway what became of one: lifecycle-jobs charges "
            "resolve"
        )
    if old:
        report.failures.append(
            f"{old} charges have been unresolved for {patience.report_after} days or more: their boxes are neither "
            "charged, warned, suspended nor deleted. Look at them: lifecycle-jobs status. Once you know from the "
            "gateway what became of one: lifecycle-jobs charges resolve"
        )
    return report


def resume(task: Task, collector: Collector, patience: Patience) -> None:
    """Settle what a later job had in hand when its process died; this job was done already in that pass."""
    cut_off = and_(charges.c.status == "pending", charges.c.attempted_on == task.on)
    _settle_all(task, collector, patience, cut_off)


def settle_some(task: Task, collector: Collector, patience: Patience, charge_ids: Sequence[int]) -> None:
    """Look these up, as far as they are unresolved: the gateway has told that something became of them."""
    _settle_all(task, collector, patience, and_(among(charges.c.id, charge_ids), still_unresolved))


def _settle_all(task: Task, collector: Collector, patience: Patience, chosen: ColumnElement[bool]) -> Counter[str]:
    with task.store.read() as connection:
        # Put in order here: SQLite would go through all charges in that order instead of looking up these few.
        of_whose = select(charges).where(chosen, task.of_whose(charges.c.box_id))
        found_now = sorted(connection.execute(of_whose), key=lambda row: row.id)
    rows = {row.id: row for row in found_now}
    found: Counter[str] = Counter()
    silent: set[int] = set()
    cut_off: list[int] = []
    unanswered = 0

    def judge(charge_id: int, answer: LookUpOutcome) -> ChargeOutcome | None:
        nonlocal unanswered
        if isinstance(answer, NoAnswer):
            unanswered += 1
            silent.add(charge_id)
            return None
        unanswered = 0
        if not isinstance(answer, NeverSeen):
            return answer
        charge = rows[charge_id]
        age = clock.now() - charge.attempted_at
        if charge.attempted_on < task.on and age >= collector.gateway.lag:
            return NotAttempted("the gateway never saw it")
        remembered = collector.gateway.memory is None or age <= patience.resend_within
        if charge.status == "pending" and charge.attempted_on == task.on and remembered:
            cut_off.append(charge_id)
        return None

    def note(charge_id: int, result: str | Exception) -> None:
        if isinstance(result, Exception):
            runs.park(task.store, task.run, NAME, f"charge:{charge_id}", result, box_id=rows[charge_id].box_id)
        else:
            found["no_answer" if charge_id in silent else result] += 1
        task.advance(1)

    collector.look_up(list(rows), judge, note, enough=lambda: unanswered >= patience.outage_limit)
    found["not_trusted_yet"] -= len(cut_off)
    found["no_answer"] += len(rows) - found.total() - len(cut_off)
    collector.present_again(cut_off, note)
    return found


def _settle_top_ups(task: Task, collector: Collector, patience: Patience) -> Counter[str]:
    """Look up what was charged for credit: one after the other, as there are few; never presented again."""
    found: Counter[str] = Counter()
    with task.store.read() as connection:
        rows = unresolved_top_ups(connection, task.of_customer)
    unanswered = 0
    for row in rows:
        if unanswered >= patience.outage_limit:
            found["no_answer"] += 1
            continue
        try:
            with task.store.read() as connection:
                request = top_up_request(connection, row.id)
            outcome = look_up_top_up(collector.gateway, request, row.attempted_on, task.on)
            unanswered = 0 if outcome is not None else unanswered + 1
            if outcome is None:
                found["not_trusted_yet"] += 1
            else:
                with task.store.write() as connection:
                    settle_top_up(connection, task.origin, row.id, outcome)
        except Exception as error:
            if not concerns_one_row(error):
                raise
            runs.park(task.store, task.run, NAME, f"topup:{row.id}", error, box_id=None)
        task.advance(1)
    return found


def _older_than(
    connection: Connection, task: Task, days: int, table: Table, without_answer: ColumnElement[bool]
) -> int:
    too_old = table.c.attempted_on <= days_from(task.on, -days)
    # Counted among those without an answer: in a WHERE, SQLite would rather walk through all that are old.
    return connection.scalar(select(func.count(case((too_old, 1)))).select_from(table).where(without_answer)) or 0
