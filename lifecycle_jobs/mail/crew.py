"""Several processes of this machine that deliver at once, each its share of the queue, under one lease.

Who calls `deliver_together` holds the lease, renews it, and writes nothing while the others work. They tell it how far
they are, so that progress and counts are those of all; whatever ends the work of one, the emergency stop, a mail server
that does not want to, a signal, ends that of all, each after what it has in hand.

A worker whose process ends, hangs or fails is given up: first it is made sure that it is dead, and when all others are
done, what is left in the queue is delivered here. So at most the one message that each of its connections had in hand
goes out twice, with the same Message-ID, as when a delivery is killed that works alone.

A server that has no connection for one of them may have some for the others: who was refused before it handed anything
over says nothing about the server. If it is out, each of the others finds that out itself.

Alternative: a queue in the database from which all take (FOR UPDATE SKIP LOCKED). One more write for each message; and
what one recipient gets in a day would have to be counted by all together.
"""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from queue import Empty, SimpleQueue
from typing import IO, Final, Literal, cast

import structlog

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.engines import given_up
from lifecycle_jobs.errors import EmergencyStop, LifecycleError
from lifecycle_jobs.lease import Lease
from lifecycle_jobs.mail import records, senders
from lifecycle_jobs.mail.beside import begin, receive, send
from lifecycle_jobs.mail.letters import due_by
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.mail.records import Share
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.mail.worker import Assignment, Order, Told
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.settings.mail import MailSettings

log = structlog.get_logger()

_WORTH_ONE = 1_000
"""So many messages for each, and it pays to start another process: to start costs as much as to deliver as many."""

_A_SECOND: Final = 250
"""So many messages a second one process hands over on a slow machine: who may send no more than that needs no other."""

_A_MOMENT: Final = 0.05
"""Seconds after which a wait for news looks whether the delivery is to end."""

_LISTENED_TO: Final = 1.0
"""Seconds at most that count as silence between two looks. Who was paused itself has heard nobody meanwhile, and must
not kill those who had a text in hand."""

_STARTS_WITHIN: Final = 60.0
"""Seconds more for the first word of a process, on a busy machine."""

_ENDS_WITHIN: Final = 10.0
"""Seconds for what is not waiting for a mail server: to record the last letters, and for a process to end."""


def how_many(store: Store, settings: Settings, on: date) -> int:
    """How many processes are to deliver what waits on that business date; 1 if nobody need help.

    Each has a connection of its own to the mail server. With Dask delivery is not shared: who hands letters over has to
    end when the lease does, and nobody here could make sure of that.
    """
    workers, mail = settings.workers, settings.mail
    most = workers.count if workers.engine == "local" else 1
    if mail.transport == "smtp":
        most = min(most, mail.connections, -(-mail.messages_per_second // _A_SECOND))
    if most == 1:
        return 1
    with store.read() as connection:
        waiting = records.number_waiting(connection, most * _WORTH_ONE, due_by(on, settings.zone))
    return max(1, waiting // _WORTH_ONE)


def deliver_together(
    store: Store,
    lease: Lease,
    settings: Settings,
    on: date,
    number: int,
    progress: Callable[[int], None],
    goes_on: Callable[[], bool],
) -> DeliveryReport:
    """Deliver what is queued and due in so many processes; all else is as in `outbox.deliver`.

    What a worker that died had done since its last word, a tenth of a second before, is done but not counted.
    """
    crew = _Crew(settings, progress, goes_on)
    url = store.engine.url.render_as_string(hide_password=False)
    try:
        for each, mail in enumerate(_shares(settings.mail, number)):
            own = settings.model_copy(update={"mail": mail})
            crew.start(Assignment(url, lease, own, on, Share(each, number)))
        crew.see_through()
    finally:
        crew.end()
    report = crew.report()
    if crew.something_is_left and report.stopped is None:
        deliver(store.fenced(lease), settings, on=on, progress=progress, goes_on=goes_on, report=report)
    return report


def _shares(mail: MailSettings, number: int) -> Iterator[MailSettings]:
    """The way out, divided: together they open no more connections, and begin no more a second, than one may."""
    for each in range(number):
        connections = _part(mail.connections, each, number) if mail.transport == "smtp" else mail.connections
        per_second = _part(mail.messages_per_second, each, number)
        yield mail.model_copy(update={"connections": connections, "messages_per_second": per_second})


def _part(whole: int, number: int, of: int) -> int:
    return whole // of + (number < whole % of)


class _Worker:
    """One of the other processes, and what is known of it. What it says is read by a thread at once."""

    def __init__(self, assignment: Assignment, news: SimpleQueue[tuple[_Worker, Told | None]]) -> None:
        self.name = f"worker {assignment.share.number + 1}"
        self.report = DeliveryReport()
        self.over = False
        self.patience = assignment.settings.workers.time_out + senders.LONGEST_WAIT
        self.silent_for = -_STARTS_WITHIN
        self._process = begin("lifecycle_jobs.mail.worker")
        self._incoming = cast("IO[bytes]", self._process.stdin)
        outgoing = cast("IO[bytes]", self._process.stdout)
        threading.Thread(target=self._read, args=(outgoing, news), name=self.name, daemon=True).start()
        self.tell(assignment)

    def tell(self, what: Assignment | Order) -> None:
        """Tell it something, if it still listens."""
        with suppress(BrokenPipeError):  # that it is gone is heard as well
            send(self._incoming, what)

    @property
    def hangs(self) -> bool:
        """Whether it has said nothing for longer than anything takes that it may wait for."""
        return self.silent_for > self.patience

    def kill(self) -> None:
        """Make sure that it is dead: PostgreSQL takes back what it had not committed, and nothing leaves any more."""
        self._process.kill()
        self.end()

    def end(self) -> None:
        """Wait until its process has ended; one that does not is killed."""
        self.over = True
        with suppress(BrokenPipeError):
            self._incoming.close()
        try:
            self._process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self, outgoing: IO[bytes], news: SimpleQueue[tuple[_Worker, Told | None]]) -> None:
        try:
            with suppress(EOFError), outgoing:
                while True:
                    news.put((self, receive(outgoing)))
        finally:
            news.put((self, None))


class _Crew:
    """All of them."""

    def __init__(self, settings: Settings, progress: Callable[[int], None], goes_on: Callable[[], bool]) -> None:
        self.something_is_left = False
        self._settings = settings
        self._progress = progress
        self._goes_on = goes_on
        self._workers: list[_Worker] = []
        self._news: SimpleQueue[tuple[_Worker, Told | None]] = SimpleQueue()
        self._given_up: Counter[str] = Counter()
        self._stopped: str | None = None
        self._error: LifecycleError | None = None
        self._looked_at = clock.running()

    def start(self, assignment: Assignment) -> None:
        """One more process, for its share."""
        self._workers.append(_Worker(assignment, self._news))

    def see_through(self) -> None:
        """Wait until all are done. Raises what `progress` raises and what ended one of them, after what is in hand."""
        reading = True
        try:
            while self._at_work:
                self._hear()
                self._progress(sum(worker.report.handled for worker in self._workers))
                if reading and not self._goes_on():
                    reading = False
                    self._order("no more")
        except Exception:
            self._stop()
            raise
        if self._error is not None:
            raise self._error

    def report(self) -> DeliveryReport:
        """What all did."""
        whole = DeliveryReport(stopped=self._stopped, failures=given_up(self._given_up, "deliver"))
        for worker in self._workers:
            whole.add(worker.report)
        return whole

    def end(self) -> None:
        """Nobody is left behind, whatever happened."""
        for worker in self._at_work:
            worker.kill()

    @property
    def _at_work(self) -> Sequence[_Worker]:
        return [worker for worker in self._workers if not worker.over]

    def _hear(self) -> None:
        """What has come in, after a moment at most; who is silent for too long is given up."""
        with suppress(Empty):
            heard = self._news.get(timeout=_A_MOMENT)
            while True:
                self._take(*heard)
                heard = self._news.get_nowait()
        passed, self._looked_at = clock.running() - self._looked_at, clock.running()
        for worker in self._at_work:
            worker.silent_for += min(passed, _LISTENED_TO)
            if worker.hangs:
                seconds = self._settings.workers.time_out
                self._give_up(worker, f"no answer within workers.time_out = {seconds} seconds")

    def _take(self, worker: _Worker, told: Told | None) -> None:
        if worker.over:
            return
        if told is None:
            self._give_up(worker, "its process ended, killed or out of memory")
            return
        worker.silent_for = 0.0
        worker.report = told.report
        if not told.ended:
            worker.tell(Order("go on"))
            return
        worker.end()
        if isinstance(told.error, str):
            self._give_up(worker, told.error)
        elif told.error is not None:
            self._ended_by(told.error)
        elif told.report.stopped is not None:
            self._ended_by_server(worker, told.report)

    def _ended_by(self, error: LifecycleError) -> None:
        """The emergency stop is heeded by each of them; anything else the others must be told."""
        if self._error is None:
            self._error = error
            if not isinstance(error, EmergencyStop):
                self._order("stop")

    def _ended_by_server(self, worker: _Worker, report: DeliveryReport) -> None:
        if self._stopped is not None or report.stopped is None:
            return
        if not report.sent and not report.deferred:
            self.something_is_left = True
            log.info("worker_not_let_in", worker=worker.name, why=report.stopped)
        else:
            self._stopped = report.stopped
            self._order("leave", report.stopped)

    def _give_up(self, worker: _Worker, why: str) -> None:
        worker.kill()
        self.something_is_left = True
        self._given_up[why] += 1
        log.warning("worker_given_up", worker=worker.name, job="deliver", why=why, left=len(self._at_work))

    def _order(self, what: Literal["no more", "leave", "stop"], why: str = "") -> None:
        for worker in self._at_work:
            worker.tell(Order(what, why))

    def _stop(self) -> None:
        """All are told to stop, and waited for no longer than a mail server is."""
        self._order("stop")
        until = clock.running() + senders.LONGEST_WAIT + _ENDS_WITHIN
        while self._at_work and clock.running() < until:
            self._hear()
