"""From where on a number is unusual, and what is done about it then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field

from lifecycle_jobs.settings.values import Count, Percent, Positive, Section, Wrong, number

_LEAST_FACTOR = 1.5
"""Below it every other day would be unusual."""

_LARGEST_FACTOR = 1000


class WatchingSettings(Section):
    """What is compared with the same weekdays of the last 8 weeks (`watching.judging`), and which jobs it may stop."""

    factor: Annotated[float, BeforeValidator(number), Field(allow_inf_nan=False)]
    least: Positive
    stop_suspensions: bool
    stop_deletions: bool
    moved_percent: Percent
    moved_least: Count

    def contradictions(self) -> Iterator[Wrong]:
        """A factor that finds everything unusual, or nothing."""
        if not _LEAST_FACTOR <= self.factor <= _LARGEST_FACTOR:
            yield Wrong(("factor",), f"must be {_LEAST_FACTOR} to {_LARGEST_FACTOR}")
