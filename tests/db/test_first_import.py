from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select, text
from sqlalchemy.schema import CreateTable

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.transfer.first import import_first
from tests import factories
from tests.db.folders import addon, box, customer, load, method, refusal, write

FILLED = (tables.customers, tables.payment_methods, tables.boxes, tables.addons, tables.credit_entries)

EVERYTHING = text(
    "SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL "
    "SELECT conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid) || convalidated FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
)


def provider(folder: Path) -> Path:
    """Something of each kind: credit and none, live and deleted boxes, add-ons of both, difficult texts."""
    return write(
        folder,
        customers=[
            customer(name='Tab\there, "quotes"\nand \\N', tax_id="T1"),
            customer(customer_id="c2", name="\\", credit="12.00", tax_id="T1"),
        ],
        payment_methods=[method(), method(payment_method_id="pm2", customer_id="c2", kind="credit", token="")],
        boxes=[
            box(address="Mario@PEC.example.it", payment_method_id="pm1", used_inbox_mb="17"),
            box(address="sospesa@pec.example.it", customer_id="c2", status="suspended", annual_price="8.48"),
            box(customer_id="c2", status="deleted", expires_on="2024-03-31", deleted_on="2024-06-30"),
        ],
        addons=[addon(), addon(addon_id="a2", status="terminated", expires_on="2024-03-31")],
    )


def test_the_first_import_leaves_what_any_other_would(
    postgresql_store: Store, sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = provider(tmp_path / "in")
    began = spied_on(monkeypatch)
    first, other = load(postgresql_store, folder), load(sqlite_store, folder)
    assert began == ["straight", "staged"]
    assert first == other
    for table in FILLED:
        assert rows(postgresql_store, table) == rows(sqlite_store, table)


def test_keys_indexes_and_references_are_as_they_were(postgresql_store: Store, tmp_path: Path) -> None:
    before = everything(postgresql_store)
    load(postgresql_store, provider(tmp_path / "in"))
    assert everything(postgresql_store) == before


def test_the_definitions_of_the_tables_are_as_they_were_too(postgresql_store: Store, tmp_path: Path) -> None:
    before = [str(CreateTable(table)) for table in FILLED]
    load(postgresql_store, provider(tmp_path / "in"))
    assert [str(CreateTable(table)) for table in FILLED] == before
    assert all("PRIMARY KEY" in definition for definition in before)


def test_they_are_as_they_were_after_a_refusal_and_a_dry_run(postgresql_store: Store, tmp_path: Path) -> None:
    before = everything(postgresql_store)
    twice = write(tmp_path / "in", customers=[customer(), customer()])
    assert refusal(postgresql_store, twice) == [
        "customers.csv, line 3, customer_id: the same customer stands in line 2"
    ]
    load(postgresql_store, provider(tmp_path / "in"), dry_run=True)
    assert everything(postgresql_store) == before
    assert [rows(postgresql_store, table) for table in FILLED] == [[]] * len(FILLED)


def test_whoever_reads_a_table_meanwhile_is_not_disturbed_nor_waited_for(
    postgresql_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = spied_on(monkeypatch)
    with postgresql_store.read() as reading:
        factories.count(reading, tables.boxes)
        load(postgresql_store, provider(tmp_path / "in"))
        assert began == ["staged"]
    assert len(rows(postgresql_store, tables.boxes)) == 3


def test_a_database_that_has_customers_is_imported_into_by_way_of_temporary_tables(
    postgresql_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(postgresql_store, write(tmp_path / "in", customers=[customer(tax_id="T1")]))
    began = spied_on(monkeypatch)
    load(postgresql_store, provider(tmp_path / "in"))
    assert began == ["staged"]


def spied_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which way each import has gone."""
    began: list[str] = []

    def spy(*arguments: Any) -> dict[str, int] | None:
        found = import_first(*arguments)
        began.append("staged" if found is None else "straight")
        return found

    monkeypatch.setattr("lifecycle_jobs.db.transfer.load.import_first", spy)
    return began


def rows(store: Store, table: Table) -> list[dict[str, Any]]:
    with store.read() as connection:
        query = select(table).order_by(*table.primary_key.columns)
        return [dict(row) for row in connection.execute(query).mappings()]


def everything(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        return [(of, definition) for of, definition in connection.execute(EVERYTHING)]
