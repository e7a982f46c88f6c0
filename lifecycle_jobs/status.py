"""Where things stand: the last runs, and everything that waits for a person. Reads only; knows no rule of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, func, null, select, union_all

from lifecycle_jobs import clock, lease, runs, stops
from lifecycle_jobs.day import JOBS
from lifecycle_jobs.db.conditions import first_reason, of_this_term
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges, messages, orders, run_jobs, staff_reports, top_up_charges
from lifecycle_jobs.db.tables import runs as run_records
from lifecycle_jobs.gates import suspected_gap
from lifecycle_jobs.jobs import delete
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.lease import Process
from lifecycle_jobs.payments import refunds, staff_notices
from lifecycle_jobs.payments.top_up_charges import unresolved_top_up
from lifecycle_jobs.runs import Run
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.watching.noticing import Unusual, noticed
from lifecycle_jobs.webhooks import waiting

_order_of_the_day = [name for name, _ in JOBS]

_SUSPENDED = ("box.suspended", "box.suspended_by_hand")
_A_WEEK = timedelta(days=7)
_A_MONTH = timedelta(days=31)

LISTED = 100
"""How many rows of each list are shown unless more are asked for; the counts are of all."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The first rows of something, and how many there are in all."""

    total: int
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Status:
    """Everything `lifecycle-jobs status` shows."""

    on: date
    under_way: str | None
    daemon: str | None
    stopped: str | None
    gap: date | None
    boxes: dict[str, int]
    runs: list[dict[str, Any]]
    parked: Listing
    unresolved_charges: Listing
    refunds_due: Listing
    not_attempted: Listing
    messages: dict[str, int]
    unsent_messages: Listing
    held_back_from_deletion: Listing
    charged_without_notice: Listing
    webhooks_waiting: int
    webhooks_waiting_since: datetime | None
    deletions_pending: Listing
    suspensions_pending: Listing
    told_by_gateway: Listing
    unsent_reports: Listing
    unusual: Sequence[Unusual]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def read_status(store: Store, settings: Settings, on: date, *, last_runs: int = 5) -> Status:
    """The state of the provider on a business date."""
    with store.read() as connection:
        at_work = {name: lease.holder(connection, name) for name in ("run", "daemon")}
        stop = stops.in_force(connection)
        hooks = waiting.queue(connection, clock.now()) if settings.webhooks.url else waiting.NOTHING
        return Status(
            on=on,
            under_way=_named(at_work["run"]),
            daemon=_named(at_work["daemon"]),
            stopped=None if stop is None else str(stop),
            gap=suspected_gap(connection, settings, on),
            boxes=_counted(connection, select(boxes.c.status, func.count()).group_by(boxes.c.status)),
            runs=_last_runs(connection, last_runs),
            parked=list_parked(connection),
            unresolved_charges=list_unresolved(connection, on),
            refunds_due=list_refunds(connection, on),
            not_attempted=list_not_attempted(connection, on),
            messages=_counted(connection, select(messages.c.status, func.count()).group_by(messages.c.status)),
            unsent_messages=listing(connection, _unsent(), on=on),
            held_back_from_deletion=list_held_back(store, settings, on),
            webhooks_waiting=hooks.waiting,
            webhooks_waiting_since=hooks.oldest,
            deletions_pending=_unconfirmed(connection, settings, ["box.deleted"], on),
            suspensions_pending=_unconfirmed(connection, settings, _SUSPENDED, on),
            told_by_gateway=Listing(*staff_notices.list_for_staff(connection, on, LISTED)),
            charged_without_notice=listing(connection, _without_notice(), on=on),
            unsent_reports=listing(connection, _unsent_reports(on), on=on),
            unusual=noticed(connection, runs.latest_completed(connection), untold=True),
        )


def _named(process: Process | None) -> str | None:
    return None if process is None else f"process {process.pid} on {process.host.split('/')[0]}"


def _counted(connection: Connection, counts: Select[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in sorted(connection.execute(counts).all())}


def _last_runs(connection: Connection, number: int) -> list[dict[str, Any]]:
    found = connection.execute(select(run_records).order_by(run_records.c.run_on.desc()).limit(number)).all()
    listed = []
    for run in found:
        jobs = connection.execute(
            select(run_jobs).where(run_jobs.c.run_on == run.run_on, run_jobs.c.run_pass == run.run_pass)
        ).mappings()
        listed.append(
            {
                "run_on": run.run_on,
                "state": run.state,
                "run_pass": run.run_pass,
                "since": run.since,
                "started_at": run.started_at,
                "finished_at": run.finished_at,
                "failures": run.failures,
                "jobs": [
                    {
                        name: job[name]
                        for name in ("job", "state", "counts", "skipped", "parked", "refused", "failures", "seconds")
                    }
                    for job in sorted(jobs, key=lambda job: _order_of_the_day.index(job["job"]))
                ],
            }
        )
    return listed


def list_parked(connection: Connection, limit: int = LISTED) -> Listing:
    """What failed and was set aside."""
    rows = runs.open_parked(connection)
    shown = ("run_on", "job", "subject", "error", "times", "parked_at")
    return Listing(len(rows), [{name: row[name] for name in shown} for row in rows[:limit]])


def list_unresolved(connection: Connection, on: date, limit: int = LISTED) -> Listing:
    """The charges of which nobody knows yet whether the bank made them."""
    return listing(connection, _unresolved(), on=on, limit=limit)


def find_unresolved(connection: Connection, key: str, on: date) -> dict[str, Any] | None:
    """One of these charges; none if it is settled, or there is none of this key."""
    either = _unresolved()
    found = listing(connection, either.where(either.selected_columns.idempotency_key == key), on=on)
    return found.rows[0] if found.rows else None


def list_not_attempted(connection: Connection, on: date, limit: int = LISTED) -> Listing:
    """The renewals that could not be tried when they were last due."""
    return listing(connection, _not_attempted(on), on=on, limit=limit)


def _unresolved() -> Select[Any]:
    of_boxes = (
        select(
            charges.c.idempotency_key,
            boxes.c.address,
            charges.c.status,
            charges.c.amount_cents,
            charges.c.why,
            charges.c.attempted_on.label("since"),
        )
        .join(boxes, boxes.c.id == charges.c.box_id)
        .where(charges.c.status.in_(("pending", "unknown")))
    )
    of_credit = select(
        top_up_charges.c.idempotency_key,
        null(),  # it is no box's
        top_up_charges.c.status,
        top_up_charges.c.amount_cents,
        top_up_charges.c.why,
        top_up_charges.c.attempted_on,
    ).where(unresolved_top_up)
    either = union_all(of_boxes, of_credit).subquery()
    # In the order of what was found: in that of an index, SQLite would walk through the whole history.
    return select(either).order_by(either.c.since, either.c.idempotency_key)


def _not_attempted(on: date) -> Select[Any]:
    """Active boxes whose renewal could not be tried when it was last due, and why: ours to mend, not the holder's."""
    return (
        select(boxes.c.address, charges.c.why, charges.c.attempted_on.label("since"))
        .join(charges, of_this_term)
        .where(
            charges.c.attempted_on >= on - _A_MONTH,
            charges.c.status == "not_attempted",
            charges.c.id == _latest_of_term(),
            boxes.c.status.not_in(("suspended", "deleted")),  # put so, SQLite does not begin with all active boxes
        )
        .order_by(charges.c.attempted_on, charges.c.id)
    )


def _latest_of_term() -> ScalarSelect[Any]:
    other = charges.alias()
    return (
        select(func.max(other.c.id))
        .where(other.c.box_id == boxes.c.id, other.c.term_expires_on == boxes.c.expires_on)
        .correlate(boxes)
        .scalar_subquery()
    )


def _unsent() -> Select[Any]:
    return (
        select(
            messages.c.id,
            messages.c.kind,
            messages.c.customer_id,
            messages.c.status,
            messages.c.attempts,
            messages.c.created_on.label("since"),
            messages.c.response,
        )
        .where(messages.c.status.in_(("queued", "failed", "parked")))
        .order_by(messages.c.id)
    )


def _unsent_reports(on: date) -> Select[Any]:
    """The staff's daily reports of the last days that the mail server has not taken."""
    return (
        select(
            staff_reports.c.run_on.label("since"),
            staff_reports.c.status,
            staff_reports.c.attempts,
            staff_reports.c.response,
        )
        .where(staff_reports.c.status.in_(("queued", "failed")), staff_reports.c.run_on > on - _A_WEEK)
        .order_by(staff_reports.c.run_on)
    )


def list_refunds(connection: Connection, on: date, limit: int = LISTED) -> Listing:
    """The payments that are to be given back."""
    return listing(connection, refunds.due(), on=on, limit=limit)


def list_held_back(store: Store, settings: Settings, on: date, limit: int = LISTED) -> Listing:
    """The boxes whose day has come and that are not deleted, and why."""
    with store.read() as connection:
        return listing(connection, _held_back(store, settings, on), on=on, limit=limit)


def count_held_back(store: Store, settings: Settings, on: date) -> dict[str, int]:
    """How many such boxes there are, by reason."""
    found = _held_back(store, settings, on).order_by(None).subquery()
    with store.read() as connection:
        return _counted(connection, select(found.c.reason, func.count()).group_by(found.c.reason))


def list_webhooks(connection: Connection) -> Listing:
    """The webhooks that are queued, the oldest event first, with how many seconds each waits."""
    now = clock.now()
    found = listing(connection, waiting.pending())
    for row in found.rows:
        row["seconds"] = int((now - row["waiting_since"]).total_seconds())
    return found


def _unconfirmed(connection: Connection, settings: Settings, kinds: Sequence[str], on: date) -> Listing:
    """What the mail platform has not confirmed, where there is one that is told."""
    if not settings.webhooks.url:
        return Listing(0, [])
    return listing(connection, waiting.unconfirmed(connection, kinds, clock.now()), on=on)


def _held_back(store: Store, settings: Settings, on: date) -> Select[Any]:
    """Asked of the job itself, with its own conditions, as if it ran now."""
    run = Run(on, 0, "everything", on)
    task = Task(delete.NAME, store, run, settings.catalog(), settings.database.chunk_size, lambda _job, _rows: None)
    reason = first_reason(delete.refusals(task, settings.deletion))
    return (
        select(boxes.c.address, boxes.c.expires_on, boxes.c.suspended_on.label("since"), reason.label("reason"))
        .where(delete.candidates(task), reason.is_not(None))
        .order_by(boxes.c.expires_on, boxes.c.address_key)
    )


def _without_notice() -> Select[Any]:
    return (
        select(boxes.c.address, charges.c.attempted_on, charges.c.status, orders.c.order_number)
        .join(boxes, boxes.c.id == charges.c.box_id)
        .join(orders, orders.c.id == charges.c.order_id)
        .where(charges.c.without_notice, charges.c.called, charges.c.status.in_(("succeeded", "declined")))
        .order_by(charges.c.attempted_on.desc(), charges.c.id)
    )


def listing(connection: Connection, rows: Select[Any], *, on: date | None = None, limit: int = LISTED) -> Listing:
    """The first rows of a query and the number of all; a `since` among the columns becomes an age in `days`."""
    total = connection.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or 0
    # What is not there need not be looked for a second time: some of these lists are long to search, and mostly empty.
    listed = [dict(row) for row in connection.execute(rows.limit(limit)).mappings()] if total else []
    for row in listed:
        if on is not None and "since" in row:
            row["days"] = (on - row["since"]).days
    return Listing(total, listed)
