"""A hosting domain is renewed, or let go: the boxes on it go with it (SPEC §2, plan `domain`).

A renewed domain gives its date to all boxes on it, those that were suspended for want of payment included; what it
costs is the hosting's business, so no order is placed here. A box that its holder has cancelled is left out.

A domain that is let go takes its boxes along: they are cancelled with it. They work until their E and are then
suspended and deleted by the rules of every day, with their warnings; nothing is deleted here. If the domain is renewed
after all, that is taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, and_, case, func, select, update

from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db.conditions import on_domain, unresolved
from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, boxes, charges, events
from lifecycle_jobs.errors import LifecycleError, Refused
from lifecycle_jobs.history import Event, Origin, record_all
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.policy import UNPAID


@dataclass(frozen=True, slots=True)
class RenewedDomain:
    """A domain whose boxes end on `until` now; and those left out, each with the reason."""

    domain: str
    until: date
    renewed: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleasedDomain:
    """A domain that is let go, and the boxes that end with it, each on its own E."""

    domain: str
    boxes: tuple[str, ...]
    last_expires_on: date


_RENEWED = TypeAdapter(RenewedDomain)
_RELEASED = TypeAdapter(ReleasedDomain)


def renew_domain(store: Store, operator: Operator, domain: str, until: date, *, request_id: str) -> RenewedDomain:
    """Give all boxes on a domain its new date, and revive those that were suspended for want of payment.

    One suspended by hand stays so. Raises Refused if there is no box on the domain, or none that the date would move
    on, and for a date in the past.
    """
    arguments = {"domain": domain, "until": until.isoformat()}
    return once(
        store,
        operator,
        Request(request_id, "domain.renew", arguments, _RENEWED),
        lambda connection, origin: _renew(connection, origin, domain, until),
    )


def release_domain(store: Store, operator: Operator, domain: str, *, request_id: str) -> ReleasedDomain:
    """Let a domain go: cancel all boxes on it that are not cancelled already.

    Raises Refused if there is none.
    """
    return once(
        store,
        operator,
        Request(request_id, "domain.release", {"domain": domain}, _RELEASED),
        lambda connection, origin: _release(connection, origin, domain),
    )


def let_go_with_domain(connection: Connection, box_ids: Sequence[int]) -> set[int]:
    """Those of these cancelled boxes that their domain took along: no notice of their holder's came after it."""
    kinds = ("domain.released", "cancellation.recorded")
    latest = (
        select(func.max(events.c.id))
        .where(among(events.c.box_id, box_ids), events.c.kind.in_(kinds))
        .group_by(events.c.box_id)
    )
    return set(
        connection.scalars(select(events.c.box_id).where(events.c.id.in_(latest), events.c.kind == "domain.released"))
    )


def _renew(connection: Connection, origin: Origin, domain: str, until: date) -> RenewedDomain:
    if until < origin.occurred_on:
        raise Refused(f"{until} is past: name the day until which the domain {domain} is paid now.")
    found = _locked(connection, domain)
    left_out = _left_out(connection, found, until)
    going = [box for box in found if box.id not in left_out and box.expires_on < until]
    if not going:
        reasons = "\n".join(left_out.values())
        raise Refused(reasons or f"All boxes on the domain {domain} end on {until} already.")
    ids = [box.id for box in going]
    unpaid = and_(boxes.c.status == "suspended", boxes.c.suspended_reason == UNPAID)
    moved = connection.execute(
        update(boxes)
        .where(among(boxes.c.id, ids), boxes.c.status != "deleted", boxes.c.expires_on < until)
        .values(
            expires_on=until,
            cancelled_on=None,  # of these only those have one that the domain itself had taken along
            status=case((unpaid, "active"), else_=boxes.c.status),
            suspended_on=case((unpaid, None), else_=boxes.c.suspended_on),
            suspended_reason=case((unpaid, None), else_=boxes.c.suspended_reason),
        )
    )
    if moved.rowcount != len(ids):
        raise LifecycleError(f"Boxes on the domain {domain} were overtaken by another change; nothing was changed.")
    carried: dict[int, list[str]] = defaultdict(list)
    for box_id, addon_id in connection.execute(
        update(addons)
        .where(
            among(addons.c.box_id, ids),
            addons.c.paid_from == "renewal",
            addons.c.status == "active",
            addons.c.cancelled_on.is_(None),
        )
        .values(expires_on=until)
        .returning(addons.c.box_id, addons.c.addon_id)
    ):
        carried[box_id].append(addon_id)
    record_all(connection, origin, [_renewed_event(box, domain, until, carried[box.id]) for box in going])
    return RenewedDomain(domain, until, tuple(box.address for box in going), tuple(left_out.values()))


def _locked(connection: Connection, domain: str) -> list[Row[Any]]:
    """The living boxes on the domain, held against the jobs, in the order of E and address."""
    living = select(boxes).where(on_domain(domain), boxes.c.status != "deleted").order_by(boxes.c.id)
    # Whoever sells another box on the domain holds these first: only after them that box can be seen.
    connection.execute(living.with_only_columns(boxes.c.id).with_for_update(key_share=True))
    rows = connection.execute(living.with_for_update(key_share=True)).all()
    if not rows:
        raise Refused(f"There is no box on the domain {domain}.")
    return sorted(rows, key=lambda box: (box.expires_on, box.address_key))


def _left_out(connection: Connection, found: Sequence[Row[Any]], until: date) -> dict[int, str]:
    """By box: why it does not get the date. One that has it already is not spoken of."""
    ids = [box.id for box in found]
    charging = set(connection.scalars(select(charges.c.box_id).where(among(charges.c.box_id, ids), unresolved)))
    taken_along = let_go_with_domain(connection, ids)
    reasons = {}
    for box in found:
        if box.expires_on > until:
            reasons[box.id] = f"{box.address} is paid until {box.expires_on} already, which is later."
        elif box.cancelled_on is not None and box.id not in taken_along:
            reasons[box.id] = (
                f"{box.address} was cancelled by its holder on {box.cancelled_on}. To keep it, withdraw that and renew "
                f"the domain again (lifecycle-jobs box withdraw {box.address})."
            )
        elif box.id in charging:
            reasons[box.id] = (
                f"{box.address} is being charged, and nobody knows the outcome yet. Renew the domain again when that "
                "is settled (lifecycle-jobs reconcile)."
            )
    return reasons


def _renewed_event(box: Row[Any], domain: str, until: date, carried: Sequence[str]) -> Event:
    by_hand = box.status == "suspended" and box.suspended_reason != UNPAID
    detail = {
        "domain": domain,
        "new_expires_on": until.isoformat(),
        "was": box.status,
        "suspended": by_hand,
        "addons": sorted(carried),
    }
    return Event("box.domain_renewed", box.id, box.customer_id, box.expires_on, detail)


def _release(connection: Connection, origin: Origin, domain: str) -> ReleasedDomain:
    going = [box for box in _locked(connection, domain) if box.cancelled_on is None]
    if not going:
        raise Refused(f"All boxes on the domain {domain} are cancelled already.")
    ids = [box.id for box in going]
    cancelled = connection.execute(
        update(boxes)
        .where(among(boxes.c.id, ids), boxes.c.status != "deleted", boxes.c.cancelled_on.is_(None))
        .values(cancelled_on=origin.occurred_on)
    )
    if cancelled.rowcount != len(ids):
        raise LifecycleError(f"Boxes on the domain {domain} were overtaken by another change; nothing was changed.")
    record_all(
        connection,
        origin,
        [Event("domain.released", box.id, box.customer_id, box.expires_on, {"domain": domain}) for box in going],
    )
    return ReleasedDomain(domain, tuple(box.address for box in going), going[-1].expires_on)
