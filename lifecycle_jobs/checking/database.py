"""The database: there, of this program's version, and willing to be written to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from lifecycle_jobs import clock
from lifecycle_jobs.checking.check import Check, ok, warning, wrong
from lifecycle_jobs.db.schema import HEAD, version
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import leases
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.gates import check_plans, suspected_gap
from lifecycle_jobs.runs import describe
from lifecycle_jobs.settings import Settings

_NAME: Final = "database"
_CLOCKS_APART: Final = 5


def check_database(settings: Settings) -> Iterator[Check]:
    """Connect, compare versions, write something and roll it back."""
    try:
        store = open_store(settings.database.url)
    except ConfigurationError as error:
        yield wrong(_NAME, str(error), "Correct database.url.")
        return
    try:
        file = store.engine.url.database if store.dialect == "sqlite" else None
        if file and not Path(file).exists():
            yield _not_there_yet(Path(file))
        else:
            yield from _looked_into(store, settings)
    except SQLAlchemyError as error:
        yield wrong(_NAME, f"does not work: {describe(error)}", "Look at database.url, and at the server's own log.")
    finally:
        store.engine.dispose()
    if store.dialect == "sqlite":
        yield warning(
            _NAME, "SQLite: one machine, one writer at a time", "With several hosts, or many boxes, use PostgreSQL."
        )


def _not_there_yet(file: Path) -> Check:
    """SQLite would make the file as it looks."""
    folder = file.resolve().parent
    if os.access(folder, os.W_OK):
        return ok(_NAME, f"{file} is not there yet; the first command makes it")
    return wrong(
        _NAME, f"{file} is not there, and {folder} cannot be written to", "Make the folder, or change the URL."
    )


def _looked_into(store: Store, settings: Settings) -> Iterator[Check]:
    with store.read() as connection:
        found = version(connection)
        apart = _seconds_apart(store, connection)
    if found != HEAD:
        yield wrong(_NAME, f"schema version {found or 'none'}, wanted {HEAD}", "Run: lifecycle-jobs db upgrade")
        return
    with store.rehearse() as rehearsal, rehearsal.write() as connection:
        connection.execute(insert(leases).values(name="config check", token=1, expires_at=clock.now()))
    yield ok(_NAME, f"{store.dialect}, schema version {found}, can be written to")
    if apart > _CLOCKS_APART:
        yield warning(
            _NAME,
            f"its clock and this machine's are {apart:.0f} seconds apart",
            "Keep all clocks by NTP: leases need it.",
        )
    try:
        check_plans(store, settings)
    except ConfigurationError as error:
        yield wrong(_NAME, str(error), "Add the plan to the configuration.")
    with store.read() as connection:
        latest = suspected_gap(connection, settings, clock.business_date(settings.zone))
    if latest is not None:
        yield warning(
            _NAME,
            f"the last completed run is that of {latest}: a restored backup or a wrong clock is suspected",
            "If all is right: lifecycle-jobs confirm-gap",
        )


def _seconds_apart(store: Store, connection: Connection) -> float:
    if store.dialect == "sqlite":
        return 0.0
    there: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return abs((clock.now() - there).total_seconds())
