"""Where balances and the credit ledger do not agree."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, case, exists, func, literal, or_, select, union_all

from lifecycle_jobs.audit.invariant import Scope, of_customer
from lifecycle_jobs.db.tables import credit_entries, customers, orders


def balance_without_ledger(_: Scope) -> Select[Any]:
    """A balance that its ledger does not add up to."""
    ledger = (
        select(credit_entries.c.customer_id, func.sum(credit_entries.c.amount_cents).label("cents"))
        .group_by(credit_entries.c.customer_id)
        .subquery()
    )
    entries = func.coalesce(ledger.c.cents, 0)
    wrong = case(
        (customers.c.credit_cents != entries, "the balance is not the sum of its ledger"),
        (customers.c.credit_cents < 0, "the balance is below zero"),
        else_=None,
    )
    return (
        of_customer(wrong, customers.c.customer_id)
        .select_from(customers)
        .outerjoin(ledger, ledger.c.customer_id == customers.c.customer_id)
        .where(wrong.is_not(None))
        .order_by(customers.c.customer_id)
    )


def ledger_out_of_step(_: Scope) -> Select[Any]:
    """An entry that does not say what was left after it."""
    so_far = func.sum(credit_entries.c.amount_cents).over(
        partition_by=credit_entries.c.customer_id, order_by=credit_entries.c.id
    )
    entries = select(
        credit_entries.c.id,
        credit_entries.c.customer_id,
        credit_entries.c.balance_after_cents.label("said"),
        so_far.label("so_far"),
    ).subquery()
    wrong = case(
        (entries.c.said != entries.c.so_far, "an entry's balance is not the sum up to it"),
        (entries.c.said < 0, "an entry leaves the balance below zero"),
        else_=None,
    )
    return of_customer(wrong, entries.c.customer_id).where(wrong.is_not(None)).order_by(entries.c.id)


def top_up_out_of_step(_: Scope) -> Select[Any]:
    """A top-up that was paid and did not become credit, once and in full; or credit that no top-up brought."""
    matching = and_(credit_entries.c.reason == "topup", credit_entries.c.reference == orders.c.order_number)
    brought = (
        select(
            orders.c.customer_id,
            orders.c.gross_cents,
            func.count(credit_entries.c.id).label("times"),
            func.sum(credit_entries.c.amount_cents).label("cents"),
        )
        .select_from(
            orders.outerjoin(credit_entries, and_(matching, credit_entries.c.customer_id == orders.c.customer_id))
        )
        .where(orders.c.kind == "topup", orders.c.status == "paid")
        .group_by(orders.c.id, orders.c.customer_id, orders.c.gross_cents)
        .subquery()
    )
    not_brought = of_customer(literal("topped up, but its credit is not that much more"), brought.c.customer_id).where(
        or_(brought.c.times != 1, brought.c.cents != brought.c.gross_cents)
    )
    paid = exists().where(matching, orders.c.kind == "topup", orders.c.status == "paid")
    out_of_nothing = of_customer(literal("credited for a top-up that is not paid"), credit_entries.c.customer_id).where(
        credit_entries.c.reason == "topup", ~paid
    )
    either = union_all(not_brought, out_of_nothing).subquery()
    return select(either).order_by(either.c.subject)
