"""What a gateway tells of its own accord, written down before it is answered.

A notice is a reason to look, never a fact: what became of a charge is asked of the gateway (`lifecycle_jobs.notices`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import gateway_notices

Concern = Literal["outcome", "dispute", "refund"]


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
