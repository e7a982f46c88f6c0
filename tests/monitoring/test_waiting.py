"""Work that may hang: whoever waits for it is told in time, and nobody spoils it for the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from lifecycle_jobs.monitoring.waiting import Crew, Shared


class Work:
    """Counts how often it was done, and lasts until it is let go."""

    def __init__(self) -> None:
        self.done = 0
        self.go = threading.Event()

    def __call__(self) -> int:
        self.done += 1
        self.go.wait(30)
        return self.done

    async def let_go(self, after: float) -> int:
        """Let it end after so many seconds; returns how often it was begun until then."""
        await asyncio.sleep(after)
        begun = self.done
        self.go.set()
        return begun


@pytest.fixture
def work() -> Work:
    return Work()


async def outcomes(*asked: Coroutine[Any, Any, int]) -> list[int | BaseException]:
    return await asyncio.gather(*asked, return_exceptions=True)


def test_it_is_done_once_for_all_who_ask_meanwhile(work: Work) -> None:
    async def ask() -> list[int | BaseException]:
        shared = Shared(work, keep=60)
        asked, _ = await asyncio.gather(outcomes(*(shared.latest(10) for _ in range(5))), work.let_go(after=0.05))
        return [*asked, await shared.latest(10)]

    assert asyncio.run(ask()) == [1] * 6


def test_after_a_while_it_is_done_again(work: Work) -> None:
    work.go.set()

    async def ask() -> list[int]:
        shared = Shared(work, keep=0.05)
        first = [await shared.latest(10) for _ in range(3)]
        await asyncio.sleep(0.1)
        return [*first, await shared.latest(10)]

    assert asyncio.run(ask()) == [1, 1, 1, 2]


def test_what_took_long_is_kept_the_longer() -> None:
    def slow() -> float:
        time.sleep(0.1)
        return time.monotonic()

    async def ask() -> set[float]:
        shared = Shared(slow, keep=0, rest=50)
        return {await shared.latest(10) for _ in range(5)}

    assert len(asyncio.run(ask())) == 1


def test_whoever_gives_up_does_not_take_it_from_the_others(work: Work) -> None:
    async def ask() -> list[int | BaseException]:
        shared = Shared(work, keep=60)
        asked = outcomes(shared.latest(0.05), shared.latest(0.05), shared.latest(10))
        found, _ = await asyncio.gather(asked, work.let_go(after=0.3))
        return found

    *hasty, patient = asyncio.run(ask())
    assert [type(each) for each in hasty] == [TimeoutError, TimeoutError]
    assert patient == 1


def test_its_failure_is_everybodys_and_is_forgotten_after_a_while() -> None:
    results = [ValueError("once"), 7]

    def fails_once() -> int:
        result = results.pop(0)
        if isinstance(result, ValueError):
            raise result
        return int(str(result))

    async def ask() -> list[int | BaseException]:
        shared = Shared(fails_once, keep=0.05)
        failed = await outcomes(shared.latest(10), shared.latest(10))
        await asyncio.sleep(0.1)
        return [*failed, await shared.latest(10)]

    first, second, third = asyncio.run(ask())
    assert isinstance(first, ValueError)
    assert isinstance(second, ValueError)
    assert third == 7


def test_a_crew_does_so_much_at_a_time_and_the_rest_after_it(work: Work) -> None:
    async def ask() -> tuple[int, list[int | BaseException]]:
        crew = Crew(2)
        results, at_once = await asyncio.gather(
            outcomes(*(crew.do(work, 10) for _ in range(6))), work.let_go(after=0.1)
        )
        return at_once, results

    at_once, results = asyncio.run(ask())
    assert at_once == 2
    assert len(results) == work.done == 6


def test_a_crew_that_is_held_up_does_not_hold_up_whoever_asks(work: Work) -> None:
    async def ask() -> list[int | BaseException]:
        crew = Crew(1)
        return await outcomes(crew.do(work, 0.1), crew.do(work, 0.1))

    assert [type(each) for each in asyncio.run(ask())] == [TimeoutError, TimeoutError]
    assert work.done == 1
    work.go.set()


def test_work_that_ends_after_everything_is_over_harms_nobody(work: Work) -> None:
    async def ask() -> list[int | BaseException]:
        return await outcomes(Crew(1).do(work, 0.05), Shared(work, keep=1).latest(0.05))

    asyncio.run(ask())
    work.go.set()

    while "monitoring-work" in {thread.name for thread in threading.enumerate()}:
        time.sleep(0.01)
