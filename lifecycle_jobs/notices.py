"""What the gateway told of its own accord (`gateway_notices`), and what comes of it.

`settle_notices` is called every minute by the daemon. Runs and `reconcile` need nothing of it: they look up every
unresolved charge anyway, and what was told about one of them then agrees with what is recorded.

- An outcome of a charge that is unresolved here: the charge is looked up, and settled as `reconcile_charges` would.
  What was told is not believed by itself.
- One that agrees with what is recorded: nothing.
- One that contradicts it (paid there, declined or not attempted here; paid here, and not there; paid under another
  name; paid under a key of ours that we do not know, as after a restored backup): the gateway is asked once more. If it
  keeps to it nothing is changed, the history gets a `gateway.contradiction`, and the staff a line in `status`.
- A dispute or a refund of a charge of ours: a `gateway.dispute` or `gateway.refund` in the history, and a line for the
  staff. A box under dispute is put on hold by a person, not here (SPEC §2). A refund that was recorded here already
  says nothing new.
- What is about no charge of ours: nothing. A shop may use the same account.

Told twice, late or in any order, it comes to the same: each notice is taken once, and a charge is settled once.

Marking a notice and writing its event is one guarded transaction and needs no lease. The look-up needs that of a run:
while one is under way it waits for the next time. After an hour an unresolved charge is left to the hourly look-up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, false, func, or_, select, update

from lifecycle_jobs import clock, lease, runs
from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import charges, gateway_notices, top_up_charges
from lifecycle_jobs.errors import LeaseHeld
from lifecycle_jobs.gates import check_gap
from lifecycle_jobs.history import Origin, euros, record
from lifecycle_jobs.jobs import reconcile_charges
from lifecycle_jobs.jobs.collecting import collector_for, patience_of
from lifecycle_jobs.jobs.task import Progress, Task
from lifecycle_jobs.mail.compose import compose_within
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.gateway import Declined, LookUpOutcome, Succeeded
from lifecycle_jobs.payments.gateways import open_gateway
from lifecycle_jobs.payments.notices import PAID, charges_of
from lifecycle_jobs.payments.staff_notices import LISTED_DAYS
from lifecycle_jobs.runs import JobReport, Run
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch, heeding

NAME = "settle_notices"

_AT_A_TIME = 500
_FRESH = timedelta(hours=1)

_Verdict = Literal["nothing_new", "ask", "wait", "gateway.contradiction", "gateway.dispute", "gateway.refund"]


@dataclass(slots=True)
class _Desk:
    """What one call of `settle_notices` works with. `answers` are of charges that the gateway was asked about."""

    store: Store
    settings: Settings
    origin: Origin
    progress: Progress
    answers: dict[int, LookUpOutcome] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)

    def ours(self, key: str | None) -> bool:
        """Whether a key was made by this installation, as `payments.intents` and `top_up_charges` make them."""
        prefix = re.escape(self.settings.gateway.key_prefix)
        ours = rf"{prefix}-(\d+-[0-9a-f]{{8}}-\d{{8}}-|topup-[0-9a-f]{{24}}$)"
        return key is not None and re.match(ours, key) is not None


def settle_notices(store: Store, settings: Settings, operator: Operator, progress: Progress) -> JobReport:
    """Take up every notice that waits; what is done is counted by event.

    Raises EmergencyStop while that is on, and GapSuspected: then nobody knows what a notice is to be compared with.
    """
    report = JobReport(NAME)
    with store.read() as connection:
        anything = connection.execute(select(gateway_notices.c.notice_id).where(_waiting).limit(1)).first()
    if anything is not None:
        Switch(store).check()
        check_gap(store, settings, operator.on)
        desk = _Desk(store, settings, operator.operation(), heeding(store, progress))
        to_ask = _go_through(desk)
        if to_ask:
            try:
                with lease.hold(store, "run", settings.lease.seconds) as held:
                    desk.store = store.fenced(held)
                    _ask(desk, to_ask)
                    _go_through(desk)
            except LeaseHeld:
                report.skipped["run_under_way"] = len(to_ask)
        with store.read() as connection:
            report.done = runs.events_of_operation(connection, str(desk.origin.operation), operator.on)
            waiting = connection.scalar(select(func.count()).select_from(gateway_notices).where(_waiting)) or 0
        if waiting:
            report.skipped["waiting"] = waiting
    _forget(store)
    return report


_waiting: ColumnElement[bool] = gateway_notices.c.state == "waiting"


def _go_through(desk: _Desk) -> set[int]:
    """Take each notice that can be taken; returns the charges that the gateway is to be asked about first."""
    to_ask: set[int] = set()
    last: tuple[Any, str] | None = None
    while True:
        after = _after(last)
        with desk.store.read() as connection:
            chunk = connection.execute(
                select(gateway_notices)
                .where(_waiting, after)
                .order_by(gateway_notices.c.received_at, gateway_notices.c.notice_id)
                .limit(_AT_A_TIME)
            ).all()
            known = charges_of(connection, chunk)
        if not chunk:
            return to_ask
        verdicts = [(row, known(row), _judged(desk, row, known(row))) for row in chunk]
        to_ask |= {charge.id for _, charge, verdict in verdicts if verdict == "ask" and charge is not None}
        _take(desk, [each for each in verdicts if each[2] not in {"ask", "wait"}])
        desk.progress(NAME, len(chunk))
        last = chunk[-1].received_at, chunk[-1].notice_id


def _after(last: tuple[Any, str] | None) -> ColumnElement[bool]:
    received, number = gateway_notices.c.received_at, gateway_notices.c.notice_id
    if last is None:
        return and_(True)
    # The first condition is for the index.
    return and_(received >= last[0], or_(received > last[0], number > last[1]))


def _judged(desk: _Desk, notice: Row[Any], charge: Row[Any] | None) -> _Verdict:
    if notice.concerns == "outcome":
        return _judged_outcome(desk, notice, charge)
    if charge is None and _top_up_state(desk, notice) is None:
        return "nothing_new"
    known_here = charge is not None and charge.refunded_on is not None
    if known_here and notice.kind in {"charge.refunded", "refund.created"}:
        return "nothing_new"
    return "gateway.dispute" if notice.concerns == "dispute" else "gateway.refund"


def _top_up_state(desk: _Desk, notice: Row[Any]) -> str | None:
    """What is recorded of the charge for credit that a notice is about; none if it is about none."""
    named = (
        (top_up_charges.c.idempotency_key, notice.idempotency_key),
        (top_up_charges.c.gateway_reference, notice.gateway_reference),
    )
    same = or_(false(), *[column == name for column, name in named if name is not None])
    with desk.store.read() as connection:
        state: str | None = connection.scalar(select(top_up_charges.c.status).where(same).limit(1))
        return state


def _judged_outcome(desk: _Desk, notice: Row[Any], charge: Row[Any] | None) -> _Verdict:
    paid_there = notice.kind == PAID
    if charge is None:
        contradicts = paid_there and desk.ours(notice.idempotency_key)
        # A top-up without an answer is looked up every hour (`reconcile_charges`): nobody waits for it.
        known = _top_up_state(desk, notice) in {"pending", "unknown", "succeeded"}
        return "gateway.contradiction" if contradicts and not known else "nothing_new"
    fresh = notice.received_at > clock.now() - _FRESH
    if charge.status in {"pending", "unknown"}:
        return "ask" if fresh and charge.id not in desk.asked else "wait"
    paid_here = charge.status == "succeeded"
    if paid_here is paid_there:
        same = not paid_here or notice.gateway_reference == charge.gateway_reference
        return "nothing_new" if same else "gateway.contradiction"
    if charge.id not in desk.asked:
        return "ask"
    answer = desk.answers.get(charge.id)
    if isinstance(answer, Succeeded if paid_here else Declined):
        return "nothing_new"
    # Without an answer it is asked again for a while; then a person is told what was told.
    return "gateway.contradiction" if isinstance(answer, Succeeded | Declined) or not fresh else "wait"


def _take(desk: _Desk, verdicts: Sequence[tuple[Row[Any], Row[Any] | None, _Verdict]]) -> None:
    """Mark notices as handled, each once, whoever else is at it; with the event of those that say something new."""
    handled = {"state": "handled", "handled_at": clock.now()}
    quiet = [notice.notice_id for notice, _, verdict in verdicts if verdict == "nothing_new"]
    telling = [each for each in verdicts if each[2] != "nothing_new"]
    if quiet:
        with desk.store.write() as connection:
            connection.execute(
                update(gateway_notices).where(among(gateway_notices.c.notice_id, quiet), _waiting).values(**handled)
            )
    for notice, charge, verdict in telling:
        with desk.store.write() as connection:
            first = connection.execute(
                update(gateway_notices)
                .where(gateway_notices.c.notice_id == notice.notice_id, _waiting)
                .values(**handled, for_staff=True)
            )
            if first.rowcount == 1:
                _tell(connection, desk.origin, verdict, notice, charge)
        desk.progress(NAME, 0)


def _tell(connection: Connection, origin: Origin, kind: str, notice: Row[Any], charge: Row[Any] | None) -> None:
    record(
        connection,
        origin,
        kind,
        box_id=None if charge is None else charge.box_id,
        customer_id=None if charge is None else charge.customer_id,
        term_expires_on=None if charge is None else charge.term_expires_on,
        detail={
            "told": notice.kind,
            "key": notice.idempotency_key if charge is None else charge.idempotency_key,
            "recorded": None if charge is None else charge.status,
            "amount": None if notice.amount_cents is None else euros(notice.amount_cents),
            "reason": notice.reason,
            "reference": notice.gateway_reference,
        },
    )


def _ask(desk: _Desk, charge_ids: set[int]) -> None:
    """Look the charges up: the unresolved ones are settled, with their messages; of the others nothing changes."""
    settings, on = desk.settings, desk.origin.occurred_on
    task = Task(
        job=reconcile_charges.NAME,
        store=desk.store,
        run=Run(on, 0, "everything", on),
        catalog=settings.catalog(),
        chunk_size=settings.database.chunk_size,
        progress=desk.progress,
        outside=desk.origin,
    )
    collector = collector_for(task, settings, open_gateway(settings))
    patience = patience_of(settings)
    with desk.store.read() as connection:
        status = {
            row.id: row.status
            for row in connection.execute(
                select(charges.c.id, charges.c.status).where(among(charges.c.id, sorted(charge_ids)))
            )
        }
    unresolved = [charge_id for charge_id in status if status[charge_id] in {"pending", "unknown"}]
    reconcile_charges.settle_some(task, collector, patience, unresolved)
    with desk.store.write() as connection:
        compose_within(connection, str(desk.origin.operation), on)

    def hear(charge_id: int, answer: LookUpOutcome) -> None:
        desk.answers[charge_id] = answer

    settled = [charge_id for charge_id in status if charge_id not in unresolved]
    collector.look_up(settled, hear, lambda _charge, _result: None, enough=lambda: False)
    desk.asked |= charge_ids


def _forget(store: Store) -> None:
    """Of ten million payments a year Stripe tells as often: what said nothing new is not kept for ever."""
    old = and_(
        gateway_notices.c.state == "handled",
        ~gateway_notices.c.for_staff,
        gateway_notices.c.handled_at < clock.now() - timedelta(days=LISTED_DAYS),
    )
    oldest = select(gateway_notices.c.notice_id).where(old).order_by(gateway_notices.c.handled_at)
    with store.read() as connection:
        if connection.execute(oldest.limit(1)).first() is None:
            return
    with store.write(durable=False) as connection:
        connection.execute(delete(gateway_notices).where(gateway_notices.c.notice_id.in_(oldest.limit(_AT_A_TIME))))
