"""What a settled renewal order does to its box (SPEC §3, auto_renew: "succeeded")."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, and_, case, literal, select, update

from lifecycle_jobs.db.tables import addons, boxes, order_lines, orders
from lifecycle_jobs.history import Origin, euros, record
from lifecycle_jobs.payments.orders import Order
from lifecycle_jobs.policy import UNPAID, renewed_until


def apply_renewal(
    connection: Connection,
    origin: Origin,
    order: Order,
    *,
    status: Literal["paid", "on_account"],
    method: str,
) -> bool:
    """Close the order and move E by its years, from E; False if the order or the box has changed meanwhile.

    A box that was suspended for `unpaid` becomes active again if its new E is not past; one suspended by hand stays
    so. The add-ons on the order move to the new E. On False the caller must roll back.
    """
    paid_on = origin.occurred_on if status == "paid" else None
    closed = connection.execute(
        update(orders)
        .where(orders.c.id == order.id, orders.c.status == "awaiting_payment")
        .values(status=status, paid_on=paid_on)
    )
    until = renewed_until(order.term_expires_on, order.years)
    unpaid = and_(boxes.c.status == "suspended", boxes.c.suspended_reason == UNPAID)
    lifted = and_(unpaid, literal(until >= origin.occurred_on))
    moved = connection.execute(
        update(boxes)
        .where(
            boxes.c.id == order.box_id,
            boxes.c.expires_on == order.term_expires_on,
            boxes.c.status != "deleted",
        )
        .values(
            expires_on=until,
            status=case((lifted, "active"), else_=boxes.c.status),
            suspended_on=case((lifted, None), else_=boxes.c.suspended_on),
            suspended_reason=case((lifted, None), else_=boxes.c.suspended_reason),
        )
    )
    if closed.rowcount != 1 or moved.rowcount != 1:
        return False
    paid_with_it = connection.scalars(
        select(order_lines.c.addon_id)
        .where(order_lines.c.order_id == order.id, order_lines.c.addon_id.is_not(None))
        .order_by(order_lines.c.addon_id)
    ).all()
    connection.execute(
        update(addons).where(addons.c.addon_id.in_(paid_with_it), addons.c.status == "active").values(expires_on=until)
    )
    record(
        connection,
        origin,
        "box.renewed",
        box_id=order.box_id,
        customer_id=order.customer_id,
        term_expires_on=order.term_expires_on,
        detail={
            "order_number": order.number,
            "years": order.years,
            "new_expires_on": until.isoformat(),
            "net": euros(order.net_cents),
            "vat": euros(order.gross_cents - order.net_cents),
            "gross": euros(order.gross_cents),
            "method": method,
            "addons": list(paid_with_it),
        },
    )
    return True
