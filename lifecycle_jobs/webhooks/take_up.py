"""Which events go to other systems, and how none of them is forgotten.

What happened to a box goes out: the kinds that begin with `box.`, `charge.` or `addon.`. What a person did in the
office stays there (`deletion.approved`, `parked.retried`, `emergency.stopped` …), and so does bookkeeping
(`payment.registered`, `payment.refunded`): where a payment changes a box, a `box.renewed` says so. Notices and holds
stay here too (`cancellation.recorded`, `hold.placed` …): nothing follows from them for the platform until a rule acts
on them, and why a box is on hold is nobody else's business.

Events go out from the first pass with a `webhooks.url` on. Earlier ones, and those being written at that very moment,
go only by `webhooks replay`. If the url is taken away and put back, what happened in between goes too.

A cursor is not to be trusted: on PostgreSQL numbers are given out before transactions commit, so a lower number can
come to light after a higher one. So each pass notes the highest number it saw, and when; every number below it had
been given out by then. No transaction of ours lasts an hour, so below a note that is an hour old nothing can come to
light any more. Above it, each pass looks at every event and takes up those that have no delivery yet.

Alternatives: a trigger that queues each event with its own transaction is exact, but it is code outside the program,
written twice, and it costs every run even where nobody listens. A cursor that stays behind PostgreSQL's oldest running
transaction (`pg_snapshot_xmin`) holds every event back as long as anything else in that database runs, a backup say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, literal, or_, select

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import events, webhook_deliveries, webhook_marks

KINDS: Final = ("box.", "charge.", "addon.")
"""How the kinds begin that go out."""

_SETTLED_AFTER: Final = timedelta(hours=1)
"""Longer than any transaction that writes events."""


class _Mark(NamedTuple):
    event_id: int
    seen_at: datetime


def goes_out() -> ColumnElement[bool]:
    """The event is for other systems."""
    return or_(*[events.c.kind.startswith(beginning) for beginning in KINDS])


def not_taken_up(after: int, upto: int | None = None) -> ColumnElement[bool]:
    """The event has a number in this range, is to go out and is not queued.

    The range is said of both tables, so that no planner can think of reading the whole of either.
    """
    queued = webhook_deliveries.c.event_id
    among_these, among_those = events.c.id > after, queued > after
    if upto is not None:
        among_these, among_those = and_(among_these, events.c.id <= upto), and_(among_those, queued <= upto)
    return and_(among_these, goes_out(), ~select(queued).where(queued == events.c.id, among_those).exists())


def before_next(connection: Connection, after: int) -> int:
    """The last number before the next event: many in a row may be unused (`numbering`). There must be one."""
    upcoming: int = connection.execute(select(func.min(events.c.id)).where(events.c.id > after)).scalar_one()
    return upcoming - 1


def looked_through(connection: Connection, now: datetime) -> int | None:
    """The number of an event up to which all are taken up that ever will be; none before the first pass."""
    marks = _marks(connection)
    return _settled(marks, now) if marks else None


def take_up(store: Store, now: datetime, *, chunk_size: int, advance: Callable[[int], None]) -> int:
    """Queue every event that is to go out and is not queued; how many there were. `advance` is told each chunk's."""
    with store.write() as connection:
        after, highest = _note_highest(connection, now)
    taken = 0
    while after < highest:
        with store.write(durable=False) as connection:
            upto = before_next(connection, after) + chunk_size
            number = _queue(connection, not_taken_up(after, upto), now)
        taken += number
        advance(number)
        after = upto
    return taken


def _note_highest(connection: Connection, now: datetime) -> tuple[int, int]:
    """Note how far numbers have been given out; the numbers after which and up to which to look."""
    highest = connection.scalar(select(func.max(events.c.id))) or 0
    marks = _marks(connection)
    if not marks or highest > marks[-1].event_id:
        marks.append(_Mark(highest, now))
        connection.execute(insert(webhook_marks).values(event_id=highest, seen_at=now))
    after = _settled(marks, now)
    connection.execute(delete(webhook_marks).where(webhook_marks.c.event_id < after))
    return after, highest


def _marks(connection: Connection) -> list[_Mark]:
    marks = select(webhook_marks.c.event_id, webhook_marks.c.seen_at).order_by(webhook_marks.c.id)
    return [_Mark(*values) for values in map(tuple, connection.execute(marks))]


def _settled(marks: Sequence[_Mark], now: datetime) -> int:
    """The last of them that is old enough, or else the first there ever was."""
    old_enough = [mark for mark in marks if mark.seen_at <= now - _SETTLED_AFTER]
    return (old_enough[-1] if old_enough else marks[0]).event_id


def _queue(connection: Connection, chosen: ColumnElement[bool], now: datetime) -> int:
    moment = literal(now, webhook_deliveries.c.queued_at.type)
    found = select(events.c.id, events.c.box_id, literal("pending"), moment).where(chosen)
    queued = insert(webhook_deliveries).from_select(["event_id", "box_id", "status", "queued_at"], found)
    return connection.execute(queued, execution_options={"preserve_rowcount": True}).rowcount
