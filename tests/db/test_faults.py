"""What is blamed on one row and what on everything, and how the failing row of many is found."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg.errors
import pytest
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from lifecycle_jobs.db.faults import concerns_one_row, in_halves
from lifecycle_jobs.errors import LeaseLost, RunStopped


@pytest.mark.parametrize(
    ("error", "one_row"),
    [
        (ValueError("this row is odd"), True),
        (IntegrityError("INSERT", {}, Exception()), True),
        (ProgrammingError("UPDATE", {}, psycopg.errors.RaiseException()), True),
        (OperationalError("UPDATE", {}, psycopg.errors.DeadlockDetected()), True),
        (OperationalError("UPDATE", {}, psycopg.errors.SerializationFailure()), True),
        (OperationalError("UPDATE", {}, psycopg.errors.DiskFull()), False),
        (OperationalError("UPDATE", {}, psycopg.errors.AdminShutdown()), False),
        (OperationalError("UPDATE", {}, Exception("database is locked")), False),
        (InterfaceError("UPDATE", {}, Exception()), False),
        (ProgrammingError("UPDATE", {}, Exception(), connection_invalidated=True), False),
        (NoConnectionFree(), False),
        (LeaseLost("another process has taken over"), False),
        (RunStopped("asked to stop"), False),
    ],
)
def test_a_lost_connection_or_lease_is_nobodys_fault_in_particular(*, error: Exception, one_row: bool) -> None:
    assert concerns_one_row(error) is one_row


@pytest.mark.parametrize("bad", [set(), {0}, {6}, {2, 3}, {0, 3, 6}, set(range(7))])
def test_only_the_failing_rows_of_many_are_parked(bad: set[int]) -> None:
    done: list[int] = []
    set_aside: list[int] = []

    def apply(items: Sequence[int]) -> None:
        if bad & set(items):
            raise ValueError(items)
        done.extend(items)

    in_halves(range(7), apply, lambda item, _error: set_aside.append(item))

    assert (done, set_aside) == ([number for number in range(7) if number not in bad], sorted(bad))


def test_what_concerns_everything_is_raised_at_once() -> None:
    tried: list[Sequence[int]] = []

    def apply(items: Sequence[int]) -> None:
        tried.append(items)
        raise LeaseLost("another process has taken over")

    with pytest.raises(LeaseLost):
        in_halves(range(7), apply, lambda _item, _error: None)

    assert len(tried) == 1
