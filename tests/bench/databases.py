"""The two databases to measure, each as careful with its data as it is in life."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg

from lifecycle_jobs.db.session import database_url
from tests import servers

KINDS = ("sqlite", "postgresql")


def fresh(kind: str, folder: Path) -> AbstractContextManager[tuple[str, str]]:
    """URL of an empty database, gone at the end of the block, and its name with its version."""
    return _sqlite(folder) if kind == "sqlite" else _postgresql()


@contextmanager
def _sqlite(folder: Path) -> Iterator[tuple[str, str]]:
    yield f"sqlite:///{folder / 'lifecycle.db'}", f"SQLite {sqlite3.sqlite_version}"


@contextmanager
def _postgresql() -> Iterator[tuple[str, str]]:
    with servers.fresh_postgresql(migrated=False) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            if not os.environ.get("TESTS_POSTGRESQL"):
                # The tests' server is set to forget everything in a power cut, which would flatter the figures.
                for setting in (b"fsync", b"full_page_writes", b"autovacuum"):
                    connection.execute(b"ALTER SYSTEM SET " + setting + b" = on")
                connection.execute("SELECT pg_reload_conf()")
            version = connection.info.parameter_status("server_version") or "?"
        for_program = database_url(url).render_as_string(hide_password=False)
        yield for_program, f"PostgreSQL {version.split()[0]}"
