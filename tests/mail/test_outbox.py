from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import ColumnElement, Connection, event, false, select, text, update

from lifecycle_jobs.db.repeated import Repeated
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import boxes, message_events, messages, parked_rows
from lifecycle_jobs.errors import LeaseLost
from lifecycle_jobs.mail import letters, records, scribe
from lifecycle_jobs.mail.gather import Gathered, Office, gather
from lifecycle_jobs.mail.identity import message_id
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.mail.render import Renderer
from lifecycle_jobs.mail.transports import (
    Accepted,
    AlwaysOpen,
    MayHandOver,
    Outcome,
    Outgoing,
    PermanentFailure,
    TemporaryFailure,
    Withheld,
    at_once,
)
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.mail import deliver_process
from tests.mail.mail_server import HOST, MailServer, free_port, mail_server
from tests.mail.office import ON, E, alert, message_row, queue_alerts, queued, settings_for

A_DAY = timedelta(days=1)
MOMENT = datetime(2027, 3, 24, 4, 0, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


class Scripted(AlwaysOpen):
    """A transport that answers as told, by recipient, and remembers what it was given."""

    def __init__(self, *, repeatable: bool = False, **answers: Outcome) -> None:
        self.repeatable = repeatable
        self.answers = answers
        self.sent: list[Outgoing] = []
        self.before_send: Callable[[Outgoing], None] | None = None

    def send(self, envelope: Outgoing, may_hand_over: MayHandOver = at_once) -> Outcome:
        if not may_hand_over():
            return Withheld()
        if self.before_send is not None:
            self.before_send(envelope)
        self.sent.append(envelope)
        return self.answers.get(envelope.recipient.local, Accepted("250 OK"))

    @property
    def recipients(self) -> list[str]:
        return [str(envelope.recipient) for envelope in self.sent]


def retry_parked(store: Store) -> int:
    with store.write() as connection:
        return records.queue_parked_again(connection)


def statuses(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.scalars(select(messages.c.status).order_by(messages.c.id)))


def parked(store: Store) -> list[tuple[str, str, int]]:
    with store.read() as connection:
        rows = connection.execute(
            select(parked_rows.c.subject, parked_rows.c.state, parked_rows.c.times).order_by(parked_rows.c.id)
        )
        return [(row.subject, row.state, row.times) for row in rows]


def test_what_is_accepted_is_sent_and_says_when(store: Store, settings: Settings) -> None:
    (first,) = queue_alerts(store, "a@example.it")

    with freeze_time(MOMENT):
        report = deliver(store, settings, on=ON)

    assert (report.sent, report.handled, report.stopped) == (1, 1, None)
    row = message_row(store, first)
    assert (row.status, row.accepted_on, row.accepted_at, row.attempts) == ("sent", ON, MOMENT, 1)
    assert row.response.startswith("2027-03-24/2027-03-24-box.expiry_alert-c1-")
    assert deliver(store, settings, on=ON).handled == 0


def test_the_same_message_has_the_same_message_id(store: Store, settings: Settings) -> None:
    queue_alerts(store, "a@example.it")
    transport = Scripted()

    deliver(store, settings, on=ON, transport=transport)

    expected = message_id("2027-03-24/1/c1/box.expiry_alert", "lifecycle.example.it")
    assert f"Message-ID: {expected}".encode() in transport.sent[0].content


def test_messages_go_in_the_order_of_their_ids_through_any_number_of_batches(store: Store, settings: Settings) -> None:
    settings = settings.model_copy(update={"mail": settings.mail.model_copy(update={"batch_size": 2})})
    recipients = [f"r{number}@example.it" for number in range(5)]
    queue_alerts(store, *recipients)
    transport = Scripted(repeatable=True)
    told: list[int] = []

    report = deliver(store, settings, on=ON, transport=transport, progress=told.append)

    assert transport.recipients == recipients
    assert told == [2, 4, 5]
    assert report.sent == 5


def test_a_batch_ends_early_where_there_are_very_many_lines(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "_LINES_AT_A_TIME", 3)
    with store.write() as connection:
        for number, boxes_of in enumerate((2, 1, 1, 5, 1)):
            customer = factories.customer(connection, f"c{number}")
            made = [factories.box(connection, f"b{number}-{i}@pec.it", customer_id=customer) for i in range(boxes_of)]
            queued(connection, *(alert(connection, box, customer_id=customer) for box in made), customer_id=customer)
    told: list[int] = []

    deliver(store, settings, on=ON, transport=Scripted(repeatable=True), progress=told.append)

    assert told == [2, 3, 4, 5]


def test_only_the_named_messages_go_where_names_are_given(store: Store, settings: Settings) -> None:
    _, second, _ = queue_alerts(store, "a@example.it", "b@example.it", "c@example.it")

    assert deliver(store, settings, on=ON, limit_to=[second]).sent == 1
    assert statuses(store) == ["queued", "sent", "queued"]
    assert deliver(store, settings, on=ON, limit_to=[]).handled == 0


def test_hundreds_of_boxes_make_one_message(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.customer(connection)
        made = [alert(connection, factories.box(connection, f"b{number:03}@pec.it")) for number in range(300)]
        queued(connection, *made)
    transport = Scripted()

    assert deliver(store, settings, on=ON, transport=transport).sent == 1
    assert b"b000@pec.it" in transport.sent[0].content
    assert b"b299@pec.it" in transport.sent[0].content


class TestMoot:
    def test_a_moot_line_is_dropped_and_marked(self, store: Store, settings: Settings) -> None:
        with store.write() as connection:
            factories.customer(connection)
            paid = alert(connection, factories.box(connection, "paid@pec.it", expires_on=date(2028, 3, 31)))
            due = alert(connection, factories.box(connection, "due@pec.it"))
            queued(connection, paid, due)
        transport = Scripted()

        assert deliver(store, settings, on=ON, transport=transport).sent == 1
        assert b"paid@pec.it" not in transport.sent[0].content
        assert self.marks(store) == {paid: True, due: False}

    def test_a_message_of_moot_lines_only_is_not_sent_and_recorded_so(self, store: Store, settings: Settings) -> None:
        first, second = queue_alerts(store, "a@example.it", "b@example.it")
        with store.write() as connection:
            connection.execute(update(boxes).where(boxes.c.customer_id == "c1").values(cancelled_on=ON))
        transport = Scripted()

        report = deliver(store, settings, on=ON, transport=transport)

        assert (report.sent, report.moot) == (1, 1)
        assert transport.recipients == ["b@example.it"]
        assert (message_row(store, first).status, message_row(store, second).status) == ("moot", "sent")

    def test_the_marks_are_those_of_the_attempt_that_succeeded(self, store: Store, settings: Settings) -> None:
        (first,) = queue_alerts(store, "a@example.it")
        with store.write() as connection:
            connection.execute(update(message_events).values(moot=True))

        deliver(store, settings, on=ON, transport=Scripted())

        assert message_row(store, first).status == "sent"
        assert set(self.marks(store).values()) == {False}

    def marks(self, store: Store) -> dict[int, bool]:
        with store.read() as connection:
            rows = connection.execute(select(message_events.c.event_id, message_events.c.moot))
            return {row.event_id: row.moot for row in rows}


class TestWhatCannotGo:
    @pytest.mark.parametrize(
        "recipient", ["", "nobody", "@example.it", "a@", "a b@x.it", "a@x..it", "a@x.it\r\nBcc: b@x.it", "a@[1.2.3.4]"]
    )
    def test_who_has_no_valid_address_is_listed_as_failed(
        self, store: Store, settings: Settings, recipient: str
    ) -> None:
        first, _ = queue_alerts(store, "a@example.it", "b@example.it")
        with store.write() as connection:
            connection.execute(update(messages).where(messages.c.id == first).values(recipient=recipient))

        report = deliver(store, settings, on=ON)

        assert (report.sent, report.failed, report.parked) == (1, 1, 0)
        row = message_row(store, first)
        assert (row.status, row.attempts) == ("failed", 0)
        assert "e-mail address" in row.response

    def test_a_message_that_cannot_be_put_together_is_parked_and_the_others_go(
        self, store: Store, settings: Settings
    ) -> None:
        _, second, _ = ids = queue_alerts(store, "a@example.it", "b@example.it", "c@example.it")
        with store.write() as connection:
            connection.execute(update(boxes).where(boxes.c.customer_id == "c2").values(plan="bronze"))

        report = deliver(store, settings, on=ON)

        assert (report.sent, report.parked) == (2, 1)
        assert statuses(store) == ["sent", "parked", "sent"]
        assert message_row(store, ids[1]).response == "Unreadable: box 2 has the unknown plan bronze"
        assert parked(store) == [(f"message:{second}", "open", 1)]

    def test_a_message_that_cannot_be_rendered_is_parked_without_its_address(
        self, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (first, _) = queue_alerts(store, "a@example.it", "b@example.it")
        render = Renderer.render

        def stumble(self: Any, content: Any, locale: Any) -> Any:
            if content.holder.email == "a@example.it":
                raise ValueError("cannot render for a@example.it\nwith more")
            return render(self, content, locale)

        monkeypatch.setattr(Renderer, "render", stumble)
        report = deliver(store, settings, on=ON)

        assert (report.sent, report.parked) == (1, 1)
        assert message_row(store, first).response == "ValueError: cannot render for (address)"

    def test_if_reading_a_batch_fails_the_failing_message_stands_alone(
        self, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = queue_alerts(store, *(f"r{number}@example.it" for number in range(9)))

        def stumble(connection: Connection, message_ids: Sequence[int], office: Office) -> list[Gathered]:
            if ids[4] in message_ids:
                raise RuntimeError("unreadable row")
            return gather(connection, message_ids, office)

        monkeypatch.setattr(scribe, "gather", stumble)
        report = deliver(store, settings, on=ON)

        assert (report.sent, report.parked) == (8, 1)
        assert parked(store) == [(f"message:{ids[4]}", "open", 1)]

    def test_a_row_that_the_database_cannot_hand_out_parks_its_message_only(
        self, sqlite_store: Store, settings: Settings
    ) -> None:
        queue_alerts(sqlite_store, "a@example.it", "b@example.it", "c@example.it")
        with sqlite_store.write() as connection:
            connection.execute(text("UPDATE events SET detail = '{' WHERE id = 2"))

        report = deliver(sqlite_store, settings, on=ON)

        assert (report.sent, report.parked) == (2, 1)
        assert statuses(sqlite_store) == ["sent", "parked", "sent"]

    def test_parked_messages_get_another_chance(self, store: Store, settings: Settings) -> None:
        first, second = queue_alerts(store, "a@example.it", "b@example.it")
        with store.write() as connection:
            connection.execute(update(boxes).values(plan="bronze"))
        assert deliver(store, settings, on=ON).parked == 2
        with store.write() as connection:
            connection.execute(update(boxes).where(boxes.c.customer_id == "c2").values(plan="standard"))
        assert deliver(store, settings, on=ON).handled == 0

        assert retry_parked(store) == 2
        assert parked(store) == [(f"message:{first}", "retrying", 1), (f"message:{second}", "retrying", 1)]
        report = deliver(store, settings, on=ON + A_DAY)

        assert (report.sent, report.parked) == (1, 1)
        assert parked(store) == [(f"message:{first}", "open", 2), (f"message:{second}", "resolved", 1)]
        assert retry_parked(store) == 1

    def test_a_parked_message_that_became_moot_is_done_with(self, store: Store, settings: Settings) -> None:
        queue_alerts(store, "a@example.it")
        with store.write() as connection:
            connection.execute(update(boxes).values(plan="bronze"))
        deliver(store, settings, on=ON)
        retry_parked(store)

        assert deliver(store, settings, on=E + A_DAY).moot == 1
        assert [state for _, state, _ in parked(store)] == ["resolved"]


class TestRetries:
    def test_a_temporary_failure_is_tried_again_after_longer_and_longer_pauses(
        self, store: Store, settings: Settings
    ) -> None:
        (first,) = queue_alerts(store, "later@example.it")
        transport = Scripted(later=TemporaryFailure("451 not now"))
        pauses = []
        with freeze_time(MOMENT) as frozen:
            for attempt in range(1, 8):
                assert deliver(store, settings, on=ON, transport=transport).deferred == 1
                row = message_row(store, first)
                assert (row.status, row.attempts, row.response) == ("queued", attempt, "451 not now")
                pauses.append((row.next_attempt_at - datetime.now(UTC)) / timedelta(minutes=1))  # noqa: TID251
                frozen.move_to(row.next_attempt_at - timedelta(seconds=1))
                assert deliver(store, settings, on=ON, transport=transport).handled == 0
                frozen.move_to(row.next_attempt_at)

        for pause, planned in zip(pauses, [1, 5, 30, 120, 480, 1440, 1440], strict=True):
            assert planned * 0.8 <= pause <= min(planned * 1.2, 1440)

    def test_not_all_are_tried_again_at_the_same_moment(self, store: Store, settings: Settings) -> None:
        ids = queue_alerts(store, *(f"later-{number}@example.it" for number in range(5)))
        transport = Scripted()
        transport.answers = {f"later-{number}": TemporaryFailure("451 not now") for number in range(5)}

        deliver(store, settings, on=ON, transport=transport)

        assert len({message_row(store, id_).next_attempt_at for id_ in ids}) > 1

    def test_tried_for_some_days_it_is_given_up(self, store: Store, settings: Settings) -> None:
        (first,) = queue_alerts(store, "later@example.it")
        transport = Scripted(later=TemporaryFailure("451 not now"))
        reports = []

        with freeze_time(MOMENT) as frozen:
            while message_row(store, first).status == "queued":
                on = min(datetime.now(UTC).date(), E)  # noqa: TID251 -- moot after that
                reports.append(deliver(store, settings, on=on, transport=transport))
                frozen.move_to(message_row(store, first).next_attempt_at or MOMENT)

        # 1, 5, 30, 120 and 480 minutes, and days: after ten attempts it has been tried for five days and ten hours.
        assert [report.deferred for report in reports] == [1] * 10 + [0]
        assert reports[-1].failed == 1

    def test_one_that_was_held_back_or_is_sent_again_by_hand_has_its_days_from_then_on(
        self, store: Store, settings: Settings
    ) -> None:
        (first,) = queue_alerts(store, "later@example.it")
        with store.write() as connection:
            connection.execute(update(messages).values(created_on=ON - 30 * A_DAY))

        report = deliver(store, settings, on=ON, transport=Scripted(later=TemporaryFailure("451 not now")))

        assert (report.deferred, report.failed, message_row(store, first).status) == (1, 0, "queued")

    @pytest.mark.parametrize(
        "outage",
        [TemporaryFailure("connection lost: reset by peer"), TemporaryFailure("421 closing", unavailable=True)],
    )
    def test_what_says_nothing_about_a_message_uses_none_of_its_days_up(
        self, store: Store, settings: Settings, outage: TemporaryFailure
    ) -> None:
        (first,) = queue_alerts(store, "later@example.it")
        for _ in range(12):
            assert deliver(store, settings, on=ON, transport=Scripted(later=outage)).deferred == 1
            with store.write() as connection:
                connection.execute(update(messages).values(next_attempt_at=None))
        assert message_row(store, first).attempts == len(settings.mail.retry_after)

        report = deliver(store, settings, on=ON, transport=Scripted(later=TemporaryFailure("451 not now")))

        assert (report.deferred, report.failed) == (1, 0)

    def test_a_permanent_failure_is_not_tried_again(self, store: Store, settings: Settings) -> None:
        first, _ = queue_alerts(store, "never@example.it", "b@example.it")
        transport = Scripted(never=PermanentFailure("550 <never@example.it> unknown"))

        report = deliver(store, settings, on=ON, transport=transport)

        assert (report.sent, report.failed) == (1, 1)
        row = message_row(store, first)
        assert (row.status, row.response) == ("failed", "550 <(address)> unknown")
        assert deliver(store, settings, on=ON, transport=transport).handled == 0

    def test_a_server_that_refuses_everybody_costs_nobody_a_message(self, store: Store, settings: Settings) -> None:
        ids = queue_alerts(store, *(f"r{number}@example{number % 3}.it" for number in range(30)))
        transport = Scripted()
        transport.answers = {f"r{number}": PermanentFailure("554 <r@x.it> Relay access denied") for number in range(30)}

        with freeze_time(MOMENT) as frozen:
            report = deliver(store, settings, on=ON, transport=transport)

            assert (report.sent, report.failed, report.deferred) == (0, 0, 20)
            assert report.stopped is not None
            assert "whoever it is to: 554 <(address)> Relay access denied" in report.stopped
            assert {(row.status, row.attempts) for row in (message_row(store, id_) for id_ in ids)} == {("queued", 0)}

            assert deliver(store, settings, on=ON, transport=Scripted()).sent == 10  # those in line behind them
            frozen.tick(timedelta(minutes=7))
            assert deliver(store, settings, on=ON, transport=Scripted()).sent == 20

    def test_what_the_server_was_not_asked_says_nothing_about_it(self, store: Store, settings: Settings) -> None:
        queue_alerts(store, *(f"r{number}@example{number % 3}.it" for number in range(30)))
        transport, why = Scripted(), "the mail server cannot write to addresses with such letters before the @"
        transport.answers = {f"r{number}": PermanentFailure(why) for number in range(30)}

        report = deliver(store, settings, on=ON, transport=transport)

        assert (report.failed, report.stopped) == (30, None)

    def test_addresses_of_a_domain_that_has_died_are_each_given_up(self, store: Store, settings: Settings) -> None:
        queue_alerts(store, *(f"r{number}@example{number % 2}.it" for number in range(99)))
        transport = Scripted()
        transport.answers = {f"r{number}": PermanentFailure("550 no such domain") for number in range(99)}

        report = deliver(store, settings, on=ON, transport=transport)

        assert (report.failed, report.stopped, set(statuses(store))) == (99, None, {"failed"})

    def test_a_domain_that_has_died_does_not_hide_a_server_that_refuses_everybody(
        self, store: Store, settings: Settings
    ) -> None:
        domains = ["dead.it"] * 30 + ["one.it", "two.it", "three.it"]
        queue_alerts(store, *(f"r{number}@{domain}" for number, domain in enumerate(domains)))
        transport = Scripted()
        transport.answers = {f"r{number}": PermanentFailure("554 Relay access denied") for number in range(33)}

        report = deliver(store, settings, on=ON, transport=transport)

        assert (report.failed, report.deferred, Counter(statuses(store))) == (0, 32, {"queued": 33})

    def test_a_hundred_in_a_row_are_the_server_s_word_even_if_all_are_at_one_domain(
        self, store: Store, settings: Settings
    ) -> None:
        queue_alerts(store, *(f"r{number}@example.it" for number in range(120)))
        transport = Scripted()
        transport.answers = {f"r{number}": PermanentFailure("554 Relay access denied") for number in range(120)}

        report = deliver(store, settings, on=ON, transport=transport)

        assert (report.failed, report.deferred, Counter(statuses(store))) == (0, 100, {"queued": 120})
        assert report.stopped is not None

    @pytest.mark.parametrize("once_parked", [False, True])
    def test_one_that_is_accepted_among_them_shows_that_the_messages_are_meant(
        self, store: Store, settings: Settings, *, once_parked: bool
    ) -> None:
        ids = queue_alerts(store, *(f"r{number}@example{number}.it" for number in range(30)))
        if once_parked:
            with store.write() as connection:
                for number in (10, 20):
                    records.record_parked(connection, ids[number], ValueError("no such template"), ON)
                records.queue_parked_again(connection)
        transport = Scripted()
        transport.answers = {
            f"r{number}": PermanentFailure("550 unknown") for number in range(30) if number not in {10, 20}
        }

        report = deliver(store, settings, on=ON, transport=transport)

        assert (report.sent, report.failed, report.stopped) == (2, 28, None)

    def test_when_nothing_can_leave_the_others_stay_as_they_are(self, store: Store, settings: Settings) -> None:
        ids = queue_alerts(store, "a@example.it", "down@example.it", "c@example.it")
        transport = Scripted(down=TemporaryFailure("421 closing", unavailable=True))

        report = deliver(store, settings, on=ON, transport=transport)

        assert (report.sent, report.deferred, report.stopped) == (1, 1, "421 closing")
        assert statuses(store) == ["sent", "queued", "queued"]
        assert [message_row(store, id_).attempts for id_ in ids] == [1, 1, 0]

    def test_who_was_not_even_asked_about_loses_no_attempt_and_says_why_it_waits(
        self, store: Store, settings: Settings
    ) -> None:
        (first, _) = queue_alerts(store, "down@example.it", "b@example.it")
        down = TemporaryFailure("mail.example.it:25: Connection refused", unavailable=True, attempted=False)

        report = deliver(store, settings, on=ON, transport=Scripted(down=down))

        assert (report.sent, report.deferred, report.stopped) == (0, 0, "mail.example.it:25: Connection refused")
        row = message_row(store, first)
        assert (row.status, row.attempts, row.next_attempt_at) == ("queued", 0, None)
        assert row.response == "mail.example.it:25: Connection refused"
        assert deliver(store, settings, on=ON, transport=Scripted()).sent == 2

    def test_an_outage_gives_no_message_up(self, store: Store, settings: Settings) -> None:
        with store.write() as connection:
            factories.customer(connection)
            box = factories.box(connection, status="deleted")
            event_id = factories.event(connection, "box.deleted", occurred_on=ON, box_id=box)
            message = queued(connection, event_id, kind="box.deleted", recipient="down@example.it")
        transport = Scripted(down=TemporaryFailure("no route", unavailable=True))

        assert deliver(store, settings, on=ON + 30 * A_DAY, transport=transport).deferred == 1
        assert message_row(store, message).status == "queued"


class TestNothingIsLostAndNothingComesTwice:
    def test_each_acceptance_is_committed_before_the_next_message_is_handed_over(
        self, store: Store, settings: Settings
    ) -> None:
        queue_alerts(store, "a@example.it", "b@example.it", "c@example.it")
        transport, seen = Scripted(), []
        transport.before_send = lambda _: seen.append(statuses(store))

        deliver(store, settings, on=ON, transport=transport)

        assert seen == [["queued"] * 3, ["sent", "queued", "queued"], ["sent", "sent", "queued"]]

    def test_what_may_be_repeated_is_recorded_a_batch_at_a_time(
        self, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue_alerts(store, "a@example.it", "b@example.it", "c@example.it")
        recorded = []
        record = Repeated.__call__

        def note(repeated: Repeated, rows: Sequence[Mapping[str, Any]]) -> int:
            recorded.append(len(rows))
            return record(repeated, rows)

        monkeypatch.setattr(Repeated, "__call__", note)
        deliver(store, settings, on=ON, transport=Scripted(repeatable=True))

        assert statuses(store) == ["sent"] * 3
        assert recorded == [3]

    @pytest.mark.parametrize("repeatable", [False, True])
    def test_an_interruption_leaves_what_was_not_recorded_in_the_queue(
        self,
        store: Store,
        settings: Settings,
        repeatable: bool,  # noqa: FBT001 -- a column of the table above
    ) -> None:
        queue_alerts(store, "a@example.it", "b@example.it", "c@example.it")
        transport = Scripted(repeatable=repeatable)

        def interrupt(envelope: Outgoing) -> None:
            if envelope.recipient.local == "b":
                raise KeyboardInterrupt

        transport.before_send = interrupt
        with pytest.raises(KeyboardInterrupt):
            deliver(store, settings, on=ON, transport=transport)
        assert statuses(store) == ["queued" if repeatable else "sent", "queued", "queued"]

        transport.before_send = None
        deliver(store, settings, on=ON, transport=transport)
        assert statuses(store) == ["sent"] * 3

    def test_a_message_that_somebody_else_took_is_left_as_it_is(self, store: Store, settings: Settings) -> None:
        (first,) = queue_alerts(store, "a@example.it")
        transport = Scripted()

        def meddle(_: Outgoing) -> None:
            with store.write() as connection:
                connection.execute(update(messages).values(status="failed", response="by hand"))

        transport.before_send = meddle
        deliver(store, settings, on=ON, transport=transport)

        row = message_row(store, first)
        assert (row.status, row.response) == ("failed", "by hand")

    def test_who_has_lost_the_lease_sends_nothing(self, store: Store, settings: Settings) -> None:
        queue_alerts(store, "a@example.it")
        transport = Scripted()

        class Lost:
            def check(self, connection: Connection) -> None:  # noqa: ARG002 -- as a fence is asked
                raise LeaseLost("taken over")

            def holds(self) -> ColumnElement[bool]:
                return false()

        with pytest.raises(LeaseLost):
            deliver(store.fenced(Lost()), settings, on=ON, transport=transport)
        assert transport.sent == []

    def test_in_a_rehearsal_nothing_leaves_and_nothing_stays(self, store: Store, settings: Settings) -> None:
        queue_alerts(store, "a@example.it", "not an address")

        with store.rehearse() as rehearsal:
            report = deliver(rehearsal, settings, on=ON)

        assert (report.sent, report.failed) == (1, 1)
        assert statuses(store) == ["queued", "queued"]
        assert not settings.mail.directory.exists()

    def test_files_written_again_replace_themselves(self, store: Store, settings: Settings) -> None:
        queue_alerts(store, "a@example.it", "b@example.it")
        deliver(store, settings, on=ON)
        written = sorted(settings.mail.directory.rglob("*"))
        with store.write() as connection:
            connection.execute(update(messages).values(status="queued", accepted_on=None))

        deliver(store, settings, on=ON + A_DAY)

        assert sorted(settings.mail.directory.rglob("*")) == written
        assert sum(path.is_file() for path in written) == 2


class TestWithARealMailServer:
    def settings(self, tmp_path: Path, port: int) -> Settings:
        return settings_for(tmp_path, transport="smtp", host=HOST, port=port, timeout=5, connections=1)

    def test_each_message_meets_its_own_fate(self, store: Store, tmp_path: Path) -> None:
        ids = queue_alerts(
            store, "a@example.it", "later@example.it", "never@example.it", "drop@example.it", "b@example.it"
        )
        with mail_server() as server:
            report = deliver(store, self.settings(tmp_path, server.port), on=ON)

        assert (report.sent, report.deferred, report.failed, report.stopped) == (2, 2, 1, None)
        assert [delivered.recipient for delivered in server.delivered] == ["a@example.it", "b@example.it"]
        assert statuses(store) == ["sent", "queued", "failed", "queued", "sent"]
        assert message_row(store, ids[0]).response == "250 2.0.0 Queued"
        assert message_row(store, ids[2]).response == "550 5.1.1 <(address)>: Recipient address rejected"

    def test_a_server_that_is_closing_or_down_ends_the_delivery(self, store: Store, tmp_path: Path) -> None:
        ids = queue_alerts(store, "a@example.it", "closing@example.it", "c@example.it")
        with mail_server() as server:
            report = deliver(store, self.settings(tmp_path, server.port), on=ON)
        assert (report.sent, report.deferred) == (1, 1)
        assert report.stopped == "421 4.3.2 Shutting down"

        report = deliver(store, self.settings(tmp_path, free_port()), on=ON)
        assert (report.sent, report.deferred) == (0, 0)
        assert report.stopped is not None
        assert "Connection refused" in report.stopped
        assert [message_row(store, id_).attempts for id_ in ids] == [1, 1, 0]

    def test_killed_at_any_moment_only_the_message_in_hand_comes_twice(self, database_url: str, tmp_path: Path) -> None:
        store = open_store(database_url)
        ids = queue_alerts(store, *(f"r{number}@example.it" for number in range(8)))
        with mail_server() as server:
            with self._killed(database_url, server, after=2) as kill:
                server.when_taken = kill  # taken, but the sender never learns of it
            with self._killed(database_url, server, after=5) as kill:
                server.when_announced = kill  # the one before was taken, and perhaps is not recorded yet
            assert deliver(store, self.settings(tmp_path, server.port), on=ON).stopped is None

        times = Counter(delivered.message["Message-ID"] for delivered in server.delivered)
        keys = [message_row(store, id_).message_key for id_ in ids]
        ids_of = [message_id(key, "lifecycle.example.it") for key in keys]
        assert times in (Counter([*ids_of, ids_of[1]]), Counter([*ids_of, ids_of[1], ids_of[3]]))
        assert statuses(store) == ["sent"] * 8
        store.engine.dispose()

    @contextmanager
    def _killed(self, url: str, server: MailServer, *, after: int) -> Iterator[Callable[[], None]]:
        """Deliver in a process that is killed when the given hook is called with so many messages taken."""
        victims: list[subprocess.Popen[str]] = []

        def kill() -> None:
            if len(server.delivered) == after:
                victims[0].kill()
                victims[0].wait()

        yield kill
        victims.append(deliver_process.start(url, server.port))
        victims[0].communicate(timeout=60)
        assert victims[0].returncode == -signal.SIGKILL
        server.when_announced = server.when_taken = None


def test_the_cost_of_a_delivery_follows_what_is_queued(sqlite_store: Store, settings: Settings) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
        renewed = factories.event(connection, "box.renewed", occurred_on=ON, box_id=box)
        queued(connection, alert(connection, box), renewed)
    plans: list[str] = []

    def explain(_conn: object, cursor: Any, statement: str, parameters: Any, *_rest: object) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall())

    event.listen(sqlite_store.engine, "before_cursor_execute", explain)
    with sqlite_store.write() as connection:
        (waiting,) = records.waiting(connection, after=None, limit=10, at=MOMENT, only=None)
        records.waiting(connection, after=waiting, limit=10, at=MOMENT, only=None)
        records.accepted_for(connection, ["c1@example.it"], ON)
        records.closed_boxes(connection, ["c1@example.it"])
        gather(connection, [waiting.id], Office(settings, ON))
        records.mark_lines(connection, {renewed: True})
        records.resolve_parked(connection, [waiting.id])
    event.remove(sqlite_store.engine, "before_cursor_execute", explain)

    for index in ("ix_messages_queued", "ix_messages_accepted", "uq_boxes_live_address", "uq_boxes_tombstone"):
        assert any(index in plan for plan in plans), (index, plans)
    cheap = ("json_each", "ix_messages_queued")  # the latter has nothing but what waits
    assert [plan for plan in plans if plan.startswith("SCAN") and not any(each in plan for each in cheap)] == []
