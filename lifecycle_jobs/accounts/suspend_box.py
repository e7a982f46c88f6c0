"""Suspending a box by hand, for any reason but non-payment, and lifting that (SPEC §2).

A box suspended by hand stays so when it is paid, and is never deleted. The mail platform is told to block it, and to
lift the block. The reason is the office's own note, and not told to the holder.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row

from lifecycle_jobs.accounts.altering import alter, reason_of
from lifecycle_jobs.accounts.finding import lock_box
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.accounts.unpaid import suspend_if_unpaid
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, record_of_box
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.policy import UNPAID, Catalog


@dataclass(frozen=True, slots=True)
class SuspendedBox:
    """A box that is suspended by hand, since `suspended_on`."""

    address: str
    suspended_on: date


@dataclass(frozen=True, slots=True)
class LiftedBox:
    """A box that is not suspended by hand any more.

    `unpaid`: its E, `expires_on`, is past, so it is suspended for that instead, as of today.
    """

    address: str
    expires_on: date
    unpaid: bool


_SUSPENDED = TypeAdapter(SuspendedBox)
_LIFTED = TypeAdapter(LiftedBox)


def suspend_box(store: Store, operator: Operator, address: str, *, reason: str, request_id: str) -> SuspendedBox:
    """Suspend a box by hand.

    One that is suspended for want of payment is from now on suspended by hand: payment does not revive it, and it is
    not deleted. Raises Refused for a box that is not there or suspended by hand already, for the reason `unpaid`, which
    is for the program alone, and without a reason.
    """
    return once(
        store,
        operator,
        Request(request_id, "box.suspend", {"address": address, "reason": reason}, _SUSPENDED),
        lambda connection, origin: _suspend(connection, origin, address, reason_of(reason)),
    )


def lift_suspension(store: Store, catalog: Catalog, operator: Operator, address: str, *, request_id: str) -> LiftedBox:
    """Lift a suspension by hand: the box is active again, if it is paid.

    One past E is suspended for want of payment as of today, and may be deleted 30 days from now at the earliest.
    Raises Refused for a box that is not there or not suspended by hand.
    """
    return once(
        store,
        operator,
        Request(request_id, "box.lift", {"address": address}, _LIFTED),
        lambda connection, origin: _lift(connection, origin, catalog, address),
    )


def _suspend(connection: Connection, origin: Origin, address: str, reason: str) -> SuspendedBox:
    if reason.lower() == UNPAID:
        raise Refused(f"The reason {UNPAID} is given by the program alone, on the day after E. Give another.")
    box = lock_box(connection, address)
    by_hand = box.status == "suspended" and box.suspended_reason != UNPAID
    if by_hand:
        raise Refused(f"{box.address} is suspended by hand already, since {box.suspended_on}: {box.suspended_reason}.")
    since = box.suspended_on or origin.occurred_on
    alter(connection, box, status="suspended", suspended_on=since, suspended_reason=reason)
    detail = {"reason": reason, "suspended_on": since.isoformat(), "was": box.status}
    _record(connection, origin, "box.suspended_by_hand", box, detail)
    return SuspendedBox(box.address, since)


def _lift(connection: Connection, origin: Origin, catalog: Catalog, address: str) -> LiftedBox:
    box = lock_box(connection, address)
    if box.status != "suspended":
        raise Refused(f"{box.address} is not suspended: there is nothing to lift.")
    if box.suspended_reason == UNPAID:
        raise Refused(
            f"{box.address} is suspended because it was not paid for. Its renewal revives it "
            f"(lifecycle-jobs order renew {box.address})."
        )
    by_hand = boxes.c.suspended_reason == box.suspended_reason
    alter(connection, box, by_hand, status="active", suspended_on=None, suspended_reason=None)
    unpaid = suspend_if_unpaid(connection, origin, catalog, box.id, {"lifted": box.suspended_reason})
    if not unpaid:
        _record(connection, origin, "box.lifted", box, {"reason": box.suspended_reason})
    return LiftedBox(box.address, box.expires_on, unpaid)


def _record(connection: Connection, origin: Origin, kind: str, box: Row[Any], detail: dict[str, Any]) -> None:
    record_of_box(
        connection,
        origin,
        kind,
        box,
        detail=detail,
    )
