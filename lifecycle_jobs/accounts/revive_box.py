"""Reviving a box that was deleted by mistake, within `deletion.undelete_days`, if the mail platform still has it.

Whether it has, a person says who has looked there. An answer of the platform's to the webhook of the deletion says
only that it was told, not what became of the mail; and until it has confirmed that one, `status` lists it.

The box comes back as what it was before: suspended for want of payment, but as of today, so that it is not deleted
again sooner than 30 days from now (SPEC §1, X), with the add-ons that had ended with it. Its cancelled orders stay so:
its renewal is ordered anew. The platform is told, after the deletion, in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, and_, or_, select, update
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, boxes
from lifecycle_jobs.errors import LifecycleError, Refused
from lifecycle_jobs.history import Origin, record_of_box
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.policy import UNPAID, Catalog, deletion_date


@dataclass(frozen=True, slots=True)
class RevivedBox:
    """A box that is there again, suspended for want of payment; it may be deleted from `deletes_on` on."""

    address: str
    deleted_on: date
    expires_on: date
    deletes_on: date


_RESULTS = TypeAdapter(RevivedBox)


def revive_box(
    store: Store,
    catalog: Catalog,
    operator: Operator,
    address: str,
    *,
    undelete_days: int,
    platform_has_it: bool,
    request_id: str,
) -> RevivedBox:
    """Bring back the box of an address that was deleted last, up to and including `undelete_days` after that.

    Raises Refused if there is none, if it was too long ago, if the address lives again, and without a person's word
    that the mail platform still has it.
    """
    arguments = {"address": address, "platform_has_it": platform_has_it}
    request = Request(request_id, "box.revive", arguments, _RESULTS)
    latest = timedelta(days=undelete_days)
    try:
        return once(
            store,
            operator,
            request,
            lambda connection, origin: _revive(connection, origin, catalog, address, latest, said=platform_has_it),
        )
    except IntegrityError as error:
        with store.read() as connection:
            if _living(connection, address) is None:
                raise
        raise Refused(_sold(address)) from error


def _revive(
    connection: Connection, origin: Origin, catalog: Catalog, address: str, within: timedelta, *, said: bool
) -> RevivedBox:
    on = origin.occurred_on
    if _living(connection, address) is not None:
        raise Refused(_sold(address))
    box = connection.execute(
        select(boxes)
        .where(boxes.c.address_key == address.lower(), boxes.c.status == "deleted")
        .order_by(boxes.c.deleted_on.desc())
        .limit(1)
        .with_for_update(key_share=True)
    ).one_or_none()
    if box is None:
        raise Refused(f"There is no deleted box {address}.")
    if on > box.deleted_on + within:
        raise Refused(
            f"{box.address} was deleted on {box.deleted_on}, more than {within.days} days ago "
            "(deletion.undelete_days). Its former holder can buy the address anew "
            f"(lifecycle-jobs box buy {box.address})."
        )
    if not said:
        raise Refused(
            f"Look on the mail platform whether it still has {box.address}, and say so (--platform-has-it). If it has "
            f"not, its holder can buy the address anew (lifecycle-jobs box buy {box.address})."
        )
    _bring_back(connection, box, on)
    deletes_on = deletion_date(catalog.policy_of(box.plan), box.expires_on, on, box.hold_until)
    record_of_box(
        connection,
        origin,
        "box.revived",
        box,
        detail={"deleted_on": box.deleted_on.isoformat(), "reason": UNPAID, "suspended_on": on.isoformat()},
    )
    return RevivedBox(box.address, box.deleted_on, box.expires_on, deletes_on)


def _bring_back(connection: Connection, box: Row[Any], on: date) -> None:
    back = (
        update(boxes)
        .where(boxes.c.id == box.id, boxes.c.status == "deleted", boxes.c.deleted_on == box.deleted_on)
        .values(status="suspended", suspended_on=on, suspended_reason=UNPAID, deleted_on=None)
    )
    if connection.execute(back).rowcount != 1:
        raise LifecycleError(f"{box.address} was overtaken by another change; nothing was changed here.")
    # Those that had ended with the box: an add-on that was dropped earlier ended before the box's E. One that waited
    # for credit with a term that was over before E looks the same: on that doubt it is not charged for again.
    ended_with_it = or_(
        addons.c.expires_on == box.expires_on,
        and_(addons.c.paid_from == "credit", addons.c.expires_on > box.expires_on),
    )
    connection.execute(
        update(addons)
        .where(
            addons.c.box_id == box.id,
            addons.c.status == "terminated",
            addons.c.cancelled_on.is_(None),
            ended_with_it,
        )
        .values(status="active")
    )


def _living(connection: Connection, address: str) -> int | None:
    living = select(boxes.c.id).where(boxes.c.address_key == address.lower(), boxes.c.status != "deleted")
    found: int | None = connection.scalar(living)
    return found


def _sold(address: str) -> str:
    return f"{address} is there, and not deleted: there is nothing to revive."
