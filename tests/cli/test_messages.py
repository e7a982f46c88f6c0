"""`messages list|show|resend` and `mail test`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import customers, events, messages
from lifecycle_jobs.operators import Operator, stop_everything
from tests.cli.conftest import Type
from tests.db.folders import customer, write
from tests.mail.mail_server import HOST, MailServer, free_port, mail_server
from tests.mail.office import ON, message_row, queue_alerts


@pytest.fixture
def books(sqlite_url: str) -> Iterator[Store]:
    """The database at which the commands are typed."""
    store = open_store(sqlite_url)
    yield store
    store.engine.dispose()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server that the commands send through."""
    with mail_server() as server:
        monkeypatch.setenv("LIFECYCLE_MAIL__TRANSPORT", "smtp")
        monkeypatch.setenv("LIFECYCLE_MAIL__HOST", HOST)
        monkeypatch.setenv("LIFECYCLE_MAIL__PORT", str(server.port))
        yield server


def became(store: Store, message_id: int, status: str) -> None:
    """Let a message have come to this."""
    told: dict[str, dict[str, Any]] = {
        "queued": {"attempts": 2, "next_attempt_at": datetime(2099, 1, 1, tzinfo=UTC), "response": "451 later"},
        "failed": {"attempts": 1, "response": "550 5.1.1 (address): unknown"},
        "sent": {
            "accepted_on": ON,
            "accepted_at": datetime(2027, 3, 24, 4, tzinfo=UTC),
            "reply_code": 250,
            "queue_id": "4F1B2C3D9E",
            "response": "250 2.0.0 Ok: queued as 4F1B2C3D9E",
        },
        "moot": {},
        "parked": {"response": "Unreadable: box 1 has the unknown plan bronze"},
    }
    with store.write() as connection:
        connection.execute(update(messages).where(messages.c.id == message_id).values(status=status, **told[status]))


def test_a_holder_whose_address_was_corrected_gets_what_waited_for_him_there(
    lifecycle: Type, books: Store, server: MailServer, tmp_path: Path
) -> None:
    (waiting,) = queue_alerts(books, "wrong@example.it")
    became(books, waiting, "queued")
    folder = write(tmp_path / "in", customers=[customer(email="right@example.it")])

    done = lifecycle("import", str(folder))
    delivered = lifecycle("deliver")

    assert (done.code, delivered.code) == (0, 0)
    assert "E-mails that had not left yet, and go to their holders' new addresses: 1." in done.out
    assert [each.recipient for each in server.delivered] == ["right@example.it"]


class TestList:
    def test_the_newest_come_first_and_a_status_can_be_asked_for(self, lifecycle: Type, books: Store) -> None:
        first, second, third = queue_alerts(books, "a@example.it", "b@example.it", "c@example.it")
        became(books, second, "failed")

        everything = json.loads(lifecycle("messages", "list", "--json").out)
        failed = json.loads(lifecycle("messages", "list", "--status", "failed", "--json").out)

        assert [row["id"] for row in everything] == [third, second, first]
        assert [(row["id"], row["response"]) for row in failed] == [(second, "550 5.1.1 (address): unknown")]
        assert "Messages: 3" in lifecycle("messages", "list").out
        assert "example.it" not in lifecycle("messages", "list").out

    def test_it_says_when_there_are_none_and_which_statuses_there_are(self, lifecycle: Type) -> None:
        assert lifecycle("messages", "list").out == "There are no messages.\n"
        refused = lifecycle("messages", "list", "--status", "lost")
        assert refused.code == 2
        assert "Known: queued, failed, parked, sent, moot." in refused.err


class TestShow:
    def test_what_is_known_of_a_message_with_its_proof_and_its_boxes_and_a_masked_recipient(
        self, lifecycle: Type, books: Store
    ) -> None:
        (first,) = queue_alerts(books, "mario@example.it")
        became(books, first, "sent")

        shown = lifecycle("messages", "show", str(first), "--json")

        known = json.loads(shown.out)
        assert (known["status"], known["reply_code"], known["queue_id"]) == ("sent", 250, "4F1B2C3D9E")
        assert known["accepted_at"] == "2027-03-24T04:00:00+00:00"
        assert known["boxes"] == ["box1@pec.example.it"]
        assert known["recipient"] == "m…@example.it"
        assert "mario" not in shown.out
        assert "4F1B2C3D9E" in lifecycle("messages", "show", str(first)).out

    def test_a_number_that_nobody_has_is_refused(self, lifecycle: Type) -> None:
        refused = lifecycle("messages", "show", "17")
        assert (refused.code, refused.err) == (2, "There is no message 17.\n")


class TestResend:
    @pytest.mark.parametrize(
        ("status", "options", "said"),
        [
            ("failed", (), "It was failed and is queued again."),
            ("queued", (), "It is due at once."),
            ("sent", ("--again",), "It was sent and is queued again."),
        ],
    )
    def test_it_is_due_at_once_and_stands_in_the_history(
        self, lifecycle: Type, books: Store, status: str, options: tuple[str, ...], said: str
    ) -> None:
        (first,) = queue_alerts(books, "a@example.it")
        became(books, first, status)

        told = lifecycle("messages", "resend", str(first), *options, "--by", "anna", "--why", "mailbox was full")

        assert told.code == 0
        assert told.out.startswith(said)
        row = message_row(books, first)
        assert (row.status, row.attempts, row.next_attempt_at, row.accepted_on) == ("queued", 0, None, None)
        with books.read() as connection:
            event = connection.execute(select(events).where(events.c.kind == "message.resent")).one()
        assert (event.actor, event.why, event.customer_id) == ("anna", "mailbox was full", "c1")
        assert (event.detail["message"], event.detail["was"]) == (first, status)

    def test_it_goes_to_the_address_that_the_customer_has_now(self, lifecycle: Type, books: Store) -> None:
        (first,) = queue_alerts(books, "old@example.it")
        became(books, first, "failed")
        with books.write() as connection:
            connection.execute(update(customers).values(email="New@example.it", locale="en"))

        lifecycle("messages", "resend", str(first), "--by", "anna", "--why", "address corrected")

        row = message_row(books, first)
        assert (row.recipient, row.recipient_key, row.locale) == ("New@example.it", "new@example.it", "en")

    def test_what_proved_the_first_acceptance_is_kept_in_the_history(self, lifecycle: Type, books: Store) -> None:
        (first,) = queue_alerts(books, "a@example.it")
        became(books, first, "sent")

        lifecycle("messages", "resend", str(first), "--again")

        with books.read() as connection:
            detail = connection.scalar(select(events.c.detail).where(events.c.kind == "message.resent"))
        assert detail is not None
        assert (detail["accepted_on"], detail["reply_code"], detail["queue_id"]) == ("2027-03-24", 250, "4F1B2C3D9E")

    @pytest.mark.parametrize(
        ("status", "sentence"),
        [
            ("sent", "its holder would get it twice. If that is meant: --again"),
            ("moot", "had become pointless"),
            ("parked", "lifecycle-jobs parked retry"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, lifecycle: Type, books: Store, status: str, sentence: str) -> None:
        (first,) = queue_alerts(books, "a@example.it")
        became(books, first, status)

        refused = lifecycle("messages", "resend", str(first))

        assert refused.code == 2
        assert sentence in refused.err
        assert message_row(books, first).status == status


class TestMailTest:
    def test_a_small_message_goes_at_once_and_is_not_kept(
        self, lifecycle: Type, server: MailServer, books: Store
    ) -> None:
        server.answer = "250 2.0.0 Ok: queued as 4F1B2C3D9E"

        told = lifecycle("mail", "test", "mario@example.it")

        assert (told.code, told.out) == (0, "Taken: 250 2.0.0 Ok: queued as 4F1B2C3D9E\n")
        (delivered,) = server.delivered
        assert delivered.recipient == "mario@example.it"
        assert "mail test" in delivered.message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        with books.read() as connection:
            assert connection.scalars(select(messages.c.id)).all() == []

    def test_a_refusal_is_told_and_is_a_failure(self, lifecycle: Type, server: MailServer) -> None:
        del server
        told = lifecycle("mail", "test", "never@example.it")
        assert (told.code, told.err) == (1, "Not taken: 550 5.1.1 <(address)>: Recipient address rejected\n")

    def test_a_server_that_is_down_is_told(
        self, lifecycle: Type, server: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del server
        monkeypatch.setenv("LIFECYCLE_MAIL__PORT", str(free_port()))
        told = lifecycle("mail", "test", "a@example.it", "--json")
        assert told.code == 1
        answer = json.loads(told.out)
        assert answer["taken"] is False
        assert "Connection refused" in answer["response"]

    def test_in_a_rehearsal_it_goes_where_everything_goes(
        self, lifecycle: Type, server: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LIFECYCLE_MAIL__REDIRECT_TO", "test@example.org")
        told = lifecycle("mail", "test", "mario@example.it")
        assert told.out.endswith("(it goes to mail.redirect_to)\n")
        (delivered,) = server.delivered
        assert delivered.recipient == "test@example.org"
        assert delivered.message["X-Lifecycle-Recipient"] == "mario@example.it"

    def test_what_is_no_address_is_refused(self, lifecycle: Type) -> None:
        told = lifecycle("mail", "test", "nobody")
        assert (told.code, told.err) == (2, "Nothing was sent: the e-mail address has no @.\n")

    def test_during_an_emergency_stop_nothing_leaves(self, lifecycle: Type, server: MailServer, books: Store) -> None:
        stop_everything(books, Operator("anna", None, ON), "wrong texts")
        assert lifecycle("mail", "test", "a@example.it").code == 5
        assert server.delivered == []
