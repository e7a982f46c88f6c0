"""What a day left in the database, compared with what it had to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date

from sqlalchemy import func, select

from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.db.tables import charges, events, messages
from tests.bench.due import Due


class Outcome:
    """What a day left in the database, in the terms of `tests.bench.due.Due`."""

    def __init__(self, url: str, on: date) -> None:
        by_job = select(events.c.job, events.c.kind, func.count()).where(events.c.run_on == on)
        attempts = select(charges.c.status, func.count()).where(charges.c.attempted_on == on)
        store = open_store(url)
        try:
            with store.read() as connection:
                self.events: Counter[tuple[str, str]] = Counter()
                for job, kind, count in connection.execute(by_job.group_by(events.c.job, events.c.kind)):
                    self.events[job, kind] = count
                self.attempts: Counter[str] = Counter()
                for status, count in connection.execute(attempts.group_by(charges.c.status)):
                    self.attempts[status] = count
                self.e_mails: int = connection.execute(
                    select(func.count()).select_from(messages).where(messages.c.created_on == on)
                ).scalar_one()
        finally:
            store.engine.dispose()


def differences(due: Due, outcome: Outcome) -> Iterator[str]:
    """Every count in which the day is not what it should have been; none if all is well."""
    for job, kind in sorted(due.events.keys() | outcome.events.keys()):
        expected, found = due.events[job, kind], outcome.events[job, kind]
        if expected != found:
            yield f"{job} {kind}: {expected:,} due, {found:,} done"
    for status in sorted(due.attempts.keys() | outcome.attempts.keys()):
        if due.attempts[status] != outcome.attempts[status]:
            yield f"charges {status}: {due.attempts[status]:,} due, {outcome.attempts[status]:,} made"
    if len(due.told) != outcome.e_mails:
        yield f"e-mails: {len(due.told):,} due, {outcome.e_mails:,} written"
