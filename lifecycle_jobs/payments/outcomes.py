"""The third step of the exactly-once protocol: what the gateway said, and what follows from it (see `collect`).

One transaction for all answers that have come in. Each charge is settled by a write that says `WHERE status IN
('pending', 'unknown')`, so that a second answer, a look-up and a clerk cannot settle it twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

from sqlalchemy import Connection, Row, Update, bindparam, func, select, update

from lifecycle_jobs import clock
from lifecycle_jobs.db.conditions import still_unresolved
from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.tables import boxes, charges, orders
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.history import Event, Origin, euros, record_all
from lifecycle_jobs.payments.declines import reason_of
from lifecycle_jobs.payments.gateway import ChargeOutcome, Declined, NotAttempted, Succeeded, Unknown
from lifecycle_jobs.payments.orders import order_of
from lifecycle_jobs.payments.renewals import Settled, apply_renewals
from lifecycle_jobs.policy import Catalog, next_attempt_on

Result = Literal[
    "renewed",
    "renewed_without_charge",
    "declined",
    "unknown",
    "not_attempted",
    "not_trusted_yet",
    "changed_meanwhile",
    "to_be_refunded",
]
"""How collecting ended.

`renewed_without_charge`: an agreement, or an amount of zero. `not_trusted_yet`: not found or refused now, but an
earlier call under the same key may have arrived. `changed_meanwhile`: the box no longer asks for it, so nothing was
charged, or the charge was settled elsewhere. `to_be_refunded`: it was paid, but its order had been paid otherwise by
then, or its box is gone: the payment is recorded and not applied.
"""


_OF_ORDER = "ordered_"
"""Begins the names of an order's columns beside those of its charge."""


def settle_all(
    connection: Connection, catalog: Catalog, origin: Origin, outcomes: Mapping[int, ChargeOutcome]
) -> dict[int, Result]:
    """Record the outcome of each charge, by id, with all that follows from it: order, E, add-ons, event."""
    held = _held(connection, list(outcomes))
    settled = [(charge, outcomes[charge.id]) for charge in held]
    for kind, statement in _SETTLE.items():
        alike = [(charge, outcome) for charge, outcome in settled if isinstance(outcome, kind)]
        if alike:
            _settle(connection, statement, alike, origin.occurred_on)
    results: dict[int, Result] = dict.fromkeys(outcomes, "changed_meanwhile")
    results |= {charge.id: _quiet(outcome) for charge, outcome in settled}
    results |= _renew(connection, origin, [charge for charge, outcome in settled if isinstance(outcome, Succeeded)])
    refused = [(charge, outcome) for charge, outcome in settled if isinstance(outcome, Declined)]
    record_all(connection, origin, [_decline(catalog, origin.occurred_on, *each) for each in refused])
    return results


def _held(connection: Connection, charge_ids: Sequence[int]) -> list[Row[Any]]:
    """Those that are unresolved, with their order and their box's plan, held until the transaction ends.

    In the order in which their outcomes came. Boxes are locked before charges, here as where they are charged. The
    charges are locked too: whoever waited here for another writer must see what that one has made of them.
    """
    rows = connection.execute(
        select(charges, boxes.c.plan, *[column.label(_OF_ORDER + column.name) for column in orders.c])
        .join(boxes, boxes.c.id == charges.c.box_id)
        .join(orders, orders.c.id == charges.c.order_id)
        .where(among(charges.c.id, charge_ids), still_unresolved)
        .order_by(boxes.c.id)
        .with_for_update(of=(boxes, charges), key_share=True)
    )
    turn = {charge_id: number for number, charge_id in enumerate(charge_ids)}
    return sorted(rows, key=lambda charge: turn[charge.id])


def _settle(
    connection: Connection, statement: Update, alike: Sequence[tuple[Row[Any], ChargeOutcome]], on: date
) -> None:
    values = [{"charge": charge.id} | _as_columns(outcome, on) for charge, outcome in alike]
    changed = connection.execute(statement, values).rowcount
    if changed != len(alike):
        message = f"{len(alike) - changed} of {len(alike)} charges were settled elsewhere; nothing was changed here."
        raise LifecycleError(message)


def _quiet(outcome: ChargeOutcome) -> Result:
    """The result of an outcome as far as it tells by itself."""
    if isinstance(outcome, Declined):
        return "declined"
    return "not_attempted" if isinstance(outcome, NotAttempted) else "unknown"


def _renew(connection: Connection, origin: Origin, paid: Sequence[Row[Any]]) -> dict[int, Result]:
    if not paid:
        return {}
    settled = [Settled(order_of(charge, _OF_ORDER), "paid", charge.method_kind) for charge in paid]
    applied = apply_renewals(connection, origin, settled)
    late = [charge.id for charge in paid if charge.order_id not in applied]
    if late:
        connection.execute(update(charges).where(among(charges.c.id, late)).values(unapplied=True))
    return {charge.id: "renewed" if charge.order_id in applied else "to_be_refunded" for charge in paid}


def _decline(catalog: Catalog, on: date, charge: Row[Any], outcome: Declined) -> Event:
    policy = catalog.policy_of(charge.plan)
    following = None if outcome.hard else next_attempt_on(policy, charge.term_expires_on, charge.slot, on)
    detail = {
        "order_number": charge.ordered_order_number,
        "amount": euros(charge.amount_cents),
        "code": outcome.code,
        "advice": reason_of(outcome.code).advice,
        "hard": outcome.hard,
        "final": following is None,
        "next_attempt_on": None if following is None else following.isoformat(),
        "slot": charge.slot,
        "method": charge.method_kind,
    }
    return Event("charge.declined", charge.box_id, charge.ordered_customer_id, charge.term_expires_on, detail)


def _as_columns(outcome: ChargeOutcome, on: date) -> dict[str, Any]:
    ended = {"ended_at": clock.now()}
    if isinstance(outcome, Succeeded):
        return ended | {"settled_on": on, "gateway_reference": outcome.reference}
    if isinstance(outcome, Declined):
        said = {"decline_code": outcome.code, "hard": outcome.hard, "gateway_reference": outcome.reference}
        return ended | {"settled_on": on} | said
    if isinstance(outcome, NotAttempted):
        return ended | {"settled_on": on, "why": outcome.why}
    return ended | {"why": outcome.why}


def _settling(status: str, *columns: str) -> Update:
    return (
        update(charges)
        .where(charges.c.id == bindparam("charge"), still_unresolved)
        .values(
            status=status,
            # An answer that was lost ends the call too; what a later look-up finds does not change when that was.
            settled_at=func.coalesce(charges.c.settled_at, bindparam("ended_at", type_=charges.c.settled_at.type)),
            **{name: bindparam(name) for name in columns},
        )
    )


# Put together once: building them anew for each batch costs more than executing them.
_SETTLE: Mapping[type[ChargeOutcome], Update] = {
    Succeeded: _settling("succeeded", "settled_on", "gateway_reference"),
    Declined: _settling("declined", "settled_on", "decline_code", "hard", "gateway_reference"),
    NotAttempted: _settling("not_attempted", "settled_on", "why"),
    Unknown: _settling("unknown", "why"),
}
