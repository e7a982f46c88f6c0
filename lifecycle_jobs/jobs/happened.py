"""What a pass over a date has done, one thing after the other: for who wants to see it before it counts."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection, select

from lifecycle_jobs.db.tables import boxes, charges, events
from lifecycle_jobs.jobs import auto_renew


def happened(connection: Connection, on: date, run_pass: int, last_charge: int) -> list[dict[str, Any]]:
    """Every event of a pass, and every charge after `last_charge` without one, in the order they were written."""
    rows = connection.execute(
        select(events, boxes.c.address)
        .join(boxes, boxes.c.id == events.c.box_id)
        .where(events.c.run_on == on, events.c.run_pass == run_pass)
        .order_by(events.c.id)
    )
    happened = [
        {
            "job": row.job,
            "what": row.kind,
            "address": row.address,
            "addon_id": row.addon_id,
            "term_expires_on": row.term_expires_on.isoformat(),
            "detail": row.detail,
        }
        for row in rows
    ]
    silent = connection.execute(
        select(charges, boxes.c.address)
        .join(boxes, boxes.c.id == charges.c.box_id)
        .where(charges.c.id > last_charge, charges.c.status.in_(("unknown", "not_attempted")))
        .order_by(charges.c.id)
    )
    happened += [
        {
            "job": auto_renew.NAME,
            "what": f"charge.{row.status}",
            "address": row.address,
            "addon_id": None,
            "term_expires_on": row.term_expires_on.isoformat(),
            "detail": {"slot": row.slot},
        }
        for row in silent
    ]
    return happened
