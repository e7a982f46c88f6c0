"""`db maintain` as it is typed."""

from __future__ import annotations

import json

from tests.cli.conftest import Type


def test_what_would_go_is_counted_in_a_sentence_and_for_a_machine(lifecycle: Type) -> None:
    told, counted = lifecycle("db", "maintain", "--dry-run"), lifecycle("db", "maintain", "--json")

    assert (told.code, counted.code) == (0, 0)
    assert told.out.startswith("Would be deleted: nothing (of terms that ended before 20")
    report = json.loads(counted.out)
    assert {name: report[name] for name in ("messages", "events", "bodies", "plans", "dry_run")} == {
        "messages": 0,
        "events": 0,
        "bodies": 0,
        "plans": 0,
        "dry_run": False,
    }
    assert report["history_before"] < report["bodies_before"]


def test_the_emergency_stop_is_heeded(lifecycle: Type) -> None:
    lifecycle("stop", "--why", "let me look")

    refused = lifecycle("db", "maintain")

    assert refused.code == 5
    assert "The emergency stop is on" in refused.err


def test_nothing_is_deleted_by_a_wrong_clock_but_counted(lifecycle: Type) -> None:
    lifecycle("replay", "2020-01-01")

    refused, counted = lifecycle("db", "maintain"), lifecycle("db", "maintain", "--dry-run")

    assert (refused.code, counted.code) == (4, 0)
    assert "the last completed run is that of 2020-01-01" in refused.err
