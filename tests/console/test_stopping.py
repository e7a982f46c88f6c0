"""The emergency stop from the console: the same as the command's, recorded with who and why."""

from __future__ import annotations

from sqlalchemy import select

from lifecycle_jobs import stops
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import events
from tests.console.browsing import Browser


def test_it_is_thrown_and_taken_back_with_who_and_why(sqlite_store: Store, operator: Browser) -> None:
    operator.fill_in("/stop", {"why": "double charges?"})
    with sqlite_store.read() as connection:
        stop = stops.in_force(connection)
    assert stop is not None
    assert (stop.actor, stop.why) == ("olga", "double charges?")
    assert "by olga: double charges?" in operator.read("/")

    operator.fill_in("/resume", {"why": "all is right"})
    with sqlite_store.read() as connection:
        recorded = connection.execute(select(events.c.kind, events.c.actor, events.c.why).order_by(events.c.id)).all()
    assert [tuple(row) for row in recorded] == [
        ("emergency.stopped", "olga", "double charges?"),
        ("emergency.resumed", "olga", "all is right"),
    ]


def test_without_a_reason_nothing_is_stopped(sqlite_store: Store, operator: Browser) -> None:
    answer = operator.fill_in("/stop", {"why": "  "})

    assert (answer.status_code, "Say why" in answer.text) == (422, True)
    with sqlite_store.read() as connection:
        assert stops.in_force(connection) is None


def test_a_viewer_is_told_and_not_asked(operator: Browser, viewer: Browser) -> None:
    operator.fill_in("/stop", {"why": "double charges?"})

    page = viewer.read("/")

    assert "The emergency stop is on" in page
    assert "Resume" not in page
    assert "Only an operator may do this." in viewer.read("/stop")
    assert 'action="/resume"' not in viewer.get("/stop").text
