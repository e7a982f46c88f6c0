"""What a receiver lost is sent again: of a period, under the same ids, in the same order."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from lifecycle_jobs import lease
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import events
from lifecycle_jobs.errors import LeaseHeld, Refused
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.webhooks import replay as module
from lifecycle_jobs.webhooks.deliver import NAME
from lifecycle_jobs.webhooks.replay import Period, replay
from tests.webhooks.receiver import Reaction, Receiver
from tests.webhooks.sending import boxes_named, changed, counted, deliver, delivery, happen, queued

ANNA = Operator("anna", "the platform was restored", date(2027, 4, 3))
DAY = timedelta(days=1)
FIRST = date(2027, 4, 1)


def again(store: Store, settings: Settings, since: date, until: date | None = None, kind: str | None = None) -> int:
    return replay(store, settings, ANNA, Period(since, until, kind), lambda _name, _rows: None)


@pytest.fixture
def three_days(told: Store) -> list[int]:
    """Two boxes, to each of which something happens on each of three days."""
    a, b = boxes_named(told, "a", "b")
    return [
        number
        for day in range(3)
        for box in (a, b)
        for number in happen(told, box, "box.suspended", "charge.declined", on=FIRST + day * DAY)
    ]


def test_events_of_the_period_go_again_under_the_same_ids_and_to_the_byte(
    told: Store, settings: Settings, receiver: Receiver, three_days: list[int]
) -> None:
    deliver(told, settings)
    before = list(receiver.journal)

    assert again(told, settings, FIRST + DAY, FIRST + DAY) == 4
    assert queued(told) == three_days[4:8]
    assert counted(deliver(told, settings)) == (4, 0, 0)

    new = receiver.journal[len(before) :]
    assert {received.body for received in new} <= {received.body for received in before}
    assert {received.id for received in new} <= {received.id for received in before}
    for box in (1, 2):
        numbers = [received.data["sequence"] for received in new if received.data["box_id"] == box]
        assert numbers == sorted(numbers)


def test_without_an_end_it_goes_up_to_now(told: Store, settings: Settings, three_days: list[int]) -> None:
    deliver(told, settings)

    assert again(told, settings, FIRST + DAY) == 8
    assert queued(told) == three_days[4:]


@pytest.mark.usefixtures("three_days")
def test_one_kind_may_go_alone(told: Store, settings: Settings, receiver: Receiver) -> None:
    deliver(told, settings)
    receiver.journal.clear()

    assert again(told, settings, FIRST, kind="charge.declined") == 6
    deliver(told, settings)
    assert {received.kind for received in receiver.journal} == {"charge.declined"}


def test_what_happened_before_webhooks_were_configured_can_be_sent_too(
    store: Store, settings: Settings, receiver: Receiver
) -> None:
    (box,) = boxes_named(store, "a")
    old = happen(store, box, "box.suspended", "box.deleted")
    assert counted(deliver(store, settings)) == (0, 0, 0)

    assert again(store, settings, FIRST) == 2
    assert counted(deliver(store, settings)) == (2, 0, 0)
    assert [received.data["sequence"] for received in receiver.journal] == old


def test_what_waits_for_its_back_off_is_tried_at_once(
    told: Store, settings: Settings, receiver: Receiver, three_days: list[int]
) -> None:
    receiver.react = lambda _received: Reaction(500)
    deliver(told, settings)
    receiver.react = lambda _received: Reaction(200)
    assert counted(deliver(told, settings)) == (0, 0, 12)

    assert again(told, settings, FIRST) == 12
    assert delivery(told, three_days[0]).attempts == 0
    assert counted(deliver(told, settings)) == (12, 0, 0)


def test_many_are_queued_in_chunks(told: Store, settings: Settings, three_days: list[int]) -> None:
    small = settings.model_copy(update={"database": settings.database.model_copy(update={"chunk_size": 5})})

    assert again(told, small, FIRST) == 12
    assert queued(told) == three_days


def test_the_history_tells_who_had_it_sent_again_and_why(told: Store, settings: Settings) -> None:
    assert again(told, settings, FIRST, FIRST + DAY, "box.deleted") == 0

    with told.read() as connection:
        found = connection.execute(select(events).where(events.c.kind == "webhooks.replayed")).one()
    assert (found.actor, found.why, found.occurred_on) == (ANNA.name, ANNA.why, ANNA.on)
    assert found.detail == {"since": "2027-04-01", "until": "2027-04-02", "kind": "box.deleted"}
    assert counted(deliver(told, settings)) == (0, 0, 0), "that is nobody else's business"


@pytest.mark.parametrize("kind", ["parked.retried", "payment.registered", "suspended"])
def test_a_kind_that_goes_nowhere_is_refused(told: Store, settings: Settings, kind: str) -> None:
    with pytest.raises(Refused, match="go to no other system"):
        again(told, settings, FIRST, kind=kind)


def test_without_a_receiver_it_is_refused(told: Store, settings: Settings) -> None:
    with pytest.raises(Refused, match=r"webhooks\.url is empty"):
        again(told, changed(settings, url=""), FIRST)


@pytest.mark.usefixtures("three_days")
def test_it_does_not_interfere_with_a_delivery_under_way(
    told: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    deliver(told, settings)

    with lease.hold(told, NAME, 60), pytest.raises(LeaseHeld):
        again(told, settings, FIRST)
    assert queued(told) == []
