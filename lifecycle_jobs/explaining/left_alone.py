"""Why a job leaves a box alone that is due by date: its reason, in a sentence with since when and by whom.

The reasons are those of the jobs' `refusals`, and what a run counts as left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.tables import charges, events, parked_rows
from lifecycle_jobs.history import euros
from lifecycle_jobs.policy import Policy, next_slot_date


@dataclass(frozen=True, slots=True)
class _Asked:
    connection: Connection
    box: Row[Any]
    policy: Policy
    on: date

    def last_event(self, *kinds: str) -> Row[Any] | None:
        """The last event of these kinds about the box."""
        return self.connection.execute(
            select(events)
            .where(events.c.box_id == self.box.id, events.c.kind.in_(kinds))
            .order_by(events.c.id.desc())
            .limit(1)
        ).one_or_none()

    def last_charge(self, *statuses: str) -> Row[Any] | None:
        """The last charge of the term that ended, or stands, so."""
        return self.connection.execute(
            select(charges)
            .where(
                charges.c.box_id == self.box.id,
                charges.c.term_expires_on == self.box.expires_on,
                charges.c.status.in_(statuses),
            )
            .order_by(charges.c.id.desc())
            .limit(1)
        ).one_or_none()


def left_alone(connection: Connection, reason: str, box: Row[Any], policy: Policy, on: date) -> str:
    """The sentence for a reason. Raises KeyError for one that no job has."""
    return _SENTENCES[reason](_Asked(connection, box, policy, on))


def _auto_renew_off(asked: _Asked) -> str:
    event = asked.last_event("autorenew.switched_off")
    return "auto-renew is off" + _since(event)


def _cancelled(asked: _Asked) -> str:
    event = asked.last_event("cancellation.recorded")
    by = "" if event is None or event.actor is None else f" (recorded by {event.actor})"
    return f"its holder gave notice on {asked.box.cancelled_on}{by}"


def _on_hold(asked: _Asked) -> str:
    until = "until it is released" if asked.box.hold_until is None else f"until {asked.box.hold_until}"
    why = "" if asked.box.hold_reason is None else f" ({asked.box.hold_reason})"
    return f"on hold {until}{why}"


def _no_payment_method(asked: _Asked) -> str:
    return "no payment method is stored for it" + _since(asked.last_event("method.removed"))


def _plan_not_auto_renewable(asked: _Asked) -> str:
    return f"a box of the plan {asked.box.plan} is not charged without being asked for"


def _unresolved_charge(asked: _Asked) -> str:
    charge = asked.connection.execute(
        select(charges).where(charges.c.box_id == asked.box.id, unresolved).limit(1)
    ).one()
    return (
        f"nobody knows yet what became of the charge of {euros(charge.amount_cents)} made on {charge.attempted_on}: "
        "until the gateway tells, the box is left alone"
    )


def _unapplied_payment(_asked: _Asked) -> str:
    return "money came in for it that could not be applied to it: it is left alone until a person has settled that"


def _declined_for_good(asked: _Asked) -> str:
    charge = asked.last_charge("declined")
    said = "" if charge is None else f" on {charge.attempted_on} ({charge.decline_code})"
    return f"its card was declined for good{said}: the bank says not to ask again, only another method is charged"


def _slot_used(asked: _Asked) -> str:
    charge = asked.last_charge("declined", "not_attempted", "unknown", "pending")
    following = next_slot_date(asked.policy, asked.box.expires_on, asked.on)
    tried = "" if charge is None else f" on {charge.attempted_on} ({charge.decline_code or charge.status})"
    then = "that was the last attempt of this term" if following is None else f"the next attempt is on {following}"
    return f"the attempt of these days was made{tried}; {then}"


def _parked(asked: _Asked) -> str:
    return f"it failed in this run and was set aside{_error(asked)}"


def _auto_renew_failed(asked: _Asked) -> str:
    return f"its renewal failed in this run and was set aside, so it is not suspended for it{_error(asked)}"


def _something_parked(asked: _Asked) -> str:
    row = asked.connection.execute(
        select(parked_rows.c.job, parked_rows.c.run_on)
        .where(parked_rows.c.box_id == asked.box.id, parked_rows.c.job != "delete", parked_rows.c.state != "resolved")
        .limit(1)
    ).one()
    return f"{row.job} failed on it on {row.run_on} and that is not settled: nothing is deleted in doubt"


def _outage_grace(asked: _Asked) -> str:
    until = asked.box.expires_on + timedelta(days=asked.policy.outage_grace_days)
    return f"the gateway could not be reached for its charge: that is our trouble, and it stays active through {until}"


def _no_delivered_warning(_asked: _Asked) -> str:
    return (
        "no suspension notice or deletion warning of this term was accepted by the mail server long enough ago "
        "(lifecycle-jobs deletions approve lets it go all the same)"
    )


def _declined_today(_asked: _Asked) -> str:
    return "its holder is told of the declined charge today, and not also of the expiry"


def _since(event: Row[Any] | None) -> str:
    if event is None:
        return ""
    by = "" if event.actor is None else f", by {event.actor}"
    why = "" if not event.why else f" ({event.why})"
    return f" since {event.occurred_on}{by}{why}"


def _error(asked: _Asked) -> str:
    error = asked.connection.scalar(
        select(parked_rows.c.error)
        .where(and_(parked_rows.c.box_id == asked.box.id, parked_rows.c.last_run_on == asked.on))
        .limit(1)
    )
    return "" if error is None else f": {error}"


_SENTENCES: Mapping[str, Callable[[_Asked], str]] = {
    "auto_renew_off": _auto_renew_off,
    "cancelled": _cancelled,
    "on_hold": _on_hold,
    "no_payment_method": _no_payment_method,
    "plan_not_auto_renewable": _plan_not_auto_renewable,
    "unresolved_charge": _unresolved_charge,
    "unapplied_payment": _unapplied_payment,
    "declined_for_good": _declined_for_good,
    "slot_used": _slot_used,
    "parked": _parked,
    "auto_renew_failed": _auto_renew_failed,
    "something_parked": _something_parked,
    "outage_grace": _outage_grace,
    "no_delivered_warning": _no_delivered_warning,
    "declined_today": _declined_today,
}
