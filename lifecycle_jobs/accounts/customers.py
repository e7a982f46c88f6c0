"""Finding a customer by what people say on the telephone, and all that a clerk must see at a glance. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from lifecycle_jobs.db.tables import addons, boxes, credit_entries, customers, messages, orders, payment_methods
from lifecycle_jobs.errors import Refused

LISTED = 100
"""How many rows of each list are shown, the newest (of boxes: those that expire first)."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A customer with what belongs to him. Amounts are in cents; of a payment method nothing is shown that pays."""

    customer: dict[str, Any]
    boxes: Rows
    addons: Rows
    orders: Rows
    credit: Rows
    methods: Rows
    messages: Rows

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def find_customer(connection: Connection, sought: str) -> Sheet:
    """The customer of this id, address, e-mail or name (a part of it will do); the surest of these first.

    Raises Refused if there is none, or if several fit: then with their ids.
    """
    sought = sought.strip()
    if not sought:
        raise Refused("Say whom: an id, an address, an e-mail or a name.")
    for condition in _ways(sought):
        found = connection.execute(
            select(customers.c.customer_id, customers.c.name)
            .where(condition)
            .order_by(customers.c.customer_id)
            .limit(LISTED + 1)
        ).all()
        if len(found) == 1:
            return _sheet(connection, found[0].customer_id)
        if found:
            listed = ", ".join(f"{row.customer_id} ({row.name})" for row in found[:LISTED])
            more = " and more" if len(found) > LISTED else ""
            raise Refused(f"Several customers fit: {listed}{more}. Ask for one of them by id.")
    raise Refused(f"There is no customer {sought}.")


def _ways(sought: str) -> Sequence[ColumnElement[bool]]:
    """How a customer may be meant; what is indexed comes first, so that the whole table is read only for the rest."""
    key = sought.lower()
    of_box = select(boxes.c.customer_id).where(boxes.c.address_key == key)
    return (
        customers.c.customer_id == sought,
        customers.c.customer_id.in_(of_box.where(boxes.c.status != "deleted")),
        customers.c.customer_id.in_(of_box),
        func.lower(customers.c.email) == key,
        or_(func.lower(customers.c.name) == key, customers.c.tax_id == sought),
        func.lower(customers.c.name).contains(key, autoescape=True),
    )


def _sheet(connection: Connection, customer_id: str) -> Sheet:
    def listed(query: Select[Any]) -> Rows:
        return [dict(row) for row in connection.execute(query.limit(LISTED)).mappings()]

    (customer,) = listed(
        select(
            customers.c.customer_id,
            customers.c.name,
            customers.c.email,
            customers.c.locale,
            customers.c.tax_id,
            customers.c.einvoice_id,
            customers.c.credit_cents,
        ).where(customers.c.customer_id == customer_id)
    )
    return Sheet(
        customer,
        boxes=listed(_boxes(customer_id)),
        addons=listed(_addons(customer_id)),
        orders=listed(_orders(customer_id)),
        credit=listed(_credit(customer_id)),
        methods=listed(_methods(customer_id)),
        messages=listed(_messages(customer_id)),
    )


def _boxes(customer_id: str) -> Select[Any]:
    return (
        select(
            boxes.c.address,
            boxes.c.plan,
            boxes.c.status,
            boxes.c.expires_on,
            boxes.c.renewal_years,
            boxes.c.auto_renew,
            boxes.c.payment_method_id,
            boxes.c.domain,
            boxes.c.cancelled_on,
            boxes.c.hold_until,
            boxes.c.hold_reason,
            boxes.c.suspended_on,
            boxes.c.suspended_reason,
            boxes.c.deleted_on,
        )
        .where(boxes.c.customer_id == customer_id)
        .order_by(boxes.c.status == "deleted", boxes.c.expires_on, boxes.c.address_key)
    )


def _addons(customer_id: str) -> Select[Any]:
    return (
        select(
            addons.c.addon_id,
            boxes.c.address,
            addons.c.kind,
            addons.c.quantity,
            addons.c.unit_price_cents,
            addons.c.paid_from,
            addons.c.status,
            addons.c.expires_on,
            addons.c.cancelled_on,
        )
        .join(boxes, boxes.c.id == addons.c.box_id)
        .where(boxes.c.customer_id == customer_id)
        .order_by(addons.c.status != "active", addons.c.expires_on, addons.c.addon_id)
    )


def _orders(customer_id: str) -> Select[Any]:
    return (
        select(
            orders.c.order_number,
            orders.c.kind,
            boxes.c.address,
            orders.c.term_expires_on,
            orders.c.years,
            orders.c.placed_on,
            orders.c.paid_on,
            orders.c.gross_cents,
            orders.c.status,
        )
        .outerjoin(boxes, boxes.c.id == orders.c.box_id)
        .where(orders.c.customer_id == customer_id)
        .order_by(orders.c.id.desc())
    )


def _credit(customer_id: str) -> Select[Any]:
    return (
        select(
            credit_entries.c.occurred_on,
            credit_entries.c.reason,
            credit_entries.c.reference,
            credit_entries.c.amount_cents,
            credit_entries.c.balance_after_cents,
        )
        .where(credit_entries.c.customer_id == customer_id)
        .order_by(credit_entries.c.id.desc())
    )


def _methods(customer_id: str) -> Select[Any]:
    return (
        select(
            payment_methods.c.payment_method_id,
            payment_methods.c.kind,
            payment_methods.c.brand,
            payment_methods.c.last4,
            payment_methods.c.exp_month,
            payment_methods.c.exp_year,
        )
        .where(payment_methods.c.customer_id == customer_id)
        .order_by(payment_methods.c.payment_method_id)
    )


def _messages(customer_id: str) -> Select[Any]:
    return (
        select(messages.c.id, messages.c.created_on, messages.c.kind, messages.c.status, messages.c.accepted_on)
        .where(messages.c.customer_id == customer_id)
        .order_by(messages.c.id.desc())
    )
