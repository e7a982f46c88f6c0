"""What is unusual, as it is shown: beside the run, in the plan, in `status` and the report, and while importing."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from lifecycle_jobs.db.session import open_store
from tests import factories
from tests.cli.conftest import Type
from tests.db.folders import box, write
from tests.watching.past import days_before, record_runs

ON = date(2026, 3, 24)
USUAL = {"suspend": {"box.suspended": 1}, "send_alerts": {"box.expiry_alert": 40}}


@pytest.fixture
def lifecycle(lifecycle: Type, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Type:
    """A provider who suspends a box a day and warns forty; now ten are due for suspension, and nobody to be warned."""
    monkeypatch.setenv("LIFECYCLE_WATCHING__LEAST", "5")
    store = open_store(sqlite_url)
    record_runs(store, dict.fromkeys(days_before(ON, 57), USUAL))
    with store.write() as connection:
        factories.customer(connection)
        for number in range(10):
            factories.box(connection, f"box{number}@pec.example.it", expires_on=ON - timedelta(days=1))
    store.engine.dispose()
    return lifecycle


def test_it_is_told_beside_the_table_and_fails_nothing(lifecycle: Type) -> None:
    done = lifecycle("replay", str(ON))

    assert done.code == 0
    assert "box.suspended 10  (usually about 1)" in done.out
    assert "box.expiry_alert 0  (usually about 40)" in done.out
    assert "? Unusual: suspend: box.suspended 10, usually about 1 on such a day." in done.err
    assert "? Unusual: send_alerts: box.expiry_alert 0, usually about 40 on such a day." in done.err
    for command in ("status", "report"):
        assert "? Unusual: suspend: box.suspended 10" in lifecycle(command).err


def test_a_machine_is_told_too(lifecycle: Type) -> None:
    told = json.loads(lifecycle("replay", str(ON), "--json").out)["unusual"]

    assert told[1] == {
        "on": "2026-03-24",
        "job": "suspend",
        "what": "box.suspended",
        "number": 10,
        "out_of": None,
        "usual": 1.0,
        "stopped": False,
        "told": "suspend: box.suspended 10, usually about 1 on such a day.",
    }
    assert [each["number"] for each in json.loads(lifecycle("status", "--json").out)["unusual"]] == [0, 10]
    assert [each["number"] for each in json.loads(lifecycle("report", "--json").out)["unusual"]] == [0, 10]


def test_a_stop_ends_with_exit_code_1_and_its_plan_lets_it_go(lifecycle: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_WATCHING__STOP_SUSPENSIONS", "true")

    planned = lifecycle("plan", str(ON))
    stopped = lifecycle("replay", str(ON))
    again = json.loads(lifecycle("plan", str(ON), "--json").out)
    done = lifecycle("replay", str(ON), "--plan", again["hash"])

    assert "10 suspensions are too many to be made unasked: only a run with this plan's hash makes them." in planned.out
    assert "Unusual: suspend: box.suspended 10" in planned.out
    assert stopped.code == 1
    assert "! 10 boxes are due for suspension, where 1 are usual on such a day: none was suspended." in stopped.err
    assert "Unusual: suspend" not in stopped.err, "it is said once"
    assert (again["suspensions_only_by_this_plan"], done.code) == (10, 0)
    assert "box.suspended 10" in done.out


def test_an_import_says_how_many_expiries_it_moves_and_how_many_to_an_earlier_day(
    lifecycle: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_WATCHING__MOVED_LEAST", "2")
    rows = [box(address=f"box{each}@pec.example.it", expires_on=str(ON - timedelta(days=each))) for each in range(4)]
    folder = write(tmp_path / "in", boxes=rows)

    rehearsed = lifecycle("import", str(folder), "--overwrite", "--dry-run")
    done = lifecycle("import", str(folder), "--overwrite", "--json")

    assert (rehearsed.code, done.code) == (0, 0)
    assert "moves the expiry of 3 of 10 boxes" in rehearsed.err
    assert "To an earlier day: 2." in rehearsed.err
    told = json.loads(done.out)
    assert told["moved"] == {"number": 3, "earlier": 2}
    assert [(each["what"], each["number"], each["out_of"]) for each in told["unusual"]] == [("moved_expiries", 3, 10)]
    assert "moves the expiry of 3 of 10 boxes" in lifecycle("status").err
