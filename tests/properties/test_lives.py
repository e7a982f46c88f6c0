"""Whatever boxes a provider has, and whichever days it runs: the books are right, and nothing happens twice."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from lifecycle_jobs import log
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.mail import delivery
from tests import daily, servers
from tests.auditing import assert_books_are_right
from tests.properties.books import assert_sound
from tests.properties.lives import (
    START,
    Box,
    Customer,
    Provider,
    Visit,
    World,
    boxes,
    dates,
    forget_the_disk,
    providers,
    visits,
    without_delivery,
)

MORE = "TESTS_EXAMPLES"
PARTS = 3
"""Each property is tried in parts, so that those who test at the same time can share it."""

in_parts = pytest.mark.parametrize("part", range(PARTS))


def examples(part: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A part's share of 9 examples: the same on every machine, or others each time where more are asked for.

    `make soak` asks for 200: they take a quarter of an hour.
    """
    number = int(os.environ.get(MORE, "9"))
    chosen = settings(
        max_examples=-(-number // PARTS),
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    begin = seed(part if MORE not in os.environ else random.SystemRandom().getrandbits(64))
    return lambda test: begin(chosen(test))


FEW_ALERTS = {"alert_milestones": (30,), "notice_milestones": (37,), "deletion_milestones": (30,)}

NEAR = st.integers(-14, 40)
LONG_PAST = st.integers(-120, 3)
AROUND = st.one_of(NEAR, NEAR, LONG_PAST)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("lives")
    usual = gc.get_threshold()
    gc.set_threshold(200_000)  # queries are built from very many small things
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "deliver", without_delivery)
        if request.param == "sqlite":
            yield from _opened(servers.fresh_sqlite(folder), folder)
        else:
            with servers.fresh_postgresql() as url:
                yield from _opened(url, folder)
    gc.set_threshold(*usual)


@pytest.fixture(autouse=True)
def quiet() -> None:
    log.configure("error", "json")


def _opened(url: str, folder: Path) -> Iterator[World]:
    store: Store = open_store(url)
    forget_the_disk(store)
    try:
        yield World(store, daily.settings_for(folder))
    finally:
        store.engine.dispose()


def certain(provider: Provider) -> Provider:
    """The same provider where no answer is lost and nothing hangs on how much credit is left when."""
    return tuple(
        replace(customer, credit=0, boxes=tuple(_certain(box) for box in customer.boxes)) for customer in provider
    )


def _certain(box: Box) -> Box:
    return replace(box, token=box.token.replace("sandbox_lost_answer", "pm_lost"))


@in_parts
def test_the_books_are_right_after_any_days_of_any_provider(world: World, part: int) -> None:
    @examples(part)
    @given(provider=providers(AROUND), seen=visits, sure=st.booleans())
    def are_right(provider: Provider, seen: list[Visit], *, sure: bool) -> None:
        run_and_check(world, provider, seen, sure=sure)

    are_right()


def run_and_check(world: World, provider: Provider, seen: list[Visit], *, sure: bool) -> None:
    """Run the days, some of them twice, and look at the books after each."""
    provider = certain(provider) if sure else provider
    world.settle(provider)

    for on, how in dates(seen):
        world.run(on)
        assert_sound(world, provider)
        if how == "twice":
            before = world.rows()
            assert world.run(on).run_pass is None
            assert world.rows() == before
        if how == "again":
            before = world.rows()
            assert world.run(on, again=True).run_pass == 2
            assert_sound(world, provider)
            if sure:
                assert world.rows() == before
    assert_books_are_right(world.store, world.settings)


def deletions(world: World, provider: Provider, days: list[date]) -> dict[str, tuple[date, date]]:
    """When each box was suspended and deleted, the days being run with few alerts: those delete nothing."""
    world = World(world.store, daily.settings_for(world.journal.parent, policy=FEW_ALERTS))
    world.settle(provider)
    for on in days:
        world.run(on)
    return {
        box["address"]: (box["suspended_on"], box["deleted_on"])
        for box in world.rows()["boxes"]
        if box["status"] == "deleted"
    }


unpaid = boxes(st.integers(-95, -55)).map(lambda box: replace(box, auto_renew=False, addons=()))
unpaid_providers = st.lists(unpaid, min_size=2, max_size=8).map(lambda some: (Customer(0, tuple(some)),))


some_days = st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=2, max_size=3, unique_by=itemgetter(0))


@in_parts
def test_skipping_days_deletes_no_box_earlier(world: World, part: int) -> None:
    @examples(part)
    @given(provider=unpaid_providers, seen=some_days.map(sorted))
    def are_not_earlier(provider: Provider, seen: list[tuple[int, bool]]) -> None:
        run_with_and_without(world, provider, seen)

    are_not_earlier()


def run_with_and_without(world: World, provider: Provider, seen: list[tuple[int, bool]]) -> None:
    """Run all the days, and again only those that are not skipped."""
    days = [START + timedelta(days=number) for number, _ in seen]
    many = deletions(world, provider, days)
    few = deletions(world, provider, [on for on, (_, skipped) in zip(days, seen, strict=True) if not skipped])

    for address, (suspended_on, deleted_on) in few.items():
        assert deleted_on >= many[address][1]
        assert deleted_on > suspended_on
