"""A provider of the fixture `lifecycle` is one by itself: nothing of the real one gets in, and nothing out."""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import structlog

from lifecycle_jobs import clock
from lifecycle_jobs.cli import main
from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.testing import Provider
from lifecycle_jobs.testing.installation import FIRST_DAY, Database, Wanted, installed

REAL = """
[gateway]
kind = "stripe"
[mail]
transport = "smtp"
host = "relay.example.it"
username = "lifecycle"
redirect_to = "test@example.it"
dkim_domain = "example.it"
dkim_selector = "one"
[webhooks]
url = "https://platform.example.it/hook"
[monitoring]
listen = "127.0.0.1:9464"
heartbeat_url = "https://hc.example.it/1"
[policy]
suspended_days = 120
[plans.gold]
name = "Gold"
annual_price = "99.00"
inbox_gb = 5
archive_gb = 5
max_extra_inbox_gb = 1
max_extra_archive_gb = 1
longest_term_years = 2
auto_renewable = true
"""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    (tmp_path / "session").mkdir()
    return Database(tmp_path / "session")


def test_a_configuration_that_charges_and_writes_is_tried_without_doing_either(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "production.toml"
    config.write_text(REAL)
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", "postgresql://db.example.it/lifecycle")
    monkeypatch.setenv("LIFECYCLE_GATEWAY__API_KEY", "sk_live_0123456789")
    wanted = Wanted(config=config, sections={"policy": {"alert_milestones": [20]}})

    with installed(tmp_path / "provider", database, wanted, monkeypatch) as provider:
        settings = provider.settings
        assert (settings.gateway.kind, settings.mail.transport, settings.mail.redirect_to) == ("sandbox", "files", "")
        assert (settings.webhooks.url, settings.monitoring.listen) == ("", "")
        assert settings.database.url == database.url
        assert "LIFECYCLE_GATEWAY__API_KEY" not in os.environ
        # What is left of it is what is to be tried.
        assert (settings.policy.suspended_days, settings.policy.alert_milestones) == (120, (20,))
        box = provider.box(expires_on="2027-01-08", card="pm_card_visa", plan="gold")
        provider.travel_to("2027-01-01")
        assert box.expires_on == date(2028, 1, 8)


def test_each_provider_finds_an_empty_database_and_leaves_its_own_behind(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        with installed(tmp_path / name, database, Wanted(), monkeypatch) as provider:
            box = provider.box(expires_on="2027-01-08")
            provider.travel_to("2027-01-01")
            assert (box.id, len(provider.sent)) == (1, 1)

    left = open_store(f"sqlite:///{tmp_path / 'one' / 'lifecycle.db'}")
    with left.read() as connection:
        assert connection.exec_driver_sql("SELECT address FROM boxes").scalars().all() == ["box-1@pec.example.it"]
    left.engine.dispose()


def test_time_goes_on_afterwards_and_the_tests_own_log_is_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    structlog.configure(processors=[])
    before = clock.now()

    with installed(tmp_path / "provider", database, Wanted(), monkeypatch) as provider:
        assert provider.today == FIRST_DAY
        assert clock.now() == clock.now()
        assert structlog.get_config()["processors"] != []

    assert clock.now() > before
    assert structlog.get_config()["processors"] == []


@pytest.mark.lifecycle(today="2027-03-01")
def test_a_command_that_is_typed_works_on_the_same_provider(
    lifecycle: Provider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box = lifecycle.box(expires_on="2027-03-31", card="pm_card_visa")
    monkeypatch.setattr(sys, "argv", ["lifecycle-jobs", "customer", "show", box.customer_id, "--json"])

    with pytest.raises(SystemExit) as end:
        main()

    assert end.value.code in {0, None}
    assert [row["address"] for row in json.loads(capsys.readouterr().out)["boxes"]] == [box.address]


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ({"gateway": {"kind": "stripe"}}, "sets these itself; leave them out: gateway.kind"),
        ({"database": {"url": "postgresql://h/d"}}, "sets these itself; leave them out: database.url"),
        ({"policy": {"alert_milestone": [30]}}, "did you mean LIFECYCLE_POLICY__ALERT_MILESTONES"),
        ({"policy": {"alert_milestones": [1, 30]}}, r"policy\.alert_milestones"),
        ({"polcy": {"suspended_days": 3}}, "no setting has the name LIFECYCLE_POLCY__SUSPENDED_DAYS"),
        ({"suspended_days": 3}, r"suspended_days: is a section; write suspended_days=\{\.\.\.\}"),
    ],
)
def test_settings_that_the_program_would_not_start_with_are_refused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any], complaint: str
) -> None:
    with (
        pytest.raises(ConfigurationError, match=complaint),
        installed(tmp_path / "provider", database, Wanted(sections=wanted), monkeypatch),
    ):
        pass


def test_a_first_day_that_is_none_is_refused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(ConfigurationError, match="today: '31/03/2027' is not a date"),
        installed(tmp_path / "provider", database, Wanted(today="31/03/2027"), monkeypatch),
    ):
        pass
