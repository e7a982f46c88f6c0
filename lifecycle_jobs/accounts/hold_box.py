"""Holding a box: in a dispute, or by order of a court, nothing that cannot be undone happens to it (SPEC §2).

On hold it is not charged by itself, not suspended for want of payment, not warned of deletion and not deleted. A hold
without an end lasts until it is released. Its reason is the office's own note: it is kept with the box and in the
history, and told to nobody, since a court may forbid telling.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row

from lifecycle_jobs.accounts.altering import alter, reason_of
from lifecycle_jobs.accounts.finding import lock_box
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db.conditions import on_hold as is_on_hold
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, record_of_box
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.policy import on_hold

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HeldBox:
    """A box on hold through `until`, inclusive; without an end, until it is released."""

    address: str
    until: date | None


@dataclass(frozen=True, slots=True)
class ReleasedBox:
    """A box that is not on hold any more. Its E is `expires_on`: if that is past, the next run may suspend it."""

    address: str
    expires_on: date


_HELD = TypeAdapter(HeldBox)
_RELEASED = TypeAdapter(ReleasedBox)


def hold_box(
    store: Store, operator: Operator, address: str, *, reason: str, until: date | None, request_id: str
) -> HeldBox:
    """Put a box on hold through a day, inclusive, or until it is released.

    On a box that is on hold already, the end may be put off and the reason replaced; the history keeps what was there.
    Raises Refused for a box that is not there, an end that is past or would come earlier than that of the hold that is
    there, and without a reason.
    """
    arguments = {"address": address, "reason": reason, "until": until and until.isoformat()}
    return once(
        store,
        operator,
        Request(request_id, "box.hold", arguments, _HELD),
        lambda connection, origin: _hold(connection, origin, address, reason_of(reason), until),
    )


def release_box(store: Store, operator: Operator, address: str, *, request_id: str) -> ReleasedBox:
    """End the hold of a box before today; deletion is then at least 30 days off, as after any hold (SPEC §1, X).

    Raises Refused for a box that is not there or not on hold.
    """
    return once(
        store,
        operator,
        Request(request_id, "box.release", {"address": address}, _RELEASED),
        lambda connection, origin: _release(connection, origin, address),
    )


def _hold(connection: Connection, origin: Origin, address: str, reason: str, until: date | None) -> HeldBox:
    on = origin.occurred_on
    if until is not None and until < on:
        raise Refused(f"A hold cannot end on {until}, which is past. Name a day from {on} on, or none.")
    box = lock_box(connection, address)
    if on_hold(box.hold_until, box.hold_reason, on):
        if until is not None and (box.hold_until is None or until < box.hold_until):
            raise Refused(
                f"{box.address} is on hold {_through(box.hold_until)} already, which is longer. To end that sooner, "
                f"release it (lifecycle-jobs box release {box.address})."
            )
        if (until, reason) == (box.hold_until, box.hold_reason):
            raise Refused(f"{box.address} is on hold {_through(box.hold_until)} for that reason already.")
    alter(connection, box, hold_until=until, hold_reason=reason)
    _record(connection, origin, "hold.placed", box, {"reason": reason, "until": until and until.isoformat()})
    return HeldBox(box.address, until)


def _release(connection: Connection, origin: Origin, address: str) -> ReleasedBox:
    on = origin.occurred_on
    box = lock_box(connection, address)
    if not on_hold(box.hold_until, box.hold_reason, on):
        ended = "" if box.hold_until is None else f" any more: its hold ended on {box.hold_until}"
        raise Refused(f"{box.address} is not on hold{ended}.")
    # A hold that ended yesterday: the days that must lie between a hold and a deletion count from there.
    alter(connection, box, is_on_hold(on), hold_until=on - _DAY)
    _record(connection, origin, "hold.released", box, {})
    return ReleasedBox(box.address, box.expires_on)


def _through(until: date | None) -> str:
    return "until it is released" if until is None else f"until {until}"


def _record(connection: Connection, origin: Origin, kind: str, box: Row[Any], detail: dict[str, Any]) -> None:
    record_of_box(
        connection,
        origin,
        kind,
        box,
        detail=detail
        | {
            "was_until": box.hold_until and box.hold_until.isoformat(),
            "was_for": box.hold_reason,
        },
    )
