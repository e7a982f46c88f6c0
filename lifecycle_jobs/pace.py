"""How often something may begin, so many times a second, evenly; and when again what was refused."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Final

_GIVE_OR_TAKE: Final = 0.2


class Pace:
    """So many a second: what was not used is not saved up for longer than a tenth of a second.

    Any number of threads may ask.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second / 10)
        self._free = self._most
        self._at = time.monotonic()
        self._alone = threading.Lock()

    def take(self, most: int) -> int:
        """As many as may begin now, up to `most`."""
        with self._alone:
            now = time.monotonic()
            self._free = min(self._most, self._free + (now - self._at) * self._per_second)
            self._at = now
            taken = max(0, min(most, int(self._free)))
            self._free -= taken
            return taken

    def give_back(self, number: int) -> None:
        """Of those taken, so many did not begin."""
        with self._alone:
            self._free += number

    def next_in(self) -> float:
        """Seconds until another one may begin, about."""
        return 1 / self._per_second


def back_off(pauses: Sequence[float], attempts: int) -> float:
    """The pause after so many attempts, the last one for all that follow, give or take a fifth.

    Not all at the same moment, or a server that was overwhelmed will be so again.
    """
    pause = pauses[min(attempts, len(pauses) - 1)]
    return pause * random.uniform(1 - _GIVE_OR_TAKE, 1 + _GIVE_OR_TAKE)  # noqa: S311 -- who guesses it gains nothing
