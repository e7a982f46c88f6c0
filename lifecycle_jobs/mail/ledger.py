"""The messages as people ask for them: which there are, what is known of one, and sending one again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, func, select, update

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, boxes, customers, events, message_events, messages
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import record
from lifecycle_jobs.operators import Operator

STATUSES: Final = ("queued", "failed", "parked", "sent", "moot")
"""What may have become of a message."""


def list_messages(connection: Connection, status: str | None, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """How many messages there are of a status (or at all), and the newest of them."""
    wanted = [] if status is None else [messages.c.status == status]
    total = connection.scalar(select(func.count()).select_from(messages).where(*wanted)) or 0
    rows = connection.execute(
        select(
            messages.c.id,
            messages.c.kind,
            messages.c.customer_id,
            messages.c.status,
            messages.c.attempts,
            messages.c.created_on,
            messages.c.next_attempt_at,
            messages.c.accepted_at,
            messages.c.response,
        )
        .where(*wanted)
        .order_by(messages.c.id.desc())
        .limit(limit)
    )
    return total, [dict(row) for row in rows.mappings()]


def show_message(connection: Connection, message_id: int) -> dict[str, Any]:
    """What is known of a message: what became of it, the proof of its acceptance, and the boxes that it tells of.

    The recipient is masked. Raises Refused if there is no such message.
    """
    row = _found(connection, message_id)
    told = connection.scalars(
        select(boxes.c.address)
        .distinct()
        .select_from(message_events)
        .join(events, events.c.id == message_events.c.event_id)
        .outerjoin(addons, addons.c.addon_id == events.c.addon_id)
        .join(boxes, boxes.c.id == func.coalesce(events.c.box_id, addons.c.box_id))
        .where(message_events.c.message_id == message_id)
        .order_by(boxes.c.address)
    ).all()
    shown = {name: value for name, value in row.items() if name not in {"recipient_key", "recipient"}}
    return shown | {"recipient": masked(row["recipient"]), "boxes": list(told)}


def resend(store: Store, operator: Operator, message_id: int, *, again: bool) -> str:
    """Have a message leave with the next delivery, under the same Message-ID; the status that it had.

    It goes to the address, and in the language, that the customer has now: the old one may be why it failed. One that
    was sent goes only `again`, because its holder gets it twice; what proved its first acceptance is kept in the
    history. Raises Refused for one that is moot or parked, and if there is no such message.
    """
    with store.write() as connection:
        row = _found(connection, message_id, to_change=True)
        status: str = row["status"]
        if status == "moot":
            raise Refused(f"Message {message_id} had become pointless: everything it would tell is no longer so.")
        if status == "parked":
            raise Refused(f"Message {message_id} could not be put together. See: lifecycle-jobs parked retry")
        if status == "sent" and not again:
            raise Refused(
                f"Message {message_id} was accepted on {row['accepted_on']}; its holder would get it twice. "
                "If that is meant: --again"
            )
        holder = connection.execute(select(customers).where(customers.c.customer_id == row["customer_id"])).one()
        connection.execute(
            update(messages)
            .where(messages.c.id == message_id, messages.c.status.in_(("queued", "failed", "sent")))
            .values(
                status="queued",
                attempts=0,
                next_attempt_at=None,
                accepted_on=None,
                accepted_at=None,
                reply_code=None,
                queue_id=None,
                redirected=False,
                recipient=holder.email,
                recipient_key=func.lower(holder.email),
                locale=holder.locale,
            )
        )
        proof = ("accepted_on", "accepted_at", "reply_code", "queue_id", "response")
        before = {name: _as_text(row[name]) for name in proof if row[name] is not None}
        record(
            connection,
            operator.origin,
            "message.resent",
            customer_id=row["customer_id"],
            detail={"message": message_id, "kind": row["kind"], "was": status} | before,
        )
        return status


def masked(address: str) -> str:
    """An e-mail address by which its owner can be recognised, and nobody else found: `m…@example.it`."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}…{at}{domain}"


def _found(connection: Connection, message_id: int, *, to_change: bool = False) -> Mapping[str, Any]:
    query = select(messages).where(messages.c.id == message_id)
    found = connection.execute(query.with_for_update() if to_change else query).mappings().one_or_none()
    if found is None:
        raise Refused(f"There is no message {message_id}.")
    return dict(found)


def _as_text(value: Any) -> Any:
    return value if isinstance(value, (int, str)) else value.isoformat()
