"""Delivering what is queued, now: in a run, by command, or all day by the daemon. One at a time, by its own lease.

Where it pays, several processes work under that lease (`crew`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from lifecycle_jobs import lease
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.mail.crew import deliver_together, how_many
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch


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
