from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, TypeDecorator, insert, select, text
from sqlalchemy.types import TypeEngine

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.transfer.copy import COPIED, copy_database
from lifecycle_jobs.errors import DatabaseNotReady, Refused
from tests import factories
from tests.db.folders import unload

Pair = tuple[Store, Store]

MOMENT = datetime(2027, 3, 24, 2, 30, 5, 123456, tzinfo=UTC)
DAY = date(2027, 3, 24)


@pytest.fixture(params=["sqlite to postgresql", "postgresql to sqlite"])
def pair(request: pytest.FixtureRequest, sqlite_store: Store, postgresql_store: Store) -> Pair:
    if request.param == "sqlite to postgresql":
        return sqlite_store, postgresql_store
    return postgresql_store, sqlite_store


def test_every_table_arrives_as_it_was(pair: Pair, tmp_path: Path) -> None:
    source, target = pair
    fill(source)
    heard: list[tuple[str, int]] = []

    counts = copy_database(source, target, progress=lambda table, rows: heard.append((table, rows)))

    assert contents(target) == contents(source)
    assert counts == {table.name: len(rows) for table, rows in zip(COPIED, contents(source).values(), strict=True)}
    assert all(counts.values()), "a table that is empty here proves nothing"
    assert ("boxes", 2) in heard
    unload(source, tmp_path / "a")
    unload(target, tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_what_is_written_afterwards_gets_the_next_numbers(pair: Pair) -> None:
    source, target = pair
    fill(source)
    copy_database(source, target)
    with target.write() as connection:
        assert factories.box(connection, "next@x.it") == 18
        assert factories.event(connection, "box.bought", occurred_on=DAY) == 2
        assert factories.order(connection, "R-2", box_id=1, term_expires_on=date(2030, 1, 1)) == 2


def test_the_lease_stays_behind(pair: Pair) -> None:
    source, target = pair
    fill(source)
    copy_database(source, target)
    with target.read() as connection:
        assert factories.count(connection, tables.leases) == 0


def test_a_target_that_is_not_empty_is_refused(pair: Pair) -> None:
    source, target = pair
    fill(source)
    with target.write() as connection:
        factories.customer(connection, "somebody", credit=1)
    with pytest.raises(Refused, match=r"not empty: it has rows in customers, credit_entries\. Nothing has been copied"):
        copy_database(source, target)
    with target.read() as connection:
        assert factories.count(connection, tables.boxes) == 0


@pytest.mark.parametrize("which", ["source", "target"])
def test_databases_of_different_schemas_are_refused(pair: Pair, which: str) -> None:
    source, target = pair
    with (source if which == "source" else target).write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(DatabaseNotReady, match=r"0000.*lifecycle-jobs db upgrade"):
        copy_database(source, target)


def test_a_copy_that_fails_leaves_the_target_empty(pair: Pair) -> None:
    source, target = pair
    fill(source)
    with pytest.raises(KeyboardInterrupt):
        copy_database(source, target, progress=_interrupted_at("messages"))
    with target.read() as connection:
        assert not any(factories.count(connection, table) for table in COPIED)
    copy_database(source, target)


def test_the_original_is_copied_as_it_was_at_one_moment(pair: Pair) -> None:
    source, target = pair
    fill(source)

    def meanwhile(table: str, _rows: int) -> None:
        if table == "customers":
            with source.write() as connection:
                factories.box(connection, "late@x.it")

    assert copy_database(source, target, progress=meanwhile)["boxes"] == 2


def _interrupted_at(table: str) -> Callable[[str, int], None]:
    def progress(name: str, _rows: int) -> None:
        if name == table:
            raise KeyboardInterrupt

    return progress


def contents(store: Store) -> dict[str, list[dict[str, Any]]]:
    with store.read() as connection:
        return {
            table.name: [
                dict(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            ]
            for table in COPIED
        }


def fill(store: Store) -> None:
    """At least one row in every table, with what two databases keep differently: dates, moments, truth, JSON, text."""
    with store.write() as connection:
        factories.customer(connection, name='È "株"\n', credit=848)
        factories.method(connection)
        box_id = factories.box(connection, auto_renew=True, payment_method_id="pm1", annual_price=1)
        connection.execute(
            insert(tables.boxes).values(
                id=17,
                address="old@x.it",
                address_key="old@x.it",
                customer_id="c1",
                plan="pro",
                status="deleted",
                expires_on=DAY,
                renewal_years=1,
                auto_renew=False,
                deleted_on=DAY,
            )
        )
        factories.addon(connection, "a1", box_id)
        order = factories.order(connection, "R-1", box_id=box_id)
        connection.execute(
            insert(tables.order_lines).values(
                order_id=order, position=1, item="standard", quantity=1, unit_price_cents=990, years=1, net_cents=990
            )
        )
        factories.charge(connection, "k1", order_id=order, box_id=box_id, attempted_at=MOMENT, called=False)
        factories.registered_payment(connection, "CRO-1", order_id=order)
        _row(connection, tables.manual_orders, order_id=order, pay_by="card")
        _row(connection, tables.account_requests, result={"é": "1"})
        _row(connection, tables.top_up_charges, order_id=order, method_kind="card", status="unknown")
        detail = {"a": [1, 2.5, None, True], "città": "Forlì"}
        event = factories.event(connection, "box.renewed", occurred_on=DAY, box_id=box_id, detail=detail)
        factories.message(connection, "m1", event, created_on=DAY, status="sent")
        _row(connection, tables.runs, scope="everything", state="running")
        _row(connection, tables.run_jobs, state="finished", counts={"x": 1}, seconds=0.1)
        _row(connection, tables.parked_rows, box_id=17, state="open")
        _row(connection, tables.deletion_approvals, run_on=DAY, number=7)
        _row(connection, tables.suspension_approvals, number=7)
        _row(connection, tables.unusual_figures, run_on=DAY, usual=425.5)
        _row(connection, tables.leases)
        _row(connection, tables.emergency_stops, in_force=True)
        _row(connection, tables.gap_confirmations)
        _row(connection, tables.webhook_deliveries, event_id=event, status="pending")
        _row(connection, tables.webhook_marks)
        _row(connection, tables.gateway_notices, concerns="dispute", state="waiting")
        _row(connection, tables.staff_reports, run_on=DAY, status="queued")


def _row(connection: Connection, table: Table, **values: object) -> None:
    """A row with these values and anything that its columns take where a value is needed."""
    anything: dict[type, object] = {
        date: DAY,
        datetime: MOMENT,
        str: "à",
        int: 1,
        bool: True,
        object: {"é": [1]},
    }  # an object is JSON
    needed = [
        column
        for column in table.columns
        if not (column.nullable or column.server_default or column is table.autoincrement_column)
    ]
    plain = {column.name: anything[_undecorated(column.type).python_type] for column in needed}
    connection.execute(insert(table).values(plain | values))


def _undecorated(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind
