"""Where what happened and what holders were told do not agree."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, exists, func, literal, or_, select

from lifecycle_jobs.audit.invariant import Scope, of_customer, rows
from lifecycle_jobs.db.dialect import joined
from lifecycle_jobs.db.tables import boxes, events, message_events, messages, parked_rows, runs
from lifecycle_jobs.mail.contents import MESSAGE_KINDS

_linked = events.join(message_events, message_events.c.event_id == events.c.id)


def told_in_several_messages(_: Scope) -> Select[Any]:
    """More than one message to a customer about one kind of event of one pass of a run, or of one operation."""
    one = (events.c.customer_id, events.c.kind, events.c.run_on, events.c.run_pass, events.c.operation)
    several = (
        select(events.c.customer_id)
        .select_from(_linked)
        .where(or_(events.c.run_on.is_not(None), events.c.operation.is_not(None)))
        .group_by(*one)
        .having(func.min(message_events.c.message_id) != func.max(message_events.c.message_id))
        .subquery()
    )
    return of_customer(literal("told of the same in more than one message"), several.c.customer_id)


def told_to_somebody_else(_: Scope) -> Select[Any]:
    """A message that tells of another customer's event, or of one of another kind."""
    return (
        rows("told in a message of another customer or kind", "event", events.c.id)
        .select_from(
            _linked.join(messages, messages.c.id == message_events.c.message_id).outerjoin(
                boxes, boxes.c.id == events.c.box_id
            )
        )
        .where(or_(messages.c.customer_id.is_distinct_from(events.c.customer_id), messages.c.kind != events.c.kind))
        .order_by(events.c.id)
    )


def not_told(_: Scope) -> Select[Any]:
    """An event of a run that is over, without a message; unless composing it failed and that is parked."""
    over = and_(
        runs.c.run_on == events.c.run_on,
        or_(
            runs.c.state.in_(("completed", "superseded")),
            events.c.run_pass < runs.c.run_pass,
        ),
    )
    parked = exists().where(
        parked_rows.c.job == "compose",
        parked_rows.c.subject == joined(literal("customer:"), events.c.customer_id),
        parked_rows.c.state != "resolved",
    )
    return (
        rows("nobody was told", "event", events.c.id)
        .select_from(events)
        .join(runs, over)
        .outerjoin(boxes, boxes.c.id == events.c.box_id)
        .where(
            events.c.kind.in_(MESSAGE_KINDS),
            events.c.customer_id.is_not(None),
            ~exists().where(message_events.c.event_id == events.c.id),
            ~parked,
        )
        .order_by(events.c.id)
    )
