"""No text leaves before the fate of the last one is committed, nor while it may not."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from types import TracebackType
from typing import Any, Self

import pytest

from lifecycle_jobs import operators
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import EmergencyStop, StopRequested
from lifecycle_jobs.mail import senders as module
from lifecycle_jobs.mail.addresses import WireAddress
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.mail.senders import Ended, Senders
from lifecycle_jobs.mail.transports import Accepted, MayHandOver, Outcome, Outgoing, TemporaryFailure, Withheld, at_once
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.pace import Pace
from tests.mail.mail_server import HOST, MailServer, mail_server
from tests.mail.office import ON, message_row, queue_alerts, settings_for

ENVELOPE = Outgoing(
    "k", "box.deleted", "c1", ON, WireAddress("a", "b.it"), WireAddress("c", "d.it"), needs_smtputf8=False, content=b""
)


class Line:
    """A connection that notes what it is asked, and lets texts through when told to."""

    repeatable = False

    def __init__(self, *outcomes: Outcome | BaseException) -> None:
        self.outcomes = list(outcomes)
        self.announced = 0
        self.handed_over = 0
        self.closed = threading.Event()

    def send(self, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
        del envelope
        self.announced += 1
        outcome = self.outcomes.pop(0) if self.outcomes else Accepted("250 OK")
        if isinstance(outcome, BaseException):
            raise outcome
        if isinstance(outcome, TemporaryFailure) and not outcome.attempted:
            return outcome
        if not may_hand_over():
            return Withheld()
        self.handed_over += 1
        return outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed.set()


@contextmanager
def sending(*lines: Line, may: Callable[[], bool] = at_once) -> Iterator[Senders[str]]:
    with Senders[str](lines, Pace(10_000), may, lambda _letter: math.inf, consent=0.0) as senders:
        yield senders


def until(condition: Callable[[], bool]) -> None:
    by = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < by, "it never came to that"
        time.sleep(0.001)


def all_of(senders: Senders[str]) -> list[Ended[str]]:
    found: list[Ended[str]] = []
    while senders.in_hand:
        ended = senders.ended(1)
        senders.release(ended)
        found += ended
    return found


def test_the_next_text_waits_until_the_fate_of_the_last_is_committed_but_is_announced_before() -> None:
    line = Line()
    with sending(line) as senders:
        for letter in "abc":
            senders.put(letter, ENVELOPE)
        until(lambda: line.announced == 2)
        time.sleep(0.05)  # a second text would have left by now
        assert (line.announced, line.handed_over) == (2, 1)

        first = senders.ended(1)
        senders.release(first)
        until(lambda: line.handed_over == 2)
        time.sleep(0.05)
        assert line.handed_over == 2

        assert [each.letter for each in first] == ["a"]
        assert [each.letter for each in all_of(senders)] == ["b", "c"]


def test_each_connection_waits_for_its_own_only() -> None:
    lines = [Line(), Line()]
    with sending(*lines) as senders:
        for letter in "abcd":
            senders.put(letter, ENVELOPE)
        until(lambda: senders.told == 2)
        one, _ = senders.ended(0)
        senders.release([one])
        until(lambda: senders.told == 1)
        time.sleep(0.05)
        assert sorted(line.handed_over for line in lines) == [1, 2]


def test_while_it_may_not_the_text_waits_and_then_leaves() -> None:
    line, may = Line(), threading.Event()
    with sending(line, may=may.is_set) as senders:
        senders.put("a", ENVELOPE)
        until(lambda: line.announced == 1)
        time.sleep(0.05)
        assert line.handed_over == 0

        may.set()
        assert [each.outcome for each in all_of(senders)] == [Accepted("250 OK")]


def test_at_the_end_what_was_not_begun_is_withheld_and_what_was_is_told() -> None:
    line = Line()
    with sending(line) as senders:
        for letter in "abc":
            senders.put(letter, ENVELOPE)
        until(lambda: line.announced == 2)

        ended = senders.rest()

        assert [(each.letter, type(each.outcome)) for each in ended] == [
            ("a", Accepted),
            ("b", Withheld),
            ("c", Withheld),
        ]
        assert line.handed_over == 1
        assert senders.in_hand == 0
    assert line.closed.is_set()


def test_few_letters_are_prepared_however_many_wait() -> None:
    with sending(Line(), Line(), may=lambda: False) as senders:
        number = 0
        while senders.room:
            senders.put(str(number), ENVELOPE)
            number += 1
        assert number == 6


def test_what_a_connection_raises_the_owner_raises_after_what_is_known() -> None:
    with sending(Line(Accepted("250 OK"), ValueError("a bug"))) as senders:
        senders.put("a", ENVELOPE)
        senders.put("b", ENVELOPE)
        (first,) = senders.ended(1)
        assert first.letter == "a"
        with pytest.raises(ValueError, match="a bug"):
            senders.ended(1)


def test_at_the_end_what_one_connection_raised_does_not_hide_what_another_handed_over() -> None:
    broken, good = Line(ValueError("a bug")), Line()
    with sending(broken, good, may=lambda: broken.announced > 0) as senders:
        senders.put("a", ENVELOPE)
        senders.put("b", ENVELOPE)
        until(lambda: senders.told == 2)

        ended = senders.rest()

        assert [type(each.outcome) for each in ended] == [Accepted]
        assert senders.in_hand == 0


def test_a_connection_too_many_leaves_its_letter_to_the_others() -> None:
    unwanted = Line(*[TemporaryFailure("421 too many connections", attempted=False)] * 10)
    wanted = Line()
    with sending(unwanted, wanted, may=lambda: unwanted.announced > 0) as senders:
        for letter in "abcdef":
            senders.put(letter, ENVELOPE)
        ended = all_of(senders)

    assert sorted(each.letter for each in ended) == list("abcdef")
    assert {type(each.outcome) for each in ended} == {Accepted}
    assert unwanted.announced == 1
    assert wanted.handed_over == 6


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.2)
    answer = threading.Event()

    class Silent(Line):
        def send(self, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
            assert may_hand_over()
            self.handed_over += 1
            answer.wait()
            return super().send(envelope)

    line = Silent()
    with sending(line) as senders:
        senders.put("a", ENVELOPE)
        until(lambda: line.handed_over == 1)
        assert senders.rest() == []
    answer.set()
    assert line.closed.wait(5)


class TestTheDelivery:
    """The same with messages, a database and a server."""

    def test_the_emergency_stop_lets_no_further_message_begin_and_records_those_in_hand(
        self, store: Store, tmp_path: Any
    ) -> None:
        ids = queue_alerts(store, *(f"r{number}@example.it" for number in range(80)))
        with mail_server() as server:
            taken_at_stop: list[int] = []

            def throw() -> None:
                if len(server.delivered) == 10:
                    thread = threading.Thread(target=stop)
                    thread.start()

            def stop() -> None:
                operators.stop_everything(store, Operator("anna", None, date(2027, 3, 24)), "wrong texts")
                taken_at_stop.append(len(server.delivered))

            server.when_taken = throw
            with pytest.raises(EmergencyStop, match="wrong texts"):
                deliver(store, self.settings(tmp_path, server, messages_per_second=100), on=ON)
            until(lambda: bool(taken_at_stop))

        assert 10 <= len(server.delivered) <= taken_at_stop[0] + 2
        statuses = [message_row(store, id_).status for id_ in ids]
        assert statuses.count("sent") == len(server.delivered)
        assert statuses.count("queued") == 80 - len(server.delivered)

    def test_asked_to_stop_it_records_what_is_in_hand_and_goes(self, store: Store, tmp_path: Any) -> None:
        ids = queue_alerts(store, *(f"slow-{number}@example.it" for number in range(20)))
        told: list[int] = []

        def ask(handled: int) -> None:
            told.append(handled)
            if handled >= 4:
                raise StopRequested("as asked")

        with mail_server() as server:
            server.slowness = 0.1
            with pytest.raises(StopRequested):
                deliver(store, self.settings(tmp_path, server), on=ON, progress=ask)

        assert 4 <= len(server.delivered) <= 8
        assert [message_row(store, id_).status for id_ in ids].count("sent") == len(server.delivered)

    def test_no_more_leave_in_a_second_than_are_set(self, store: Store, tmp_path: Any) -> None:
        queue_alerts(store, *(f"r{number}@example.it" for number in range(30)))
        with mail_server() as server:
            began = time.monotonic()
            deliver(store, self.settings(tmp_path, server, messages_per_second=30), on=ON)
            seconds = time.monotonic() - began

        assert len(server.delivered) == 30
        assert seconds >= (30 - 3) / 30

    def test_what_proves_a_notice_is_kept(self, store: Store, tmp_path: Any) -> None:
        (first,) = queue_alerts(store, "a@example.it")
        with mail_server() as server:
            server.answer = "250 2.0.0 Ok: queued as 4F1B2C3D9E"
            deliver(store, self.settings(tmp_path, server), on=ON)

        row = message_row(store, first)
        assert (row.status, row.accepted_on, row.reply_code, row.queue_id) == ("sent", ON, 250, "4F1B2C3D9E")
        assert row.accepted_at is not None
        assert row.redirected is False
        assert row.response == "250 2.0.0 Ok: queued as 4F1B2C3D9E"

    def settings(self, tmp_path: Any, server: MailServer, **mail: Any) -> Any:
        chosen = {"connections": 2, "messages_per_second": 5000, "timeout": 5} | mail
        return settings_for(tmp_path, transport="smtp", host=HOST, port=server.port, **chosen)


def test_nobody_asks_for_what_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a letter no connection is opened."""
    opened: Sequence[Line] = [Line(), Line()]
    monkeypatch.setattr(module, "LONGEST_WAIT", 5)
    with sending(*opened) as senders:
        assert senders.rest() == []
    assert [line.announced for line in opened] == [0, 0]
