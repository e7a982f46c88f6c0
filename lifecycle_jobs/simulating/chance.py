"""Chance that can be repeated: a draw depends on the seed and on what it is drawn for, never on when it is asked.

A generator that is asked one draw after the other would give another history as soon as one box more is charged, or two
answers come in another order. Here each question has its own answer. So the same seed gives the same history on every
database and with any size of chunks, and two configurations live through the same luck: what differs between them is
their doing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256

_BITS = 53
"""As many as a float holds exactly."""


@dataclass(frozen=True, slots=True)
class Chance:
    """The draws of one seed."""

    seed: int

    def comes(self, share: float, purpose: str, *what: object) -> bool:
        """Whether something happens that happens in so large a share of all cases; the same answer each time."""
        return self.draw(purpose, *what) < share

    def draw(self, purpose: str, *what: object) -> float:
        """A number from 0 to less than 1, for this purpose and this thing."""
        text = "\x1f".join([str(self.seed), purpose, *map(str, what)])
        return math.ldexp(int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> (64 - _BITS), -_BITS)
