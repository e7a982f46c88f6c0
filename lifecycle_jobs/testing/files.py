"""Customers, payment methods, boxes and add-ons come into a test as they come into the program: by its files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from lifecycle_jobs import lease
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.transfer.load import import_directory
from lifecycle_jobs.settings import Settings

Row = Mapping[str, str]
"""A row of a file, by column (SPEC §6)."""


@dataclass(frozen=True, slots=True)
class Addon:
    """Extra space of a box, in GB, paid with its renewal or from the holder's credit.

    It ends on `expires_on`, or with its box; `unit_price` in euros, net, for a year of 1 GB, or today's.
    """

    kind: Literal["extra_inbox", "extra_archive"] = "extra_inbox"
    quantity: int = 1
    paid_from: Literal["renewal", "credit"] = "renewal"
    expires_on: date | str | None = None
    unit_price: str | None = None
    addon_id: str | None = None


def bring_in(store: Store, settings: Settings, today: date, files: Mapping[str, Sequence[Row]]) -> None:
    """Import these rows, by file. Raises ImportRefused, as `import` does, for what the program would not take."""
    with TemporaryDirectory(prefix="lifecycle-") as name:
        folder = Path(name)
        for file, rows in files.items():
            if rows:
                _write(folder / file, rows)
        with lease.hold(store, "run", settings.lease.seconds) as held:
            import_directory(
                store.fenced(held), settings.catalog(), folder, overwrite=False, dry_run=False, today=today
            )


def _write(file: Path, rows: Sequence[Row]) -> None:
    columns = dict.fromkeys(name for row in rows for name in row)
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(columns), restval="")
        writer.writeheader()
        writer.writerows(rows)
