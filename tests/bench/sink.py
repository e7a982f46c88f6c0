"""A mail server that takes everything and keeps nothing, as fast as it can, in a process of its own.

Postfix's `smtp-sink` where it is installed: it was made to find out how fast others send. Otherwise the few lines
below, which speak just as much SMTP as a well-behaved client needs.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
_ROOT = Path(__file__).parents[2]
_START_SECONDS = 10
_STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Sink:
    """A running server: its port, and which one it is."""

    port: int
    name: str


@contextmanager
def running(*options: str) -> Iterator[Sink]:
    """A sink on a free loopback port for the length of the block; `options` are of `smtp-sink`."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    found = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    process = subprocess.Popen(_command(found, port, options), cwd=_ROOT)
    try:
        _wait_for(port)
        yield Sink(port, "postfix's smtp-sink" if found else "a sink of our own (smtp-sink is not installed)")
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def _command(found: str | None, port: int, options: Sequence[str]) -> list[str]:
    if found is None:
        return [sys.executable, "-m", "tests.bench.sink", str(port)]
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to be root
    return [found, *user, *options, f"{HOST}:{port}", "256"]


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with socket.create_connection((HOST, port), timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class Conversation(asyncio.Protocol):
    """One connection. Replies to every command, and to the dot at the end of a message."""

    def __init__(self) -> None:
        self._unread = b""
        self._in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while True:
            end = b"\r\n.\r\n" if self._in_message else b"\r\n"
            head, found, rest = self._unread.partition(end)
            if not found:
                if self._in_message:
                    self._unread = self._unread[-len(end) :]  # what is kept nowhere need not be looked at twice
                return
            self._unread = rest
            if self._in_message:
                self._in_message = False
                self._transport.write(b"250 2.0.0 Ok: queued as SINK\r\n")
            else:
                self._answer(head[:4].upper())

    def _answer(self, verb: bytes) -> None:
        if verb == b"EHLO":
            self._transport.write(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
        elif verb == b"DATA":
            self._in_message = True
            self._transport.write(b"354 Go on\r\n")
        elif verb == b"QUIT":
            self._transport.write(b"221 Bye\r\n")
            self._transport.close()
        else:
            self._transport.write(b"250 Ok\r\n")


async def serve(port: int) -> None:
    """Take mail until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Conversation, HOST, port, backlog=256)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
