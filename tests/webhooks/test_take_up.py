"""Which events are queued for the receiver: each that is for it, once, however late it comes to light."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import webhook_marks
from lifecycle_jobs.webhooks.take_up import take_up
from tests.webhooks.sending import boxes_named, event, happen, queued

NOON = datetime(2027, 4, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(store: Store, moment: datetime, *, chunk_size: int = 1000) -> int:
    return take_up(store, moment, chunk_size=chunk_size, advance=lambda _rows: None)


def test_what_happened_before_the_first_pass_stays_at_home_and_what_happens_after_it_goes(store: Store) -> None:
    (box,) = boxes_named(store, "a")
    happen(store, box, "box.expiry_alert")

    assert at(store, NOON) == 0
    new = happen(store, box, "box.suspended", "charge.declined", "addon.disabled")

    assert at(store, NOON + MINUTE) == 3
    assert queued(store) == new
    assert at(store, NOON + 2 * MINUTE) == 0, "once is enough"


@pytest.mark.parametrize(
    "kind", ["deletion.approved", "deletions.approved", "parked.retried", "emergency.stopped", "payment.registered"]
)
def test_what_people_do_in_the_office_is_nobody_elses_business(store: Store, kind: str) -> None:
    (box,) = boxes_named(store, "a")
    at(store, NOON)
    happen(store, box, kind)

    assert at(store, NOON + MINUTE) == 0


def test_many_events_are_taken_up_in_chunks_none_twice(store: Store) -> None:
    (box,) = boxes_named(store, "a")
    at(store, NOON)
    new = happen(store, box, *["box.suspended"] * 25)
    chunks: list[int] = []

    assert take_up(store, NOON + MINUTE, chunk_size=10, advance=chunks.append) == 25
    assert chunks == [10, 10, 5]
    assert take_up(store, NOON + MINUTE, chunk_size=10, advance=chunks.append) == 0
    assert queued(store) == new


def test_on_postgresql_an_event_that_comes_to_light_after_a_later_one_is_not_lost(
    postgresql_store: Store, postgresql_url: str
) -> None:
    store, slow = postgresql_store, open_store(postgresql_url)
    boxes = boxes_named(store, "slow", "quick")
    at(store, NOON)
    with slow.write() as writing:
        late = event(writing, boxes[0])
        for minute in range(1, 59):  # in the meantime others go on, and so do the passes
            (early,) = happen(store, boxes[1], "box.suspended")
            assert late < early
            assert at(store, NOON + minute * MINUTE) == 1
    slow.engine.dispose()

    assert late not in queued(store)
    assert at(store, NOON + 59 * MINUTE) == 1
    assert late in queued(store)
    assert at(store, NOON + 60 * MINUTE) == 0


def test_what_is_older_than_any_transaction_is_not_looked_at_again(store: Store) -> None:
    (box,) = boxes_named(store, "a")
    for minute in range(0, 180, 5):
        happen(store, box, "box.suspended")
        at(store, NOON + minute * MINUTE)

    with store.read() as connection:
        marks, lowest = connection.execute(select(func.count(), func.min(webhook_marks.c.event_id))).one()
    assert marks == 13, "one for each pass of the last hour, and the one that is old enough"
    assert lowest == 24


def test_quiet_times_leave_no_marks(store: Store) -> None:
    boxes_named(store, "a")
    for minute in range(10):
        at(store, NOON + minute * MINUTE)

    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(webhook_marks)) == 1


def test_a_clock_that_was_ahead_and_is_set_back_loses_nothing(store: Store) -> None:
    (box,) = boxes_named(store, "a")
    at(store, NOON)
    happen(store, box, "box.suspended")
    at(store, NOON + timedelta(days=3650))
    for minute in range(1, 180, 5):
        happen(store, box, "box.suspended")
        at(store, NOON + minute * MINUTE)

    assert len(queued(store)) == 37
