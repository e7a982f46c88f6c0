"""The hash by which a plan is recognised: the same for the same actions, whoever computes it and in whatever order.

Not part of it is what says nothing about the day: the numbers that orders happen to get, and the job under whose name
an action stands (a charge that was cut off is settled by another job than the one that would have made it; what the
holder gets is the same).

The marks of the actions are added up, so that a million of them need neither be sorted nor be held.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from lifecycle_jobs.jobs.actions import Action

_DRAWN = "order_number"
_BITS = 256
_SHOWN = 16
"""Hexadecimal digits: enough that nobody meets the same hash twice by chance, few enough to be read out."""


class Digest:
    """Takes in the actions of a day, one by one."""

    def __init__(self, on: date) -> None:
        self._on = on
        self._number = 0
        self._sum = 0

    def add(self, action: Action) -> None:
        """Take in one more action."""
        self._number += 1
        self._sum = (self._sum + int.from_bytes(mark(action))) % (1 << _BITS)

    def __str__(self) -> str:
        whole = f"{self._on} {self._number} {self._sum:x}"
        return hashlib.sha256(whole.encode()).hexdigest()[:_SHOWN]


def mark(action: Action) -> bytes:
    """What tells an action from every other: what is done to whom, when, for how much, and from which method."""
    told = [
        action.what,
        action.box_id,
        action.address,
        action.customer_id,
        action.addon_id,
        None if action.term_expires_on is None else action.term_expires_on.isoformat(),
        _without_drawn(action.detail),
        action.method_mark,
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()


def _without_drawn(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if name != _DRAWN}
