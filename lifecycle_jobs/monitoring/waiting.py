"""Waiting for a database without being held up by it.

Work that may hang is done in threads that nobody has to wait for: neither a request, which is answered when its time
is up, nor the end of the process, as a thread pool would.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Crew:
    """So many threads at most: where all are at work, or held up, further work waits for its turn."""

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def do(self, work: Callable[[], Result], seconds: float) -> Result:
        """What the work returns or raises. Raises TimeoutError when the time is up; work that has begun goes on."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            with suppress(RuntimeError):  # nobody serves any more
                loop.call_soon_threadsafe(self._free.release)

        async with asyncio.timeout(seconds):
            await self._free.acquire()
            return await asyncio.wrap_future(_begun(work, ended))


class Shared(Generic[Result]):
    """Work that is done once for all who ask while it is under way, and for a while after.

    That while is `keep` seconds, or `rest` times as long as the work took if that is longer. Asked from one event loop.
    """

    def __init__(self, work: Callable[[], Result], *, keep: float, rest: int = 0) -> None:
        self._work = work
        self._keep = keep
        self._rest = rest
        self._last: Future[Result] | None = None
        self._good_until = 0.0

    async def latest(self, seconds: float) -> Result:
        """What the work returned or raised last. Raises TimeoutError when the time is up."""
        if self._last is None or (self._last.done() and time.monotonic() >= self._good_until):
            began = time.monotonic()

            def ended() -> None:
                now = time.monotonic()
                self._good_until = now + max(self._keep, self._rest * (now - began))

            self._last = _begun(self._work, ended)
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(self._last)


def _begun(work: Callable[[], Result], ended: Callable[[], None]) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()  # from here on whoever stops waiting cannot cancel it for the others

    def do() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 -- raised where it is waited for
            ended()
            future.set_exception(error)
        else:
            ended()
            future.set_result(result)

    threading.Thread(target=do, name="monitoring-work", daemon=True).start()
    return future
