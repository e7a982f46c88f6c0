"""Webhooks in flight: so many at a time, each in a thread that only talks.

Everything that is written is written by the thread that owns the `RequestsInFlight`, so that no transaction is open
while the receiver works. Of what a receiver answers only the status is kept: its words might quote the body.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Self

import requests
from standardwebhooks import Webhook
from urllib3.exceptions import HTTPError

from lifecycle_jobs import __version__, clock
from lifecycle_jobs.settings.sections import WebhooksSettings
from lifecycle_jobs.webhooks.envelope import Envelope
from lifecycle_jobs.webhooks.records import Answer, Delivery
from lifecycle_jobs.webhooks.time_limit import InTime

_CONNECT_SECONDS: Final = 5
_LONGEST_RETRY_AFTER: Final = 3600
_SHORT_ANSWER: Final = 8192
"""Bytes. A longer answer is not read: the connection is given up instead."""

_REST_SECONDS: Final = 1.0
"""In which the rest of a short answer has to come; same."""

_OUT: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""What is said for a receiver that is not there, or by one that can take nothing at all."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that has come to its end; no answer if work was stopped before it began."""

    delivery: Delivery
    answer: Answer | None


class Receiver:
    """Where webhooks go. Threads may share it; each keeps a connection of its own."""

    def __init__(self, settings: WebhooksSettings) -> None:
        self._url = settings.url
        self._timeout = (min(_CONNECT_SECONDS, settings.timeout), settings.timeout)
        self._signer = Webhook(settings.secret.get_secret_value())
        self._of_this_thread = threading.local()
        self._sessions: list[requests.Session] = []

    def send(self, envelope: Envelope) -> Answer:
        """Hand one over, signed at this moment. Failures are answers, never exceptions.

        A redirect is not followed: holders' addresses go to the place that was configured and to no other.
        """
        try:
            with self._session().post(
                self._url,
                data=envelope.body.encode(),
                headers=envelope.signed(self._signer, clock.now()),
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                _finish(response)
                return _judged(response)
        except requests.RequestException as error:
            return Answer(_reason(error), reached=False)
        except Exception as error:  # noqa: BLE001 -- what a client library may still raise must not end the others
            return Answer(f"the request failed: {type(error).__name__}", reached=False)

    def close(self) -> None:
        """Give up all connections."""
        for session in self._sessions:
            session.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._of_this_thread, "session", None)
        if session is None:
            session = requests.Session()
            session.headers["User-Agent"] = f"lifecycle-jobs/{__version__}"
            session.auth = _as_it_is
            session.mount("http://", InTime())
            session.mount("https://", InTime())
            self._of_this_thread.session = session
            self._sessions.append(session)
        return session


class RequestsInFlight:
    """The requests that one thread has in flight. On leaving the block none begins; what is under way ends.

    `may_begin` is asked in the thread of each request right before it: false, and it is as if work was stopped.
    """

    def __init__(
        self, receiver: Receiver, concurrency: int, write: Callable[[Delivery], Envelope], may_begin: Callable[[], bool]
    ) -> None:
        self.in_flight = 0
        self._receiver = receiver
        self._write = write
        self._may_begin = may_begin
        self._ended: SimpleQueue[Ended] = SimpleQueue()
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(concurrency, "webhooks")

    def begin(self, delivery: Delivery) -> None:
        """Make a request."""
        self.in_flight += 1
        self._pool.submit(self._send, delivery)

    def ended(self, patience: float) -> list[Ended]:
        """The requests that have ended, in that order; waits so many seconds for the first."""
        found: list[Ended] = []
        try:
            if self.in_flight:
                found.append(self._ended.get(timeout=patience))
                while True:
                    found.append(self._ended.get_nowait())
        except Empty:
            pass
        self.in_flight -= len(found)
        return found

    def stop(self) -> None:
        """Let what is under way end, and begin nothing."""
        self._stopped.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._pool.shutdown(wait=True)
        self._receiver.close()

    def _send(self, delivery: Delivery) -> None:
        """One request. Whatever happens, it ends: one that never did would be waited for."""
        answer: Answer | None = None
        try:
            if not self._stopped.is_set() and self._may_begin():
                answer = self._receiver.send(self._write(delivery))
        finally:
            self._ended.put(Ended(delivery, answer))


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # Without an answer here a .netrc file would be searched for the host at each request.
    return request


def _finish(response: requests.Response) -> None:
    """Read what is left of a short answer, so that the connection can be used again."""
    length = response.headers.get("content-length", "")
    connection = response.raw.connection
    if not length.isdecimal() or int(length) > _SHORT_ANSWER or connection is None or connection.sock is None:
        return
    connection.sock.settimeout(_REST_SECONDS)  # the next request on it sets its own
    until = time.monotonic() + _REST_SECONDS
    try:
        while response.raw.read1(_SHORT_ANSWER, decode_content=False) and time.monotonic() < until:
            pass
    except (OSError, HTTPError):
        return  # what counts was said before


def _judged(response: requests.Response) -> Answer:
    code = response.status_code
    return Answer(
        _in_words(code),
        taken=HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES,
        reached=code not in _OUT,
        retry_after=_asked_to_wait(response.headers.get("retry-after", "")),
    )


def _in_words(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _asked_to_wait(said: str) -> float:
    """Seconds, an hour at the most; https://www.rfc-editor.org/rfc/rfc9110#field.retry-after."""
    if said.isascii() and said.isdecimal():
        seconds = float(said)
    else:
        try:
            moment = parsedate_to_datetime(said)
        except ValueError:
            return 0
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - clock.now()).total_seconds()
    return min(max(seconds, 0), _LONGEST_RETRY_AFTER)


def _reason(error: requests.RequestException) -> str:
    """Why there is no answer; never the error's own text, which names the url."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection: certificate or TLS refused"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, socket.gaierror):
            return "no such host"
        cause = cause.__cause__ or cause.__context__
    return "connection lost" if isinstance(error, requests.ConnectionError) else type(error).__name__
