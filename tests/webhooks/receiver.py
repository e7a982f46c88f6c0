"""A real receiver of webhooks on a loopback port of its own. It verifies what it gets with the library's own verifier,
keeps a journal, and fails as it is told to."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

HOST = "127.0.0.1"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ANOTHER_SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


@dataclass(frozen=True)
class Reaction:
    """What is answered, after so many seconds. `drop`: the connection is closed instead."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0
    drop: bool = False


TAKEN = Reaction()


@dataclass(frozen=True)
class Received:
    """A request with a valid signature, and what it was answered."""

    id: str
    body: bytes
    status: int

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def kind(self) -> str:
        kind: str = self.document["type"]
        return kind

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.document["data"]
        return data


class Receiver:
    """Listens while the `with` block lasts; can be stopped and started again on the same port."""

    def __init__(self, secret: str = SECRET) -> None:
        self.journal: list[Received] = []
        self.forged = 0
        self.connections = 0
        self.most_at_once = 0
        self.most_at_once_of_a_box = 0
        self.react: Callable[[Received], Reaction] = lambda _received: TAKEN
        self.when_asked: Callable[[], None] = lambda: None
        self._verifier = Webhook(secret)
        self._alone = threading.Lock()
        self._under_way: Counter[int | None] = Counter()
        self._arrived = threading.Condition(self._alone)
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port: int = probe.getsockname()[1]
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/events"

    @property
    def taken(self) -> list[Received]:
        """What was answered with a 2xx."""
        return [received for received in self.journal if 200 <= received.status <= 299]

    def wait_for(self, number: int, seconds: float = 30) -> None:
        """Until the journal has so many entries."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.journal) >= number, seconds):
                raise TimeoutError(f"{len(self.journal)} requests in {seconds} s, not {number}")

    def start(self) -> None:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.end()
            self._server = None

    def judge(self, body: bytes, headers: dict[str, str]) -> Reaction:
        """What comes of one request."""
        self.when_asked()
        try:
            data = self._verifier.verify(body, headers)["data"]
        except WebhookVerificationError:
            with self._alone:
                self.forged += 1
            return Reaction(401)
        box = data.get("box_id")
        with self._alone:
            self._under_way[box] += 1
            self.most_at_once = max(self.most_at_once, self._under_way.total())
            self.most_at_once_of_a_box = max(self.most_at_once_of_a_box, self._under_way[box])
        lower = {name.lower(): value for name, value in headers.items()}
        reaction = self.react(Received(lower["webhook-id"], body, 0))
        if reaction.delay and self._server is not None:
            self._server.ending.wait(reaction.delay)
        with self._arrived:
            self.journal.append(Received(lower["webhook-id"], body, 0 if reaction.drop else reaction.status))
            self._under_way[box] -= 1
            self._arrived.notify_all()
        return reaction

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that `server_close` waits for them, and no test leaves one behind

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.ending = threading.Event()
        self.open: set[socket.socket] = set()
        super().__init__((HOST, receiver.port), _Handler)

    def end(self) -> None:
        self.shutdown()
        self.ending.set()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who sends webhooks may go away in the middle; a test that cares finds out by what is missing."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.open.add(self.connection)
        self.server.receiver.connections += 1

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        reaction = self.server.receiver.judge(body, dict(self.headers.items()))
        if reaction.drop:
            self.close_connection = True
            return
        self.send_response(reaction.status)
        for name, value in ({"content-length": str(len(reaction.body))} | reaction.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reaction.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the library's name
        """The journal says it all."""
