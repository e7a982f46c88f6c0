"""Alerts before E, notices before a renewal, warnings before deletion: once each, the nearest only (SPEC §3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from lifecycle_jobs.db import tables
from tests import factories
from tests.jobs.running import (
    BROKEN,
    E,
    Office,
    broken,
    change,
    details,
    everything,
    happened,
    look,
    parked,
    renewing_box,
    settings_for,
    tried,
    while_waiting,
)

DAY = timedelta(days=1)
X = date(2027, 6, 30)
DECLINING = "pm_card_visa_chargeDeclined"


def told(office: Office, box: int | None = None) -> list[tuple[str, int]]:
    """Kind and milestone of every alert, notice and warning, in the order they were written."""
    return [
        (row["kind"].removeprefix("box."), row["milestone"])
        for row in look(office.store, tables.events)
        if row["milestone"] is not None and box in {None, row["box_id"]}
    ]


def days_told(office: Office) -> list[tuple[str, str]]:
    """Business date and kind of every event, in the order they were written."""
    return [
        (row["occurred_on"].isoformat(), row["kind"].removeprefix("box.")) for row in look(office.store, tables.events)
    ]


def day_by_day(office: Office, first: date, last: date) -> None:
    """The job on each day, W being the day before."""
    for number in range((last - first).days + 1):
        office.job("send_alerts", first + number * DAY)


def suspended(connection: Connection, name: str = "a", **box: Any) -> int:
    """A box that was suspended for non-payment on the day after E."""
    factories.customer(connection, f"c-{name}")
    return factories.box(connection, f"{name}@pec.example.it", customer_id=f"c-{name}", status="suspended", **box)


def test_of_four_neighbours_only_the_one_whose_milestone_has_come_is_told(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        due = factories.box(connection, "due@pec.example.it")
        factories.box(connection, "yesterday@pec.example.it", expires_on=E - DAY)
        factories.box(connection, "tomorrow@pec.example.it", expires_on=E + DAY)
        factories.box(connection, "cancelled@pec.example.it", cancelled_on=E)
    before = look(office.store, tables.boxes)

    report = office.job("send_alerts", E - 30 * DAY)

    assert told(office) == told(office, due) == [("expiry_alert", 30)]
    assert details(office.store, "box.expiry_alert") == [{"milestone": 30, "days_left": 30}]
    assert look(office.store, tables.boxes) == before
    assert report.skipped == {"cancelled": 1}


def test_a_whole_term_of_an_unpaid_box_as_in_the_worked_example(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)

    for days in (90, 60, 30, 15, 7, 1):
        day_by_day(office, E - (days + 1) * DAY, E - (days - 1) * DAY)
    office.job("suspend", E + DAY)
    for days in (91, 90, 60, 30, 7, 1):
        day_by_day(office, X - (days + 1) * DAY, X - (days - 1) * DAY)

    assert days_told(office) == [
        ("2026-12-31", "expiry_alert"),
        ("2027-01-30", "expiry_alert"),
        ("2027-03-01", "expiry_alert"),
        ("2027-03-16", "expiry_alert"),
        ("2027-03-24", "expiry_alert"),
        ("2027-03-30", "expiry_alert"),
        ("2027-04-01", "suspended"),
        ("2027-05-01", "deletion_warning"),
        ("2027-05-31", "deletion_warning"),
        ("2027-06-23", "deletion_warning"),
    ]
    assert [row["milestone"] for row in look(office.store, tables.events) if row["box_id"] == box] == [
        *(90, 60, 30, 15, 7, 1),
        None,
        *(60, 30, 7),
    ]


def test_a_box_that_renews_itself_gets_notices_instead(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)

    for days in (90, 60, 37, 30, 15, 8):
        office.job("send_alerts", E - days * DAY)

    assert told(office, box) == [("renewal_notice", 90), ("renewal_notice", 37)]
    assert details(office.store, "box.renewal_notice")[1] == {"milestone": 37, "days_left": 37}


def test_a_second_run_changes_nothing(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection)
        renewing_box(connection, "b", expires_on=E + 7 * DAY)
        suspended(connection, "c", expires_on=E - 61 * DAY)
    on = E - 30 * DAY
    office.job("send_alerts", on)
    assert sorted(told(office)) == [("deletion_warning", 60), ("expiry_alert", 30), ("renewal_notice", 37)]
    before = everything(office.store)

    office.job("send_alerts", on)
    office.job("send_alerts", on, run_pass=2)
    office.job("send_alerts", on, since=on - 100 * DAY, run_pass=3)
    office.job("send_alerts", on + DAY, since=on - 100 * DAY)

    assert everything(office.store) == before


def test_after_downtime_only_the_nearest_is_sent_and_tells_the_days_that_are_left(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection)

    office.job("send_alerts", E - 12 * DAY, since=E - 91 * DAY)

    assert details(office.store, "box.expiry_alert") == [{"milestone": 15, "days_left": 12}]


@pytest.mark.parametrize(
    ("since", "on", "milestones"),
    [
        (E - 31 * DAY, E - 30 * DAY, [30]),
        (E - 30 * DAY, E - 29 * DAY, []),
        (E - 30 * DAY, E - 16 * DAY, []),
        (E - 30 * DAY, E - 15 * DAY, [15]),
        (E - 2 * DAY, E - DAY, [1]),
        (E - 2 * DAY, E, [1]),
        (E - 2 * DAY, E + DAY, []),
    ],
)
def test_a_milestone_is_due_after_w_and_up_to_the_day_and_never_after_e(
    sqlite_office: Office, since: date, on: date, milestones: list[int]
) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection)

    office.job("send_alerts", on, since=since)

    assert [milestone for _, milestone in told(office)] == milestones


def test_without_an_earlier_run_w_is_yesterday(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "a@pec.example.it", expires_on=E)
        factories.box(connection, "b@pec.example.it", expires_on=E - DAY)

    office.day(E - 30 * DAY)

    assert told(office) == [("expiry_alert", 30)]


def test_w_is_the_latest_completed_run_and_a_replay_of_an_earlier_date_takes_yesterday(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        factories.customer(connection)
        ids = [factories.box(connection, f"{days}@pec.example.it", expires_on=E + days * DAY) for days in (0, 2, 25)]
    office.day(E - 33 * DAY)

    office.day(E - 30 * DAY)
    assert [told(office, box) for box in ids] == [[("expiry_alert", 30)], [], []]

    office.day(E - 27 * DAY)
    assert told(office, ids[1]) == [("expiry_alert", 30)], "it fell between the two runs"

    office.day(E - 35 * DAY)
    assert told(office, ids[2]) == [("expiry_alert", 60)], "only what falls on that very day"
    office.day(E - 36 * DAY)
    assert len(told(office)) == 3


def test_since_sets_w_by_hand(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection)

    office.day(E - 20 * DAY, since=E - 31 * DAY)

    assert details(office.store, "box.expiry_alert") == [{"milestone": 30, "days_left": 20}]


def test_never_one_farther_from_e_than_one_already_sent(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection)
    office.job("send_alerts", E - 15 * DAY)

    office.job("send_alerts", E - 10 * DAY, since=E - 100 * DAY)
    office.job("send_alerts", E - 29 * DAY, since=E - 31 * DAY)

    assert told(office) == [("expiry_alert", 15)]


def test_a_new_term_begins_anew(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
    office.job("send_alerts", E - 7 * DAY)
    next_e = date(2028, 3, 31)
    change(office.store, tables.boxes, box, expires_on=next_e)

    office.job("send_alerts", next_e - 90 * DAY)

    assert told(office) == [("expiry_alert", 7), ("expiry_alert", 90)]


def test_whoever_switches_auto_renew_changes_the_track_but_is_never_told_twice_or_from_farther_off(
    sqlite_office: Office,
) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        switched_off = renewing_box(connection, "a")
        switched_on = renewing_box(connection, "b", auto_renew=False)

    office.job("send_alerts", E - 90 * DAY)
    change(office.store, tables.boxes, switched_off, auto_renew=False)
    office.job("send_alerts", E - 90 * DAY)
    office.job("send_alerts", E - 60 * DAY)
    change(office.store, tables.boxes, switched_off, auto_renew=True)
    change(office.store, tables.boxes, switched_on, auto_renew=True)
    office.job("send_alerts", E - 37 * DAY, since=E - 91 * DAY)
    change(office.store, tables.boxes, switched_off, auto_renew=False)
    office.job("send_alerts", E - 30 * DAY)

    assert told(office, switched_off) == [
        ("renewal_notice", 90),
        ("expiry_alert", 60),
        ("renewal_notice", 37),
        ("expiry_alert", 30),
    ]
    assert told(office, switched_on) == [("expiry_alert", 90), ("expiry_alert", 60), ("renewal_notice", 37)]


def test_whoever_will_not_be_renewed_automatically_gets_expiry_alerts(office: Office) -> None:
    on = E - 30 * DAY
    with office.store.write() as connection:
        alerted = [
            renewing_box(connection, "off", auto_renew=False),
            renewing_box(connection, "held", hold_reason="court order"),
            renewing_box(connection, "without.method", payment_method_id=None),
            renewing_box(connection, "domain", plan="domain"),
            renewing_box(connection, "declined"),
            renewing_box(connection, "lost"),
        ]
        tried(connection, alerted[4], 7, "declined", on=on - DAY)
        tried(connection, alerted[5], 7, "not_attempted", on=on - DAY)
        renewing_box(connection, "renews.itself")

    office.job("send_alerts", on)

    assert [row["box_id"] for row in look(office.store, tables.events)] == sorted(
        alerted,
        key=lambda box: next(row["address_key"] for row in look(office.store, tables.boxes) if row["id"] == box),
    )
    assert {kind for kind, _ in told(office)} == {"expiry_alert"}


def test_a_charge_of_the_last_term_does_not_change_the_track(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, expires_on=E - timedelta(days=365))
        tried(connection, box, 7, "declined")
        connection.execute(update(tables.boxes).values(expires_on=E))

    office.job("send_alerts", E - 37 * DAY)

    assert told(office) == [("renewal_notice", 37)]


def test_boxes_that_are_cancelled_or_under_an_unresolved_charge_or_not_active_are_not_told(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        renewing_box(connection, "cancelled", auto_renew=False, cancelled_on=E)
        tried(connection, renewing_box(connection, "pending"), 7, "pending", on=E - 8 * DAY)
        tried(connection, renewing_box(connection, "unknown"), 7, "unknown", on=E - 8 * DAY)
        factories.box(connection, "by.hand@pec.example.it", status="suspended", suspended_reason="abuse")
        factories.box(connection, "deleted@pec.example.it", status="deleted")

    report = office.job("send_alerts", E - 37 * DAY, since=E - 100 * DAY)

    assert told(office) == []
    assert set(report.skipped) == {"cancelled", "unresolved_charge"}


def test_the_milestone_of_a_day_with_a_declined_charge_is_lost(office: Office) -> None:
    with office.store.write() as connection:
        declined = renewing_box(connection, "a", token=DECLINING)
        neighbour = renewing_box(connection, "b", auto_renew=False)

    for day in (E - 7 * DAY, E - 6 * DAY, E - DAY):
        office.day(day)

    assert told(office, neighbour) == [("expiry_alert", 7), ("expiry_alert", 1)]
    assert told(office, declined) == []
    assert happened(office.store, declined) == ["charge.declined"] * 2


def test_a_decline_of_another_day_loses_nothing(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, token=DECLINING)
    office.job("auto_renew", E - 7 * DAY)

    office.job("send_alerts", E - 6 * DAY, since=E - 8 * DAY)

    assert told(office) == [("expiry_alert", 7)]


def test_warnings_are_sent_before_x_nearest_first_and_tell_the_day(office: Office) -> None:
    with office.store.write() as connection:
        suspended(connection)

    office.job("send_alerts", X - 25 * DAY, since=E)

    assert details(office.store, "box.deletion_warning") == [
        {"milestone": 30, "deletes_on": "2027-06-30", "days_left": 25}
    ]
    office.job("send_alerts", X - 7 * DAY)
    office.job("send_alerts", X - 6 * DAY, since=E)
    assert told(office) == [("deletion_warning", 30), ("deletion_warning", 7)]


def test_on_the_day_of_deletion_it_is_too_late_to_warn(office: Office) -> None:
    with office.store.write() as connection:
        suspended(connection, "today")
        suspended(connection, "tomorrow", expires_on=E + DAY)

    office.job("send_alerts", X, since=E)

    assert details(office.store, "box.deletion_warning") == [
        {"milestone": 7, "deletes_on": "2027-07-01", "days_left": 1}
    ]


def test_x_moves_with_a_late_suspension_and_with_a_hold(office: Office) -> None:
    with office.store.write() as connection:
        late = suspended(connection, "late", suspended_on=E + 80 * DAY)
        held = suspended(connection, "held", hold_until=E + 75 * DAY, hold_reason="dispute")

    office.job("send_alerts", E + 76 * DAY, since=E)
    office.job("send_alerts", E + 81 * DAY, since=E + 79 * DAY)

    assert told(office, held) == [("deletion_warning", 30)]
    assert told(office, late) == [("deletion_warning", 30)]
    assert [(what["deletes_on"], what["days_left"]) for what in details(office.store, "box.deletion_warning")] == [
        ((E + 105 * DAY).isoformat(), 29),
        ((E + 110 * DAY).isoformat(), 29),
    ]


def test_nobody_is_warned_on_the_day_of_the_suspension(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
    on = E + 61 * DAY
    office.job("suspend", on)

    office.job("send_alerts", on)
    assert happened(office.store, box) == ["box.suspended"]

    office.job("send_alerts", on + DAY, since=on - DAY)
    assert told(office, box) == [("deletion_warning", 30)]


def test_cancelled_boxes_are_warned_too_but_not_those_on_hold_or_suspended_by_hand(office: Office) -> None:
    on = X - 30 * DAY
    with office.store.write() as connection:
        cancelled = suspended(connection, "cancelled", cancelled_on=E)
        suspended(connection, "held", hold_until=on)
        suspended(connection, "held.for.good", hold_reason="court order")
        suspended(connection, "by.hand", suspended_reason="abuse")
        asked = renewing_box(connection, "asked", status="suspended")
        tried(connection, asked, 0, "unknown")

    report = office.job("send_alerts", on)

    assert [row["box_id"] for row in look(office.store, tables.events)] == [cancelled]
    assert report.skipped == {"on_hold": 2, "unresolved_charge": 1}


def test_a_box_that_reaches_x_without_a_delivered_warning_is_warned_at_once_where_one_is_required(
    office: Office, tmp_path: Path
) -> None:
    strict = replace(office, settings=settings_for(tmp_path, deletion={"require_delivered_warning": True}))
    with office.store.write() as connection:
        for name, status in (("sent", "sent"), ("queued", "queued"), ("failed", "failed")):
            box = suspended(connection, name)
            event = factories.event(
                connection, "box.suspended", occurred_on=E + DAY, box_id=box, customer_id=f"c-{name}"
            )
            factories.message(
                connection, name, event, customer_id=f"c-{name}", kind="box.suspended", status=status, created_on=X
            )
        suspended(connection, "untold")
        suspended(connection, "tomorrow", expires_on=E + DAY)

    office.job("send_alerts", X)
    assert told(office) == []
    strict.job("send_alerts", X)
    strict.job("send_alerts", X + DAY)

    warned = [row for row in look(office.store, tables.events) if row["milestone"] == 0]
    assert [row["customer_id"] for row in warned] == ["c-failed", "c-untold", "c-tomorrow"]
    assert warned[0]["detail"] == {"milestone": 0, "deletes_on": "2027-07-07", "days_left": 7}


def test_a_plan_may_have_other_milestones(office: Office, tmp_path: Path) -> None:
    shipped = settings_for(tmp_path)
    pro = shipped.plans["pro"]
    own = pro.policy.model_copy(update={"alert_milestones": (20,), "suspended_days": 40, "deletion_milestones": (3,)})
    plans = shipped.plans | {"pro": pro.model_copy(update={"policy": own})}
    own_office = replace(office, settings=shipped.model_copy(update={"plans": plans}))
    with office.store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "pro@pec.example.it", plan="pro", expires_on=E)
        factories.box(connection, "standard@pec.example.it", expires_on=E + 10 * DAY)
        suspended(connection, plan="pro", expires_on=E - 20 * DAY - 38 * DAY)

    own_office.job("send_alerts", E - 20 * DAY)

    assert sorted(told(office)) == [("deletion_warning", 3), ("expiry_alert", 20), ("expiry_alert", 30)]


def test_a_row_that_the_database_refuses_is_parked_and_the_others_are_told(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        boxes = [factories.box(connection, f"{name}@pec.example.it") for name in ("a", "b", "c")]
    bad = boxes[1]
    on = E - 30 * DAY
    with broken(office.store, "events", "INSERT", f"NEW.box_id = {bad}"):
        report = office.day(on)

    assert [told(office, box) for box in boxes] == [[("expiry_alert", 30)], [], [("expiry_alert", 30)]]
    assert len(report.failures) == 1
    ((job, subject, error),) = parked(office.store)
    assert (job, subject, BROKEN in error) == ("send_alerts", f"box:{bad}", True)

    repaired = office.day(on)

    assert (repaired.failures, parked(office.store)) == ([], [])
    assert [told(office, box) for box in boxes] == [[("expiry_alert", 30)]] * 3


@pytest.mark.parametrize("cancelled_on", [None, E])
def test_a_parked_alert_counts_as_left_alone_whatever_becomes_of_its_neighbours(
    office: Office, cancelled_on: date | None
) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        bad = factories.box(connection, "a@pec.example.it")
        factories.box(connection, "b@pec.example.it", cancelled_on=cancelled_on)

    with broken(office.store, "events", "INSERT", f"NEW.box_id = {bad}"):
        report = office.job("send_alerts", E - 30 * DAY, parks=1)

    assert report.skipped == {"parked": 1} | ({"cancelled": 1} if cancelled_on else {})


def test_an_alert_that_was_parked_is_sent_by_the_run_of_the_next_day(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
    with broken(office.store, "events", "INSERT", f"NEW.box_id = {box}"):
        office.day(E - 30 * DAY)

    office.day(E - 29 * DAY)

    assert details(office.store, "box.expiry_alert") == [{"milestone": 30, "days_left": 29}]


def test_a_warning_that_was_parked_twice_is_still_sent(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        box = suspended(connection)
    with broken(office.store, "events", "INSERT", f"NEW.box_id = {box}"):
        office.day(X - 30 * DAY)
        office.day(X - 29 * DAY)

    office.day(X - 28 * DAY)

    assert [what["days_left"] for what in details(office.store, "box.deletion_warning")] == [28]


def test_a_box_that_another_program_changes_between_choosing_and_writing_is_left_alone(
    postgresql_office: Office,
) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection)
        box, neighbour = (factories.box(connection, f"{name}@pec.example.it") for name in ("a", "b"))

    def cancel(connection: Connection) -> None:
        connection.execute(update(tables.boxes).where(tables.boxes.c.id == box).values(cancelled_on=E))

    while_waiting(office, cancel, lambda: office.job("send_alerts", E - 30 * DAY))

    assert (told(office, box), told(office, neighbour)) == ([], [("expiry_alert", 30)])
