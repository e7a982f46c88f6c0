"""Which messages leave first."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_URGENCY: Final[Mapping[str, int]] = MappingProxyType(
    {
        "box.deletion_warning": 0,
        "box.deleted": 0,
        "box.suspended": 1,
        "box.suspended_by_hand": 1,
        "box.revived": 1,
        "charge.declined": 2,
        "order.placed": 2,
        "box.renewed": 4,
        "box.bought": 4,
        "box.domain_renewed": 4,
        "addon.renewed": 4,
    }
)
_ORDINARY: Final = 3


def urgency_of(kind: str) -> int:
    """How urgent a message is, 0 most: deletion, suspension, decline, what is to be paid, alerts.

    Receipts can wait for a day.
    """
    return _URGENCY.get(kind, _ORDINARY)
