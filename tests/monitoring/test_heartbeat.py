"""The heartbeat: called until it is taken, three times at most, and its address is told to nobody."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import structlog

from lifecycle_jobs.monitoring import heartbeat, ping

SECRET_PART = "1f2e3d4c-secret"


class Receiver(ThreadingHTTPServer):
    """Answers with each of these in turn, and then with the last."""

    daemon_threads = True

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/ping/{SECRET_PART}?key={SECRET_PART}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answers = self.server.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def logged() -> io.StringIO:
    text = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(file=text),
    )
    return text


@pytest.fixture(autouse=True)
def _no_long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_PAUSE", 0.01)


def answering(*answers: int) -> Iterator[Receiver]:
    with Receiver(*answers) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


@pytest.fixture
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    yield from answering(*request.param)


@pytest.mark.parametrize("receiver", [(200,)], indirect=True)
def test_it_is_called_once_where_it_is_taken(receiver: Receiver, logged: io.StringIO) -> None:
    assert ping(receiver.url)

    assert receiver.asked == [f"/ping/{SECRET_PART}?key={SECRET_PART}"]
    assert logged.getvalue() == ""


@pytest.mark.parametrize("receiver", [(503, 500, 200)], indirect=True)
def test_it_is_called_again_where_it_is_not(receiver: Receiver) -> None:
    assert ping(receiver.url)

    assert len(receiver.asked) == 3


@pytest.mark.parametrize("receiver", [(500,)], indirect=True)
def test_after_three_times_it_is_left_at_that_and_logged_without_the_address(
    receiver: Receiver, logged: io.StringIO
) -> None:
    assert not ping(receiver.url)

    assert len(receiver.asked) == 3
    assert "status 500" in logged.getvalue()
    assert SECRET_PART not in logged.getvalue()


@pytest.mark.parametrize("receiver", [(500,)], indirect=True)
def test_a_daemon_that_is_to_stop_does_not_call_again(receiver: Receiver) -> None:
    assert not ping(receiver.url, lambda: False)

    assert len(receiver.asked) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[", "nonsense", ""])
def test_whatever_is_wrong_with_it_the_day_is_done(url: str, logged: io.StringIO) -> None:
    assert not ping(url + SECRET_PART)

    assert SECRET_PART not in logged.getvalue()


def test_a_receiver_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()

        assert not ping(f"http://127.0.0.1:{silent.getsockname()[1]}/")

        assert time.monotonic() - began < 5
