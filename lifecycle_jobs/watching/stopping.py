"""What the jobs ask that can be stopped: whether a number is so unusual that a person is to look at it first."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection

from lifecycle_jobs.settings import WatchingSettings
from lifecycle_jobs.watching.judging import Bounds, usual_number
from lifecycle_jobs.watching.reading import read_past


def exceeded(
    connection: Connection, settings: WatchingSettings, on: date, job: str, what: str, number: int
) -> float | None:
    """What is usual on a date if so many are unusually many; none if they are not, or too little is known."""
    if number < settings.least:
        return None
    past = read_past(connection, on)
    if past is None:
        return None
    usual = usual_number(past.samples(job, what), past.covered)
    if usual is None or not Bounds(settings.factor, settings.least).too_many(number, usual.number):
        return None
    return usual.number
