"""THE day: which jobs run, in which order, and what happens around them (SPEC §3 and §5).

Start here to find a rule: each job is a file in `lifecycle_jobs.jobs` whose docstring states the rule.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import structlog
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from lifecycle_jobs import lease, runs
from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.faults import in_halves
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import charges
from lifecycle_jobs.engines import take_seats
from lifecycle_jobs.errors import LeaseHeld, RunStopped
from lifecycle_jobs.gates import check_plans
from lifecycle_jobs.jobs import auto_renew, delete, reconcile_charges, renew_addons, send_alerts, suspend
from lifecycle_jobs.jobs.actions import Action
from lifecycle_jobs.jobs.approvals import mark_of
from lifecycle_jobs.jobs.collecting import collector_for, patience_of
from lifecycle_jobs.jobs.crew import Crew
from lifecycle_jobs.jobs.task import Progress, Task
from lifecycle_jobs.mail import records
from lifecycle_jobs.mail.compose import compose, of_run, unfinished_operations
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.operators import Operator, approve_numbers
from lifecycle_jobs.payments import refunds
from lifecycle_jobs.payments.gateway import Gateway
from lifecycle_jobs.payments.gateways import open_gateway
from lifecycle_jobs.runs import JobReport, Run
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch, heeding
from lifecycle_jobs.watching.noticing import Unusual, notice

log = structlog.get_logger()

_OPERATIONS_DAYS = timedelta(days=31)
"""How far back a run looks for operations whose process died before it had written to the holder."""

JOBS: Sequence[tuple[str, str]] = (
    (reconcile_charges.NAME, "first: whoever has paid without our knowing it must not be charged, warned or suspended"),
    (auto_renew.NAME, "before add-ons and suspension: a renewal decides both"),
    (renew_addons.NAME, "renewals of boxes come first when credit is short; what is renewed is not written off"),
    (suspend.NAME, "only what nobody could renew today"),
    (delete.NAME, "after suspension, which sets suspended_on to today: nothing is suspended and deleted in one run"),
    (send_alerts.NAME, "last: it tells how things stand now, and stays silent to who was told of a decline"),
)
"""The order of the day, and why each job stands where it does."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a run was asked for beyond its date. Without `deliver` its messages wait for whoever delivers all day.

    `approve_suspensions` and `approve_deletions` let exactly so many go although they are too many. With a `plan`,
    known by its digest, no other boxes are suspended than `planned_suspensions`, and none deleted but
    `planned_deletions`; each where it is given.
    """

    since: date | None = None
    again: bool = False
    take_up: bool = False
    approve_suspensions: int | None = None
    approve_deletions: int | None = None
    deliver: bool = True
    plan: str | None = None
    planned_suspensions: frozenset[int] | None = None
    planned_deletions: frozenset[int] | None = None

    def approves(self, job: str) -> bool:
        """Whether a job may do what it has refused before."""
        numbers = {suspend.NAME: self.approve_suspensions, delete.NAME: self.approve_deletions}
        return numbers.get(job) is not None


@dataclass(slots=True)
class DayReport:
    """What a run did, or would do. `run_pass` is none if there was nothing to do.

    `failures` are for a person to act on; `unusual` is for a person to look at, and fails nothing.
    """

    on: date
    run_pass: int | None = None
    jobs: list[JobReport] = field(default_factory=list)
    queued: int = 0
    delivery: DeliveryReport = field(default_factory=DeliveryReport)
    unresolved_charges: int = 0
    failures: list[str] = field(default_factory=list)
    unusual: Sequence[Unusual] = ()
    would_do: Sequence[Action] | None = None
    compose_seconds: float = 0.0
    delivery_seconds: float = 0.0
    seconds: float = 0.0


Agree = Callable[[Wish], Wish]
"""Called when no other run can begin any more and nothing is done yet; what it raises leaves it at that."""


def run_day(
    store: Store,
    settings: Settings,
    on: date,
    operator: Operator,
    wish: Wish,
    progress: Progress,
    *,
    agree: Agree = lambda wish: wish,
) -> DayReport:
    """Do the day, or what is left of it, with the workers that the settings name.

    Raises LeaseHeld if another run is under way, EmergencyStop if it is on, ConfigurationError if there are no workers
    to be had.
    """
    started = time.perf_counter()
    Switch(store).check()
    progress = heeding(store, progress)
    with lease.hold(store, "run", settings.lease.seconds) as held, take_seats(settings.workers) as seats:
        fenced = store.fenced(held)
        crew = Crew(seats, store, settings, held) if seats else None
        wish = agree(wish)
        approve_numbers(
            fenced,
            operator,
            on,
            suspensions=wish.approve_suspensions,
            deletions=wish.approve_deletions,
            plan=wish.plan,
            suspended_boxes=None if wish.planned_suspensions is None else mark_of(wish.planned_suspensions),
            deleted_boxes=None if wish.planned_deletions is None else mark_of(wish.planned_deletions),
        )
        try:
            report = go_through(fenced, settings, open_gateway(settings), on, wish, progress, crew)
        except (OperationalError, InterfaceError, NoConnectionFree) as error:
            message = (
                f"The run of {on} stopped: the database does not work ({runs.describe(error)}). "
                "What was committed stays done; run the date again to continue."
            )
            raise RunStopped(message) from error
    report.seconds = time.perf_counter() - started
    return report


def go_through(
    store: Store,
    settings: Settings,
    gateway: Gateway,
    on: date,
    wish: Wish,
    progress: Progress,
    crew: Crew | None = None,
) -> DayReport:
    """The day itself, on a store on which it may write: for a run, or for a rehearsal of one."""
    check_plans(store, settings)
    report = DayReport(on)
    run = runs.begin(store, on, since=wish.since, again=wish.again, take_up=wish.take_up)
    if run is None:
        return report
    report.run_pass = run.run_pass
    with structlog.contextvars.bound_contextvars(business_date=on.isoformat(), run_pass=run.run_pass):
        with store.write() as connection:
            records.queue_parked_again(connection)
        report.jobs = _do_jobs(store, settings, gateway, run, wish, progress, crew)
        started = time.perf_counter()
        report.queued = _compose_all(store, settings, run, progress)
        composed = time.perf_counter()
        if wish.deliver:
            store.let_go()  # two processes work from here on, and neither needs what the jobs have read
            report.delivery = _deliver(store, settings, on, progress)
        report.compose_seconds = composed - started
        report.delivery_seconds = time.perf_counter() - composed
        with store.read() as connection:
            report.unresolved_charges = (
                connection.scalar(select(func.count()).select_from(charges).where(unresolved)) or 0
            )
        report.failures = _failures(store, report)
        report.unusual = _unusual(store, settings, wish, report)
        runs.finish(store, run, len(report.failures))
        log.info(
            "run_finished", failures=len(report.failures), unusual=len(report.unusual), messages=report.delivery.sent
        )
    return report


def _do_jobs(
    store: Store,
    settings: Settings,
    gateway: Gateway,
    run: Run,
    wish: Wish,
    progress: Progress,
    crew: Crew | None,
) -> list[JobReport]:
    work = work_of(settings, gateway, wish)
    with store.read() as connection:
        finished = runs.finished_jobs(connection, run)
    reports = []
    for name, _ in JOBS:
        share = None if crew is None else crew.share
        task = Task(name, store, run, settings.catalog(), settings.database.chunk_size, progress, share=share)
        # What was approved just now makes a refusal before an interruption void.
        if name in finished and not (finished[name].refused and wish.approves(name)):
            if name == reconcile_charges.NAME and auto_renew.NAME not in finished:
                # Only then can a charge have been cut off; later its event would come too late for its message.
                collector = collector_for(task, settings, gateway)
                reconcile_charges.resume(task, collector, patience_of(settings))
            reports.append(finished[name])
            continue
        started = time.perf_counter()
        runs.job_began(store, run, name)
        progress(name, 0)
        report = work[name](task)
        with store.read() as connection:
            report.done = runs.events_by_kind(connection, run, name) | report.done
        report.failures += [] if crew is None else crew.failures()
        report.seconds = time.perf_counter() - started
        runs.job_finished(store, run, report)
        log.info(
            "job_finished",
            job=name,
            done=report.done,
            skipped=report.skipped,
            parked=report.parked,
            seconds=round(report.seconds, 3),
        )
        reports.append(report)
    return reports


def work_of(settings: Settings, gateway: Gateway, wish: Wish) -> dict[str, Callable[[Task], JobReport]]:
    """Each job with the settings that only it needs."""
    return {
        reconcile_charges.NAME: lambda task: reconcile_charges.run(
            task, collector_for(task, settings, gateway), patience_of(settings)
        ),
        auto_renew.NAME: lambda task: auto_renew.run(
            task, collector_for(task, settings, gateway), settings.gateway.outage_limit
        ),
        renew_addons.NAME: renew_addons.run,
        suspend.NAME: lambda task: suspend.run(task, settings.watching, wish.planned_suspensions),
        delete.NAME: lambda task: delete.run(task, settings.deletion, settings.watching, wish.planned_deletions),
        send_alerts.NAME: lambda task: send_alerts.run(task, settings.deletion),
    }


def _compose_all(store: Store, settings: Settings, run: Run, progress: Progress) -> int:
    """Queue the messages of this run, and of earlier ones that never came so far."""
    with store.read() as connection:
        interrupted = runs.interrupted_before(connection, run.on)
        repeated = runs.repeated_dates(connection, run, "compose")
        sources = list(unfinished_operations(connection, run.on - _OPERATIONS_DAYS))
        for on in sorted({*repeated, *(each.on for each in interrupted), run.on}):
            sources += of_run(connection, on)
    progress("compose", 0)
    queued = 0
    for source in sources:
        queued += compose(
            store,
            source,
            chunk_size=settings.database.chunk_size,
            in_halves=lambda customers, apply: in_halves(
                customers,
                apply,
                lambda customer, error: runs.park(store, run, "compose", f"customer:{customer}", error, box_id=None),
            ),
        )
    for each in interrupted:
        runs.supersede(store, each)
    return queued


def _deliver(store: Store, settings: Settings, on: date, progress: Progress) -> DeliveryReport:
    if store.rehearsing:
        return DeliveryReport()
    from lifecycle_jobs.mail.delivery import deliver_all

    try:
        return deliver_all(store, settings, on, progress)
    except LeaseHeld:
        return DeliveryReport(elsewhere=True)


def _unusual(store: Store, settings: Settings, wish: Wish, report: DayReport) -> Sequence[Unusual]:
    """What is unusual; of e-mails, those of today if they have been handed over by now."""
    handed_over = wish.deliver and not store.rehearsing and not report.delivery.elsewhere
    found = notice(store, settings.watching, report.on, mail_of=report.on if handed_over else None)
    for each in found:
        log.warning("unusual", job=each.job, what=each.what, number=each.number, usual=each.usual)
    return found


def _failures(store: Store, report: DayReport) -> list[str]:
    """Everything about this run that a person must look at; each makes the exit code 1."""
    found = [failure for job in report.jobs for failure in job.failures]
    with store.read() as connection:
        found += left_for_a_person(connection)
    found += report.delivery.failures
    if report.delivery.stopped:
        found.append(f"Delivery stopped early: {report.delivery.stopped}. Later: lifecycle-jobs deliver")
    elif report.delivery.more:
        found.append("The mail server takes too long: messages still wait. Later: lifecycle-jobs deliver")
    return found


def left_for_a_person(connection: Connection, job: str | None = None) -> list[str]:
    """What is parked, by one job or at all, and payments that could not be used."""
    found = []
    # What was taken up and did not fail again is still `retrying`; finishing the run resolves it.
    parked = [row for row in runs.open_parked(connection) if row["state"] == "open" and job in {None, row["job"]}]
    to_refund = connection.scalar(select(func.count()).select_from(refunds.due().order_by(None).subquery())) or 0
    if parked:
        found.append(f"{len(parked)} rows are parked because they failed. See: lifecycle-jobs status")
    if to_refund:
        found.append(f"{to_refund} payments are to be refunded. See: lifecycle-jobs refunds list")
    return found
