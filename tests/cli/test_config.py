"""`config check` and `config show` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Type

WEBHOOK_SECRET = "whsec_" + "aGlkZGVu" * 4


def test_the_embedded_setup_works_and_is_warned_of(lifecycle: Type) -> None:
    shown = lifecycle("config", "check")

    assert shown.code == 0
    assert "wrong" not in shown.out
    for name in ("settings", "templates", "clock", "database", "mail", "gateway", "webhooks", "monitoring", "report"):
        assert f" {name}" in shown.out
    assert "Set report.to to the staff's address." in shown.out


def test_whatever_is_wrong_makes_the_exit_code_2(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "taken").touch()
    monkeypatch.setenv("LIFECYCLE_MAIL__DIRECTORY", str(tmp_path / "taken" / "mail"))

    shown = lifecycle("config", "check", "--json")

    assert shown.code == 2
    assert [check["name"] for check in json.loads(shown.out) if check["verdict"] == "wrong"] == ["mail"]


def test_settings_that_cannot_be_used_are_a_check_like_the_others(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_MAIL__PROT", "25")

    shown = lifecycle("config", "check", "--json")

    assert shown.code == 2
    (check,) = json.loads(shown.out)
    assert "LIFECYCLE_MAIL__PORT" in check["found"]


def test_files_are_named_in_the_order_in_which_they_win(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text("[business]\nmax_catch_up_days = 3\n", encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    monkeypatch.setenv("LIFECYCLE_SECRETS_DIR", str(tmp_path / "secrets"))

    shown = lifecycle("config", "check", "--config", str(tmp_path / "mine.toml"))

    assert f"the defaults, then {tmp_path}/mine.toml, {tmp_path}/secrets, the environment" in shown.out


def test_every_value_is_shown_with_where_it_comes_from_and_no_secret_is(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[policy]\ndeletion_milestones = [40, 10]\n[plans.pro.policy]\noutage_grace_days = 5\n", "utf-8")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "LIFECYCLE_GATEWAY__API_KEY").write_text("sk_test_hidden", "utf-8")
    monkeypatch.setenv("LIFECYCLE_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("LIFECYCLE_PLANS__PRO__ANNUAL_PRICE", "26.50")
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", "postgresql+psycopg://u:hidden@db.example.it/lifecycle")

    shown = lifecycle("config", "show", "--json", "--config", str(file))

    values = {value["key"]: (value["value"], value["origin"]) for value in json.loads(shown.out)}
    assert values["policy.deletion_milestones"] == ([40, 10], str(file))
    assert values["plans.pro.policy.outage_grace_days"] == (5, str(file))
    assert values["plans.pro.annual_price"] == ("26.50", "environment variable LIFECYCLE_PLANS__PRO__ANNUAL_PRICE")
    assert values["plans.standard.annual_price"] == ("9.90", "default")
    assert values["gateway.api_key"] == ("(hidden)", str(secrets / "LIFECYCLE_GATEWAY__API_KEY"))
    assert values["mail.password"] == ("", "default")
    assert values["business.vat_percent"] == ("22", "default")
    assert values["database.url"][0] == "postgresql+psycopg://u:***@db.example.it/lifecycle"
    assert "hidden@" not in shown.out
    assert "plans.pro.policy.suspended_days" not in values


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql://u@db/lifecycle?user=u&password=hunter2&sslpassword=hunter2",
            "postgresql://u@db/lifecycle?password=***&sslpassword=***&user=u",
        ),
        ("postgresql://db/lifecycle?password=hunter2&password=hunter2", "postgresql://db/lifecycle?password=***"),
        ("postgresql://u:pass@hunter2:word@db/lifecycle", "(hidden)"),
        ("postgresql://u:pass@hunter2@db/lifecycle", "(hidden)"),
        ("postgresql://u:hunter2@db:54x32/lifecycle", "(hidden)"),
    ],
)
def test_no_part_of_the_database_password_is_shown_wherever_it_stands(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch, url: str, shown: str
) -> None:
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", url)

    found = lifecycle("config", "show", "--json")

    assert {value["key"]: value["value"] for value in json.loads(found.out)}["database.url"] == shown
    assert "hunter2" not in found.out + found.err


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:pass@hunter2:word@db/lifecycle",
        "postgresql://u:pass@hunter2@db/lifecycle",
        "postgresql://u:hunter2@db:54x32/lifecycle",
    ],
)
@pytest.mark.parametrize("command", [("status",), ("config", "check")])
def test_a_database_url_that_cannot_be_read_is_named_and_not_quoted(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], url: str
) -> None:
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", url)

    shown = lifecycle(*command)

    assert shown.code == 2
    assert "database.url: not a database URL" in shown.out + shown.err
    assert "hunter2" not in shown.out + shown.err


def test_of_addresses_that_are_secrets_themselves_only_scheme_and_host_are_shown(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_MONITORING__HEARTBEAT_URL", "https://ping.example.it/3f2b-hidden?a=hidden")
    monkeypatch.setenv("LIFECYCLE_WEBHOOKS__URL", "https://hidden:hidden@platform.example.it:8443/hidden")
    monkeypatch.setenv("LIFECYCLE_WEBHOOKS__SECRET", WEBHOOK_SECRET)

    shown = lifecycle("config", "show", "--json")

    values = {value["key"]: value["value"] for value in json.loads(shown.out)}
    assert values["monitoring.heartbeat_url"] == "https://ping.example.it"
    assert values["webhooks.url"] == "https://platform.example.it"
    assert "hidden" not in shown.out.replace("(hidden)", "")


@pytest.mark.parametrize("url", ["https://platform.example.it:99999/x", "https://a..b/x"])
@pytest.mark.parametrize("key", ["LIFECYCLE_WEBHOOKS__URL", "LIFECYCLE_MONITORING__HEARTBEAT_URL"])
def test_an_address_that_leads_nowhere_is_said_to_be_wrong(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch, key: str, url: str
) -> None:
    monkeypatch.setenv("LIFECYCLE_WEBHOOKS__SECRET", WEBHOOK_SECRET)
    monkeypatch.setenv(key, url)

    shown = lifecycle("config", "check", "--json")

    assert shown.code == 2
    (wrong,) = (check for check in json.loads(shown.out) if check["verdict"] == "wrong")
    assert "web address" in wrong["found"] or wrong["found"].startswith("a..b:443: ")
