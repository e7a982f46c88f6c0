"""What the daily report says, before it is put into words.

A day is told from the history, so it reads the same later. What waits for a person is read as things stand on `as_of`,
and what comes is counted from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final

from lifecycle_jobs.status import Listing
from lifecycle_jobs.stops import Stop
from lifecycle_jobs.watching.noticing import Unusual

DELETIONS_NAMED: Final = 500
"""How many deletions are listed by name; above it the first so many, and the number."""


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened on the day, on the day before it, and on the same weekday a week before."""

    kind: str
    number: int
    day_before: int
    week_before: int


@dataclass(frozen=True, slots=True)
class RunOfDay:
    """How the run of the day stands. `finished_at` is UTC; `failures` are what made its exit code 1."""

    state: str
    run_pass: int
    finished_at: datetime | None
    failures: int


@dataclass(frozen=True, slots=True)
class ComingDay:
    """What one of the next days brings if nobody does anything; numbers of boxes.

    `expiry_alerts` and `renewal_notices` reach a milestone of theirs. `first_charges`: the first slot of an automatic
    renewal; the later slots depend on how that one ends. `ended_by_hand` and `ended_automatic` were paid until the day
    before and are suspended on this one unless they are renewed; the second ones are charged first. `deletions` reach
    X; whether they go then is asked on that day (proof of a warning, the limit per run).
    """

    on: date
    expiry_alerts: int = 0
    renewal_notices: int = 0
    first_charges: int = 0
    ended_by_hand: int = 0
    ended_automatic: int = 0
    deletions: int = 0

    @property
    def anything(self) -> bool:
        """Whether there is something to tell."""
        return any(number for name, number in asdict(self).items() if name != "on")


@dataclass(frozen=True, slots=True)
class DailyReport:
    """Everything about one business date.

    `run` is none if there was none. `problems` are the sentences that the jobs left for a person, a refusal over a cap
    among them; `unusual` is what is far from what is usual on such a day. `overdue` of the unresolved charges have been
    so for `gateway.report_unresolved_after` days; `unwarned` of the boxes held back lack only the proof of a warning.
    `failed_messages` are those of the last 7 days. `notices` are the disputes, refunds and contradictions that the
    gateway told of since the report before.
    """

    on: date
    as_of: date
    stop: Stop | None
    gap: date | None
    run: RunOfDay | None
    counts: Sequence[Count]
    deletions: Listing
    problems: Sequence[str]
    unusual: Sequence[Unusual]
    parked: Listing
    unresolved: Listing
    overdue: int
    refunds_due: Listing
    failed_messages: Listing
    notices: Listing
    not_attempted: Listing
    held_back: Listing
    unwarned: int
    coming: Sequence[ComingDay]

    @property
    def completed(self) -> bool:
        """Whether every job of the day came to its end."""
        return self.run is not None and self.run.state == "completed"

    @property
    def to_do(self) -> int:
        """How many things need a person; zero is a good day.

        What will settle itself is not counted: a charge that has been unresolved for a day or two, a renewal that is
        tried again, a box that somebody has put on hold. Nor is an unusual number that has stopped its job: that is a
        problem already.

        What the gateway told of is counted in one report, the first that can know of it: nobody notes here how a
        dispute ends, so it would count for ever. `status` goes on listing it for 90 days. (A report that is asked for
        while its day lasts, and what came in while one was being sent, may be told again by the next.)
        """
        return sum(
            (
                self.stop is not None,
                self.gap is not None,
                not self.completed,
                len(self.problems),
                sum(not each.stopped for each in self.unusual),
                self.parked.total,
                self.overdue,
                self.refunds_due.total,
                self.failed_messages.total,
                self.notices.total,
                self.unwarned,
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self) | {"to_do": self.to_do}
