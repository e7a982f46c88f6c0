"""One pass over the webhooks that wait: at least once each, in order for each box.

What holds at every moment, also if the process is killed: an event is pending until a 2xx to it is committed. So at
most the requests in flight at that moment are made twice, under the same ids.

Events of one box go one after the other: one is chosen only when no earlier one of its box is pending. Events of
different boxes go side by side, and a box whose event is refused holds up nobody else.

A pass goes over the queue in sweeps, from the lowest number to the highest, as long as a sweep delivers anything: what
followed on something in the same box has its turn in the next one. Memory does not grow with what waits.

A receiver that is out is not hammered: each pass begins with one request at a time until one is answered, and ends
after a few in a row that were not. What is refused is never given up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from lifecycle_jobs import clock, lease
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import RunStopped
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch
from lifecycle_jobs.webhooks import records, take_up, waiting
from lifecycle_jobs.webhooks.envelope import Envelope, written
from lifecycle_jobs.webhooks.records import Answer, Delivery
from lifecycle_jobs.webhooks.requests_in_flight import Ended, Receiver, RequestsInFlight

NAME: Final = "webhooks"
"""Of the lease, and of the work in progress."""

_READ_AT_A_TIME: Final = 2000
_PATIENCE: Final = 0.1
"""Seconds after which a wait for answers looks whether work is to stop."""

_SWEEP_SECONDS: Final = 60
"""Then it is begun anew, so that new events, and what was refused for a while, need not wait for a long queue."""

_OUT_AFTER: Final = 3
"""Requests in a row without an answer, in order of completion."""

_REFUSED_AFTER: Final = 100
"""Requests in a row that were refused: not these events are wrong, the receiver is."""

log = structlog.get_logger()


@dataclass(slots=True)
class WebhookReport:
    """Requests that were taken and that failed, what still waits, and why the pass ended early, if it did."""

    delivered: int = 0
    failed: int = 0
    waiting: int = 0
    stopped: str | None = None


def deliver_webhooks(store: Store, settings: Settings, progress: Callable[[str, int], None]) -> WebhookReport:
    """Take up the events that are new, and deliver what is due. Does nothing while `webhooks.url` is empty.

    Raises LeaseHeld if another process is at it, EmergencyStop while that is on, and what `progress` raises, once what
    was in flight has ended and is recorded.
    """
    if not settings.webhooks.url:
        return WebhookReport()
    switch = Switch(store)

    def advance(number: int) -> None:
        progress(NAME, number)
        switch.check()

    advance(0)
    with lease.hold(store, NAME, settings.lease.seconds) as held:
        pass_ = _Pass(store.fenced(held), settings, advance, lambda: switch.stopped() is None)
        began = time.monotonic()
        try:
            return pass_.run()
        finally:
            _log(pass_.report, time.monotonic() - began)


class _Pass:
    """One pass, and how it goes."""

    def __init__(
        self, store: Store, settings: Settings, advance: Callable[[int], None], may_begin: Callable[[], bool]
    ) -> None:
        self.report = WebhookReport()
        self._store = store
        self._settings = settings
        self._advance = advance
        self._may_begin = may_begin
        self._anybody_there = False
        self._unanswered_in_a_row = 0
        self._refused_in_a_row = 0

    def run(self) -> WebhookReport:
        """Sweep until nothing more can be delivered."""
        hooks = self._settings.webhooks
        with RequestsInFlight(Receiver(hooks), hooks.concurrency, self._written, self._may_begin) as requests:
            try:
                while self._sweep(requests):
                    pass
            except RunStopped:
                # An orderly stop: what the receiver is working on gets its answer, and the answer is recorded.
                requests.stop()
                while requests.in_flight:
                    self._record(requests.ended(_PATIENCE))
                self._count_waiting()
                raise
        self._count_waiting()
        return self.report

    def _count_waiting(self) -> None:
        with self._store.read() as connection:
            self.report.waiting = waiting.number(connection, clock.now())

    def _written(self, delivery: Delivery) -> Envelope:
        return written(delivery, self._settings.mail.message_id_domain)

    def _sweep(self, requests: RequestsInFlight) -> bool:
        """Once over the queue; whether it is worth another one."""
        now, until = clock.now(), time.monotonic() + _SWEEP_SECONDS
        take_up.take_up(self._store, now, chunk_size=self._settings.database.chunk_size, advance=self._advance)
        delivered_before = self.report.delivered
        queue = self._due(now)
        upcoming = next(queue, None)
        while upcoming is not None or requests.in_flight:
            while upcoming is not None and requests.in_flight < self._most_in_flight:
                self._advance(0)
                requests.begin(upcoming)
                upcoming = next(queue, None)
            ended = requests.ended(_PATIENCE)
            self._record(ended)
            self._advance(len(ended))
            if self.report.stopped is not None or time.monotonic() >= until:
                upcoming = None
        return self.report.stopped is None and self.report.delivered > delivered_before

    def _due(self, at: datetime) -> Iterator[Delivery]:
        after = 0
        while True:
            with self._store.read() as connection:
                found = records.due(connection, after=after, at=at, span=_READ_AT_A_TIME)
            if found is None:
                return
            deliveries, after = found
            yield from deliveries

    @property
    def _most_in_flight(self) -> int:
        return self._settings.webhooks.concurrency if self._anybody_there else 1

    def _record(self, ended: Sequence[Ended]) -> None:
        """Record all answers at once."""
        answers = [(each.delivery, each.answer) for each in ended if each.answer is not None]
        if not answers:
            return
        with self._store.write(durable=False) as connection:
            records.record(connection, answers, clock.now(), self._settings.webhooks.back_off)
        for _, answer in answers:
            self._judge(answer)

    def _judge(self, answer: Answer) -> None:
        """Count it, and see whether there is any point in going on."""
        if answer.taken:
            self.report.delivered += 1
            self._anybody_there = True
            self._unanswered_in_a_row = self._refused_in_a_row = 0
            return
        self.report.failed += 1
        self._refused_in_a_row += 1
        self._anybody_there = self._anybody_there or answer.reached
        self._unanswered_in_a_row = 0 if answer.reached else self._unanswered_in_a_row + 1
        if self._unanswered_in_a_row >= _OUT_AFTER:
            self.report.stopped = f"the receiver is out ({answer.said})"
        elif self._refused_in_a_row >= _REFUSED_AFTER:
            self.report.stopped = f"the receiver refuses everything ({answer.said})"


def _log(report: WebhookReport, seconds: float) -> None:
    if report.delivered or report.failed:
        log.info(
            "webhooks_delivered",
            delivered=report.delivered,
            failed=report.failed,
            waiting=report.waiting,
            stopped=report.stopped,
            seconds=round(seconds, 3),
        )
