"""Renew by itself what the holder wants renewed, charging the stored method (SPEC §3).

A box is due when all of this is true:

- it is active, and the first charge slot (E − 7) has come; it is at most `late_charge_days` after E (only our own
  downtime leads there; they are fewer than 365, so that the renewed E is never in the past);
- auto-renew is switched on, the holder has not cancelled, and it is not on hold;
- it has a payment method, and its plan may be renewed without asking;
- it has no unresolved charge, and no payment that could not be applied to it;
- the method was not declined *hard* in this term (expired, stolen, revoked, …): the bank has said not to ask again.
  One attempt a slot, at most five a term, also keeps within the card networks' limits on repeated attempts;
- no charge of this term was made for the slot that applies today or a later one. A charge that never reached the bank
  (`not_attempted`) does not use up its slot while it is at most `outage_grace_days` after E, but is not repeated on the
  same date. A replaced method (another id or token than the last charge's) is due at once, up to E.

After downtime exactly one attempt is made, for the slot that applies then, not one for each that was missed.

Boxes go by E, then address, several at a time where the gateway can take it. Each is read again, with all of this,
right before its charge: see `lifecycle_jobs.payments.collect`. A renewal above `gateway.max_amount` is parked, not
charged. After `gateway.outage_limit` calls in a row that never reached the gateway, in order of completion and each
after its own back-off, the job stops calling; every due box not reached gets a `not_attempted` charge, which protects
it from suspension. Renewals that need no gateway (agreements, credit, amounts of zero) go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, exists, func, or_, select

from lifecycle_jobs.db.conditions import (
    Refusals,
    by_plan,
    days_from,
    none_of,
    of_this_term,
    unapplied_payment,
    unresolved_charge,
)
from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.tables import boxes, charges, customers, payment_methods, runs
from lifecycle_jobs.jobs.eligibility import charging_window, not_eligible
from lifecycle_jobs.jobs.parts import after_the
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.payments.collect import Collector
from lifecycle_jobs.payments.intents import BOX_IDS
from lifecycle_jobs.policy import Policy
from lifecycle_jobs.runs import JobReport

NAME = "auto_renew"
_AT_A_TIME = 500
_method = payment_methods.alias("method_of_box")
"""The box's own method, looked up for each box that is due by date: joined, all there are might be read for it."""
_is_of_box = _method.c.payment_method_id == boxes.c.payment_method_id


def run(task: Task, collector: Collector, outage_limit: int) -> JobReport:
    """Collect every renewal that is due."""
    outage = _Outage(outage_limit, _calls_lost_in_a_row(task))
    report = JobReport(NAME)
    with task.store.read() as connection:
        tried_today = exists().where(of_this_term, charges.c.attempted_on == task.on)
        report.skipped = task.count_skipped(connection, and_(charging_window(task), ~tried_today), refusals(task))
    results: Counter[str] = Counter()
    through_gateway: dict[int, bool] = {}

    def due() -> Iterator[Row[Any]]:
        for row in _due(task):
            through_gateway[row.id] = row.needs_gateway
            yield row

    def note(box_id: int, result: str | Exception) -> None:
        if isinstance(result, Exception):
            task.park_box(box_id, result)
        else:
            results[result] += 1
            if through_gateway[box_id]:
                outage.note(result)
        del through_gateway[box_id]
        task.advance(1)

    collector.collect(due(), look(task), note, may_be_lost=lambda: outage.left)
    report.done = {f"charge.{status}": results[status] for status in ("unknown", "not_attempted") if results[status]}
    if results["to_be_refunded"]:
        report.done["payment.to_be_refunded"] = results["to_be_refunded"]
    if outage.declared:
        report.failures.append(
            f"The gateway did not take {outage_limit} calls in a row ({_last_refusal(task)}) and was given up for this "
            "run. The boxes not charged are not suspended for it up to the outage grace; the next run tries again."
        )
    return report


def look(task: Task) -> Select[Any]:
    """Of the boxes with the ids `BOX_IDS` those that are due, with all that a charge needs to know, in their order."""
    return (
        select(
            boxes,
            payment_methods.c.kind.label("method_kind"),
            payment_methods.c.token,
            customers.c.gateway_customer_id,
        )
        .join(payment_methods, payment_methods.c.payment_method_id == boxes.c.payment_method_id)
        .join(customers, customers.c.customer_id == boxes.c.customer_id)
        .where(among(boxes.c.id, BOX_IDS), charging_window(task), none_of(refusals(task)))
        .order_by(boxes.c.expires_on, boxes.c.address_key)
    )


def refusals(task: Task) -> Refusals:
    """Why a box in its charging window is not charged now."""
    return [
        *not_eligible(task),
        ("unresolved_charge", unresolved_charge()),
        ("unapplied_payment", unapplied_payment()),
        ("declined_for_good", declined_hard()),
        ("slot_used", and_(_slot_used(task), ~method_replaced(task.on))),
        ("parked", task.parked_here),
    ]


@dataclass(slots=True)
class _Outage:
    limit: int
    lost_in_a_row: int

    @property
    def left(self) -> int:
        """How many more calls in a row may be lost before the gateway is given up."""
        return max(0, self.limit - self.lost_in_a_row)

    @property
    def declared(self) -> bool:
        return self.left == 0

    def note(self, result: str) -> None:
        if self.declared:
            return
        if result == "not_attempted":
            self.lost_in_a_row += 1
        elif result not in {"renewed_without_charge", "changed_meanwhile"}:
            self.lost_in_a_row = 0


def _calls_lost_in_a_row(task: Task) -> int:
    """Where an interrupted pass stood: its last calls that never reached the gateway, counted back.

    What an earlier pass met says nothing about now: it has ended, and the gateway may be back.
    """
    of_an_earlier_pass = exists().where(runs.c.run_on == task.on, runs.c.started_at > charges.c.settled_at)
    of_this_pass = and_(
        charges.c.attempted_on == task.on,
        ~of_an_earlier_pass,
        charges.c.called,
        charges.c.method_kind != "credit",
        charges.c.settled_at.is_not(None),
    )
    with task.store.read() as connection:
        latest = connection.scalars(
            select(charges.c.status).where(of_this_pass).order_by(charges.c.settled_at.desc(), charges.c.id.desc())
        )
        lost = 0
        for status in latest:
            if status != "not_attempted":
                break
            lost += 1
        latest.close()
    return lost


def _last_refusal(task: Task) -> str:
    """What the gateway, or the network on the way to it, said last."""
    with task.store.read() as connection:
        return str(
            connection.scalar(
                select(charges.c.why)
                .where(charges.c.attempted_on == task.on, charges.c.called, charges.c.status == "not_attempted")
                .order_by(charges.c.settled_at.desc(), charges.c.id.desc())
                .limit(1)
            )
        )


def _due(task: Task) -> Iterator[Row[Any]]:
    """Every box that is due, by E and address, read as its turn comes."""
    needs_gateway = exists().where(_is_of_box, _method.c.kind.in_(("card", "paypal")))
    after = and_(True)
    while True:
        with task.store.read() as connection:
            rows = connection.execute(
                select(boxes.c.id, boxes.c.expires_on, boxes.c.address_key, needs_gateway.label("needs_gateway"))
                .where(after, charging_window(task), none_of(refusals(task)))
                .order_by(boxes.c.expires_on, boxes.c.address_key)
                .limit(_AT_A_TIME)
            ).all()
        if not rows:
            return
        yield from rows
        after = after_the(rows[-1])


def _slot_today(policy: Policy, on: date) -> ColumnElement[int]:
    """The latest slot r whose day E − r has come; `policy.slot_on` says the same."""
    return case(*[(boxes.c.expires_on <= days_from(on, r), r) for r in sorted(policy.charge_slots)], else_=None)


def _slot_used(task: Task) -> ColumnElement[bool]:
    """A charge of this term was made for today's slot or a later one (that is, a smaller r)."""

    def under(policy: Policy) -> ColumnElement[bool]:
        grace_is_over = boxes.c.expires_on < days_from(task.on, -policy.outage_grace_days)
        counts = or_(charges.c.status != "not_attempted", charges.c.attempted_on == task.on, grace_is_over)
        return exists().where(of_this_term, charges.c.slot <= _slot_today(policy, task.on), counts)

    return by_plan(task.catalog.groups(), under)


def method_replaced(on: date) -> ColumnElement[bool]:
    """The box has another method, or another token, than its last charge of the term used; up to E."""
    last = select(func.max(charges.c.id)).where(of_this_term).correlate(boxes).scalar_subquery()
    with_other = exists().where(
        charges.c.id == last,
        _is_of_box,
        or_(
            charges.c.payment_method_id != _method.c.payment_method_id,
            charges.c.token.is_distinct_from(_method.c.token),
        ),
    )
    return and_(boxes.c.expires_on >= on, with_other)


def declined_hard() -> ColumnElement[bool]:
    """The bank has said of the box's own method that it is not to be asked again in this term."""
    return exists().where(
        of_this_term,
        charges.c.status == "declined",
        charges.c.hard,
        _is_of_box,
        charges.c.payment_method_id == _method.c.payment_method_id,
        charges.c.token.is_not_distinct_from(_method.c.token),
    )
