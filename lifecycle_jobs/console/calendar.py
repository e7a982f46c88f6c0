"""A month of business dates, each with how its run came out."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import date, timedelta

from sqlalchemy import Connection, select
from starlette.responses import Response
from starlette.routing import Route

from lifecycle_jobs import lease, runs
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import parse_day
from lifecycle_jobs.console.routes import Asked, page
from lifecycle_jobs.db.tables import runs as run_records
from lifecycle_jobs.languages import spoken

OUTCOMES: Mapping[str, str] = {
    "good": spoken("done"),
    "attention": spoken("done, but something needs a person"),
    "going": spoken("going on"),
    "unfinished": spoken("not finished"),
    "superseded": spoken("taken over by a later run"),
    "missed": spoken("no run"),
    "none": "",
}
"""What may have become of a date, in words: a colour alone tells nothing to whoever does not see it."""


def routes(office: Office) -> list[Route]:
    """The page of a month."""
    return [page(office, "/calendar", _month)]


def _month(asked: Asked) -> Response:
    office = asked.office
    chosen = parse_day(f"{asked.parameter('month')}-01") or office.today.replace(day=1)
    weeks = calendar.Calendar().monthdatescalendar(chosen.year, chosen.month)
    with office.store.read() as connection:
        outcomes = outcomes_of(connection, weeks[0][0], weeks[-1][-1])
    return asked.show(
        "calendar.html",
        month=chosen,
        weeks=weeks,
        outcomes=outcomes,
        words=OUTCOMES,
        before=chosen - timedelta(days=1),
        after=(chosen + timedelta(days=31)).replace(day=1),
        today=office.today,
    )


def outcomes_of(connection: Connection, first: date, last: date) -> Mapping[date, str]:
    """What became of each date between two, both included."""
    rows = connection.execute(
        select(run_records.c.run_on, run_records.c.state, run_records.c.failures).where(
            run_records.c.run_on.between(first, last)
        )
    )
    going = lease.holder(connection, "run") is not None
    known = {row.run_on: _outcome(row.state, row.failures, going=going) for row in rows}
    earliest = connection.scalar(select(run_records.c.run_on).order_by(run_records.c.run_on).limit(1))
    latest = runs.latest_completed(connection)
    found = {}
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        between = earliest is not None and latest is not None and earliest < day < latest
        found[day] = known.get(day, "missed" if between else "none")
    return found


def _outcome(state: str, failures: int, *, going: bool) -> str:
    if state == "completed":
        return "attention" if failures else "good"
    if state == "superseded":
        return "superseded"
    return "going" if going else "unfinished"
