"""What wakes the daemon: APScheduler, which knows nothing of what is owed.

Why not one cron trigger alone: it fires once, and a database that is down at that moment would cost the whole day. Why
no job store: two daemons on one would run everything twice, and it would say again what the table `runs` says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from lifecycle_jobs import clock
from lifecycle_jobs.settings import Settings

log = structlog.get_logger()

_SET_BACK: Final = 1.0
"""Seconds by which a clock is seen to have been set back, and not only to have been slowed down."""

_HEARS_WITHIN: Final = 0.5
"""Seconds after which the main thread wakes for signals that did not wake it."""


def day_trigger(settings: Settings) -> CronTrigger:
    """Wakes at the hour of the day where the business is, on the days with 23 and 25 hours too."""
    return CronTrigger(hour=settings.schedule.hour, minute=0, timezone=settings.zone)


class _Every(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """Wakes so many seconds after it last did.

    APScheduler's own counts every time that was missed, one by one: after a clock that jumped ten years, for minutes
    and with hundreds of megabytes.
    """

    def __init__(self, seconds: int) -> None:
        self._pause = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """From now on, whenever it was due."""
        del previous_fire_time
        return now + self._pause


@contextmanager
def scheduled(
    duties: Mapping[str, int], do: Callable[[str], None], settings: Settings
) -> Iterator[BackgroundScheduler]:
    """Wakes each duty every so many seconds, and `day` at its hour; on leaving, those under way are waited for."""
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(2 * len(duties))},
        # Two at a time, of which the second finds the first at it and leaves: the scheduler would only complain.
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 2},
        timezone=settings.zone,
    )
    for name, seconds in duties.items():
        scheduler.add_job(do, _Every(seconds), [name], id=name, next_run_time=clock.now())
    scheduler.add_job(do, day_trigger(settings), ["day"], id="day at its hour")
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=True)


def watch_the_clock(scheduler: BackgroundScheduler, until: threading.Event) -> None:
    """Until told to stop. The scheduler goes by the clock on the wall: set back, it would sleep until then."""
    ahead = clock.now().timestamp() - clock.running()
    while not until.wait(_HEARS_WITHIN):
        now_ahead = clock.now().timestamp() - clock.running()
        if now_ahead < ahead - _SET_BACK:
            log.warning("clock_was_set_back", seconds=round(ahead - now_ahead))
            for job in scheduler.get_jobs():
                job.modify(next_run_time=clock.now())
        ahead = now_ahead


def wait(event: threading.Event, seconds: float) -> None:
    """Wait for the event, so many seconds at most, but never long at a stretch.

    The handler of a signal runs when the main thread next wakes. One that comes just as it falls asleep does not wake
    it: without end it would sleep on, and be killed by whoever asked it to stop.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not event.wait(min(left, _HEARS_WITHIN)):
        pass
