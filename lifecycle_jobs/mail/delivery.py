"""Delivering what is queued, now: in a run, by command, or all day by the daemon. One at a time, by its own lease.

Where it pays, several processes work under that lease (`crew`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial

from lifecycle_jobs import clock, lease
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import LeaseHeld
from lifecycle_jobs.mail.crew import deliver_together, how_many
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch


def deliver_all(store: Store, settings: Settings, on: date, progress: Callable[[str, int], None]) -> DeliveryReport:
    """Deliver what is queued, in as many passes as it takes; each begins with what is most urgent by then.

    A pass ends with the day: what is today's at its begin would be told with yesterday's number of days left, and be
    judged by what was still to come then. The next one goes by the new day, unless another date than today's is
    delivered for, as in a replay. What `more` is left at the end waits for a server that takes too long.

    Raises what `deliver_now` raises before anything has left.
    """

    def still(day: date) -> bool:
        return not of_today or clock.business_date(settings.zone) == day

    whole, of_today = DeliveryReport(), on == clock.business_date(settings.zone)
    while True:
        day = clock.business_date(settings.zone) if of_today else on
        try:
            one = deliver_now(store, settings, day, progress, partial(still, day))
        except LeaseHeld:
            if not whole.handled:
                raise
            whole.elsewhere, whole.more = True, False
            return whole
        whole.more = False
        whole.add(one)
        whole.stopped = one.stopped
        whole.failures += one.failures
        if not one.more or not one.handled or one.stopped is not None:
            return whole


def deliver_now(
    store: Store,
    settings: Settings,
    on: date,
    progress: Callable[[str, int], None],
    goes_on: Callable[[], bool] = lambda: True,
) -> DeliveryReport:
    """Deliver what is queued, or as much of it as is read before `goes_on` says no, with the workers of the settings.

    Raises LeaseHeld if another process is at it: two would send everything twice; EmergencyStop while that is on.
    """
    done = 0
    Switch(store).check()

    def note(handled: int) -> None:
        nonlocal done
        progress("deliver", handled - done)
        done = handled

    progress("deliver", 0)
    with lease.hold(store, "delivery", settings.lease.seconds) as held:
        number = how_many(store, settings, on)
        if number > 1:
            return deliver_together(store, held, settings, on, number, note, goes_on)
        return deliver(store.fenced(held), settings, on=on, progress=note, goes_on=goes_on)
