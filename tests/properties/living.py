"""Opens the place where provider after provider lives, and lets them live."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleStrategy, run_state_machine_as_test

from lifecycle_jobs.db.session import open_store
from tests import daily
from tests.properties.lives import forget_the_disk
from tests.properties.machine import Accounts
from tests.properties.provider import Registry

OFTEN = {
    "until_a_day_that_matters": 3,
    "until_a_box_is_deleted": 2,
    "apply_payment": 5,
    "buy": 2,
    "buy_addon": 4,
    "cancel_order": 4,
    "lift": 2,
    "order": 3,
    "order_all_that_expire": 3,
    "order_addon": 2,
    "pay_from_credit": 4,
    "refund_charge": 9,
    "release": 8,
    "release_domain": 2,
    "renew_domain": 2,
    "renew_itself": 3,
    "resolve_charge": 8,
    "revive": 4,
    "top_up": 2,
    "undo_renewal": 2,
}
"""The rules of time, and those that can seldom be applied."""
AT_ONCE = 9
"""From the tenth on hypothesis would repeat parts of earlier lives, most of which are refused the second time."""


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


class _EveryRule(RuleStrategy):
    """All rules, some more often than others.

    Hypothesis leaves out half of them in each life, by chance; most of what is left would be refused then.
    """

    def __init__(self, machine: Accounts) -> None:
        super().__init__(machine)
        often = [rule for rule in self.rules for _ in range(OFTEN.get(rule.function.__name__, 1))]
        self._enabled_rules_strategy = st.sampled_from(often).filter(self._rule_is_enabled)

    def _rule_is_enabled(self, r: Any) -> bool:
        return bool(self.is_valid(r))


def live(registry: Registry, *, lives: int, steps: int, chance: int) -> Counter[str]:
    """So many lives of so many steps; how often each operation was accepted and refused in them."""
    counts: Counter[str] = Counter()
    for number, before in enumerate(range(0, lives, AT_ONCE)):
        _live_some(registry, counts, min(AT_ONCE, lives - before), steps, chance + number)
    return counts


def _live_some(registry: Registry, counts: Counter[str], lives: int, steps: int, chance: int) -> None:
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
            self._rules_strategy = _EveryRule(self)

    run_state_machine_as_test(Life, settings=chosen)
