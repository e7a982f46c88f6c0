"""Money that was taken and could not be used: listed until it is given back, or applied otherwise, once.

It comes about when two payments meet: the holder pays by hand while a charge is in flight, or an answer is found after
the box has changed. One of them is effective; this is the other. Or a renewal was undone (`accounts.undo_renewal`). And
a payment registered by hand may be of another amount than its order, or for none that is there (`accounts.pay`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, literal, null, select, union_all, update

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges, orders, registered_payments
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, euros, record
from lifecycle_jobs.languages import spoken
from lifecycle_jobs.payments import asking
from lifecycle_jobs.payments.gateway import Gateway, Refunded, RefundRequest, Unknown

registered_due: ColumnElement[bool] = and_(
    ~registered_payments.c.effective, registered_payments.c.refunded_on.is_(None)
)
"""A payment registered by hand that its order could not take, not given back yet."""


@dataclass(frozen=True, slots=True)
class NotRefunded:
    """The gateway did not give it back (`certain`), or did not say whether it did: then ask again."""

    why: str
    certain: bool


def due() -> Select[Any]:
    """Every unapplied payment: its key, which kind, box, order, amount, since when, and why it is unapplied."""
    charged = (
        select(
            charges.c.idempotency_key.label("key"),
            literal("charge").label("kind"),
            charges.c.gateway_reference,
            boxes.c.address,
            orders.c.order_number,
            charges.c.amount_cents,
            charges.c.settled_on.label("since"),
            literal(spoken("its box could not take it any more, or its renewal was undone")).label("because"),
        )
        .join(boxes, boxes.c.id == charges.c.box_id)
        .join(orders, orders.c.id == charges.c.order_id)
        .where(charges.c.unapplied)
    )
    registered = (
        select(
            registered_payments.c.reference,
            literal("registered"),
            null(),
            boxes.c.address,
            func.coalesce(registered_payments.c.order_number, orders.c.order_number),
            registered_payments.c.amount_cents,
            registered_payments.c.registered_on,
            registered_payments.c.unapplied_because,
        )
        .outerjoin(orders, orders.c.id == registered_payments.c.order_id)
        .outerjoin(boxes, boxes.c.id == orders.c.box_id)
        .where(registered_due)
    )
    either = union_all(charged, registered).subquery()
    return select(either).order_by(either.c.since, either.c.key)


def give_back(store: Store, gateway: Gateway, origin: Origin, key: str) -> Refunded | NotRefunded:
    """Refund a charge through the gateway. Asked again after a lost answer, it still gives back once.

    Raises Refused if there is no charge of this key that is to be refunded, and if somebody noted meanwhile that it was
    given back otherwise.
    """
    with store.read() as connection:
        charge = _charge(connection, key)
        if charge is None:
            message = f"No charge {key} is to be refunded. See: lifecycle-jobs refunds list"
            raise Refused(message)
    request = RefundRequest(f"{key}-refund", charge.gateway_reference, charge.amount_cents)
    answer = asking.refund(gateway, request)
    if not isinstance(answer, Refunded):
        return NotRefunded(answer.why, certain=not isinstance(answer, Unknown))
    try:
        note(store, origin, key, reference=answer.reference)
    except Refused as error:
        with store.read() as connection:
            noted = connection.scalar(select(charges.c.refund_reference).where(charges.c.idempotency_key == key))
        if noted == answer.reference:
            return answer  # asked for by two at once, it was given back once, and the other has noted it
        message = (
            f"The gateway has given {key} back ({answer.reference}), and in the same moment it was noted as given back "
            "otherwise. If that is so too, the holder has it twice: compare with whoever noted it."
        )
        raise Refused(message) from error
    return answer


def note(store: Store, origin: Origin, key: str, *, reference: str) -> None:
    """Record that a payment was given back, by the gateway or otherwise, and under which reference.

    Raises Refused if there is no such payment that is to be refunded.
    """
    with store.write() as connection:
        kind = _mark(connection, key, origin.occurred_on, reference)
        if kind is None:
            message = f"No payment {key} is to be refunded. See: lifecycle-jobs refunds list"
            raise Refused(message)
        table = charges if kind == "charge" else registered_payments
        payment = connection.execute(
            select(table.c.amount_cents, orders)
            .outerjoin(orders, orders.c.id == table.c.order_id)
            .where((charges.c.idempotency_key if kind == "charge" else registered_payments.c.reference) == key)
        ).one()
        record(
            connection,
            origin,
            "payment.refunded",
            box_id=payment.box_id,
            customer_id=payment.customer_id,
            term_expires_on=payment.term_expires_on,
            detail={
                "order_number": payment.order_number,
                "amount": euros(payment.amount_cents),
                "payment": key,
                "reference": reference,
            },
        )


def _charge(connection: Connection, key: str) -> Row[Any] | None:
    return connection.execute(
        select(charges).where(charges.c.idempotency_key == key, charges.c.unapplied)
    ).one_or_none()


def _mark(connection: Connection, key: str, on: date, reference: str) -> Literal["charge", "registered"] | None:
    given_back = {"refunded_on": on, "refund_reference": reference}
    charge = update(charges).where(charges.c.idempotency_key == key, charges.c.unapplied)
    if connection.execute(charge.values(unapplied=False, **given_back)).rowcount == 1:
        return "charge"
    registered = update(registered_payments).where(registered_payments.c.reference == key, registered_due)
    return "registered" if connection.execute(registered.values(**given_back)).rowcount == 1 else None
