"""The daily report leaves once, by the way that messages to holders leave.

It is due for the latest completed run, if that is at most a week old and has none: after downtime the staff reads one
report, not one for each day. `staff_reports` keeps what became of it. The attempt is recorded before it is handed over,
by a write that a process without the lease cannot make; so of two daemons one sends it, and a process that is killed
while handing it over sends it again with the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal, cast

import structlog
from sqlalchemy import Connection, insert, or_, select, update

from lifecycle_jobs import clock, lease, stops
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import runs, staff_reports
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.mail.addresses import wire_address
from lifecycle_jobs.mail.contents import MessageKind
from lifecycle_jobs.mail.discretion import without_addresses
from lifecycle_jobs.mail.identity import message_id
from lifecycle_jobs.mail.mime import Stationery
from lifecycle_jobs.mail.outbox import open_transport
from lifecycle_jobs.mail.transports import Accepted, Outcome, Outgoing, PermanentFailure, Withheld
from lifecycle_jobs.report.contents import DailyReport
from lifecycle_jobs.report.pages import ReportPages
from lifecycle_jobs.report.reading import read_report
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch

log = structlog.get_logger()

LEASE: Final = "report"
_KIND: Final = "staff.daily_report"
_NEWS_FOR: Final = timedelta(days=7)

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a report that was handed over."""

    on: date
    status: Literal["sent", "queued", "failed"]
    response: str


def send_due(store: Store, settings: Settings, on: date, progress: Progress) -> Sent | None:
    """Send the report that is due on the business date `on`; None if none is, or the emergency stop is on.

    Raises LeaseHeld if another process is at it.
    """
    if not settings.report.to:
        return None
    with store.read() as connection:
        if stops.in_force(connection) is not None or _due(connection, on) is None:
            return None
    with lease.hold(store, LEASE, settings.lease.seconds) as held:
        fenced = store.fenced(held)
        with fenced.read() as connection:
            due = _due(connection, on)
        return None if due is None else _send(fenced, settings, due, on, progress)


def send_now(store: Store, settings: Settings, of: date, on: date, progress: Progress) -> Sent:
    """Send the report of the run of a date, on the business date `on`, whether it was sent before or not.

    Raises Refused if there is nobody to send it to or no such run, LeaseHeld, and EmergencyStop while that is on.
    """
    if not settings.report.to:
        message = "report.to is empty: nobody would get the report."
        raise Refused(message)
    with store.read() as connection:
        known = connection.scalar(select(runs.c.run_on).where(runs.c.run_on == of))
    if known is None:
        message = f"There is no run of {of}, so there is nothing to report."
        raise Refused(message)
    with lease.hold(store, LEASE, settings.lease.seconds) as held:
        return _send(store.fenced(held), settings, of, on, progress)


def was_sent(connection: Connection, of: date) -> bool:
    """Whether the mail server has accepted the report of a business date."""
    return connection.scalar(select(staff_reports.c.status).where(staff_reports.c.run_on == of)) == "sent"


def _due(connection: Connection, on: date) -> date | None:
    """The latest completed run that is recent, if its report is still to be sent and its turn has come."""
    latest = (
        select(runs.c.run_on)
        .where(runs.c.state == "completed", runs.c.run_on <= on, runs.c.run_on > on - _NEWS_FOR)
        .order_by(runs.c.run_on.desc())
        .limit(1)
        .scalar_subquery()
    )
    turn_has_come = or_(staff_reports.c.next_attempt_at.is_(None), staff_reports.c.next_attempt_at <= clock.now())
    due: date | None = connection.scalar(
        select(runs.c.run_on)
        .outerjoin(staff_reports, staff_reports.c.run_on == runs.c.run_on)
        .where(
            runs.c.run_on == latest,
            or_(staff_reports.c.run_on.is_(None), (staff_reports.c.status == "queued") & turn_has_come),
        )
    )
    return due


def _send(store: Store, settings: Settings, of: date, on: date, progress: Progress) -> Sent:
    progress(LEASE, 0)
    _begin(store, of, settings.mail.retry_after)
    report = read_report(store, settings, of, on, tick=lambda: progress(LEASE, 0))
    envelope = _envelope(settings, report)
    switch = Switch(store)

    def may_hand_over() -> bool:
        with store.write(durable=False):
            pass  # the lease is ours: who was paused since must not send what another has sent meanwhile
        return switch.stopped() is None

    switch.check()
    with open_transport(store, settings) as transport:
        outcome = transport.send(envelope, may_hand_over)
    sent = _record(store, of, outcome)
    progress(LEASE, 1)
    return sent


def _envelope(settings: Settings, report: DailyReport) -> Outgoing:
    stationery, key = Stationery(settings), f"report/{report.on}"
    recipient = wire_address(settings.report.to)
    content = stationery.write(
        ReportPages(settings).render(report, settings.report.locale),
        kind=cast("MessageKind", _KIND),
        locale=settings.report.locale,
        message_id=message_id(key, settings.mail.message_id_domain),
        name="",
        recipient=recipient,
        moment=clock.now(),
    )
    return Outgoing(
        key=key,
        kind=_KIND,
        customer_id="staff",
        created_on=report.on,
        sender=stationery.sender,
        recipient=recipient,
        needs_smtputf8=stationery.needs_smtputf8(recipient),
        content=content,
    )


def _begin(store: Store, of: date, pauses: Sequence[int]) -> None:
    """Record that an attempt begins, and when the next one may, whatever ends this one; `pauses` are minutes."""
    with store.write() as connection:
        before: int | None = connection.scalar(select(staff_reports.c.attempts).where(staff_reports.c.run_on == of))
        attempts = before or 0
        values = {
            "status": "queued",
            "attempts": attempts + 1,
            "next_attempt_at": clock.now() + timedelta(minutes=pauses[min(attempts, len(pauses) - 1)]),
            "accepted_at": None,
        }
        if before is None:
            connection.execute(insert(staff_reports).values(run_on=of, **values))
        else:
            connection.execute(update(staff_reports).where(staff_reports.c.run_on == of).values(**values))


def _record(store: Store, of: date, outcome: Outcome) -> Sent:
    said = "" if isinstance(outcome, Withheld) else without_addresses(outcome.response)
    if isinstance(outcome, Accepted):
        sent = Sent(of, "sent", said)
        log.info("report_sent", report_on=of.isoformat())
    elif isinstance(outcome, PermanentFailure):
        sent = Sent(of, "failed", said)
        log.error("report_not_sent", report_on=of.isoformat(), response=said)
    else:
        sent = Sent(of, "queued", said)
        log.warning("report_deferred", report_on=of.isoformat(), response=said)
    values: dict[str, Any] = {"status": sent.status, "response": said}
    if sent.status != "queued":
        values["next_attempt_at"] = None
    if sent.status == "sent":
        values["accepted_at"] = clock.now()
    with store.write() as connection:
        connection.execute(update(staff_reports).where(staff_reports.c.run_on == of).values(**values))
    return sent
