"""The living box of an address, held against the jobs for as long as an operation works on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.tables import boxes, charges
from lifecycle_jobs.errors import LifecycleError, Refused

_LONGEST_REASON = 500


def lock_box(connection: Connection, address: str, customer_id: str | None = None) -> Row[Any]:
    """The box of an address that is not deleted, as it is now; no job and no other operation changes it meanwhile.

    Raises Refused if there is none, or it is not `customer_id`'s, where that is given.
    """
    whose = boxes.c.customer_id == customer_id if customer_id is not None else boxes.c.customer_id.is_not(None)
    box = connection.execute(
        select(boxes)
        .where(boxes.c.address_key == address.lower(), boxes.c.status != "deleted", whose)
        .with_for_update(key_share=True)
    ).one_or_none()
    if box is not None:
        return box
    deleted_on = connection.scalar(
        select(boxes.c.deleted_on)
        .where(boxes.c.address_key == address.lower(), boxes.c.status == "deleted", whose)
        .order_by(boxes.c.deleted_on.desc())
        .limit(1)
    )
    if deleted_on is None:
        raise Refused(f"There is no box {address}.")
    raise Refused(
        f"{address} was deleted on {deleted_on}. It can only be bought anew (lifecycle-jobs box buy {address})."
    )


def alter(connection: Connection, box: Row[Any], *guards: ColumnElement[bool], **values: Any) -> None:
    """Change a locked box, which must still be as it was decided on; raises LifecycleError if it is not."""
    unchanged = (boxes.c.id == box.id, boxes.c.status == box.status, boxes.c.expires_on == box.expires_on, *guards)
    if connection.execute(update(boxes).where(*unchanged).values(**values)).rowcount != 1:
        raise LifecycleError(f"{box.address} was overtaken by another change; nothing was changed here.")


def being_charged(connection: Connection, box_id: int) -> bool:
    """Whether there is a charge of the box of which nobody knows yet whether it was made."""
    of_box = select(charges.c.id).where(charges.c.box_id == box_id, unresolved)
    return connection.scalar(of_box) is not None


def reason_of(written: str) -> str:
    """A reason that says something; raises Refused for one that does not."""
    reason = written.strip()
    if not reason or len(reason) > _LONGEST_REASON:
        raise Refused(f"Say why, in 1 to {_LONGEST_REASON} characters: the reason is kept with the box.")
    return reason
