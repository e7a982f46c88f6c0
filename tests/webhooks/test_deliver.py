"""One pass: everything arrives, in order for each box; who refuses holds up nobody else; who is out is left alone."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from structlog.testing import capture_logs

from lifecycle_jobs import clock, lease, operators
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import leases
from lifecycle_jobs.errors import EmergencyStop, LeaseHeld, LeaseLost, StopRequested
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.webhooks import deliver as module
from lifecycle_jobs.webhooks.deliver import NAME, WebhookReport, deliver_webhooks
from tests import factories
from tests.daily import settings_for
from tests.webhooks.receiver import ANOTHER_SECRET, TAKEN, Reaction, Received, Receiver
from tests.webhooks.sending import (
    back_off_is_over,
    boxes_named,
    changed,
    counted,
    deliver,
    delivery,
    event,
    happen,
    history,
    queued,
)

ANNA = Operator("anna", None, date(2027, 4, 1))


def refuse(receiver: Receiver, *box_ids: int | None, reaction: Reaction) -> None:
    def react(received: Received) -> Reaction:
        return reaction if received.data["box_id"] in box_ids else TAKEN

    receiver.react = react


def by_box(received: list[Received]) -> dict[int, list[int]]:
    """The numbers of the events as they came, box by box."""
    found: dict[int, list[int]] = defaultdict(list)
    for each in received:
        found[each.data["box_id"]].append(each.data["sequence"])
    return found


class TestAReceiverThatTakesEverything:
    def test_gets_every_event_once_and_those_of_a_box_in_order(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        events = history(told, boxes=30, each=5)

        assert counted(deliver(told, settings)) == (150, 0, 0)

        assert sorted(received.data["sequence"] for received in receiver.journal) == events
        assert all(numbers == sorted(numbers) for numbers in by_box(receiver.journal).values())
        assert receiver.forged == 0
        assert counted(deliver(told, settings)) == (0, 0, 0), "and then no more"

    def test_gets_several_at_a_time_but_never_two_of_one_box(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        receiver.react = lambda _received: Reaction(delay=0.02)
        history(told, boxes=12, each=3)

        deliver(told, settings)

        assert receiver.most_at_once == settings.webhooks.concurrency
        assert receiver.most_at_once_of_a_box == 1

    def test_gets_a_long_history_of_one_box_in_one_pass(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        (box,) = boxes_named(told, "a")
        events = happen(told, box, *["box.suspended", "box.renewed"] * 10)

        assert counted(deliver(told, settings)) == (20, 0, 0)
        assert by_box(receiver.journal) == {box: events}

    def test_gets_events_without_a_box_each_by_itself(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        boxes_named(told, "a")
        happen(told, None, *["charge.refunded"] * 6)
        refuse(receiver, None, reaction=Reaction(500, delay=0.05))

        assert counted(deliver(told, settings)) == (0, 6, 6)
        assert receiver.most_at_once > 1

    def test_is_told_more_than_is_read_at_a_time(
        self, told: Store, settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_READ_AT_A_TIME", 7)
        history(told, boxes=20, each=2)

        assert counted(deliver(told, settings)) == (40, 0, 0)
        assert len(receiver.journal) == 40

    def test_is_told_what_happens_while_a_long_pass_goes_on(
        self, told: Store, settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_SWEEP_SECONDS", 0)
        (late,) = boxes_named(told, "late")
        history(told, boxes=10, each=1)
        new: list[int] = []

        def react(_received: Received) -> Reaction:
            if not new:
                new.extend(happen(told, late, "box.deleted"))
            return TAKEN

        receiver.react = react
        assert counted(deliver(told, settings)) == (11, 0, 0)
        assert by_box(receiver.journal)[late] == new

    def test_is_told_the_address_and_the_add_on(self, told: Store, settings: Settings, receiver: Receiver) -> None:
        (box,) = boxes_named(told, "Mario.Rossi")
        with told.write() as connection:
            factories.addon(connection, "a1", box, kind="extra_archive", quantity=3)
            factories.event(
                connection, "addon.disabled", occurred_on=ANNA.on, box_id=box, addon_id="a1", detail={"reason": "x"}
            )
        deliver(told, settings)

        (received,) = receiver.journal
        assert received.kind == "addon.disabled"
        wanted: dict[str, Any] = {
            "address": "Mario.Rossi@pec.example.it",
            "customer_id": "c1",
            "addon_id": "a1",
            "addon_kind": "extra_archive",
            "addon_quantity": 3,
            "detail": {"reason": "x"},
        }
        assert received.data | wanted == received.data


class TestAReceiverThatRefusesOneBox:
    @pytest.mark.parametrize("status", [302, 400, 401, 410, 500])
    def test_gets_the_others_and_that_one_later_under_the_same_id(
        self, told: Store, settings: Settings, receiver: Receiver, status: int
    ) -> None:
        bad, *good = boxes_named(told, "bad", "b", "c", "d")
        first, second = happen(told, bad, "box.suspended", "box.renewed")
        for box in good:
            happen(told, box, "box.suspended", "box.renewed")
        refuse(receiver, bad, reaction=Reaction(status))

        assert counted(deliver(told, settings)) == (6, 1, 2)
        assert queued(told) == [first, second]
        assert delivery(told, first).response.startswith(str(status))

        back_off_is_over(told)
        receiver.react = lambda _received: TAKEN
        assert counted(deliver(told, settings)) == (2, 0, 0)

        assert by_box(receiver.journal)[bad] == [first, first, second]
        tries = [received for received in receiver.journal if received.data["sequence"] == first]
        assert len({received.id for received in tries}) == 1
        assert len({received.body for received in tries}) == 1

    def test_is_left_alone_with_it_until_the_back_off_is_over(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        settings = changed(settings, back_off=(100, 1000))
        (bad,) = boxes_named(told, "bad")
        (refused,) = happen(told, bad, "box.suspended")
        refuse(receiver, bad, reaction=Reaction(500))

        pauses = []
        for _ in range(3):
            deliver(told, settings)
            assert counted(deliver(told, settings)) == (0, 0, 1), "not yet"
            pauses.append((delivery(told, refused).next_attempt_at - clock.now()).total_seconds())
            back_off_is_over(told)

        assert 75 < pauses[0] <= 120
        assert all(775 < pause <= 1200 for pause in pauses[1:]), "the last one repeats"
        assert delivery(told, refused).attempts == 3

    def test_may_ask_for_a_longer_pause(self, told: Store, settings: Settings, receiver: Receiver) -> None:
        (bad,) = boxes_named(told, "bad")
        (refused,) = happen(told, bad, "box.suspended")
        refuse(receiver, bad, reaction=Reaction(500, {"retry-after": "1800"}))

        deliver(told, settings)

        assert delivery(told, refused).next_attempt_at - clock.now() > timedelta(seconds=1700)

    def test_and_the_pauses_of_many_spread(self, told: Store, settings: Settings, receiver: Receiver) -> None:
        settings = changed(settings, back_off=(1000,))
        events = history(told, boxes=20, each=1)
        receiver.react = lambda _received: Reaction(500)

        deliver(told, settings)

        moments = [delivery(told, number).next_attempt_at for number in events]
        assert max(moments) - min(moments) > timedelta(seconds=50)


class TestAReceiverThatIsOut:
    def test_is_tried_a_few_times_one_after_the_other_and_left_alone(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        history(told, boxes=40, each=2)
        receiver.stop()

        assert deliver(told, settings) == WebhookReport(0, 3, 80, "the receiver is out (connection refused)")

    def test_gets_everything_in_order_when_it_is_back(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        events = history(told, boxes=10, each=2)
        receiver.stop()
        deliver(told, settings)
        deliver(told, settings)
        receiver.start()

        assert deliver(told, settings).stopped is None
        back_off_is_over(told)
        deliver(told, settings)

        assert sorted(received.data["sequence"] for received in receiver.journal) == events
        assert all(numbers == sorted(numbers) for numbers in by_box(receiver.journal).values())

    @pytest.mark.parametrize(
        ("reaction", "said"),
        [
            (Reaction(delay=10), "no answer in time"),
            (Reaction(drop=True), "connection lost"),
            (Reaction(503), "503 Service Unavailable"),
            (Reaction(429), "429 Too Many Requests"),
        ],
    )
    def test_is_not_hammered_however_it_shows_and_gets_everything_when_it_is_back(
        self, told: Store, settings: Settings, receiver: Receiver, reaction: Reaction, said: str
    ) -> None:
        history(told, boxes=40, each=1)
        receiver.react = lambda _received: reaction

        assert deliver(told, changed(settings, timeout=1)).stopped == f"the receiver is out ({said})"
        assert len(receiver.journal) <= 3
        assert receiver.most_at_once == 1 or reaction.delay, "it may still be at those that were given up"

        receiver.react = lambda _received: TAKEN
        back_off_is_over(told)
        assert counted(deliver(told, settings)) == (40, 0, 0), "it is back"

    def test_goes_out_in_the_middle_and_what_it_took_is_not_sent_again(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        events = history(told, boxes=50, each=1)
        receiver.react = lambda _received: Reaction(drop=len(receiver.taken) >= 20)

        assert deliver(told, settings).stopped == "the receiver is out (connection lost)"
        taken = {received.data["sequence"] for received in receiver.taken}
        assert queued(told) == [number for number in events if number not in taken]

    def test_refuses_everything_and_is_left_alone_too(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        history(told, boxes=150, each=1)
        receiver.react = lambda _received: Reaction(500)

        report = deliver(told, settings)

        assert report.stopped == "the receiver refuses everything (500 Internal Server Error)"
        assert 100 <= len(receiver.journal) < 100 + settings.webhooks.concurrency

    def test_has_another_secret_takes_nothing_and_nothing_is_lost(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        events = history(told, boxes=3, each=1)
        wrong = changed(settings, secret=SecretStr(ANOTHER_SECRET))

        assert counted(deliver(told, wrong)) == (0, 3, 3)
        assert (receiver.forged, receiver.journal) == (3, [])
        assert delivery(told, events[0]).response == "401 Unauthorized"

        back_off_is_over(told)
        assert counted(deliver(told, settings)) == (3, 0, 0)


class TestWithoutAReceiver:
    def test_nothing_is_taken_up_and_nobody_is_asked(self, store: Store, tmp_path: Path) -> None:
        (box,) = boxes_named(store, "a")
        happen(store, box, "box.suspended")

        def never(_name: str, _rows: int) -> None:
            raise AssertionError

        assert deliver_webhooks(store, settings_for(tmp_path), never) == WebhookReport()
        assert queued(store) == []


class TestWorkThatIsToStop:
    def test_begins_nothing_after_an_emergency_stop_and_records_what_was_in_flight(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        history(told, boxes=30, each=1)
        asked_at_the_stop: list[int] = []
        once = threading.Lock()

        def react(_received: Received) -> Reaction:
            if len(receiver.journal) >= 7 and once.acquire(blocking=False):
                operators.stop_everything(told, ANNA, "wrong file imported")
                asked_at_the_stop.append(len(receiver.journal))
            return Reaction(delay=0.01)

        receiver.react = react
        with pytest.raises(EmergencyStop, match="wrong file imported"):
            deliver(told, settings)

        taken = len(receiver.taken)
        assert taken <= asked_at_the_stop[0] + settings.webhooks.concurrency
        assert len(queued(told)) == 30 - taken, "what was taken is recorded"
        with pytest.raises(EmergencyStop):
            deliver(told, settings)
        assert len(receiver.taken) == taken

        operators.resume(told, ANNA)
        assert counted(deliver(told, settings)) == (30 - taken, 0, 0)

    def test_asks_before_each_request_whether_it_may_go_on(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        history(told, boxes=30, each=1)

        def progress(_name: str, _rows: int) -> None:
            if len(receiver.journal) >= 9:
                raise StopRequested("enough")

        with pytest.raises(StopRequested):
            deliver_webhooks(told, settings, progress)

        assert 9 <= len(receiver.taken) < 9 + settings.webhooks.concurrency
        assert len(queued(told)) == 30 - len(receiver.taken)

    def test_leaves_it_to_who_is_at_it_already(self, told: Store, settings: Settings, receiver: Receiver) -> None:
        history(told, boxes=1, each=1)
        with lease.hold(told, NAME, 60), pytest.raises(LeaseHeld):
            deliver(told, settings)
        assert receiver.journal == []

    def test_sends_nothing_more_once_another_has_taken_over(
        self, told: Store, settings: Settings, receiver: Receiver
    ) -> None:
        history(told, boxes=30, each=1)
        once = threading.Lock()

        def react(_received: Received) -> Reaction:
            if len(receiver.journal) >= 5 and once.acquire(blocking=False):
                with told.write() as connection:
                    connection.execute(update(leases).where(leases.c.name == NAME).values(token=leases.c.token + 1))
            return TAKEN

        receiver.react = react
        with pytest.raises(LeaseLost):
            deliver(told, settings)
        asked = len(receiver.journal)

        assert asked <= 5 + 3 * settings.webhooks.concurrency
        time.sleep(0.2)
        assert len(receiver.journal) == asked


def test_nothing_that_is_logged_or_kept_names_a_holder_or_the_secret(
    told: Store, settings: Settings, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bad, good = boxes_named(told, "bad", "good")
    refused, _ = happen(told, bad, "box.suspended"), happen(told, good, "box.suspended")
    refuse(receiver, bad, reaction=Reaction(422, body=b"no such box bad@pec.example.it"))

    with capture_logs() as logged:
        deliver(told, settings)

    everything = f"{logged} {caplog.text} {delivery(told, refused[0])}"
    assert "@" not in everything
    assert settings.webhooks.secret.get_secret_value() not in everything
    (line,) = [line for line in logged if line["event"] == "webhooks_delivered"]
    assert (line["delivered"], line["failed"], line["waiting"]) == (1, 1, 1)


def test_an_event_that_comes_to_light_late_goes_out_after_all(
    postgresql_store: Store, settings: Settings, receiver: Receiver
) -> None:
    deliver(postgresql_store, settings)
    slow, quick = boxes_named(postgresql_store, "slow", "quick")
    with postgresql_store.write() as writing:
        late = event(writing, slow)
        (early,) = happen(postgresql_store, quick, "box.suspended")
        assert counted(deliver(postgresql_store, settings)) == (1, 0, 0)
    assert late < early

    assert counted(deliver(postgresql_store, settings)) == (1, 0, 0)
    assert [received.data["sequence"] for received in receiver.journal] == [early, late]
