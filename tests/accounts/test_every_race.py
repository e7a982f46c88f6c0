"""Operations beside jobs on the same box at the same moment, made to overlap, on PostgreSQL: a few of all the pairs.

`make soak` tries every pair, in both orders, again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import pytest

from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.payments.sandbox import SandboxGateway
from tests import servers
from tests.accounts.operations import OPERATIONS, Operation
from tests.accounts.racing import First, possible, race
from tests.accounts.situations import SITUATIONS, Situation
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, settings_for

FIRSTS: tuple[First, ...] = ("job", "operation")
CHOSEN = [
    pytest.param(operation, SITUATIONS[turn % len(SITUATIONS)], first, id=f"{operation.name}, {first} first")
    for turn, (operation, first) in enumerate(zip(OPERATIONS, cycle(FIRSTS), strict=False))
]


@pytest.fixture(scope="module")
def busy_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office for all races of this file: each begins with an empty database of its own accord."""
    settings = settings_for(tmp_path_factory.mktemp("office"))
    with servers.fresh_postgresql() as url:
        store = open_store(url)
        yield Office(store, settings, SandboxGateway(settings.sandbox.journal))
        store.engine.dispose()


def test_an_add_on_is_left_alone_if_its_boxs_renewal_is_undone_while_the_job_waits_for_the_box(
    busy_office: Office,
) -> None:
    """There is money to be refunded then, of which the job has not heard when it begins to wait."""
    undoing = next(each for each in OPERATIONS if each.name == "box undo-renewal")
    situation = next(each for each in SITUATIONS if each.job == "renew_addons")
    outcomes = possible(busy_office, undoing, situation)

    assert race(busy_office, undoing, situation, "operation") == outcomes["operation first"]


@pytest.mark.parametrize(("operation", "situation", "first"), CHOSEN)
def test_an_operation_and_a_job_that_overlap_end_as_if_they_had_not(
    busy_office: Office, operation: Operation, situation: Situation, first: First
) -> None:
    outcomes = possible(busy_office, operation, situation)

    assert race(busy_office, operation, situation, first) in outcomes.values()
    assert_books_are_right(busy_office.store, busy_office.settings)
