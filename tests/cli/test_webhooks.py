"""`webhooks` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lifecycle_jobs import operators
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.operators import Operator
from tests.cli.conftest import Type
from tests.webhooks.receiver import ANOTHER_SECRET, SECRET, Reaction, Receiver
from tests.webhooks.sending import ON, boxes_named, happen


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that the settings name."""
    with Receiver() as receiver:
        monkeypatch.setenv("LIFECYCLE_WEBHOOKS__URL", receiver.url)
        monkeypatch.setenv("LIFECYCLE_WEBHOOKS__SECRET", SECRET)
        yield receiver


@pytest.fixture
def _deleted(lifecycle: Type, sqlite_store: Store) -> None:
    """A box was deleted after webhooks were configured."""
    assert lifecycle("webhooks", "deliver").out == "No events are waiting.\n"
    (box,) = boxes_named(sqlite_store, "gone")
    happen(sqlite_store, box, "box.deleted")


@pytest.mark.usefixtures("receiver", "_deleted")
def test_deliver_says_what_went_and_fails_when_something_did_not(lifecycle: Type, receiver: Receiver) -> None:
    receiver.react = lambda _received: Reaction(500)
    refused = lifecycle("webhooks", "deliver")
    assert (refused.code, refused.out) == (1, "failed 1, waiting 1\n")

    receiver.stop()
    lifecycle("webhooks", "replay", "--since", "2027-01-01", "--by", "anna", "--why", "again")
    out = lifecycle("webhooks", "deliver", "--json")
    assert (out.code, json.loads(out.out)["failed"]) == (1, 1)

    receiver.start()
    receiver.react = lambda _received: Reaction(204)
    assert lifecycle("webhooks", "replay", "--since", "2027-01-01").out.startswith("Queued again: 1 events.")
    delivered = lifecycle("webhooks", "deliver")
    assert (delivered.code, delivered.out) == (0, "delivered 1\n")


@pytest.mark.usefixtures("receiver", "_deleted")
def test_list_and_status_show_what_waits(lifecycle: Type, receiver: Receiver) -> None:
    receiver.react = lambda _received: Reaction(410)
    lifecycle("webhooks", "deliver")

    (row,) = json.loads(lifecycle("webhooks", "list", "--json").out)
    assert (row["kind"], row["address"], row["attempts"]) == ("box.deleted", "gone@pec.example.it", 1)
    assert row["response"] == "410 Gone"
    shown = lifecycle("webhooks", "list").out
    assert "Waiting for the mail platform: 1" in shown
    assert "410" in shown  # the table may break the line after it
    found = lifecycle("status").out
    assert "Webhooks waiting: 1, the oldest since" in found
    assert "Deletions that the mail platform has not confirmed: 1" in found
    told = json.loads(lifecycle("status", "--json").out)
    assert told["deletions_pending"]["rows"][0]["since"] == ON.isoformat()


@pytest.mark.usefixtures("receiver")
def test_nothing_waits_at_first(lifecycle: Type) -> None:
    assert lifecycle("webhooks", "list").out == "No events are waiting.\n"
    assert "Webhooks" not in lifecycle("status").out


def test_test_sends_one_signed_event_and_says_the_answer(lifecycle: Type, receiver: Receiver) -> None:
    taken = lifecycle("webhooks", "test")
    assert (taken.code, taken.out) == (0, "Taken: 204 No Content.\n")
    assert [received.kind for received in receiver.journal] == ["webhooks.test"]

    receiver.react = lambda _received: Reaction(404)
    refused = lifecycle("webhooks", "test")
    assert (refused.code, refused.err) == (1, "Not taken: 404 Not Found.\n")


def test_test_finds_out_that_the_secrets_differ(
    lifecycle: Type, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_WEBHOOKS__SECRET", ANOTHER_SECRET)

    assert "401 Unauthorized" in lifecycle("webhooks", "test").err
    assert receiver.forged == 1


def test_under_an_emergency_stop_not_even_a_test_leaves(
    lifecycle: Type, receiver: Receiver, sqlite_store: Store
) -> None:
    operators.stop_everything(sqlite_store, Operator("anna", None, ON), "double charges?")

    assert lifecycle("webhooks", "test").code == 5
    assert lifecycle("webhooks", "deliver").code == 5
    assert receiver.journal == []


@pytest.mark.parametrize("command", [("deliver",), ("test",), ("replay", "--since", "2027-01-01")])
def test_without_a_receiver_there_is_nothing_to_do(lifecycle: Type, command: tuple[str, ...]) -> None:
    refused = lifecycle("webhooks", *command)

    assert refused.code == 2
    assert "webhooks.url is empty" in refused.err


@pytest.mark.usefixtures("receiver")
def test_a_period_that_ends_before_it_begins_is_refused(lifecycle: Type) -> None:
    refused = lifecycle("webhooks", "replay", "--since", "2027-04-02", "--until", "2027-04-01")

    assert refused.code == 2
    assert "lies before" in refused.err


def test_skipped_numbers_are_told_and_nonsense_is_refused(lifecycle: Type, sqlite_store: Store) -> None:
    skipped = lifecycle("webhooks", "skip-numbers", "--by", "anna", "--why", "restored")
    assert (skipped.code, skipped.out) == (0, "Events are numbered from 10000001 on.\n")
    (box,) = boxes_named(sqlite_store, "a")
    assert happen(sqlite_store, box, "box.renewed") == [10_000_001]

    refused = lifecycle("webhooks", "skip-numbers", "--number", "-5")
    assert refused.code == 2
    assert "-5 numbers cannot be skipped" in refused.err


def test_test_tells_a_machine_what_was_answered(lifecycle: Type, receiver: Receiver) -> None:
    taken = lifecycle("webhooks", "test", "--json")
    assert (taken.code, json.loads(taken.out)) == (0, {"taken": True, "said": "204 No Content"})

    receiver.react = lambda _received: Reaction(404)
    refused = lifecycle("webhooks", "test", "--json")
    assert (refused.code, json.loads(refused.out)) == (1, {"taken": False, "said": "404 Not Found"})
