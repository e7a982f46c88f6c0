"""Import: the four input files of a folder into the database, all of it or nothing (SPEC §6).

The rows go through Python some thousands at a time, to be read, and then into temporary tables, or those of the first
import straight into the tables; everything that concerns more than one row is done there by the database. So a million
boxes need no more memory than a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from lifecycle_jobs.db import statistics
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.transfer import apply, checks, staging
from lifecycle_jobs.db.transfer.columns import INPUT_FILES, InputFile
from lifecycle_jobs.db.transfer.first import import_first
from lifecycle_jobs.db.transfer.parse import Reader
from lifecycle_jobs.db.transfer.problems import Problems
from lifecycle_jobs.db.transfer.rules import rules_of
from lifecycle_jobs.db.transfer.settle import MovedExpiries, moved_expiries, settle
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.policy import Catalog

Progress = Callable[[str, int], None]
"""Hears what is being done and how many rows of it are done."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one file did: how many rows it has, how many of them are new, and how many changed a row.

    `kept` rows differ from the database in status, expires_on, credit or tax_id, or in the days and reasons that
    go with the status, and left these as they are because nobody said `--overwrite`.
    """

    name: str
    rows: int
    created: int
    changed: int
    kept: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or in a dry run would have done; a file that is not there is not listed.

    `readdressed` messages that had not left yet go to the new addresses of their holders.
    """

    files: tuple[FileReport, ...]
    moved: MovedExpiries
    readdressed: int
    dry_run: bool


Watch = Callable[[Connection, MovedExpiries], None]
"""Hears, in the transaction of the import, how many expiries it moves."""


def import_directory(
    store: Store,
    catalog: Catalog,
    directory: Path,
    *,
    overwrite: bool,
    dry_run: bool,
    today: date,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> ImportReport:
    """Import the files of a folder; `today` is the business date of the ledger entries that explain new balances.

    Raises ImportRefused with every bad value, and Refused if there is nothing to import.
    """
    files = [file for file in INPUT_FILES if (directory / file.name).is_file()]
    if not files:
        names = ", ".join(file.name for file in INPUT_FILES)
        raise Refused(f"Nothing to import: {directory} has none of {names}.")
    job = _Import(
        catalog, directory, files, overwrite=overwrite, today=today, progress=progress or _in_silence, watch=watch
    )
    if dry_run and not store.rehearsing:
        with store.rehearse() as rehearsal:
            return job.run(rehearsal)
    return job.run(store)


class _Import:
    """One import: read, settle, check, write, in one transaction."""

    def __init__(
        self,
        catalog: Catalog,
        directory: Path,
        files: Sequence[InputFile],
        *,
        overwrite: bool,
        today: date,
        progress: Progress,
        watch: Watch | None,
    ) -> None:
        self._rules = rules_of(catalog)
        self._directory = directory
        self._files = files
        self._overwrite = overwrite
        self._today = today
        self._progress = progress
        self._watch = watch
        self._moved = MovedExpiries(0, 0)
        self._readdressed = 0
        self._problems = Problems()

    def run(self, store: Store) -> ImportReport:
        with store.write() as connection:
            staging.give_room(connection)
            imported = import_first(
                connection, self._readers(problems := Problems()), problems, self._reading, self._today
            )
            if imported is None:
                reports = self._by_way_of_staging(connection)
            else:
                reports = [FileReport(file.name, rows := imported[file.table], rows, 0, 0) for file in self._files]
                for file in self._files:
                    self._progress(f"writing {file.table}", imported[file.table])
            if not store.rehearsing:  # the counter would not be rolled back
                apply.continue_numbering(connection)
        return ImportReport(tuple(reports), self._moved, self._readdressed, dry_run=store.rehearsing)

    def _by_way_of_staging(self, connection: Connection) -> list[FileReport]:
        staging.create(connection)
        rows, torn = self._read(connection)
        staging.index(connection)
        self._progress("checking", 0)
        _keep_others_out(connection)
        kept = settle(connection, overwrite=self._overwrite)
        staging.measure(connection)
        checks.check(connection, self._problems, torn=torn)
        self._problems.refuse_if_any()
        self._moved = moved_expiries(connection)
        if self._watch is not None:
            self._watch(connection, self._moved)
        written = {target.table.name: self._write(connection, target) for target in apply.TARGETS}
        apply.write_ledger(connection, self._today)
        self._readdressed = apply.readdress(connection)
        staging.drop(connection)
        statistics.refresh(connection, *[target.table for target in apply.TARGETS])
        return [
            FileReport(file.name, rows[file.name], *written[file.table], kept.get(file.table, 0))
            for file in self._files
        ]

    def _read(self, connection: Connection) -> tuple[dict[str, int], frozenset[str]]:
        readers = self._readers(self._problems)
        rows: dict[str, int] = {}
        torn = set()
        for file in self._files:
            reader = readers[file.table]
            rows[file.name] = staging.fill(connection, staging.STAGED[file.table], reader, self._reading(file.table))
            if not reader.whole:
                torn.add(file.name)
        return rows, frozenset(torn)

    def _readers(self, problems: Problems) -> dict[str, Reader]:
        """By table."""
        return {
            file.table: Reader(file, self._directory / file.name, self._rules[file.table], problems)
            for file in self._files
        }

    def _reading(self, table: str) -> Callable[[int], None]:
        return partial(self._progress, f"reading {table}.csv")

    def _write(self, connection: Connection, target: apply.Target) -> tuple[int, int]:
        created, changed = apply.write(connection, target)
        self._progress(f"writing {target.table.name}", created + changed)
        return created, changed


def _keep_others_out(connection: Connection) -> None:
    # What the checks have seen must still be so when it is written. SQLite has one writer at a time anyway.
    if connection.dialect.name == "postgresql":
        names = "customers, payment_methods, boxes, addons, charges"
        connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")


def _in_silence(_what: str, _rows: int) -> None:
    """Nobody wants to hear."""
