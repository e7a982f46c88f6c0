"""`plan`, and `run --plan`: what a day would do, shown and then done."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.db.tables import boxes
from tests import factories
from tests.cli.conftest import Type

ON = factories.EXPIRES_ON


@pytest.fixture
def provider(lifecycle: Type, sqlite_url: str) -> Type:
    """One box to renew, one to suspend, and one to be warned."""
    store = open_store(sqlite_url)
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        factories.box(connection, "renewed@pec.it", auto_renew=True, payment_method_id="pm1")
        factories.box(connection, "unpaid@pec.it", expires_on=ON - timedelta(days=1))
        factories.box(connection, "warned@pec.it", expires_on=ON + timedelta(days=30))
    store.engine.dispose()
    return lifecycle


def pay(sqlite_url: str, address: str) -> None:
    store = open_store(sqlite_url)
    with store.write() as connection:
        connection.execute(update(boxes).where(boxes.c.address == address).values(expires_on=ON + timedelta(days=364)))
    store.engine.dispose()


def hash_of(provider: Type) -> str:
    return str(json.loads(provider("plan", ON.isoformat(), "--json").out)["hash"])


def test_a_plan_shows_what_is_done_to_whom_and_how_to_do_just_that(provider: Type) -> None:
    shown = provider("plan", ON.isoformat())

    assert shown.code == 0
    for told in (
        "Plan of 31 March 2027",
        "box.renewed",
        "12.08",
        "unpaid@pec.it",
        f"lifecycle-jobs replay {ON} --plan {hash_of(provider)}",
        "The days before 31 March 2027 are not played",
    ):
        assert told in shown.out


@pytest.mark.parametrize("asked", [["--since", str(ON - timedelta(days=40))], ["--again"]], ids=["since", "again"])
def test_the_command_that_a_plan_names_does_that_plan(provider: Type, asked: list[str]) -> None:
    shown = provider("plan", ON.isoformat(), *asked)

    command = " ".join(shown.out.split()).partition("To do just this and nothing else: lifecycle-jobs ")[2]

    assert command == f"replay {ON} {' '.join(asked)} --plan {command.split()[-1]}"
    assert provider(*command.split()).code == 0


def test_a_file_that_cannot_be_written_is_refused(provider: Type, tmp_path: Path) -> None:
    missing = tmp_path / "no folder" / "plan.csv"

    refused = provider("plan", ON.isoformat(), "--csv", str(missing))

    assert refused.code == 2
    assert "cannot be written: No such file or directory" in " ".join(refused.err.split())


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize(
    "command", [["plan"], ["replay", "--dry-run"], ["explain", "unpaid@pec.it", "--on"], ["simulate", "--from"]]
)
def test_a_date_that_no_rule_can_reckon_with_is_refused(provider: Type, command: list[str], day: str) -> None:
    refused = provider(*command, day)

    assert refused.code == 2
    assert f"{day} does not lie between 1900-01-01 and 2999-12-31" in " ".join(refused.err.replace("│", "").split())


def test_a_plan_for_a_machine_has_everything(provider: Type) -> None:
    plan = json.loads(provider("plan", ON.isoformat(), "--json").out)

    assert [(each["job"], each["what"], each["number"], each["amount"]) for each in plan["totals"]] == [
        ("auto_renew", "box.renewed", 1, "12.08"),
        ("suspend", "box.suspended", 1, None),
        ("send_alerts", "box.expiry_alert", 1, None),
    ]
    assert [(each["address"], each["why"]) for each in plan["actions"]] == [
        ("renewed@pec.it", "renewed for 1 year, to 31 March 2028: auto-renew is on, and its charge was due"),
        ("unpaid@pec.it", "not paid: the last paid day was 30 March 2027"),
        ("warned@pec.it", "30 days before the last paid day, 30 April 2027"),
    ]
    assert (plan["messages"], plan["deletions_only_by_this_plan"]) == (3, None)


def test_a_plan_in_a_file_has_a_row_for_each_action(provider: Type, tmp_path: Path) -> None:
    assert provider("plan", ON.isoformat(), "--csv", "plan.csv").code == 0

    with (tmp_path / "plan.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["job"], row["address"], row["amount"]) for row in rows] == [
        ("auto_renew", "renewed@pec.it", "12.08"),
        ("suspend", "unpaid@pec.it", ""),
        ("send_alerts", "warned@pec.it", ""),
    ]


def test_a_plan_is_told_in_italian_and_machines_go_on_reading_codes(provider: Type, tmp_path: Path) -> None:
    shown = provider("plan", ON.isoformat(), "--locale", "it", "--csv", "plan.csv")
    plan = json.loads(provider("plan", ON.isoformat(), "--locale", "it", "--json").out)

    for told in (
        "Piano del 31 marzo 2027",
        "rinnovi automatici",
        "I giorni prima del 31 marzo 2027 non vengono simulati",
        "Per fare esattamente questo e nient’altro: lifecycle-jobs replay 2027-03-31 --plan",
        "Tutte le azioni sono in plan.csv.",
    ):
        assert told in shown.out
    assert (plan["actions"][1]["what"], plan["actions"][1]["why"]) == (
        "box.suspended",
        "non pagata: è scaduta il 30 marzo 2027",
    )
    with (tmp_path / "plan.csv").open(encoding="utf-8", newline="") as file:
        assert [row["why"] for row in csv.DictReader(file)] == [each["why"] for each in plan["actions"]]


def test_one_box_can_be_asked_for(provider: Type) -> None:
    of_one = provider("plan", ON.isoformat(), "--box", "Unpaid@pec.it")
    of_none = provider("plan", ON.isoformat(), "--box", "nobody@pec.it")

    assert "box.suspended" in of_one.out
    assert "renewed@pec.it" not in of_one.out
    assert "Nothing would be done to nobody@pec.it on 31 March 2027." in of_none.out


def test_what_a_real_gateway_will_answer_is_not_pretended_to_be_known(
    provider: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_GATEWAY__KIND", "stripe")
    monkeypatch.setenv("LIFECYCLE_GATEWAY__API_KEY", "sk_test_x")
    monkeypatch.setenv("LIFECYCLE_GATEWAY__KEY_PREFIX", "test")

    shown = provider("plan", ON.isoformat())

    assert shown.code == 0, shown.err
    assert "What the gateway will answer cannot be known" in shown.out


def test_the_run_by_a_plan_does_the_day(provider: Type) -> None:
    done = provider("replay", ON.isoformat(), "--plan", hash_of(provider))

    assert done.code == 0
    assert "box.renewed 1" in done.out
    again = provider("plan", ON.isoformat())
    assert "Nothing would be done on 31 March 2027" in again.out
    assert "is completed already" in again.out


def test_a_plan_that_has_changed_is_shown_with_the_difference_and_not_done(provider: Type, sqlite_url: str) -> None:
    planned = hash_of(provider)
    pay(sqlite_url, "unpaid@pec.it")

    refused = provider("replay", ON.isoformat(), "--plan", planned)

    assert refused.code == 6
    assert "No longer done: 1" in refused.out
    assert "unpaid@pec.it" in refused.out
    assert "Nothing was done: the plan of 2027-03-31 is now" in refused.err
    assert json.loads(provider("status", "--json").out)["runs"] == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--approve-deletions", "3"), "leave out --approve-deletions"),
        (("--dry-run",), "lifecycle-jobs plan"),
        (("--until", "2027-04-02"), "leave out --until 2027-04-02"),
    ],
)
def test_a_plan_cannot_be_asked_for_together_with_what_contradicts_it(
    provider: Type, arguments: tuple[str, ...], complaint: str
) -> None:
    refused = provider("replay", ON.isoformat(), "--plan", "0123456789abcdef", *arguments)

    assert (refused.code, complaint in refused.err) == (2, True)


def test_the_emergency_stop_is_told_of(provider: Type) -> None:
    provider("stop", "--why", "restored backup")

    assert "The emergency stop is on" in provider("plan", ON.isoformat()).out
