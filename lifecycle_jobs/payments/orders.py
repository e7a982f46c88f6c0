"""Orders: what a renewal costs, line by line, and the one order per box and term (SPEC §2)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from lifecycle_jobs.db.dialect import among
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


def quote_renewals(connection: Connection, catalog: Catalog, boxes: Sequence[Row[Any]]) -> dict[int, Quote]:
    """By box: renewal_years × (annual price + add-ons paid with the renewal), plus VAT once on the sum."""
    extras = extras_of(connection, [box.id for box in boxes])
    return {
        box.id: quote(catalog, box.plan, box.annual_price_cents, extras[box.id], box.renewal_years) for box in boxes
    }


def extras_of(connection: Connection, box_ids: Sequence[int]) -> dict[int, list[Line]]:
    """By box: the add-ons that its renewal pays for."""
    extras: dict[int, list[Line]] = defaultdict(list)
    for addon in connection.execute(
        select(addons)
        .where(
            among(addons.c.box_id, box_ids),
            addons.c.paid_from == "renewal",
            addons.c.status == "active",
            addons.c.cancelled_on.is_(None),
        )
        .order_by(addons.c.addon_id)
    ):
        extras[addon.box_id].append(Line(addon.kind, addon.addon_id, addon.quantity, addon.unit_price_cents))
    return extras


def quote(catalog: Catalog, plan: str, annual_price_cents: int | None, extras: Sequence[Line], years: int) -> Quote:
    """What so many years cost, at the plan's price where there is no other."""
    yearly = catalog.plans[plan].annual_price_cents if annual_price_cents is None else annual_price_cents
    extras_yearly = sum(extra.quantity * extra.unit_price_cents for extra in extras)
    net = renewal_net(yearly, extras_yearly, years)
    return Quote(years, (Line(plan, None, 1, yearly), *extras), net, catalog.gross(net))


def orders_of_terms(
    connection: Connection, catalog: Catalog, boxes: Sequence[Row[Any]], *, on: date
) -> dict[int, Order]:
    """By box: its open renewal order, placed now if there is none.

    An order that no longer says what a renewal costs, or whom (an add-on was dropped after a decline, a price
    changed) is cancelled and placed anew: nobody is charged for what they no longer want. Call it with the
    boxes locked.
    """
    quotes = quote_renewals(connection, catalog, boxes)
    open_orders = open_orders_of(connection, boxes)
    said = _lines(connection, [order.id for order in open_orders.values()])
    found = {
        box.id: order_of(open_orders[box.id])
        for box in boxes
        if box.id in open_orders and _says(open_orders[box.id], said[open_orders[box.id].id], quotes[box.id], box)
    }
    outdated = [order.id for box_id, order in open_orders.items() if box_id not in found]
    if outdated:
        connection.execute(update(orders).where(among(orders.c.id, outdated)).values(status="cancelled"))
    missing = [box for box in boxes if box.id not in found]
    return found | place(connection, missing, quotes, on=on)


def open_orders_of(connection: Connection, boxes: Sequence[Row[Any]]) -> dict[int, Row[Any]]:
    """By box: the order of its term that waits for its payment, if there is one."""
    return {order.box_id: order for order in _of_terms(connection, boxes) if order.status == "awaiting_payment"}


def _of_terms(connection: Connection, boxes: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Every renewal order that the boxes' terms have had."""
    terms = {box.id: box.expires_on for box in boxes}
    found = connection.execute(select(orders).where(among(orders.c.box_id, list(terms)), orders.c.kind == "renewal"))
    return [order for order in found if order.term_expires_on == terms[order.box_id]]


def _lines(connection: Connection, order_ids: Sequence[int]) -> dict[int, list[Line]]:
    lines: dict[int, list[Line]] = defaultdict(list)
    if order_ids:
        for row in connection.execute(
            select(order_lines).where(among(order_lines.c.order_id, order_ids)).order_by(order_lines.c.position)
        ):
            lines[row.order_id].append(Line(row.item, row.addon_id, row.quantity, row.unit_price_cents))
    return lines


def load_orders(connection: Connection, order_ids: Sequence[int]) -> dict[int, Order]:
    """The orders with these ids."""
    return {row.id: order_of(row) for row in connection.execute(select(orders).where(among(orders.c.id, order_ids)))}


def place_paid_addon_order(
    connection: Connection,
    *,
    addon: Row[Any],
    paid_from: date,
    customer_id: str,
    years: int,
    net_cents: int,
    gross_cents: int,
    on: date,
) -> str:
    """The order of an add-on that credit pays, placed and paid at once; returns its number.

    `paid_from` is the day after which these years count: A of the term that is renewed, or the day of the purchase.
    """
    of_term = and_(
        orders.c.box_id == addon.box_id,  # by which there is an index
        orders.c.addon_id == addon.addon_id,
        orders.c.term_expires_on == paid_from,
    )
    earlier = connection.scalar(select(func.count()).select_from(orders).where(orders.c.kind == "addon", of_term))
    number = f"A-{addon.addon_id}-{paid_from:%Y%m%d}" + (f"-{earlier + 1}" if earlier else "")
    order_id = connection.execute(
        insert(orders)
        .values(
            order_number=number,
            kind="addon",
            customer_id=customer_id,
            box_id=addon.box_id,
            addon_id=addon.addon_id,
            term_expires_on=paid_from,
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
    _write_lines(connection, [(order_id, years, (line,))])
    return number


def _says(order: Row[Any], lines: Sequence[Line], quote: Quote, box: Row[Any]) -> bool:
    return bool(
        order.customer_id == box.customer_id
        and order.years == quote.years
        and tuple(lines) == quote.lines
        and order.gross_cents == quote.gross_cents
    )


def place(
    connection: Connection, boxes: Sequence[Row[Any]], quotes: Mapping[int, Quote], *, on: date
) -> dict[int, Order]:
    """By box: its new order, which waits for its payment. Call it with the boxes locked and without an open order."""
    if not boxes:
        return {}
    earlier = Counter(order.box_id for order in _of_terms(connection, boxes))
    rows = connection.execute(
        insert(orders).returning(*orders.c),
        [
            {
                "order_number": _number(box, earlier[box.id]),
                "kind": "renewal",
                "customer_id": box.customer_id,
                "box_id": box.id,
                "term_expires_on": box.expires_on,
                "years": quotes[box.id].years,
                "placed_on": on,
                "net_cents": quotes[box.id].net_cents,
                "vat_cents": quotes[box.id].gross_cents - quotes[box.id].net_cents,
                "gross_cents": quotes[box.id].gross_cents,
                "status": "awaiting_payment",
            }
            for box in boxes
        ],
    ).all()
    _write_lines(connection, [(row.id, quotes[row.box_id].years, quotes[row.box_id].lines) for row in rows])
    return {row.box_id: order_of(row) for row in rows}


def _number(box: Row[Any], earlier: int) -> str:
    # Made from what it is for, not from a sequence: a killed run that is repeated gives the same numbers.
    return f"R-{box.id}-{box.expires_on:%Y%m%d}" + (f"-{earlier + 1}" if earlier else "")


def _write_lines(connection: Connection, lines_of_orders: Sequence[tuple[int, int, Sequence[Line]]]) -> None:
    """Each order's id, years and lines."""
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
            for order_id, years, lines in lines_of_orders
            for position, line in enumerate(lines, start=1)
        ],
    )


def order_of(row: Row[Any], prefix: str = "") -> Order:
    """The order in a row that has its columns, each name with a prefix."""
    return Order(
        *(
            getattr(row, prefix + name)
            for name in (
                "id",
                "order_number",
                "box_id",
                "customer_id",
                "term_expires_on",
                "years",
                "net_cents",
                "gross_cents",
            )
        )
    )
