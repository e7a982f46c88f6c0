"""What an order that is paid outside a run does to its box: all in the transaction that records the payment."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, select, update

from lifecycle_jobs.accounts.plan_change import bring_about, record_change, space_now
from lifecycle_jobs.db.tables import boxes, manual_orders, orders
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.history import Origin
from lifecycle_jobs.payments.orders import order_of
from lifecycle_jobs.payments.renewals import Settled, apply_renewals
from lifecycle_jobs.policy import Catalog


def lock_order(connection: Connection, order_number: str) -> Row[Any] | None:
    """The order as it is now, with its box held against the jobs; none if there is none of that number.

    The columns of the box begin with `of_box_`, those that only an order placed by hand has with `manual_`.
    """
    box_id = connection.scalar(select(orders.c.box_id).where(orders.c.order_number == order_number))
    connection.execute(select(boxes.c.id).where(boxes.c.id == box_id).with_for_update(key_share=True))
    return connection.execute(
        select(
            orders,
            *[column.label(f"of_box_{column.name}") for column in boxes.c],
            *[column.label(f"manual_{column.name}") for column in manual_orders.c],
        )
        .outerjoin(boxes, boxes.c.id == orders.c.box_id)
        .outerjoin(manual_orders, manual_orders.c.order_id == orders.c.id)
        .where(orders.c.order_number == order_number)
    ).one_or_none()


def why_not_payable(order: Row[Any]) -> str | None:
    """Why a locked order cannot be paid, as the end of a sentence; none if it can."""
    if order.kind not in {"renewal", "addon"}:
        return "it is for no box"
    if order.status == "on_account":
        return "it is on account: the invoice collects it"
    if order.status != "awaiting_payment":
        return "it is paid already" if order.status == "paid" else "it was cancelled"
    if order.of_box_status == "deleted":
        return f"its box was deleted on {order.of_box_deleted_on}"
    if order.of_box_expires_on != order.term_expires_on:
        return "its box has gone on to another term"
    return None


def settle(
    connection: Connection, origin: Origin, catalog: Catalog, order: Row[Any], *, method: str | None, paid_on: date
) -> None:
    """Renew the box of a payable order that is locked, with the plan and the space that was ordered.

    `method` is the kind of payment, none for a bank transfer.

    The notice that its holder had given when ordering is void now; one given since stands.
    """
    box = connection.execute(select(boxes).where(boxes.c.id == order.box_id)).one()
    had = space_now(connection, catalog, box)
    bring_about(connection, order)
    if not apply_renewals(connection, origin, [Settled(order_of(order), "paid", method, paid_on)]):
        raise LifecycleError(f"Order {order.order_number} cannot be applied to its box; nothing was changed.")
    record_change(connection, origin, catalog, order, had=had, plan=box.plan)
    if order.manual_cancelled_on is not None:
        _void_notice(connection, order)


def _void_notice(connection: Connection, order: Row[Any]) -> None:
    voided = connection.execute(
        update(boxes)
        .where(boxes.c.id == order.box_id, boxes.c.cancelled_on == order.manual_cancelled_on)
        .values(cancelled_on=None)
    )
    if voided.rowcount == 0:
        # Withdrawn by the holder, or given anew: undoing the renewal must not bring it back.
        connection.execute(update(manual_orders).where(manual_orders.c.order_id == order.id).values(cancelled_on=None))
