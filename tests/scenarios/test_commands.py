"""The commands of a day as an operator types them: what each option does, and what the exit code says."""

from __future__ import annotations

import pytest

from lifecycle_jobs import lease
from lifecycle_jobs.db.session import open_store
from tests.scenarios.provider import Provider, address, contents

ON = "2027-03-24"


def test_a_dry_run_foretells_the_run_and_leaves_every_byte_as_it_was(provider: Provider) -> None:
    _sell_some(provider)
    before = contents(provider.export())

    shown = provider.run(ON, "--dry-run")
    foretold = provider.run(ON, "--dry-run", "--json").json()["would_do"]

    assert shown.code == 0
    assert f"would: box.renewed  {address('renewing')}" in shown.out
    assert contents(provider.export()) == before
    assert provider.command("status", "--json").json()["runs"] == []
    assert not provider.mail.exists()
    assert not provider.journal.exists()

    assert provider.run(ON).code == 0
    happened = provider.books().files["events.csv"]
    assert sorted((would["what"], would["address"]) for would in foretold) == sorted(
        (event["kind"], event["address"]) for event in happened
    )


def test_a_dry_run_after_a_run_forgets_nothing_of_what_was_done(embedded: Provider) -> None:
    _sell_some(embedded)
    assert embedded.run(ON).code == 0
    before, booked, sent = contents(embedded.export()), embedded.journal.read_bytes(), contents(embedded.mail)

    assert embedded.command("replay", "2027-03-26", "--until", "2027-04-02", "--dry-run").code == 0

    assert contents(embedded.export()) == before
    assert (embedded.journal.read_bytes(), contents(embedded.mail)) == (booked, sent)


def test_a_completed_date_is_not_done_again(provider: Provider) -> None:
    _sell_some(provider)
    assert provider.run(ON).code == 0
    before = contents(provider.export())

    answers = [provider.run(ON), provider.command("replay", ON)]

    assert [answer.code for answer in answers] == [0, 0]
    assert all("completed already" in answer.out for answer in answers)
    assert contents(provider.export()) == before


def test_again_takes_up_what_was_imported_since_and_does_nothing_twice(provider: Provider) -> None:
    _sell_some(provider)
    assert provider.run(ON).code == 0
    before = contents(provider.export())
    booked = provider.journal.read_bytes()

    assert provider.run(ON, "--again").code == 0
    assert contents(provider.export()) == before
    assert provider.journal.read_bytes() == booked

    provider.box("latecomer", "2027-03-31", token="pm_card_visa")
    assert provider.bring_in().code == 0
    assert provider.run(ON, "--again").code == 0

    books = provider.books()
    assert books.life("latecomer") == ["2027-03-24 box.renewed until 2028-03-31, 12.08 by card"]
    assert books.life("unpaid") == ["2027-03-24 box.expiry_alert 7"]
    assert books.charges("declining") == ["slot 7 #1 declined generic_decline 12.08"]


def test_since_says_from_when_on_milestones_are_owed(embedded: Provider) -> None:
    embedded.at("2027-03-20T03:00:00Z")
    embedded.box("unpaid", "2027-03-31")
    assert embedded.bring_in().code == 0

    assert embedded.run("2027-03-20").code == 0
    assert embedded.books().life("unpaid") == []

    assert embedded.run("2027-03-20", "--again", "--since", "2027-02-20").code == 0
    assert embedded.books().life("unpaid") == ["2027-03-20 box.expiry_alert 15 (11 left)"]


def test_a_date_in_the_future_may_be_played_where_nothing_leaves_the_machine(embedded: Provider) -> None:
    _sell_some(embedded)
    embedded.at(f"{ON}T04:00:00Z")

    assert embedded.command("replay", "2027-03-31").code == 0

    assert embedded.books().life("unpaid") == []
    assert embedded.books().charges("renewing") == ["slot 0 #1 succeeded 12.08"]


def test_a_date_in_the_future_is_refused_where_mail_leaves_the_machine(embedded: Provider) -> None:
    _sell_some(embedded)
    embedded.at(f"{ON}T04:00:00Z")
    embedded.environment["LIFECYCLE_MAIL__TRANSPORT"] = "smtp"
    before = contents(embedded.export())

    refused = embedded.command("replay", "2027-03-23", "--until", "2027-03-25")

    assert refused.code == 2
    assert "2027-03-25 is in the future" in refused.err
    assert "--allow-future" in refused.err
    assert contents(embedded.export()) == before
    assert embedded.command("replay", "2027-03-25", "--dry-run").code == 0


def test_allow_future_lets_a_date_in_the_future_pass(embedded: Provider) -> None:
    embedded.at(f"{ON}T04:00:00Z")
    embedded.environment["LIFECYCLE_MAIL__TRANSPORT"] = "smtp"

    assert embedded.command("replay", "2027-03-25", "--allow-future").code == 0

    assert embedded.command("status", "--json").json()["runs"][0]["run_on"] == "2027-03-25"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["replay", "tomorrow"], "tomorrow"),
        (["replay", "2027-03-24", "--until", "2027-03-23"], "--until 2027-03-23 lies before 2027-03-24"),
        (["run", "--approve-deletions", "0"], "--approve-deletions"),
        (["run", "--since", "24.3.2027"], "24.3.2027"),
    ],
)
def test_a_command_typed_wrongly_does_nothing_and_exits_with_2(
    embedded: Provider, arguments: list[str], complaint: str
) -> None:
    answer = embedded.command(*arguments)

    assert answer.code == 2
    assert complaint in answer.err
    assert embedded.command("status", "--json").json()["runs"] == []


def test_a_setting_that_is_wrong_is_named_and_exits_with_2(embedded: Provider) -> None:
    embedded.environment["LIFECYCLE_BUSINESS__ZONE"] = "Europe/Roma"

    answer = embedded.run(ON)

    assert answer.code == 2
    assert "business.zone" in answer.err
    del embedded.environment["LIFECYCLE_BUSINESS__ZONE"]  # or the audit in the end could not start either


def test_a_second_run_at_the_same_time_leaves_with_3(provider: Provider) -> None:
    _sell_some(provider)
    provider.at(f"{ON}T04:00:00Z")
    store = open_store(provider.environment["LIFECYCLE_DATABASE__URL"])
    try:
        with lease.hold(store, "run", 60):
            second = provider.run(ON)
    finally:
        store.engine.dispose()

    assert second.code == 3
    assert "under way" in second.err
    assert provider.books().files["events.csv"] == []
    assert provider.run(ON).code == 0


def test_mail_that_cannot_leave_makes_the_run_exit_with_1_and_goes_out_later(embedded: Provider) -> None:
    _sell_some(embedded)
    embedded.mail.write_text("a file where the folder should be")

    failed = embedded.run(ON)

    assert failed.code == 1
    assert "Delivery stopped" in failed.err
    assert embedded.books().messages("unpaid") == ["2027-03-24 box.expiry_alert queued"]

    embedded.mail.unlink()
    assert embedded.run("2027-03-25").code == 0
    assert embedded.books().messages("unpaid") == ["2027-03-24 box.expiry_alert sent"]


def test_run_goes_on_after_ten_days_and_asks_after_eleven(embedded: Provider) -> None:
    assert embedded.run("2027-03-20").code == 0
    assert embedded.run("2027-03-30").code == 0

    asked = embedded.run("2027-04-10")

    assert asked.code == 4
    assert "2027-03-30, 11 days back" in asked.err
    assert "--accept-gap" in asked.err


def test_a_last_run_in_the_future_stops_run_until_the_gap_is_accepted(provider: Provider) -> None:
    _sell_some(provider)
    assert provider.run("2027-07-01").code == 0
    before = contents(provider.export())

    refused = provider.run("2027-06-15")

    assert refused.code == 4
    assert "2027-07-01, in the future" in refused.err
    assert contents(provider.export()) == before
    assert provider.run("2027-06-15", "--accept-gap", "--by", "anna").code == 0
    assert [run["run_on"] for run in provider.command("status", "--json").json()["runs"]] == [
        "2027-07-01",
        "2027-06-15",
    ]


def _sell_some(provider: Provider) -> None:
    """Boxes to each of which something happens on 24 March 2027."""
    provider.at(f"{ON}T03:00:00Z")
    provider.box("unpaid", "2027-03-31")
    provider.box("renewing", "2027-03-31", token="pm_card_visa", credit="5.00")
    provider.addon("gb1", "renewing", "2027-03-31")
    provider.box("declining", "2027-03-31", token="pm_card_visa_chargeDeclined")
    provider.box("expired", "2027-03-23")
    provider.box("to-be-deleted", "2026-12-23", status="suspended")
    assert provider.bring_in().code == 0
