"""`simulate`: beside the forecast, two configurations side by side, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest
from freezegun import freeze_time

from lifecycle_jobs import lease
from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.simulating.bank import Bank
from tests import factories
from tests.cli.conftest import Type

TODAY = "2027-03-29 08:00:00"


@pytest.fixture
def provider(sqlite_url: str) -> Path:
    """One box that its card pays, one that nobody pays, and one that is deleted on the second day. Its file."""
    store = open_store(sqlite_url)
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        factories.box(connection, "a@pec.example.it", auto_renew=True, payment_method_id="pm1")
        factories.box(connection, "b@pec.example.it", expires_on=date(2027, 3, 29))
        factories.box(connection, "c@pec.example.it", status="suspended", expires_on=date(2026, 12, 29))
    store.engine.dispose()
    return Path(store.engine.url.database or "")


@freeze_time(TODAY)
def test_what_happened_stands_beside_the_forecast_and_nothing_is_changed(
    lifecycle: Type, provider: Path, tmp_path: Path
) -> None:
    before = sha256(provider.read_bytes()).hexdigest()
    file = tmp_path / "days.csv"

    shown = lifecycle("simulate", "--to", "2027-03-31", "--manual-rate", "0", "--csv", str(file))

    assert shown.code == 0
    assert "as configured, simulated from 2027-03-29 to 2027-03-31, seed 1" in shown.out
    (total,) = [line for line in shown.out.splitlines() if line.startswith("│ all")]
    cells = [cell.strip() for cell in total.split("│")]
    assert cells == ["", "all", "1 (1)", "12 (12)", "0 (0)", "3 (3)", "1 (1)", "1 (1)", ""]
    assert "Nobody was charged or written to, and the database was only read." in shown.out
    assert sha256(provider.read_bytes()).hexdigest() == before
    # Whoever reads such a database while it may be written to leaves SQLite's own two files beside it.
    own = {provider.name + ending for ending in ("", "-shm", "-wal")}
    assert {each.name for each in tmp_path.iterdir()} - own == {"days.csv"}
    with file.open(encoding="utf-8") as opened:
        days = {row["date"]: row for row in csv.DictReader(opened)}
    assert (days["2027-03-30"]["deleted"], days["2027-03-30"]["deleted_forecast"]) == ("1.00", "1.00")


@freeze_time(TODAY)
def test_two_configurations_are_told_apart_by_what_their_days_brought(
    lifecycle: Type, provider: Path, tmp_path: Path
) -> None:
    del provider
    own, longer = tmp_path / "own.toml", tmp_path / "longer.toml"
    own.write_text("")
    longer.write_text("[policy]\nsuspended_days = 120\n")
    compared = ("simulate", "--to", "2027-03-31", "--config", str(own), "--config", str(longer))

    shown = lifecycle(*compared)
    found = json.loads(lifecycle(*compared, "--json").out)

    assert "With longer.toml: 1 deletion fewer" in shown.out
    assert [each["config"] for each in found["simulations"]] == ["own.toml", "longer.toml"]
    # Cards and holders had the same luck: what differs is what the policy says of deletions.
    assert {what: number for what, number in found["differences"][0].items() if number} == {
        "config": "longer.toml",
        "compared_with": "own.toml",
        "deletions": -1,
    }
    assert found["simulations"][0]["days"][1]["happened"]["deleted"] == 1


@freeze_time(TODAY)
def test_the_copy_is_kept_for_its_owner_alone_and_stopped(lifecycle: Type, provider: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.db"

    assert lifecycle("simulate", "--to", "2027-03-30", "--keep", str(kept)).code == 0

    assert kept.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(kept) as copy, sqlite3.connect(provider) as own:
        assert copy.execute("SELECT run_on FROM runs ORDER BY run_on").fetchall() == [("2027-03-29",), ("2027-03-30",)]
        assert copy.execute("SELECT why FROM emergency_stops WHERE in_force").fetchall() == [
            ("a simulated copy: what it says never happened",)
        ]
        assert own.execute("SELECT count(*) FROM runs").fetchone() == (0,)


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to", "2027-03-28"], "--to 2027-03-28 lies before --from 2027-03-29."),
        (["--to", "2033-01-01"], "is more than 5 years after 2027-03-29: simulate a shorter time."),
        (["--to", "31/03/2027"], "is not a date; write it as 2027-03-31"),
        (["--lost-answers", "2"], "--lost-answers"),
        (["--decline-rate", "cash=0.1"], "write it as card=0.05,paypal=0.03"),
        (["--keep", "nowhere/kept.db"], "there is no folder"),
        (["--config", "own.toml", "--config", "own.toml"], "there is nothing to compare"),
        (["--config", "own.toml", "--config", "../own.toml", "--keep", "kept.db"], "--keep is for one configuration"),
    ],
)
@freeze_time(TODAY)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    lifecycle: Type, tmp_path: Path, arguments: list[str], says: str
) -> None:
    for folder in (tmp_path, tmp_path.parent):
        (folder / "own.toml").write_text("")

    refused = lifecycle("simulate", *arguments)

    assert refused.code == 2
    assert says in refused.err
    assert "Traceback" not in refused.err


@freeze_time(TODAY)
def test_days_that_were_run_are_not_lived_through_again(lifecycle: Type, provider: Path) -> None:
    del provider
    assert lifecycle("run").code == 0

    refused = lifecycle("simulate", "--from", "2027-03-29", "--to", "2027-04-30")

    assert refused.code == 2
    assert "the run of 2027-03-29 is done" in refused.err
    assert "Begin on 2027-03-30 or later." in refused.err

    later = lifecycle("simulate", "--from", "2027-04-02", "--to", "2027-04-02")

    assert later.code == 0
    assert "No day between 2027-03-29 and 2027-04-02 is run" in later.out


@freeze_time(TODAY)
def test_asked_to_stop_it_leaves_nothing_behind(
    lifecycle: Type, provider: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del provider
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    there = []

    def asked_to_stop(_bank: Bank, _on: date) -> None:
        there.append([each.name for each in folder.iterdir()])
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Bank, "begin", asked_to_stop)

    stopped = lifecycle("simulate")

    assert stopped.code == 143
    assert "Stopped as asked. The copy is gone, and nothing else was touched." in stopped.err
    assert len(there) == len(there[0]) == 1
    assert list(folder.iterdir()) == []


def test_while_a_run_is_under_way_there_is_nothing_to_begin_with(
    lifecycle: Type, provider: Path, sqlite_url: str
) -> None:
    del provider
    store = open_store(sqlite_url)
    with lease.hold(store, "run", 60):
        refused = lifecycle("simulate", "--from", "2027-03-29", "--to", "2027-03-29")

    assert refused.code == 3
    assert "Simulate when it is done." in refused.err
    store.engine.dispose()


def test_a_database_that_is_not_there_is_not_made(
    lifecycle: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", f"sqlite:///{tmp_path}/nowhere.db")

    refused = lifecycle("simulate")

    assert refused.code == 2
    assert "unable to open database file" in refused.err
    assert not (tmp_path / "nowhere.db").exists()


def test_a_database_without_tables_is_not_given_any(
    lifecycle: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", f"sqlite:///{tmp_path}/empty.db")
    (tmp_path / "empty.db").touch()

    refused = lifecycle("simulate")

    assert refused.code == 2
    assert "The database has no tables yet. Run: lifecycle-jobs db upgrade" in refused.err
    assert (tmp_path / "empty.db").stat().st_size == 0
