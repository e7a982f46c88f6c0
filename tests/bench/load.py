"""Puts the provider into a migrated database as fast as that database takes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import psycopg
from psycopg import sql

from lifecycle_jobs.db.schema import upgrade
from lifecycle_jobs.db.session import Store, open_store
from tests.bench.rows import COLUMNS, NUMBERED, Batch, Row

_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


def load(url: str, batches: Iterable[Batch]) -> int:
    """Create the schema and fill it in one transaction; returns the number of rows.

    Indexes are built at the end: sorting once is several times faster than finding the place of every row.
    """
    store = open_store(url)
    try:
        upgrade(store)
        store.engine.dispose()
        if store.dialect == "sqlite":
            return _load_sqlite(str(store.engine.url.database), batches)
        return _load_postgresql(store, batches)
    finally:
        store.engine.dispose()


def _load_sqlite(file: str, batches: Iterable[Batch]) -> int:
    loaded = 0
    connection = sqlite3.connect(file, isolation_level=None)
    # Nobody else reads the file yet, and one that broke half-way is thrown away.
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF", "cache_size = -1000000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''").fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    for batch in batches:
        for table, rows in batch.items():
            columns = COLUMNS[table]
            places = ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608  our names
            connection.executemany(statement, rows)
            loaded += len(rows)
    for _, definition in indexes:
        connection.execute(definition)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return loaded


def _load_postgresql(store: Store, batches: Iterable[Batch]) -> int:
    loaded = 0
    with psycopg.connect(_plain(store)) as connection:
        try:
            # Checking the references of rows that were made to fit takes longer than storing them.
            connection.execute("SET session_replication_role = replica")
        except psycopg.errors.InsufficientPrivilege:
            connection.rollback()
        # The server's default sorts what it indexes on the disk.
        connection.execute("SET maintenance_work_mem = '512MB'")
        with connection.cursor() as cursor:
            indexes = cursor.execute(_INDEXES).fetchall()
            for name, _ in indexes:
                cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
            for batch in batches:
                for table, rows in batch.items():
                    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS[table]))
                    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
                    with cursor.copy(statement) as copy:
                        copy.write("".join(map(_copy_line, rows)))
                    loaded += len(rows)
            # What a trigger would have done, had it not been put to sleep above.
            cursor.execute(
                "UPDATE addons SET behind = true FROM boxes WHERE id = box_id AND boxes.expires_on > addons.expires_on"
            )
            for _, definition in indexes:
                cursor.execute(definition)
            for table in NUMBERED:
                cursor.execute(
                    sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), (SELECT max(id) FROM {}))").format(
                        sql.Literal(table), sql.Identifier(table)
                    )
                )
        connection.commit()
    with psycopg.connect(_plain(store), autocommit=True) as connection:
        # In life autovacuum has seen the tables long ago.
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    return loaded


def _copy_line(row: Row) -> str:
    return "\t".join(["\\N" if value is None else str(value) for value in row]) + "\n"


def _plain(store: Store) -> str:
    return store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
