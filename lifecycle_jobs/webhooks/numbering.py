"""Moving the numbering of events past whatever a lost database can have used.

A database that is restored from a backup counts on from the backup's highest event, so it gives numbers again that the
lost days had used. To a platform that goes by `sequence` the new events are out of date then: it would not lift the
block of a box that is renewed now. Nothing in the database can tell how far the lost days had come, so a person types
this after a restore.

The event that records it takes the far number itself. SQLite counts on from the highest row, PostgreSQL's counter is
set: no other column and no other table is needed, and copies of the database keep it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, insert, select

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import events
from lifecycle_jobs.db.transfer.bulk import restart_numbering
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator

ENOUGH: Final = 10_000_000
"""More events than ten million boxes bring in two months."""

_FEWEST: Final = 10_000
"""More than can be on their way into the database at one moment: none of them is in the way."""

_MOST: Final = 1_000_000_000
"""Receivers count exactly up to 2^53 only; so this can be typed millions of times."""


def skip_numbers(store: Store, operator: Operator, number: int = ENOUGH) -> int:
    """Leave so many numbers of events unused; returns the number after which the next event comes.

    Raises Refused if that is too few to be safe, or more than can be meant.
    """
    if not _FEWEST <= number <= _MOST:
        message = f"{number:,} numbers cannot be skipped: between {_FEWEST:,} and {_MOST:,} can. Nothing was done."
        raise Refused(message)
    with store.write() as connection:
        highest: int = connection.scalar(select(func.max(events.c.id))) or 0
        far = highest + number
        connection.execute(
            insert(events).values(
                id=far,
                occurred_on=operator.on,
                kind="webhooks.numbers_skipped",
                detail={"after": highest, "number": number},
                actor=operator.name,
                why=operator.why,
            )
        )
        restart_numbering(connection, events)
    return far
