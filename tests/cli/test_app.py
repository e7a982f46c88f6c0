"""What holds for every command: help, exit codes, and sentences instead of tracebacks."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle_jobs import clock, lease
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import leases
from lifecycle_jobs.lease import Process
from tests import factories
from tests.cli.conftest import Type

COMMANDS = (
    ("run",),
    ("replay",),
    ("plan",),
    ("explain",),
    ("console",),
    ("console", "password"),
    ("simulate",),
    ("status",),
    ("reconcile",),
    ("audit",),
    ("deliver",),
    ("preview",),
    ("import",),
    ("export",),
    ("db", "upgrade"),
    ("db", "copy"),
    ("templates", "check"),
    ("charges", "resolve"),
    ("refunds", "list"),
    ("refunds", "send"),
    ("refunds", "done"),
    ("order", "pay"),
    ("payments", "apply"),
    ("method", "register"),
    ("method", "replace"),
    ("method", "remove"),
    ("autorenew", "on"),
    ("autorenew", "off"),
    ("credit", "register"),
    ("credit", "topup"),
    ("credit", "statement"),
    ("addon", "quote"),
    ("addon", "buy"),
    ("addon", "cancel"),
    ("parked", "list"),
    ("parked", "retry"),
    ("deletions", "list"),
    ("deletions", "approve"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(lifecycle: Type, command: tuple[str, ...]) -> None:
    shown = lifecycle(*command, "--help")
    assert shown.code == 0
    assert "Usage" in shown.out


def test_the_version_is_told(lifecycle: Type) -> None:
    shown = lifecycle("--version")
    assert (shown.code, shown.out) == (0, "lifecycle-jobs 0.1.0\n")


def test_a_date_that_is_none_is_a_usage_error(lifecycle: Type) -> None:
    shown = lifecycle("replay", "31/03/2027")
    assert shown.code == 2
    assert "is not a date; write it as 2027-03-31" in shown.err
    assert "Traceback" not in shown.err


def test_dates_in_the_wrong_order_are_refused(lifecycle: Type) -> None:
    shown = lifecycle("replay", "2020-03-31", "--until", "2020-03-01")
    assert (shown.code, "lies before" in shown.err) == (2, True)


def test_a_wrong_setting_is_named_with_its_source(lifecycle: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_POLICY__SUSPENDED_DAYS", "0")
    shown = lifecycle("status")
    assert shown.code == 2
    assert "policy.suspended_days" in shown.err
    assert "LIFECYCLE_POLICY__SUSPENDED_DAYS" in shown.err


def test_a_configuration_file_can_stand_before_or_after_the_command(lifecycle: Type, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[policy]\nsuspended_days = 0\n", encoding="utf-8")
    for arguments in (("status", "--config", "bad.toml"), ("--config", "bad.toml", "status")):
        shown = lifecycle(*arguments)
        assert shown.code == 2
        assert "bad.toml" in shown.err


def test_a_database_that_does_not_answer_is_a_sentence_without_its_password(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", "postgresql://clerk:secret-word@127.0.0.1:1/none")
    shown = lifecycle("status")
    assert shown.code == 2
    assert "The database does not work" in shown.err
    assert "secret-word" not in shown.err
    assert "Traceback" not in shown.err


def test_an_empty_postgresql_database_asks_for_an_upgrade(
    lifecycle: Type, monkeypatch: pytest.MonkeyPatch, empty_postgresql_url: str
) -> None:
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", empty_postgresql_url)
    refused = lifecycle("run")
    assert (refused.code, "lifecycle-jobs db upgrade" in refused.err) == (2, True)
    assert lifecycle("db", "upgrade").code == 0
    assert lifecycle("run").code == 0


def test_the_embedded_database_creates_itself(lifecycle: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", "sqlite:///new.db")
    assert lifecycle("run").code == 0
    assert (tmp_path / "new.db").exists()


def test_a_run_under_way_is_exit_code_3(lifecycle: Type, sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        connection.execute(
            leases.insert().values(
                name="run",
                token=1,
                holder=str(Process("elsewhere/x/y", 1, "1")),
                expires_at=clock.now() + timedelta(minutes=1),
            )
        )
    shown = lifecycle("replay", "2020-01-01")
    assert shown.code == 3
    assert "Another run is under way (process 1 on elsewhere)" in shown.err


def test_a_run_while_another_process_delivers_is_no_failure(lifecycle: Type, sqlite_store: Store) -> None:
    with lease.hold(sqlite_store, "delivery", 60):
        shown = lifecycle("replay", "2026-03-31")

    assert (shown.code, shown.err) == (0, "")
    assert "Another process is delivering; the messages are left to it" in shown.out


def test_json_is_the_only_thing_on_standard_output(lifecycle: Type, sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "a@pec.example.it")
    for arguments in (
        ("replay", "2020-01-01"),
        ("replay", "2020-01-01"),
        ("replay", "2020-01-02", "--dry-run"),
        ("status",),
        ("reconcile",),
        ("audit",),
        ("refunds", "list"),
        ("parked", "list"),
        ("deletions", "list"),
    ):
        shown = lifecycle(*arguments, "--json")
        assert shown.code == 0
        json.loads(shown.out)


def test_so_it_is_of_a_delivery(lifecycle: Type) -> None:
    shown = lifecycle("deliver", "--json")

    assert shown.code == 0
    json.loads(shown.out)


def test_no_colours_reach_a_pipe_or_a_file(lifecycle: Type) -> None:
    for arguments in (("replay", "2020-01-01"), ("status",), ("replay", "nonsense")):
        shown = lifecycle(*arguments)
        assert "\x1b[" not in shown.out + shown.err
