"""Where things stand: every list shows what waits for a person, and names are shown as they are."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from lifecycle_jobs import cli, clock, lease, runs
from lifecycle_jobs.cli import output
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import charges, gateway_notices, leases, messages
from lifecycle_jobs.runs import JobReport
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.status import LISTED, Status, read_status
from tests import factories
from tests.daily import settings_for

E = factories.EXPIRES_ON
ON = E + timedelta(days=91)

AWKWARD = "[red]mario[/red]@pec.example.it"
"""Rich would take this for a colour."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


@pytest.fixture
def box(store: Store) -> int:
    with store.write() as connection:
        factories.customer(connection, name="[bold]Rossi[/bold] & <b>C.</b>")
        return factories.box(connection, AWKWARD)


@pytest.fixture
def show(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Types `status` and gives what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", database_url)
    monkeypatch.setattr(output.console, "_width", 300)  # no cell is folded

    def typed(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["lifecycle-jobs", *arguments])
        capsys.readouterr()
        with contextlib.suppress(SystemExit):
            cli.main()
        return capsys.readouterr().out

    return typed


def charge(store: Store, box_id: int, **values: Any) -> None:
    with store.write() as connection:
        order = factories.order(connection, f"R-{values['key']}", box_id=box_id)
        factories.charge(connection, values.pop("key"), order_id=order, box_id=box_id, **values)


def everything_that_waits(store: Store, box_id: int) -> None:
    """Something for every list."""
    charge(store, box_id, key="k1", status="unknown")
    run = runs.begin(store, ON)
    assert run is not None
    runs.job_began(store, run, "suspend")
    runs.job_finished(
        store,
        run,
        JobReport("suspend", done={"box.suspended": 3}, skipped={"on_hold": 1}, failures=["look at [red]this[/red]"]),
    )
    runs.park(store, run, "suspend", "box:[red]17[/red]", ValueError("[bold]no good"), box_id=box_id)
    runs.finish(store, run, 1)
    with store.write() as connection:
        held = factories.box(
            connection, "[blue]held@pec.example.it", status="suspended", hold_reason="[link=x]court order"
        )
        event = factories.event(connection, "box.suspended", occurred_on=ON, box_id=held)
        late = factories.message(connection, "late", event, kind="box.suspended", created_on=ON - timedelta(days=2))
        connection.execute(
            update(messages).where(messages.c.id == late).values(status="failed", response="550 [red]no such user")
        )
        order = factories.order(connection, "R-[green]1", box_id=held, term_expires_on=E - timedelta(days=365))
        unannounced = factories.charge(
            connection, "k2", order_id=order, box_id=held, term_expires_on=E - timedelta(days=365), status="succeeded"
        )
        connection.execute(update(charges).where(charges.c.id == unannounced).values(without_notice=True))
        connection.execute(
            insert(gateway_notices).values(
                notice_id="evt_1",
                kind="charge.dispute.created",
                concerns="dispute",
                idempotency_key="k2",
                amount_cents=733,
                reason="[red]fraudulent, needs_response",
                received_at=clock.now(),
                state="handled",
                for_staff=True,
            )
        )


def status(store: Store, settings: Settings) -> Status:
    return read_status(store, settings, ON)


def test_a_new_provider_has_nothing_to_show(store: Store, settings: Settings) -> None:
    found = status(store, settings)

    assert (found.under_way, found.boxes, found.runs, found.messages) == (None, {}, [], {})
    for listing in (
        found.parked,
        found.unresolved_charges,
        found.unsent_messages,
        found.held_back_from_deletion,
        found.charged_without_notice,
        found.told_by_gateway,
    ):
        assert (listing.total, listing.rows) == (0, [])


@pytest.mark.usefixtures("box")
def test_boxes_and_messages_are_counted_by_status(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.box(connection, "b@pec.example.it", status="suspended")
        factories.box(connection, "c@pec.example.it", status="suspended")
        for number, state in enumerate(("sent", "sent", "moot")):
            factories.message(connection, str(number), status=state)

    assert status(store, settings).boxes == {"active": 1, "suspended": 2}
    assert status(store, settings).messages == {"moot": 1, "sent": 2}


def test_a_run_under_way_is_named(store: Store, settings: Settings) -> None:
    with lease.hold(store, "run", 60):
        assert str(status(store, settings).under_way).startswith("process ")


def test_the_last_runs_come_first_with_their_jobs(store: Store, settings: Settings, box: int) -> None:
    everything_that_waits(store, box)
    runs.begin(store, ON + timedelta(days=1))

    later, earlier = status(store, settings).runs

    assert (later["run_on"], later["state"]) == (ON + timedelta(days=1), "running")
    assert (earlier["run_on"], earlier["state"], earlier["failures"]) == (ON, "completed", 1)
    assert earlier["jobs"][0]["counts"] == {"box.suspended": 3}
    assert earlier["jobs"][0]["skipped"] == {"on_hold": 1}


def test_what_is_parked_is_listed_with_its_error(store: Store, settings: Settings, box: int) -> None:
    everything_that_waits(store, box)

    (parked,) = status(store, settings).parked.rows

    assert (parked["job"], parked["subject"], parked["error"]) == (
        "suspend",
        "box:[red]17[/red]",
        "ValueError: [bold]no good",
    )


def test_unresolved_charges_are_listed_with_their_age(store: Store, settings: Settings, box: int) -> None:
    everything_that_waits(store, box)

    (unresolved,) = status(store, settings).unresolved_charges.rows

    assert (unresolved["idempotency_key"], unresolved["address"], unresolved["status"]) == ("k1", AWKWARD, "unknown")
    assert unresolved["since"] == E - timedelta(days=7)
    assert unresolved["days"] == 98


@pytest.mark.usefixtures("box")
def test_messages_that_did_not_go_out_are_listed_and_sent_or_moot_ones_are_not(
    store: Store, settings: Settings
) -> None:
    with store.write() as connection:
        for state in ("queued", "sent", "moot", "failed", "parked"):
            factories.message(connection, state, status=state)

    assert [row["status"] for row in status(store, settings).unsent_messages.rows] == ["queued", "failed", "parked"]


@pytest.mark.usefixtures("box")
def test_boxes_held_back_from_deletion_are_listed_with_the_reason(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        factories.box(connection, "goes@pec.example.it", status="suspended")
        factories.box(connection, "held@pec.example.it", status="suspended", hold_reason="court order")
        factories.box(connection, "by-hand@pec.example.it", status="suspended", suspended_reason="abuse")
    strict = settings_for(tmp_path, deletion={"require_delivered_warning": True})

    loose = status(store, settings_for(tmp_path)).held_back_from_deletion.rows
    careful = status(store, strict).held_back_from_deletion.rows

    assert [(row["address"], row["reason"]) for row in loose] == [("held@pec.example.it", "on_hold")]
    assert [(row["address"], row["reason"]) for row in careful] == [
        ("goes@pec.example.it", "no_delivered_warning"),
        ("held@pec.example.it", "on_hold"),
    ]


def test_charges_without_a_renewal_notice_are_listed(store: Store, settings: Settings, box: int) -> None:
    everything_that_waits(store, box)

    (charged,) = status(store, settings).charged_without_notice.rows

    assert (charged["address"], charged["order_number"]) == ("[blue]held@pec.example.it", "R-[green]1")


def test_what_the_gateway_told_is_listed_with_what_to_do(store: Store, settings: Settings, box: int) -> None:
    everything_that_waits(store, box)

    (told,) = status(store, settings).told_by_gateway.rows

    assert (told["kind"], told["address"]) == ("charge.dispute.created", "[blue]held@pec.example.it")
    assert told["what_to_do"].startswith("answer it on the gateway's pages")


@pytest.mark.usefixtures("box")
def test_a_long_list_is_cut_but_counted_in_full(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        for number in range(LISTED + 5):
            factories.message(connection, str(number))

    unsent = status(store, settings).unsent_messages

    assert (unsent.total, len(unsent.rows)) == (LISTED + 5, LISTED)


def test_status_shows_awkward_names_as_they_are(show: Callable[..., str], store: Store, box: int) -> None:
    everything_that_waits(store, box)

    shown = show("status")

    for text in (
        AWKWARD,
        "box:[red]17[/red]",
        "ValueError: [bold]no good",
        "550 [red]no such user",
        "R-[green]1",
        "12.08",
        "7.33",
        "[red]fraudulent",
    ):
        assert text in shown


def test_status_as_json_is_one_document_with_every_list(show: Callable[..., str], store: Store, box: int) -> None:
    everything_that_waits(store, box)

    document = json.loads(show("status", "--json"))

    assert document["boxes"] == {"active": 1, "suspended": 1}
    assert document["parked"]["rows"][0]["subject"] == "box:[red]17[/red]"
    assert document["unresolved_charges"]["rows"][0]["address"] == AWKWARD
    assert document["unsent_messages"]["total"] == 1
    assert document["charged_without_notice"]["total"] == 1
    assert document["told_by_gateway"]["rows"][0]["kind"] == "charge.dispute.created"
    assert document["runs"][0]["jobs"][0]["failures"] == ["look at [red]this[/red]"]


def test_parked_rows_and_boxes_held_back_have_lists_of_their_own(
    show: Callable[..., str], store: Store, box: int
) -> None:
    assert show("parked", "list") == "Nothing is parked.\n"
    assert show("deletions", "list") == "No box is held back from deletion.\n"

    everything_that_waits(store, box)

    assert "ValueError: [bold]no good" in show("parked", "list")
    assert json.loads(show("parked", "list", "--json"))[0]["job"] == "suspend"


def test_a_lease_of_a_process_that_is_gone_is_no_run_under_way(store: Store, settings: Settings) -> None:
    this = lease.Process.this()
    gone = lease.Process(this.host, this.pid, "1")
    with store.write() as connection:
        connection.execute(
            insert(leases).values(name="run", token=1, holder=str(gone), expires_at=clock.now() + timedelta(minutes=1))
        )

    assert status(store, settings).under_way is None
