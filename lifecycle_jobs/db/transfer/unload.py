"""Export: what the database holds as files, all of one moment and in an order that depends on nothing else (SPEC §6).

Two databases that hold the same give the same bytes: no order depends on how a database collates text, nor on the
numbers that it gives to its rows, except among entries that only the order of their writing tells apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Select, Table, func, select

from lifecycle_jobs.db.dialect import by_code_point
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import (
    addons,
    boxes,
    charges,
    credit_entries,
    customers,
    events,
    message_events,
    messages,
    orders,
    payment_methods,
    top_up_charges,
)
from lifecycle_jobs.db.transfer import columns
from lifecycle_jobs.db.transfer.cells import euros_text
from lifecycle_jobs.db.transfer.ordering import as_listed
from lifecycle_jobs.db.transfer.snapshot import snapshot, stream
from lifecycle_jobs.db.transfer.writing import Folder

Progress = Callable[[str, int], None]
"""Hears what is being written and how many rows it has."""

EVENTS_OF_A_DAY = (
    "charge.declined",
    "box.renewed",
    "addon.renewed",
    "addon.credit_short",
    "addon.disabled",
    "box.suspended",
    "box.deleted",
    "box.expiry_alert",
    "box.renewal_notice",
    "box.deletion_warning",
)
"""The events of one business date in the order in which the day writes them (SPEC §3)."""

_ToCell = Callable[[Any], str]
_Query = Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """How many rows each file has, and how many charges are unresolved: the files cannot carry these on (SPEC §6)."""

    rows: Mapping[str, int]
    unresolved_charges: int


def export_directory(
    store: Store,
    directory: Path,
    *,
    message_id_of: Callable[[str], str],
    progress: Progress | None = None,
) -> ExportReport:
    """Write all files into a folder, which is made if need be; those that are there are replaced together.

    `message_id_of` gives the Message-ID of a message key.
    """
    rows: dict[str, int] = {}
    with snapshot(store) as connection, Folder(directory) as folder:
        for name, header, cells in _files(connection, message_id_of):
            rows[name] = folder.write(name, header, cells)
            if progress is not None:
                progress(f"writing {name}", rows[name])
        count = sum(
            connection.execute(
                select(func.count()).select_from(table).where(table.c.status.in_(("pending", "unknown")))
            ).scalar_one()
            for table in (charges, top_up_charges)
        )
    return ExportReport(rows, count)


def _files(
    connection: Connection, message_id_of: Callable[[str], str]
) -> Iterator[tuple[str, Sequence[str], Iterator[list[str]]]]:
    for file, query in (
        (columns.CUSTOMERS, _customers()),
        (columns.PAYMENT_METHODS, _payment_methods()),
        (columns.BOXES, _boxes()),
        (columns.ADDONS, _addons()),
        (columns.ORDERS, _orders()),
        (columns.CHARGES, _charges()),
        (columns.CREDIT_ENTRIES, _credit_entries()),
        (columns.EVENTS, _events()),
    ):
        yield file.name, file.header, _lines(connection, query)
    yield columns.MESSAGES.name, columns.MESSAGES.header, _messages(connection, message_id_of)


def _customers() -> _Query:
    return select(*_of_file(columns.CUSTOMERS, customers)).order_by(customers.c.customer_id)


def _payment_methods() -> _Query:
    own = _of_file(columns.PAYMENT_METHODS, payment_methods)
    return select(*own).order_by(payment_methods.c.payment_method_id)


def _boxes() -> _Query:
    box = boxes.c
    return select(*_of_file(columns.BOXES, boxes)).order_by(box.address_key, box.deleted_on.asc().nulls_last())


def _addons() -> _Query:
    own = _of_file(columns.ADDONS, addons, address=boxes.c.address)
    return select(*own).join(boxes, boxes.c.id == addons.c.box_id).order_by(addons.c.addon_id)


def _orders() -> _Query:
    order = orders.c
    return (
        select(
            order.order_number,
            order.kind,
            order.placed_on,
            order.paid_on,
            boxes.c.address,
            order.customer_id,
            order.term_expires_on,
            order.years,
            order.net_cents,
            order.vat_cents,
            order.gross_cents,
            order.status,
        )
        .select_from(orders)
        .outerjoin(addons, addons.c.addon_id == order.addon_id)
        .outerjoin(boxes, boxes.c.id == func.coalesce(order.box_id, addons.c.box_id))
        .order_by(order.order_number)
    )


def _charges() -> _Query:
    charge = charges.c
    return (
        select(
            charge.idempotency_key,
            orders.c.order_number,
            boxes.c.address,
            charge.slot,
            charge.status,
            charge.amount_cents,
            charge.decline_code,
            charge.gateway_reference,
        )
        .select_from(charges)
        .join(orders, orders.c.id == charge.order_id)
        .join(boxes, boxes.c.id == charge.box_id)
        .order_by(charge.idempotency_key)
    )


def _credit_entries() -> _Query:
    entry = credit_entries.c
    return select(
        entry.customer_id,
        entry.occurred_on,
        entry.amount_cents,
        entry.balance_after_cents,
        entry.reason,
        entry.reference,
    ).order_by(entry.customer_id, entry.id)


def _events() -> _Query:
    event = events.c
    return (
        select(
            event.occurred_on,
            event.kind,
            boxes.c.address,
            event.addon_id,
            event.customer_id,
            event.term_expires_on,
            event.detail,
        )
        .select_from(events)
        .outerjoin(addons, addons.c.addon_id == event.addon_id)
        .outerjoin(boxes, boxes.c.id == func.coalesce(event.box_id, addons.c.box_id))
        .order_by(
            event.occurred_on,
            *as_listed(event.kind, EVENTS_OF_A_DAY),
            boxes.c.address_key.asc().nulls_first(),
            event.addon_id.asc().nulls_first(),
            event.term_expires_on.asc().nulls_first(),
            event.id,
        )
    )


def _messages(connection: Connection, message_id_of: Callable[[str], str]) -> Iterator[list[str]]:
    message = messages.c
    own = (
        message.message_key,
        message.customer_id,
        message.kind,
        message.locale,
        message.recipient,
        message.created_on,
        message.status,
    )
    query = (
        select(*own, boxes.c.address)
        .select_from(messages)
        .outerjoin(message_events, message_events.c.message_id == message.id)
        .outerjoin(events, events.c.id == message_events.c.event_id)
        .outerjoin(addons, addons.c.addon_id == events.c.addon_id)
        .outerjoin(boxes, boxes.c.id == func.coalesce(events.c.box_id, addons.c.box_id))
        .order_by(
            message.created_on,
            by_code_point(message.kind),
            message.customer_id,
            message.message_key,
            events.c.term_expires_on.asc().nulls_first(),
            boxes.c.address_key.asc().nulls_first(),
        )
    )
    for (key, *values), lines in groupby(_lines(connection, query), key=_without_address):
        addresses = dict.fromkeys(line[-1] for line in lines if line[-1])
        yield [message_id_of(key), *values, " ".join(addresses)]


def _without_address(line: list[str]) -> list[str]:
    return line[:-1]


def _of_file(file: columns.InputFile, table: Table, **elsewhere: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    return [elsewhere[field.name] if field.name in elsewhere else table.c[field.column] for field in file.fields]


def _lines(connection: Connection, query: _Query) -> Iterator[list[str]]:
    to_cells = [_to_cell(column) for column in query.selected_columns]
    for row in stream(connection, query):
        yield ["" if value is None else to_cell(value) for to_cell, value in zip(to_cells, row, strict=True)]


def _to_cell(column: ColumnElement[Any]) -> _ToCell:
    if column.key is not None and column.key.endswith("_cents"):
        return euros_text
    if isinstance(column.type, JSON):
        return _json
    kind = column.type.python_type
    if kind is bool:
        return _truth
    if kind is date:
        return date.isoformat
    return str


def _truth(value: object) -> str:
    return "true" if value else "false"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
