"""What the database knows about queued messages, read for a whole batch in at most five queries.

The number of queries does not grow with the number of messages, boxes or add-ons: everything is joined from the
messages' ids on the server, so that a customer with tens of thousands of boxes needs no longer statements either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Select, func, select

from lifecycle_jobs.db.dialect import Parameter, among
from lifecycle_jobs.db.tables import (
    addons,
    boxes,
    customers,
    events,
    message_events,
    messages,
    order_lines,
    orders,
    payment_methods,
)
from lifecycle_jobs.mail.contents import AddonItem

PRICED_KINDS: Final = frozenset({"box.expiry_alert", "box.renewal_notice"})
"""Kinds of event whose lines say what the next term will cost (SPEC §4)."""

TO_BE_PAID: Final = frozenset({"order.placed", "addon.ordered"})
"""Kinds of event whose lines ask for money for an order."""


class Message(NamedTuple):
    """A queued message with its customer as he is now. `recipient` is his address when it was composed."""

    id: int
    key: str
    kind: str
    locale: str
    recipient: str
    created_on: date
    attempts: int
    customer_id: str
    customer_name: str
    credit_cents: int


class Box(NamedTuple):
    """A box as it is now (SPEC §2)."""

    id: int
    address: str
    address_key: str
    plan: str
    status: str
    expires_on: date
    renewal_years: int
    auto_renew: bool
    annual_price_cents: int | None
    domain: str | None
    cancelled_on: date | None
    hold_until: date | None
    hold_reason: str | None
    suspended_on: date | None
    suspended_reason: str | None


class Addon(NamedTuple):
    """The add-on that an event is about, as it is now."""

    kind: str
    quantity: int
    status: str
    expires_on: date


class Method(NamedTuple):
    """The payment method that a box has now. `exp_month` and `exp_year` are those of a card, where they are known."""

    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None


class ActiveAddon(NamedTuple):
    """An add-on of a box that a renewal of the box would renew too: active and not cancelled."""

    kind: str
    quantity: int
    unit_price_cents: int
    paid_from: str
    expires_on: date


class Event(NamedTuple):
    """What a line tells of: what happened (`detail` as the job wrote it), and what it happened to as that is now.

    `term` is E of the box's term then, or A of the add-on's. `marked_moot` is what the last attempt at sending found.
    `order_status` is that of the order to be paid, where it asks for that.
    """

    id: int
    kind: str
    occurred_on: date
    term: date | None
    detail: Mapping[str, Any]
    marked_moot: bool
    box: Box | None
    addon: Addon | None
    method: Method | None
    active_addons: tuple[ActiveAddon, ...] = ()
    renewed_addons: tuple[AddonItem, ...] = ()
    order_status: str | None = None


class Dossier(NamedTuple):
    """A message and everything that its lines are made of."""

    message: Message
    events: tuple[Event, ...]


# The columns of the fields, in their order, and where they stand among all that a line is made of.
_OF_EVENT: Final = (
    events.c.id,
    events.c.kind,
    events.c.occurred_on,
    events.c.term_expires_on,
    events.c.detail,
    message_events.c.moot,
)
_OF_BOX: Final = tuple(boxes.c[name] for name in Box._fields)
_OF_ADDON: Final = tuple(addons.c[name] for name in Addon._fields)
_OF_METHOD: Final = tuple(payment_methods.c[name] for name in Method._fields)
_BOX: Final = slice(len(_OF_EVENT), len(_OF_EVENT) + len(_OF_BOX))
_ADDON: Final = slice(_BOX.stop, _BOX.stop + len(_OF_ADDON))
_METHOD: Final = slice(_ADDON.stop, _ADDON.stop + len(_OF_METHOD))

_IDS: Final = Parameter("ids")


def read_dossiers(connection: Connection, message_ids: Sequence[int]) -> list[Dossier]:
    """The dossiers of these messages, in the order of their ids."""
    rows = connection.execute(_line_rows(), {"ids": message_ids}).all()
    kinds = {row[1] for row in rows}
    active = _active_addons(connection, message_ids) if kinds & PRICED_KINDS else {}
    renewed = _renewed_addons(connection, message_ids) if "box.renewed" in kinds else {}
    ordered = _order_states(connection, message_ids) if kinds & TO_BE_PAID else {}
    by_message: dict[int, list[Event]] = defaultdict(list)
    for row in rows:
        by_message[row.message_id].append(_event(row, active, renewed, ordered))
    messages_found = [Message(*row) for row in connection.execute(_message_rows(), {"ids": message_ids})]
    return [Dossier(message, tuple(by_message[message.id])) for message in messages_found]


@cache  # put together once: that takes as long as reading some dozens of them
def _message_rows() -> Select[Any]:
    return (
        select(
            messages.c.id,
            messages.c.message_key,
            messages.c.kind,
            messages.c.locale,
            messages.c.recipient,
            messages.c.created_on,
            messages.c.attempts,
            messages.c.customer_id,
            customers.c.name,
            customers.c.credit_cents,
        )
        .join(customers, customers.c.customer_id == messages.c.customer_id)
        .where(among(messages.c.id, _IDS))
        .order_by(messages.c.id)
    )


@cache
def _line_rows() -> Select[Any]:
    return (
        select(*_OF_EVENT, *_OF_BOX, *_OF_ADDON, *_OF_METHOD, message_events.c.message_id)
        .select_from(message_events)
        .join(events, events.c.id == message_events.c.event_id)
        .outerjoin(addons, addons.c.addon_id == events.c.addon_id)
        .outerjoin(boxes, boxes.c.id == func.coalesce(events.c.box_id, addons.c.box_id))
        .outerjoin(payment_methods, payment_methods.c.payment_method_id == boxes.c.payment_method_id)
        .where(among(message_events.c.message_id, _IDS))
        .order_by(events.c.id)
    )


def _active_addons(connection: Connection, message_ids: Sequence[int]) -> dict[int, tuple[ActiveAddon, ...]]:
    by_box: dict[int, tuple[ActiveAddon, ...]] = {}
    for box_id, *values in connection.execute(_active_addon_rows(), {"ids": message_ids}):
        by_box[box_id] = (*by_box.get(box_id, ()), ActiveAddon(*values))
    return by_box


@cache
def _active_addon_rows() -> Select[Any]:
    priced = (
        select(events.c.box_id)
        .join(message_events, message_events.c.event_id == events.c.id)
        .where(among(message_events.c.message_id, _IDS), events.c.kind.in_(PRICED_KINDS))
    )
    return (
        select(
            addons.c.box_id,
            addons.c.kind,
            addons.c.quantity,
            addons.c.unit_price_cents,
            addons.c.paid_from,
            addons.c.expires_on,
        )
        .where(addons.c.box_id.in_(priced), addons.c.status == "active", addons.c.cancelled_on.is_(None))
        .order_by(addons.c.box_id, addons.c.addon_id)
    )


def _renewed_addons(connection: Connection, message_ids: Sequence[int]) -> dict[int, tuple[AddonItem, ...]]:
    """The add-ons on the order that an event names: as they were sold, whatever became of them since."""
    rows = connection.execute(
        select(message_events.c.event_id, order_lines.c.item, order_lines.c.quantity)
        .select_from(message_events)
        .join(events, events.c.id == message_events.c.event_id)
        .join(orders, orders.c.order_number == events.c.detail["order_number"].as_string())
        .join(order_lines, order_lines.c.order_id == orders.c.id)
        .where(
            among(message_events.c.message_id, message_ids),
            events.c.kind == "box.renewed",
            order_lines.c.addon_id.is_not(None),
        )
        .order_by(message_events.c.event_id, order_lines.c.position)
    )
    by_event: dict[int, tuple[AddonItem, ...]] = {}
    for event_id, item, quantity in rows:
        by_event[event_id] = (*by_event.get(event_id, ()), AddonItem(item, quantity))
    return by_event


def _order_states(connection: Connection, message_ids: Sequence[int]) -> dict[int, str]:
    """What has become of the order that an event names."""
    rows = connection.execute(
        select(message_events.c.event_id, orders.c.status)
        .select_from(message_events)
        .join(events, events.c.id == message_events.c.event_id)
        .join(orders, orders.c.order_number == events.c.detail["order_number"].as_string())
        .where(among(message_events.c.message_id, message_ids), events.c.kind.in_(TO_BE_PAID))
    )
    return {row[0]: row[1] for row in rows}


def _event(
    row: Row[Any],
    active: Mapping[int, tuple[ActiveAddon, ...]],
    renewed: Mapping[int, tuple[AddonItem, ...]],
    ordered: Mapping[int, str],
) -> Event:
    event_id, kind, occurred_on, term, detail, marked_moot, box_id = row[: _BOX.start + 1]
    addon, method = row[_ADDON], row[_METHOD]
    return Event(
        event_id,
        kind,
        occurred_on,
        term,
        detail,
        marked_moot,
        Box(*row[_BOX]) if box_id is not None else None,
        Addon(*addon) if addon[0] is not None else None,
        Method(*method) if method[0] is not None else None,
        active.get(box_id, ()),
        renewed.get(event_id, ()),
        ordered.get(event_id),
    )
