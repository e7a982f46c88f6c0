"""Renew add-ons from prepaid credit, or switch them off (SPEC §3).

Looks at active add-ons with `paid_from = credit` whose box is not deleted and has no unresolved charge, in the order of
A (the add-on's expires_on), then id. The customer's balance is locked while it is used. The cost is quantity × unit
price × whole years, a begun year counting whole, plus VAT.

- The box was renewed (active, E ≥ the business date, E later than A): with enough credit for the years from A to E the
  amount is debited, A becomes E, `addon.renewed`. Without, `addon.credit_short` once per term up to and including day
  A, and `addon.disabled` after it.
- The box was not renewed, and A has passed: without enough credit for the box's renewal_years, `addon.disabled`; with
  it, the add-on waits, undebited, for its box.
- The holder gave the add-on up (`cancelled_on`): it ends after A, `addon.disabled` with the reason `cancelled`; this
  holds for add-ons paid with the renewal too, which would otherwise stay active for nothing.

All or nothing per add-on: one that is too dear does not stop a later, cheaper one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from lifecycle_jobs import runs
from lifecycle_jobs.db.conditions import Refusals, first_reason, none_of, unapplied_payment, unresolved_charge
from lifecycle_jobs.db.dialect import Parameter, among, joined
from lifecycle_jobs.db.faults import concerns_one_row
from lifecycle_jobs.db.tables import addons, boxes, customers, events, parked_rows
from lifecycle_jobs.history import euros, record
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.payments.credit import debit, lock_balance
from lifecycle_jobs.payments.orders import place_paid_addon_order
from lifecycle_jobs.policy import AddonStep, addon_renewed_with_box, addon_step, whole_years
from lifecycle_jobs.runs import JobReport

NAME = "renew_addons"
WAITS = "waits_for_its_box"
ANNOUNCED = "already_announced"
"""Why an add-on stays as it is that nothing speaks against."""
_AT_A_TIME = 200
_IDS = Parameter("addon_ids")
_with_box = addons.join(boxes, boxes.c.id == addons.c.box_id)


def run(task: Task) -> JobReport:
    """Settle every credit add-on whose turn has come."""
    report = JobReport(NAME)
    asked = _asked(task)
    for addon_ids in _in_turn(task):
        with task.store.read() as connection:
            rows = connection.execute(asked.some, {_IDS.name: addon_ids}).all()
        spent: set[str] = set()
        for row in rows:
            # Most of these wait for their box, day after day: told from what was read, unless it has changed since.
            if row.customer_id not in spent and _nothing_to_do(task, row):
                reason = ANNOUNCED if row.announced else WAITS
                report.skipped[reason] = report.skipped.get(reason, 0) + 1
                continue
            spent.add(row.customer_id)
            try:
                with task.store.write() as connection:
                    _settle(connection, task, asked, row)
            except Exception as error:
                if not concerns_one_row(error):
                    raise
                runs.park(task.store, task.run, NAME, f"addon:{row.addon_id}", error, box_id=row.box_id)
        with task.store.read() as connection:
            left_alone = Counter(connection.scalars(asked.left_alone, {_IDS.name: addon_ids}))
        for reason, number in left_alone.items():
            report.skipped[reason] = report.skipped.get(reason, 0) + number
        task.advance(len(rows))
    return report


def candidates(task: Task) -> ColumnElement[bool]:
    """Active add-ons of living boxes that have come to their end or whose box has gone on without them."""
    followed = and_(boxes.c.status == "active", boxes.c.expires_on >= task.on, boxes.c.expires_on > addons.c.expires_on)
    past = addons.c.expires_on < task.on
    return and_(
        addons.c.status == "active",
        boxes.c.status != "deleted",
        case(
            (addons.c.cancelled_on.is_not(None), past),
            (addons.c.paid_from == "credit", or_(followed, past)),
            else_=False,
        ).is_(True),
        task.in_scope,
    )


def refusals(task: Task) -> Refusals:
    """Why such an add-on is left alone."""
    return [
        ("unresolved_charge", unresolved_charge()),
        ("unapplied_payment", unapplied_payment()),
        ("parked", _parked_here(task)),
    ]


def announced() -> ColumnElement[bool]:
    """The holder has been told in this term that the credit does not cover the add-on."""
    return exists().where(
        events.c.addon_id == addons.c.addon_id,
        events.c.term_expires_on == addons.c.expires_on,
        events.c.kind == "addon.credit_short",
    )


def _parked_here(task: Task) -> ColumnElement[bool]:
    """This very add-on made the job fail in this pass: it is not tried twice, the others of its box are."""
    return exists().where(
        parked_rows.c.job == NAME,
        parked_rows.c.subject == joined(literal("addon:"), addons.c.addon_id),
        parked_rows.c.last_run_on == task.on,
        parked_rows.c.state == "open",
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of add-ons: of some their turn, of one the same and to be locked, of some why they are left alone.

    Put together once in a pass: to put one of these together takes longer than to have it answered.
    """

    some: Select[Any]
    one: Select[Any]
    left_alone: Select[str]


def _asked(task: Task) -> _Asked:
    turn = (
        select(
            addons,
            boxes.c.status.label("box_status"),
            boxes.c.expires_on.label("box_expires_on"),
            boxes.c.renewal_years,
            boxes.c.customer_id,
            customers.c.credit_cents,
            announced().label("announced"),
        )
        .select_from(_with_box.join(customers, customers.c.customer_id == boxes.c.customer_id))
        .where(candidates(task), none_of(refusals(task)))
    )
    reason = first_reason(refusals(task))
    these = among(addons.c.addon_id, _IDS)
    return _Asked(
        some=turn.where(these).order_by(addons.c.expires_on, addons.c.addon_id),
        one=turn.where(addons.c.addon_id == bindparam("chosen")).with_for_update(of=(boxes, addons), key_share=True),
        left_alone=select(reason).select_from(_with_box).where(these, candidates(task), reason.is_not(None)),
    )


def _in_turn(task: Task) -> Iterator[Sequence[str]]:
    """The ids of all add-ons whose turn may be now, in order, some at a time.

    Asked of the add-ons alone, each time a range of an index: those past A, then those that their box has left behind.
    """
    for turn in (
        addons.c.expires_on < task.on,
        and_(addons.c.behind, addons.c.expires_on >= task.on),
    ):
        after = and_(True)
        while True:
            with task.store.read() as connection:
                rows = connection.execute(
                    select(addons.c.addon_id, addons.c.expires_on)
                    .where(after, addons.c.status == "active", turn, task.of_whose(addons.c.box_id))
                    .order_by(addons.c.expires_on, addons.c.addon_id)
                    .limit(_AT_A_TIME)
                ).all()
            if rows:
                yield [row.addon_id for row in rows]
            if len(rows) < _AT_A_TIME:
                break
            after = _after_the(rows[-1])


def _after_the(last: Any) -> ColumnElement[bool]:
    # Compared as a pair, for the index to begin right there: see `parts.after_the`.
    return tuple_(addons.c.expires_on, addons.c.addon_id) > tuple_(
        literal(last.expires_on, addons.c.expires_on.type), literal(last.addon_id, addons.c.addon_id.type)
    )


@dataclass(frozen=True, slots=True)
class _Decision:
    step: AddonStep
    years: int
    net_cents: int
    cost_cents: int


def _decide(task: Task, addon: Any, balance: int) -> _Decision:
    followed = addon_renewed_with_box(
        box_status=addon.box_status,
        box_expires_on=addon.box_expires_on,
        addon_expires_on=addon.expires_on,
        on=task.on,
    )
    years = whole_years(addon.expires_on, addon.box_expires_on) if followed else addon.renewal_years
    net = addon.quantity * addon.unit_price_cents * years
    cost = task.catalog.gross(net)
    step = addon_step(
        followed=followed,
        cancelled=addon.cancelled_on is not None,
        addon_expires_on=addon.expires_on,
        on=task.on,
        cost_cents=cost,
        balance_cents=balance,
    )
    return _Decision(step, years, net, cost)


def _nothing_to_do(task: Task, addon: Any) -> bool:
    step = _decide(task, addon, addon.credit_cents).step
    return step == "wait" or (step == "announce_short" and addon.announced)


def _settle(connection: Connection, task: Task, asked: _Asked, chosen: Any) -> None:
    # The box by itself first: whoever held it may have left money to be refunded, which a look that waited for the box
    # would not see. Box before balance, as when a box is charged to credit: the other way round two of them could wait
    # for each other.
    connection.execute(select(boxes.c.id).where(boxes.c.id == chosen.box_id).with_for_update(key_share=True))
    addon = connection.execute(asked.one, {"chosen": chosen.addon_id}).one_or_none()
    if addon is None:
        return
    balance = lock_balance(connection, addon.customer_id)
    decision = _decide(task, addon, balance)
    cost = decision.cost_cents
    amounts = {"cost": euros(cost), "balance": euros(balance), "shortfall": euros(cost - balance)}
    if decision.step == "renew":
        _renew(connection, task, addon, decision)
    elif decision.step == "end":
        _change(connection, addon, status="terminated")
        _tell(connection, task, addon, "addon.disabled", {"reason": "cancelled"})
    elif decision.step == "disable":
        _change(connection, addon, status="disabled")
        _tell(connection, task, addon, "addon.disabled", {"reason": "credit_short"} | amounts)
    elif decision.step == "announce_short" and not addon.announced:
        new_term = {"new_expires_on": addon.box_expires_on.isoformat()}
        _tell(connection, task, addon, "addon.credit_short", amounts | new_term)


def _renew(connection: Connection, task: Task, addon: Row[Any], decision: _Decision) -> None:
    cost = decision.cost_cents
    number = place_paid_addon_order(
        connection,
        addon=addon,
        paid_from=addon.expires_on,
        customer_id=addon.customer_id,
        years=decision.years,
        net_cents=decision.net_cents,
        gross_cents=cost,
        on=task.on,
    )
    balance = debit(connection, addon.customer_id, cost, on=task.on, reason="addon", order_number=number)
    if balance is None:
        message = f"add-on {addon.addon_id}: the balance fell while it was locked"
        raise RuntimeError(message)
    _change(connection, addon, expires_on=addon.box_expires_on)
    detail = {
        "cost": euros(cost),
        "balance": euros(balance),
        "new_expires_on": addon.box_expires_on.isoformat(),
        "order_number": number,
    }
    _tell(connection, task, addon, "addon.renewed", detail)


def _change(connection: Connection, addon: Row[Any], **values: Any) -> None:
    connection.execute(
        update(addons)
        .where(
            addons.c.addon_id == addon.addon_id,
            addons.c.status == "active",
            addons.c.expires_on == addon.expires_on,
        )
        .values(**values)
    )


def _tell(connection: Connection, task: Task, addon: Row[Any], kind: str, detail: dict[str, Any]) -> None:
    record(
        connection,
        task.origin,
        kind,
        box_id=addon.box_id,
        addon_id=addon.addon_id,
        customer_id=addon.customer_id,
        term_expires_on=addon.expires_on,
        detail=detail,
    )
