"""Suspending for want of payment outside a run, where an operation itself leaves a box behind that is past E."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, and_, select, update

from lifecycle_jobs.db.conditions import (
    by_plan,
    days_from,
    latest_charge_not_attempted,
    on_hold,
    unapplied_payment,
    unresolved_charge,
)
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.history import Origin, record_of_box
from lifecycle_jobs.policy import UNPAID, Catalog


def suspend_if_unpaid(
    connection: Connection, origin: Origin, catalog: Catalog, box_id: int, detail: Mapping[str, Any]
) -> bool:
    """Suspend a box that is active past E, unless there is a reason for which the job `suspend` would leave it.

    Without this it could be used, unpaid, until the next run. Its holder gets the notice that the job would send, and
    the days until it may be deleted count from now (SPEC §1, X). `detail` says in its event what led there. Call it
    with the box locked.
    """
    on = origin.occurred_on
    in_grace = by_plan(catalog.groups(), lambda policy: boxes.c.expires_on >= days_from(on, -policy.outage_grace_days))
    suspended = connection.execute(
        update(boxes)
        .where(
            boxes.c.id == box_id,
            boxes.c.status == "active",
            boxes.c.expires_on < on,
            ~on_hold(on),
            ~unresolved_charge(),
            ~unapplied_payment(),
            ~and_(in_grace, latest_charge_not_attempted()),
        )
        .values(status="suspended", suspended_on=on, suspended_reason=UNPAID)
    )
    if suspended.rowcount == 0:
        return False
    box = connection.execute(select(boxes).where(boxes.c.id == box_id)).one()
    record_of_box(
        connection,
        origin,
        "box.suspended",
        box,
        detail={"reason": UNPAID, **detail},
    )
    return True
