"""Deletes what was told and is long over: `lifecycle-jobs db maintain`. What may go is set in `[retention]`.

A message goes together with the events it told of and the record of their webhooks, in one transaction: an event
without its message would be told again, and a message without its events could not be explained. It goes when all of
this is true of it and of each of its events:

- it is done with (sent, given up, or pointless), and the event tells of something that no rule asks for later: not a
  renewal, by which the audit accounts for every E and every order, and not what a person decided by command;
- both, and the end of the term (E, or A of an add-on), lie `history_months` back;
- the term is over for the box: its E has moved on, or it is deleted; and so for an active add-on with its A; nor was
  it a renewal of an add-on for the term that runs now;
- nothing about the box is in doubt: no unresolved charge, no payment to be refunded, nothing parked;
- the run that wrote it has ended, and the mail platform has confirmed it if it is told of events.

So no rule can miss it: what was told of a milestone, that a warning or a notice was delivered, and that short credit
was announced is only ever asked of the term that a box or an add-on is in; an old term cannot become that again without
an import that overwrites E with a date so long past. The youngest message and the youngest event stay in any case,
because SQLite would give their numbers to others.

The texts of messages are kept nowhere but in the files of `mail.transport = "files"`; with "smtp" not at all. A file
goes after `message_bodies_months`, unless it tells of the term that a box is in, or of the renewal that brought it.

The plans of days that `day_plans.keep_days` no longer asks for go too, as they do when a plan is made: they name
holders, and an operator may have stopped making plans.

This is safe beside a running day, which asks for none of this: a batch is a small transaction that locks its messages
and events and asks everything again. Broken off, it is simply repeated. Two at a time would be in each other's way, so
there is a lease of its own. What is kept among the old is walked along each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Table,
    and_,
    delete,
    exists,
    false,
    func,
    or_,
    select,
)

from lifecycle_jobs import clock, lease
from lifecycle_jobs.db.conditions import unapplied_payment, unresolved_charge
from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import (
    addons,
    boxes,
    events,
    message_events,
    messages,
    parked_rows,
    runs,
    webhook_deliveries,
)
from lifecycle_jobs.mail import eml_files
from lifecycle_jobs.planning import plan_file
from lifecycle_jobs.policy import months_later
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch, heeding
from lifecycle_jobs.webhooks.take_up import goes_out, looked_through

log = structlog.get_logger()

NAME: Final = "maintenance"
_AT_A_TIME: Final = 500
"""Messages in one transaction."""

_GOES: Final = (
    "box.expiry_alert",
    "box.renewal_notice",
    "box.suspended",
    "box.deletion_warning",
    "box.deleted",
    "charge.declined",
    "addon.credit_short",
    "addon.renewed",
    "addon.disabled",
)
"""The kinds of events that may go. A kind that is added stays until somebody has thought about it."""

_done_with = messages.c.status.in_(("sent", "moot", "failed"))
_told = (
    message_events.join(events, events.c.id == message_events.c.event_id)
    .outerjoin(boxes, boxes.c.id == events.c.box_id)
    .outerjoin(addons, addons.c.addon_id == events.c.addon_id)
)
"""What messages tell of, with the box and the add-on as they are now."""


@dataclass(slots=True)
class Deleted:
    """What was deleted, or would be. `history_before` and `bodies_before` are the first days that are kept."""

    history_before: date
    bodies_before: date
    messages: int = 0
    events: int = 0
    bodies: int = 0
    plans: int = 0


def maintain(
    store: Store, settings: Settings, on: date, progress: Callable[[str, int], None], *, dry_run: bool
) -> Deleted:
    """Delete what the retention no longer asks for on a business date; with `dry_run` only count it.

    Raises LeaseHeld if another maintenance is under way, and EmergencyStop once that is on.
    """
    Switch(store).check()
    progress = heeding(store, progress)
    deleted = Deleted(
        history_before=months_later(on, -settings.retention.history_months),
        bodies_before=months_later(on, -settings.retention.message_bodies_months),
    )
    if dry_run:
        _bodies(store, settings, on, deleted, progress, remove=False)
        _history(store, on, deleted, progress, _count)
        _plans(settings, on, deleted, remove=False)
        return deleted
    with lease.hold(store, NAME, settings.lease.seconds) as held:
        fenced = store.fenced(held)
        # While it is still known whose they are.
        _bodies(fenced, settings, on, deleted, progress, remove=True)
        _history(fenced, on, deleted, progress, _delete)
        _plans(settings, on, deleted, remove=True)
    return deleted


@dataclass(frozen=True, slots=True)
class _Dates:
    """The business date, and the first day of which everything stays."""

    on: date
    kept_from: date


_Batch = Callable[[Store, _Dates, Sequence[int]], tuple[int, int]]


def _history(store: Store, on: date, deleted: Deleted, progress: Callable[[str, int], None], batch: _Batch) -> None:
    dates, after = _Dates(on, deleted.history_before), ""
    while True:
        with store.read() as connection:
            rows = _next(connection, dates.kept_from, after)
        if not rows:
            return
        gone, untold = batch(store, dates, [row.id for row in rows])
        deleted.messages += gone
        deleted.events += untold
        progress("history", len(rows))
        after = rows[-1].message_key


def _next(connection: Connection, before: date, after: str) -> Sequence[Row[int, str]]:
    """The next messages that are old enough. A message's key begins with its day, so they are a range of an index."""
    return connection.execute(
        select(messages.c.id, messages.c.message_key)
        .where(
            messages.c.message_key > after,
            messages.c.message_key < before.isoformat(),
            messages.c.created_on < before,
            messages.c.kind.in_(_GOES),
            _done_with,
        )
        .order_by(messages.c.message_key)
        .limit(_AT_A_TIME)
    ).all()


def _count(store: Store, dates: _Dates, message_ids: Sequence[int]) -> tuple[int, int]:
    with store.read() as connection:
        going = _going(connection, dates, message_ids)
        return len(going), len(_events_of(connection, going))


def _delete(store: Store, dates: _Dates, message_ids: Sequence[int]) -> tuple[int, int]:
    # Lost in a power cut, it would only be done again.
    with store.write(durable=False) as connection:
        locked = connection.scalars(
            select(messages.c.id)
            .where(among(messages.c.id, message_ids), _done_with)
            .order_by(messages.c.id)
            .with_for_update(skip_locked=True)
        ).all()
        told = among(events.c.id, _events_of(connection, locked))
        connection.execute(select(events.c.id).where(told).order_by(events.c.id).with_for_update())
        going = _going(connection, dates, locked)
        untold = _events_of(connection, going)
        for gone in (
            delete(webhook_deliveries).where(among(webhook_deliveries.c.event_id, untold)),
            delete(message_events).where(among(message_events.c.message_id, going)),
            delete(events).where(among(events.c.id, untold)),
            delete(messages).where(among(messages.c.id, going)),
        ):
            connection.execute(gone)
    return len(going), len(untold)


def _events_of(connection: Connection, message_ids: Sequence[int]) -> Sequence[int]:
    return connection.scalars(
        select(message_events.c.event_id).where(among(message_events.c.message_id, message_ids))
    ).all()


def _going(connection: Connection, dates: _Dates, message_ids: Sequence[int]) -> Sequence[int]:
    """Those of the messages all of whose events may go."""
    stay = exists().select_from(_told).where(message_events.c.message_id == messages.c.id, _stays(connection, dates))
    return connection.scalars(
        select(messages.c.id).where(
            among(messages.c.id, message_ids),
            _done_with,
            messages.c.id < _youngest(messages),
            exists().where(message_events.c.message_id == messages.c.id),
            ~stay,
        )
    ).all()


def _stays(connection: Connection, dates: _Dates) -> ColumnElement[bool]:
    """An event is still needed, or it is not clear that it is not."""
    term = events.c.term_expires_on
    parked = exists().where(parked_rows.c.box_id == boxes.c.id, parked_rows.c.state != "resolved")
    unfinished = exists().where(runs.c.run_on == events.c.run_on, runs.c.state == "running")
    return or_(
        events.c.kind.not_in(_GOES),
        events.c.occurred_on >= dates.kept_from,
        term.is_(None),
        term >= dates.kept_from,
        events.c.id == _youngest(events),
        boxes.c.id.is_(None),
        _term_runs(dates.on),
        and_(addons.c.status == "active", addons.c.expires_on <= term),
        unresolved_charge(),
        unapplied_payment(),
        parked,
        unfinished,
        _unconfirmed(connection),
    )


def _term_runs(on: date) -> ColumnElement[bool]:
    """The event tells of the term that its box is in, or of the renewal that brought it."""
    until = events.c.detail["new_expires_on"].as_string()
    return and_(
        boxes.c.status != "deleted", or_(events.c.term_expires_on >= boxes.c.expires_on, until >= on.isoformat())
    )


def _unconfirmed(connection: Connection) -> ColumnElement[bool]:
    """The mail platform has not confirmed the event, or has still to be told of it."""
    delivery = webhook_deliveries.c.event_id == events.c.id
    taken_up = looked_through(connection, clock.now())
    coming = false() if taken_up is None else and_(events.c.id > taken_up, goes_out(), ~exists().where(delivery))
    return or_(exists().where(delivery, webhook_deliveries.c.status == "pending"), coming)


def _youngest(table: Table) -> ScalarSelect[int]:
    return select(func.max(table.alias().c.id)).scalar_subquery()


def _bodies(
    store: Store,
    settings: Settings,
    on: date,
    deleted: Deleted,
    progress: Callable[[str, int], None],
    *,
    remove: bool,
) -> None:
    if settings.mail.transport != "files":
        return
    directory = settings.mail.directory
    for day in eml_files.days_with_files(directory, deleted.bodies_before):
        with store.read() as connection:
            needed = _needed_files(connection, day, on)
        files = eml_files.files_of(directory, day, but=needed)
        if remove:
            eml_files.delete_files(files)
        deleted.bodies += len(files)
        progress("texts", len(files))


def _needed_files(connection: Connection, day: date, on: date) -> set[str]:
    """The names of a day's messages that tell of the term a box is in, or that have still to leave."""
    tells_of_running = exists().select_from(_told).where(message_events.c.message_id == messages.c.id, _term_runs(on))
    rows = connection.execute(
        select(messages.c.created_on, messages.c.kind, messages.c.customer_id, messages.c.message_key).where(
            messages.c.message_key >= f"{day.isoformat()}/",
            messages.c.message_key < f"{day.isoformat()}0",  # the character after the slash
            or_(~_done_with, tells_of_running),
        )
    )
    return {eml_files.file_name(row.created_on, row.kind, row.customer_id, row.message_key) for row in rows}


def _plans(settings: Settings, on: date, deleted: Deleted, *, remove: bool) -> None:
    chosen = settings.day_plans
    if chosen.directory is None:
        return
    try:
        over = plan_file.no_longer_kept(chosen.directory, on, chosen.keep_days)
        if remove:
            plan_file.forget(over)
    except FileNotFoundError:
        return  # there is no such folder yet, or somebody who made a plan was faster
    except OSError as error:
        # What has been deleted is to be told all the same.
        log.warning("plans_not_deleted", directory=str(chosen.directory), error=type(error).__name__)
        return
    deleted.plans = len(over)
