"""A web server of our own in a thread: it listens before `start` returns, and is gone two seconds after `stop`."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from types import TracebackType
from typing import Any, Self, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from lifecycle_jobs.errors import ConfigurationError

_BACKLOG = 128
_AT_ONCE = 100
_GRACE = 1
_STOPPED_WITHIN = 2.0
_ASKED_WITHIN = 10.0


class _Impatient(H11Protocol):
    """Closes a connection on which no whole request comes in time, also one that comes byte by byte.

    Otherwise whoever opens enough of them leaves no room for anybody else.
    """

    _seen: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self.loop.call_later(_ASKED_WITHIN, self._look)

    def _look(self) -> None:
        """Each time: whether it has been the visitor's turn since the last one, and it still is the same request."""
        if self.transport.is_closing():
            return
        cycle: Any = getattr(self, "cycle", None)  # uvicorn's types deny that there is none at first
        theirs = cycle is None or cycle.more_body or cycle.response_complete
        if theirs and cycle is self._seen:
            self.transport.close()
            return
        self._seen = cycle if theirs else None
        self.loop.call_later(_ASKED_WITHIN, self._look)


class WebServer:
    """Serves an application on an address between `start` and `stop`, or in a `with` block.

    `listen` is HOST:PORT, and `setting` the key of the configuration that says so; port 0 takes a free one. `port` is
    the one that is listened on, once it is.
    """

    def __init__(self, app: ASGIApp, listen: str, *, setting: str) -> None:
        self._app = app
        self._listen = listen
        self._setting = setting
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    def start(self) -> Self:
        """Listen. Raises ConfigurationError if the address is not to be had."""
        self._socket = self._bound()
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            loop="asyncio",
            http=_Impatient,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,  # our own log says what there is to say; its tracebacks quote requests
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_AT_ONCE,
            timeout_graceful_shutdown=_GRACE,
        )
        self._server = uvicorn.Server(config)
        # Not in the main thread it leaves signals alone; as a daemon it cannot keep the process from ending.
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name=self._setting, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Answer what is being answered, for a second at most, and be gone."""
        if self._server is None or self._thread is None or self._socket is None:
            return
        self._server.should_exit = True
        self._thread.join(_STOPPED_WITHIN)
        self._socket.close()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bound(self) -> socket.socket:
        host, _, port = self._listen.rpartition(":")
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            found = socket.socket(family, kind, protocol)
        except (OSError, ValueError, OverflowError) as error:
            raise self._refused(error) from error
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(_BACKLOG)
        except (OSError, OverflowError) as error:
            found.close()
            raise self._refused(error) from error
        found.setblocking(False)
        return found

    def _refused(self, error: Exception) -> ConfigurationError:
        why = getattr(error, "strerror", None) or str(error)
        return ConfigurationError(f"{self._setting}: cannot listen on {self._listen} ({why})")
