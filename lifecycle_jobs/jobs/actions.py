"""What a pass over a date has done, one action after the other: for who wants to see it before it counts.

An action is an event of the pass. What becomes of a charge of which nobody has heard leaves no event, as nothing has
happened to the holder yet; it is an action all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.tables import boxes, charges, events, runs
from lifecycle_jobs.history import euros
from lifecycle_jobs.jobs import auto_renew, reconcile_charges

_AT_A_TIME = 1000
_OF_A_CHARGE: Final = ("box.renewed", "charge.declined")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a job does. Amounts in `detail` are decimal euros, dates ISO; a top-up has no box and no term.

    `method_mark`, where a box's method is charged, is another one as soon as the method or its token is. It tells
    neither.
    """

    job: str
    what: str
    box_id: int | None
    address: str | None
    customer_id: str | None
    addon_id: str | None
    term_expires_on: date | None
    detail: Mapping[str, Any]
    method_mark: str | None = None


@dataclass(frozen=True, slots=True)
class ChargesBefore:
    """The charges that a pass finds: the last one there is, and those of which nobody knows what became of them."""

    last: int
    unresolved: Sequence[int]


_method = charges.c.payment_method_id + "\n" + func.coalesce(charges.c.token, "")


def charges_before(connection: Connection, on: date) -> ChargesBefore:
    """As they stand before a pass over a date, or stood before one that is to be continued."""
    begun = connection.scalar(select(runs.c.started_at).where(runs.c.run_on == on, runs.c.state == "running"))
    last = select(charges.c.id).order_by(charges.c.id.desc()).limit(1)
    without_answer: ColumnElement[bool] = unresolved
    if begun is not None:
        last = last.where(charges.c.attempted_at < begun)
        settled_since = and_(charges.c.status == "not_attempted", charges.c.settled_on == on)
        without_answer = or_(unresolved, and_(settled_since, charges.c.attempted_on < on))
    return ChargesBefore(
        connection.scalar(last) or 0,
        sorted(connection.scalars(select(charges.c.id).where(without_answer))),
    )


def actions(connection: Connection, on: date, run_pass: int, before: ChargesBefore) -> Iterator[Action]:
    """All that a pass has done, in the order in which it was written down; then the charges without an event."""
    latest_charge = (
        select(_method)
        .where(charges.c.box_id == events.c.box_id, charges.c.term_expires_on == events.c.term_expires_on)
        .order_by(charges.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    charged = case((events.c.kind.in_(_OF_A_CHARGE), latest_charge), else_=None)
    rows = connection.execute(
        select(events, boxes.c.address, charged.label("charged"))
        .outerjoin(boxes, boxes.c.id == events.c.box_id)
        .where(events.c.run_on == on, events.c.run_pass == run_pass)
        .order_by(events.c.id)
        .execution_options(yield_per=_AT_A_TIME)
    )
    for row in rows:
        yield Action(
            row.job,
            row.kind,
            row.box_id,
            row.address,
            row.customer_id,
            row.addon_id,
            row.term_expires_on,
            row.detail,
            _mark(row.charged),
        )
    settled = and_(among(charges.c.id, before.unresolved), charges.c.status == "not_attempted")
    made = and_(charges.c.id > before.last, charges.c.status.in_(("unknown", "not_attempted")))
    # One after the other, and not either: SQLite would look through all charges for that.
    for silent in (settled, made):
        yield from _silent(connection, silent, before)


def _silent(connection: Connection, chosen: ColumnElement[bool], before: ChargesBefore) -> Iterator[Action]:
    rows = connection.execute(
        select(charges, boxes.c.address, boxes.c.customer_id, _method.label("charged"))
        .join(boxes, boxes.c.id == charges.c.box_id)
        .where(chosen)
        .order_by(charges.c.id)
        .execution_options(yield_per=_AT_A_TIME)
    )
    for row in rows:
        yield Action(
            auto_renew.NAME if row.id > before.last else reconcile_charges.NAME,
            f"charge.{row.status}",
            row.box_id,
            row.address,
            row.customer_id,
            None,
            row.term_expires_on,
            {"slot": row.slot, "amount": euros(row.amount_cents), "method": row.method_kind},
            _mark(row.charged),
        )


def _mark(method: str | None) -> str | None:
    return None if method is None else hashlib.sha256(method.encode()).hexdigest()[:16]
