"""Giving an add-on up: its box keeps it to the end of what is paid, and then the jobs end it (SPEC §3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, select, update

from lifecycle_jobs.accounts.addons import being_charged, record_addon
from lifecycle_jobs.accounts.finding import is_being_charged
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, boxes, order_lines
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.orders import open_orders_of


@dataclass(frozen=True, slots=True)
class CancelledAddon:
    """An add-on that ends after `ends_on`, and is not renewed any more."""

    addon_id: str
    address: str
    ends_on: date


_RESULTS = TypeAdapter(CancelledAddon)


def cancel_addon(
    store: Store, operator: Operator, addon_id: str, *, request_id: str, customer_id: str | None = None
) -> CancelledAddon:
    """Give an add-on up: the box keeps it up to the end of what is paid, and it is not renewed.

    Raises Refused if there is no active add-on of that id (of `customer_id`, where that is given), it was given up
    before, its box is being charged, or an open renewal order includes it.
    """
    arguments = {"addon_id": addon_id, "customer_id": customer_id}
    return once(
        store,
        operator,
        Request(request_id, "addon.cancel", arguments, _RESULTS),
        lambda connection, origin: _cancel(connection, origin, addon_id, customer_id),
    )


def _cancel(connection: Connection, origin: Origin, addon_id: str, customer_id: str | None) -> CancelledAddon:
    box = connection.execute(
        select(boxes)
        .join(addons, addons.c.box_id == boxes.c.id)
        .where(addons.c.addon_id == addon_id)
        .with_for_update(of=boxes, key_share=True)
    ).one_or_none()
    addon = connection.execute(select(addons).where(addons.c.addon_id == addon_id).with_for_update()).one_or_none()
    if box is None or addon is None or customer_id not in {None, box.customer_id}:
        raise Refused(f"There is no add-on {addon_id}.")
    reason = _not_cancellable(connection, box, addon)
    if reason is not None:
        raise Refused(reason)
    connection.execute(
        update(addons)
        .where(addons.c.addon_id == addon_id, addons.c.status == "active", addons.c.cancelled_on.is_(None))
        .values(cancelled_on=origin.occurred_on)
    )
    detail = {"kind": addon.kind, "quantity": addon.quantity, "ends_on": addon.expires_on.isoformat()}
    record_addon(connection, origin, "addon.cancelled", box, addon_id, addon.expires_on, detail)
    return CancelledAddon(addon_id, box.address, addon.expires_on)


def _not_cancellable(connection: Connection, box: Row[Any], addon: Row[Any]) -> str | None:
    if addon.status != "active":
        return f"Add-on {addon.addon_id} is {addon.status} already."
    if addon.cancelled_on is not None:
        return f"Add-on {addon.addon_id} was given up on {addon.cancelled_on}; it ends after {addon.expires_on}."
    if is_being_charged(connection, box.id):
        return being_charged(box.address)
    order = open_orders_of(connection, [box]).get(box.id)
    if order is None:
        return None
    line = select(order_lines.c.order_id).where(
        order_lines.c.order_id == order.id, order_lines.c.addon_id == addon.addon_id
    )
    if connection.scalar(line) is None:
        return None
    return (
        f"Add-on {addon.addon_id} is on order {order.order_number}, which waits for its payment. Cancel that first "
        f"(lifecycle-jobs order cancel {order.order_number}), or give the add-on up once it is paid."
    )
