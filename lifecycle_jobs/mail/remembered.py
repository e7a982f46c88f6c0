"""Most lines of a message are those of its template: what was worked out for one is the same in the next message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

_MOST: Final = 4_096
_LONGEST: Final = 500
"""Characters of a line that is remembered: a few very long ones must not fill the memory."""


class Remembered(dict[str, Value], Generic[Value]):
    """What a function makes of a line, worked out once for as long as it is remembered.

    Alternative: `lru_cache`, which takes three times as long to find what it knows, for a hundred lines of every
    letter.
    """

    def __init__(self, work_out: Callable[[str], Value]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, line: str) -> Value:
        """Work it out. Once too many are known all are forgotten: those of the templates soon come back."""
        value = self._work_out(line)
        if len(line) <= _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self[line] = value
        return value
