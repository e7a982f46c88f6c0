"""Where calls are done: processes of this machine that end when they should, and Dask, or why it cannot be used."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

from lifecycle_jobs.engines import Seat, take_seats
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.settings import WorkersSettings
from tests.dask_cluster import DaskCluster

LOCAL = WorkersSettings(engine="local", count=2, scheduler="", time_out=60)

PARENT = """
import os, time
from lifecycle_jobs.engines import take_seats
from tests.test_engines import LOCAL
with take_seats(LOCAL) as seats:
    print(*[seat.executor.submit(os.getpid).result() for seat in seats], flush=True)
    calls = [seat.executor.submit(time.sleep, 60) for seat in seats]
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def seats() -> Iterator[list[Seat]]:
    with take_seats(LOCAL) as taken:
        yield list(taken)


def dask(address: str) -> WorkersSettings:
    return WorkersSettings(engine="dask", count=1, scheduler=address, time_out=60)


def test_alone_there_are_no_seats() -> None:
    with take_seats(LOCAL.model_copy(update={"count": 1})) as seats:
        assert seats == []


def test_each_seat_is_a_process_and_a_signal_meant_for_the_run_does_not_end_it(seats: list[Seat]) -> None:
    pids = [seat.executor.submit(os.getpid).result() for seat in seats]
    assert len({os.getpid(), *pids}) == 3

    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(pids[0], number)

    assert seats[0].executor.submit(os.getpid).result() == pids[0]


def test_one_that_is_abandoned_ends_at_once_and_the_others_go_on(seats: list[Seat]) -> None:
    call = seats[0].executor.submit(time.sleep, 60)
    time.sleep(0.2)

    seats[0].abandon()

    assert isinstance(call.exception(10), BrokenExecutor)
    assert seats[1].executor.submit(abs, -3).result() == 3


def test_they_end_with_a_run_that_is_killed() -> None:
    """Even in the middle of a call: the database takes back what they had in hand."""
    run = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pids = [int(pid) for pid in run.stdout.readline().split()]

    run.kill()
    run.communicate()

    assert len(pids) == 2
    until = time.monotonic() + 20
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_without_dask_installed_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(ConfigurationError, match=r"pip install lifecycle-jobs\[dask\]"), take_seats(dask("tcp://h:1")):
        pass


def test_where_no_scheduler_listens_it_says_so_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(ConfigurationError) as refusal, take_seats(dask(address)):
            pass

    assert f"workers.scheduler: no Dask scheduler answers at {address}" in str(refusal.value)
    assert "Start it, correct the address, or run without --engine dask. Nothing was done." in str(refusal.value)


def test_a_cluster_without_workers_is_refused(tmp_path: Path) -> None:
    with DaskCluster(tmp_path, 0) as cluster:
        cluster.wait_for_scheduler()

        with pytest.raises(ConfigurationError, match=r"has no workers\. Start some"), take_seats(dask(cluster.address)):
            pass


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}
