"""Orders: what a renewal costs, line by line, and the one order per box and term (SPEC §2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from lifecycle_jobs.db.tables import addons, order_lines, orders
from lifecycle_jobs.policy import Catalog, renewal_net


@dataclass(frozen=True, slots=True)
class Line:
    """One position of an order: a plan's code or an add-on's kind, its yearly net price in cents."""

    item: str
    addon_id: str | None
    quantity: int
    unit_price_cents: int


@dataclass(frozen=True, slots=True)
class Quote:
    """What a renewal costs now."""

    years: int
    lines: tuple[Line, ...]
    net_cents: int
    gross_cents: int


@dataclass(frozen=True, slots=True)
class Order:
    """A renewal order as far as collecting it needs to know."""

    id: int
    number: str
    box_id: int
    customer_id: str
    term_expires_on: date
    years: int
    net_cents: int
    gross_cents: int


def quote_renewal(connection: Connection, catalog: Catalog, box: Row[Any]) -> Quote:
    """renewal_years × (annual price + add-ons paid with the renewal), plus VAT once on the sum."""
    yearly = catalog.plans[box.plan].annual_price_cents if box.annual_price_cents is None else box.annual_price_cents
    extras = connection.execute(
        select(addons)
        .where(
            addons.c.box_id == box.id,
            addons.c.paid_from == "renewal",
            addons.c.status == "active",
            addons.c.cancelled_on.is_(None),
        )
        .order_by(addons.c.addon_id)
    ).all()
    lines = (
        Line(box.plan, None, 1, yearly),
        *(Line(extra.kind, extra.addon_id, extra.quantity, extra.unit_price_cents) for extra in extras),
    )
    extras_yearly = sum(extra.quantity * extra.unit_price_cents for extra in extras)
    net = renewal_net(yearly, extras_yearly, box.renewal_years)
    return Quote(box.renewal_years, lines, net, catalog.gross(net))


def order_of_term(connection: Connection, catalog: Catalog, box: Row[Any], *, on: date) -> Order:
    """The box's open renewal order, placed now if there is none.

    An order that no longer says what a renewal costs, or whom (an add-on was dropped after a decline, a price
    changed) is cancelled and placed anew: nobody is charged for what they no longer want. Call it with the
    box locked.
    """
    quote = quote_renewal(connection, catalog, box)
    found = connection.execute(
        select(orders).where(
            orders.c.box_id == box.id,
            orders.c.term_expires_on == box.expires_on,
            orders.c.kind == "renewal",
            orders.c.status == "awaiting_payment",
        )
    ).one_or_none()
    if found is not None:
        if _says(connection, found, quote, box.customer_id):
            return _order(found)
        connection.execute(update(orders).where(orders.c.id == found.id).values(status="cancelled"))
    return _place(connection, box, quote, on)


def load_order(connection: Connection, order_id: int) -> Order:
    """The order with this id."""
    return _order(connection.execute(select(orders).where(orders.c.id == order_id)).one())


def place_paid_addon_order(
    connection: Connection,
    *,
    addon: Row[Any],
    customer_id: str,
    years: int,
    net_cents: int,
    gross_cents: int,
    on: date,
) -> str:
    """The order of an add-on that credit pays, placed and paid at once; returns its number."""
    number = f"A-{addon.addon_id}-{addon.expires_on:%Y%m%d}"
    order_id = connection.execute(
        insert(orders)
        .values(
            order_number=number,
            kind="addon",
            customer_id=customer_id,
            box_id=addon.box_id,
            addon_id=addon.addon_id,
            term_expires_on=addon.expires_on,
            years=years,
            placed_on=on,
            paid_on=on,
            net_cents=net_cents,
            vat_cents=gross_cents - net_cents,
            gross_cents=gross_cents,
            status="paid",
        )
        .returning(orders.c.id)
    ).scalar_one()
    line = Line(addon.kind, addon.addon_id, addon.quantity, addon.unit_price_cents)
    _write_lines(connection, order_id, years, (line,))
    return number


def _says(connection: Connection, order: Row[Any], quote: Quote, customer_id: str) -> bool:
    rows = connection.execute(
        select(order_lines).where(order_lines.c.order_id == order.id).order_by(order_lines.c.position)
    )
    lines = tuple(Line(row.item, row.addon_id, row.quantity, row.unit_price_cents) for row in rows)
    return bool(
        order.customer_id == customer_id
        and order.years == quote.years
        and lines == quote.lines
        and order.gross_cents == quote.gross_cents
    )


def _place(connection: Connection, box: Row[Any], quote: Quote, on: date) -> Order:
    earlier = connection.scalar(
        select(func.count()).where(
            orders.c.box_id == box.id, orders.c.term_expires_on == box.expires_on, orders.c.kind == "renewal"
        )
    )
    # Made from what it is for, not from a sequence: a killed run that is repeated gives the same numbers.
    number = f"R-{box.id}-{box.expires_on:%Y%m%d}" + (f"-{earlier + 1}" if earlier else "")
    row = connection.execute(
        insert(orders)
        .values(
            order_number=number,
            kind="renewal",
            customer_id=box.customer_id,
            box_id=box.id,
            term_expires_on=box.expires_on,
            years=quote.years,
            placed_on=on,
            net_cents=quote.net_cents,
            vat_cents=quote.gross_cents - quote.net_cents,
            gross_cents=quote.gross_cents,
            status="awaiting_payment",
        )
        .returning(*orders.c)
    ).one()
    _write_lines(connection, row.id, quote.years, quote.lines)
    return _order(row)


def _write_lines(connection: Connection, order_id: int, years: int, lines: tuple[Line, ...]) -> None:
    connection.execute(
        insert(order_lines),
        [
            {
                "order_id": order_id,
                "position": position,
                "item": line.item,
                "addon_id": line.addon_id,
                "quantity": line.quantity,
                "unit_price_cents": line.unit_price_cents,
                "years": years,
                "net_cents": line.quantity * line.unit_price_cents * years,
            }
            for position, line in enumerate(lines, start=1)
        ],
    )


def _order(row: Row[Any]) -> Order:
    return Order(
        row.id,
        row.order_number,
        row.box_id,
        row.customer_id,
        row.term_expires_on,
        row.years,
        row.net_cents,
        row.gross_cents,
    )
