"""Who does the work of a run in other processes: each engine is a few lines around a `concurrent.futures.Executor`.

An engine gives seats. A seat does one call at a time, in whatever process it likes; that the calls are done elsewhere,
or not at all, is the whole of what whoever hands them out (`lifecycle_jobs.jobs.crew`) knows of it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from typing import Final
from urllib.parse import urlsplit

from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.settings import WorkersSettings

_ANSWERS_WITHIN: Final = 10
"""Seconds for the scheduler of a cluster to answer at all."""


def given_up(workers: Mapping[str, int], during: str | None = None) -> list[str]:
    """Of workers that were given up, how many and why, for a person to look at."""
    told = "" if during is None else f" (during {during})"
    return [
        f"{number} of the workers {'was' if number == 1 else 'were'} given up: {why}{told}. The work was done without."
        for why, number in workers.items()
    ]


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one call at a time is done. `abandon` makes sure that the one under way ends, or is not waited for."""

    name: str
    executor: Executor
    abandon: Callable[[], None]


def take_seats(workers: WorkersSettings) -> AbstractContextManager[Sequence[Seat]]:
    """The seats of the engine that the settings name, for the length of a `with` block; none if nobody is to help.

    Raises ConfigurationError if the engine cannot be used.
    """
    return _ENGINES[workers.engine](workers)


@contextmanager
def _local(workers: WorkersSettings) -> Iterator[Sequence[Seat]]:
    """Processes of this machine, started when they are first needed.

    Each in a pool of its own: when one process of a pool dies, the pool ends all the others.
    """
    if not workers.wanted:
        yield []
        return
    pools = [_OneProcess() for _ in range(workers.count)]
    try:
        yield [Seat(f"worker {number}", pool, pool.kill) for number, pool in enumerate(pools, 1)]
    except BaseException:
        for pool in pools:  # whatever they have in hand is rolled back
            pool.kill()
        raise
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


class _OneProcess(ProcessPoolExecutor):
    """A process of its own, made anew and not forked: a copy would share our connections to the database."""

    def __init__(self) -> None:
        super().__init__(1, mp_context=get_context("spawn"), initializer=_begin)

    def kill(self) -> None:
        """End the process at once, if there is one."""
        for process in list((self._processes or {}).values()):
            process.kill()


def _begin() -> None:
    """In the new process: it ends when it is told to, or with who started it, and not by a signal meant for that one.

    A service manager and a terminal send theirs to all processes; a chunk in hand is to be finished all the same.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # nobody is left to take an answer; the database takes back what is not committed


@contextmanager
def _dask(workers: WorkersSettings) -> Iterator[Sequence[Seat]]:
    """A Dask cluster: a seat for each thread that its workers have now."""
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            'workers.engine: "dask" needs Dask on this machine: pip install lifecycle-jobs[dask]'
        ) from error
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what becomes of the cluster is ours to tell
    try:
        _reach(workers.scheduler)
        client = Client(workers.scheduler, timeout=_ANSWERS_WITHIN, set_as_default=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f"workers.scheduler: no Dask scheduler answers at {workers.scheduler} ({_in_a_line(error)}). Start it, "
            "correct the address, or run without --engine dask. Nothing was done."
        ) from error
    try:
        threads = sum(client.nthreads().values())
        if not threads:
            raise ConfigurationError(
                f"workers.scheduler: the Dask scheduler at {workers.scheduler} has no workers. Start some (dask worker "
                f"{workers.scheduler}), or run without --engine dask. Nothing was done."
            )
        # Not "pure": a call that is made once more must be done once more.
        executor = client.get_executor(pure=False)
        yield [Seat(f"Dask thread {number}", executor, _nothing) for number in range(1, threads + 1)]
    finally:
        with suppress(Exception):  # the scheduler may be gone; what was done stands in the database
            client.close(timeout=_ANSWERS_WITHIN)


def _reach(address: str) -> None:
    """Raise OSError if nobody listens there: a client that has never met its scheduler is slow to go."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), _ANSWERS_WITHIN):
        pass


def _nothing() -> None:
    """The cluster looks after its own: a process there is not ours to end."""


def _in_a_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


_ENGINES: Final[Mapping[str, Callable[[WorkersSettings], AbstractContextManager[Sequence[Seat]]]]] = {
    "local": _local,
    "dask": _dask,
}
