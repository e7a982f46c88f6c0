"""What a person decides by command. Each decision is recorded with who and why, and stands in the history."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import insert, select, update

from lifecycle_jobs import clock, stops
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import (
    boxes,
    deletion_approvals,
    emergency_stops,
    gap_confirmations,
    suspension_approvals,
)
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, record
from lifecycle_jobs.policy import UNPAID


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts (`--by`, by default the system's user), why, and on which business date."""

    name: str
    why: str | None
    on: date

    @property
    def origin(self) -> Origin:
        """The mark on the events of this person."""
        return Origin(occurred_on=self.on, actor=self.name, why=self.why)

    def operation(self, request_id: str | None = None) -> Origin:
        """The mark on all that one command of this person causes, outside a run.

        A new one each time, unless the command is asked for under an id of its own. Messages are told apart by it: an
        id that is a number must not read like a pass of the run of that day.
        """
        name = uuid.uuid4().hex if request_id is None else f"request-{request_id}"
        return replace(self.origin, operation=f"{self.on.isoformat()}/{name}")


def approve_numbers(
    store: Store,
    operator: Operator,
    run_on: date,
    *,
    suspensions: int | None,
    deletions: int | None,
    plan: str | None = None,
    suspended_boxes: str | None = None,
    deleted_boxes: str | None = None,
) -> None:
    """Let exactly so many boxes be suspended and deleted in the run of a date, once (SPEC §3, delete).

    None: no more than without. With a plan, known by its digest, they are those that it names; their marks
    (`jobs.approvals`) keep others from going in their place if the run is interrupted.
    """
    approved = [
        (table, kind, number, mark)
        for table, kind, number, mark in (
            (suspension_approvals, "suspensions.approved", suspensions, suspended_boxes),
            (deletion_approvals, "deletions.approved", deletions, deleted_boxes),
        )
        if number is not None
    ]
    if not approved:
        return
    with store.write() as connection:
        for table, kind, number, mark in approved:
            connection.execute(
                insert(table).values(
                    run_on=run_on,
                    number=number,
                    boxes=mark,
                    actor=operator.name,
                    why=operator.why,
                    approved_at=clock.now(),
                )
            )
            detail = {"run_on": run_on.isoformat(), "number": number} | ({} if plan is None else {"plan": plan})
            record(connection, operator.origin, kind, detail=detail)


def approve_box(store: Store, operator: Operator, address: str) -> date:
    """Let one box be deleted although no warning was delivered; returns its E.

    The clerk's way out where mail cannot be delivered. Nothing else about deletion is loosened: X must have come,
    and holds and unresolved charges still count. Raises Refused if there is no such box suspended for `unpaid`.
    """
    with store.write() as connection:
        box = connection.execute(
            select(boxes).where(boxes.c.address_key == address.lower(), boxes.c.status != "deleted").with_for_update()
        ).one_or_none()
        if box is None:
            message = f"There is no box {address} that is not deleted already."
            raise Refused(message)
        if box.status != "suspended" or box.suspended_reason != UNPAID:
            message = f"{address} is not suspended for non-payment, so it is not up for deletion."
            raise Refused(message)
        connection.execute(
            insert(deletion_approvals).values(
                box_id=box.id,
                term_expires_on=box.expires_on,
                actor=operator.name,
                why=operator.why,
                approved_at=clock.now(),
            )
        )
        record(
            connection,
            operator.origin,
            "deletion.approved",
            box_id=box.id,
            customer_id=box.customer_id,
            term_expires_on=box.expires_on,
        )
        expires_on: date = box.expires_on
        return expires_on


def confirm_gap(store: Store, operator: Operator, latest: date) -> None:
    """Record that a person has looked at the gap between the last completed run and today, and lets work go on."""
    with store.write() as connection:
        connection.execute(
            insert(gap_confirmations).values(
                latest_completed=latest,
                confirmed_on=operator.on,
                confirmed_at=clock.now(),
                actor=operator.name,
                why=operator.why,
            )
        )
        record(connection, operator.origin, "run.gap_accepted", detail={"latest_completed": latest.isoformat()})


def stop_everything(store: Store, operator: Operator, why: str) -> bool:
    """Throw the emergency stop; false if it is on already. Returns when every process heeds it."""
    with store.write() as connection:
        if stops.in_force(connection) is not None:
            return False
        connection.execute(
            insert(emergency_stops).values(in_force=True, stopped_at=clock.now(), actor=operator.name, why=why)
        )
        record(connection, operator.origin, "emergency.stopped")
    time.sleep(stops.HEEDED_WITHIN)
    return True


def resume(store: Store, operator: Operator) -> stops.Stop | None:
    """Take the emergency stop back; returns the one that was in force, if any."""
    with store.write() as connection:
        stop = stops.in_force(connection)
        if stop is not None:
            connection.execute(
                update(emergency_stops)
                .where(emergency_stops.c.in_force)
                .values(in_force=False, resumed_at=clock.now(), resumed_by=operator.name)
            )
            record(connection, operator.origin, "emergency.resumed")
        return stop


def note_retry(store: Store, operator: Operator, number: int) -> None:
    """Record that a person has what is parked taken up once more."""
    with store.write() as connection:
        record(connection, operator.origin, "parked.retried", detail={"number": number})
