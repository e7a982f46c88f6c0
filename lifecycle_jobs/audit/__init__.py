"""Proves the books: what must hold between the rows of any database, each said once, as queries for its breaches.

- `paid_once`: what was to be paid was paid by exactly one payment, of that amount; what cost nothing or is invoiced
  later was paid by none. A payment is a gateway charge, a credit charge with its debit (for an add-on the debit
  alone), or one registered by hand; what was refunded or set aside for refund is none.
- `money_placed`: all other money has its place too: no payment that counts hangs on an order that is not paid, and no
  debit is without the order it paid, unless the order was cancelled and the credit given back.
- `renewals_ordered`: every renewal, and every purchase of a box, has its order, paid or on account, of the same box and
  term, and every such order its one renewal or purchase.
- `credit_ledger`: every balance is the sum of its ledger, entry by entry, and never was below zero; every top-up that
  was paid is in it once, and in full.
- `expiry_explained`: every E is the one the box came with (`boxes.imported_expires_on`, set by import, or the eve of
  the first day of a box that was bought), moved by what is recorded to move it (`EXPIRY_MOVED`), each time from where
  the one before had put it; add-ons paid with the renewal end with their box.
- `none_overdue`: after the latest completed run no box is active past E, but for the reasons for which `suspend`
  leaves it; one whose reason a person has done away with since waits for the next run.
- `told_once`: what holders are told of was told, in one message per customer, kind and pass of a run or operation, and
  to nobody else.

Reads only. Each query is one statement, so it sees the books as they are at one moment, even during a run. The
database does the work, by sets; what comes back is a number and the first rows. Charges without an answer and refunds
that are due are listed as well: they wait for somebody, but nothing about them is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select

from lifecycle_jobs import runs
from lifecycle_jobs.audit import credit, payments, telling, terms
from lifecycle_jobs.audit.invariant import Invariant, Scope
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.settings import Settings

LISTED = 50
"""How many breaches of each invariant are listed; the rest is counted."""

INVARIANTS = (
    Invariant(
        "paid_once",
        "Whoever paid an order paid it once, and exactly its amount.",
        (payments.not_paid_once,),
    ),
    Invariant(
        "money_placed",
        "No money that was taken is out of sight: it paid an order, or it is to be refunded.",
        (
            payments.charge_without_paid_order,
            payments.top_up_charge_without_paid_order,
            payments.registered_without_paid_order,
            payments.debit_without_paid_order,
            payments.credit_returned_for_nothing,
        ),
    ),
    Invariant(
        "renewals_ordered",
        "Nobody is renewed without an order that is paid or on account, and nobody pays for a renewal in vain.",
        (terms.renewal_without_order, terms.order_without_renewal),
    ),
    Invariant(
        "credit_ledger",
        "Every balance of prepaid credit is explained by its ledger, cent by cent.",
        (credit.balance_without_ledger, credit.ledger_out_of_step, credit.top_up_out_of_step),
    ),
    Invariant(
        "expiry_explained",
        "Every box is paid until the day it came with, moved on by its renewals and by nothing else.",
        (terms.renewal_from_elsewhere, terms.undone_otherwise, terms.expiry_unexplained, terms.addon_left_behind),
    ),
    Invariant(
        "none_overdue",
        "Nobody uses a box that is not paid for, unless there is a reason to leave it to them. (A box that was altered "
        "since the latest run waits for the next.)",
        (terms.overdue,),
    ),
    Invariant(
        "told_once",
        "Every holder was told of everything, in one message of its kind, and of nobody else's boxes.",
        (telling.told_in_several_messages, telling.told_to_somebody_else, telling.not_told),
    ),
)
"""What must hold, in the order in which it is checked."""

WAITING = (
    Invariant(
        "unresolved_charges",
        "Nobody knows yet whether these charges were made.",
        (payments.unresolved_charges, payments.unresolved_top_ups),
    ),
    Invariant(
        "refunds_due",
        "These payments could not be applied and are to be refunded.",
        (payments.charges_to_refund, payments.registered_to_refund),
    ),
)
"""What waits for somebody, though nothing about it is wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: how many rows in all, and the first of them."""

    name: str
    sentence: str
    total: int
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found. `waiting` is for information; `on` is the date of the latest completed run."""

    on: date | None
    checks: list[Finding]
    waiting: list[Finding]

    @property
    def sound(self) -> bool:
        """Whether every invariant holds."""
        return not any(check.total for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"sound": self.sound} | asdict(self)


def audit(store: Store, settings: Settings, progress: Callable[[str, int], None]) -> Report:
    """Check every invariant. `progress` is told the name of each before and after."""
    with store.read() as connection:
        on = runs.latest_completed(connection)
    scope = Scope(on, settings.catalog())

    def look_into(what: Invariant) -> Finding:
        progress(what.name, 0)
        with store.read() as connection:
            found = _found(connection, what, scope)
        progress(what.name, 1)
        return found

    return Report(on, [look_into(each) for each in INVARIANTS], [look_into(each) for each in WAITING])


def _found(connection: Connection, what: Invariant, scope: Scope) -> Finding:
    total = 0
    listed: list[dict[str, Any]] = []
    for query in what.breaches:
        rows = query(scope)
        first = [dict(row) for row in connection.execute(rows.limit(LISTED + 1)).mappings()]
        listed += first
        number = len(first)
        if number > LISTED:
            number = connection.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or number
        total += number
    return Finding(what.name, what.sentence, total, listed[:LISTED])
