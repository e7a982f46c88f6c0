"""A limit to the whole of an answer's head, whatever the receiver does.

The time limits of sockets count anew with each byte: a receiver that sends one every few seconds would hold a request,
and with it the pass and an orderly stop, for as long as it likes.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class InTime(HTTPAdapter):
    """Talks over connections that are cut if status and headers are not there when the time for reading is over."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        """The connections to a host."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _InTimeSecurely if isinstance(pool, HTTPSConnectionPool) else _InTime
        return pool


class _InTime(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does
        late = threading.Event()

        def cut() -> None:
            late.set()
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(float(self.timeout or 0), cut)
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
        except Exception as error:
            if late.is_set():
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()
        if late.is_set():  # a head that breaks off is taken for a whole one
            response.close()
            raise TimeoutError
        return response


class _InTimeSecurely(_InTime, HTTPSConnection):
    pass
