"""Prepaid credit: a balance that never goes below zero and always equals its ledger (SPEC §2)."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, insert, select, update

from lifecycle_jobs.db.tables import credit_entries, customers
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import euros


def lock_balance(connection: Connection, customer_id: str) -> int:
    """The balance in cents, held against other writers until the transaction ends.

    Locks are taken in the order box, add-on, customer, everywhere: otherwise two writers could wait for each other.
    """
    balance: int = connection.execute(
        select(customers.c.credit_cents).where(customers.c.customer_id == customer_id).with_for_update(key_share=True)
    ).scalar_one()
    return balance


def require_credit(connection: Connection, customer_id: str, cents: int) -> None:
    """Lock the holder's balance; raises Refused with what is missing where it does not suffice."""
    balance = lock_balance(connection, customer_id)
    if balance < cents:
        raise Refused(
            f"The credit of {euros(balance)} does not suffice for {euros(cents)}: top up by {euros(cents - balance)} "
            "at least."
        )


def debit(
    connection: Connection, customer_id: str, cents: int, *, on: date, reason: str, order_number: str
) -> int | None:
    """Take an amount from the balance and write it into the ledger; returns the new balance.

    None if the balance does not suffice: nothing is written then. A second debit for one order is refused by the
    database.
    """
    balance: int | None = connection.scalar(
        update(customers)
        .where(customers.c.customer_id == customer_id, customers.c.credit_cents >= cents)
        .values(credit_cents=customers.c.credit_cents - cents)
        .returning(customers.c.credit_cents)
    )
    if balance is not None and cents > 0:
        connection.execute(
            insert(credit_entries).values(
                customer_id=customer_id,
                occurred_on=on,
                amount_cents=-cents,
                balance_after_cents=balance,
                reason=reason,
                reference=order_number,
            )
        )
    return balance


def give_back(connection: Connection, customer_id: str, cents: int, *, on: date, order_number: str) -> None:
    """Put what was debited for an order back on the balance, with an entry of its own in the ledger.

    A second time for one order is refused by the database.
    """
    balance = connection.scalar(
        update(customers)
        .where(customers.c.customer_id == customer_id)
        .values(credit_cents=customers.c.credit_cents + cents)
        .returning(customers.c.credit_cents)
    )
    if cents > 0:
        connection.execute(
            insert(credit_entries).values(
                customer_id=customer_id,
                occurred_on=on,
                amount_cents=cents,
                balance_after_cents=balance,
                reason="refund",
                reference=order_number,
            )
        )
