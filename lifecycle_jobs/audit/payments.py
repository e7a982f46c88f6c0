"""Where payments and orders do not agree."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Subquery, and_, case, exists, func, or_, select, union_all

from lifecycle_jobs.audit.invariant import Scope, rows
from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.tables import (
    boxes,
    charges,
    credit_entries,
    manual_orders,
    orders,
    registered_payments,
    top_up_charges,
)
from lifecycle_jobs.payments.top_up_charges import unresolved_top_up

_effective_charge = and_(charges.c.status == "succeeded", ~charges.c.unapplied, charges.c.refunded_on.is_(None))
_is_debit = credit_entries.c.reason.in_(("renewal", "addon"))
_paid_by_credit_charge = exists().where(
    charges.c.order_id == orders.c.id, charges.c.method_kind == "credit", _effective_charge
)
_to_be_paid_from_credit = exists().where(manual_orders.c.order_id == orders.c.id, manual_orders.c.pay_by == "credit")
_not_closed = orders.c.status.in_(("awaiting_payment", "cancelled"))


def _payments_of_orders() -> Subquery:
    """Per order with an effective payment: how many, and how much in all."""
    payments = union_all(
        select(charges.c.order_id, charges.c.amount_cents).where(_effective_charge, charges.c.method_kind != "credit"),
        select(orders.c.id, -credit_entries.c.amount_cents)
        .join(orders, orders.c.order_number == credit_entries.c.reference)
        .where(_is_debit, or_(orders.c.kind == "addon", _paid_by_credit_charge, _to_be_paid_from_credit)),
        select(registered_payments.c.order_id, registered_payments.c.amount_cents).where(
            registered_payments.c.effective
        ),
        select(top_up_charges.c.order_id, top_up_charges.c.amount_cents).where(top_up_charges.c.status == "succeeded"),
    ).subquery()
    order_id, cents = payments.c
    return select(order_id, func.count().label("number"), func.sum(cents).label("cents")).group_by(order_id).subquery()


def not_paid_once(_: Scope) -> Select[Any]:
    """A settled order with too few payments, too many, or of another amount."""
    paid = _payments_of_orders()
    due = and_(orders.c.status == "paid", orders.c.gross_cents > 0)
    wrong = case(
        (and_(due, paid.c.number.is_(None)), "paid, but there is no payment for it"),
        (and_(due, paid.c.number > 1), "paid more than once"),
        (and_(due, paid.c.cents != orders.c.gross_cents), "paid with another amount than its own"),
        (and_(~due, paid.c.number > 0), "nothing was to be paid, and yet there is a payment"),
        else_=None,
    )
    return (
        rows(wrong, "order", orders.c.order_number)
        .select_from(orders)
        .outerjoin(paid, paid.c.order_id == orders.c.id)
        .outerjoin(boxes, boxes.c.id == orders.c.box_id)
        .where(orders.c.status.in_(("paid", "on_account")), wrong.is_not(None))
        .order_by(orders.c.id)
    )


def charge_without_paid_order(_: Scope) -> Select[Any]:
    """A charge that was made, neither applied nor to be refunded."""
    return (
        rows("succeeded, but its order is not paid", "charge", charges.c.idempotency_key)
        .select_from(charges)
        .join(orders, orders.c.id == charges.c.order_id)
        .join(boxes, boxes.c.id == charges.c.box_id)
        .where(_effective_charge, _not_closed)
        .order_by(charges.c.id)
    )


def top_up_charge_without_paid_order(_: Scope) -> Select[Any]:
    """A charge for credit that was made, and whose top-up is open or cancelled."""
    return (
        rows("succeeded, but its order is not paid", "charge", top_up_charges.c.idempotency_key)
        .select_from(top_up_charges)
        .join(orders, orders.c.id == top_up_charges.c.order_id)
        .outerjoin(boxes, boxes.c.id == orders.c.box_id)
        .where(top_up_charges.c.status == "succeeded", _not_closed)
        .order_by(top_up_charges.c.id)
    )


def unresolved_top_ups(_: Scope) -> Select[Any]:
    """Nobody knows yet whether these were made for somebody's credit."""
    return (
        rows(top_up_charges.c.status, "charge", top_up_charges.c.idempotency_key)
        .select_from(top_up_charges)
        .join(orders, orders.c.id == top_up_charges.c.order_id)
        .outerjoin(boxes, boxes.c.id == orders.c.box_id)
        .where(unresolved_top_up)
        .order_by(top_up_charges.c.id)
    )


def registered_without_paid_order(_: Scope) -> Select[Any]:
    """A payment registered as effective whose order is open or cancelled."""
    return (
        rows("registered, but its order is not paid", "payment", registered_payments.c.reference)
        .select_from(registered_payments)
        .join(orders, orders.c.id == registered_payments.c.order_id)
        .outerjoin(boxes, boxes.c.id == orders.c.box_id)
        .where(registered_payments.c.effective, _not_closed)
        .order_by(registered_payments.c.id)
    )


def debit_without_paid_order(_: Scope) -> Select[Any]:
    """Credit that was taken for nothing."""
    given_back = or_(charges.c.unapplied, charges.c.refunded_on.is_not(None))
    succeeded = and_(
        charges.c.order_id == orders.c.id, charges.c.method_kind == "credit", charges.c.status == "succeeded"
    )
    wrong = case(
        (orders.c.id.is_(None), "debited for an order that does not exist"),
        (
            and_(orders.c.kind != "addon", charges.c.id.is_(None), ~_to_be_paid_from_credit),
            "debited without a charge",
        ),
        (and_(_not_closed, or_(charges.c.id.is_(None), ~given_back)), "debited, but its order is not paid"),
        else_=None,
    )
    return (
        rows(wrong, "debit", func.coalesce(credit_entries.c.reference, ""))
        .select_from(credit_entries)
        .outerjoin(orders, orders.c.order_number == credit_entries.c.reference)
        .outerjoin(charges, succeeded)
        .outerjoin(boxes, boxes.c.id == orders.c.box_id)
        .where(_is_debit, wrong.is_not(None))
        .order_by(credit_entries.c.id)
    )


def unresolved_charges(_: Scope) -> Select[Any]:
    """Nobody knows yet whether these were made."""
    return (
        rows(charges.c.status, "charge", charges.c.idempotency_key)
        .select_from(charges)
        .join(boxes, boxes.c.id == charges.c.box_id)
        .where(unresolved)
        .order_by(charges.c.id)
    )


def charges_to_refund(_: Scope) -> Select[Any]:
    """Paid, but the box or the order could not take it."""
    return (
        rows("paid, but not applied", "charge", charges.c.idempotency_key)
        .select_from(charges)
        .join(boxes, boxes.c.id == charges.c.box_id)
        .where(charges.c.unapplied, charges.c.refunded_on.is_(None))
        .order_by(charges.c.id)
    )


def registered_to_refund(_: Scope) -> Select[Any]:
    """Registered when the order could no longer take it."""
    return (
        rows("registered, but not applied", "payment", registered_payments.c.reference)
        .select_from(registered_payments)
        .outerjoin(orders, orders.c.id == registered_payments.c.order_id)
        .outerjoin(boxes, boxes.c.id == orders.c.box_id)
        .where(~registered_payments.c.effective, registered_payments.c.refunded_on.is_(None))
        .order_by(registered_payments.c.id)
    )
