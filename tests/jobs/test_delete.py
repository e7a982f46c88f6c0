"""Deletion: what stayed unpaid until X, never too many at once, never in doubt (SPEC §3, delete)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from lifecycle_jobs.accounts import revive_box
from lifecycle_jobs.db import tables
from lifecycle_jobs.operators import Operator, approve_box
from tests import factories
from tests.jobs.running import (
    BROKEN,
    E,
    Office,
    broken,
    details,
    everything,
    happened,
    look,
    parked,
    renewing_box,
    settings_for,
    status,
    too_little_comes_in,
    tried,
    while_waiting,
)

DAY = timedelta(days=1)
X = date(2027, 6, 30)


def unpaid(connection: Connection, name: str = "a", **box: Any) -> int:
    """A box of customer `c1` that was suspended for non-payment on the day after E."""
    values: dict[str, Any] = {"status": "suspended"}
    return factories.box(connection, f"{name}@pec.example.it", **(values | box))


def unpaid_boxes(office: Office, number: int, *, active: int = 0) -> list[int]:
    """Many boxes whose X is the same, and some that are paid for."""
    with office.store.write() as connection:
        factories.customer(connection)
        for count in range(active):
            factories.box(connection, f"active{count}@pec.example.it", expires_on=X + timedelta(days=365))
        return [unpaid(connection, f"unpaid{count:03}") for count in range(number)]


def deleted(office: Office) -> int:
    """How many boxes are gone."""
    return sum(row["status"] == "deleted" for row in look(office.store, tables.boxes))


def strict(office: Office, tmp_path: Path) -> Office:
    """The same office, where a warning must have been delivered."""
    return replace(office, settings=settings_for(tmp_path, deletion={"require_delivered_warning": True}))


def test_of_four_neighbours_only_the_one_whose_day_has_come_is_deleted(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        gone = unpaid(connection, "gone")
        unpaid(connection, "tomorrow", expires_on=E + DAY)
        unpaid(connection, "by.hand", suspended_reason="abuse")
        factories.box(connection, "never.suspended@pec.example.it")
    before = look(office.store, tables.boxes)

    office.job("delete", X)

    assert look(office.store, tables.boxes) == [before[0] | {"status": "deleted", "deleted_on": X}, *before[1:]]
    assert happened(office.store) == happened(office.store, gone) == ["box.deleted"]
    assert details(office.store, "box.deleted") == [{"suspended_on": "2027-04-01"}]


def test_its_addons_end_and_its_open_orders_are_cancelled_and_nothing_else_is(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        boxes = {"gone": unpaid(connection, "gone"), "stays": unpaid(connection, "stays", expires_on=E + DAY)}
        for name, box in boxes.items():
            factories.addon(connection, f"{name}-renewal", box)
            factories.addon(connection, f"{name}-credit", box, paid_from="credit")
            factories.addon(connection, f"{name}-disabled", box, status="disabled")
            factories.order(connection, f"{name}-open", box_id=box)
            factories.order(connection, f"{name}-paid", box_id=box, term_expires_on=E - 365 * DAY, status="paid")
        factories.order(connection, "top-up", kind="topup", term_expires_on=None)

    office.job("delete", X)

    assert {row["addon_id"]: row["status"] for row in look(office.store, tables.addons)} == {
        "gone-renewal": "terminated",
        "gone-credit": "terminated",
        "gone-disabled": "disabled",
        "stays-renewal": "active",
        "stays-credit": "active",
        "stays-disabled": "disabled",
    }
    assert {row["order_number"]: row["status"] for row in look(office.store, tables.orders)} == {
        "gone-open": "cancelled",
        "gone-paid": "paid",
        "stays-open": "awaiting_payment",
        "stays-paid": "paid",
        "top-up": "awaiting_payment",
    }


def test_a_second_run_changes_nothing(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.addon(connection, "a", unpaid(connection))
    office.job("delete", X)
    before = everything(office.store)

    office.job("delete", X)
    office.job("delete", X + DAY)

    assert everything(office.store) == before


def test_a_box_goes_on_the_latest_of_three_days(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        for days in (90, 91, 200):
            unpaid(connection, f"e.plus{days}", expires_on=X - days * DAY)
        for days in (29, 30, 31):
            unpaid(connection, f"suspended.plus{days}", suspended_on=X - days * DAY)
            unpaid(connection, f"held.plus{days}", hold_until=X - days * DAY, hold_reason="dispute")

    office.job("delete", X)

    assert [row["address"].split("@")[0] for row in look(office.store, tables.boxes) if row["status"] == "deleted"] == [
        "e.plus91",
        "e.plus200",
        "suspended.plus30",
        "held.plus30",
        "suspended.plus31",
        "held.plus31",
    ]


def test_a_box_that_was_never_suspended_is_suspended_first_and_goes_thirty_days_later(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, expires_on=X - 1000 * DAY)

    for day, expected in ((X, "suspended"), (X + 29 * DAY, "suspended"), (X + 30 * DAY, "deleted")):
        office.job("suspend", day)
        office.job("delete", day)
        assert status(office.store, box) == expected


def test_a_box_on_hold_or_under_an_unresolved_charge_stays(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        unpaid(connection, "held", hold_reason="court order")
        asked = renewing_box(connection, "asked", status="suspended")
        tried(connection, asked, 0, "unknown")
        pending = renewing_box(connection, "pending", status="suspended")
        tried(connection, pending, 0, "pending")

    report = office.job("delete", X + 365 * DAY)

    assert deleted(office) == 0
    assert report.skipped == {"on_hold": 1, "unresolved_charge": 2}


def test_a_suspension_by_hand_is_never_turned_into_a_deletion(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = unpaid(connection, suspended_reason="abuse")

    office.job("delete", X + 3650 * DAY)

    assert (status(office.store, box), happened(office.store)) == ("suspended", [])


def test_cancelled_boxes_go_like_the_others(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        factories.customer(connection)
        box = unpaid(connection, cancelled_on=E)

    office.job("delete", X)

    assert status(office.store, box) == "deleted"


def test_a_box_about_which_anything_is_parked_stays(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        for name, job, state in (
            ("a", "renew_addons", "open"),
            ("b", "send_alerts", "open"),
            ("c", "send_alerts", "retrying"),
            ("d", "suspend", "resolved"),
        ):
            connection.execute(
                insert(tables.parked_rows).values(
                    run_on=X - 40 * DAY,
                    last_run_on=X - 40 * DAY,
                    job=job,
                    subject=f"box:{name}",
                    box_id=unpaid(connection, name),
                    error="?",
                    state=state,
                    parked_at=datetime(2027, 5, 1, tzinfo=UTC),
                )
            )

    report = office.job("delete", X)

    assert [row["status"] for row in look(office.store, tables.boxes)] == [*["suspended"] * 3, "deleted"]
    assert report.skipped == {"something_parked": 3}


def test_a_box_that_another_job_parked_in_this_run_is_not_deleted(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        bad, neighbour = (unpaid(connection, name) for name in ("a", "b"))
        factories.addon(connection, "short", bad, paid_from="credit")
    with broken(office.store, "addons", "UPDATE", "NEW.status = 'disabled'"):
        office.day(X)

    assert [job for job, _, _ in parked(office.store)] == ["renew_addons"]
    assert (status(office.store, bad), status(office.store, neighbour)) == ("suspended", "deleted")

    office.day(X)

    assert status(office.store, bad) == "deleted"


def test_a_row_that_the_database_refuses_is_parked_and_the_others_are_deleted(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        boxes = [unpaid(connection, name) for name in ("a", "b", "c", "d")]
        bad = boxes[1]
        factories.addon(connection, "extra", bad)
    with broken(office.store, "boxes", "UPDATE", f"NEW.id = {bad} AND NEW.status = 'deleted'"):
        report = office.day(X)

    assert [box for box in boxes if status(office.store, box) == "suspended"] == [bad]
    assert [row["status"] for row in look(office.store, tables.addons)] == ["active"], "all of it or nothing"
    assert len(report.failures) == 1
    ((job, subject, error),) = parked(office.store)
    assert (job, subject, BROKEN in error) == ("delete", f"box:{bad}", True)

    repaired = office.day(X)

    assert (repaired.failures, parked(office.store)) == ([], [])
    assert deleted(office) == happened(office.store).count("box.deleted") == 4


def test_a_hundred_boxes_go_unasked_and_one_more_stops_them_all(sqlite_office: Office) -> None:
    office = sqlite_office
    unpaid_boxes(office, 101)

    refused = office.job("delete", X)
    with office.store.write() as connection:
        connection.execute(update(tables.boxes).where(tables.boxes.c.id == 1).values(hold_reason="dispute"))
    after = office.job("delete", X)

    assert refused.refused is not None
    assert "101 boxes are due for deletion" in refused.refused
    assert "--approve-deletions 101" in refused.refused
    assert refused.failures == [refused.refused]
    assert refused.skipped == {"too_many_at_once": 101}
    assert (after.refused, deleted(office)) == (None, 100)


def with_small_cap(office: Office, tmp_path: Path) -> Office:
    """The same office, in which two boxes are few and three are many."""
    return replace(office, settings=settings_for(tmp_path, deletion={"always_allowed": 2}))


def test_five_percent_of_all_boxes_that_are_not_deleted_go_unasked(office: Office, tmp_path: Path) -> None:
    office = with_small_cap(office, tmp_path)
    unpaid_boxes(office, 3, active=56)  # three of sixty are five percent, and here are only 59
    with office.store.write() as connection:
        factories.box(connection, "tombstone@pec.example.it", status="deleted")
    assert "3 boxes are due for deletion, more than 5 % of 59" in str(office.job("delete", X).refused)

    with office.store.write() as connection:
        factories.box(connection, "one.more@pec.example.it", expires_on=X + DAY)
    assert office.job("delete", X).refused is None
    assert happened(office.store).count("box.deleted") == 3


def test_when_too_many_are_due_the_other_jobs_go_on_and_the_run_is_completed(office: Office, tmp_path: Path) -> None:
    office = with_small_cap(office, tmp_path)
    unpaid_boxes(office, 3)
    with office.store.write() as connection:
        late = factories.box(connection, "late@pec.example.it", expires_on=X - DAY)
        alerted = factories.box(connection, "alerted@pec.example.it", expires_on=X + 30 * DAY)

    report = office.day(X)

    assert deleted(office) == 0
    assert happened(office.store, late) == ["box.suspended"]
    assert happened(office.store, alerted) == ["box.expiry_alert"]
    assert [failure for failure in report.failures if "3 boxes" in failure]
    assert look(office.store, tables.runs)[0]["state"] == "completed"
    assert office.day(X).run_pass is None


@pytest.mark.parametrize(("approved", "gone"), [(3, 3), (2, 0), (4, 0)])
def test_exactly_the_approved_number_lets_them_go(office: Office, tmp_path: Path, approved: int, gone: int) -> None:
    office = with_small_cap(office, tmp_path)
    unpaid_boxes(office, 3)
    office.day(X)

    report = office.day(X, approve_deletions=approved)

    assert report.run_pass == 2
    assert deleted(office) == gone
    assert bool(report.failures) is (gone == 0)
    assert happened(office.store).count("deletions.approved") == 1


def test_an_approval_counts_once_and_for_its_own_run(office: Office, tmp_path: Path) -> None:
    office = with_small_cap(office, tmp_path)
    unpaid_boxes(office, 3)
    office.day(X, approve_deletions=4)
    with office.store.write() as connection:
        unpaid(connection, "fourth")

    office.day(X, again=True)
    office.day(X + DAY)

    assert deleted(office) == 0

    office.day(X + DAY, approve_deletions=4)
    assert deleted(office) == 4


def test_deletions_that_were_interrupted_are_finished_under_the_same_approval(office: Office, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, deletion={"always_allowed": 2}, database={"chunk_size": 1})
    office = replace(office, settings=settings)
    unpaid_boxes(office, 5)

    def kill_after_two(job: str, rows: int) -> None:
        if job == "delete" and rows and deleted(office) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        office.day(X, approve_deletions=5, progress=kill_after_two)
    assert deleted(office) == 2

    report = office.day(X)

    assert (report.run_pass, report.failures, deleted(office)) == (1, [], 5)


def deliver(connection: Connection, box: int, key: str, *, on: date, kind: str = "box.suspended", **other: Any) -> None:
    """A message about the box that the mail server took on a day."""
    term = other.pop("term", E)
    event = factories.event(connection, kind, occurred_on=on, box_id=box, term_expires_on=term)
    values: dict[str, Any] = {"status": "sent", "accepted_on": on}
    factories.message(connection, key, event, kind=kind, created_on=on, **(values | other))


def test_where_a_delivered_warning_is_required_it_must_be_a_week_old(office: Office, tmp_path: Path) -> None:
    week_ago = X - 7 * DAY
    with office.store.write() as connection:
        factories.customer(connection)
        deliver(connection, unpaid(connection, "a"), "a", on=week_ago)
        deliver(connection, unpaid(connection, "b"), "b", on=week_ago, kind="box.deletion_warning")
        deliver(connection, unpaid(connection, "c"), "c", on=week_ago + DAY)
        deliver(connection, unpaid(connection, "d"), "d", on=week_ago, kind="box.expiry_alert")
        deliver(connection, unpaid(connection, "e"), "e", on=week_ago, term=E - 365 * DAY)
        deliver(connection, unpaid(connection, "f"), "f", on=week_ago, status="failed", accepted_on=None)
        moot = unpaid(connection, "g")
        deliver(connection, moot, "g", on=week_ago)
        connection.execute(
            update(tables.message_events)
            .where(tables.message_events.c.event_id == tables.events.c.id, tables.events.c.box_id == moot)
            .values(moot=True)
        )
        unpaid(connection, "h")

    report = strict(office, tmp_path).job("delete", X)

    gone = [row["address"][0] for row in look(office.store, tables.boxes) if row["status"] == "deleted"]
    assert gone == ["a", "b"]
    assert report.skipped == {"no_delivered_warning": 6}


def test_a_box_warned_only_at_x_goes_seven_days_after_the_mail_server_took_it(
    sqlite_office: Office, tmp_path: Path
) -> None:
    office = strict(sqlite_office, tmp_path)
    with office.store.write() as connection:
        factories.customer(connection)
        box = unpaid(connection)

    found = []
    for days in (0, 6, 7):
        office.day(X + days * DAY)
        found.append(status(office.store, box))

    assert found == ["suspended", "suspended", "deleted"]
    assert happened(office.store, box) == ["box.deletion_warning", "box.deleted"]


def test_a_clerk_may_let_a_single_box_go_whose_mail_cannot_be_delivered(office: Office, tmp_path: Path) -> None:
    office = strict(office, tmp_path)
    with office.store.write() as connection:
        factories.customer(connection)
        approved, neighbour, held = (unpaid(connection, name) for name in ("a", "b", "c"))
        connection.execute(update(tables.boxes).where(tables.boxes.c.id == held).values(hold_reason="dispute"))
    clerk = Operator("clerk", "the domain is gone", X)
    approve_box(office.store, clerk, "A@pec.example.it")
    approve_box(office.store, clerk, "c@pec.example.it")

    office.job("delete", X - DAY)
    assert deleted(office) == 0, "X must have come"
    office.job("delete", X)

    assert status(office.store, approved) == "deleted"
    assert (status(office.store, neighbour), status(office.store, held)) == ("suspended", "suspended")
    used = {row["box_id"]: row["used"] for row in look(office.store, tables.deletion_approvals)}
    assert used == {approved: True, held: False}


def pay(connection: Connection, box: int) -> None:
    connection.execute(
        update(tables.boxes)
        .where(tables.boxes.c.id == box)
        .values(status="active", suspended_on=None, suspended_reason=None, expires_on=E + 365 * DAY)
    )


def hold(connection: Connection, box: int) -> None:
    connection.execute(update(tables.boxes).where(tables.boxes.c.id == box).values(hold_reason="court order"))


@pytest.mark.parametrize("alter", [pay, hold])
def test_a_box_that_another_program_changes_between_choosing_and_writing_is_left_alone(
    postgresql_office: Office, alter: Callable[[Connection, int], None]
) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection)
        box, neighbour = (unpaid(connection, name) for name in ("a", "b"))
        factories.addon(connection, "extra", box)

    while_waiting(office, lambda connection: alter(connection, box), lambda: office.job("delete", X))

    assert status(office.store, box) != "deleted"
    assert status(office.store, neighbour) == "deleted"
    assert [row["status"] for row in look(office.store, tables.addons)] == ["active"]
    assert happened(office.store, box) == []


def test_money_that_comes_in_while_the_job_waits_for_the_box_keeps_it(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection)
        box, neighbour = (unpaid(connection, name) for name in ("a", "b"))
        factories.order(connection, "R-1", box_id=box)

    while_waiting(office, lambda connection: too_little_comes_in(connection, box), lambda: office.job("delete", X))

    assert (status(office.store, box), status(office.store, neighbour)) == ("suspended", "deleted")
    assert happened(office.store, box) == []


def test_an_approval_lets_the_box_go_once_and_not_again_after_it_was_revived(office: Office, tmp_path: Path) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = unpaid(connection)
    careful = strict(office, tmp_path)
    careful.day(X)
    approve_box(office.store, Operator("anna", None, X), "a@pec.example.it")
    careful.day(X + DAY)
    assert status(office.store, box) == "deleted"

    revive_box(
        office.store,
        factories.CATALOG,
        Operator("anna", None, X + 2 * DAY),
        "a@pec.example.it",
        undelete_days=30,
        platform_has_it=True,
        request_id="r",
    )
    with office.store.write() as connection:  # its mail is known not to arrive
        connection.execute(update(tables.messages).values(accepted_on=None, status="failed"))
    careful.day(X + 32 * DAY)

    assert status(office.store, box) == "suspended"
