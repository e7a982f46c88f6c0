"""What a settled renewal order does to its box (SPEC §3, auto_renew: "succeeded")."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import Connection, Update, and_, case, literal, select, update

from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.tables import addons, boxes, order_lines, orders
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.history import Event, Origin, euros, record_all
from lifecycle_jobs.payments.orders import Order
from lifecycle_jobs.policy import UNPAID, renewed_until


@dataclass(frozen=True, slots=True)
class Settled:
    """A renewal order that is paid, or goes on account.

    `method` is the kind of payment, none for a bank transfer. `paid_on` is when it was paid, if that was not today.
    """

    order: Order
    status: Literal["paid", "on_account"]
    method: str | None
    paid_on: date | None = None


def apply_renewals(connection: Connection, origin: Origin, settled: Sequence[Settled]) -> set[int]:
    """Close the orders and move each E by its order's years, from E; returns the ids of the orders that it closed.

    An order that is not open any more, or whose box has another term by now or is deleted, is left alone with its
    box: what was paid for it is to be given back. A box that was suspended for `unpaid` becomes active again if its
    new E is not past; one suspended by hand stays so. The add-ons on an order move to the new E with it.
    """
    by_order = {each.order.id: each for each in settled}
    takes = set(
        connection.scalars(
            select(orders.c.id)
            .join(boxes, boxes.c.id == orders.c.box_id)
            .where(
                among(orders.c.id, list(by_order)),
                orders.c.status == "awaiting_payment",
                boxes.c.expires_on == orders.c.term_expires_on,
                boxes.c.status != "deleted",
            )
            .order_by(boxes.c.id)
            .with_for_update(of=boxes, key_share=True)
        )
    )
    going = [each for order_id, each in by_order.items() if order_id in takes]
    if going:
        _close(connection, origin, going)
        carried = _move(connection, origin, going)
        record_all(connection, origin, [_event(each, carried[each.order.id]) for each in going])
    return takes


def _close(connection: Connection, origin: Origin, going: Sequence[Settled]) -> None:
    alike: dict[tuple[str, date | None], list[int]] = defaultdict(list)
    for each in going:
        paid_on = each.paid_on or origin.occurred_on
        alike[each.status, paid_on if each.status == "paid" else None].append(each.order.id)
    for (status, paid_on_or_none), ids in alike.items():
        _expect(
            connection,
            update(orders)
            .where(among(orders.c.id, ids), orders.c.status == "awaiting_payment")
            .values(status=status, paid_on=paid_on_or_none),
            len(ids),
        )


def _move(connection: Connection, origin: Origin, going: Sequence[Settled]) -> dict[int, list[str]]:
    """Move boxes and add-ons to their new E; by order: the add-ons that stand on it."""
    carried: dict[int, list[str]] = defaultdict(list)
    for line in connection.execute(
        select(order_lines.c.order_id, order_lines.c.addon_id)
        .where(among(order_lines.c.order_id, [each.order.id for each in going]), order_lines.c.addon_id.is_not(None))
        .order_by(order_lines.c.order_id, order_lines.c.addon_id)
    ):
        carried[line.order_id].append(line.addon_id)
    unpaid = and_(boxes.c.status == "suspended", boxes.c.suspended_reason == UNPAID)
    for (term, until), alike in _by_term(going).items():
        lifted = and_(unpaid, literal(until >= origin.occurred_on))
        _expect(
            connection,
            update(boxes)
            .where(
                among(boxes.c.id, [each.order.box_id for each in alike]),
                boxes.c.expires_on == term,
                boxes.c.status != "deleted",
            )
            .values(
                expires_on=until,
                status=case((lifted, "active"), else_=boxes.c.status),
                suspended_on=case((lifted, None), else_=boxes.c.suspended_on),
                suspended_reason=case((lifted, None), else_=boxes.c.suspended_reason),
            ),
            len(alike),
        )
        moving = [addon_id for each in alike for addon_id in carried[each.order.id]]
        if moving:
            connection.execute(
                update(addons)
                .where(among(addons.c.addon_id, moving), addons.c.status == "active")
                .values(expires_on=until)
            )
    return carried


def _by_term(going: Sequence[Settled]) -> dict[tuple[date, date], list[Settled]]:
    alike: dict[tuple[date, date], list[Settled]] = defaultdict(list)
    for each in going:
        term = each.order.term_expires_on
        alike[term, renewed_until(term, each.order.years)].append(each)
    return alike


def _expect(connection: Connection, guarded: Update, rows: int) -> None:
    changed = connection.execute(guarded).rowcount
    if changed != rows:
        message = f"{rows - changed} of {rows} renewals were overtaken by another change; nothing was changed here."
        raise LifecycleError(message)


def _event(settled: Settled, carried: Sequence[str]) -> Event:
    order = settled.order
    detail: dict[str, Any] = {
        "order_number": order.number,
        "years": order.years,
        "new_expires_on": renewed_until(order.term_expires_on, order.years).isoformat(),
        "net": euros(order.net_cents),
        "vat": euros(order.gross_cents - order.net_cents),
        "gross": euros(order.gross_cents),
        "method": settled.method,
        "addons": list(carried),
    }
    return Event("box.renewed", order.box_id, order.customer_id, order.term_expires_on, detail)
