"""What has to be said below a plan: what it cannot know, and what stands in the way of the run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from lifecycle_jobs.languages import Speech
from lifecycle_jobs.planning.day_plan import DayPlan
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Stop
from lifecycle_jobs.watching.telling import told


def notes_of(speech: Speech, plan: DayPlan, settings: Settings, today: date, stop: Stop | None) -> Iterator[str]:
    """Each in a sentence. `stop` is the emergency stop in force, if there is one."""
    if plan.report.run_pass is None:
        yield speech("{on} is completed already. (--again looks for everything once more.)", on=plan.on)
    if settings.gateway.kind != "sandbox":
        yield speech("What the gateway will answer cannot be known: every charge is planned as one that goes through.")
    if plan.on > today:
        yield speech("The days before {on} are not played: it is planned as if it came now.", on=plan.on)
    if plan.approve_suspensions is not None:
        yield speech(
            "{number} suspensions are too many to be made unasked: only a run with this plan's hash makes them.",
            number=speech.number(plan.approve_suspensions),
        )
    if plan.approve_deletions is not None:
        yield speech(
            "{number} deletions are too many to be made unasked: only a run with this plan's hash makes them.",
            number=speech.number(plan.approve_deletions),
        )
    for each in plan.report.unusual:
        yield speech("Unusual: {what}", what=told(each))
    if stop is not None:
        yield speech(
            "The emergency stop is on since {on}, {time} UTC, by {who} ({why}): "
            "no run begins until lifecycle-jobs resume.",
            on=stop.since.date(),
            time=f"{stop.since:%H:%M}",
            who=stop.actor,
            why=stop.why,
        )
