"""Bringing a database to the schema of this program, and refusing one that is not.

The embedded SQLite file creates itself on first use; a PostgreSQL database is changed only by `db upgrade`, because
there a person decides when.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Text, column, inspect, select, table, text

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import DatabaseNotReady

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0010"
"""The schema version that this program was written for: the last of the migrations. Said here and not asked of them,
because every command wants to know, and because a newer program may be being installed over this one."""

_versions = table("alembic_version", column("version_num", Text()))
_UPGRADE_LOCK = 0x6C696665  # any number will do, as long as two upgrades use the same


def upgrade(store: Store) -> str:
    """Create or migrate the schema, one upgrade at a time; returns the version reached."""
    from alembic import command

    with store.write() as connection:
        if store.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return version(connection) or ""


def require_ready(store: Store) -> None:
    """Make sure the schema is there and is ours; an empty SQLite file gets it now.

    Raises DatabaseNotReady with what to do.
    """
    with store.read() as connection:
        found = version(connection)
        empty = not inspect(connection).get_table_names()
    if empty and store.dialect == "sqlite":
        upgrade(store)
        return
    _require_head(found)


def require_current(store: Store) -> None:
    """The same for whoever only reads: nothing is made. Raises DatabaseNotReady with what to do."""
    with store.read() as connection:
        found = version(connection)
    _require_head(found)


def _require_head(found: str | None) -> None:
    if found == HEAD:
        return
    if found is None:
        message = "The database has no tables yet. Run: lifecycle-jobs db upgrade"
    elif _known(found):
        message = (
            f"The database schema is at version {found}, this program needs {HEAD}. Run: lifecycle-jobs db upgrade"
        )
    else:
        message = (
            f"The database schema is at version {found}, which is newer than this program. Install the newer program."
        )
    raise DatabaseNotReady(message)


def version(connection: Connection) -> str | None:
    """The schema version of a database; None before the first migration."""
    if not inspect(connection).has_table(_versions.name):
        return None
    return connection.scalar(select(_versions.c.version_num))


def _known(revision: str) -> bool:
    from alembic.script import ScriptDirectory

    return any(revision == script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
