"""What an operator can set, where it may come from, and everything that is refused."""

from __future__ import annotations

import base64
import os
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from lifecycle_jobs import data
from lifecycle_jobs.data import data_folder
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.policy import Policy
from lifecycle_jobs.settings import load_settings
from lifecycle_jobs.settings.model import Settings

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("LIFECYCLE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def chosen(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "chosen.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv("LIFECYCLE_SECRETS_DIR", str(folder))
    return folder


def refusal(config: Path | None = None) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load_settings(config)
    return str(refused.value)


# What ships


def test_the_embedded_setup_is_the_specified_one() -> None:
    settings = load_settings()

    assert settings.zone == ZoneInfo("Europe/Rome")
    assert settings.policy.policy() == Policy()
    assert (settings.gateway.kind, settings.mail.transport) == ("sandbox", "files")
    assert (settings.deletion.max_percent, settings.deletion.always_allowed) == (5, 100)
    assert settings.deletion.require_delivered_warning is False
    assert settings.templates.directory is None


def test_the_shipped_catalogue_is_the_specified_one() -> None:
    catalog = load_settings().catalog()

    assert (catalog.vat_percent, catalog.extra_gb_cents) == (Decimal(22), 250)
    assert {
        plan.code: (plan.annual_price_cents, plan.inbox_gb, plan.archive_gb, plan.auto_renewable)
        for plan in catalog.plans.values()
    } == {
        "standard": (990, 1, 0, True),
        "pro": (2500, 2, 3, True),
        "premium": (4000, 2, 8, True),
        "domain": (0, 1, 0, False),
    }
    standard, domain = catalog.plans["standard"], catalog.plans["domain"]
    assert (standard.max_extra_inbox_gb, standard.max_extra_archive_gb) == (1, 0)
    assert (domain.max_extra_inbox_gb, domain.max_extra_archive_gb) == (0, 0)
    assert all(plan.policy == Policy() for plan in catalog.plans.values())


def test_the_shipped_file_names_every_key_and_no_model_has_a_default_of_its_own() -> None:
    table = tomllib.loads((data_folder("config") / "lifecycle.toml").read_text(encoding="utf-8"))

    for name, field in Settings.model_fields.items():
        assert field.is_required(), name
        if name != "plans":
            keys = getattr(field.annotation, "model_fields")  # noqa: B009 -- mypy sees only a type
            assert set(table[name]) == set(keys), name
            assert all(key.is_required() for key in keys.values()), name


def test_the_production_file_charges_real_money_and_starts_only_with_the_key_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = data_folder("config") / "production.toml"
    with pytest.raises(ConfigurationError, match="LIFECYCLE_GATEWAY__API_KEY"):
        load_settings(path)

    monkeypatch.setenv("LIFECYCLE_GATEWAY__API_KEY", "sk_live_0123456789")
    settings = load_settings(path)

    assert settings.database.url.startswith("postgresql+psycopg://")
    assert (settings.mail.transport, settings.mail.tls) == ("smtp", "starttls")
    assert settings.deletion.require_delivered_warning is True
    assert (settings.watching.stop_suspensions, settings.watching.stop_deletions) == (True, True)
    assert settings.log.format == "json"
    assert (settings.gateway.kind, settings.gateway.api_base) == ("stripe", "https://api.stripe.com")


def test_an_installed_package_finds_its_data_inside_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package" / "_data" / "config").mkdir(parents=True)
    monkeypatch.setattr(data, "_PACKAGE", tmp_path / "package")

    assert data_folder("config") == tmp_path / "package" / "_data" / "config"
    assert data_folder("templates") == tmp_path / "templates"


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = load_settings()

    with pytest.raises(ValidationError):
        settings.lease.seconds = 5  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.lease = settings.lease  # type: ignore[misc]


def test_the_catalogue_is_made_once() -> None:
    settings = load_settings()

    assert settings.catalog() is settings.catalog()


# Layers


def test_a_chosen_file_changes_only_what_it_names(chosen: Write) -> None:
    settings = load_settings(chosen('[mail]\nport = 2525\n[plans.pro]\nannual_price = "26.00"\n'))

    assert (settings.mail.port, settings.mail.host) == (2525, "localhost")
    assert settings.plans["pro"].annual_price == 2600
    assert settings.plans["pro"].inbox_gb == 2
    assert settings.plans["standard"].annual_price == 990


def test_the_chosen_file_can_be_named_by_the_environment(chosen: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_CONFIG", str(chosen("[lease]\nseconds = 7\n")))

    assert load_settings().lease.seconds == 7


def test_the_argument_wins_over_the_environment_in_naming_the_file(
    chosen: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_CONFIG", "nowhere.toml")

    assert load_settings(chosen("[lease]\nseconds = 8\n")).lease.seconds == 8


def test_secrets_win_over_files_and_the_environment_wins_over_secrets(
    chosen: Write, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = chosen('[mail]\nhost = "file"\nport = 1\nmessage_id_domain = "file"\n')
    (secrets / "LIFECYCLE_MAIL__HOST").write_text("secret\n")
    (secrets / "LIFECYCLE_MAIL__PORT").write_text("2\n")
    monkeypatch.setenv("LIFECYCLE_MAIL__HOST", "environment")

    mail = load_settings(config).mail

    assert (mail.host, mail.port, mail.message_id_domain) == ("environment", 2, "file")


def test_the_environment_reaches_lists_plans_and_the_policy_of_a_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIFECYCLE_POLICY__ALERT_MILESTONES", "[60, 30]")
    monkeypatch.setenv("LIFECYCLE_PLANS__STANDARD__ANNUAL_PRICE", "10.50")
    monkeypatch.setenv("LIFECYCLE_PLANS__DOMAIN__POLICY__OUTAGE_GRACE_DAYS", "5")
    monkeypatch.setenv("LIFECYCLE_PLANS__DOMAIN__POLICY__CHARGE_SLOTS", "[3, 0]")
    monkeypatch.setenv("LIFECYCLE_DELETION__REQUIRE_DELIVERED_WARNING", "true")

    settings = load_settings()
    plans = settings.catalog().plans

    assert settings.deletion.require_delivered_warning is True
    assert plans["standard"].annual_price_cents == 1050
    assert plans["standard"].policy == Policy(alert_milestones=(60, 30))
    assert plans["domain"].policy == Policy(alert_milestones=(60, 30), outage_grace_days=5, charge_slots=(3, 0))


def test_a_plan_may_come_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    values = load_settings().plans["standard"].model_dump(exclude={"policy"})
    for key, value in (values | {"annual_price": "1.00"}).items():
        monkeypatch.setenv(f"LIFECYCLE_PLANS__GOLD__{key.upper()}", str(value))

    assert load_settings().catalog().plans["gold"].annual_price_cents == 100


def test_a_secret_is_not_shown(secrets: Path, chosen: Write) -> None:
    (secrets / "LIFECYCLE_MAIL__PASSWORD").write_text("hunter2\n")

    settings = load_settings(chosen('[mail]\nusername = "me"\n'))

    assert settings.mail.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("written", "cents"), [('"9.90"', 990), ("9.90", 990), ("9", 900), ('"0"', 0), ("19.99", 1999)]
)
def test_a_price_is_kept_in_whole_cents(chosen: Write, written: str, cents: int) -> None:
    settings = load_settings(chosen(f"[plans.standard]\nannual_price = {written}\n"))

    assert settings.catalog().plans["standard"].annual_price_cents == cents


def test_vat_may_have_decimals_and_is_exact(chosen: Write) -> None:
    assert load_settings(chosen("[business]\nvat_percent = 22.1\n")).business.vat_percent == Decimal("22.1")


# Refusals: where the values come from


def test_every_problem_is_listed_with_the_place_it_comes_from(
    chosen: Write, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = chosen('[mail]\nport = "many"\ncolour = 1\n[lease]\nseconds = 1\n[paint]\n')
    (secrets / "LIFECYCLE_LOG__LEVEL").write_text("loud")
    monkeypatch.setenv("LIFECYCLE_GATEWAY__KIND", "piggybank")
    monkeypatch.setenv("LIFECYCLE_MIAL__HOST", "x")

    assert refusal(config).splitlines() == [
        "The configuration cannot be used:",
        "  gateway.kind: there is no gateway piggybank: sandbox, stripe (environment variable LIFECYCLE_GATEWAY__KIND)",
        f"  lease.seconds: must be greater than or equal to 5 ({config})",
        f"  log.level: must be 'debug', 'info', 'warning' or 'error' ({secrets / 'LIFECYCLE_LOG__LEVEL'})",
        f"  mail.colour: unknown key ({config})",
        f"  mail.port: must be a whole number ({config})",
        (
            "  mial.host: no setting has the name LIFECYCLE_MIAL__HOST; did you mean LIFECYCLE_MAIL__HOST? "
            "(environment variable LIFECYCLE_MIAL__HOST)"
        ),
        f"  paint: unknown section ({config})",
    ]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("LIFECYCLE_MAIL__PASWORD", "LIFECYCLE_MAIL__PASSWORD"),
        ("LIFECYCLE_MAIL_PASSWORD", "LIFECYCLE_MAIL__PASSWORD"),
        ("LIFECYCLE_CONFG", "LIFECYCLE_CONFIG"),
        ("lifecycle_mail__host", "LIFECYCLE_MAIL__HOST"),
        ("LIFECYCLE_PLANS__PRO__PRICE", "LIFECYCLE_PLANS__PRO__"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "1")

    message = refusal()

    assert f"no setting has the name {name}; did you mean {nearest}" in message
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIFECYCLE_MAIL", '{"host": "x"}'),
        ("LIFECYCLE_PLANS", "{}"),
        ("LIFECYCLE_PLANS__PRO", "{}"),
        ("LIFECYCLE_PLANS__PRO__POLICY", "{}"),
        ("LIFECYCLE_", "x"),
    ],
)
def test_a_whole_table_in_one_variable_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    assert f"no setting has the name {name}" in refusal()


def test_a_misspelt_plan_in_the_environment_is_an_incomplete_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_PLANS__PREMUIM__INBOX_GB", "1")

    assert (
        "plans.premuim.annual_price: is missing (environment variable LIFECYCLE_PLANS__PREMUIM__INBOX_GB)" in refusal()
    )


def test_a_misspelt_secret_is_refused(secrets: Path) -> None:
    (secrets / "LIFECYCLE_MAIL__PASWORD").write_text("x")

    message = refusal()

    assert "did you mean LIFECYCLE_MAIL__PASSWORD?" in message
    assert str(secrets / "LIFECYCLE_MAIL__PASWORD") in message


def test_other_files_in_the_secrets_folder_are_none_of_our_business(secrets: Path) -> None:
    (secrets / "postgres_password").write_text("x")
    (secrets / "..data").mkdir()

    assert load_settings().mail.password.get_secret_value() == ""


def test_a_secret_that_would_not_be_read_is_refused(secrets: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("x")
    (secrets / "LIFECYCLE_MAIL__PASSWORD").symlink_to(tmp_path / "elsewhere")

    assert "mail.password: is not a file inside the secrets folder" in refusal()


def test_a_secret_that_is_no_text_is_refused(secrets: Path) -> None:
    (secrets / "LIFECYCLE_MAIL__PASSWORD").write_bytes(b"\xff\xfe")

    assert "LIFECYCLE_SECRETS_DIR: cannot be read" in refusal()


def test_a_missing_secrets_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIFECYCLE_SECRETS_DIR", str(tmp_path / "nowhere"))

    assert f"LIFECYCLE_SECRETS_DIR: there is no folder {tmp_path / 'nowhere'}" in refusal()


def test_a_missing_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing.toml"

    assert f"{missing}: there is no such file" in refusal(missing)

    monkeypatch.setenv("LIFECYCLE_CONFIG", str(missing))
    assert f"{missing}: there is no such file (environment variable LIFECYCLE_CONFIG)" in refusal()


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    assert f"{tmp_path}: cannot be read: Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["LIFECYCLE_CONFIG", "LIFECYCLE_SECRETS_DIR"])
def test_an_empty_name_of_a_file_or_folder_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")

    assert f"{name}: is empty" in refusal()


def test_a_broken_file_is_refused_with_the_line(chosen: Write) -> None:
    message = refusal(chosen("[mail]\nport = \n"))

    assert "is not valid TOML" in message
    assert "line 2" in message


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes('[provider]\nname = "Caffè"\n'.encode("latin-1"))

    assert "is not UTF-8 text" in refusal(path)


def test_a_key_of_the_settings_library_is_an_unknown_section(chosen: Write, tmp_path: Path) -> None:
    assert "_secrets_dir: unknown section" in refusal(chosen(f'_secrets_dir = "{tmp_path}"\n'))


def test_a_password_in_a_file_is_refused_even_if_the_environment_overrides_it(
    chosen: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_MAIL__PASSWORD", "right")
    config = chosen('[mail]\nusername = "me"\ntls = "tls"\npassword = "hunter2"\n')

    message = refusal(config)

    assert "mail.password: a secret may not stand in a file" in message
    assert "LIFECYCLE_MAIL__PASSWORD" in message
    assert f"({config})" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:hunter2@db/lifecycle",
        "postgresql+psycopg://me:hunter2/#@db/lifecycle",
        "postgresql+psycopg://me@db/lifecycle?password=hunter2",
        "postgresql+psycopg://me@db/lifecycle?sslmode=verify-full&sslpassword=hunter2",
    ],
)
def test_a_database_password_is_refused_in_a_file_and_accepted_from_the_environment(
    chosen: Write, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    message = refusal(chosen(f'[database]\nurl = "{url}"\n'))

    assert "database.url: an address with a password may not stand in a file" in message
    assert "hunter2" not in message

    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", url)
    assert load_settings().database.url == url


# Refusals: the values themselves


@pytest.mark.parametrize(
    ("section", "line", "problem"),
    [
        ("provider", 'name = ""', "provider.name: must not be empty"),
        ("provider", r'legal_line = "a\nb"', "provider.legal_line: must be one line"),
        ("provider", 'website = "www.example.it"', "provider.website: must be a web address"),
        ("provider", 'support_email = "nobody"', "provider.support_email: must be an e-mail address"),
        ("business", 'zone = "Europe/Roma"', "business.zone: is not a time zone"),
        ("business", 'zone = "Europe"', "business.zone: is not a time zone"),
        ("business", 'zone = "../etc/passwd"', "business.zone: is not a time zone"),
        ("business", 'zone = ""', "business.zone: is not a time zone"),
        ("business", "vat_percent = -1", "business.vat_percent: must be greater than or equal to 0"),
        ("business", "vat_percent = nan", "business.vat_percent: must be a finite number"),
        ("business", "max_catch_up_days = 0", "business.max_catch_up_days: must be"),
        ("business", "max_catch_up_days = true", "business.max_catch_up_days: must be a number"),
        ("database", 'url = "mysql://x/y"', "database.url: must begin with sqlite://"),
        ("database", 'url = "lifecycle.db"', "database.url: must begin with sqlite://"),
        ("database", "chunk_size = 0", "database.chunk_size: must be"),
        ("deletion", "max_percent = 101", "deletion.max_percent: must be"),
        ("deletion", "max_percent = 5.5", "deletion.max_percent: must be a whole number"),
        ("deletion", "delivered_warning_days = 0", "deletion.delivered_warning_days: must be"),
        ("deletion", 'require_delivered_warning = "perhaps"', "must be true or false"),
        ("gateway", 'kind = "piggybank"', "gateway.kind: there is no gateway piggybank: sandbox, stripe"),
        ("gateway", 'key_prefix = ""', "gateway.key_prefix: must be"),
        ("gateway", "resend_within = 24", "gateway.resend_within: must be less than 24"),
        ("gateway", "outage_limit = 0", "gateway.outage_limit: must be"),
        ("gateway", "max_amount = 0", "gateway.max_amount: must be more than zero"),
        ("gateway", "concurrency = 257", "gateway.concurrency: must be less than or equal to 256"),
        ("gateway", "requests_per_second = 0", "gateway.requests_per_second: must be"),
        ("gateway", "back_off = [0]", "gateway.back_off: "),
        ("gateway", "read_timeout = 25", "gateway.read_timeout: must be less than 25"),
        ("gateway", "connect_timeout = 0", "gateway.connect_timeout: must be"),
        ("watching", "factor = 1.4", "watching.factor: must be 1.5 to 1000"),
        ("watching", "factor = 1001", "watching.factor: must be 1.5 to 1000"),
        ("watching", "factor = true", "watching.factor: must be a number"),
        ("watching", "factor = nan", "watching.factor: must be"),
        ("watching", "least = 0", "watching.least: must be"),
        ("watching", "moved_percent = 101", "watching.moved_percent: must be"),
        ("watching", 'stop_deletions = "maybe"', "watching.stop_deletions: must be"),
        ("watching", "stop = true", "watching.stop: unknown key"),
        ("sandbox", 'journal = ""', "sandbox.journal: must name a file"),
        ("mail", 'transport = "pigeon"', "mail.transport: must be 'files' or 'smtp'"),
        ("mail", 'directory = ""', "mail.directory: must name a folder"),
        ("mail", "port = 0", "mail.port: must be"),
        ("mail", "port = 65536", "mail.port: must be"),
        ("mail", "timeout = 0", "mail.timeout: must be"),
        ("mail", 'sender = "a@b, c@d"', "mail.sender: must be an e-mail address"),
        ("mail", r'sender_name = "A\r\nBcc: x@example.it"', "mail.sender_name: must be one line"),
        ("mail", 'reply_to = "nobody"', "mail.reply_to: must be an e-mail address"),
        ("mail", 'message_id_domain = "a b"', "mail.message_id_domain: must be a domain name"),
        ("mail", "retry_after = []", "mail.retry_after: must be a list of at least one number"),
        ("mail", "retry_after = [1, 0]", "mail.retry_after: must be a list of at least one number"),
        ("mail", "retry_after = 5", "mail.retry_after: must be a list"),
        ("mail", "retry_after = [1, 1441]", "mail.retry_after: must be a list of at least one number, each 1 to 1440"),
        ("mail", "give_up_after = 0", "mail.give_up_after: must be"),
        ("links", 'renew = "https://x/{box}"', "links.renew: has the unknown placeholder {box}"),
        ("links", 'renew = "https://x/{address.x}"', "links.renew: has the unknown placeholder"),
        ("links", 'renew = "https://x/{address!r}"', "links.renew: has the unknown placeholder"),
        ("links", 'renew = "https://x/{address"', "links.renew: must be a web address, with every brace"),
        ("links", 'renew = "https://x:99999/"', "links.renew: must be a web address, with every brace"),
        ("monitoring", 'heartbeat_url = "https://x:port/"', "monitoring.heartbeat_url: must be a web address"),
        ("webhooks", 'url = "https://x:99999/"', "webhooks.url: must be a web address"),
        ("links", 'credit = "javascript:alert(1)"', "links.credit: must be a web address"),
        ("links", 'account = ""', "links.account: must not be empty"),
        ("templates", 'directory = "/no/such/folder"', "templates.directory: there is no folder"),
        ("monitoring", 'listen = "9464"', "monitoring.listen: must be HOST:PORT"),
        ("monitoring", 'listen = "localhost:0"', "monitoring.listen: must be HOST:PORT"),
        ("monitoring", 'listen = "localhost:65536"', "monitoring.listen: must be HOST:PORT"),
        ("console", 'listen = "8470"', "console.listen: must be HOST:PORT"),
        ("console", 'listen = "127.0.0.1:8470"', "console.listen: needs console.accounts"),
        ("console", 'listen = "0.0.0.0:8470"', "console.listen: needs console.public_url"),
        ("console", 'public_url = "http://console.example.it"', "console.public_url: must begin with https://"),
        ("console", 'public_url = "https://example.it/console"', "console.public_url: must have no path"),
        ("console", 'secret = "x"', "console.secret: a secret may not stand in a file"),
        ("console", 'trusted_header = "X Remote"', "console.trusted_header: must be the name of a header"),
        ("console", 'trusted_header = "X-User"\ntrusted_proxies = []', "console.trusted_proxies: must name the proxy"),
        ("console", 'trusted_proxies = ["proxy"]', "console.trusted_proxies: proxy is no IP address"),
        ("console", "trusted_proxies = 1", "console.trusted_proxies: must be a list"),
        ("console.accounts.anna", 'role = "boss"', "console.accounts.anna.role: must be"),
        ("console.accounts.anna", 'password = "x"', "console.accounts.anna.role: is missing"),
        (
            "console.accounts.anna",
            'role = "viewer"\npassword = "hunter2"',
            "console.accounts.anna.password: must be an argon2 hash",
        ),
        ('console.accounts."a b"', 'role = "viewer"', "console.accounts.a b: is no name"),
        ("lease", "seconds = 4", "lease.seconds: must be greater than or equal to 5"),
        ("log", 'level = "loud"', "log.level: must be"),
        ("log", 'format = "xml"', "log.format: must be"),
        ("plans.pro", "annual_price = 9.999", "plans.pro.annual_price: must be an amount in euros"),
        ("plans.pro", 'annual_price = "9,90"', "plans.pro.annual_price: must be an amount in euros"),
        ("plans.pro", "annual_price = -1", "plans.pro.annual_price: must be an amount in euros"),
        ("plans.pro", "annual_price = inf", "plans.pro.annual_price: must be an amount in euros"),
        ("plans.pro", "annual_price = true", "plans.pro.annual_price: must be a number"),
        ("plans.pro", "inbox_gb = 0", "plans.pro.inbox_gb: must be"),
        ("plans.pro", "archive_gb = -1", "plans.pro.archive_gb: must be"),
        ("plans.pro", "longest_term_years = 6", "plans.pro.longest_term_years: must be"),
        ("plans.pro", "longest_term_years = 0", "plans.pro.longest_term_years: must be"),
        ("plans.pro", "colour = 1", "plans.pro.colour: unknown key"),
        ("plans.pro", "policy = 1", "plans.pro.policy: must be a table"),
        ("plans.pro.policy", "colour = 1", "plans.pro.policy.colour: unknown key"),
        ("plans.gold", 'name = "Gold"', "plans.gold.inbox_gb: is missing"),
    ],
)
def test_a_wrong_value_is_refused(chosen: Write, section: str, line: str, problem: str) -> None:
    config = chosen(f"[{section}]\n{line}\n")
    message = refusal(config)

    assert problem in message
    assert f"({config})" in message


WRONG_POLICIES: list[tuple[str, str]] = [
    ("alert_milestones = []", "alert_milestones: must not be empty"),
    ("notice_milestones = []", "notice_milestones: must not be empty"),
    ("charge_slots = []", "charge_slots: must not be empty"),
    ("deletion_milestones = []", "deletion_milestones: must not be empty"),
    ("alert_milestones = [1, 7]", "alert_milestones: must be strictly descending"),
    ("alert_milestones = [7, 7]", "alert_milestones: must be strictly descending"),
    ("alert_milestones = [7, 0]", "alert_milestones: every value must be 1 to"),
    ("alert_milestones = [99999, 7]", "alert_milestones: every value must be 1 to"),
    ("alert_milestones = [7, 1.5]", "alert_milestones[1]: must be a whole number"),
    ("alert_milestones = [true]", "alert_milestones[0]: must be a number"),
    ('alert_milestones = "90, 60"', "alert_milestones: must be a list of whole numbers"),
    ("charge_slots = [1, -1]", "charge_slots: every value must be 0 to"),
    ("charge_slots = [8, 0]", "notice_milestones: the last notice, 37 days before expiry, lies less than 30"),
    ("notice_milestones = [90, 36]", "notice_milestones: the last notice, 36 days before expiry"),
    ("outage_grace_days = 11", "late_charge_days: 10 is less than outage_grace_days = 11"),
    ("outage_grace_days = -1", "outage_grace_days: must be 0 to"),
    ("suspended_days = 0", "suspended_days: must be 1 to"),
    ("suspended_days = 99999", "suspended_days: must be 1 to"),
    ("minimum_suspension_days = 0", "minimum_suspension_days: must be 1 to"),
    ("suspended_days = 59", "deletion_milestones: 60 lies before the suspension"),
]


@pytest.mark.parametrize(("line", "problem"), WRONG_POLICIES)
def test_a_policy_that_skips_a_step_or_breaks_the_law_is_refused(chosen: Write, line: str, problem: str) -> None:
    assert f"policy.{problem}" in refusal(chosen(f"[policy]\n{line}\n"))


@pytest.mark.parametrize(("line", "problem"), WRONG_POLICIES)
def test_the_policy_of_a_plan_is_judged_with_the_rest_of_the_policy(chosen: Write, line: str, problem: str) -> None:
    assert f"plans.domain.policy.{problem}" in refusal(chosen(f"[plans.domain.policy]\n{line}\n"))


def test_a_policy_at_its_limits_is_accepted(chosen: Write) -> None:
    settings = load_settings(
        chosen(
            "[policy]\nalert_milestones = [1]\nnotice_milestones = [30]\ncharge_slots = [0]\n"
            "late_charge_days = 0\noutage_grace_days = 0\nsuspended_days = 1\n"
            "minimum_suspension_days = 1\ndeletion_milestones = [1]\n"
        )
    )

    assert settings.policy.suspended_days == 1


@pytest.mark.parametrize("code", ["Gold", "go__ld", "go ld", "-gold"])
def test_a_plan_code_that_the_environment_could_not_name_is_refused(chosen: Write, code: str) -> None:
    plan = load_settings().plans["standard"].model_dump(exclude={"policy"}) | {"annual_price": 1}
    lines = "\n".join(f"{key} = {_toml(value)}" for key, value in plan.items())

    assert f"plans.{code}: a code is small letters" in refusal(chosen(f'[plans."{code}"]\n{lines}\n'))


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool | int) else f'"{value}"'


# Refusals: values that contradict each other


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('transport = "smtp"\nhost = ""', "mail.host: must not be empty with transport = smtp"),
        ('transport = "smtp"\nsender = ""', "mail.sender: must not be empty with transport = smtp"),
        ('username = "me"', "mail.username: has no password"),
    ],
)
def test_a_mail_transport_without_what_it_needs_is_refused(chosen: Write, lines: str, problem: str) -> None:
    assert problem in refusal(chosen(f"[mail]\n{lines}\n"))


def test_a_password_without_a_username_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_MAIL__PASSWORD", "hunter2")

    message = refusal()

    assert (
        "mail.password: has no username: give both or neither "
        "(environment variable LIFECYCLE_MAIL__PASSWORD)" in message
    )
    assert "hunter2" not in message


def test_a_password_does_not_travel_in_the_clear_beyond_this_machine(
    chosen: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_MAIL__PASSWORD", "hunter2")
    login = '[mail]\nusername = "me"\n'

    assert "mail.tls: none would send the password in the clear" in refusal(
        chosen(login + 'host = "smtp.example.it"\n')
    )
    for host in ("localhost", "127.0.0.1", "::1"):
        assert load_settings(chosen(login + f'host = "{host}"\n')).mail.host == host
    encrypted = load_settings(chosen(login + 'host = "smtp.example.it"\ntls = "starttls"\n'))
    assert encrypted.mail.tls == "starttls"


def test_a_delivered_warning_may_be_demanded_of_files_too(chosen: Write) -> None:
    settings = load_settings(chosen("[deletion]\nrequire_delivered_warning = true\n"))

    assert settings.mail.transport == "files"


# The console: who is let in, and from where


def test_a_console_may_listen_elsewhere_with_accounts_and_a_proxy_that_speaks_tls(chosen: Write) -> None:
    config = chosen(
        '[console]\nlisten = "0.0.0.0:8470"\npublic_url = "https://console.example.it"\n'
        '[console.accounts.anna]\nrole = "operator"\n'
    )

    assert load_settings(config).console.accounts["anna"].role == "operator"


def test_a_secret_that_is_too_short_to_sign_sessions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_CONSOLE__SECRET", "short")

    assert "console.secret: must have at least 32 characters" in refusal()


# Webhooks: where they may go, and what they are signed with


def hooked(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("LIFECYCLE_WEBHOOKS__SECRET", secret)


@pytest.mark.parametrize("random_bytes", [24, 25, 26, 32, 62, 63, 64])
@pytest.mark.parametrize("padding", ["=", ""])
def test_a_secret_of_24_to_64_random_bytes_signs_webhooks(
    chosen: Write, monkeypatch: pytest.MonkeyPatch, random_bytes: int, padding: str
) -> None:
    encoded = base64.b64encode(bytes(range(random_bytes))).decode().replace("=", padding)
    hooked(monkeypatch, f"whsec_{encoded}")

    settings = load_settings(chosen('[webhooks]\nurl = "https://pec.example.it/events"\n'))

    assert Webhook(settings.webhooks.secret.get_secret_value())._whsecret == bytes(range(random_bytes))


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "x" * 40, "whsec_" + "x" * 33, "whsec_" + "x" * 31, "whsec_" + "€" * 32]
)
def test_what_cannot_sign_is_refused(chosen: Write, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    hooked(monkeypatch, secret)

    assert "webhooks.secret: must be whsec_ and base64" in refusal(chosen('[webhooks]\nurl = "https://x.it/"\n'))


@pytest.mark.parametrize("url", ["http://pec.example.it/events", "http://127.0.0.1.example.it/"])
def test_holders_addresses_do_not_travel_in_the_clear(chosen: Write, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    hooked(monkeypatch, "whsec_" + "x" * 32)

    assert "webhooks.url: must begin with https://" in refusal(chosen(f'[webhooks]\nurl = "{url}"\n'))


@pytest.mark.parametrize("back_off", ["[]", "[0]", "[5, 100000]"])
def test_webhooks_are_tried_again_after_some_time(chosen: Write, back_off: str) -> None:
    assert "webhooks.back_off: must be a list" in refusal(chosen(f"[webhooks]\nback_off = {back_off}\n"))


# Stripe: what it needs, and where its key may come from


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('api_base = "http://api.stripe.com"', "gateway.api_base: must begin with https://: the key would travel in"),
        ('api_base = "http://127.0.0.1.example.it"', "gateway.api_base: must begin with https://"),
        ('api_base = "api.stripe.com"', "gateway.api_base: must be a web address"),
        ('statement_descriptor = "PEC"', "gateway.statement_descriptor: must be 5 to 22"),
        ('statement_descriptor = "12345"', "gateway.statement_descriptor: must be 5 to 22"),
        ("statement_descriptor = '<PEC*>'", "gateway.statement_descriptor: must be 5 to 22"),
    ],
)
def test_stripe_is_refused_what_it_would_not_take(
    chosen: Write, monkeypatch: pytest.MonkeyPatch, line: str, problem: str
) -> None:
    monkeypatch.setenv("LIFECYCLE_GATEWAY__API_KEY", "sk_test_hunter2")

    message = refusal(chosen(f'[gateway]\nkind = "stripe"\n{line}\n'))

    assert problem in message
    assert "hunter2" not in message


def test_stripe_without_its_key_is_refused(chosen: Write) -> None:
    message = refusal(chosen('[gateway]\nkind = "stripe"\n'))

    assert "gateway.api_key: is missing: kind = stripe needs LIFECYCLE_GATEWAY__API_KEY" in message


@pytest.mark.parametrize("base", ["https://api.stripe.com", "http://127.0.0.1:8420", "http://localhost:8420"])
def test_stripe_with_its_key_from_the_environment_is_accepted(
    chosen: Write, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    monkeypatch.setenv("LIFECYCLE_GATEWAY__API_KEY", "sk_test_hunter2")

    settings = load_settings(chosen(f'[gateway]\nkind = "stripe"\napi_base = "{base}"\n'))

    assert settings.gateway.api_key.get_secret_value() == "sk_test_hunter2"
    assert "hunter2" not in repr(settings)


def test_a_gateway_key_in_a_file_of_settings_is_refused_and_not_repeated(chosen: Write) -> None:
    message = refusal(chosen('[gateway]\nkind = "stripe"\napi_key = "sk_live_hunter2"\n'))

    assert "gateway.api_key: a secret may not stand in a file of settings" in message
    assert "LIFECYCLE_GATEWAY__API_KEY" in message
    assert "hunter2" not in message


def test_what_is_no_signing_secret_of_stripe_is_refused_and_not_repeated(
    chosen: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_GATEWAY__WEBHOOK_SECRET", "sk_live_hunter2")

    message = refusal(chosen(""))

    assert "gateway.webhook_secret: must begin with whsec_" in message
    assert "hunter2" not in message


def test_a_gateway_key_may_come_from_the_secrets_folder(chosen: Write, secrets: Path) -> None:
    (secrets / "LIFECYCLE_GATEWAY__API_KEY").write_text("sk_test_hunter2\n")

    settings = load_settings(chosen('[gateway]\nkind = "stripe"\n'))

    assert settings.gateway.api_key.get_secret_value() == "sk_test_hunter2"


class TestRetention:
    def refused(self, tmp_path: Path, **keys: int) -> str:
        file = tmp_path / "own.toml"
        file.write_text("[retention]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
        with pytest.raises(ConfigurationError) as error:
            load_settings(file)
        assert str(file) in str(error.value)
        return str(error.value)

    def test_may_not_end_while_a_rule_may_still_ask(self, tmp_path: Path) -> None:
        # 90 days before E, at the latest 10 after it, 91 days suspended, 30 at least, and 10 that were slept through.
        needed = "up to 231 days may pass"
        assert "retention.history_months: 8 months are too short" in (
            self.refused(tmp_path, message_bodies_months=8, history_months=8)
        )
        assert needed in self.refused(tmp_path, message_bodies_months=8)
        file = tmp_path / "long enough.toml"
        file.write_text("[retention]\nmessage_bodies_months = 9\nhistory_months = 9\n")
        assert load_settings(file).retention.history_months == 9

    def test_counts_with_the_longest_of_all_plans(self, tmp_path: Path) -> None:
        file = tmp_path / "own.toml"
        file.write_text("[plans.domain.policy]\nsuspended_days = 300\n")

        with pytest.raises(ConfigurationError, match=r"retention.message_bodies_months: 13 months are too short.* 441"):
            load_settings(file)

    def test_keeps_no_text_longer_than_its_message(self, tmp_path: Path) -> None:
        assert "retention.message_bodies_months: 31 is more than history_months = 30" in (
            self.refused(tmp_path, message_bodies_months=31)
        )

    def test_cannot_be_switched_off_by_a_zero(self, tmp_path: Path) -> None:
        assert "retention.history_months" in self.refused(tmp_path, history_months=0)


class TestWorkers:
    def test_are_none_but_the_one_that_does_everything_unless_asked_for(self) -> None:
        assert load_settings().workers.wanted is False

    def test_need_a_database_that_several_can_write_to(self, chosen: Write) -> None:
        assert "workers.count: SQLite lets one process write at a time" in refusal(chosen("[workers]\ncount = 2\n"))

    def test_on_dask_need_the_address_of_its_scheduler(self, chosen: Write) -> None:
        database = '[database]\nurl = "postgresql://lifecycle@db/lifecycle"\n'
        dask = '[workers]\nengine = "dask"\n'

        assert "workers.scheduler: must be the address" in refusal(chosen(database + dask))
        assert "workers.scheduler: must be the address" in refusal(
            chosen(f'{database}{dask}scheduler = "http://h:1"\n')
        )
        assert "workers.scheduler: must be the address" in refusal(chosen(f'{database}{dask}scheduler = "tcp://h:x"\n'))
        scheduler = 'scheduler = "tcp://10.0.0.7:8786"\n'
        assert "workers.count: is for processes" in refusal(chosen(f"{database}{dask}{scheduler}count = 2\n"))
        assert load_settings(chosen(f"{database}{dask}{scheduler}")).workers.wanted

    def test_have_no_more_than_a_day_for_a_chunk(self, chosen: Write) -> None:
        assert "workers.time_out" in refusal(chosen("[workers]\ntime_out = 86401\n"))
        assert "workers.time_out" in refusal(chosen("[workers]\ntime_out = 0\n"))
