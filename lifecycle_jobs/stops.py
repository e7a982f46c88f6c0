"""The emergency stop: a switch in the database that every process heeds between any two items of its work.

`lifecycle-jobs stop` throws it, `resume` takes it back. While it is in force no call of the gateway, no chunk, no
message and no webhook begins, in any process; what was in hand is finished and recorded, because money that moved and
mail that left must be known. Clerks can still settle charges and register payments: that is what one stops for.

The switch is looked at once in a twentieth of a second at most, so that it costs a run nothing. `stop` waits for that
long before it returns: what has not begun by then does not begin.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import emergency_stops
from lifecycle_jobs.errors import EmergencyStop

HEEDED_WITHIN: Final = 0.05
"""Seconds."""

IN_FORCE: Final = select(emergency_stops.c.stopped_at, emergency_stops.c.actor, emergency_stops.c.why).where(
    emergency_stops.c.in_force
)
"""Finds a row while a stop is in force."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop in force: since when (UTC), by whom, and why."""

    since: datetime
    actor: str
    why: str

    def __str__(self) -> str:
        return f"stopped by {self.actor} at {self.since:%Y-%m-%d %H:%M} UTC: {self.why}"


def in_force(connection: Connection) -> Stop | None:
    """The stop that is in force, if there is one."""
    row = connection.execute(IN_FORCE).one_or_none()
    return None if row is None else Stop(*row)


class Switch:
    """What work asks before each item. Any number of threads may ask.

    `thrown` says whether a stop is in force, for whoever asks so often that a transaction for each look is too much.
    """

    def __init__(self, store: Store, thrown: Callable[[], bool] | None = None) -> None:
        self._store = store
        self._thrown = thrown
        self._alone = threading.Lock()
        self._looked_at = -1.0
        self._found: Stop | None = None

    def stopped(self) -> Stop | None:
        """The stop in force, as of a twentieth of a second ago at the most."""
        with self._alone:
            now = time.monotonic()
            if self._looked_at < 0 or now - self._looked_at >= HEEDED_WITHIN:
                self._found = self._look()
                self._looked_at = now
            return self._found

    def _look(self) -> Stop | None:
        if self._thrown is not None and not self._thrown():
            return None
        with self._store.read() as connection:
            return in_force(connection)

    def check(self) -> None:
        """Raise EmergencyStop while a stop is in force."""
        stop = self.stopped()
        if stop is not None:
            message = (
                f"The emergency stop is on ({stop}). Nothing new was begun; what was in hand is recorded. "
                "When all is right: lifecycle-jobs resume"
            )
            raise EmergencyStop(message)


def heeding(store: Store, progress: Callable[[str, int], None]) -> Callable[[str, int], None]:
    """The progress of long work, which ends with EmergencyStop once the switch is thrown."""
    switch = Switch(store)

    def advance(name: str, rows: int) -> None:
        progress(name, rows)
        switch.check()

    return advance
