"""The program was down: what one run after 5, 40 or 120 missed dates catches up with, and what it must not do."""

from __future__ import annotations

from tests.scenarios.provider import DOMAIN, Provider, contents

LAST_RUN = "2027-03-20"


def test_after_5_days_each_box_gets_one_alert_and_one_charge_and_nothing_is_deleted(provider: Provider) -> None:
    provider.box("unpaid", "2027-03-31")
    provider.box("renewing", "2027-03-31", token="pm_card_visa")
    provider.box("declining", "2027-03-31", token="pm_card_visa_chargeDeclined")
    provider.box("expired-meanwhile", "2027-03-22")
    provider.box("long-suspended", "2026-12-23", status="suspended")
    _go_down(provider)

    assert provider.run("2027-03-26").code == 0

    # Alerts of 7 days (24 March), charge slots 7 and 5 (24 and 26 March) had come; deletion on 24 March.
    books = provider.books()
    assert books.life("unpaid") == ["2027-03-26 box.expiry_alert 7 (5 left)"]
    assert books.charges("renewing") == ["slot 5 #1 succeeded 12.08"]
    assert books.life("renewing") == ["2027-03-26 box.renewed until 2028-03-31, 12.08 by card"]
    assert books.life("declining") == [
        "2027-03-26 charge.declined generic_decline in slot 5, next 2027-03-28",
    ]
    assert books.life("expired-meanwhile") == ["2027-03-26 box.suspended unpaid"]
    assert books.life("long-suspended") == ["2027-03-26 box.deleted"]


def test_after_40_days_run_suspects_a_restored_backup_until_the_gap_is_accepted(provider: Provider) -> None:
    provider.box("alert-due", "2027-05-02")
    provider.box("charged-on-the-last-day", "2027-04-20", token="pm_card_visa")
    provider.box("declined-on-the-last-day", "2027-04-20", token="pm_card_visa_chargeDeclined")
    provider.box("too-late-to-charge", "2027-04-19", token="pm_card_visa")
    provider.box("notice-due", "2027-06-20", token="pm_card_visa")
    provider.box("suspended-before", "2027-03-10")
    _go_down(provider)
    before = contents(provider.export())

    refused = provider.run("2027-04-30")

    assert refused.code == 4
    assert "2027-03-20" in refused.err
    assert contents(provider.export()) == before

    assert provider.run("2027-04-30", "--accept-gap", "--by", "anna", "--why", "moved house").code == 0

    books = provider.books()
    assert books.life("alert-due") == ["2027-04-30 box.expiry_alert 7 (2 left)"]
    assert books.charges("charged-on-the-last-day") == ["slot 0 #1 succeeded 12.08"]
    assert books.life("charged-on-the-last-day") == ["2027-04-30 box.renewed until 2028-04-20, 12.08 by card"]
    assert books.charges("declined-on-the-last-day") == ["slot 0 #1 declined generic_decline 12.08"]
    assert books.life("declined-on-the-last-day") == [
        "2027-04-30 charge.declined generic_decline in slot 0, final",
        "2027-04-30 box.suspended unpaid",
    ]
    assert books.charges("too-late-to-charge") == []
    assert books.life("too-late-to-charge") == ["2027-04-30 box.suspended unpaid"]
    # 90 days before 20 June is 22 March, 37 days before is 14 May: only the first had come.
    assert books.life("notice-due") == ["2027-04-30 box.renewal_notice 90 (51 left)"]
    # Suspended on 20 March for 10 March; deletion on 9 June; of its warnings, 60 days before (10 April) had come.
    assert books.life("suspended-before") == [
        "2027-03-20 box.suspended unpaid",
        "2027-04-30 box.deletion_warning 60 (40 left) before 2027-06-09",
    ]


def test_after_120_days_a_box_is_suspended_and_keeps_thirty_days_before_it_goes(provider: Provider) -> None:
    provider.box("unpaid", "2027-04-10")
    provider.box("renewing", "2027-07-15", token="pm_card_visa")
    provider.box("notice-due", "2027-08-10", token="pm_card_visa")
    provider.box("suspended-before", "2027-03-10")
    _go_down(provider)

    assert provider.run("2027-07-19").code == 4
    assert provider.run("2027-07-19", "--accept-gap").code == 0

    books = provider.books()
    assert books.life("unpaid") == ["2027-07-19 box.suspended unpaid"]
    assert books.charges("renewing") == ["slot 0 #1 succeeded 12.08"]
    assert books.life("renewing") == ["2027-07-19 box.renewed until 2028-07-15, 12.08 by card"]
    assert books.life("notice-due") == ["2027-07-19 box.renewal_notice 37 (22 left)"]
    assert books.life("suspended-before") == ["2027-03-20 box.suspended unpaid", "2027-07-19 box.deleted"]

    provider.run_on("2027-07-20", "2027-07-30", "2027-08-09", "2027-08-11", "2027-08-17", "2027-08-18")

    # 91 days after 10 April have long passed; thirty after the suspension end on 18 August.
    assert provider.books().life("unpaid") == [
        "2027-07-19 box.suspended unpaid",
        "2027-08-11 box.deletion_warning 7 before 2027-08-18",
        "2027-08-18 box.deleted",
    ]


def test_replay_after_downtime_names_its_date_and_is_not_asked(embedded: Provider) -> None:
    embedded.box("unpaid", "2027-04-10")
    _go_down(embedded)
    embedded.at("2027-07-19T04:00:00Z")

    assert embedded.command("replay", "2027-07-19").code == 0

    assert embedded.books().life("unpaid") == ["2027-07-19 box.suspended unpaid"]


def test_replaying_every_missed_date_gives_what_running_every_date_would_have_given(
    embedded: Provider, another: Provider
) -> None:
    for provider in (embedded, another):
        provider.box("unpaid", "2027-03-31")
        provider.box("renewing", "2027-03-31", token="pm_card_visa", credit="5.00")
        provider.addon("gb1", "renewing", "2027-03-31")
        provider.box("declining", "2027-03-31", token="pm_card_visa_chargeDeclined")
        provider.box("suspended-before", "2026-12-31", status="suspended")
        _go_down(provider)

    embedded.run_daily("2027-03-21", "2027-04-01")
    another.at("2027-04-01T04:00:00Z")
    assert another.command("replay", "2027-03-21", "--until", "2027-04-01").code == 0

    books = embedded.books()
    assert books.files == another.books().files
    assert f"unpaid@{DOMAIN}" in {event["address"] for event in books.files["events.csv"]}


def _go_down(provider: Provider) -> None:
    provider.at(f"{LAST_RUN}T03:00:00Z")
    assert provider.bring_in().code == 0
    assert provider.run(LAST_RUN).code == 0
