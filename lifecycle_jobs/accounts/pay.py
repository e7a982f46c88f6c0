"""Registering money that arrived by another way than the gateway, and paying an order with it.

Money that arrived is never refused: what its order cannot take is kept as an unapplied payment, until it is applied to
another order or given back (`payments.refunds`). Registered under one reference it is there once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.accounts.addon_orders import ADDON, settle_addon, why_addon_not_payable
from lifecycle_jobs.accounts.next_charge import charge_terms
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.accounts.settling import lock_order, settle, why_not_payable
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, orders, payment_methods, registered_payments
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, euros, record, record_of_box
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.refunds import registered_due
from lifecycle_jobs.policy import Catalog

PaidBy = Literal["bank_transfer", "card", "paypal"]
"""The ways by which money arrives outside the gateway."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that arrived: how much, when, and what the bank (or whoever took it) calls it.

    `paid_by`: where none, as the order says, and a bank transfer if it does not say. A renewal paid by card or PayPal
    is charged to that method from now on, in the same rhythm, unless `auto_renew` is false: to the method
    `payment_method_id`, or the one that the box has or the holder's only one of that kind.
    """

    amount_cents: int
    reference: str
    paid_on: date
    paid_by: PaidBy | None = None
    payment_method_id: str | None = None
    auto_renew: bool = True


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that is in the books.

    `applied`: its order is paid, and the box at `address` ends on `expires_on` now. Otherwise it is unapplied, because
    `unapplied_because`. `known`: it had been registered before, and nothing was done now. `renews_itself`: whether the
    box renews itself from now on; if it should and does not, `hint` says what is missing. `addon_id` is the extra space
    that was paid for, if that is what the order was for.
    """

    order_number: str
    reference: str
    applied: bool
    address: str | None = None
    expires_on: date | None = None
    unapplied_because: str | None = None
    renews_itself: bool = False
    hint: str | None = None
    known: bool = False
    addon_id: str | None = None


PAYMENT_RESULTS = TypeAdapter(Paid)


def pay_order(
    store: Store, catalog: Catalog, operator: Operator, order_number: str, payment: Payment, *, request_id: str
) -> Paid:
    """Register a payment of a renewal order, and renew the box.

    E moves from the old E, whenever it was paid; a box suspended for `unpaid` is active at once. If a charge of the
    same order is in flight, the box is renewed now, and the charge is to be refunded should it succeed. Raises Refused
    for a day in the future, for a reference that stands for another payment, and for a payment method that is not the
    holder's or not of the kind that was paid by.
    """
    arguments = {"order_number": order_number} | asdict(payment) | {"paid_on": payment.paid_on.isoformat()}
    request = Request(request_id, "order.pay", arguments, PAYMENT_RESULTS)
    try:
        return once(
            store,
            operator,
            request,
            lambda connection, origin: _register(connection, origin, catalog, order_number, payment),
        )
    except IntegrityError as error:
        with store.read() as connection:
            taken = _known(connection, payment.reference) is not None
        if not taken:
            raise
        raise Refused(
            f"The reference {payment.reference} was registered at this very moment. Nothing was done; look again."
        ) from error


def apply_payment(
    store: Store, catalog: Catalog, operator: Operator, reference: str, order_number: str, *, request_id: str
) -> Paid:
    """Apply a payment that its own order could not take to another one, of exactly its amount.

    Raises Refused if there is no such payment, or the order cannot take it either.
    """
    arguments = {"order_number": order_number, "reference": reference}
    request = Request(request_id, "payment.apply", arguments, PAYMENT_RESULTS)
    return once(
        store,
        operator,
        request,
        lambda connection, origin: _apply(connection, origin, catalog, reference, order_number),
    )


def _register(connection: Connection, origin: Origin, catalog: Catalog, order_number: str, payment: Payment) -> Paid:
    if payment.paid_on > origin.occurred_on:
        raise Refused(f"{payment.paid_on} lies in the future: nothing can have been paid then.")
    order = lock_order(connection, order_number)
    known = _known(connection, payment.reference)
    if known is not None:
        return _again(known, order_number, payment)
    because = _why_unapplied(connection, origin, catalog, order, order_number, payment.amount_cents)
    paid_by = payment.paid_by or _paid_by(order)
    connection.execute(
        insert(registered_payments).values(
            order_id=None if order is None else order.id,
            order_number=order_number,
            reference=payment.reference,
            amount_cents=payment.amount_cents,
            paid_by=paid_by,
            paid_on=payment.paid_on,
            registered_on=origin.occurred_on,
            actor=origin.actor,
            why=origin.why,
            effective=because is None,
            unapplied_because=because,
            auto_renew=payment.auto_renew,
        )
    )
    paid = Paid(order_number, payment.reference, applied=False, unapplied_because=because)
    if order is not None and because is None:
        paid = _take(connection, origin, catalog, order, payment, paid_by)
    _record(connection, origin, "payment.registered" if paid.applied else "payment.unapplied", order, payment, paid)
    return paid


def _why_unapplied(
    connection: Connection,
    origin: Origin,
    catalog: Catalog,
    order: Row[Any] | None,
    order_number: str,
    amount_cents: int,
) -> str | None:
    if order is None:
        return f"there is no order {order_number}"
    if order.kind == ADDON:
        because = why_addon_not_payable(connection, catalog, order, origin.occurred_on)
    else:
        because = why_not_payable(order)
    if because is None and amount_cents != order.gross_cents:
        because = f"it is for {euros(order.gross_cents)}, not {euros(amount_cents)}"
    return because


def _paid_by(order: Row[Any] | None) -> PaidBy:
    said = None if order is None else order.manual_pay_by
    return "card" if said == "card" else "paypal" if said == "paypal" else "bank_transfer"


def _take(
    connection: Connection, origin: Origin, catalog: Catalog, order: Row[Any], payment: Payment, paid_by: PaidBy
) -> Paid:
    hint = addon_id = None
    if order.kind == ADDON:
        addon_id = settle_addon(connection, origin, catalog, order, paid_on=payment.paid_on)
    else:
        method = None if paid_by == "bank_transfer" else paid_by
        settle(connection, origin, catalog, order, method=method, paid_on=payment.paid_on)
    if paid_by != "bank_transfer" and payment.auto_renew:
        hint = _renew_itself(connection, origin, catalog, order, paid_by, payment.payment_method_id)
    return paid_of(connection, order, payment.reference, hint, addon_id)


def paid_of(
    connection: Connection, order: Row[Any], reference: str, hint: str | None = None, addon_id: str | None = None
) -> Paid:
    """What is answered of an order that was paid just now."""
    box = connection.execute(select(boxes).where(boxes.c.id == order.box_id)).one()
    return Paid(
        order.order_number,
        reference,
        applied=True,
        address=box.address,
        expires_on=box.expires_on,
        renews_itself=box.auto_renew,
        hint=hint,
        addon_id=addon_id,
    )


def _renew_itself(
    connection: Connection, origin: Origin, catalog: Catalog, order: Row[Any], kind: str, method_id: str | None
) -> str | None:
    """Let the box renew itself with the method that it was paid by; if it cannot, what is missing."""
    method_id = _method(connection, order, kind, method_id)
    box = connection.execute(select(boxes).where(boxes.c.id == order.box_id)).one()
    if box.plan not in catalog.auto_renewable():
        return f"Plan {catalog.plans[box.plan].name} does not renew itself."
    if method_id is None:
        return f"No {kind} of the holder to charge is stored, or more than one: register it, or name it."
    # The years of an order for extra space are what remains of the term, not a rhythm.
    years = box.renewal_years if order.kind == ADDON else order.years
    if (box.auto_renew, box.renewal_years, box.payment_method_id) == (True, years, method_id):
        return None
    connection.execute(
        update(boxes)
        .where(boxes.c.id == box.id)
        .values(auto_renew=True, renewal_years=years, payment_method_id=method_id)
    )
    record_of_box(
        connection,
        origin,
        "autorenew.switched_on",
        box,
        detail=charge_terms(connection, catalog, box.id, method_id, origin.occurred_on)
        | {"order_number": order.order_number},
    )
    return None


def _method(connection: Connection, order: Row[Any], kind: str, method_id: str | None) -> str | None:
    of_kind = (
        connection.scalars(
            select(payment_methods.c.payment_method_id).where(
                payment_methods.c.customer_id == order.customer_id, payment_methods.c.kind == kind
            )
        )
    ).all()
    if method_id is not None and method_id not in of_kind:
        raise Refused(f"{method_id} is no payment method of this holder of the kind {kind}.")
    if method_id is None and order.of_box_payment_method_id in of_kind:
        return str(order.of_box_payment_method_id)
    return method_id or (of_kind[0] if len(of_kind) == 1 else None)


def _apply(connection: Connection, origin: Origin, catalog: Catalog, reference: str, order_number: str) -> Paid:
    order = lock_order(connection, order_number)
    known = connection.execute(
        select(registered_payments)
        .where(registered_payments.c.reference == reference, registered_due)
        .with_for_update()
    ).one_or_none()
    if known is None:
        raise Refused(f"There is no unapplied payment {reference}. See: lifecycle-jobs refunds list")
    because = _why_unapplied(connection, origin, catalog, order, order_number, known.amount_cents)
    if order is None or because is not None:
        raise Refused(f"Order {order_number} cannot take the payment {reference}: {because}.")
    connection.execute(
        update(registered_payments)
        .where(registered_payments.c.id == known.id, registered_due)
        .values(effective=True, order_id=order.id, order_number=order_number, unapplied_because=None)
    )
    paid_on = known.paid_on or known.registered_on
    payment = Payment(known.amount_cents, reference, paid_on, auto_renew=known.auto_renew)
    paid = _take(connection, origin, catalog, order, payment, known.paid_by or "bank_transfer")
    _record(connection, origin, "payment.applied", order, payment, paid)
    return paid


def _known(connection: Connection, reference: str) -> Row[Any] | None:
    return connection.execute(
        select(registered_payments, orders.c.term_expires_on)
        .outerjoin(orders, orders.c.id == registered_payments.c.order_id)
        .where(registered_payments.c.reference == reference)
    ).one_or_none()


def _again(known: Row[Any], order_number: str, payment: Payment) -> Paid:
    if (known.order_number, known.amount_cents) != (order_number, payment.amount_cents):
        raise Refused(f"The reference {known.reference} stands for another payment already. Nothing was done.")
    return Paid(
        order_number,
        known.reference,
        applied=known.effective,
        unapplied_because=known.unapplied_because,
        known=True,
    )


def _record(
    connection: Connection, origin: Origin, kind: str, order: Row[Any] | None, payment: Payment, paid: Paid
) -> None:
    record(
        connection,
        origin,
        kind,
        box_id=None if order is None else order.box_id,
        customer_id=None if order is None else order.customer_id,
        term_expires_on=None if order is None else order.term_expires_on,
        detail={
            "order_number": paid.order_number,
            "amount": euros(payment.amount_cents),
            "reference": payment.reference,
            "effective": paid.applied,
            "unapplied_because": paid.unapplied_because,
        },
    )
