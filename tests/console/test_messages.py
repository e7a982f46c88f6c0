"""The e-mails: their fate, the letter as its holder saw it, and sending one again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from lifecycle_jobs.console import messages
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, events
from lifecycle_jobs.db.tables import messages as outbox
from lifecycle_jobs.mail.retold import retell
from tests import factories
from tests.console.browsing import Browser, console_settings, text_of
from tests.daily import run

ON = date(2027, 3, 24)
DAY = timedelta(days=1)


def alerted(store: Store, folder: Path, *, name: str = "Mario Rossi") -> None:
    """A holder has been sent an expiry alert."""
    with store.write() as connection:
        factories.customer(connection, name=name)
        factories.box(connection, expires_on=ON + 30 * DAY)
    run(store, console_settings(folder, store), ON)


def test_they_are_listed_newest_first_each_once(store: Store, anew: Callable[[], Browser]) -> None:
    number = 2 * messages.SHOWN + 1
    with store.write() as connection:
        factories.customer(connection)
        for each in range(number):
            factories.message(connection, f"key{each}", status="failed" if each % 3 else "sent")
    browser = anew()

    def listed(path: str) -> list[int]:
        found = []
        while path:
            page = browser.get(path).text
            found += [int(each) for each in re.findall(r'href="/messages/(\d+)"', page)]
            further = re.search(r'href="(/messages\?[^"]*after=\d+)"', page)
            path = further[1].replace("&amp;", "&") if further else ""
        return found

    assert listed("/messages") == list(range(number, 0, -1))
    assert listed("/messages?status=queued") == []
    assert listed("/messages?status=failed") == [each for each in range(number, 0, -1) if (each - 1) % 3]


def test_the_letter_is_shown_as_it_was_sent_and_can_do_nothing(
    sqlite_store: Store, tmp_path: Path, operator: Browser
) -> None:
    alerted(sqlite_store, tmp_path)

    page = operator.get("/messages/1")
    letter = operator.get("/messages/1/letter")

    assert '<iframe class="mail" src="/messages/1/letter" sandbox' in page.text
    assert "As its holder saw it" in page.text
    assert "Put together" not in page.text
    assert "c…@example.it" in page.text
    assert "c1@example.it" not in page.text
    assert "Mario Rossi" in letter.text
    policy = letter.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy


def test_where_no_text_is_kept_it_is_put_together_again_as_it_was_though_the_box_was_renewed_since(
    store: Store, tmp_path: Path
) -> None:
    alerted(store, tmp_path)
    with store.write() as connection:
        connection.execute(update(boxes).values(expires_on=ON + 395 * DAY))
    settings = console_settings(tmp_path, store)
    elsewhere = settings.model_copy(update={"mail": settings.mail.model_copy(update={"directory": tmp_path / "no"})})

    with store.read() as connection:
        kept = retell(connection, settings, 1, ON + DAY)
        again = retell(connection, elsewhere, 1, ON + DAY)

    assert (kept.kept, again.kept) == (True, False)
    assert again.rendered.subject == kept.rendered.subject
    assert again.rendered.text.strip() == kept.rendered.text.strip()


def test_script_in_a_holders_name_does_not_run_in_the_letter_either(
    sqlite_store: Store, tmp_path: Path, operator: Browser
) -> None:
    alerted(sqlite_store, tmp_path, name="<script>alert(1)</script>")

    for path in ("/messages/1", "/messages/1/letter"):
        assert "<script>alert" not in operator.get(path).text, path


def test_one_that_failed_is_sent_again_with_who_asked_for_it(sqlite_store: Store, operator: Browser) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.message(connection, "key", status="failed")
    assert "Send again …" in operator.read("/messages/1")

    operator.fill_in("/messages/1/resend", {"why": "the mailbox is back"})

    with sqlite_store.read() as connection:
        recorded = connection.execute(select(events.c.kind, events.c.actor, events.c.why)).one()
        assert tuple(recorded) == ("message.resent", "olga", "the mailbox is back")
        assert connection.scalar(select(outbox.c.status)) == "queued"


def test_one_that_was_sent_is_not_sent_twice(sqlite_store: Store, operator: Browser) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.message(connection, "key", status="sent")

    answer = operator.fill_in("/messages/1/resend", {"why": "x"})

    assert answer.status_code == 409
    assert "its holder would get it twice" in text_of(answer.text)
    assert "Send again" not in operator.read("/messages/1")


@pytest.mark.parametrize("number", ["2", "0", "x", "-1", "9" * 5000])
def test_one_that_never_was_is_said_so(operator: Browser, number: str) -> None:
    assert operator.get(f"/messages/{number}").status_code == 409
