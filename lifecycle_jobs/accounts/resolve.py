"""A clerk's way out of doubt: what became of a charge of which the gateway does not tell us (SPEC §3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from sqlalchemy import Connection, select

from lifecycle_jobs import lease
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges, orders, top_up_charges
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, euros, record
from lifecycle_jobs.languages import spoken
from lifecycle_jobs.mail.compose import compose_within
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.gateway import NotAttempted, Succeeded
from lifecycle_jobs.payments.outcomes import Result, settle_all
from lifecycle_jobs.payments.top_up_charges import settle_top_up
from lifecycle_jobs.policy import Catalog
from lifecycle_jobs.settings import Settings

Resolved = Result | Literal["topped_up"]
"""What came of it; `topped_up`: it was a charge for credit, and is credit now."""

RESOLVED: Final[Mapping[str, str]] = {
    "renewed": spoken("Recorded as paid: the box is renewed."),
    "to_be_refunded": spoken("Recorded as paid, but its box cannot take it: refund it (lifecycle-jobs refunds list)."),
    "topped_up": spoken("Recorded as paid: it is credit now."),
    "not_attempted": spoken("Recorded as not made: the next run may charge the box again."),
}
"""What the person is told who resolved it."""


def not_made(why: str) -> NotAttempted:
    """A person's word that the gateway has not made a charge and never will, and how the person knows."""
    return NotAttempted(f"a person says so: {why}")


def resolve_charge(
    store: Store, settings: Settings, operator: Operator, key: str, said: Succeeded | NotAttempted
) -> Resolved:
    """Settle an unresolved charge by a person's word, with all that follows from it; recorded with who and why.

    Raises Refused if there is no such charge, or it is settled already. Raises LeaseHeld while a run is under way: the
    charge may be one that the run is making now, and an answer that comes after the person's word would be lost.
    """
    with lease.hold(store, "run", settings.lease.seconds) as held, store.fenced(held).write() as connection:
        return _resolve(connection, settings.catalog(), operator.operation(), key, said)


def _resolve(
    connection: Connection, catalog: Catalog, origin: Origin, key: str, said: Succeeded | NotAttempted
) -> Resolved:
    charge = connection.execute(
        select(charges, boxes.c.customer_id)
        .join(boxes, boxes.c.id == charges.c.box_id)
        .where(charges.c.idempotency_key == key)
    ).one_or_none()
    if charge is None:
        return _resolve_top_up(connection, origin, key, said)
    if charge.status not in {"pending", "unknown"}:
        message = f"Charge {key} is settled already: {charge.status}. Nothing was done."
        raise Refused(message)
    result = settle_all(connection, catalog, origin, {charge.id: said})[charge.id]
    record(
        connection,
        origin,
        "charge.resolved",
        box_id=charge.box_id,
        customer_id=charge.customer_id,
        term_expires_on=charge.term_expires_on,
        detail={
            "key": key,
            "amount": euros(charge.amount_cents),
            "outcome": "paid" if isinstance(said, Succeeded) else "not_made",
            "reference": said.reference if isinstance(said, Succeeded) else None,
        },
    )
    compose_within(connection, str(origin.operation), origin.occurred_on)
    return result


def _resolve_top_up(connection: Connection, origin: Origin, key: str, said: Succeeded | NotAttempted) -> Resolved:
    charge = connection.execute(
        select(top_up_charges, orders.c.customer_id)
        .join(orders, orders.c.id == top_up_charges.c.order_id)
        .where(top_up_charges.c.idempotency_key == key)
    ).one_or_none()
    if charge is None:
        message = f"There is no charge {key}. See: lifecycle-jobs status"
        raise Refused(message)
    if charge.status not in {"pending", "unknown"}:
        message = f"Charge {key} is settled already: {charge.status}. Nothing was done."
        raise Refused(message)
    if charge.status == "pending" and charge.attempted_on >= origin.occurred_on:
        message = f"Charge {key} may be under way at this moment. Ask again tomorrow, if nobody knows by then."
        raise Refused(message)
    if not settle_top_up(connection, origin, charge.id, said):
        # Who repeats the request needs no lease, and may have had its answer since we looked.
        raise Refused(
            f"Charge {key} has been settled meanwhile. Nothing was done. See: lifecycle-jobs credit statement"
        )
    paid = isinstance(said, Succeeded)
    record(
        connection,
        origin,
        "charge.resolved",
        customer_id=charge.customer_id,
        detail={
            "key": key,
            "amount": euros(charge.amount_cents),
            "outcome": "paid" if paid else "not_made",
            "reference": said.reference if isinstance(said, Succeeded) else None,
        },
    )
    compose_within(connection, str(origin.operation), origin.occurred_on)
    return "topped_up" if paid else "not_attempted"
