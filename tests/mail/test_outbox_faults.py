"""What a delivery does when the database, the server or the lease goes away under it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import OperationalError

from lifecycle_jobs import clock, lease, operators
from lifecycle_jobs.db.repeated import Repeated
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, leases, messages
from lifecycle_jobs.errors import EmergencyStop, LeaseLost
from lifecycle_jobs.mail import fates, letters, outbox, scribe, senders
from lifecycle_jobs.mail.eml_files import EmlFiles
from lifecycle_jobs.mail.fates import Fates
from lifecycle_jobs.mail.gather import Gathered, Office, gather
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.mail.scribe import Found, Scribe
from lifecycle_jobs.mail.transports import (
    Accepted,
    AlwaysOpen,
    MayHandOver,
    Outcome,
    Outgoing,
    TemporaryFailure,
    Withheld,
    at_once,
)
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Stop, Switch
from tests.mail.office import ON, queue_alerts, settings_for

CONNECTIONS = 4


class Relay:
    """A mail server that all connections share. What it took is remembered, whoever heard of it."""

    def __init__(self) -> None:
        self.took: list[str] = []
        self.answer: Callable[[str], Outcome] = lambda _recipient: Accepted("250 OK")


class Line(AlwaysOpen):
    """One of the connections to it."""

    repeatable = False

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def send(self, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
        if not may_hand_over():
            return Withheld()
        outcome = self._relay.answer(envelope.recipient.local)
        if isinstance(outcome, Accepted):
            self._relay.took.append(envelope.recipient.local)
        return outcome


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Relay:
    relay = Relay()
    monkeypatch.setattr(outbox, "SmtpRelay", lambda *_: Line(relay))
    return relay


@pytest.fixture
def smtp(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, transport="smtp", host="unused", connections=CONNECTIONS, messages_per_second=1_000)


def went_away() -> OperationalError:
    return OperationalError("…", {}, psycopg.OperationalError("terminating connection due to administrator command"))


def deliver_once(store: Store, settings: Settings, **how: Any) -> DeliveryReport:
    with lease.hold(store, "delivery", settings.lease.seconds) as held:
        return deliver(store.fenced(held), settings, on=ON, **how)


def by_status(store: Store) -> Counter[str]:
    with store.read() as connection:
        return Counter(connection.scalars(select(messages.c.status)))


def recipients(number: int) -> list[str]:
    return [f"r{each}@example.it" for each in range(number)]


def test_a_database_that_goes_away_while_messages_are_read_parks_none_of_them(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_alerts(store, *recipients(5))
    answers = iter([went_away()])

    def shaky(connection: Connection, message_ids: Sequence[int], office: Office) -> list[Gathered]:
        for error in answers:
            raise error
        return gather(connection, message_ids, office)

    monkeypatch.setattr(scribe, "gather", shaky)
    with pytest.raises(OperationalError):
        deliver_once(store, settings_for(tmp_path))
    assert by_status(store) == {"queued": 5}

    assert deliver_once(store, settings_for(tmp_path)).sent == 5


@pytest.mark.parametrize("away_for", [1, 3])
def test_a_database_that_goes_away_while_letters_are_handed_over_makes_none_go_twice(
    store: Store, smtp: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch, away_for: int
) -> None:
    queue_alerts(store, *recipients(30))
    monkeypatch.setattr(fates, "_AGAIN_IN", 0.01)
    record, write, asked = Repeated.__call__, Fates._recorded_alone, Counter[str]()

    def repeated(self: Repeated, rows: Sequence[Mapping[str, Any]]) -> int:
        asked["at once"] += 1
        if asked["at once"] == 3:
            raise went_away()
        return record(self, rows)

    def alone(self: Fates, letter: letters.Letter, outcome: Outcome) -> bool:
        asked["alone"] += 1
        return asked["alone"] > away_for and write(self, letter, outcome)

    monkeypatch.setattr(Repeated, "__call__", repeated)
    monkeypatch.setattr(Fates, "_recorded_alone", alone)
    report = DeliveryReport()
    with pytest.raises(OperationalError):
        deliver_once(store, smtp, report=report)
    assert by_status(store)["sent"] == len(relay.took) == report.sent

    deliver_once(store, smtp)

    assert sorted(relay.took) == sorted(f"r{each}" for each in range(30))
    assert by_status(store) == {"sent": 30}


def test_a_database_that_goes_away_under_every_connection_makes_no_letter_go_twice(
    store: Store, smtp: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_alerts(store, *recipients(30))
    monkeypatch.setattr(fates, "_AGAIN_IN", 0.01)
    record, stopped, away = Repeated.__call__, Switch.stopped, threading.Event()

    def repeated(self: Repeated, rows: Sequence[Mapping[str, Any]]) -> int:
        if len(relay.took) > 8:
            away.set()
        if away.is_set():
            raise went_away()
        return record(self, rows)

    def asked(self: Switch) -> Stop | None:
        if away.is_set() and threading.current_thread() is not threading.main_thread():
            raise went_away()
        return stopped(self)

    monkeypatch.setattr(Repeated, "__call__", repeated)
    monkeypatch.setattr(Switch, "stopped", asked)
    began = time.monotonic()
    with pytest.raises(OperationalError):
        deliver_once(store, smtp)
    assert time.monotonic() - began < senders.LONGEST_WAIT  # nobody waited for what no connection has in hand
    assert by_status(store)["sent"] == len(relay.took)

    monkeypatch.undo()
    monkeypatch.setattr(outbox, "SmtpRelay", lambda *_: Line(relay))
    deliver_once(store, smtp)

    assert sorted(relay.took) == sorted(f"r{each}" for each in range(30))


def slow_after_the_first(seconds: float) -> Callable[[str], Outcome]:
    def answer(recipient: str) -> Outcome:
        if recipient == "r0":
            time.sleep(seconds / 4)  # the others have handed theirs over by then
            return TemporaryFailure("421 overloaded", unavailable=True)
        time.sleep(seconds)
        return Accepted("250 OK")

    return answer


def test_what_a_slow_server_takes_after_another_connection_was_sent_away_is_recorded(
    store: Store, smtp: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "LONGEST_WAIT", 0.1)
    queue_alerts(store, *recipients(CONNECTIONS))
    relay.answer = slow_after_the_first(0.8)

    report = deliver_once(store, smtp)

    assert (report.sent, report.deferred, report.stopped) == (CONNECTIONS - 1, 1, "421 overloaded")
    assert by_status(store) == {"sent": CONNECTIONS - 1, "queued": 1}


def test_a_connection_that_was_told_to_stop_hands_nothing_over_before_anybody_looks(
    store: Store, tmp_path: Path, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = outbox._Delivery._look_around

    def look_later(delivery: outbox._Delivery) -> None:
        time.sleep(0.2)
        look(delivery)

    monkeypatch.setattr(outbox._Delivery, "_look_around", look_later)
    relay.answer = lambda recipient: (
        TemporaryFailure("421 closing", unavailable=True) if recipient == "r0" else Accepted("250 OK")
    )
    queue_alerts(store, *recipients(3))

    report = deliver_once(store, settings_for(tmp_path, transport="smtp", host="unused", connections=1))

    assert (report.stopped, report.deferred, relay.took) == ("421 closing", 1, [])


def test_what_a_slow_server_takes_after_the_emergency_stop_is_recorded(
    store: Store, smtp: Settings, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "LONGEST_WAIT", 0.1)
    queue_alerts(store, *recipients(20))
    stopped: list[bool] = []

    def answer(_recipient: str) -> Outcome:
        if not stopped:
            stopped.append(True)
            operators.stop_everything(store, Operator("anna", None, ON), "wrong prices")
        time.sleep(0.8)
        return Accepted("250 OK")

    relay.answer = answer
    with pytest.raises(EmergencyStop):
        deliver_once(store, smtp)

    assert 1 <= len(relay.took) <= CONNECTIONS
    assert by_status(store) == {"sent": len(relay.took), "queued": 20 - len(relay.took)}


def test_who_was_paused_while_writing_files_writes_no_more_once_the_lease_is_lost(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, write, paused = settings_for(tmp_path), EmlFiles.send, [0.0]
    queue_alerts(store, *recipients(50))
    running = clock.running
    monkeypatch.setattr(clock, "running", lambda: running() + paused[0])
    written: list[str] = []

    def send(self: EmlFiles, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
        written.append(envelope.recipient.local)
        if len(written) == 3:
            paused[0] = 3600.0
            with store.write() as connection:
                connection.execute(update(leases).where(leases.c.name == "delivery").values(token=leases.c.token + 1))
        return write(self, envelope, may_hand_over)

    monkeypatch.setattr(EmlFiles, "send", send)
    with pytest.raises(LeaseLost):
        deliver_once(store, settings)

    assert len(written) == 3


Later = Callable[[float], None]


class TestWhatHasGrownTooOld:
    """Letters wait for their turn; meanwhile their holders pay."""

    @pytest.fixture
    def later(self, monkeypatch: pytest.MonkeyPatch) -> Later:
        """Lets so many seconds pass for all that asks how long something has taken."""
        running, passed = clock.running, [0.0]
        monkeypatch.setattr(clock, "running", lambda: running() + passed[0])

        def pass_by(seconds: float) -> None:
            passed[0] += seconds

        return pass_by

    @pytest.fixture
    def one_line(self, smtp: Settings) -> Settings:
        return smtp.model_copy(update={"mail": smtp.mail.model_copy(update={"connections": 1})})

    @staticmethod
    def slow_to_let_in(monkeypatch: pytest.MonkeyPatch, relay: Relay, take_time: Callable[[], None]) -> None:
        """Something takes its time after a letter has begun, and before its text may leave."""

        class Slow(Line):
            def send(self, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
                take_time()
                return super().send(envelope, may_hand_over)

        monkeypatch.setattr(outbox, "SmtpRelay", lambda *_: Slow(relay))

    @staticmethod
    def all_are_paid(store: Store) -> None:
        with store.write() as connection:
            connection.execute(update(boxes).values(expires_on=ON.replace(year=2029)))

    def test_is_read_again_before_it_begins_to_leave(
        self, store: Store, one_line: Settings, relay: Relay, later: Later
    ) -> None:
        queue_alerts(store, *recipients(20))

        def slow(recipient: str) -> Outcome:
            if recipient == "r2":
                self.all_are_paid(store)
                later(61)
            return Accepted("250 OK")

        relay.answer = slow

        report = deliver_once(store, one_line)

        assert relay.took == ["r0", "r1", "r2"]
        assert (report.sent, report.moot, report.more) == (3, 17, False)

    def test_is_read_again_before_its_text_leaves_if_this_process_stood_still(
        self, store: Store, one_line: Settings, relay: Relay, later: Later, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue_alerts(store, *recipients(20))
        hours = iter([3600.0])

        def stand_still_once() -> None:
            for seconds in hours:
                self.all_are_paid(store)
                later(seconds)

        self.slow_to_let_in(monkeypatch, relay, stand_still_once)

        report = deliver_once(store, one_line)

        assert (report.sent, report.moot, relay.took) == (0, 20, [])

    def test_counts_once_among_what_its_recipient_gets_in_a_day(
        self, store: Store, one_line: Settings, relay: Relay, later: Later, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue_alerts(store, "often@example.it", "often@example.it")
        two_a_day = one_line.model_copy(update={"mail": one_line.mail.model_copy(update={"per_recipient_per_day": 2})})
        hours = iter([3600.0])
        self.slow_to_let_in(monkeypatch, relay, lambda: later(next(hours, 0.0)))

        report = deliver_once(store, two_a_day)

        assert (report.sent, report.held_back) == (2, 0)

    def test_waits_for_the_next_pass_once_this_one_is_over(
        self, store: Store, one_line: Settings, relay: Relay, later: Later, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue_alerts(store, *recipients(5))
        hours = iter([3600.0])
        self.slow_to_let_in(monkeypatch, relay, lambda: later(next(hours, 0.0)))

        report = deliver_once(store, one_line, goes_on=lambda: False)

        assert (report.handled, report.more, by_status(store)) == (0, True, {"queued": 5})

    def test_leaves_all_the_same_if_the_server_took_its_time_to_let_it_in(
        self, store: Store, one_line: Settings, relay: Relay, later: Later, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue_alerts(store, *recipients(3))
        self.slow_to_let_in(monkeypatch, relay, lambda: later(3.0 * one_line.mail.timeout + 45))

        report = deliver_once(store, one_line)

        assert sorted(relay.took) == ["r0", "r1", "r2"]
        assert (report.sent, report.more) == (3, False)

    def test_is_read_again_before_it_is_written_to_a_file(
        self, store: Store, tmp_path: Path, later: Later, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue_alerts(store, *recipients(20))
        write, written = EmlFiles.send, Counter[str]()

        def send(files: EmlFiles, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
            written[envelope.recipient.local] += 1
            if written.total() == 3:
                self.all_are_paid(store)
                later(61)
            return write(files, envelope, may_hand_over)

        monkeypatch.setattr(EmlFiles, "send", send)

        report = deliver_once(store, settings_for(tmp_path))

        assert (report.sent, report.moot, sorted(written)) == (3, 17, ["r0", "r1", "r2"])

    @pytest.fixture
    def given(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """How many letters were asked for at a time."""
        given: list[int] = []
        give = Scribe.give

        def counted(desk: Scribe, message_ids: Sequence[int], moment: datetime) -> None:
            given.append(len(message_ids))
            give(desk, message_ids, moment)

        monkeypatch.setattr(Scribe, "give", counted)
        return given

    def test_that_still_holds_leaves_once_and_fewer_are_read_at_a_time(
        self, store: Store, smtp: Settings, relay: Relay, later: Later, given: list[int]
    ) -> None:
        queue_alerts(store, *recipients(150))

        def slow(_recipient: str) -> Outcome:
            later(5)
            return Accepted("250 OK")

        relay.answer = slow

        report = deliver_once(store, smtp)

        assert sorted(relay.took) == sorted(f"r{each}" for each in range(150))
        assert (report.sent, report.more, by_status(store)) == (150, False, {"sent": 150})
        assert (given[0], max(given[4:]) < 50) == (100, True)

    def test_behind_a_slow_server_none_is_read_before_the_last_have_begun(
        self, store: Store, smtp: Settings, relay: Relay, later: Later, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where another process reads them, they would grow old while they wait for those."""
        queue_alerts(store, *recipients(150))
        give, take = Scribe.give, Scribe.take
        unread, ahead = [0], list[int]()

        def counted_in(desk: Scribe, message_ids: Sequence[int], moment: datetime) -> None:
            unread[0] += 1
            ahead.append(unread[0])
            give(desk, message_ids, moment)

        def counted_out(desk: Scribe) -> list[Found]:
            unread[0] -= 1
            return take(desk)

        def slow(_recipient: str) -> Outcome:
            later(5)
            return Accepted("250 OK")

        monkeypatch.setattr(Scribe, "give", counted_in)
        monkeypatch.setattr(Scribe, "take", counted_out)
        relay.answer = slow

        deliver_once(store, smtp)

        assert (ahead[:2], set(ahead[3:])) == ([1, 2], {1})

    def test_because_this_process_stood_still_once_does_not_slow_the_others_down(
        self,
        store: Store,
        smtp: Settings,
        relay: Relay,
        later: Later,
        given: list[int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(outbox, "_AT_A_TIME", 20)
        queue_alerts(store, *recipients(190))

        def stand_still(recipient: str) -> Outcome:
            later(3600 if recipient == "r5" else 0)
            return Accepted("250 OK")

        relay.answer = stand_still

        report = deliver_once(store, smtp)

        assert (report.sent, report.more) == (190, False)
        assert (given[0], min(given) <= 10, given[-2]) == (20, True, 20)

    def test_time_and_again_is_left_for_the_next_delivery(
        self, store: Store, smtp: Settings, relay: Relay, later: Later, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue_alerts(store, *recipients(10))
        self.slow_to_let_in(monkeypatch, relay, lambda: later(600))

        report = deliver_once(store, smtp)

        assert (report.handled, report.more, relay.took) == (0, True, [])
        assert by_status(store) == {"queued": 10}


def test_what_somebody_takes_out_of_the_queue_meanwhile_is_not_counted_as_sent(
    store: Store, smtp: Settings, relay: Relay
) -> None:
    queue_alerts(store, *recipients(5))

    def taken_out(recipient: str) -> Outcome:
        if recipient == "r2":
            with store.write() as connection:
                mine = messages.c.recipient_key == "r2@example.it"
                connection.execute(update(messages).where(mine).values(status="moot"))
        return Accepted("250 OK")

    relay.answer = taken_out

    assert deliver_once(store, smtp).sent == by_status(store)["sent"] == 4


def test_a_pass_that_is_over_leaves_the_rest_to_the_next_and_says_so(store: Store, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, batch_size=2)
    queue_alerts(store, *recipients(5))

    first = deliver_once(store, settings, goes_on=lambda: False)
    assert (first.sent, first.more) == (2, True)
    second = deliver_once(store, settings, goes_on=lambda: True)

    assert (second.sent, second.more) == (3, False)
    assert deliver_once(store, settings) == DeliveryReport()
