"""The day as it would go: the same code on the same data, and at the end everything is taken back.

Why not ask the jobs' queries what they would find, without writing: each job works on what those before it have left.
What is suspended depends on what could be renewed, and whether credit is enough for an add-on on the add-on before it.
To tell that without writing, every rule would have to be stated a second time, and one day the two would differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date

import structlog

from lifecycle_jobs import lease
from lifecycle_jobs.day import DayReport, Wish, go_through
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import LeaseHeld
from lifecycle_jobs.jobs.actions import Action, actions, charges_before
from lifecycle_jobs.jobs.task import Progress
from lifecycle_jobs.operators import Operator, approve_numbers
from lifecycle_jobs.payments.gateways import open_gateway
from lifecycle_jobs.settings import Settings

Witness = Callable[[Iterable[Action]], None]
"""Shown what a rehearsal has done, before it is taken back."""


def dry_run(
    store: Store, settings: Settings, on: date, operator: Operator, wish: Wish, progress: Progress
) -> DayReport:
    """What `run_day` would do, with a list of it."""
    would_do: list[Action] = []
    report = rehearse_day(store, settings, on, operator, wish, progress, would_do.extend)
    report.would_do = would_do
    return report


def rehearse_day(
    store: Store, settings: Settings, on: date, operator: Operator, wish: Wish, progress: Progress, witness: Witness
) -> DayReport:
    """What `run_day` would do, with nobody called or mailed; messages are composed, but not delivered.

    While it lasts it holds what it writes, so it is refused (LeaseHeld) while a run is under way.
    """
    with store.read() as connection:
        under_way = lease.holder(connection, "run")
    if under_way is not None:
        message = f"A run is under way (process {under_way.pid}); a dry run would stand in its way. Try again later."
        raise LeaseHeld(message)
    return rehearse_in_run(store, settings, on, operator, wish, progress, witness)


def rehearse_in_run(
    store: Store, settings: Settings, on: date, operator: Operator, wish: Wish, progress: Progress, witness: Witness
) -> DayReport:
    """The same for the run that is under way itself, before it begins. The store is one without a fence."""
    started = time.perf_counter()
    with store.rehearse() as rehearsal:
        with rehearsal.read() as connection:
            before = charges_before(connection, on)
        approve_numbers(rehearsal, operator, on, suspensions=wish.approve_suspensions, deletions=wish.approve_deletions)
        # Whoever reads the log must not take it for a day that was done.
        with structlog.contextvars.bound_contextvars(rehearsal=True):
            report = go_through(rehearsal, settings, open_gateway(settings).rehearse(), on, wish, progress)
        with rehearsal.read() as connection:
            witness(() if report.run_pass is None else actions(connection, on, report.run_pass, before))
    report.seconds = time.perf_counter() - started
    return report
