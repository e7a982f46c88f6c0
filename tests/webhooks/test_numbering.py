"""After a restored backup new events have higher numbers than any that the platform can have seen."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import events
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.webhooks.numbering import ENOUGH, skip_numbers
from lifecycle_jobs.webhooks.replay import Period, replay
from tests.webhooks.receiver import Receiver
from tests.webhooks.sending import ON, boxes_named, counted, deliver, happen

ANNA = Operator("anna", "restored from the backup", date(2027, 4, 3))


def test_what_happens_next_has_a_number_past_the_skipped_ones(store: Store) -> None:
    (box,) = boxes_named(store, "a")
    (before,) = happen(store, box, "box.suspended")

    after = skip_numbers(store, ANNA, 10_000)

    assert after == before + 10_000
    assert happen(store, box, "box.renewed", "box.suspended") == [after + 1, after + 2]


def test_it_can_be_done_again_and_on_an_empty_history(store: Store) -> None:
    assert skip_numbers(store, ANNA) == ENOUGH
    assert skip_numbers(store, ANNA) == 2 * ENOUGH


def test_the_history_tells_who_did_it_and_why(store: Store) -> None:
    skip_numbers(store, ANNA, 20_000)

    with store.read() as connection:
        found = connection.execute(select(events)).one()
    assert (found.kind, found.actor, found.why) == ("webhooks.numbers_skipped", ANNA.name, ANNA.why)
    assert (found.occurred_on, found.detail) == (ANNA.on, {"after": 0, "number": 20_000})


@pytest.mark.parametrize("number", [-1, 0, 9_999, 1_000_000_001])
def test_too_few_to_be_safe_and_more_than_can_be_meant_are_refused(store: Store, number: int) -> None:
    with pytest.raises(Refused, match="Nothing was done"):
        skip_numbers(store, ANNA, number)

    (box,) = boxes_named(store, "a")
    assert happen(store, box, "box.suspended") == [1]


def test_the_platform_is_told_of_both_sides_in_order_without_a_look_at_each_number(
    told: Store, settings: Settings, receiver: Receiver
) -> None:
    (box,) = boxes_named(told, "a")
    old = happen(told, box, "box.suspended")
    skip_numbers(told, ANNA)
    new = happen(told, box, "box.renewed")
    small = settings.model_copy(update={"database": settings.database.model_copy(update={"chunk_size": 1})})

    assert counted(deliver(told, small)) == (2, 0, 0)
    assert [received.data["sequence"] for received in receiver.journal] == old + new
    assert replay(told, small, ANNA, Period(ON, None, None), lambda _name, _rows: None) == 2
