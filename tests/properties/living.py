"""Opens the place where provider after provider lives, and lets them live."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from lifecycle_jobs.db.session import open_store
from tests import daily
from tests.properties.lives import forget_the_disk
from tests.properties.machine import Accounts
from tests.properties.provider import Registry


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Registry]:
    """A place of its own on a fresh database."""
    store = open_store(url)
    forget_the_disk(store)
    usual = gc.get_threshold()
    gc.set_threshold(200_000)  # queries are built from very many small things
    try:
        yield Registry(store, daily.settings_for(folder))
    finally:
        gc.set_threshold(*usual)
        store.engine.dispose()


def live(registry: Registry, *, lives: int, steps: int, chance: int) -> Counter[str]:
    """So many lives of so many steps; how often each operation was accepted and refused in them."""
    counts: Counter[str] = Counter()
    chosen = settings(
        max_examples=lives,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # each life takes seconds: to look for a shorter one would take hours
        suppress_health_check=list(HealthCheck),
    )

    @seed(chance)
    class Life(Accounts):
        def __init__(self) -> None:
            super().__init__(registry, counts)

    run_state_machine_as_test(Life, settings=chosen)
    return counts
