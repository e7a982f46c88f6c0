"""Top-ups charged through the gateway, by the protocol of `collect`: intent first, then the call, then its outcome.

Each is charged once: under one key, in one call. What became of a call without an answer is looked up, by whoever asks
again and by `reconcile_charges`; it is never presented a second time, because a holder who still wants the credit can
ask anew. They have a table of their own: they are no box's, so nothing of a box waits for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, insert, select, update

from lifecycle_jobs import clock
from lifecycle_jobs.db.tables import orders, top_up_charges
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.history import Origin, euros, record
from lifecycle_jobs.payments import asking
from lifecycle_jobs.payments.declines import reason_of
from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Declined,
    Gateway,
    NeverSeen,
    NoAnswer,
    NotAttempted,
    Succeeded,
    Unknown,
)
from lifecycle_jobs.payments.top_ups import credit_top_up

unresolved_top_up = top_up_charges.c.status.in_(("pending", "unknown"))
"""Nobody knows yet whether the bank has made it."""

State = Literal["succeeded", "declined", "unknown", "not_attempted"]
"""What is known of a charge; `unknown` while nobody has an answer."""


@dataclass(frozen=True, slots=True)
class Method:
    """What is going to be charged: a stored card or PayPal account, and its holder at the gateway."""

    payment_method_id: str
    kind: Literal["card", "paypal"]
    token: str
    gateway_customer_id: str | None


def write_down_top_up(
    connection: Connection, order_id: int, method: Method, cents: int, *, key_prefix: str, request_id: str, on: date
) -> int:
    """Write down what is going to be charged, before anybody is asked; returns the charge's id."""
    who = hashlib.sha256(request_id.encode()).hexdigest()[:24]
    charge_id: int = connection.execute(
        insert(top_up_charges)
        .values(
            idempotency_key=f"{key_prefix}-topup-{who}",
            request_id=request_id,
            order_id=order_id,
            payment_method_id=method.payment_method_id,
            method_kind=method.kind,
            token=method.token,
            gateway_customer_id=method.gateway_customer_id,
            amount_cents=cents,
            status="pending",
            attempted_on=on,
            attempted_at=clock.now(),
        )
        .returning(top_up_charges.c.id)
    ).scalar_one()
    return charge_id


def top_up_request(connection: Connection, charge_id: int) -> ChargeRequest:
    """What the gateway is asked: made of the charge's own row, so that it is the same every time."""
    row = connection.execute(
        select(top_up_charges, orders.c.order_number, orders.c.customer_id)
        .join(orders, orders.c.id == top_up_charges.c.order_id)
        .where(top_up_charges.c.id == charge_id)
    ).one()
    return ChargeRequest(
        idempotency_key=row.idempotency_key,
        amount_cents=row.amount_cents,
        method_kind=row.method_kind,
        token=row.token,
        gateway_customer_id=row.gateway_customer_id,
        order_number=row.order_number,
        box_address=f"credit of {row.customer_id}",
        slot_on=row.attempted_on,
        asked_at=row.attempted_at,
    )


def look_up_top_up(gateway: Gateway, request: ChargeRequest, attempted_on: date, on: date) -> ChargeOutcome | None:
    """What became of a charge; none if the gateway does not say, or its "never seen" cannot be believed yet."""
    answer = asking.look_up(gateway, request)
    if isinstance(answer, NoAnswer):
        return None
    if not isinstance(answer, NeverSeen):
        return answer
    if attempted_on < on and clock.now() - request.asked_at >= gateway.lag:
        return NotAttempted("the gateway never saw it")
    return None


def settle_top_up(connection: Connection, origin: Origin, charge_id: int, outcome: ChargeOutcome) -> bool:
    """Record what became of a charge, and what follows: credit, or an order that is cancelled; once. Whether it was so.

    A charge that was settled elsewhere meanwhile is left as it is; but money that came after all becomes credit, also
    where it was given up.
    """
    # The order first, as `credit_top_up` does; its holder comes last, everywhere.
    number = connection.scalar(
        select(orders.c.order_number)
        .join(top_up_charges, top_up_charges.c.order_id == orders.c.id)
        .where(top_up_charges.c.id == charge_id)
        .with_for_update(of=orders)
    )
    settled = (
        update(top_up_charges)
        .where(
            top_up_charges.c.id == charge_id,
            top_up_charges.c.status.in_(("pending", "unknown", "not_attempted"))
            if isinstance(outcome, Succeeded)
            else unresolved_top_up,
        )
        .values(**_as_columns(outcome, origin.occurred_on))
    )
    if number is None or connection.execute(settled).rowcount == 0:
        return False
    if isinstance(outcome, Succeeded):
        credit_top_up(connection, origin, number, paid_on=origin.occurred_on, by_card=True)
    elif not isinstance(outcome, Unknown):
        _give_up(connection, origin, number, outcome)
    return True


def top_up_charge(connection: Connection, request_id: str) -> Row[Any] | None:
    """The charge that was written down for a request, with its order; none if there is none."""
    return connection.execute(
        select(top_up_charges, orders.c.order_number, orders.c.customer_id)
        .join(orders, orders.c.id == top_up_charges.c.order_id)
        .where(top_up_charges.c.request_id == request_id)
    ).one_or_none()


def unresolved_top_ups(connection: Connection, of_customer: str | None = None) -> Sequence[Row[Any]]:
    """Every charge without an answer, of one customer if one is named; the oldest first."""
    found = select(top_up_charges).where(unresolved_top_up).order_by(top_up_charges.c.id)
    if of_customer is not None:
        his = select(orders.c.id).where(orders.c.customer_id == of_customer)
        found = found.where(top_up_charges.c.order_id.in_(his))
    return connection.execute(found).all()


def _give_up(connection: Connection, origin: Origin, number: str, outcome: Declined | NotAttempted) -> None:
    order = connection.execute(
        update(orders)
        .where(orders.c.order_number == number, orders.c.status == "awaiting_payment")
        .values(status="cancelled")
        .returning(orders.c.customer_id, orders.c.gross_cents)
    ).one_or_none()
    if order is None:
        raise LifecycleError(f"Top-up {number} was overtaken by another change; nothing was changed here.")
    declined = isinstance(outcome, Declined)
    detail = {
        "order_number": number,
        "amount": euros(order.gross_cents),
        "reason": "declined" if declined else "not_attempted",
        "code": outcome.code if isinstance(outcome, Declined) else None,
        "advice": reason_of(outcome.code).advice if isinstance(outcome, Declined) else None,
    }
    record(connection, origin, "credit.topup_failed", customer_id=order.customer_id, detail=detail)


def _as_columns(outcome: ChargeOutcome, on: date) -> dict[str, Any]:
    # An answer that was lost ends the call too; what a later look-up finds does not change when that was.
    ended: dict[str, Any] = {"settled_at": func.coalesce(top_up_charges.c.settled_at, clock.now())}
    if isinstance(outcome, Unknown):
        return ended | {"status": "unknown", "why": outcome.why}
    ended["settled_on"] = on
    if isinstance(outcome, NotAttempted):
        return ended | {"status": "not_attempted", "why": outcome.why}
    if isinstance(outcome, Declined):
        said = {"decline_code": outcome.code, "hard": outcome.hard, "gateway_reference": outcome.reference}
        return ended | {"status": "declined"} | said
    return ended | {"status": "succeeded", "gateway_reference": outcome.reference}
