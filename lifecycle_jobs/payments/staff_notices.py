"""What a gateway told that is for the staff: disputes, refunds, contradictions, and what to do about each."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, func, select

from lifecycle_jobs import clock
from lifecycle_jobs.db.tables import gateway_notices
from lifecycle_jobs.languages import spoken
from lifecycle_jobs.payments.notices import PAID, charges_of

LISTED_DAYS: Final = 90
"""For how long the staff's list shows a line, and for how long a notice that said nothing new is kept."""

_ADVICE: Final = {
    "charge.dispute.closed": spoken("see there how it ended, then decide about the box and its hold"),
    "charge.dispute": spoken(
        "answer it on the gateway's pages; hold the box meanwhile (lifecycle-jobs box hold ADDRESS)"
    ),
    "refund.failed": spoken("the money did not reach the holder: give it back by another way"),
    "refund": spoken("decide about the box; if it stands in `refunds list`, note it: lifecycle-jobs refunds done"),
    "charge.refunded": spoken(
        "decide about the box; if it stands in `refunds list`, note it: lifecycle-jobs refunds done"
    ),
    PAID: spoken("paid at the gateway, and not recorded so here: give it back, or lifecycle-jobs order pay"),
    "payment_intent": spoken("recorded here as paid, and the gateway says that it is not: look at its pages"),
}
"""What a person is to do, by the longest beginning of the kind that matches."""


def list_for_staff(connection: Connection, on: date, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """Disputes, refunds and contradictions of the last 90 days, latest first: how many, and the first `limit`."""
    since = clock.now() - timedelta(days=LISTED_DAYS)
    chosen = and_(gateway_notices.c.for_staff, gateway_notices.c.received_at >= since)
    total = connection.scalar(select(func.count()).select_from(gateway_notices).where(chosen)) or 0
    rows = connection.execute(
        select(gateway_notices).where(chosen).order_by(gateway_notices.c.received_at.desc()).limit(limit)
    ).all()
    known = charges_of(connection, rows)
    listed = []
    for row in rows:
        charge = known(row)
        told_on = row.received_at.date()
        listed.append(
            {
                "kind": row.kind,
                "address": None if charge is None else charge.address,
                "amount_cents": row.amount_cents,
                "reason": row.reason,
                "gateway_reference": row.gateway_reference,
                "since": told_on,
                "days": (on - told_on).days,
                "what_to_do": _advice(row.kind),
            }
        )
    return total, listed


def _advice(kind: str) -> str:
    return next(_ADVICE[each] for each in sorted(_ADVICE, key=len, reverse=True) if kind.startswith(each))
