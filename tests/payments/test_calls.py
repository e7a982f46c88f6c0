"""Calls in flight: so many at a time, so many a second, each with its back-off, and an orderly end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest

from lifecycle_jobs.payments.calls import Calls, Ended, Limits
from lifecycle_jobs.payments.gateway import ChargeOutcome, NotAttempted, Succeeded, Unknown

PAID = Succeeded("tx")
BUSY = NotAttempted("429", retry_after=timedelta(0))
REFUSED = NotAttempted("connection refused")
LONG = 30.0
"""Seconds that no call here takes: whoever waits so long waits in vain."""

Charges = Calls[str, ChargeOutcome]


def always() -> bool:
    return True


def limits(
    *, parallel: bool = True, concurrency: int = 4, per_second: int = 10_000, back_off: tuple[int, ...] = ()
) -> Limits:
    return Limits(parallel, concurrency, per_second, back_off)


def wanted() -> bool:
    return True


def until_all_ended(calls: Charges) -> list[Ended[str, ChargeOutcome]]:
    """Every call that is in flight, as it ends."""
    ended: list[Ended[str, ChargeOutcome]] = []
    deadline = time.monotonic() + LONG
    while calls.in_flight:
        assert time.monotonic() < deadline, f"{calls.in_flight} calls never ended"
        ended += calls.ended(0.05)
    return ended


class Answers:
    """A gateway that gives these answers in turn, and notes when it was asked."""

    def __init__(self, answers: Iterable[ChargeOutcome]) -> None:
        self._answers = iter(answers)
        self.asked_at: list[float] = []
        self.asked = threading.Event()

    def __call__(self) -> ChargeOutcome:
        self.asked_at.append(time.monotonic())
        self.asked.set()
        return next(self._answers)


class Line:
    """A gateway whose calls last until they are let go, and which counts them."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self.begun = 0
        self.at_once = 0
        self.most_at_once = 0
        self.let_go = threading.Event()

    def __call__(self) -> ChargeOutcome:
        with self._alone:
            self.begun += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.let_go.wait(LONG)
        with self._alone:
            self.at_once -= 1
        return PAID

    def until(self, begun: int) -> None:
        deadline = time.monotonic() + LONG
        while self.begun < begun:
            assert time.monotonic() < deadline, f"{self.begun} calls began"
            time.sleep(0.001)


class Clock:
    """A clock that a test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        turned = SimpleNamespace(monotonic=lambda: self.now, sleep=time.sleep)
        monkeypatch.setattr("lifecycle_jobs.pace.time", turned)


def test_never_more_are_in_flight_than_the_concurrency_however_many_are_asked_for() -> None:
    line = Line()
    with Charges(limits(concurrency=4), always) as calls:
        for number in range(calls.room(100)):
            calls.begin(str(number), line, wanted)
        line.until(4)
        time.sleep(0.05)  # a fifth would have begun by now
        assert line.begun == 4
        line.let_go.set()
        ended = until_all_ended(calls)

    assert line.most_at_once == 4
    assert len(ended) == 6, "two more were prepared, so that no line to the gateway is idle"


def test_room_is_what_is_left_beside_the_calls_in_flight() -> None:
    line = Line()
    with Charges(limits(concurrency=4), always) as calls:
        assert calls.room(2) == 2
        for number in range(5):
            calls.begin(str(number), line, wanted)
        assert calls.room() == 1
        calls.begin("6", line, wanted)
        assert calls.room() == 0
        line.let_go.set()
        until_all_ended(calls)
        assert calls.room() == 6


def test_a_gateway_that_is_not_parallel_is_asked_one_by_one_in_the_same_thread() -> None:
    threads: list[threading.Thread] = []

    def call() -> ChargeOutcome:
        threads.append(threading.current_thread())
        return BUSY

    with Charges(limits(parallel=False, per_second=1, back_off=()), always) as calls:
        calls.begin("a", call, wanted)
        assert threads == []
        assert calls.ended(0) == [Ended("a", BUSY)]

    assert threads == [threading.main_thread()]


def test_a_gateway_that_is_not_parallel_gets_twenty_calls_at_a_stretch_in_their_order() -> None:
    asked: list[int] = []

    def charge(number: int) -> ChargeOutcome:
        asked.append(number)
        return PAID

    with Charges(limits(parallel=False), always) as calls:
        assert calls.room() == 20
        assert calls.room(7) == 7
        for number in range(20):
            calls.begin(str(number), partial(charge, number), wanted)
        assert calls.room() == 0

        assert [each.subject for each in calls.ended(0)] == [str(number) for number in range(20)]

    assert asked == list(range(20))


def test_a_slow_gateway_that_is_not_parallel_does_not_keep_what_it_said_from_being_recorded() -> None:
    slow = Answers([PAID, PAID])

    def slowly() -> ChargeOutcome:
        time.sleep(1.1)
        return slow()

    with Charges(limits(parallel=False), always) as calls:
        calls.begin("a", slowly, wanted)
        calls.begin("b", slowly, wanted)

        assert calls.ended(0) == [Ended("a", PAID)]
        calls.stop()
        assert calls.ended(0) == [Ended("b", None, begun=False)]


def test_a_call_that_waits_behind_another_is_made_only_if_it_is_still_wanted_then() -> None:
    changed, never = Answers([PAID]), Answers([PAID])
    with Charges(limits(parallel=False), always) as calls:
        calls.begin("in front", changed, wanted)
        calls.begin("behind", never, lambda: not changed.asked_at)

        assert calls.ended(0) == [Ended("in front", PAID), Ended("behind", None, begun=False, withdrawn=True)]

    assert never.asked_at == []


def test_a_call_that_waits_for_a_thread_for_long_is_made_only_if_it_is_still_wanted_then() -> None:
    """Another's back-off came before it: what its box looked like when it was written down is too long ago."""
    busy, never = Answers([BUSY, PAID]), Answers([PAID])
    with Charges(limits(concurrency=1, back_off=(2,)), always) as calls:
        calls.begin("in front", busy, wanted)
        calls.begin("behind", never, lambda: False)

        assert until_all_ended(calls) == [
            Ended("in front", PAID),
            Ended("behind", None, begun=False, withdrawn=True),
        ]

    assert never.asked_at == []


@pytest.mark.parametrize(("per_second", "at_once", "in_a_second"), [(5, 1, 5), (20, 2, 20), (100, 10, 100)])
def test_in_ten_seconds_no_more_begin_than_the_rate_allows_and_hardly_fewer(
    monkeypatch: pytest.MonkeyPatch, per_second: int, at_once: int, in_a_second: int
) -> None:
    clock = Clock(monkeypatch)
    with Charges(limits(concurrency=1000, per_second=per_second), always) as calls:
        assert calls.room() == at_once, "what may begin at once is a tenth of a second's share"
        begun = 0
        for _ in range(1000):
            clock.now += 0.01
            begun += calls.room()

    assert in_a_second * 9 <= begun <= in_a_second * 10


def test_a_rate_that_was_not_used_is_not_saved_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    with Charges(limits(concurrency=1000, per_second=100), always) as calls:
        clock.now += 3600

        assert calls.room() == 10


def test_room_that_was_given_back_can_be_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    with Charges(limits(concurrency=1000, per_second=100), always) as calls:
        assert calls.room() == 10
        calls.give_back(7)

        assert calls.room() == 7


def test_tries_after_a_back_off_count_against_the_rate() -> None:
    busy = [Answers([BUSY, BUSY, PAID]) for _ in range(4)]
    with Charges(limits(per_second=20, back_off=(0, 0)), always) as calls:
        begun = time.monotonic()
        for gateway in busy:
            calls.begin("a", gateway, wanted)
        until_all_ended(calls)

    last = max(at for gateway in busy for at in gateway.asked_at)
    # Eight second and third tries, two of which may begin at once: six twentieths of a second.
    assert last - begun >= 0.25


def test_a_gateway_that_says_not_now_is_asked_again_after_each_step_of_the_back_off() -> None:
    gateway = Answers([BUSY, BUSY, PAID])
    with Charges(limits(back_off=(0, 1)), always) as calls:
        calls.begin("a", gateway, wanted)

        assert until_all_ended(calls) == [Ended("a", PAID)]

    first, second, third = gateway.asked_at
    assert third - second >= 1
    assert third - first < LONG


def test_a_gateway_that_asks_for_a_longer_rest_gets_it() -> None:
    gateway = Answers([NotAttempted("429", retry_after=timedelta(seconds=0.4)), PAID])
    with Charges(limits(back_off=(0,)), always) as calls:
        calls.begin("a", gateway, wanted)
        until_all_ended(calls)

    first, second = gateway.asked_at
    assert second - first >= 0.4


def test_when_the_back_off_is_used_up_its_last_answer_stands() -> None:
    gateway = Answers([BUSY, BUSY, BUSY, PAID])
    with Charges(limits(back_off=(0, 0)), always) as calls:
        calls.begin("a", gateway, wanted)

        assert until_all_ended(calls) == [Ended("a", BUSY)]

    assert len(gateway.asked_at) == 3


@pytest.mark.parametrize("answer", [REFUSED, Unknown("timed out"), PAID])
def test_what_asking_again_cannot_mend_is_not_asked_again(answer: ChargeOutcome) -> None:
    gateway = Answers([answer, PAID])
    with Charges(limits(back_off=(0, 0)), always) as calls:
        calls.begin("a", gateway, wanted)

        assert until_all_ended(calls) == [Ended("a", answer)]

    assert len(gateway.asked_at) == 1


@pytest.mark.parametrize("broken", ["call", "still_wanted"])
def test_a_call_that_raises_ends_without_an_outcome_and_the_others_go_on(broken: str) -> None:
    def fail() -> bool:
        raise RuntimeError

    def failing_call() -> ChargeOutcome:
        raise RuntimeError

    call: Callable[[], ChargeOutcome] = failing_call if broken == "call" else Answers([BUSY, PAID])
    with Charges(limits(concurrency=1, back_off=(0,)), always) as calls:
        calls.begin("bad", call, fail)
        calls.begin("good", Answers([PAID]), wanted)

        assert until_all_ended(calls) == [Ended("bad", None), Ended("good", PAID)]


def test_a_call_that_nobody_wants_any_more_is_withdrawn_before_it_is_tried_again() -> None:
    gateway = Answers([BUSY, PAID])
    with Charges(limits(back_off=(0,)), always) as calls:
        calls.begin("a", gateway, lambda: False)

        assert until_all_ended(calls) == [Ended("a", None, withdrawn=True)]

    assert len(gateway.asked_at) == 1


def test_a_stop_wakes_whoever_waits_to_try_again_and_leaves_no_outcome() -> None:
    gateway = Answers([NotAttempted("429", retry_after=timedelta(minutes=4)), PAID])
    with Charges(limits(back_off=(1,)), always) as calls:
        calls.begin("a", gateway, wanted)
        assert gateway.asked.wait(LONG)
        calls.stop()

        assert until_all_ended(calls) == [Ended("a", None)]

    assert len(gateway.asked_at) == 1


def test_a_stop_wakes_whoever_waits_for_the_rate() -> None:
    gateway = Answers([BUSY, PAID])
    with Charges(limits(per_second=1, back_off=(0,)), always) as calls:
        calls.room(1)
        calls.begin("a", gateway, wanted)
        assert gateway.asked.wait(LONG)
        calls.stop()

        assert until_all_ended(calls) == [Ended("a", None)]


def test_after_a_stop_what_is_under_way_gets_its_answer_and_what_was_prepared_never_begins() -> None:
    line = Line()
    with Charges(limits(concurrency=2), always) as calls:
        for name in ("a", "b", "c"):
            calls.begin(name, line, wanted)
        line.until(2)
        calls.stop()
        line.let_go.set()
        ended = until_all_ended(calls)

    assert {each.subject: each.outcome for each in ended} == {"a": PAID, "b": PAID, "c": None}
    assert line.begun == 2


def test_a_call_that_may_not_begin_is_not_made_and_one_that_was_refused_is_not_made_again() -> None:
    """The emergency stop is asked for right before each try."""
    allowed = iter([False, True, False])
    never, once = Answers([PAID]), Answers([BUSY, PAID])
    with Charges(limits(concurrency=1, back_off=(0,)), lambda: next(allowed)) as calls:
        calls.begin("never begun", never, wanted)
        calls.begin("begun once", once, wanted)
        ended = until_all_ended(calls)

    assert ended == [Ended("never begun", None, begun=False), Ended("begun once", None)]
    assert (len(never.asked_at), len(once.asked_at)) == (0, 1)


def test_leaving_the_block_by_an_error_waits_for_what_is_under_way_and_begins_nothing() -> None:
    line = Line()

    def fail_with_calls_in_flight() -> None:
        with Charges(limits(concurrency=1), always) as calls:
            calls.begin("a", line, wanted)
            calls.begin("b", line, wanted)
            line.until(1)
            threading.Timer(0.1, line.let_go.set).start()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_with_calls_in_flight()

    assert (line.begun, line.at_once) == (1, 0)


def test_calls_are_told_in_the_order_in_which_they_ended() -> None:
    first, second = Line(), Line()
    with Charges(limits(), always) as calls:
        calls.begin("begun first", first, wanted)
        calls.begin("begun second", second, wanted)
        second.let_go.set()
        told = calls.ended(LONG)
        first.let_go.set()
        told += until_all_ended(calls)

    assert [each.subject for each in told] == ["begun second", "begun first"]


def test_a_wait_with_nothing_to_wait_for_is_short() -> None:
    with Charges(limits(per_second=100), always) as calls:
        begun = time.monotonic()
        assert calls.ended(LONG) == []

    assert time.monotonic() - begun < LONG / 2
