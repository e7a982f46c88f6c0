"""What is over for long enough is deleted, and nothing that is done afterwards can tell."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, update
from structlog.testing import capture_logs

from lifecycle_jobs import lease, operators, retention
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import EmergencyStop, LeaseHeld
from lifecycle_jobs.retention import Deleted, maintain
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.auditing import assert_books_are_right
from tests.daily import OPERATOR, all_rows, run, settings_for

E = factories.EXPIRES_ON
DAY = timedelta(days=1)
TODAY = date(2030, 3, 31)
"""Three years after E."""

MOMENT = datetime(2027, 3, 24, 3, tzinfo=UTC)
KEPT_FOR_GOOD = ("boxes", "addons", "customers", "orders", "order_lines", "charges", "credit_entries", "runs")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def sweep(store: Store, settings: Settings, on: date = TODAY, *, dry_run: bool = False) -> Deleted:
    return maintain(store, settings, on, lambda _name, _rows: None, dry_run=dry_run)


def kinds(store: Store, table: str = "events") -> list[str]:
    return sorted({row["kind"] for row in all_rows(store)[table]})


@pytest.fixture
def lived(store: Store, settings: Settings) -> Store:
    """A box that was renewed for five years with its add-ons, one that was declined, and one that was deleted."""
    with store.write() as connection:
        factories.customer(connection, credit=5000)
        factories.method(connection)
        factories.method(connection, "bad", token="pm_card_visa_chargeDeclined")
        renewed = factories.box(connection, renewal_years=5, auto_renew=True, payment_method_id="pm1")
        declined = factories.box(connection, "declined@x.it", auto_renew=True, payment_method_id="bad")
        factories.box(connection, "gone@x.it")
        factories.addon(connection, "from-credit", renewed, paid_from="credit")
        factories.addon(connection, "too-dear", declined, paid_from="credit", quantity=999)
    for days in (-90, -7, 0, 1, 32, 62, 85, 91):
        run(store, settings, E + days * DAY)
    return store


def test_of_what_is_over_only_the_renewals_stay_with_their_receipts(lived: Store, settings: Settings) -> None:
    run(lived, settings, TODAY)
    before = all_rows(lived)
    assert kinds(lived) == [
        "addon.disabled",
        "addon.renewed",
        "box.deleted",
        "box.deletion_warning",
        "box.expiry_alert",
        "box.renewal_notice",
        "box.renewed",
        "box.suspended",
        "charge.declined",
    ]

    deleted = sweep(lived, settings)

    after = all_rows(lived)
    assert deleted.messages == len(before["messages"]) - len(after["messages"]) > 0
    assert deleted.events == len(before["events"]) - len(after["events"]) > 0
    assert kinds(lived, "messages") == ["addon.renewed", "box.deleted", "box.renewed"]  # the deletion's is the youngest
    assert {table: after[table] for table in KEPT_FOR_GOOD} == {table: before[table] for table in KEPT_FOR_GOOD}
    assert_books_are_right(lived, settings)


def test_nothing_that_is_run_afterwards_can_tell(lived: Store, settings: Settings) -> None:
    run(lived, settings, TODAY)
    sweep(lived, settings)
    before = all_rows(lived, but=("leases", "runs", "run_jobs"))

    for on in (TODAY, E + DAY, E - 90 * DAY):
        run(lived, settings, on)
        run(lived, settings, on, again=True)

    assert all_rows(lived, but=("leases", "runs", "run_jobs")) == before
    assert_books_are_right(lived, settings)


def test_what_was_told_of_a_term_that_a_box_is_still_in_is_never_told_again(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, hold_reason="court order")
    for days in (-90, -60):
        run(store, settings, E + days * DAY)
    before = all_rows(store, but=("leases",))

    deleted = sweep(store, settings)
    for on in (E - 60 * DAY, E - 59 * DAY):
        run(store, settings, on, again=True, since=E - 91 * DAY)

    assert (deleted.messages, deleted.events) == (0, 0)
    assert all_rows(store)["events"] == before["events"]
    assert all_rows(store)["messages"] == before["messages"]


OLD = E + DAY
"""The day of the message that is put in front of the retention here; its box was renewed since."""


def old_message(connection: Connection) -> None:
    """A message about box 1 that may go, and one of yesterday."""
    factories.customer(connection)
    factories.method(connection)
    box = factories.box(connection, expires_on=date(2032, 3, 31), payment_method_id="pm1")
    factories.addon(connection, "a1", box, expires_on=date(2032, 3, 31))
    event = factories.event(connection, "box.suspended", occurred_on=OLD, box_id=box, addon_id="a1", run_on=OLD)
    factories.message(
        connection, f"{OLD}/1/c1/box.suspended", event, kind="box.suspended", created_on=OLD, status="sent"
    )
    connection.execute(
        insert(tables.runs).values(
            run_on=OLD, run_pass=1, scope="everything", state="completed", since=OLD, started_at=MOMENT
        )
    )
    young = factories.event(connection, "box.suspended", occurred_on=TODAY - DAY, box_id=box)
    factories.message(
        connection, f"{TODAY - DAY}/1/c1/x", young, kind="box.suspended", created_on=TODAY - DAY, status="sent"
    )


Change = Callable[[Connection], object]


def box_becomes(**values: object) -> Change:
    return lambda connection: connection.execute(update(tables.boxes).values(**values))


def addon_becomes(**values: object) -> Change:
    return lambda connection: connection.execute(update(tables.addons).values(**values))


def event_becomes(**values: object) -> Change:
    return lambda connection: connection.execute(update(tables.events).where(tables.events.c.id == 1).values(**values))


def message_becomes(**values: object) -> Change:
    return lambda connection: connection.execute(
        update(tables.messages).where(tables.messages.c.id == 1).values(**values)
    )


def delivery(status: str) -> Change:
    delivered_at = MOMENT if status == "delivered" else None
    return lambda connection: connection.execute(
        insert(tables.webhook_deliveries).values(
            event_id=1, box_id=1, status=status, queued_at=MOMENT, delivered_at=delivered_at
        )
    )


def taken_up(event_id: int) -> Change:
    return lambda connection: connection.execute(insert(tables.webhook_marks).values(event_id=event_id, seen_at=MOMENT))


def run_is(state: str) -> Change:
    return lambda connection: connection.execute(update(tables.runs).values(state=state))


def parked(state: str) -> Change:
    return lambda connection: connection.execute(
        insert(tables.parked_rows).values(
            run_on=OLD, last_run_on=OLD, job="suspend", subject="box:1", box_id=1, error="?", state=state,
            parked_at=MOMENT,
        )
    )  # fmt: skip


def charge(status: str, *, unapplied: bool = False) -> Change:
    def change(connection: Connection) -> None:
        order = factories.order(connection, "R-1", box_id=1)
        factories.charge(connection, "k1", order_id=order, box_id=1, status=status)
        connection.execute(update(tables.charges).values(unapplied=unapplied))

    return change


def tells_of_another(kind: str) -> Change:
    def change(connection: Connection) -> None:
        event = factories.event(connection, kind, occurred_on=OLD, box_id=1)
        young = factories.event(connection, "box.deleted", occurred_on=TODAY, box_id=1)
        connection.execute(insert(tables.message_events).values(event_id=event, message_id=1))
        assert young > event

    return change


def tells_of_nothing(connection: Connection) -> None:
    connection.execute(delete(tables.message_events).where(tables.message_events.c.event_id == 1))


@pytest.mark.parametrize(
    "change",
    [
        box_becomes(status="deleted", deleted_on=OLD, expires_on=E),
        addon_becomes(status="terminated", expires_on=E),
        message_becomes(status="failed", accepted_on=None),
        message_becomes(status="moot", accepted_on=None),
        delivery("delivered"),
        taken_up(1),
        run_is("superseded"),
        parked("resolved"),
        charge("succeeded"),
        tells_of_another("charge.declined"),
    ],
)
def test_what_is_over_goes(store: Store, settings: Settings, change: Change) -> None:
    with store.write() as connection:
        old_message(connection)
        change(connection)

    deleted = sweep(store, settings)

    assert deleted.messages == 1
    assert [row["id"] for row in all_rows(store)["messages"]] == [2]
    assert all(row["occurred_on"] >= TODAY - DAY for row in all_rows(store)["events"])
    assert all_rows(store)["webhook_deliveries"] == []


@pytest.mark.parametrize(
    "change",
    [
        box_becomes(expires_on=E),
        box_becomes(status="suspended", suspended_on=OLD, suspended_reason="abuse", expires_on=E),
        box_becomes(expires_on=E - DAY),
        addon_becomes(expires_on=E),
        event_becomes(occurred_on=date(2027, 9, 30)),
        event_becomes(term_expires_on=date(2027, 9, 30)),
        event_becomes(term_expires_on=None),
        event_becomes(kind="box.renewed"),
        event_becomes(kind="deletion.approved"),
        event_becomes(box_id=None),
        message_becomes(status="queued", accepted_on=None),
        message_becomes(status="parked", accepted_on=None),
        message_becomes(created_on=date(2027, 9, 30)),
        delivery("pending"),
        taken_up(0),
        run_is("running"),
        parked("open"),
        parked("retrying"),
        charge("unknown"),
        charge("succeeded", unapplied=True),
        tells_of_another("box.renewed"),
        tells_of_nothing,
    ],
)  # fmt: skip
def test_what_may_still_be_asked_for_or_is_in_doubt_stays(store: Store, settings: Settings, change: Change) -> None:
    with store.write() as connection:
        old_message(connection)
        change(connection)
    before = all_rows(store, but=("leases",))

    deleted = sweep(store, settings)

    assert (deleted.messages, deleted.events) == (0, 0)
    assert all_rows(store, but=("leases",)) == before


@pytest.mark.parametrize(("on", "messages"), [(date(2029, 10, 1), 0), (date(2029, 10, 2), 1)])
def test_it_goes_when_the_months_are_over_and_not_a_day_before(
    store: Store, settings: Settings, on: date, messages: int
) -> None:
    with store.write() as connection:
        old_message(connection)

    assert sweep(store, settings, on).messages == messages


def test_the_numbers_of_what_is_gone_are_not_given_to_others(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        old_message(connection)
        connection.execute(delete(tables.message_events).where(tables.message_events.c.event_id == 2))
        connection.execute(delete(tables.events).where(tables.events.c.id == 2))
        connection.execute(delete(tables.messages).where(tables.messages.c.id == 2))

    assert sweep(store, settings).messages == 0


def test_a_dry_run_counts_the_same_and_changes_nothing(lived: Store, settings: Settings) -> None:
    before, files = all_rows(lived), sorted(settings.mail.directory.rglob("*"))

    counted = sweep(lived, settings, dry_run=True)

    assert all_rows(lived) == before
    assert sorted(settings.mail.directory.rglob("*")) == files
    assert counted == sweep(lived, settings)
    assert counted.messages > 3


def test_stopped_between_two_batches_it_goes_on_where_it_was(
    lived: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_AT_A_TIME", 2)
    counted = sweep(lived, settings, dry_run=True)

    def stop(name: str, _rows: int) -> None:
        if name == "history":
            operators.stop_everything(lived, OPERATOR, "let me look")

    with pytest.raises(EmergencyStop):
        maintain(lived, settings, TODAY, stop, dry_run=False)
    with pytest.raises(EmergencyStop):
        sweep(lived, settings)
    operators.resume(lived, OPERATOR)
    rest = sweep(lived, settings)

    assert counted.messages > rest.messages > 0
    assert sweep(lived, settings).messages == 0
    assert_books_are_right(lived, settings)


def test_a_second_maintenance_is_refused_and_a_run_is_not_in_its_way(lived: Store, settings: Settings) -> None:
    with lease.hold(lived, "run", 60):
        assert sweep(lived, settings).messages > 0
    with lease.hold(lived, "maintenance", 60), pytest.raises(LeaseHeld):
        sweep(lived, settings)


class TestTexts:
    def files(self, settings: Settings) -> list[str]:
        return sorted(path.name.split("-c1")[0] for path in settings.mail.directory.rglob("*") if path.is_file())

    def test_go_after_their_months_but_for_those_of_a_term_that_runs(self, lived: Store, settings: Settings) -> None:
        (settings.mail.directory / E.isoformat() / "notes.txt").write_text("not ours")
        (settings.mail.directory / "archive").mkdir()
        written = self.files(settings)
        kept_for_its_term = [f"{E - 7 * DAY}-addon.renewed", f"{E - 7 * DAY}-box.renewed"]
        assert len(written) > len(kept_for_its_term) + 1
        assert set(kept_for_its_term) < set(written)

        deleted = sweep(lived, settings, date(2028, 8, 31))

        assert self.files(settings) == [*kept_for_its_term, "notes.txt"]
        assert deleted.bodies == len(written) - 3
        assert deleted.messages == 0
        folders = sorted(path.name for path in settings.mail.directory.iterdir())
        assert folders == [(E - 7 * DAY).isoformat(), E.isoformat(), "archive"]

    def test_stay_until_then(self, lived: Store, settings: Settings) -> None:
        written = self.files(settings)

        assert sweep(lived, settings, date(2028, 1, 31)).bodies == 0
        assert self.files(settings) == written

    def test_of_a_relay_there_are_none(self, lived: Store, settings: Settings, tmp_path: Path) -> None:
        by_relay = settings_for(tmp_path, mail={"transport": "smtp"})

        assert sweep(lived, by_relay).bodies == 0
        assert self.files(settings) != []


def test_plans_of_days_long_past_go_too(lived: Store, settings: Settings) -> None:
    folder = settings.day_plans.directory
    assert folder is not None
    folder.mkdir()
    old, young = (folder / f"{on}-0123456789abcdef.jsonl.gz" for on in (date(2026, 1, 1), TODAY))
    for plan in (old, young):
        plan.write_bytes(b"")
        os.utime(plan, (0, 0))

    assert sweep(lived, settings, dry_run=True).plans == 1
    assert old.exists()
    assert sweep(lived, settings).plans == 1
    assert list(folder.iterdir()) == [young]


def test_a_plan_that_cannot_be_deleted_does_not_hide_what_was(lived: Store, settings: Settings) -> None:
    folder = settings.day_plans.directory
    assert folder is not None
    (folder / "2026-01-01-0123456789abcdef.jsonl.gz").mkdir(parents=True)
    os.utime(folder / "2026-01-01-0123456789abcdef.jsonl.gz", (0, 0))

    with capture_logs() as lines:
        deleted = sweep(lived, settings)

    assert (deleted.messages > 0, deleted.plans) == (True, 0)
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["plans_not_deleted"]
