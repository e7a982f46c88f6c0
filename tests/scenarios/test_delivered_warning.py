"""With `require_delivered_warning` nobody loses a box of which no warning reached them a week before.

The box is suspended and was paid until 10 January 2027, so it may be deleted from 11 April on.
"""

from __future__ import annotations

import pytest
from sqlalchemy import select

from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.db.tables import events
from tests.scenarios.provider import Provider, address


@pytest.fixture(autouse=True)
def _warning_is_required(provider: Provider) -> None:
    provider.environment["LIFECYCLE_DELETION__REQUIRE_DELIVERED_WARNING"] = "true"


def test_a_warning_accepted_seven_days_before_lets_the_box_go_on_its_day(provider: Provider) -> None:
    _sell(provider, "2027-04-04")

    provider.run_daily("2027-04-04", "2027-04-12")

    assert provider.books().life("box") == [
        "2027-04-04 box.deletion_warning 7 before 2027-04-11",
        "2027-04-11 box.deleted",
    ]


def test_a_box_that_reaches_its_day_unwarned_is_warned_at_once_and_goes_a_week_later(provider: Provider) -> None:
    _sell(provider, "2027-04-11")

    provider.run_daily("2027-04-11", "2027-04-17")

    assert provider.books().box("box")["status"] == "suspended"
    held_back = provider.command("deletions", "list", "--json").json()
    assert [(row["address"], row["reason"]) for row in held_back] == [(address("box"), "no_delivered_warning")]

    provider.run_daily("2027-04-18", "2027-04-19")

    books = provider.books()
    assert books.life("box") == [
        "2027-04-11 box.deletion_warning 0 (7 left) before 2027-04-18",
        "2027-04-18 box.deleted",
    ]
    assert books.messages("box") == ["2027-04-11 box.deletion_warning sent", "2027-04-18 box.deleted sent"]


def test_the_week_counts_from_the_day_the_warning_was_accepted(provider: Provider) -> None:
    _sell(provider, "2027-04-04")
    provider.mail.write_text("no folder, so nothing is accepted")
    for on in ("2027-04-04", "2027-04-05"):
        assert provider.run(on).code == 1
    provider.mail.unlink()

    provider.run_daily("2027-04-06", "2027-04-14")

    assert provider.books().life("box") == [
        "2027-04-04 box.deletion_warning 7 before 2027-04-11",
        "2027-04-13 box.deleted",
    ]


def test_what_went_to_somebody_else_in_a_rehearsal_is_no_warning(provider: Provider) -> None:
    _sell(provider, "2027-04-04")
    provider.environment["LIFECYCLE_MAIL__REDIRECT_TO"] = "test@example.org"
    provider.run_daily("2027-04-04", "2027-04-10")
    del provider.environment["LIFECYCLE_MAIL__REDIRECT_TO"]

    provider.run_daily("2027-04-11", "2027-04-17")
    assert provider.books().box("box")["status"] == "suspended"

    provider.run_daily("2027-04-18", "2027-04-18")
    assert provider.books().life("box") == [
        "2027-04-04 box.deletion_warning 7 before 2027-04-11",
        "2027-04-11 box.deletion_warning 0 (7 left) before 2027-04-18",
        "2027-04-18 box.deleted",
    ]


def test_a_suspension_notice_is_warning_enough(provider: Provider) -> None:
    provider.at("2027-04-01T03:00:00Z")
    provider.box("box", "2027-03-31")
    assert provider.bring_in().code == 0
    provider.run_daily("2027-04-01", "2027-04-01")

    assert provider.run("2027-06-30", "--accept-gap").code == 0

    assert provider.books().life("box") == ["2027-04-01 box.suspended unpaid", "2027-06-30 box.deleted"]


def test_a_clerk_may_approve_where_mail_cannot_be_delivered_and_stands_in_the_history(provider: Provider) -> None:
    _sell(provider, "2027-04-11")
    provider.mail.write_text("no folder, so nothing is accepted")
    assert provider.run("2027-04-11").code == 1

    answer = provider.command("deletions", "approve", address("box"), "--by", "anna", "--why", "letter came back")
    provider.run("2027-04-11")

    assert answer.code == 0
    assert provider.books().life("box") == [
        "2027-04-11 box.deleted",
        "2027-04-11 box.deletion_warning 0 (7 left) before 2027-04-18",
        "2027-04-11 deletion.approved",
    ]
    assert _actor_and_why(provider, "deletion.approved") == ("anna", "letter came back")


def test_a_box_that_is_not_up_for_deletion_cannot_be_approved(provider: Provider) -> None:
    provider.at("2027-04-01T03:00:00Z")
    provider.box("active", "2027-06-30")
    provider.box("by-hand", "2027-01-10", status="suspended", suspended_reason="abuse")
    assert provider.bring_in().code == 0

    answers = [provider.command("deletions", "approve", address(name)) for name in ("active", "by-hand", "nobody")]

    assert [answer.code for answer in answers] == [2, 2, 2]


def _sell(provider: Provider, on: str) -> None:
    provider.at(f"{on}T03:00:00Z")
    provider.box("box", "2027-01-10", status="suspended")
    assert provider.bring_in().code == 0


def _actor_and_why(provider: Provider, kind: str) -> tuple[str, str]:
    store = open_store(provider.environment["LIFECYCLE_DATABASE__URL"])
    with store.read() as connection:
        row = connection.execute(select(events.c.actor, events.c.why).where(events.c.kind == kind)).one()
    store.engine.dispose()
    return row.actor, row.why
