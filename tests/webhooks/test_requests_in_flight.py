"""What is made of the receiver's answers, and of those that never came."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from lifecycle_jobs import clock
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.webhooks.envelope import rehearsed
from lifecycle_jobs.webhooks.records import Answer
from lifecycle_jobs.webhooks.requests_in_flight import Receiver as Far
from lifecycle_jobs.webhooks.requests_in_flight import RequestsInFlight
from tests.webhooks.receiver import HOST, Reaction, Receiver
from tests.webhooks.sending import DELETED, changed, settings_to


@pytest.fixture
def far(settings: Settings) -> Iterator[Far]:
    far = Far(changed(settings, timeout=1).webhooks)
    yield far
    far.close()


def ask(far: Far) -> Answer:
    return far.send(rehearsed("test_1", clock.now()))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_success(far: Far, receiver: Receiver, status: int) -> None:
    receiver.react = lambda _received: Reaction(status)

    assert ask(far).taken


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (302, "302 Found"),
        (400, "400 Bad Request"),
        (410, "410 Gone"),
        (500, "500 Internal Server Error"),
        (599, "599"),
    ],
)
def test_everything_else_is_not_but_there_is_somebody(far: Far, receiver: Receiver, status: int, said: str) -> None:
    receiver.react = lambda _received: Reaction(status)

    assert ask(far) == Answer(said)


def test_a_redirect_is_not_followed(far: Far, receiver: Receiver) -> None:
    with Receiver() as elsewhere:
        receiver.react = lambda _received: Reaction(307, {"location": elsewhere.url})

        assert not ask(far).taken
        assert elsewhere.journal == []


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_who_answers_for_a_receiver_that_is_not_there_is_not_the_receiver(
    far: Far, receiver: Receiver, status: int
) -> None:
    receiver.react = lambda _received: Reaction(status)

    answer = ask(far)
    assert (answer.taken, answer.reached) == (False, False)


def test_of_what_the_receiver_says_only_the_status_is_kept(far: Far, receiver: Receiver) -> None:
    receiver.react = lambda _received: Reaction(422, body=b"unknown mailbox mario.rossi@pec.example.it")

    assert ask(far).said == "422 Unprocessable Entity"


def test_a_connection_is_used_again(far: Far, receiver: Receiver) -> None:
    receiver.react = lambda _received: Reaction(200, body=b"ok")
    for _ in range(5):
        ask(far)

    assert (len(receiver.journal), receiver.connections) == (5, 1)


def test_a_long_answer_is_not_read(far: Far, receiver: Receiver) -> None:
    receiver.react = lambda _received: Reaction(200, body=b"x" * 100_000)

    assert ask(far).taken
    assert ask(far).taken
    assert receiver.connections == 2


def test_an_answer_that_breaks_off_after_a_2xx_is_one(far: Far, receiver: Receiver) -> None:
    receiver.react = lambda _received: Reaction(200, {"content-length": "5", "connection": "close"}, b"ok")

    assert ask(far).taken


def test_no_answer_in_time_is_none(far: Far, receiver: Receiver) -> None:
    receiver.react = lambda _received: Reaction(delay=10)
    began = time.monotonic()

    assert ask(far) == Answer("no answer in time", reached=False)
    assert time.monotonic() - began < 3


def test_a_dropped_connection_is_no_answer(far: Far, receiver: Receiver) -> None:
    receiver.react = lambda _received: Reaction(drop=True)

    assert ask(far) == Answer("connection lost", reached=False)


def test_a_receiver_that_is_not_started_refuses_the_connection(far: Far, receiver: Receiver) -> None:
    receiver.stop()

    assert ask(far) == Answer("connection refused", reached=False)


def test_a_receiver_without_tls_is_not_talked_to_in_the_clear(tmp_path: Path, receiver: Receiver) -> None:
    far = Far(settings_to(tmp_path, receiver.url.replace("http:", "https:")).webhooks)

    assert ask(far) == Answer("no secure connection: certificate or TLS refused", reached=False)
    far.close()


def test_what_is_no_http_at_all_is_no_answer(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as listening:
        far = Far(settings_to(tmp_path, f"http://{HOST}:{listening.getsockname()[1]}/").webhooks)

        def talk() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail.example.it ESMTP\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        answer = ask(far)
        thread.join()
        far.close()

    assert (answer.taken, answer.reached) == (False, False)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120), ("7200", 3600), ("0", 0), ("soon", 0), ("-5", 0), ("1e9", 0), ("", 0)],
)
def test_a_wish_to_be_left_alone_is_heard_up_to_an_hour(
    far: Far, receiver: Receiver, said: str, seconds: float
) -> None:
    receiver.react = lambda _received: Reaction(503, {"retry-after": said})

    assert ask(far).retry_after == seconds


def test_the_wish_may_name_a_moment(far: Far, receiver: Receiver) -> None:
    moment = format_datetime(clock.now() + timedelta(minutes=10), usegmt=True)
    receiver.react = lambda _received: Reaction(503, {"retry-after": moment})

    assert 590 < ask(far).retry_after <= 600


class TestARequestThatHasNotBegun:
    def test_does_not_begin_when_it_may_not_any_more(self, settings: Settings, receiver: Receiver) -> None:
        may_begin = threading.Event()
        with in_flight(settings, may_begin.is_set) as requests:
            requests.begin(DELETED)
            (ended,) = requests.ended(5)

        assert (ended.delivery, ended.answer, requests.in_flight) == (DELETED, None, 0)
        assert receiver.journal == []

    def test_does_not_begin_after_work_was_stopped(self, settings: Settings, receiver: Receiver) -> None:
        with in_flight(settings, lambda: True) as requests:
            requests.stop()
            requests.begin(DELETED)
            (ended,) = requests.ended(5)

        assert ended.answer is None
        assert receiver.journal == []

    def test_ends_also_when_asking_whether_it_may_begin_fails(self, settings: Settings, receiver: Receiver) -> None:
        def fail() -> bool:
            raise ConnectionError

        with in_flight(settings, fail) as requests:
            requests.begin(DELETED)
            (ended,) = requests.ended(5)

        assert ended.answer is None
        assert receiver.journal == []


def in_flight(settings: Settings, may_begin: Callable[[], bool]) -> RequestsInFlight:
    return RequestsInFlight(Far(settings.webhooks), 2, lambda _delivery: rehearsed("test_1", clock.now()), may_begin)


def test_what_is_under_way_ends_when_the_block_is_left(settings: Settings, receiver: Receiver) -> None:
    asked = threading.Event()
    receiver.when_asked = asked.set
    receiver.react = lambda _received: Reaction(delay=0.3)
    with in_flight(settings, lambda: True) as requests:
        requests.begin(DELETED)
        assert asked.wait(10)

    (ended,) = requests.ended(0)
    assert ended.answer == Answer("204 No Content", taken=True)


@contextmanager
def slow_receiver(tmp_path: Path, answer: bytes, at_once: int) -> Iterator[Far]:
    """One that sends so many bytes of its answer at once, and then one every 0.2 s."""
    gone = threading.Event()
    with socket.create_server((HOST, 0)) as listening:
        far = Far(settings_to(tmp_path, f"http://{HOST}:{listening.getsockname()[1]}/", timeout=1).webhooks)

        def talk() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(answer[:at_once])
                for byte in answer[at_once:]:
                    if gone.wait(0.2):
                        return
                    connection.sendall(bytes([byte]))

        thread = threading.Thread(target=talk)
        thread.start()
        yield far
        gone.set()
        thread.join()
        far.close()


SLOWLY = b"HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\n" + b"x" * 60


def test_a_head_that_comes_byte_by_byte_is_no_answer_in_time(tmp_path: Path) -> None:
    began = time.monotonic()
    with slow_receiver(tmp_path, SLOWLY, len("HTTP/1.1 200 OK\r\n")) as far:
        assert ask(far) == Answer("no answer in time", reached=False)
    assert time.monotonic() - began < 2.5


def test_a_body_that_comes_byte_by_byte_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    with slow_receiver(tmp_path, SLOWLY, SLOWLY.index(b"x")) as far:
        assert ask(far).taken
    assert time.monotonic() - began < 3


def test_a_connection_is_used_again_after_an_answer_without_words(far: Far, receiver: Receiver) -> None:
    for _ in range(3):
        ask(far)

    assert receiver.connections == 1
