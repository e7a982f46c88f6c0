"""Whom an error concerns: one row, which is set aside so that the others go on, or everything, so that work stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from lifecycle_jobs.errors import LeaseLost, RunStopped

_GIVEN_UP = frozenset({"40001", "40P01"})
"""PostgreSQL: serialization failure, deadlock detected."""

Item = TypeVar("Item")


def concerns_one_row(error: Exception) -> bool:
    """Whether an error can be blamed on the row at hand, so that the row is parked and the others go on.

    A lost connection, none to be had, a full disk or a lost lease concern everything: the run stops and is continued
    later. Of two writers who waited for each other the database gives up one: that one is tried again in halves, or
    parked.
    """
    if was_given_up(error):
        return True
    if isinstance(error, (LeaseLost, RunStopped, OperationalError, InterfaceError, NoConnectionFree)):
        return False
    return not (isinstance(error, DBAPIError) and error.connection_invalidated)


def was_given_up(error: Exception) -> bool:
    """Whether the database gave this transaction up for another that it waited for: it may be done again at once."""
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", None) in _GIVEN_UP


def in_halves(
    items: Sequence[Item], apply: Callable[[Sequence[Item]], None], park: Callable[[Item, Exception], None]
) -> None:
    """Apply to all at once; where that fails, to each half, until the failing item stands alone and is parked."""
    if not items:
        return
    try:
        apply(items)
    except Exception as error:
        if not concerns_one_row(error):
            raise
        if len(items) == 1:
            park(items[0], error)
            return
        middle = len(items) // 2
        in_halves(items[:middle], apply, park)
        in_halves(items[middle:], apply, park)
