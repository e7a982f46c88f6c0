"""`preview`, `templates check` and `deliver`."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select, update

from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.db.tables import boxes, events, messages
from lifecycle_jobs.mail import delivery
from lifecycle_jobs.mail.report import DeliveryReport
from tests.cli.conftest import Type
from tests.mail.office import queue_alerts


def test_preview_writes_the_html_of_a_message_from_its_sample(lifecycle: Type) -> None:
    shown = lifecycle("preview", "box.expiry_alert", "--locale", "it")
    assert shown.code == 0
    assert shown.out.lstrip().lower().startswith("<!doctype html>")
    assert 'lang="it"' in shown.out


def test_preview_knows_messages_by_their_short_names_and_parts(lifecycle: Type) -> None:
    shown = lifecycle("preview", "suspended", "--locale", "en", "--part", "subject")
    assert shown.code == 0
    assert shown.out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("preview", "box.lost"), "There is no message 'box.lost'. Known: box.expiry_alert"),
        (("preview", "suspended", "--locale", "fr"), "There is no locale 'fr'. Known: it, en."),
        (("preview", "suspended", "--part", "pdf"), "There is no part 'pdf'. Known: subject, text, html."),
    ],
)
def test_preview_lists_what_there_is(lifecycle: Type, arguments: tuple[str, ...], sentence: str) -> None:
    shown = lifecycle(*arguments)
    assert shown.code == 2
    assert sentence in shown.err


def test_the_shipped_templates_are_in_order(lifecycle: Type) -> None:
    assert lifecycle("templates", "check").code == 0
    assert json.loads(lifecycle("templates", "check", "--json").out) == {"problems": []}


def test_a_broken_override_is_named(lifecycle: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "box.suspended" / "it"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("{{ nobody.knows }}\n", encoding="utf-8")
    monkeypatch.setenv("LIFECYCLE_TEMPLATES__DIRECTORY", str(tmp_path / "mine"))
    shown = lifecycle("templates", "check")
    assert shown.code == 2
    assert "box.suspended/it/subject.txt" in shown.err
    told = lifecycle("templates", "check", "--json")
    assert told.code == 2
    (problem,) = json.loads(told.out)["problems"]
    assert "box.suspended/it/subject.txt" in problem


def test_deliver_says_when_nothing_waits(lifecycle: Type) -> None:
    shown = lifecycle("deliver")
    assert (shown.code, shown.out) == (0, "No messages are waiting.\n")


def test_nothing_is_delivered_by_a_wrong_clock(lifecycle: Type, sqlite_url: str) -> None:
    """What waits would be taken for pointless, and never come."""
    store = open_store(sqlite_url)
    lifecycle("replay", "2099-03-24")
    queue_alerts(store, "a@example.it")

    refused = lifecycle("deliver")

    assert (refused.code, "the last completed run is that of 2099-03-24, in the future" in refused.err) == (4, True)
    with store.read() as connection:
        assert connection.scalars(select(messages.c.status)).all() == ["queued"]
    store.engine.dispose()


def test_deliver_says_what_became_of_the_messages(
    lifecycle: Type, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(sqlite_url)
    queue_alerts(store, "a@example.it", "a@example.it", "a@example.it", "nobody")
    with store.write() as connection:
        connection.execute(update(boxes).values(expires_on=date(2099, 3, 31)))
        connection.execute(update(events).values(term_expires_on=date(2099, 3, 31)))
    store.engine.dispose()
    monkeypatch.setenv("LIFECYCLE_MAIL__PER_RECIPIENT_PER_DAY", "2")
    monkeypatch.setenv("LIFECYCLE_MAIL__REDIRECT_TO", "test@example.org")

    shown = lifecycle("deliver")

    assert (shown.code, shown.out) == (0, "sent 2, failed 1, held back 1, redirected 2\n")


@pytest.mark.parametrize(
    ("report", "code", "sentence"),
    [
        (DeliveryReport(sent=3, more=True), 1, "The mail server takes too long. What still waits stays queued."),
        (DeliveryReport(sent=3, elsewhere=True), 0, "Another process has taken the delivery over meanwhile"),
    ],
)
def test_deliver_says_why_it_came_to_no_end(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch, report: DeliveryReport, code: int, sentence: str
) -> None:
    monkeypatch.setattr(delivery, "deliver_all", lambda *_: report)

    typed = lifecycle("deliver")

    assert (typed.code, typed.out.strip()) == (code, "sent 3")
    assert typed.err.startswith(sentence)
