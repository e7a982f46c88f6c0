"""For how long what was told is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from lifecycle_jobs.policy import Policy, longest_course
from lifecycle_jobs.settings.values import Positive, Section, Wrong

_SHORTEST_MONTH_DAYS = 28
_LONGEST_MONTHS = 1200


class RetentionSettings(Section):
    """For how many months `db maintain` leaves alone what is over. Orders, charges and credit are kept for good."""

    message_bodies_months: Annotated[Positive, Field(le=_LONGEST_MONTHS)]
    history_months: Annotated[Positive, Field(le=_LONGEST_MONTHS)]

    def contradictions(self) -> Iterator[Wrong]:
        """A text that is kept when nobody knows any more whose it was."""
        if self.message_bodies_months > self.history_months:
            yield Wrong(
                ("message_bodies_months",),
                f"{self.message_bodies_months} is more than history_months = {self.history_months}: "
                "no text is kept longer than the record of its message",
            )


def retention_contradictions(
    retention: RetentionSettings, policies: Iterable[Policy], max_catch_up_days: int
) -> Iterator[Wrong]:
    """Periods that end while a rule may still ask what was told."""
    needed = max(map(longest_course, policies)) + max_catch_up_days
    for key in type(retention).model_fields:
        months: int = getattr(retention, key)
        if months * _SHORTEST_MONTH_DAYS < needed:
            yield Wrong(
                (key,),
                f"{months} months are too short: from the first alert about a term to the deletion of its box up to "
                f"{needed} days may pass, and what was told must be known for as long",
            )
