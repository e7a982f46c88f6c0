"""More deletions at once than max(100, 5 % of all boxes): none happens until somebody names their exact number."""

from __future__ import annotations

from tests.scenarios.provider import Provider

ON = "2027-04-01"
"""Deletion of what was paid until 31 December 2026."""


def test_101_deletions_are_refused_with_their_number_while_the_other_jobs_go_on(provider: Provider) -> None:
    _sell(provider, "2026-12-31", 101)

    answer = provider.run(ON)

    assert answer.code == 1
    assert "101 boxes are due for deletion" in answer.err
    assert "--approve-deletions 101" in answer.err
    assert provider.books().kinds_on(ON) == ["box.suspended unpaid", "box.expiry_alert alerted"]
    assert provider.books().messages("unpaid") == [f"{ON} box.suspended sent"]


def test_100_deletions_need_nobody(embedded: Provider) -> None:
    _sell(embedded, "2026-12-31", 100)

    assert embedded.run(ON).code == 0

    assert _number_deleted(embedded) == 100


def test_another_number_than_the_exact_one_lets_nothing_go(embedded: Provider) -> None:
    _sell(embedded, "2026-12-31", 101)
    assert embedded.run(ON).code == 1

    for wrong in ("100", "102"):
        answer = embedded.run(ON, "--approve-deletions", wrong)
        assert answer.code == 1
        assert f"{wrong} were approved, which is another number" in answer.err

    assert _number_deleted(embedded) == 0


def test_the_exact_number_lets_them_go_once(provider: Provider) -> None:
    _sell(provider, "2026-12-31", 101)
    _sell_suspended(provider, "2027-01-01", 101)
    assert provider.bring_in().code == 0
    assert provider.run(ON).code == 1

    assert provider.command("replay", ON, "--approve-deletions", "101", "--by", "anna").code == 0

    assert _number_deleted(provider) == 101
    books = provider.books()
    assert books.messages("holder-2026-12-31") == [f"{ON} box.deleted sent"]
    assert books.life("alerted") == [f"{ON} box.expiry_alert 7"]

    # The other 101 fall due on the next date, and an approval is good for its own date only.
    assert provider.run("2027-04-02").code == 1
    assert _number_deleted(provider) == 101
    assert provider.run("2027-04-02", "--approve-deletions", "101").code == 0
    assert _number_deleted(provider) == 202


def _sell(provider: Provider, expires_on: str, number: int) -> None:
    provider.at(f"{ON}T03:00:00Z")
    provider.box("unpaid", "2027-03-31")
    provider.box("alerted", "2027-04-08")
    _sell_suspended(provider, expires_on, number)
    assert provider.bring_in().code == 0


def _sell_suspended(provider: Provider, expires_on: str, number: int) -> None:
    holder = f"holder-{expires_on}"
    provider.customer(holder)
    for each in range(number):
        provider.box(f"box-{expires_on}-{each:03}", expires_on, customer=holder, status="suspended")


def _number_deleted(provider: Provider) -> int:
    books = provider.books()
    deleted = [box for box in books.files["boxes.csv"] if box["status"] == "deleted"]
    told = [event for event in books.files["events.csv"] if event["kind"] == "box.deleted"]
    assert len(deleted) == len(told)
    return len(deleted)
