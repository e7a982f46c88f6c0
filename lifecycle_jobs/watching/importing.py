"""What is noticed while an import is made: that it moves the expiry of many boxes at once.

That is what suspends and deletes boxes by the thousand some days or months later, so it is said at once, in a dry run
too, and once more by the next run. It is never refused: to move them all may be what was meant.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, func, select

from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.db.transfer.settle import MovedExpiries
from lifecycle_jobs.settings import WatchingSettings
from lifecycle_jobs.watching.noticing import IMPORT, MOVED, Unusual, record


class ImportWatch:
    """Listens to an import of a business date; `noticed` is what it has noticed."""

    def __init__(self, settings: WatchingSettings, on: date) -> None:
        self._settings = settings
        self._on = on
        self.noticed: Unusual | None = None

    def __call__(self, connection: Connection, moved: MovedExpiries) -> None:
        """Look at what is about to be written, and keep what is noticed with it."""
        if moved.number <= self._settings.moved_least:
            return
        living = connection.scalar(select(func.count()).where(boxes.c.status != "deleted")) or 0
        if moved.number * 100 > self._settings.moved_percent * living:
            self.noticed = Unusual(self._on, IMPORT, MOVED, moved.number, out_of=living)
            record(connection, self.noticed, run_on=None)
