"""The daemon through time: its own wake-up for a year, missed hours, false clocks, restored backups."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from freezegun.api import FrozenDateTimeFactory
from structlog.testing import capture_logs

from lifecycle_jobs import day
from lifecycle_jobs.daemon import Daemon
from lifecycle_jobs.data import data_folder
from lifecycle_jobs.db import session
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.report.pages import FOLDER
from lifecycle_jobs.settings import Settings, load_settings
from lifecycle_jobs.waking import day_trigger
from tests.daily import settings_for
from tests.scenarios.provider import Provider, contents, days


def settings_of(provider: Provider) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LIFECYCLE_")]:
            patch.delenv(name)
        for name, value in provider.environment.items():
            patch.setenv(name, value)
        return load_settings()


def started(provider: Provider) -> Daemon:
    """A daemon that was started just now; it does what it is told to do, and when."""
    settings = settings_of(provider)
    return Daemon(session.open_store(settings.database.url), settings)


def wake(daemon: Daemon) -> None:
    """Everything that its scheduler would wake, in the order of the list."""
    for duty in daemon.duties():
        daemon.do(duty.name)


def fires(settings: Settings, first: str, last: str) -> Iterator[datetime]:
    """Every moment at which its clock wakes it for the day, from one date to another."""
    trigger, before = day_trigger(settings), None
    now = datetime.fromisoformat(f"{first}T00:00:00Z")
    while True:
        before = trigger.get_next_fire_time(before, now)
        if before.date().isoformat() > last:
            return
        yield before
        now = before + timedelta(seconds=1)


def run_dates(provider: Provider) -> list[str]:
    found = provider.command("status", "--json", "--last", "1000").json()["runs"]
    return sorted(run["run_on"] for run in found if run["state"] == "completed")


@pytest.mark.soak
def test_a_year_of_days_through_its_own_wake_up_is_a_run_for_each_date_and_every_message_once(
    embedded: Provider, clock: FrozenDateTimeFactory
) -> None:
    embedded.box("renewing", "2027-03-31", token="pm_card_visa")
    embedded.box("declining", "2027-04-30", token="pm_card_visa_chargeDeclined")
    embedded.box("unpaid", "2027-02-28")
    assert embedded.bring_in().code == 0
    daemon = started(embedded)

    for moment in fires(daemon.settings, "2027-01-01", "2027-12-31"):
        clock.move_to(moment)
        wake(daemon)

    assert run_dates(embedded) == days("2027-01-01", "2027-12-31")
    books = embedded.books()
    assert books.life("renewing") == [
        "2027-02-22 box.renewal_notice 37",
        "2027-03-24 box.renewed until 2028-03-31, 12.08 by card",
    ]
    assert books.life("unpaid")[-5:] == [
        "2027-03-01 box.suspended unpaid",
        "2027-03-31 box.deletion_warning 60 before 2027-05-30",
        "2027-04-30 box.deletion_warning 30 before 2027-05-30",
        "2027-05-23 box.deletion_warning 7 before 2027-05-30",
        "2027-05-30 box.deleted",
    ]
    assert books.box("declining")["deleted_on"] == "2027-07-30"
    sent = Counter((row["customer_id"], row["kind"], row["created_on"]) for row in books.files["messages.csv"])
    assert set(sent.values()) == {1}
    assert {row["status"] for row in books.files["messages.csv"]} == {"sent"}
    assert len(contents(embedded.mail)) == len(sent)


@pytest.mark.parametrize(
    ("moment", "owed"),
    [
        ("2027-03-28T00:59:59Z", None),  # 01:59 in Rome; the next second is 03:00
        ("2027-03-28T01:00:00Z", "2027-03-28"),
        ("2027-10-31T00:30:00Z", None),  # 02:30 for the first time
        ("2027-10-31T01:30:00Z", None),  # 02:30 for the second time
        ("2027-10-31T02:00:00Z", "2027-10-31"),
        ("2027-06-30T22:30:00Z", None),  # half past midnight of 1 July
        ("2027-07-01T01:00:00Z", "2027-07-01"),
    ],
)
def test_a_day_is_owed_from_its_hour_on_also_where_the_clocks_change(
    embedded: Provider, clock: FrozenDateTimeFactory, moment: str, owed: str | None
) -> None:
    clock.move_to(moment)
    daemon = started(embedded)
    wake(daemon)

    assert run_dates(embedded) == ([] if owed is None else [owed])


def test_the_clock_wakes_it_once_on_the_day_with_25_hours_and_once_on_that_with_23(embedded: Provider) -> None:
    settings = settings_of(embedded)

    for first, last in (("2027-03-27", "2027-03-29"), ("2027-10-30", "2027-11-01")):
        found = list(fires(settings, first, last))
        assert [moment.date().isoformat() for moment in found] == days(first, last)
        assert {moment.astimezone(settings.zone).hour for moment in found} == {3}


def test_down_at_three_and_started_at_nine_it_does_the_day_once_and_started_twice_not_again(
    provider: Provider, clock: FrozenDateTimeFactory
) -> None:
    provider.box("renewing", "2027-03-31", token="pm_card_visa")
    assert provider.bring_in().code == 0
    clock.move_to("2027-03-23T02:00:00Z")
    wake(started(provider))

    clock.move_to("2027-03-24T08:00:00Z")
    for _ in range(2):
        wake(started(provider))

    assert run_dates(provider) == ["2027-03-23", "2027-03-24"]
    assert provider.books().charges("renewing") == ["slot 7 #1 succeeded 12.08"]
    assert len(provider.journal.read_text(encoding="utf-8").splitlines()) == 1


def test_after_days_of_downtime_one_run_as_of_today_catches_up(
    provider: Provider, clock: FrozenDateTimeFactory
) -> None:
    provider.box("unpaid", "2027-03-31")
    assert provider.bring_in().code == 0
    for moment in ("2027-03-20T02:00:00Z", "2027-03-26T02:00:00Z"):
        clock.move_to(moment)
        wake(started(provider))

    assert run_dates(provider) == ["2027-03-20", "2027-03-26"]
    assert provider.books().life("unpaid")[-1] == "2027-03-26 box.expiry_alert 7 (5 left)"


@pytest.mark.parametrize("wrong", ["2037-03-25T02:00:00Z", "2027-03-20T02:00:00Z", "2027-04-04T02:00:00Z"])
def test_a_clock_that_jumps_changes_nothing_and_says_so_until_it_is_right_or_confirmed(
    provider: Provider, clock: FrozenDateTimeFactory, wrong: str
) -> None:
    provider.box("renewing", "2027-04-10", token="pm_card_visa")
    provider.box("unpaid", "2027-03-31")
    assert provider.bring_in().code == 0
    clock.move_to("2027-03-24T02:00:00Z")
    daemon = started(provider)
    daemon.do("day")  # its messages still wait
    before = contents(provider.export())

    clock.move_to(wrong)
    with capture_logs() as said:
        wake(daemon)
        wake(daemon)

    assert [line["log_level"] for line in said if line["event"] == "gap_suspected"] == ["error"], "once an hour"
    assert contents(provider.export()) == before
    assert not provider.mail.exists()

    clock.move_to("2027-03-25T02:00:00Z")
    wake(daemon)
    assert run_dates(provider) == ["2027-03-24", "2027-03-25"]


def test_a_gap_that_a_person_has_confirmed_is_no_hindrance(provider: Provider, clock: FrozenDateTimeFactory) -> None:
    clock.move_to("2027-03-24T02:00:00Z")
    daemon = started(provider)
    wake(daemon)
    clock.move_to("2027-04-24T02:00:00Z")
    wake(daemon)
    assert run_dates(provider) == ["2027-03-24"]

    answer = provider.command("confirm-gap", "--by", "anna", "--why", "moved house")
    assert (answer.code, "2027-03-24" in answer.out) == (0, True)
    wake(daemon)

    assert run_dates(provider) == ["2027-03-24", "2027-04-24"]
    assert "No gap" in provider.command("confirm-gap").out


def test_a_backup_of_three_days_ago_charges_nobody_again(
    provider: Provider, clock: FrozenDateTimeFactory, tmp_path: Path
) -> None:
    provider.box("renewing", "2027-03-31", token="pm_card_visa")
    assert provider.bring_in().code == 0
    backup = f"sqlite:///{tmp_path / 'backup.db'}"
    for moment in fires(settings_of(provider), "2027-03-22", "2027-03-26"):
        clock.move_to(moment)
        wake(started(provider))
        if moment.day == 23:
            assert provider.command("db", "copy", "--to", backup).code == 0
    provider.environment["LIFECYCLE_DATABASE__URL"] = backup

    wake(started(provider))

    assert run_dates(provider) == ["2027-03-22", "2027-03-23", "2027-03-26"]
    assert provider.books().box("renewing")["expires_on"] == "2028-03-31"
    assert len(provider.journal.read_text(encoding="utf-8").splitlines()) == 1


def test_the_emergency_stop_keeps_every_duty_from_beginning(provider: Provider, clock: FrozenDateTimeFactory) -> None:
    provider.box("unpaid", "2027-03-31")
    assert provider.bring_in().code == 0
    clock.move_to("2027-03-24T02:00:00Z")
    assert provider.command("stop", "--why", "wrong price list").code == 0
    daemon = started(provider)

    wake(daemon)
    assert run_dates(provider) == []
    assert provider.command("run").code == 5
    assert provider.command("deliver").code == 5
    assert "wrong price list" in provider.command("status").err

    assert provider.command("resume").code == 0
    wake(daemon)
    assert run_dates(provider) == ["2027-03-24"]
    assert len(contents(provider.mail)) == 1


def test_a_duty_that_fails_is_logged_and_does_not_end_the_daemon(
    provider: Provider, clock: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.move_to("2027-03-24T02:00:00Z")
    daemon = started(provider)

    def fail(*_arguments: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch, capture_logs() as said:
        patch.setattr(day, "run_day", fail)
        daemon.do("day")
    assert [(line["event"], line["duty"]) for line in said] == [("duty_failed", "day")]

    daemon.do("day")
    assert run_dates(provider) == ["2027-03-24"]


def test_it_starts_with_the_operators_own_report_and_not_with_a_broken_one(sqlite_store: Store, tmp_path: Path) -> None:
    words = Path(FOLDER, "it", "words.txt")
    own = tmp_path / "own"
    (own / words).parent.mkdir(parents=True)
    (own / words).write_bytes((data_folder("templates") / words).read_bytes())
    settings = settings_for(tmp_path, templates={"directory": own}, monitoring={"listen": ""})

    def start() -> None:
        daemon = Daemon(sqlite_store, settings)
        daemon.stop()
        daemon.serve()

    with capture_logs() as said:
        start()
    assert [line["event"] for line in said] == ["daemon_started", "daemon_stopped"]

    (own / words).with_name("subject.txt").write_text("{{ holder.name }}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot use holder"):
        start()
