"""What the daemon tells of itself: its role, its ticks, and how its duties fare. Any thread may ask or tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from lifecycle_jobs import clock
from lifecycle_jobs.errors import LeaseHeld, RunStopped

Role = Literal["leader", "standby"]


@dataclass(frozen=True, slots=True)
class Duty:
    """How a duty fares. Moments are UTC.

    `error` is the name of what the last one failed with, none if it went well. `seconds` is for how long the one under
    way has been at it, none if there is none.
    """

    began_at: datetime | None = None
    ended_well_at: datetime | None = None
    error: str | None = None
    seconds: float | None = None


class Vitals:
    """Filled by the daemon, read by its monitoring."""

    def __init__(self, role: Role = "standby") -> None:
        self._alone = threading.Lock()
        self._role: Role = role
        self._ticked = time.monotonic()
        self._duties: dict[str, Duty] = {}
        self._under_way: dict[str, float] = {}

    @property
    def role(self) -> Role:
        """Whether this daemon works, or stands by for another one."""
        with self._alone:
            return self._role

    def become(self, role: Role) -> None:
        """Note the role, from now on."""
        with self._alone:
            self._role = role

    def tick(self) -> None:
        """Note that the scheduler has looked what is owed."""
        with self._alone:
            self._ticked = time.monotonic()

    @contextmanager
    def at(self, duty: str) -> Iterator[None]:
        """A duty is under way in the block. Being stopped, or finding another at work, is no failure of it."""
        self._begin(duty)
        try:
            yield
        except (RunStopped, LeaseHeld):
            self._end(duty, lambda found: found)
            raise
        except BaseException as error:
            name = type(error).__name__
            self._end(duty, lambda found: replace(found, error=name))
            raise
        self._end(duty, lambda found: replace(found, ended_well_at=clock.now(), error=None))

    @property
    def duties(self) -> Mapping[str, Duty]:
        """Each duty that was ever under way, by name."""
        with self._alone:
            now = time.monotonic()
            return {
                name: replace(duty, seconds=now - self._under_way[name] if name in self._under_way else None)
                for name, duty in sorted(self._duties.items())
            }

    def troubles(self, longest_silence: float) -> list[str]:
        """What makes the daemon ill: its scheduler has woken nobody for so many seconds.

        A duty may be under way for hours, and may fail: that is seen in the figures, and no new process would mend it.
        """
        with self._alone:
            silent = time.monotonic() - self._ticked
            return [f"the scheduler has not ticked for {silent:.0f} s"] if silent > longest_silence else []

    def _begin(self, duty: str) -> None:
        with self._alone:
            self._duties[duty] = replace(self._duties.get(duty, Duty()), began_at=clock.now())
            self._under_way[duty] = time.monotonic()

    def _end(self, duty: str, change: Callable[[Duty], Duty]) -> None:
        with self._alone:
            self._duties[duty] = change(self._duties[duty])
            self._under_way.pop(duty, None)
