"""Extra space on an order that its holder pays by card, PayPal or bank transfer; from E on it is part of the renewal.

The price is that of `addons`. What costs nothing now is there at once; anything else waits for its payment, and only
that brings it. While a renewal order of the box is open, or its charge without an answer, nothing is sold on an order:
that renewal would be charged without the new space, and leave it behind, or at another price than its holder was told.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, insert, select, update

from lifecycle_jobs.accounts.addons import AddonQuote, Extra, add_space, no_room, quote_space, record_addon
from lifecycle_jobs.accounts.finding import is_being_charged, lock_box
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.accounts.settling import why_not_payable
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, manual_orders, order_lines, orders
from lifecycle_jobs.errors import LifecycleError, Refused
from lifecycle_jobs.history import Origin, euros
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.orders import open_orders_of, quote_renewals
from lifecycle_jobs.policy import Catalog

ADDON: str = "addon"
"""The kind of such an order."""


@dataclass(frozen=True, slots=True)
class OrderedAddon:
    """Extra space that was ordered. Amounts in cents.

    `order_number` waits for its payment of `gross_cents`; where there is none, the box has the space already, free up
    to `paid_until`. From then on the renewal includes it.
    """

    address: str
    kind: str
    quantity: int
    paid_until: date
    years: int
    gross_cents: int
    order_number: str | None
    addon_id: str | None


_RESULTS = TypeAdapter(OrderedAddon)


def order_addon(
    store: Store,
    catalog: Catalog,
    operator: Operator,
    address: str,
    extra: Extra,
    pay_by: Literal["bank_transfer", "card", "paypal"],
    *,
    request_id: str,
    customer_id: str | None = None,
) -> OrderedAddon:
    """Order extra space for a box, and tell its holder how to pay for it.

    Raises Refused as `buy_addon` does but for want of credit, and while an order of the box waits for its payment.
    """
    arguments = {"address": address, "customer_id": customer_id, "pay_by": pay_by} | asdict(extra)
    return once(
        store,
        operator,
        Request(request_id, "addon.order", arguments, _RESULTS),
        lambda connection, origin: _order(
            connection, origin, catalog, lock_box(connection, address, customer_id), extra, pay_by, request_id
        ),
    )


def why_addon_not_payable(connection: Connection, catalog: Catalog, order: Row[Any], on: date) -> str | None:
    """Why a locked order for extra space cannot take its payment, as the end of a sentence; none if it can."""
    reason = why_not_payable(order)
    if reason is not None:
        return reason
    box = connection.execute(select(boxes).where(boxes.c.id == order.box_id)).one()
    if box.status == "suspended" or box.expires_on < on:
        return f"its box has ended on {box.expires_on}" if box.expires_on < on else "its box is suspended"
    if is_being_charged(connection, box.id):
        return "its box is being charged, and nobody knows the outcome yet"
    renewal = open_orders_of(connection, [box]).get(box.id)
    if renewal is not None:
        return f"the renewal order {renewal.order_number} of its box must be paid or cancelled first"
    return no_room(connection, catalog, box, _extra_of(connection, order.id))


def settle_addon(connection: Connection, origin: Origin, catalog: Catalog, order: Row[Any], *, paid_on: date) -> str:
    """Give the box of a payable order that is locked the space that was paid for; returns the add-on's id."""
    box = connection.execute(select(boxes).where(boxes.c.id == order.box_id)).one()
    extra = _extra_of(connection, order.id)
    line = connection.execute(select(order_lines).where(order_lines.c.order_id == order.id)).one()
    addon = add_space(connection, box, extra, line.unit_price_cents, "renewal", order.order_number)
    closed = (
        update(orders)
        .where(orders.c.id == order.id, orders.c.status == "awaiting_payment")
        .values(status="paid", paid_on=paid_on, addon_id=addon.addon_id)
    )
    if connection.execute(closed).rowcount != 1:
        raise LifecycleError(f"Order {order.order_number} was overtaken by another change; nothing was changed.")
    connection.execute(update(order_lines).where(order_lines.c.order_id == order.id).values(addon_id=addon.addon_id))
    _tell_bought(connection, origin, catalog, box, extra, addon, order)
    return str(addon.addon_id)


def _order(
    connection: Connection,
    origin: Origin,
    catalog: Catalog,
    box: Row[Any],
    extra: Extra,
    pay_by: str,
    request_id: str,
) -> OrderedAddon:
    quoted = quote_space(connection, catalog, box, extra, origin.occurred_on)
    reason = _other_order(connection, box)
    if reason is not None:
        raise Refused(reason)
    number = addon_id = None
    if quoted.gross_cents:
        number = _place(connection, origin, catalog, box, quoted, pay_by, request_id)
    else:
        addon = add_space(connection, box, extra, catalog.extra_gb_cents, "renewal", request_id)
        _tell_bought(connection, origin, catalog, box, extra, addon, None)
        addon_id = addon.addon_id
    return OrderedAddon(
        box.address,
        extra.kind,
        extra.quantity,
        box.expires_on,
        quoted.years,
        quoted.gross_cents,
        number,
        addon_id,
    )


def _other_order(connection: Connection, box: Row[Any]) -> str | None:
    found = open_orders_of(connection, [box]).get(box.id)
    if found is None:
        found = connection.execute(
            select(orders).where(
                orders.c.box_id == box.id, orders.c.kind == ADDON, orders.c.status == "awaiting_payment"
            )
        ).first()
    if found is None:
        return None
    return (
        f"{box.address} has an order that waits for its payment: {found.order_number} for {euros(found.gross_cents)}. "
        f"Have it paid, or cancel it first (lifecycle-jobs order cancel {found.order_number})."
    )


def _place(
    connection: Connection,
    origin: Origin,
    catalog: Catalog,
    box: Row[Any],
    quoted: AddonQuote,
    pay_by: str,
    request_id: str,
) -> str:
    digest = hashlib.sha256(request_id.encode()).hexdigest()[:10]
    number = f"A-{box.id}-{origin.occurred_on:%Y%m%d}-{digest}"
    order_id = connection.execute(
        insert(orders)
        .values(
            order_number=number,
            kind=ADDON,
            customer_id=box.customer_id,
            box_id=box.id,
            term_expires_on=box.expires_on,
            years=quoted.years,
            placed_on=origin.occurred_on,
            net_cents=quoted.net_cents,
            vat_cents=quoted.gross_cents - quoted.net_cents,
            gross_cents=quoted.gross_cents,
            status="awaiting_payment",
        )
        .returning(orders.c.id)
    ).scalar_one()
    connection.execute(
        insert(order_lines).values(
            order_id=order_id,
            position=1,
            item=quoted.kind,
            quantity=quoted.quantity,
            unit_price_cents=catalog.extra_gb_cents,
            years=quoted.years,
            net_cents=quoted.net_cents,
        )
    )
    connection.execute(insert(manual_orders).values(order_id=order_id, pay_by=pay_by))
    detail = {
        "order_number": number,
        "kind": quoted.kind,
        "quantity": quoted.quantity,
        "years": quoted.years,
        "net": euros(quoted.net_cents),
        "vat": euros(quoted.gross_cents - quoted.net_cents),
        "gross": euros(quoted.gross_cents),
        "pay_by": pay_by,
    }
    record_addon(connection, origin, "addon.ordered", box, None, box.expires_on, detail)
    return number


def _extra_of(connection: Connection, order_id: int) -> Extra:
    line = connection.execute(select(order_lines).where(order_lines.c.order_id == order_id)).one()
    return Extra(line.item, line.quantity)


def _tell_bought(
    connection: Connection,
    origin: Origin,
    catalog: Catalog,
    box: Row[Any],
    extra: Extra,
    addon: Row[Any],
    order: Row[Any] | None,
) -> None:
    """What the holder has now, and what the renewal of the box costs with it."""
    renewal = quote_renewals(connection, catalog, [box])[box.id]
    detail = {
        "kind": extra.kind,
        "quantity": extra.quantity,
        "years": 0 if order is None else order.years,
        "cost": euros(0 if order is None else order.gross_cents),
        "yearly": euros(catalog.gross(extra.quantity * addon.unit_price_cents)),
        "balance": None,
        "renewal": euros(renewal.gross_cents),
        "renewal_years": renewal.years,
        "paid_until": box.expires_on.isoformat(),
        "order_number": None if order is None else order.order_number,
    }
    record_addon(connection, origin, "addon.bought", box, addon.addon_id, box.expires_on, detail)
