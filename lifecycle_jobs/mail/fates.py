"""What became of letters, written down; and with that, whether the lease is surely still ours.

Each write asks for the fence, so the last one that succeeded says until when nobody else can have taken over. What is
counted is what is committed.

A server that refuses one message after the other for good, whoever they are to, does not mean the messages: it does not
know us any more, or our address is on a list. Then nobody's message is given up. The delivery ends for a person to look
at, and those it had refused are taken back into the queue. How it is told from addresses that have died: by recipients
at several domains, with none accepted among them; or by so many that no domain that died has them in a row.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import LeaseLost, RunStopped
from lifecycle_jobs.mail import records
from lifecycle_jobs.mail.answers import reply_code
from lifecycle_jobs.mail.discretion import without_addresses
from lifecycle_jobs.mail.letters import Letter
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.mail.transports import Accepted, Outcome, PermanentFailure, TemporaryFailure, Withheld
from lifecycle_jobs.pace import back_off
from lifecycle_jobs.settings import Settings

_TRIED_AGAIN_FOR: Final = 20.0
"""Seconds for which a database that went away is asked again and again to record what was handed over."""

_AGAIN_IN: Final = 0.5

_LONGEST_PAUSE: Final = timedelta(days=1)

_REFUSED_IN_A_ROW: Final = 20
_AT_DOMAINS: Final = 3
"""So many messages refused for good one after the other, to recipients at so many domains, and it is the server."""

_REFUSED_WHEREVER: Final = 100
"""So many, and it is the server in any case: there are providers whose holders are all at one domain."""


class Fates:
    """Records what became of letters, and counts it in the report. For one thread.

    `settled` is told the recipient of each that is recorded.
    """

    def __init__(
        self, store: Store, settings: Settings, on: date, report: DeliveryReport, settled: Callable[[str], None]
    ) -> None:
        self._store = store
        self._mail = settings.mail
        self._on = on
        self._zone = settings.zone
        self._report = report
        self._settled = settled
        self._refused: deque[Letter] = deque(maxlen=_REFUSED_WHEREVER)
        self._lease_seconds = settings.lease.seconds
        self._confirmed_at = clock.running()

    @contextmanager
    def open(self) -> Iterator[None]:
        """With a connection of its own for what is recorded most, for the length of the block."""
        with self._store.repeating(records.SENT) as self._sent:
            yield

    @property
    def surely_ours(self) -> bool:
        """Whether nobody can have taken the lease since it was last asked for."""
        return clock.running() - self._confirmed_at < self._lease_seconds / 2

    def prove(self) -> None:
        """Ask whether the lease is ours. Raises LeaseLost."""
        with self._writing():
            pass

    def prove_now_and_then(self) -> None:
        """The same, if it has not been asked for a while."""
        if clock.running() - self._confirmed_at > self._lease_seconds / 6:
            self.prove()

    def record(self, told: Sequence[tuple[Letter, Outcome]]) -> None:
        """Record what became of letters: first, in one transaction, of all that were simply accepted."""
        simply, others = list[tuple[Letter, Accepted]](), list[tuple[Letter, Outcome]]()
        for letter, outcome in told:
            if isinstance(outcome, Accepted) and not letter.was_parked:
                simply.append((letter, outcome))
            elif not isinstance(outcome, Withheld):
                others.append((letter, outcome))
        if simply:
            self._record_sent(simply)
        if others:
            self._record_others(others)
        for letter, outcome in told:
            if not isinstance(outcome, Withheld):
                self._settled(letter.recipient_key)

    def record_at_last(self, told: Sequence[tuple[Letter, Outcome]], progress: Callable[[int], None]) -> None:
        """Record what became of letters while the database may be away: what is not recorded goes out again.

        Each by itself, so that one that cannot be recorded does not keep the others from it. Gives up after a while,
        or when told to stop, or once the lease is lost.
        """
        until = clock.running() + _TRIED_AGAIN_FOR
        left = [each for each in told if not isinstance(each[1], Withheld)]
        with suppress(RunStopped, LeaseLost):
            while left:
                left = [each for each in left if not self._recorded_alone(*each)]
                if left:
                    progress(self._report.handled)
                    if clock.running() > until:
                        return
                    time.sleep(_AGAIN_IN)

    def _recorded_alone(self, letter: Letter, outcome: Outcome) -> bool:
        try:
            self._record_others([(letter, outcome)])
        except SQLAlchemyError:
            return False
        return True

    def _record_sent(self, accepted: Sequence[tuple[Letter, Accepted]]) -> None:
        began = clock.running()
        self._refused.clear()
        taken = self._sent([self._as_sent(letter, outcome.response) for letter, outcome in accepted])
        self._report.sent += taken
        self._report.redirected += taken if self._mail.redirect_to else 0
        if taken == len(accepted):
            self._confirmed_at = began
            return
        self.prove()  # the lease is ours: somebody has taken one of them out of the queue by hand

    def _as_sent(self, letter: Letter, response: str) -> dict[str, Any]:
        on = records.accepted_on(self._on, self._zone)
        return records.as_sent(letter.id, response, on, redirected=bool(self._mail.redirect_to))

    def _record_others(self, told: Sequence[tuple[Letter, Outcome]]) -> None:
        counted = DeliveryReport()
        with self._writing() as connection:
            ended = [letter for letter, outcome in told if self._recorded(connection, letter, outcome, counted)]
            records.resolve_parked(connection, [letter.id for letter in ended if letter.was_parked])
        self._report.add(counted)
        self._report.stopped = self._report.stopped or counted.stopped

    def _recorded(self, connection: Connection, letter: Letter, outcome: Outcome, counted: DeliveryReport) -> bool:
        """Record one of the others; whether that is the end of it."""
        match outcome:
            case Accepted(response):
                self._refused.clear()
                connection.execute(records.SENT, self._as_sent(letter, response))
                counted.sent += 1
                counted.redirected += bool(self._mail.redirect_to)
                return True
            case PermanentFailure(response):
                self._fail(connection, letter, response, counted)
                if reply_code(response) is not None:
                    self._refused.append(letter)
                return not self._refuses_all or not self._take_back(connection, response, counted)
            case TemporaryFailure(response, unavailable=unavailable, attempted=False):
                records.record_untried(connection, letter.id, response)
                if unavailable:
                    counted.stopped = without_addresses(response)
            case TemporaryFailure(response, unavailable=unavailable):
                # Only the server's own word about a message makes its time run out: while the server cannot be
                # reached, days of outage would otherwise cost some messages with every new try.
                about_it = not unavailable and reply_code(response) is not None
                if about_it and self._tried_for(letter.attempts) >= timedelta(days=self._mail.give_up_after):
                    self._fail(connection, letter, response, counted)
                    return True
                self._defer(connection, letter, response, counted, about_it=about_it)
                if unavailable:
                    counted.stopped = without_addresses(response)
        return False

    def _tried_for(self, attempts: int) -> timedelta:
        """How long a message has been tried, by the pauses between so many attempts.

        Not since it was written: one that was held back, or is sent again by hand, would fall at its first refusal.
        """
        return sum((self._pause_after(attempt) for attempt in range(attempts)), timedelta())

    def _pause_after(self, attempt: int) -> timedelta:
        pauses = self._mail.retry_after
        return min(timedelta(minutes=pauses[min(attempt, len(pauses) - 1)]), _LONGEST_PAUSE)

    def _fail(self, connection: Connection, letter: Letter, response: str, counted: DeliveryReport) -> None:
        records.record_failed(connection, {letter.id: response}, handed_over=True)
        counted.failed += 1

    def _defer(
        self, connection: Connection, letter: Letter, response: str, counted: DeliveryReport, *, about_it: bool
    ) -> None:
        # What says nothing about the message makes the pauses longer, to the longest, but uses none of its time up.
        attempts = letter.attempts + 1
        if not about_it:
            attempts = max(letter.attempts, min(attempts, len(self._mail.retry_after)))
        pause = timedelta(minutes=back_off(self._mail.retry_after, letter.attempts))
        records.record_deferred(connection, letter.id, response, min(pause, _LONGEST_PAUSE), attempts)
        counted.deferred += 1

    @property
    def _refuses_all(self) -> bool:
        if len(self._refused) == _REFUSED_WHEREVER:
            return True
        latest = list(self._refused)[-_REFUSED_IN_A_ROW:]
        domains = {letter.envelope.recipient.domain for letter in latest}
        return len(latest) == _REFUSED_IN_A_ROW and len(domains) >= _AT_DOMAINS

    def _take_back(self, connection: Connection, response: str, counted: DeliveryReport) -> int:
        """Those refused go back into the queue; how many did.

        Not to its head at once: if it was their addresses after all, they would end the next delivery too, and nobody
        else's message would ever leave.
        """
        pauses = {letter.id: timedelta(minutes=back_off(self._mail.retry_after, 1)) for letter in self._refused}
        taken_back = records.take_back(connection, pauses)
        counted.failed -= taken_back
        counted.deferred += taken_back
        counted.stopped = (
            f"the mail server refuses one message after the other, whoever it is to: {without_addresses(response)}"
        )
        return taken_back

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction, which proves that the lease was ours when it began."""
        began = clock.running()
        with self._store.write(durable=False) as connection:
            yield connection
        self._confirmed_at = began
