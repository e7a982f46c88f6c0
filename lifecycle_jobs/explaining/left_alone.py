"""Why a job leaves a box alone that is due by date: its reason, in a sentence with since when and by whom.

The reasons are those of the jobs' `refusals`, and what a run counts as left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from lifecycle_jobs.accounts.next_charge import next_charge_on
from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.tables import charges, events, parked_rows, payment_methods
from lifecycle_jobs.languages import Speech
from lifecycle_jobs.languages.codes import code_text
from lifecycle_jobs.policy import Catalog


@dataclass(frozen=True, slots=True)
class _Asked:
    connection: Connection
    speech: Speech
    box: Row[Any]
    catalog: Catalog
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


def left_alone(speech: Speech, connection: Connection, reason: str, box: Row[Any], catalog: Catalog, on: date) -> str:
    """The sentence for a reason. Raises KeyError for one that no job has."""
    return _SENTENCES[reason](_Asked(connection, speech, box, catalog, on))


def _auto_renew_off(asked: _Asked) -> str:
    event, speech = asked.last_event("autorenew.switched_off"), asked.speech
    if event is None:
        return speech("auto-renew is off")
    since, why = event.occurred_on, _in_brackets(event.why)
    if event.actor is None:
        return speech("auto-renew is off since {since}{why}", since=since, why=why)
    return speech("auto-renew is off since {since}, by {who}{why}", since=since, who=event.actor, why=why)


def _cancelled(asked: _Asked) -> str:
    event, on = asked.last_event("cancellation.recorded"), asked.box.cancelled_on
    if event is None or event.actor is None:
        return asked.speech("its holder gave notice on {on}", on=on)
    return asked.speech("its holder gave notice on {on} (recorded by {who})", on=on, who=event.actor)


def _on_hold(asked: _Asked) -> str:
    why = _in_brackets(asked.box.hold_reason)
    if asked.box.hold_until is None:
        return asked.speech("on hold until it is released{why}", why=why)
    return asked.speech("on hold until {until}{why}", until=asked.box.hold_until, why=why)


def _no_payment_method(asked: _Asked) -> str:
    event, speech = asked.last_event("method.removed"), asked.speech
    if event is None:
        return speech("no payment method is stored for it")
    since, why = event.occurred_on, _in_brackets(event.why)
    if event.actor is None:
        return speech("no payment method is stored for it since {since}{why}", since=since, why=why)
    return speech(
        "no payment method is stored for it since {since}: {who} removed it{why}", since=since, who=event.actor, why=why
    )


def _plan_not_auto_renewable(asked: _Asked) -> str:
    return asked.speech("a box of the plan {plan} is not charged without being asked for", plan=asked.box.plan)


def _unresolved_charge(asked: _Asked) -> str:
    charge = asked.connection.execute(
        select(charges).where(charges.c.box_id == asked.box.id, unresolved).limit(1)
    ).one()
    return asked.speech(
        "nobody knows yet what became of the charge of {amount} made on {on}: "
        "until the gateway tells, the box is left alone",
        amount=asked.speech.euros(charge.amount_cents),
        on=charge.attempted_on,
    )


def _unapplied_payment(asked: _Asked) -> str:
    return asked.speech(
        "money came in for it that could not be applied to it: it is left alone until a person has settled that"
    )


def _declined_for_good(asked: _Asked) -> str:
    charge = asked.last_charge("declined")
    if charge is None:
        return asked.speech(
            "its payment method was declined for good: the bank says not to ask again, only another method is charged"
        )
    return asked.speech(
        "its payment method was declined for good on {on} ({code}): "
        "the bank says not to ask again, only another method is charged",
        on=charge.attempted_on,
        code=code_text(asked.speech, "decline", charge.decline_code),
    )


def _slot_used(asked: _Asked) -> str:
    speech = asked.speech
    charge = asked.last_charge("declined", "not_attempted", "unknown", "pending")
    following = _next_attempt(asked)
    if charge is None:
        if following is None:
            return speech("the attempt of these days was made; that was the last attempt of this term")
        return speech("the attempt of these days was made; the next attempt is on {following}", following=following)
    if charge.decline_code is None:
        outcome = code_text(speech, "charge", charge.status)
    else:
        outcome = code_text(speech, "decline", charge.decline_code)
    if following is None:
        return speech(
            "the attempt of these days was made on {on} ({outcome}); that was the last attempt of this term",
            on=charge.attempted_on,
            outcome=outcome,
        )
    return speech(
        "the attempt of these days was made on {on} ({outcome}); the next attempt is on {following}",
        on=charge.attempted_on,
        outcome=outcome,
        following=following,
    )


def _next_attempt(asked: _Asked) -> date | None:
    """A slot that an outage left free is tried again tomorrow, so that the next slot is not always the next attempt."""
    method = asked.connection.execute(
        select(payment_methods).where(payment_methods.c.payment_method_id == asked.box.payment_method_id)
    ).one()
    return next_charge_on(asked.connection, asked.catalog, asked.box, method, asked.on)


def _parked(asked: _Asked) -> str:
    return asked.speech("it failed in this run and was set aside{error}", error=_error(asked))


def _auto_renew_failed(asked: _Asked) -> str:
    return asked.speech(
        "its renewal failed in this run and was set aside, so it is not suspended for it{error}", error=_error(asked)
    )


def _something_parked(asked: _Asked) -> str:
    row = asked.connection.execute(
        select(parked_rows.c.job, parked_rows.c.run_on)
        .where(parked_rows.c.box_id == asked.box.id, parked_rows.c.job != "delete", parked_rows.c.state != "resolved")
        .limit(1)
    ).one()
    return asked.speech(
        "something failed on it on {on} ({job}) and that is not settled: nothing is deleted in doubt",
        on=row.run_on,
        job=code_text(asked.speech, "job", row.job),
    )


def _outage_grace(asked: _Asked) -> str:
    policy = asked.catalog.policy_of(asked.box.plan)
    return asked.speech(
        "the gateway could not be reached for its charge: that is our trouble, and it stays active through {until}",
        until=asked.box.expires_on + timedelta(days=policy.outage_grace_days),
    )


def _no_delivered_warning(asked: _Asked) -> str:
    return asked.speech(
        "no suspension notice or deletion warning of this term was accepted by the mail server long enough ago "
        "(lifecycle-jobs deletions approve lets it go all the same)"
    )


def _declined_today(asked: _Asked) -> str:
    return asked.speech("its holder is told of the declined charge today, and not also of the expiry")


def _in_brackets(why: str | None) -> str:
    return f" ({why})" if why else ""


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
