"""What a person asks for between two days: to look again at what has failed, or is not known."""

from __future__ import annotations

from lifecycle_jobs import lease, runs
from lifecycle_jobs.day import DayReport, Wish, left_for_a_person, run_day
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.jobs import reconcile_charges
from lifecycle_jobs.jobs.collecting import collector_for, patience_of
from lifecycle_jobs.jobs.task import Progress, Task
from lifecycle_jobs.mail.compose import compose_within
from lifecycle_jobs.operators import Operator, note_retry
from lifecycle_jobs.payments.gateways import open_gateway
from lifecycle_jobs.runs import JobReport, Run
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch, heeding


def take_up_parked(
    store: Store, settings: Settings, operator: Operator, progress: Progress, *, deliver: bool = True
) -> DayReport | None:
    """Take up everything that is parked, on the date of the latest completed run; none if nothing is.

    Raises what `run_day` raises.
    """
    with store.read() as connection:
        on = runs.latest_completed(connection)
        number = len(runs.open_parked(connection))
    if on is None or not number:
        return None
    note_retry(store, operator, number)
    return run_day(store, settings, on, operator, Wish(take_up=True, deliver=deliver), progress)


def reconcile(store: Store, settings: Settings, operator: Operator, progress: Progress) -> JobReport:
    """Look up every unresolved charge now, outside a run, and write to the holders concerned.

    Raises LeaseHeld while a run is under way, and EmergencyStop while that is on.
    """
    Switch(store).check()
    progress = heeding(store, progress)
    with lease.hold(store, "run", settings.lease.seconds) as held:
        fenced = store.fenced(held)
        origin = operator.operation()
        task = Task(
            job=reconcile_charges.NAME,
            store=fenced,
            run=Run(operator.on, 0, "everything", operator.on),
            catalog=settings.catalog(),
            chunk_size=settings.database.chunk_size,
            progress=progress,
            outside=origin,
        )
        collector = collector_for(task, settings, open_gateway(settings))
        report = reconcile_charges.run(task, collector, patience_of(settings))
        with fenced.write() as connection:
            compose_within(connection, str(origin.operation), operator.on)
        with fenced.read() as connection:
            report.done = runs.events_of_operation(connection, str(origin.operation), operator.on) | report.done
            report.failures += left_for_a_person(connection, reconcile_charges.NAME)
    return report
