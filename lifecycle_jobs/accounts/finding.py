"""The box, or the holder, that an operation names: found as it is now, and held against the jobs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.tables import boxes, charges, customers
from lifecycle_jobs.errors import Refused


def lock_box(connection: Connection, address: str, customer_id: str | None = None) -> Row[Any]:
    """The living box of an address, `customer_id`'s where that is given; raises Refused if there is none."""
    box = connection.execute(
        select(boxes)
        .where(boxes.c.address_key == address.lower(), boxes.c.status != "deleted")
        .with_for_update(key_share=True)
    ).one_or_none()
    if box is None or customer_id not in {None, box.customer_id}:
        raise Refused(absent(connection, address, customer_id))
    return box


def lock_customer(connection: Connection, customer_id: str) -> Row[Any]:
    """A holder, held until the transaction ends; raises Refused if there is none. Boxes are locked before."""
    customer = connection.execute(
        select(customers).where(customers.c.customer_id == customer_id).with_for_update(key_share=True)
    ).one_or_none()
    if customer is None:
        raise Refused(f"There is no customer {customer_id}.")
    return customer


def is_being_charged(connection: Connection, box_id: int) -> bool:
    """Whether nobody knows yet what became of a charge of the box."""
    found = connection.scalar(select(charges.c.id).where(charges.c.box_id == box_id, unresolved))
    return found is not None


def absent(connection: Connection, address: str, customer_id: str | None) -> str:
    """Why there is no living box of this address; what belongs to somebody else is not spoken of."""
    whose = boxes.c.customer_id == customer_id if customer_id is not None else boxes.c.customer_id.is_not(None)
    deleted_on = connection.scalar(
        select(boxes.c.deleted_on)
        .where(boxes.c.address_key == address.lower(), boxes.c.status == "deleted", whose)
        .order_by(boxes.c.deleted_on.desc())
        .limit(1)
    )
    if deleted_on is None:
        return f"There is no box {address}."
    return f"{address} was deleted on {deleted_on}. It can only be bought anew (lifecycle-jobs box buy {address})."
