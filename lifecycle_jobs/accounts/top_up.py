"""Prepaid credit: money that arrived becomes credit, and what became of it is stated line by line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.accounts.finding import lock_customer
from lifecycle_jobs.accounts.pay import PaidBy
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import credit_entries, customers, orders, registered_payments
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.top_ups import credit_top_up, place_top_up


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """Money that became credit. Amounts in cents. `known`: it had been registered before, and nothing was done now."""

    order_number: str
    customer_id: str
    amount_cents: int
    balance_cents: int
    known: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger. `reference` is the order that it paid, or that brought it, where there is one."""

    occurred_on: date
    reason: str
    reference: str | None
    amount_cents: int
    balance_after_cents: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A holder's credit and every entry that it is made of, the oldest first; those before `since` are left out."""

    customer_id: str
    name: str
    balance_cents: int
    since: date | None
    entries: tuple[Entry, ...]


_TOPPED_UP = TypeAdapter(ToppedUp)


def register_top_up(
    store: Store,
    operator: Operator,
    customer_id: str,
    *,
    amount_cents: int,
    reference: str,
    paid_on: date,
    request_id: str,
    paid_by: PaidBy = "bank_transfer",
) -> ToppedUp:
    """Register money that arrived for a holder's credit by another way than the gateway, and tell him.

    `reference` is what the bank calls it; the same one is registered once, for whatever purpose. Raises Refused for an
    unknown holder, an amount of nothing, a day in the future, or a reference that stands for another payment.
    """
    arguments = {
        "customer_id": customer_id,
        "amount_cents": amount_cents,
        "reference": reference,
        "paid_on": paid_on.isoformat(),
        "paid_by": paid_by,
    }
    request = Request(request_id, "credit.register", arguments, _TOPPED_UP)

    def perform(connection: Connection, origin: Origin) -> ToppedUp:
        customer = lock_customer(connection, customer_id)
        known = _known(connection, reference)
        if known is not None:
            return _again(known, customer, amount_cents)
        _require_possible(amount_cents, paid_on, origin.occurred_on)
        order_id, number = place_top_up(
            connection, customer_id, amount_cents, request_id=request_id, on=origin.occurred_on
        )
        connection.execute(
            insert(registered_payments).values(
                order_id=order_id,
                order_number=number,
                reference=reference,
                amount_cents=amount_cents,
                paid_by=paid_by,
                paid_on=paid_on,
                registered_on=origin.occurred_on,
                actor=origin.actor,
                why=origin.why,
                effective=True,
            )
        )
        balance = credit_top_up(connection, origin, number, paid_on=paid_on, by_card=False)
        return ToppedUp(number, customer_id, amount_cents, balance)

    try:
        return once(store, operator, request, perform)
    except IntegrityError as error:
        with store.read() as connection:
            taken = _known(connection, reference) is not None
        if not taken:
            raise
        raise Refused(
            f"The reference {reference} was registered at this very moment. Nothing was done; look again."
        ) from error


def state_credit(connection: Connection, customer_id: str, since: date | None = None) -> Statement:
    """A holder's credit, entry by entry. Reads only. Raises Refused if there is no such holder."""
    customer = connection.execute(select(customers).where(customers.c.customer_id == customer_id)).one_or_none()
    if customer is None:
        raise Refused(f"There is no customer {customer_id}.")
    entries = select(
        credit_entries.c.occurred_on,
        credit_entries.c.reason,
        credit_entries.c.reference,
        credit_entries.c.amount_cents,
        credit_entries.c.balance_after_cents,
    ).where(credit_entries.c.customer_id == customer_id)
    if since is not None:
        entries = entries.where(credit_entries.c.occurred_on >= since)
    rows = connection.execute(entries.order_by(credit_entries.c.id))
    return Statement(customer_id, customer.name, customer.credit_cents, since, tuple(Entry(*row) for row in rows))


def _require_possible(amount_cents: int, paid_on: date, on: date) -> None:
    if amount_cents <= 0:
        raise Refused("A top-up is of one cent at the least.")
    if paid_on > on:
        raise Refused(f"{paid_on} lies in the future: nothing can have been paid then.")


def _known(connection: Connection, reference: str) -> Row[Any] | None:
    return connection.execute(
        select(registered_payments, orders.c.kind, orders.c.customer_id)
        .outerjoin(orders, orders.c.id == registered_payments.c.order_id)
        .where(registered_payments.c.reference == reference)
    ).one_or_none()


def _again(known: Row[Any], customer: Row[Any], amount_cents: int) -> ToppedUp:
    if (known.kind, known.customer_id, known.amount_cents) != ("topup", customer.customer_id, amount_cents):
        raise Refused(f"The reference {known.reference} stands for another payment already. Nothing was done.")
    return ToppedUp(known.order_number, customer.customer_id, amount_cents, customer.credit_cents, known=True)
