"""Writes what was staged, settled and found good: changes first, then what is new, then the credit ledger (SPEC §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, Connection, Table, func, insert, literal, select, update

from lifecycle_jobs.db.tables import addons, boxes, credit_entries, customers, messages, payment_methods
from lifecycle_jobs.db.transfer.bulk import restart_numbering
from lifecycle_jobs.db.transfer.settle import SAME, differs
from lifecycle_jobs.db.transfer.staging import addons_in, boxes_in, customers_in, payment_methods_in

_NOT_SENT_YET = ("queued", "parked")


@dataclass(frozen=True, slots=True)
class Target:
    """A table that is imported into, and how a row of its file is known to be new."""

    table: Table
    staged: Table
    key: str
    new: ColumnElement[bool]


ADDONS = Target(addons, addons_in, "addon_id", addons_in.c.old_status.is_(None))

TARGETS = (
    Target(customers, customers_in, "customer_id", customers_in.c.old_credit_cents.is_(None)),
    Target(payment_methods, payment_methods_in, "payment_method_id", payment_methods_in.c.old_customer_id.is_(None)),
    Target(boxes, boxes_in, "id", boxes_in.c.old_status.is_(None)),
    ADDONS,
)
"""In the order in which they refer to each other."""


def write(connection: Connection, target: Target) -> tuple[int, int]:
    """Bring one table to what its file says; returns how many rows were created and how many changed."""
    staged = target.staged
    values = _values(target)
    names = [name for name in values if name != target.key]
    changed = connection.execution_options(preserve_rowcount=True).execute(
        update(target.table)
        .where(SAME[target.table.name], staged.c.line.is_not(None), differs(target.table, staged, names))
        .values({name: values[name] for name in names})
    )
    created = connection.execution_options(preserve_rowcount=True).execute(
        insert(target.table).from_select(
            list(values),
            select(*values.values()).where(staged.c.line.is_not(None), target.new).order_by(staged.c.line),
        )
    )
    return created.rowcount, changed.rowcount


def write_ledger(connection: Connection, today: date) -> None:
    """Explain every balance that was set: the ledger always adds up to it."""
    staged = customers_in
    opening = staged.c.old_credit_cents.is_(None)
    _explain(connection, "opening", staged.c.credit_cents, opening, today)
    _explain(connection, "correction", staged.c.credit_cents - staged.c.old_credit_cents, ~opening, today)


def readdress(connection: Connection) -> int:
    """Have what waits for holders go to the addresses that the file gives them, in their language; how many do.

    The former address may be dead, or somebody else's by now. What its server had put off is due at once: the next
    one has not refused it. A message that has failed stays so, for a person to send again (`messages resend`).
    """
    staged = customers_in
    readdressed = 0
    for status in _NOT_SENT_YET:  # one after the other, as each of them has an index
        waiting = (
            messages.c.status == status,
            messages.c.customer_id == staged.c.customer_id,
            staged.c.line.is_not(None),
        )
        readdressed += (
            connection.execution_options(preserve_rowcount=True)
            .execute(
                update(messages)
                .where(*waiting, messages.c.recipient != staged.c.email)
                .values(
                    recipient=staged.c.email,
                    recipient_key=func.lower(staged.c.email),
                    attempts=0,
                    next_attempt_at=None,
                )
            )
            .rowcount
        )
        connection.execute(
            update(messages).where(*waiting, messages.c.locale != staged.c.locale).values(locale=staged.c.locale)
        )
    return readdressed


def continue_numbering(connection: Connection) -> None:
    """Let the next box that is sold get a number after those given here."""
    restart_numbering(connection, boxes)


def _values(target: Target) -> dict[str, ColumnElement[object]]:
    staged: dict[str, ColumnElement[object]] = {column.name: column for column in target.staged.columns}
    if target.table is boxes:
        staged["id"] = boxes_in.c.box_id
    return {column.name: staged[column.name] for column in target.table.columns if column.name in staged}


def _explain(
    connection: Connection, reason: str, amount: ColumnElement[int], which: ColumnElement[bool], today: date
) -> None:
    names: Sequence[str] = ("customer_id", "occurred_on", "amount_cents", "balance_after_cents", "reason")
    day = literal(today, credit_entries.c.occurred_on.type)
    entries = (
        select(customers_in.c.customer_id, day, amount, customers_in.c.credit_cents, literal(reason))
        .where(customers_in.c.line.is_not(None), which, amount != 0)
        .order_by(customers_in.c.line)
    )
    connection.execute(insert(credit_entries).from_select(names, entries))
