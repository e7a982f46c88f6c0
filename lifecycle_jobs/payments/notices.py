"""What a gateway tells of its own accord, written down before it is answered.

A notice is a reason to look, never a fact: what became of a charge is asked of the gateway (`lifecycle_jobs.notices`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, and_, insert, select
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs import clock
from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges, gateway_notices

Concern = Literal["outcome", "dispute", "refund"]

PAID: Final = "payment_intent.succeeded"
"""The kind of a notice that a charge was paid."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What was told. `notice_id` and `kind` are the gateway's own; the rest as far as it says so.

    `idempotency_key` is that of the charge it is about, `gateway_reference` the payment's name at the gateway.
    """

    notice_id: str
    kind: str
    concerns: Concern
    idempotency_key: str | None = None
    gateway_reference: str | None = None
    amount_cents: int | None = None
    reason: str | None = None


def record_notice(store: Store, notice: Notice) -> bool:
    """Write a notice down, durably; false if it was told before. Settles nothing."""
    try:
        with store.write() as connection:
            connection.execute(
                insert(gateway_notices).values(**asdict(notice), received_at=clock.now(), state="waiting")
            )
    except IntegrityError:  # by its own number, which is all that is unique here
        return False
    return True


def charges_of(connection: Connection, rows: Sequence[Row[Any]]) -> Callable[[Row[Any]], Row[Any] | None]:
    """Finds the charge that a notice is about: by its key, or else (disputes, refunds) by the payment's name."""
    keys = [row.idempotency_key for row in rows if row.idempotency_key]
    names = [row.gateway_reference for row in rows if row.gateway_reference and row.concerns != "outcome"]
    chosen = select(charges, boxes.c.customer_id, boxes.c.address).join(boxes, boxes.c.id == charges.c.box_id)
    by_key: dict[str, Row[Any]] = {}
    by_name: dict[str, Row[Any]] = {}
    if keys:
        found = connection.execute(chosen.where(among(charges.c.idempotency_key, keys)))
        by_key = {charge.idempotency_key: charge for charge in found}
    if names:
        named = and_(charges.c.gateway_reference.is_not(None), among(charges.c.gateway_reference, names))
        found = connection.execute(chosen.where(named).order_by(charges.c.id))
        by_name = {charge.gateway_reference: charge for charge in found}

    def known(row: Row[Any]) -> Row[Any] | None:
        charge = by_key.get(row.idempotency_key)
        return by_name.get(row.gateway_reference) if charge is None and row.concerns != "outcome" else charge

    return known
