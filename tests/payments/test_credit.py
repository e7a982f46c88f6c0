"""Prepaid credit: never below zero, and always the sum of its ledger (SPEC §2)."""

from __future__ import annotations

import threading
from datetime import date

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import credit_entries, customers
from lifecycle_jobs.payments.credit import debit, lock_balance
from tests import factories

ON = date(2027, 3, 24)


def ledger(store: Store) -> list[tuple[int, int, str, str | None]]:
    """Amount, balance after it, reason and reference of every entry, oldest first."""
    with store.read() as connection:
        rows = connection.execute(select(credit_entries).order_by(credit_entries.c.id))
        return [(row.amount_cents, row.balance_after_cents, row.reason, row.reference) for row in rows]


def balances(store: Store) -> dict[str, int]:
    with store.read() as connection:
        return {row.customer_id: row.credit_cents for row in connection.execute(select(customers))}


def test_a_debit_lowers_the_balance_and_writes_the_ledger(store: Store) -> None:
    with store.write() as connection:
        factories.customer(connection, "c1", credit=1000)
        factories.customer(connection, "c2", credit=1000)

    with store.write() as connection:
        assert lock_balance(connection, "c1") == 1000
        assert debit(connection, "c1", 305, on=ON, reason="addon", order_number="A-1") == 695

    assert balances(store) == {"c1": 695, "c2": 1000}
    assert ledger(store)[2:] == [(-305, 695, "addon", "A-1")]


def test_the_balance_may_be_used_up_but_not_overdrawn(store: Store) -> None:
    with store.write() as connection:
        factories.customer(connection, credit=305)

    with store.write() as connection:
        assert debit(connection, "c1", 306, on=ON, reason="addon", order_number="A-1") is None
        assert debit(connection, "c1", 305, on=ON, reason="addon", order_number="A-2") == 0
        assert debit(connection, "c1", 1, on=ON, reason="addon", order_number="A-3") is None

    assert balances(store) == {"c1": 0}
    assert [amount for amount, *_ in ledger(store)] == [305, -305]


def test_what_costs_nothing_leaves_no_entry(sqlite_store: Store) -> None:
    store = sqlite_store
    with store.write() as connection:
        factories.customer(connection)

        assert debit(connection, "c1", 0, on=ON, reason="addon", order_number="A-1") == 0

    assert ledger(store) == []


@pytest.mark.parametrize("reason", ["renewal", "addon"])
def test_an_order_is_debited_once(store: Store, reason: str) -> None:
    with store.write() as connection:
        factories.customer(connection, credit=1000)
        debit(connection, "c1", 305, on=ON, reason=reason, order_number="A-1")

    with pytest.raises(IntegrityError), store.write() as connection:
        debit(connection, "c1", 305, on=ON, reason=reason, order_number="A-1")

    assert balances(store) == {"c1": 695}


def test_two_writers_do_not_spend_the_same_credit(postgresql_store: Store) -> None:
    store = postgresql_store
    with store.write() as connection:
        factories.customer(connection, credit=305)
    second: list[int | None] = []

    def spend() -> None:
        with store.write() as connection:
            second.append(debit(connection, "c1", 305, on=ON, reason="addon", order_number="A-2"))

    other = threading.Thread(target=spend)
    with store.write() as connection:
        assert lock_balance(connection, "c1") == 305
        other.start()
        assert debit(connection, "c1", 305, on=ON, reason="addon", order_number="A-1") == 0
    other.join(timeout=30)

    assert second == [None]
    assert [amount for amount, *_ in ledger(store)] == [305, -305]
