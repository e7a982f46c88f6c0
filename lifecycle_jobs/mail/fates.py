"""What became of letters, written down; and with that, whether the lease is surely still ours.

Each write asks for the fence, so the last one that succeeded says until when nobody else can have taken over.
"""

from __future__ import annotations

import time
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
            with self._writing() as connection:
                resolved = [letter for letter, outcome in others if self._recorded(connection, letter, outcome)]
                records.resolve_parked(connection, [letter.id for letter in resolved if letter.was_parked])
        for letter, _ in told:
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
            with self._writing() as connection:
                if self._recorded(connection, letter, outcome) and letter.was_parked:
                    records.resolve_parked(connection, [letter.id])
        except SQLAlchemyError:
            return False
        return True

    def _record_sent(self, accepted: Sequence[tuple[Letter, Accepted]]) -> None:
        began = clock.running()
        if self._sent([self._as_sent(letter, outcome.response) for letter, outcome in accepted]) == len(accepted):
            self._confirmed_at = began
            return
        self.prove()  # the lease is ours: somebody has taken one of them out of the queue by hand

    def _as_sent(self, letter: Letter, response: str) -> dict[str, Any]:
        redirected = bool(self._mail.redirect_to)
        self._report.sent += 1
        self._report.redirected += redirected
        on = records.accepted_on(self._on, self._zone)
        return records.as_sent(letter.id, response, on, redirected=redirected)

    def _recorded(self, connection: Connection, letter: Letter, outcome: Outcome) -> bool:
        """Record one of the others; whether that is the end of it."""
        match outcome:
            case Accepted(response):
                connection.execute(records.SENT, self._as_sent(letter, response))
                return True
            case PermanentFailure(response):
                return self._failed(connection, letter, response)
            case TemporaryFailure(response, unavailable=unavailable, attempted=False):
                records.record_untried(connection, letter.id, response)
                if unavailable:
                    self._report.stopped = without_addresses(response)
            case TemporaryFailure(response, unavailable=True):
                self._defer(connection, letter, response)
                self._report.stopped = without_addresses(response)
            case TemporaryFailure(response):
                # Only the server's own word about a message makes its time run out: while the server cannot be
                # reached, give_up_after days of outage would otherwise cost one message with every new try.
                if self._on - letter.created_on >= timedelta(days=self._mail.give_up_after):
                    return self._failed(connection, letter, response)
                self._defer(connection, letter, response)
        return False

    def _failed(self, connection: Connection, letter: Letter, response: str) -> bool:
        records.record_failed(connection, {letter.id: response}, handed_over=True)
        self._report.failed += 1
        return True

    def _defer(self, connection: Connection, letter: Letter, response: str) -> None:
        pause = timedelta(minutes=back_off(self._mail.retry_after, letter.attempts))
        records.record_deferred(connection, letter.id, response, min(pause, _LONGEST_PAUSE))
        self._report.deferred += 1

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction, which proves that the lease was ours when it began."""
        began = clock.running()
        with self._store.write(durable=False) as connection:
            yield connection
        self._confirmed_at = began
