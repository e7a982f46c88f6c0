"""Where balances and the credit ledger do not agree."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, case, func, select

from lifecycle_jobs.audit.invariant import Scope, of_customer
from lifecycle_jobs.db.tables import credit_entries, customers


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
