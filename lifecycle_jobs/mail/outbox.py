"""Delivery (SPEC §4): each queued message is put together, rendered, handed over, and what became of it recorded.

What holds at every moment, also if the process is killed: a message is queued until its fate is recorded, and on a
transport that cannot repeat (SMTP) no connection hands over a text before the fate of its last one is committed
(`senders`). So at most the one message that each connection had in hand goes out twice, with the same Message-ID.

The thread that calls `deliver` does all that is written to the database, in groups: it has a few letters written ahead
(`scribe`), puts them before the connections, and records what became of all that have ended in one transaction. Memory
does not grow with the number of messages.

If the database goes away meanwhile, nothing more is handed over, and what was is recorded as soon as it is back.

No text leaves that is not fresh: what it says was read a minute before it began, at most (`letters`).

No text leaves that the lease does not allow: beside the fence in every write, a text is handed over only while the
last look at the fence is less than half the lease old. Who was paused for longer than that, and woken, first has to
write, which fails if somebody has taken over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from typing import Final

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import EmergencyStop, RunStopped
from lifecycle_jobs.mail.eml_files import EmlFiles
from lifecycle_jobs.mail.fates import Fates
from lifecycle_jobs.mail.letters import Letter, Letters
from lifecycle_jobs.mail.records import Share
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.mail.scribe import Desk, HereAtFirst, Scribe, ScribeProcess
from lifecycle_jobs.mail.senders import Ended, Senders
from lifecycle_jobs.mail.signing import signer_for
from lifecycle_jobs.mail.smtp import Door, SmtpRelay
from lifecycle_jobs.mail.transports import Nowhere, Outcome, TemporaryFailure, Transport, Withheld, at_once
from lifecycle_jobs.pace import Pace
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import IN_FORCE, Switch

__all__ = ["DeliveryReport", "deliver", "open_transport"]

_AT_A_TIME: Final = 100
"""Messages that are put together at a time while connections wait for their letters to be recorded.

Several times so many are in memory, in two processes and as bytes between them: with 250 a long queue took 8 MiB more,
and no less time.
"""

_RECORDED_AT_A_TIME: Final = 250
"""The same where a message may be sent again: they are recorded together, in one transaction.

With 500 the two processes took 20 to 30 MiB more; with 100, on PostgreSQL, a fifth more time.
"""

_MANY: Final = 200
"""So many at once, and their letters are written in a process of its own, which takes half a second to start."""

_PATIENCE: Final = 0.05
"""Seconds after which a wait for the server looks whether the delivery is to end."""

_A_MOMENT: Final = 0.002
"""Seconds after which a wait for the server looks whether more letters are written."""

_REPLIES: Final = 10
"""A server may take its time-out for each of so many: for a connection, with TLS and password, and for one message."""

_NOTHING_LEFT: Final = object()


def deliver(
    store: Store,
    settings: Settings,
    *,
    on: date,
    progress: Callable[[int], None] | None = None,
    limit_to: Sequence[int] | None = None,
    transport: Transport | None = None,
    goes_on: Callable[[], bool] = at_once,
    share: Share | None = None,
    report: DeliveryReport | None = None,
    allowed: Callable[[], bool] = at_once,
) -> DeliveryReport:
    """Deliver what is queued and due on the business date `on`, the most urgent first, then the oldest.

    `limit_to` names the messages to deliver, where an operation wants only its own to go. `progress` is told how many
    were handled so far, again and again; it may raise RunStopped: then no message begins any more, what is in hand is
    recorded, and the error goes on. So does the emergency stop. Once `goes_on` says no, nothing more is read, and the
    report says that there may be more. `transport` is the configured one, over `mail.connections` connections, unless
    given; in a rehearsal nothing leaves.

    Where several processes deliver at once (`crew`), each has its `share` of the queue. It counts in the `report` that
    is given to it: once somebody says there why it has `stopped`, no message begins any more. Over connections a text
    leaves only while it is `allowed`.
    """
    if transport is not None:
        transports = [transport]
    elif store.rehearsing or settings.mail.transport == "files":
        transports = [open_transport(store, settings)]
    else:
        door = Door()
        transports = [SmtpRelay(settings.mail, door) for _ in range(settings.mail.connections)]
    return _Delivery(
        store,
        settings,
        on,
        transports,
        progress=progress or (lambda _handled: None),
        goes_on=goes_on,
        share=share,
        report=DeliveryReport() if report is None else report,
        allowed=allowed,
    ).run(limit_to)


def open_transport(store: Store, settings: Settings) -> Transport:
    """The way out that the settings name, for one message at a time.

    Raises ConfigurationError if its messages could not be signed as the settings ask for.
    """
    signer_for(settings.mail)
    if store.rehearsing:
        return Nowhere()
    return SmtpRelay(settings.mail) if settings.mail.transport == "smtp" else EmlFiles(settings.mail.directory)


class _Delivery:
    """One pass over the outbox."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        on: date,
        transports: Sequence[Transport],
        *,
        progress: Callable[[int], None],
        goes_on: Callable[[], bool],
        share: Share | None,
        report: DeliveryReport,
        allowed: Callable[[], bool],
    ) -> None:
        self._store = store
        self._mail = settings.mail
        self._on = on
        self._transports = transports
        self._progress = progress
        self._report = report
        self._share = share
        self._allowed = allowed
        self._repeatable = all(transport.repeatable for transport in transports)
        at_a_time = _RECORDED_AT_A_TIME if self._repeatable else _AT_A_TIME
        self._settings = settings
        self._open = ExitStack()
        self._letters = Letters(
            store,
            settings,
            on,
            self._open_desk,
            report,
            at_a_time=at_a_time,
            at_once=len(transports),
            goes_on=goes_on,
            share=share,
        )
        self._fates = Fates(store, settings, on, report, self._letters.settled)
        self._at_hand: Sequence[Ended[Letter]] = ()

    def run(self, only: Sequence[int] | None) -> DeliveryReport:
        """Deliver until nothing is left or nothing can leave."""
        with self._open:
            self._open.enter_context(self._fates.open())
            self._switch = Switch(self._store, self._open.enter_context(self._store.asking(IN_FORCE)))
            if self._repeatable:
                (transport,) = self._transports
                with transport:
                    self._one_by_one(transport, only)
            else:
                self._over_connections(only)
        return self._report

    def _open_desk(self, waiting: int) -> Desk:
        """Where letters are written: in a process of its own where there are so many that it pays to start one.

        One of several processes that deliver writes its own: two for each were tried, and took a quarter more of all
        cores, and half as much memory again.
        """
        here = Scribe(self._store, self._settings, self._on)
        if waiting < _MANY or self._store.rehearsing or self._share is not None:
            return here
        return HereAtFirst(here, self._open.enter_context(ScribeProcess(self._store, self._settings, self._on)))

    def _one_by_one(self, transport: Transport, only: Sequence[int] | None) -> None:
        """What may be sent again without harm is recorded a batch at a time."""
        for batch in self._letters.batches(only):
            told: list[tuple[Letter, Outcome]] = []
            try:
                for letter in batch:
                    self._switch.check()
                    if letter.good_for <= 0:
                        self._letters.read_again(letter)
                        continue
                    if not self._fates.surely_ours:
                        self._fates.prove()
                    told.append((letter, transport.send(letter.envelope)))
                    if _says_stop(told[-1][1]):
                        break
            except RunStopped:
                self._fates.record(told)
                raise
            self._fates.record(told)
            self._progress(self._report.handled)
            if self._report.stopped is not None:
                return

    def _over_connections(self, only: Sequence[int] | None) -> None:
        pace, consent = Pace(self._mail.messages_per_second), float(_REPLIES * self._mail.timeout)
        with Senders[Letter](self._transports, pace, self._may_hand_over, _good_for, consent) as senders:
            try:
                self._keep_busy(senders, self._flow(self._letters.batches(only)))
                while self._letters.to_read_again and not senders.ending:
                    self._keep_busy(senders, self._flow(self._letters.batches_again()))
            except Exception:
                known = [*self._at_hand, *senders.rest()]
                self._fates.record_at_last([(each.letter, each.outcome) for each in known], self._progress)
                raise

    def _keep_busy(self, senders: Senders[Letter], letters: Iterator[Letter | None]) -> None:
        enough = max(1, len(self._transports) // 2)
        try:
            nothing_left = False
            while senders.in_hand or not nothing_left:
                if senders.room and not nothing_left and senders.told < enough:
                    letter = next(letters, _NOTHING_LEFT)
                    nothing_left = letter is _NOTHING_LEFT
                    if isinstance(letter, Letter):
                        senders.put(letter, letter.envelope)
                        continue
                patience = _A_MOMENT if senders.room and not nothing_left else _PATIENCE
                self._settle(senders, senders.ended(patience))
                self._look_around()
                if self._report.stopped is not None:
                    self._finish(senders)
                    return
        except EmergencyStop:
            self._finish(senders)
            raise

    def _finish(self, senders: Senders[Letter]) -> None:
        """Begin no letter any more, and wait for those in hand as long as the server may take, or until told to stop.

        What a slow server takes after nobody waits for it any more would go out again.
        """
        senders.begin_no_more()
        while senders.in_hand:
            self._settle(senders, senders.ended(_PATIENCE))
            self._progress(self._report.handled)

    def _flow(self, batches: Iterator[Iterator[Letter]]) -> Iterator[Letter | None]:
        """All letters, with pauses to look around: very many may become moot one after the other."""
        for some in batches:
            while not self._letters.written:
                yield None
            yield from some
            yield None

    def _look_around(self) -> None:
        """Whether the delivery is to end, and whether the lease is still ours."""
        self._fates.prove_now_and_then()
        self._progress(self._report.handled)
        self._switch.check()

    def _may_hand_over(self) -> bool:
        return self._fates.surely_ours and self._allowed() and self._switch.stopped() is None

    def _settle(self, senders: Senders[Letter], ended: Sequence[Ended[Letter]]) -> None:
        if ended:
            self._at_hand = ended
            self._fates.record([(each.letter, each.outcome) for each in ended])
            self._at_hand = ()
            for each in ended:
                if isinstance(each.outcome, Withheld):
                    self._letters.read_again(each.letter)
            if self._report.stopped is not None:
                senders.begin_no_more()  # before any connection is free to hand over the next
            senders.release(ended)


def _good_for(letter: Letter) -> float:
    return letter.good_for


def _says_stop(outcome: Outcome) -> bool:
    return isinstance(outcome, TemporaryFailure) and outcome.unavailable
