"""The limit: what the same databases do with the same rows when somebody writes the SQL by hand.

No rule is asked but the date, no row is locked twice, nothing is checked, counted or reported. What is left is what
nobody can go below: the changed rows, one event for each, one message for each customer, its links, all indexes, in
chunks of the same size, each committed durably.
"""

from __future__ import annotations

import re
import sqlite3
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.bench.crowd import Job

_DUE: Final[dict[Job, str]] = {
    "suspend": "status = 'active' AND expires_on < :on",
    "delete": "status = 'suspended' AND suspended_reason = 'unpaid' AND expires_on <= :long_ago",
    "send_alerts": "status = 'active' AND expires_on > :after AND expires_on <= :until",
}
_CHANGE: Final[dict[Job, str]] = {
    "suspend": "status = 'suspended', suspended_on = :on, suspended_reason = 'unpaid'",
    "delete": "status = 'deleted', deleted_on = :on",
    "send_alerts": "",
}
_EVENT: Final[dict[Job, tuple[str, str]]] = {
    "suspend": ("'box.suspended'", "NULL"),
    "delete": ("'box.deleted'", "NULL"),
    "send_alerts": ("'box.expiry_alert'", "30"),
}
_DETAIL: Final = '{"days_left": 30, "milestone": 30}'

_EVENTS: Final = (
    "INSERT INTO events (occurred_on, kind, box_id, customer_id, term_expires_on, milestone, detail, run_on, "
    "run_pass, job) SELECT :on, {kind}, id, customer_id, expires_on, {milestone}, :detail, :on, 1, :job FROM {source} "
    "ORDER BY expires_on, address_key"
)
_MESSAGES: Final = (
    "INSERT INTO messages (message_key, customer_id, kind, locale, recipient, created_on, status, recipient_key, "
    "urgency) SELECT :prefix || customer_id || '/' || {kind}, customer_id, {kind}, locale, email, :on, 'queued', "
    "lower(email), 1 FROM customers WHERE customer_id IN (SELECT customer_id FROM {chosen}) ORDER BY customer_id"
)
_CUSTOMERS: Final = (
    "SELECT DISTINCT customer_id FROM events WHERE run_on = :on AND run_pass = 1 AND kind = {kind} "
    "AND customer_id > :last ORDER BY customer_id LIMIT :chunk"
)


def by_hand(kind: str, url: str, job: Job, on: date, chunk: int) -> None:
    """Do the job and write its messages. `url` names a file for SQLite and is libpq's for PostgreSQL."""
    values = {
        "on": on.isoformat(),
        "long_ago": (on - timedelta(91)).isoformat(),
        "after": (on + timedelta(29)).isoformat(),
        "until": (on + timedelta(30)).isoformat(),
        "detail": _DETAIL,
        "job": job,
        "prefix": f"{on}/1/",
        "chunk": chunk,
    }
    if kind == "sqlite":
        _sqlite(Path(url), job, values)
    else:
        _postgresql(url, job, values)


def _sqlite(file: Path, job: Job, values: dict[str, Any]) -> None:
    kind, milestone = _EVENT[job]
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "wal_autocheckpoint = 65536", "cache_size = -32768"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TEMP TABLE chunk (id INTEGER PRIMARY KEY, expires_on, address_key, customer_id)")
    connection.execute("CREATE TEMP TABLE chosen (customer_id PRIMARY KEY) WITHOUT ROWID")
    columns = "id, expires_on, address_key, customer_id"
    last = ("", "")
    while True:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM chunk")
        found = connection.execute(
            f"INSERT INTO chunk SELECT {columns} FROM boxes WHERE {_DUE[job]} "
            "AND (expires_on, address_key) > (:last_day, :last_address) ORDER BY expires_on, address_key LIMIT :chunk",
            values | {"last_day": last[0], "last_address": last[1]},
        ).rowcount
        if not found:
            connection.execute("COMMIT")
            break
        last = connection.execute(
            "SELECT expires_on, address_key FROM chunk ORDER BY expires_on DESC, address_key DESC LIMIT 1"
        ).fetchone()
        if _CHANGE[job]:
            connection.execute(
                f"UPDATE boxes SET {_CHANGE[job]} WHERE id IN (SELECT id FROM chunk)",
                values,
            )
        if job == "delete":
            connection.execute(
                "UPDATE addons SET status = 'terminated' WHERE box_id IN (SELECT id FROM chunk) AND status = 'active'"
            )
        connection.execute(_EVENTS.format(kind=kind, milestone=milestone, source="chunk"), values)
        connection.execute("COMMIT")
    after = ""
    while True:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM chosen")
        found = connection.execute(
            "INSERT INTO chosen " + _CUSTOMERS.format(kind=kind), values | {"last": after}
        ).rowcount
        if not found:
            connection.execute("COMMIT")
            break
        (after,) = connection.execute("SELECT max(customer_id) FROM chosen").fetchone()
        connection.execute(_MESSAGES.format(kind=kind, chosen="chosen"), values)
        connection.execute(
            "INSERT INTO message_events (event_id, message_id) SELECT events.id, messages.id FROM events "
            "JOIN messages ON messages.message_key = :prefix || events.customer_id || '/' || " + kind + " "
            f"WHERE events.run_on = :on AND events.run_pass = 1 AND events.kind = {kind} "
            "AND events.customer_id IN (SELECT customer_id FROM chosen)",
            values,
        )
        connection.execute("COMMIT")
    connection.close()


def _postgresql(url: str, job: Job, values: dict[str, Any]) -> None:
    kind, milestone = _EVENT[job]
    due = (
        f"due AS (SELECT id, customer_id, expires_on, address_key FROM boxes WHERE {_DUE[job]} "
        "AND (expires_on, address_key) > (:last_day, :last_address) "
        "ORDER BY expires_on, address_key LIMIT :chunk FOR UPDATE SKIP LOCKED), "
        "ids AS (SELECT array_agg(id) AS ids FROM due)"
    )
    change = (
        f", changed AS (UPDATE boxes SET {_CHANGE[job]} WHERE id = ANY((SELECT ids FROM ids)::bigint[]))"
        if _CHANGE[job]
        else ""
    )
    addons = (
        ", ended AS (UPDATE addons SET status = 'terminated' "
        "WHERE box_id = ANY((SELECT ids FROM ids)::bigint[]) AND status = 'active')"
        if job == "delete"
        else ""
    )
    events = _EVENTS.format(kind=kind, milestone=milestone, source="due")
    step = (
        f"WITH {due}{change}{addons}, written AS ({events}) "
        "SELECT expires_on, address_key FROM due ORDER BY expires_on DESC, address_key DESC LIMIT 1"
    )
    choose = f"SELECT array_agg(customer_id), max(customer_id) FROM ({_CUSTOMERS.format(kind=kind)}) AS chosen"
    queue = _MESSAGES.format(kind=kind, chosen="unnest(:customers::text[]) AS chosen (customer_id)") + " RETURNING id"
    link = (
        "INSERT INTO message_events (event_id, message_id) SELECT events.id, messages.id FROM events "
        f"JOIN messages ON messages.message_key = :prefix || events.customer_id || '/' || {kind} "
        f"WHERE events.run_on = :on AND events.run_pass = 1 AND events.kind = {kind} "
        "AND events.customer_id = ANY(:customers::text[])"
    )
    with psycopg.connect(url, options="-c random_page_cost=1.1") as connection:
        last: tuple[Any, Any] | None = ("0001-01-01", "")
        while last is not None:
            last = connection.execute(_named(step), values | {"last_day": last[0], "last_address": last[1]}).fetchone()
            connection.commit()
        after = ""
        while True:
            customers, after = connection.execute(_named(choose), values | {"last": after}).fetchone() or (None, "")
            if customers is None:
                return
            for statement in (queue, link):
                connection.execute(_named(statement), values | {"customers": customers})
            connection.commit()


def _named(statement: str) -> bytes:
    """With parameters as psycopg writes them, and the types that the server cannot guess."""
    types = {"on": "date", "long_ago": "date", "after": "date", "until": "date", "last_day": "date", "detail": "jsonb"}
    types["chunk"] = "bigint"
    return re.sub(r"(?<!:):(\w+)", lambda name: f"%({name[1]})s::{types.get(name[1], 'text')}", statement).encode()
