"""What the receiver has not confirmed: as `status` tells it."""

from __future__ import annotations

from datetime import date, timedelta

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.status import Status, list_webhooks, read_status
from lifecycle_jobs.webhooks.replay import Period, replay
from tests.webhooks.receiver import Reaction, Receiver
from tests.webhooks.sending import ON, boxes_named, changed, deliver, happen

LATER = ON + timedelta(days=4)


def status(store: Store, settings: Settings) -> Status:
    return read_status(store, settings, LATER)


def test_until_the_2xx_came_a_deletion_is_pending_with_its_age(
    told: Store, settings: Settings, receiver: Receiver
) -> None:
    gone, blocked, abused = boxes_named(told, "gone", "blocked", "abused")
    happen(told, gone, "box.deleted")
    happen(told, blocked, "box.suspended")
    happen(told, abused, "box.suspended_by_hand")
    receiver.react = lambda _received: Reaction(500)
    deliver(told, settings)

    found = status(told, settings)
    assert found.deletions_pending.rows == [
        {
            "address": "gone@pec.example.it",
            "since": ON,
            "attempts": 1,
            "response": "500 Internal Server Error",
            "days": 4,
        }
    ]
    assert [row["address"] for row in found.suspensions_pending.rows] == [
        "blocked@pec.example.it",
        "abused@pec.example.it",
    ]
    assert found.webhooks_waiting == 3
    assert found.webhooks_waiting_since is not None
    assert timedelta() <= clock.now() - found.webhooks_waiting_since < timedelta(minutes=1)


def test_also_before_any_pass_has_taken_it_up(told: Store, settings: Settings) -> None:
    (gone,) = boxes_named(told, "gone")
    happen(told, gone, "box.deleted", "charge.declined", "parked.retried")

    found = status(told, settings)
    assert [(row["address"], row["attempts"], row["response"]) for row in found.deletions_pending.rows] == [
        ("gone@pec.example.it", 0, None)
    ]
    assert (found.webhooks_waiting, found.webhooks_waiting_since) == (2, None)


def test_and_not_after_it(told: Store, settings: Settings) -> None:
    gone, blocked = boxes_named(told, "gone", "blocked")
    happen(told, gone, "box.deleted")
    happen(told, blocked, "box.suspended")
    deliver(told, settings)

    found = status(told, settings)
    assert (found.deletions_pending.total, found.suspensions_pending.total, found.webhooks_waiting) == (0, 0, 0)


def test_without_a_receiver_nothing_is_pending(told: Store, settings: Settings) -> None:
    (gone,) = boxes_named(told, "gone")
    happen(told, gone, "box.deleted")

    found = status(told, changed(settings, url=""))
    assert (found.deletions_pending.total, found.webhooks_waiting) == (0, 0)


def test_what_happened_before_the_first_pass_is_nothing_to_wait_for(store: Store, settings: Settings) -> None:
    (gone,) = boxes_named(store, "gone")
    happen(store, gone, "box.deleted")

    assert status(store, settings).deletions_pending.total == 0


def test_the_age_of_what_is_sent_again_counts_from_then(told: Store, settings: Settings) -> None:
    (gone,) = boxes_named(told, "gone")
    (deleted,) = happen(told, gone, "box.deleted")
    deliver(told, settings)
    began = clock.now()
    replay(told, settings, Operator("anna", None, LATER), Period(date(2027, 1, 1), None, None), lambda _n, _r: None)

    with told.read() as connection:
        (row,) = list_webhooks(connection).rows
    assert (row["event_id"], row["kind"], row["address"]) == (deleted, "box.deleted", "gone@pec.example.it")
    assert row["waiting_since"] >= began
    assert row["seconds"] == 0
    assert status(told, settings).webhooks_waiting_since == row["waiting_since"]
