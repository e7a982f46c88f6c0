"""One of several processes that deliver at once: it has a share of the queue, and does with it what one alone does.

Who started it (`crew`) holds the lease. It writes under that lease, so that once it is lost nothing more is recorded;
and its texts leave only while it has just heard from there: who is paused, or gone, does not renew a lease.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import IO, Final, Literal

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.errors import LifecycleError, StopRequested
from lifecycle_jobs.lease import Lease
from lifecycle_jobs.mail.beside import at_work, receive, send
from lifecycle_jobs.mail.discretion import describe
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.mail.records import Share
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.settings import Settings

TELLS_EVERY: Final = 0.1
"""Seconds after which a worker says how far it is, and hears that it is heard."""

_STOPPED: Final = "This worker was told to stop. What had left is recorded, the rest stays in the queue."


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that a worker must know. The settings say how much of the way out is its own: connections, and how fast."""

    database: str = field(repr=False)
    lease: Lease
    settings: Settings = field(repr=False)
    on: date
    share: Share


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is told, and when, by a clock that all processes of this machine share.

    `go on`: it was heard. `no more`: read nothing more. `leave`: begin no letter any more, because of what the mail
    server said to another. `stop`: as soon as may be.
    """

    what: Literal["go on", "no more", "leave", "stop"]
    why: str = ""
    at: float = field(default_factory=clock.running)


@dataclass(frozen=True, slots=True)
class Told:
    """How far a worker is. At its end also what ended it, if it did not come to the end of its share."""

    report: DeliveryReport
    ended: bool = False
    error: LifecycleError | str | None = None


class _Orders:
    """What has come in, read by a thread of its own."""

    def __init__(self, incoming: IO[bytes], lease_seconds: int) -> None:
        self.read_on = True
        self._incoming = incoming
        self._lease_seconds = lease_seconds
        self._stop = False
        self._leave: str | None = None
        self._heard_at = 0.0
        threading.Thread(target=self._hear, name="orders", daemon=True).start()

    def allowed(self) -> bool:
        """Whether a text may leave: who holds the lease was there a moment ago."""
        return clock.running() - self._heard_at < self._lease_seconds / 2

    def obey(self, report: DeliveryReport) -> None:
        """Raises StopRequested if that was ordered."""
        if self._stop:
            raise StopRequested(_STOPPED)
        if self._leave is not None and report.stopped is None:
            report.stopped = self._leave

    def _hear(self) -> None:
        with suppress(EOFError, OSError):
            while not self._stop:
                self._heed(receive(self._incoming))
        self._stop = True  # who gave the orders is gone

    def _heed(self, order: Order) -> None:
        self._heard_at = order.at
        match order.what:
            case "no more":
                self.read_on = False
            case "leave":
                self._leave = order.why
            case "stop":
                self._stop = True


class _Teller:
    def __init__(self, outgoing: IO[bytes]) -> None:
        self._outgoing = outgoing
        self._told_at = 0.0

    def now_and_then(self, report: DeliveryReport) -> None:
        if clock.running() - self._told_at >= TELLS_EVERY:
            self.tell(Told(report))

    def tell(self, told: Told) -> None:
        with suppress(BrokenPipeError):  # nobody is there any more: the orders say so too
            send(self._outgoing, told)
        self._told_at = clock.running()


def serve() -> None:
    """The process of a worker: its assignment comes in first, then orders; how far it is goes out."""
    with suppress(EOFError, BrokenPipeError), at_work() as (incoming, outgoing):
        assignment: Assignment = receive(incoming)
        settings = assignment.settings
        orders, teller = _Orders(incoming, settings.lease.seconds), _Teller(outgoing)
        teller.tell(Told(DeliveryReport()))
        teller.tell(_done(assignment, settings, orders, teller))


def _done(assignment: Assignment, settings: Settings, orders: _Orders, teller: _Teller) -> Told:
    report = DeliveryReport()

    def progress(_handled: int) -> None:
        orders.obey(report)
        teller.now_and_then(report)

    # What it has in hand when it is killed is given back at once, and when it hangs, in time: see `open_store`.
    name = f"lifecycle-jobs worker {os.getpid()}"
    store = open_store(assignment.database, time_out=settings.workers.time_out, name=name)
    try:
        deliver(
            store.fenced(assignment.lease),
            settings,
            on=assignment.on,
            progress=progress,
            goes_on=lambda: orders.read_on,
            share=assignment.share,
            report=report,
            allowed=orders.allowed,
        )
    except LifecycleError as error:
        return Told(report, ended=True, error=error)
    except Exception as error:  # noqa: BLE001 -- told in a sentence: what a database says of a row may not travel
        return Told(report, ended=True, error=describe(error))
    return Told(report, ended=True)
