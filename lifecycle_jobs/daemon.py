"""The daemon: wakes up, asks the database what is owed, and does it.

Each *duty* is one of the program's commands, done by itself: the day at `schedule.hour`, delivery and webhooks all day,
a look at charges of which nobody knows every hour. APScheduler only wakes. What is owed is read from the database each
time, so that a missed hour, a restart, a clock change or two daemons at once make no difference: a duty that comes too
early finds nothing to do, one that comes late does what is left.

Several daemons may run on one database. One of them *leads*: it holds the lease `daemon` and does all duties; the
others stand by and take over when the lease ends. Each duty takes its own lease besides, as the commands do, because
clerks type commands while the daemon works; that lease is what fences its writes.

No duty begins while the emergency stop is on, while a gap is suspected (SPEC §5: nothing is charged, mailed or changed
until a person has confirmed it), or while the database has another version than this program. A daemon that suspects
a gap does not lead: on another machine the clock may be right.

How the duties are woken is told in `waking`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import structlog
from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from lifecycle_jobs import between_runs, clock, day, lease, stops, waking
from lifecycle_jobs.console import Console
from lifecycle_jobs.db import schema
from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import charges, runs, top_up_charges
from lifecycle_jobs.errors import (
    ConfigurationError,
    DatabaseNotReady,
    LeaseHeld,
    LeaseLost,
    LifecycleError,
    StopRequested,
)
from lifecycle_jobs.gates import suspected_gap
from lifecycle_jobs.jobs.task import Progress
from lifecycle_jobs.lease import Lease
from lifecycle_jobs.mail import delivery
from lifecycle_jobs.monitoring import Monitoring, Vitals, ping
from lifecycle_jobs.notices import settle_notices
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.top_up_charges import unresolved_top_up
from lifecycle_jobs.report.pages import check_templates
from lifecycle_jobs.report.sending import send_due
from lifecycle_jobs.runs import describe
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.webhooks.deliver import deliver_webhooks

log = structlog.get_logger()

LEASE: Final = "daemon"
ACTOR: Final = "daemon"
"""Who acts, in the history, where a duty does what a clerk could have typed."""

_REMIND_EVERY: Final = 3600.0
"""Seconds between two complaints about the same thing that waits for a person."""

_PASS: Final = 300.0
"""Seconds after which a delivery looks anew for what is most urgent."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that the daemon does by itself, every so many seconds."""

    name: str
    every: int
    do: Callable[[date, Progress], None]


def owed(connection: Connection, settings: Settings, now: datetime) -> date | None:
    """The business date whose run is owed at a moment: today's, from `schedule.hour` on, until it is completed.

    Dates that were missed are not owed one by one: today's run catches them up (SPEC §1, W).
    """
    there = now.astimezone(settings.zone)
    if there.hour < settings.schedule.hour:
        return None
    on = there.date()
    state = connection.scalar(select(runs.c.state).where(runs.c.run_on == on))
    return None if state == "completed" else on


class Daemon:
    """All duties of one process. `do` performs one; `serve` performs them all until it is told to stop."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.vitals = Vitals()
        self._store = store
        self.settings = settings
        self._stopping = threading.Event()
        self._not_leading = threading.Event()
        self._leadership: Lease | None = None
        self._stood_by = False
        self._busy = {duty.name: threading.Lock() for duty in self.duties()}
        self._reminded_at: dict[str, float] = {}

    def duties(self) -> tuple[Duty, ...]:
        """What the daemon does, and how often it looks."""
        schedule = self.settings.schedule
        return (
            Duty("day", schedule.check_every, self._day),
            Duty("deliver", schedule.deliver_every, self._deliver),
            Duty("webhooks", schedule.deliver_every, self._webhooks),
            Duty("reconcile", schedule.reconcile_every, self._reconcile),
            Duty("notices", schedule.check_every, self._notices),
            Duty("report", schedule.deliver_every, self._report),
        )

    def stop(self) -> None:
        """Ask for an orderly end: nothing new begins, what is in hand is finished and recorded."""
        self._stopping.set()
        self._not_leading.set()

    def serve(self) -> None:
        """Lead or stand by until stopped.

        Raises ConfigurationError if a template is broken or the monitoring's address is not to be had, and
        DatabaseNotReady if the schema is not this program's. A database that does not answer is waited for.
        """
        self._require_templates()
        with self._watched():
            self._wait_for_database()
            log.info("daemon_started", hour=self.settings.schedule.hour, zone=self.settings.business.zone)
            while not self._stopping.is_set():
                try:
                    self._lead_if_free()
                except (SQLAlchemyError, LifecycleError) as error:
                    self._remind("daemon_waits", why=_class_and_reason(error))
                self.vitals.tick()
                waking.wait(self._stopping, min(self.settings.schedule.check_every, self.settings.lease.seconds / 3))
        log.info("daemon_stopped")

    def do(self, name: str) -> None:
        """Perform one duty now, if nothing forbids it. Never raises: what went wrong is logged, and tried next time."""
        self.vitals.tick()
        duty = next(duty for duty in self.duties() if duty.name == name)
        if self._leadership is not None and self._not_leading.is_set():
            return
        if not self._busy[name].acquire(blocking=False):
            return  # still at it since the last time
        on = clock.business_date(self.settings.zone)
        try:
            with (
                structlog.contextvars.bound_contextvars(duty=name, business_date=on.isoformat()),
                self.vitals.at(name),
            ):
                if self._may_work(on):
                    duty.do(on, self._progress)
        except LeaseHeld as error:
            log.info("duty_left_to_another", duty=name, why=str(error))
        except StopRequested:
            log.info("duty_stopped", duty=name)
        except LeaseLost as error:
            log.warning("duty_lost_its_lease", duty=name, why=str(error))
        except (LifecycleError, SQLAlchemyError) as error:
            why = _class_and_reason(error)
            log.error("duty_failed", duty=name, why=why)  # noqa: TRY400 -- one line that says what to do; a traceback may quote rows
        except Exception:  # a daemon outlives what goes wrong: the next time may be better
            log.exception("duty_failed", duty=name)
        finally:
            self._busy[name].release()

    # What each duty does

    def _day(self, _on: date, progress: Progress) -> None:
        with self._store.read() as connection:
            due = owed(connection, self.settings, clock.now())
        if due is None:
            return
        report = day.run_day(self._store, self.settings, due, self._operator(due), day.Wish(deliver=False), progress)
        if report.run_pass is not None and not report.failures and self.settings.monitoring.heartbeat_url:
            ping(self.settings.monitoring.heartbeat_url, lambda: not self._not_leading.is_set())

    def _deliver(self, on: date, progress: Progress) -> None:
        """In passes: each begins with what is most urgent by then, and none outlasts the business date it goes by."""
        more = True
        while more and clock.business_date(self.settings.zone) == on:
            report = delivery.deliver_now(self._store, self.settings, on, progress, self._for_one_pass(on))
            if report.handled:
                log.info(
                    "delivered", sent=report.sent, moot=report.moot, failed=report.failed, deferred=report.deferred
                )
            if report.stopped:
                self._remind("delivery_stopped", why=report.stopped)
            elif report.more and not report.handled:
                self._remind(
                    "delivery_too_slow", why="what was to leave had grown too old before the mail server took it"
                )
            more = report.more and report.handled > 0

    def _for_one_pass(self, on: date) -> Callable[[], bool]:
        until = clock.running() + _PASS
        return lambda: clock.running() < until and clock.business_date(self.settings.zone) == on

    def _webhooks(self, _on: date, progress: Progress) -> None:
        deliver_webhooks(self._store, self.settings, progress)

    def _reconcile(self, on: date, progress: Progress) -> None:
        with self._store.read() as connection:
            waiting = [
                connection.scalar(select(table.c.id).where(without_answer).limit(1))
                for table, without_answer in ((charges, unresolved), (top_up_charges, unresolved_top_up))
            ]
        if waiting != [None, None]:
            between_runs.reconcile(self._store, self.settings, self._operator(on), progress)

    def _notices(self, on: date, progress: Progress) -> None:
        settle_notices(self._store, self.settings, self._operator(on), progress)

    def _report(self, on: date, progress: Progress) -> None:
        send_due(self._store, self.settings, on, progress)

    # Whether work may be done

    def _may_work(self, on: date) -> bool:
        """Whether nothing forbids to begin; what does is said loudly, once an hour."""
        self._still_leading()
        self._require_schema()
        with self._store.read() as connection:
            stop = stops.in_force(connection)
            latest = suspected_gap(connection, self.settings, on)
        if stop is not None:
            self._remind("emergency_stop_is_on", since=stop.since.isoformat(), by=stop.actor, why=stop.why)
        if latest is not None:
            self._complain_of_gap(latest)
            if self._leadership is not None:
                self._not_leading.set()
        return stop is None and latest is None

    def _still_leading(self) -> None:
        if self._leadership is None:
            return  # a single duty, done by hand
        try:
            with self._store.read() as connection:
                self._leadership.check(connection)
        except LeaseLost:
            self._not_leading.set()
            raise

    def _require_templates(self) -> None:
        """The operator's own: those shipped were tried before they were, and trying all takes seconds."""
        directory = self.settings.templates.directory
        problems = [] if directory is None else check_templates(directory)
        if problems:
            listed = "\n".join(f"  {problem}" for problem in problems)
            raise ConfigurationError(f"The templates cannot be used:\n{listed}")

    def _require_schema(self) -> None:
        with self._store.read() as connection:
            found = schema.version(connection)
        if found != schema.HEAD:
            message = (
                f"The database schema is at version {found}, this program needs {schema.HEAD}. Upgrade the "
                "database (lifecycle-jobs db upgrade) or restart the daemon with the program that did."
            )
            raise DatabaseNotReady(message)

    def _progress(self, _name: str, _rows: int) -> None:
        if self._not_leading.is_set():
            raise StopRequested("The daemon was asked to stop. What was committed stays done.")

    # Leading and standing by

    def _wait_for_database(self) -> None:
        while not self._stopping.is_set():
            try:
                schema.require_ready(self._store)
            except SQLAlchemyError as error:
                self._remind("daemon_waits", why=_class_and_reason(error))
                self.vitals.tick()
                waking.wait(self._stopping, self.settings.schedule.check_every)
            else:
                return

    @contextmanager
    def _watched(self) -> Iterator[None]:
        with ExitStack() as open_to_others:
            if self.settings.monitoring.listen:
                open_to_others.enter_context(Monitoring(self._store, self.settings, self.vitals))
            if self.settings.console.listen:
                open_to_others.enter_context(Console(self.settings, owner=ACTOR))
            yield

    def _lead_if_free(self) -> None:
        self._require_schema()
        on = clock.business_date(self.settings.zone)
        with self._store.read() as connection:
            latest = suspected_gap(connection, self.settings, on)
        if latest is not None:
            self._complain_of_gap(latest)
            return
        try:
            with lease.hold(self._store, LEASE, self.settings.lease.seconds) as held:
                self._lead(held)
        except LeaseHeld as error:
            if not self._stood_by:
                log.info("daemon_stands_by", why=str(error))
            self._stood_by = True

    def _lead(self, held: Lease) -> None:
        """Do all duties until stopped, or until the lead was lost."""
        self._not_leading.clear()
        if self._stopping.is_set():
            return
        self._leadership = held
        self._stood_by = False
        self._reminded_at.clear()
        self.vitals.become("leader")
        log.info("daemon_leads")
        try:
            with waking.scheduled(
                {duty.name: duty.every for duty in self.duties()}, self.do, self.settings
            ) as scheduler:
                waking.watch_the_clock(scheduler, self._not_leading)
        finally:
            self._leadership = None
            self.vitals.become("standby")
            log.info("daemon_leads_no_more")

    def _complain_of_gap(self, latest: date) -> None:
        self._remind("gap_suspected", latest_completed=latest.isoformat(), what_to_do="lifecycle-jobs confirm-gap")

    def _operator(self, on: date) -> Operator:
        return Operator(ACTOR, None, on)

    def _remind(self, event: str, **values: object) -> None:
        now = time.monotonic()
        if now - self._reminded_at.get(event, -_REMIND_EVERY) >= _REMIND_EVERY:
            self._reminded_at[event] = now
            log.error(event, **values)


def _class_and_reason(error: Exception) -> str:
    """An error in one line, without what a database quotes of a row."""
    return str(error) if isinstance(error, LifecycleError) else describe(error)
