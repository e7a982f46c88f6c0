"""Operations beside jobs on the same box at the same moment, made to overlap, on PostgreSQL: a few of all the pairs.

`make soak` tries every pair, in both orders, again and again.
"""

from __future__ import annotations

import pytest

from tests.accounts.operations import OPERATIONS, Operation
from tests.accounts.racing import First, possible, race
from tests.accounts.situations import SITUATIONS, Situation
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office

CHOSEN = [
    pytest.param(operation, SITUATIONS[turn % len(SITUATIONS)], first, id=f"{operation.name}, {first} first")
    for turn, operation in enumerate(OPERATIONS)
    for first in (("operation", "job") if turn % 3 == 0 else ("job",))
]


def test_an_add_on_is_left_alone_if_its_boxs_renewal_is_undone_while_the_job_waits_for_the_box(
    postgresql_office: Office,
) -> None:
    """There is money to be refunded then, of which the job has not heard when it begins to wait."""
    undoing = next(each for each in OPERATIONS if each.name == "box undo-renewal")
    situation = next(each for each in SITUATIONS if each.job == "renew_addons")
    outcomes = possible(postgresql_office, undoing, situation)

    assert race(postgresql_office, undoing, situation, "operation") == outcomes["operation first"]


@pytest.mark.parametrize(("operation", "situation", "first"), CHOSEN)
def test_an_operation_and_a_job_that_overlap_end_as_if_they_had_not(
    postgresql_office: Office, operation: Operation, situation: Situation, first: First
) -> None:
    outcomes = possible(postgresql_office, operation, situation)

    assert race(postgresql_office, operation, situation, first) in outcomes.values()
    assert_books_are_right(postgresql_office.store, postgresql_office.settings)
