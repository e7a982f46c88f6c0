"""Which messages leave, in which order, and which wait for tomorrow or for a person."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time
from sqlalchemy import select, update

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, customers, messages
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.mail.mail_server import HOST, mail_server
from tests.mail.office import ON, alert, message_row, queue_alerts, queued, settings_for

A_DAY = timedelta(days=1)
MOMENT = datetime(2027, 3, 24, 4, 0, tzinfo=UTC)
TOMORROW = datetime(2027, 3, 24, 23, 0, tzinfo=UTC)  # midnight in Rome


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, per_recipient_per_day=2)


def several_to_one(store: Store, *kinds: str, recipient: str = "mario@example.it") -> list[int]:
    """A message of each of these kinds to the same address, alerts or news of deletions."""
    ids = []
    with store.write() as connection:
        factories.customer(connection, email=recipient)
        gone = factories.box(connection, "gone@pec.it", status="deleted")
        due = factories.box(connection, "due@pec.it")
        for number, kind in enumerate(kinds, 1):
            if kind == "box.expiry_alert":
                event = alert(connection, due, milestone=number)
            else:
                event = factories.event(connection, kind, occurred_on=ON, box_id=gone)
            key = f"{number}/{kind}"
            ids.append(factories.message(connection, key, event, kind=kind, recipient=recipient, created_on=ON))
    return ids


def test_the_most_urgent_leave_first_and_among_them_the_oldest(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.customer(connection)
        gone = factories.box(connection, "gone@pec.it", status="deleted")
        unpaid = factories.box(connection, "unpaid@pec.it", status="suspended")
        due = factories.box(connection, "due@pec.it")
        for box, kind, recipient in (
            (due, "box.expiry_alert", "a@example.it"),
            (unpaid, "box.suspended", "b@example.it"),
            (gone, "box.deleted", "c@example.it"),
            (due, "box.expiry_alert", "d@example.it"),
            (gone, "box.deleted", "e@example.it"),
        ):
            event = (
                alert(connection, box, milestone=factories.count(connection, messages) + 1)
                if kind == "box.expiry_alert"
                else factories.event(connection, kind, occurred_on=ON, box_id=box)
            )
            factories.message(connection, recipient, event, kind=kind, recipient=recipient, created_on=ON)

    with mail_server() as server:
        mail = {"transport": "smtp", "host": HOST, "port": server.port, "connections": 1, "batch_size": 2}
        report = deliver(store, settings.model_copy(update={"mail": settings.mail.model_copy(update=mail)}), on=ON)

    assert report.sent == 5
    assert [delivered.recipient[0] for delivered in server.delivered] == ["c", "e", "b", "a", "d"]


class TestPerRecipientAndDay:
    def test_what_is_over_it_waits_for_tomorrow_the_least_urgent_of_it(self, store: Store, settings: Settings) -> None:
        ids = several_to_one(store, "box.expiry_alert", "box.deleted", "box.expiry_alert", "box.deleted")

        with freeze_time(MOMENT):
            report = deliver(store, settings, on=ON)

        assert (report.sent, report.held_back, report.handled) == (2, 2, 4)
        rows = [message_row(store, id_) for id_ in ids]
        assert [row.status for row in rows] == ["queued", "sent", "queued", "sent"]
        assert [(row.attempts, row.next_attempt_at) for row in rows if row.status == "queued"] == [(0, TOMORROW)] * 2
        assert rows[0].response == "held back until tomorrow: 2 messages a day to one recipient"

    def test_tomorrow_they_go(self, store: Store, settings: Settings) -> None:
        several_to_one(store, *["box.deleted"] * 5)
        with freeze_time(MOMENT) as frozen:
            assert deliver(store, settings, on=ON).sent == 2
            assert deliver(store, settings, on=ON).handled == 0
            frozen.move_to(TOMORROW)
            second = deliver(store, settings, on=ON + A_DAY)
            frozen.move_to(TOMORROW + A_DAY)
            third = deliver(store, settings, on=ON + 2 * A_DAY)

        assert (second.sent, second.held_back) == (2, 1)
        assert (third.sent, third.held_back) == (1, 0)

    def test_what_an_earlier_delivery_of_the_day_sent_counts_and_that_of_yesterday_does_not(
        self, store: Store, settings: Settings
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            for number, day in enumerate((ON - A_DAY, ON - A_DAY, ON)):
                factories.message(
                    connection, f"old{number}", recipient="Mario@Example.it", status="sent", created_on=day
                )
            box = factories.box(connection)
            for number in (1, 2):
                event = alert(connection, box, milestone=number)
                factories.message(connection, f"new{number}", event, recipient="mario@example.it", created_on=ON)

        report = deliver(store, settings, on=ON)

        assert (report.sent, report.held_back) == (1, 1)

    def test_the_limit_is_each_recipients_own_whatever_the_batches(self, store: Store, settings: Settings) -> None:
        settings = settings.model_copy(update={"mail": settings.mail.model_copy(update={"batch_size": 3})})
        queue_alerts(store, *["a@example.it", "b@example.it", "c@example.it"] * 4)

        report = deliver(store, settings, on=ON)

        assert (report.sent, report.held_back) == (6, 6)

    def test_it_holds_over_several_connections(self, store: Store, settings: Settings) -> None:
        queue_alerts(store, *["a@example.it", "b@example.it"] * 30)
        with mail_server() as server:
            mail = {"transport": "smtp", "host": HOST, "port": server.port, "connections": 4}
            mail |= {"messages_per_second": 5000, "per_recipient_per_day": 7}
            settings = settings.model_copy(update={"mail": settings.mail.model_copy(update=mail)})
            report = deliver(store, settings, on=ON)

        assert (report.sent, report.held_back) == (14, 46)
        assert len(server.delivered) == 14

    def test_what_was_refused_or_moot_takes_nobody_s_place(self, store: Store, settings: Settings) -> None:
        ids = queue_alerts(store, *["a@example.it"] * 4)
        with store.write() as connection:
            connection.execute(update(boxes).where(boxes.c.customer_id.in_(("c1", "c2"))).values(cancelled_on=ON))

        report = deliver(store, settings, on=ON)

        assert (report.sent, report.moot, report.held_back) == (2, 2, 0)
        assert message_row(store, ids[3]).status == "sent"


class TestBoxesOfOurs:
    @pytest.mark.parametrize("status", ["suspended", "deleted"])
    def test_a_box_that_receives_nothing_is_not_written_to_but_listed(
        self, store: Store, settings: Settings, status: str
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            box = factories.box(connection, "Mario@pec.example.it", status=status)
            event = factories.event(connection, f"box.{status}", occurred_on=ON, box_id=box)
            message = queued(connection, event, kind=f"box.{status}", recipient="MARIO@pec.example.it")

        report = deliver(store, settings, on=ON)

        assert (report.sent, report.failed) == (0, 1)
        row = message_row(store, message)
        assert (row.status, row.attempts) == ("failed", 0)
        assert row.response == (
            f"not handed over: the recipient is a box of ours that is {status}, and receives nothing"
        )

    def test_a_box_that_lives_is_written_to_also_at_an_address_that_once_was_another_s(
        self, store: Store, settings: Settings
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            factories.box(connection, "mario@pec.example.it", status="deleted", deleted_on=date(2020, 1, 1))
            box = factories.box(connection, "mario@pec.example.it")
            queued(connection, alert(connection, box), recipient="mario@pec.example.it")

        assert deliver(store, settings, on=ON).sent == 1

    def test_it_is_judged_at_the_moment_of_delivery(self, store: Store, settings: Settings) -> None:
        with store.write() as connection:
            factories.customer(connection)
            box = factories.box(connection, "mario@pec.example.it", status="suspended")
            event = factories.event(connection, "box.suspended", occurred_on=ON, box_id=box)
            queued(connection, event, kind="box.suspended", recipient="mario@pec.example.it")
            renewed = factories.box(connection, "anna@pec.example.it")
            queued(connection, alert(connection, renewed), recipient="anna@pec.example.it", created_on=ON - A_DAY)
            connection.execute(
                update(boxes)
                .where(boxes.c.id == box)
                .values(status="active", suspended_on=None, suspended_reason=None, expires_on=date(2028, 3, 31))
            )

        report = deliver(store, settings, on=ON)

        assert (report.sent, report.moot, report.failed) == (1, 1, 0)


class TestRehearsal:
    def test_everything_goes_to_one_address_and_the_real_one_stands_in_a_header(
        self, store: Store, settings: Settings
    ) -> None:
        (first, _) = queue_alerts(store, "a@example.it", "josé@example.it")
        with mail_server(utf8=False) as server:
            mail = {"transport": "smtp", "host": HOST, "port": server.port, "redirect_to": "test@example.org"}
            report = deliver(store, settings.model_copy(update={"mail": settings.mail.model_copy(update=mail)}), on=ON)

        assert (report.sent, report.redirected) == (2, 2)
        assert {delivered.recipient for delivered in server.delivered} == {"test@example.org"}
        found = [delivered.message for delivered in server.delivered]
        assert {message["To"].addresses[0].addr_spec for message in found} == {"test@example.org"}
        assert {str(message["X-Lifecycle-Recipient"]) for message in found} == {"a@example.it", "josé@example.it"}
        row = message_row(store, first)
        assert (row.status, row.redirected) == ("sent", True)

    def test_the_rules_follow_the_real_recipient(self, store: Store, settings: Settings) -> None:
        queue_alerts(store, *["a@example.it"] * 3, "b@example.it", "box1@pec.example.it")
        with store.write() as connection:
            connection.execute(
                update(boxes)
                .where(boxes.c.address_key == "box1@pec.example.it")
                .values(status="suspended", suspended_on=ON, suspended_reason="abuse")
            )
            assert connection.scalar(select(customers.c.email).where(customers.c.customer_id == "c1")) == "a@example.it"
        mail = settings.mail.model_copy(update={"redirect_to": "test@example.org"})

        report = deliver(store, settings.model_copy(update={"mail": mail}), on=ON)

        assert (report.sent, report.held_back, report.failed, report.moot) == (3, 0, 1, 1)
