"""The first step of the exactly-once protocol: what is going to be charged is written down (see `collect`).

For as many boxes at once as can be called right after: one transaction, and each statement speaks of all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, func, insert, select

from lifecycle_jobs import clock
from lifecycle_jobs.db.dialect import Parameter, among, as_it_stands
from lifecycle_jobs.db.tables import boxes, charges, events, message_events, messages, orders
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.history import Origin, euros
from lifecycle_jobs.payments.credit import debit
from lifecycle_jobs.payments.gateway import ChargeRequest, Declined, NotAttempted, Succeeded
from lifecycle_jobs.payments.orders import Order, orders_of_terms
from lifecycle_jobs.payments.outcomes import Result, settle_all
from lifecycle_jobs.payments.renewals import Settled, apply_renewals
from lifecycle_jobs.policy import Catalog, Policy, slot_date, slot_on

NOTICE_DAYS = 30
"""Written notice before an automatic renewal, at the least (art. 65-bis of the Italian consumer code)."""


BOX_IDS = Parameter("box_ids")
"""The parameter by which a look is told which boxes to look at."""

_BY_ID = select(boxes.c.id).where(among(boxes.c.id, BOX_IDS)).order_by(boxes.c.id).with_for_update(key_share=True)


class AmountTooHigh(LifecycleError):
    """A renewal costs more than `gateway.max_amount`: not charged, a person has to look at it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What orders are collected under.

    `since` is W (SPEC §1): of the days between it and the business date this database knows nothing.
    """

    catalog: Catalog
    origin: Origin
    since: date
    key_prefix: str
    max_amount_cents: int


@dataclass(frozen=True, slots=True)
class Presentation:
    """What the gateway is asked to charge, and what it is asked before: whether it was not charged already.

    If this is the database of an older day, restored from a backup, then the days since may have brought charges of
    which it knows nothing: `forgotten` holds what they would have been asked under, one request for each slot in
    those days and for a method replaced in it.
    """

    request: ChargeRequest
    forgotten: Sequence[ChargeRequest] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """A charge that is written down, with no outcome yet."""

    charge_id: int
    box_id: int
    order: Order
    method_kind: str
    presentation: Presentation


@dataclass(frozen=True, slots=True)
class Begun:
    """Results by box that are there already, and the charges that are to be called now."""

    results: Mapping[int, Result | Exception]
    intents: Sequence[Intent]


def write_down(
    connection: Connection, terms: Terms, look: Select[Any], box_ids: Sequence[int], *, called: bool
) -> Begun:
    """Look at some boxes for the last time, lock those that are due, and write down what is going to be charged.

    `look` is the rule, with `BOX_IDS` for a parameter. What needs no gateway (agreements, credit, amounts of zero) is
    settled at once. Unless `called`, the gateway was given up before their turn came, and what needs it is too.
    """
    # By themselves first: a look that waited for a box would not see what whoever held it left without altering it,
    # like a transfer that could not be applied; and the holder would pay twice.
    connection.execute(_BY_ID, {BOX_IDS.name: box_ids})
    rows = {row.id: row for row in connection.execute(look, {BOX_IDS.name: box_ids})}
    due = [rows[box_id] for box_id in box_ids if box_id in rows]
    results: dict[int, Result | Exception] = {box_id: "changed_meanwhile" for box_id in box_ids if box_id not in rows}
    orders_by_box = orders_of_terms(connection, terms.catalog, due, on=terms.origin.occurred_on) if due else {}
    to_charge = []
    for box in due:
        order = orders_by_box[box.id]
        if box.method_kind == "agreement" or order.gross_cents == 0:
            _renew_without_charge(connection, terms, box, order)
            results[box.id] = "renewed_without_charge"
        elif box.method_kind != "credit" and order.gross_cents > terms.max_amount_cents:
            results[box.id] = _too_high(terms, order)
        else:
            to_charge.append((box, order))
    through_gateway = []
    for intent in _intend(connection, terms, to_charge, called=called):
        if intent.method_kind == "credit":
            results[intent.box_id] = _charge_credit(connection, terms, intent)
        else:
            through_gateway.append(intent)
    if called:
        return Begun(results, through_gateway)
    return Begun(results | _give_up(connection, terms, through_gateway), [])


def take_back(connection: Connection, charge_ids: Sequence[int]) -> None:
    """Strike out intents of this process of which nobody has heard: their boxes are due again, as if never begun."""
    not_settled = as_it_stands(charges.c.status) == "pending"
    connection.execute(delete(charges).where(among(charges.c.id, charge_ids), not_settled))


def requests_of(connection: Connection, charge_ids: Sequence[int]) -> dict[int, ChargeRequest]:
    """What the gateway is asked for each charge: made of the charge's own row, so that it is the same every time."""
    rows = connection.execute(
        select(charges, boxes.c.address, orders.c.order_number)
        .join(boxes, boxes.c.id == charges.c.box_id)
        .join(orders, orders.c.id == charges.c.order_id)
        .where(among(charges.c.id, charge_ids))
    )
    return {row.id: _request(row, row.address, row.order_number) for row in rows}


def presentation_of(connection: Connection, catalog: Catalog, charge_id: int) -> Presentation:
    """A charge to be presented again: the same as the first time, with the same questions before."""
    row = connection.execute(
        select(charges, boxes.c.address, boxes.c.plan, orders.c.order_number)
        .join(boxes, boxes.c.id == charges.c.box_id)
        .join(orders, orders.c.id == charges.c.order_id)
        .where(charges.c.id == charge_id)
    ).one()
    return _presentation(row, row.address, row.order_number, catalog.policy_of(row.plan))


def _renew_without_charge(connection: Connection, terms: Terms, box: Row[Any], order: Order) -> None:
    settled = Settled(order, "on_account" if box.method_kind == "agreement" else "paid", box.method_kind)
    if not apply_renewals(connection, terms.origin, [settled]):
        message = f"Order {order.number} cannot be applied to its box; nothing was changed."
        raise LifecycleError(message)


def _too_high(terms: Terms, order: Order) -> AmountTooHigh:
    return AmountTooHigh(
        f"Order {order.number} is for {euros(order.gross_cents)}, more than gateway.max_amount = "
        f"{euros(terms.max_amount_cents)}: nothing was charged. If the amount is right, raise the limit and retry."
    )


def _charge_credit(connection: Connection, terms: Terms, intent: Intent) -> Result:
    order = intent.order
    balance = debit(
        connection,
        order.customer_id,
        order.gross_cents,
        on=terms.origin.occurred_on,
        reason="renewal",
        order_number=order.number,
    )
    outcome = Declined("insufficient_credit", hard=False) if balance is None else Succeeded(order.number)
    result = settle_all(connection, terms.catalog, terms.origin, {intent.charge_id: outcome})[intent.charge_id]
    if result == "to_be_refunded":
        message = f"Order {order.number} cannot be applied to its box; no credit was taken."
        raise LifecycleError(message)
    return result


def _give_up(connection: Connection, terms: Terms, intents: Sequence[Intent]) -> dict[int, Result]:
    """The gateway was given up before their turn came: recorded as not attempted; by box."""
    given_up = NotAttempted("the gateway was given up for this run")
    outcomes = {intent.charge_id: given_up for intent in intents}
    settled = settle_all(connection, terms.catalog, terms.origin, outcomes) if outcomes else {}
    return {intent.box_id: settled[intent.charge_id] for intent in intents}


def _intend(
    connection: Connection, terms: Terms, due: Sequence[tuple[Row[Any], Order]], *, called: bool
) -> list[Intent]:
    """Write a `pending` charge for each box and its order, in their order."""
    if not due:
        return []
    on = terms.origin.occurred_on
    box_ids = [box.id for box, _ in due]
    attempts = _attempts(connection, box_ids)
    noticed = _noticed(connection, box_ids, on)
    written = []
    for box, order in due:
        slot = slot_on(terms.catalog.policy_of(box.plan), box.expires_on, on)
        attempt = 1 + attempts.get((box.id, box.expires_on, slot), 0)
        written.append(
            {
                "idempotency_key": _key(terms.key_prefix, box, slot, attempt),
                "order_id": order.id,
                "box_id": box.id,
                "term_expires_on": box.expires_on,
                "slot": slot,
                "attempt": attempt,
                "payment_method_id": box.payment_method_id,
                "method_kind": box.method_kind,
                "token": box.token,
                "amount_cents": order.gross_cents,
                "status": "pending",
                "attempted_on": on,
                "attempted_at": clock.now(),
                "called": called,
                "unknown_since": terms.since if terms.since < on - timedelta(days=1) else None,
                "without_notice": box.id not in noticed,
                "gateway_customer_id": box.gateway_customer_id,
            }
        )
    rows = connection.execute(insert(charges).returning(*charges.c), written)
    by_box = {row.box_id: row for row in rows}
    return [
        Intent(
            by_box[box.id].id,
            box.id,
            order,
            box.method_kind,
            _presentation(by_box[box.id], box.address, order.number, terms.catalog.policy_of(box.plan)),
        )
        for box, order in due
    ]


def _presentation(charge: Row[Any], box_address: str, order_number: str, policy: Policy) -> Presentation:
    request = _request(charge, box_address, order_number)
    if charge.unknown_since is None:
        return Presentation(request)
    began = datetime.combine(charge.unknown_since, time(), UTC)
    missed = [
        slot
        for slot in policy.charge_slots
        if charge.unknown_since < slot_date(charge.term_expires_on, slot) < charge.attempted_on
    ]
    return Presentation(
        request,
        [
            replace(request, idempotency_key=_key_of_slot(request.idempotency_key, slot, attempt), asked_at=began)
            for slot in missed
            for attempt in (1, 2)
        ],
    )


def slot_of(idempotency_key: str) -> int:
    """The slot that a charge of a box is for, as its key tells."""
    return int(idempotency_key.rsplit("-", 2)[1])


def _key_of_slot(key: str, slot: int, attempt: int) -> str:
    return "-".join((key.rsplit("-", 2)[0], str(slot), str(attempt)))


def _request(charge: Row[Any], box_address: str, order_number: str) -> ChargeRequest:
    return ChargeRequest(
        idempotency_key=charge.idempotency_key,
        amount_cents=charge.amount_cents,
        method_kind=charge.method_kind,
        token=charge.token,
        gateway_customer_id=charge.gateway_customer_id,
        order_number=order_number,
        box_address=box_address,
        slot_on=slot_date(charge.term_expires_on, charge.slot),
        asked_at=charge.attempted_at,
    )


def _key(prefix: str, box: Row[Any], slot: int | None, attempt: int) -> str:
    # The address keeps a database that was loaded anew from meeting the keys of the one before it.
    who = hashlib.sha256(box.address_key.encode()).hexdigest()[:8]
    return f"{prefix}-{box.id}-{who}-{box.expires_on:%Y%m%d}-{slot}-{attempt}"


def _attempts(connection: Connection, box_ids: Sequence[int]) -> dict[tuple[int, date, int | None], int]:
    counted = connection.execute(
        select(charges.c.box_id, charges.c.term_expires_on, charges.c.slot, func.count())
        .where(among(charges.c.box_id, box_ids))
        .group_by(charges.c.box_id, charges.c.term_expires_on, charges.c.slot)
    )
    return {(box_id, term, slot): number for box_id, term, slot, number in counted}


def _noticed(connection: Connection, box_ids: Sequence[int], on: date) -> set[int]:
    """The boxes whose notice of this term was accepted by the mail server in time: what the law asks to be proven."""
    return set(
        connection.scalars(
            select(boxes.c.id)
            .join(events, and_(events.c.box_id == boxes.c.id, events.c.term_expires_on == boxes.c.expires_on))
            .join(message_events, message_events.c.event_id == events.c.id)
            .join(messages, messages.c.id == message_events.c.message_id)
            .where(
                among(boxes.c.id, box_ids),
                events.c.kind == "box.renewal_notice",
                ~message_events.c.moot,
                ~messages.c.redirected,
                messages.c.accepted_on <= on - timedelta(days=NOTICE_DAYS),
            )
        )
    )
