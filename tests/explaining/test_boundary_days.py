"""Each rule that decides whether a job acts on a box, on the days and in the cases in which it turns over.

What is told comes from the jobs themselves, so that it changes whenever a rule does: here stands what SPEC §1 and §3
say. `tests/soak/test_every_rule.py` breaks each rule and proves that this, and the job's own tests, notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.explaining.verdicts import verdicts_on
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.daily import settings_for
from tests.jobs.running import change, renewing_box, tried
from tests.languages.exact import ENGLISH

DAY = timedelta(days=1)
E = factories.EXPIRES_ON
X = E + 91 * DAY
FIRST_SLOT = E - 7 * DAY
YEAR_LATER = date(2028, 3, 31)


@dataclass(frozen=True, slots=True)
class Desk:
    """A clerk who is asked why."""

    store: Store
    settings: Settings

    def told(self, job: str, box_id: int, on: date) -> list[str]:
        """The reasons that a job gives for a box, one for each of its add-ons where it is about those."""
        said = verdicts_on(self.store, self.settings, box_id, on, ENGLISH)
        return [each.reason for each in said if each.job == job]

    def reasons(self, job: str, on: date, boxes: Mapping[str, int]) -> dict[str, str]:
        """The one reason that a job gives for each box."""
        return {name: ", ".join(self.told(job, box_id, on)) for name, box_id in boxes.items()}

    def days(self, job: str, box_id: int, first: date, days: range) -> dict[int, str]:
        """The one reason that a job gives for a box on each of some days."""
        return {number: ", ".join(self.told(job, box_id, first + number * DAY)) for number in days}


@pytest.fixture
def desk(sqlite_store: Store, tmp_path: Path) -> Desk:
    """On SQLite: that both databases state a rule alike is proven with the jobs."""
    return Desk(sqlite_store, settings_for(tmp_path))


def suspended(connection: Connection, name: str, **values: Any) -> int:
    """A box with a holder of its own that was not paid for."""
    return renewing_box(connection, name, **({"status": "suspended"} | values))


def unapplied(connection: Connection, name: str, **values: Any) -> int:
    """A box with a charge that went through and could not be applied to it."""
    box = renewing_box(connection, name, **values)
    charge = tried(connection, box, 7, "succeeded")
    connection.execute(update(tables.charges).where(tables.charges.c.id == charge).values(unapplied=True))
    return box


def unused_transfer(connection: Connection, name: str, *, refunded_on: date | None = None, **values: Any) -> int:
    """A box with a payment by hand that its order did not take; it may have been given back."""
    box = renewing_box(connection, name, **values)
    order = factories.order(connection, f"R-{name}", customer_id=f"c-{name}", box_id=box, status="cancelled")
    payment = factories.registered_payment(connection, f"CRO-{name}", order_id=order, effective=False)
    table = tables.registered_payments
    connection.execute(update(table).where(table.c.id == payment).values(refunded_on=refunded_on))
    return box


def happened(connection: Connection, kind: str, box: int, name: str, **values: Any) -> int:
    """An event on the box of a holder. Returns it."""
    return factories.event(connection, kind, box_id=box, customer_id=f"c-{name}", **values)


def parked(connection: Connection, box: int, job: str, *, on: date, state: str = "open", subject: str = "") -> None:
    """The job failed on the box on a day."""
    connection.execute(
        insert(tables.parked_rows).values(
            run_on=on,
            last_run_on=on,
            job=job,
            subject=subject or f"box:{box}",
            box_id=box,
            error="?",
            state=state,
            parked_at=datetime(2027, 3, 1, tzinfo=UTC),
        )
    )


def completed(connection: Connection, on: date) -> None:
    """The day of a date was done, and did nothing."""
    values: dict[str, Any] = {"run_pass": 1, "scope": "everything", "state": "completed"}
    began = datetime(2027, 3, 1, tzinfo=UTC)
    connection.execute(insert(tables.runs).values(run_on=on, since=on - DAY, started_at=began, **values))


# --- auto_renew ---


def test_a_box_is_charged_from_seven_days_before_e_to_ten_days_after(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = renewing_box(connection)

    assert desk.days("auto_renew", box, E, range(-8, -6)) == {-8: "not_due", -7: "box.renewed"}
    assert desk.days("auto_renew", box, E, range(10, 12)) == {10: "box.renewed", 11: "not_due"}


def test_who_is_not_charged_and_why(desk: Desk) -> None:
    with desk.store.write() as connection:
        boxes = {
            "suspended": suspended(connection, "suspended", expires_on=FIRST_SLOT - DAY),
            "off": renewing_box(connection, "off", auto_renew=False),
            "cancelled": renewing_box(connection, "cancelled", cancelled_on=E + 400 * DAY),
            "held today": renewing_box(connection, "held", hold_until=FIRST_SLOT, hold_reason="dispute"),
            "held until yesterday": renewing_box(connection, "free", hold_until=FIRST_SLOT - DAY, hold_reason="x"),
            "held without end": renewing_box(connection, "court", hold_reason="court order"),
            "without method": renewing_box(connection, "without", payment_method_id=None),
            "domain": renewing_box(connection, "domain", plan="domain"),
            "begun": renewing_box(connection, "begun"),
            "unknown": renewing_box(connection, "unknown", token="sandbox_lost_answer_never_seen"),
            "unapplied": unapplied(connection, "unapplied"),
            "unused transfer": unused_transfer(connection, "unused"),
            "refunded transfer": unused_transfer(connection, "refunded", refunded_on=FIRST_SLOT),
            "failed today": renewing_box(connection, "failed"),
            "failed yesterday": renewing_box(connection, "yesterday"),
        }
        tried(connection, boxes["begun"], 7, "unknown", on=FIRST_SLOT)
        tried(connection, boxes["unknown"], 7, "unknown", on=FIRST_SLOT)
        parked(connection, boxes["failed today"], "auto_renew", on=FIRST_SLOT)
        parked(connection, boxes["failed yesterday"], "auto_renew", on=FIRST_SLOT - DAY)

    assert desk.reasons("auto_renew", FIRST_SLOT, boxes) == {
        "suspended": "not_due",
        "off": "auto_renew_off",
        "cancelled": "cancelled",
        "held today": "on_hold",
        "held until yesterday": "box.renewed",
        "held without end": "on_hold",
        "without method": "no_payment_method",
        "domain": "plan_not_auto_renewable",
        "begun": "unresolved_charge",
        "unknown": "unresolved_charge",
        "unapplied": "unapplied_payment",
        "unused transfer": "unapplied_payment",
        "refunded transfer": "box.renewed",
        "failed today": "parked",
        "failed yesterday": "box.renewed",
    }


def test_one_attempt_is_made_for_each_slot(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = renewing_box(connection)
        tried(connection, box, 5, "declined")

    assert desk.days("auto_renew", box, E, range(-7, -2)) == {
        -7: "slot_used",  # a replay: a later slot was tried
        -6: "slot_used",
        -5: "slot_used",
        -4: "slot_used",
        -3: "box.renewed",
    }


def test_a_charge_of_the_last_term_uses_up_no_slot(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = renewing_box(connection, expires_on=date(2026, 3, 31))
        tried(connection, box, 0, "declined", hard=True)
    change(desk.store, tables.boxes, box, expires_on=E)

    assert desk.told("auto_renew", box, FIRST_SLOT) == ["box.renewed"]


def test_an_outage_leaves_the_slot_free_for_the_next_days_up_to_three_days_after_e(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = renewing_box(connection)
        tried(connection, box, 0, "not_attempted", on=E)

    assert desk.days("auto_renew", box, E, range(5)) == {
        0: "slot_used",
        1: "box.renewed",
        2: "box.renewed",
        3: "box.renewed",
        4: "slot_used",
    }


def test_a_replaced_method_is_charged_at_once_up_to_e(desk: Desk) -> None:
    with desk.store.write() as connection:
        token, method, hard = (renewing_box(connection, name) for name in ("token", "method", "hard"))
        tried(connection, token, 0, "declined")
        tried(connection, method, 0, "declined")
        tried(connection, hard, 0, "declined", hard=True)
        factories.method(connection, "pm-other", "c-method")
    change(desk.store, tables.payment_methods, "pm-token", token="pm_card_visa_chargeDeclined")
    change(desk.store, tables.payment_methods, "pm-hard", token="pm_card_visa_chargeDeclined")
    change(desk.store, tables.boxes, method, payment_method_id="pm-other")

    assert desk.days("auto_renew", token, E, range(2)) == {0: "charge.declined", 1: "slot_used"}
    assert desk.days("auto_renew", method, E, range(2)) == {0: "box.renewed", 1: "slot_used"}
    assert desk.days("auto_renew", hard, E, range(2)) == {0: "charge.declined", 1: "slot_used"}


def test_only_a_hard_decline_is_for_good(desk: Desk) -> None:
    with desk.store.write() as connection:
        boxes = {"soft": renewing_box(connection, "soft"), "hard": renewing_box(connection, "hard")}
        tried(connection, boxes["soft"], 7, "declined")
        tried(connection, boxes["hard"], 7, "declined", hard=True)

    assert desk.reasons("auto_renew", E, boxes) == {"soft": "box.renewed", "hard": "declined_for_good"}


def test_an_amount_above_the_limit_is_not_charged(desk: Desk, tmp_path: Path) -> None:
    with desk.store.write() as connection:
        box = renewing_box(connection)

    for limit, reason in ((1208, "box.renewed"), (1207, "parked")):
        strict = Desk(desk.store, settings_for(tmp_path, gateway={"max_amount": limit}))
        assert strict.told("auto_renew", box, E) == [reason]


# --- reconcile_charges ---


def test_what_becomes_of_a_charge_of_which_nobody_has_heard(desk: Desk) -> None:
    with desk.store.write() as connection:
        begun = renewing_box(connection, "begun")
        unknown = renewing_box(connection, "unknown")
        tried(connection, begun, 7, "pending")
        tried(connection, unknown, 7, "unknown")
        connection.execute(update(tables.charges).values(attempted_at=datetime(2026, 1, 1, tzinfo=UTC)))

    assert desk.days("reconcile_charges", begun, E, range(-7, -5)) == {
        -7: "box.renewed",  # presented again, as the run was killed on this very day
        -6: "charge.not_attempted",
    }
    assert desk.days("reconcile_charges", unknown, E, range(-7, -5)) == {
        -7: "unresolved_charge",
        -6: "charge.not_attempted",
    }


# --- suspend ---


def test_a_box_is_suspended_on_the_day_after_e(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = renewing_box(connection, auto_renew=False)
        by_hand = suspended(connection, "by.hand", suspended_reason="abuse")

    assert desk.days("suspend", box, E, range(2)) == {0: "not_due", 1: "box.suspended"}
    assert desk.told("suspend", by_hand, E + DAY) == ["not_due"]


def test_who_is_not_suspended_and_why(desk: Desk) -> None:
    on = E + DAY
    with desk.store.write() as connection:
        off: dict[str, Any] = {"auto_renew": False}
        boxes = {
            "held today": renewing_box(connection, "held", hold_until=on, hold_reason="dispute", **off),
            "held until yesterday": renewing_box(connection, "free", hold_until=E, hold_reason="dispute", **off),
            "unknown": renewing_box(connection, "unknown", **off),
            "unapplied": unapplied(connection, "unapplied", **off),
            "its renewal failed": renewing_box(connection, "failing", **off),
            "its renewal failed before": renewing_box(connection, "before", **off),
            "failed": renewing_box(connection, "failed", **off),
        }
        tried(connection, boxes["unknown"], 0, "unknown", on=on)
        parked(connection, boxes["its renewal failed"], "auto_renew", on=on)
        parked(connection, boxes["its renewal failed before"], "auto_renew", on=E)
        parked(connection, boxes["failed"], "suspend", on=on)

    assert desk.reasons("suspend", on, boxes) == {
        "held today": "on_hold",
        "held until yesterday": "box.suspended",
        "unknown": "unresolved_charge",
        "unapplied": "unapplied_payment",
        "its renewal failed": "auto_renew_failed",
        "its renewal failed before": "box.suspended",
        "failed": "parked",
    }


def test_an_outage_protects_for_three_days_if_it_came_last(desk: Desk) -> None:
    with desk.store.write() as connection:
        lost = renewing_box(connection, "lost", auto_renew=False)
        tried(connection, lost, 1, "declined")
        tried(connection, lost, 0, "not_attempted")
        declined = renewing_box(connection, "declined", auto_renew=False)
        tried(connection, declined, 1, "not_attempted")
        tried(connection, declined, 0, "declined")

    assert desk.days("suspend", lost, E, range(3, 5)) == {3: "outage_grace", 4: "box.suspended"}
    assert desk.told("suspend", declined, E + DAY) == ["box.suspended"]


def test_whoever_can_be_renewed_today_is_not_suspended_today(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = renewing_box(connection)

    assert desk.told("suspend", box, E + DAY) == ["not_due"]


# --- delete ---


def test_a_box_goes_on_the_latest_of_three_days(desk: Desk) -> None:
    with desk.store.write() as connection:
        plain = suspended(connection, "plain")
        late = suspended(connection, "late", suspended_on=E + 80 * DAY)
        held = suspended(connection, "held", hold_until=E + 70 * DAY, hold_reason="dispute")

    assert desk.days("delete", plain, E, range(90, 92)) == {90: "not_due", 91: "box.deleted"}
    assert desk.days("delete", late, E, range(109, 111)) == {109: "not_due", 110: "box.deleted"}
    assert desk.days("delete", held, E, range(99, 101)) == {99: "not_due", 100: "box.deleted"}


def test_who_is_not_deleted_and_why(desk: Desk) -> None:
    with desk.store.write() as connection:
        boxes = {
            "by hand": suspended(connection, "by.hand", suspended_reason="abuse"),
            "held": suspended(connection, "held", hold_reason="court order"),
            "unknown": suspended(connection, "unknown"),
            "unapplied": unapplied(connection, "unapplied", status="suspended"),
            "an alert failed": suspended(connection, "alert"),
            "an alert is taken up": suspended(connection, "taken.up"),
            "a failure is settled": suspended(connection, "settled"),
            "its deletion failed today": suspended(connection, "today"),
            "its deletion failed yesterday": suspended(connection, "yesterday"),
            "cancelled": suspended(connection, "cancelled", cancelled_on=E),
        }
        tried(connection, boxes["unknown"], 0, "unknown", on=X)
        parked(connection, boxes["an alert failed"], "send_alerts", on=E)
        parked(connection, boxes["an alert is taken up"], "send_alerts", on=E, state="retrying")
        parked(connection, boxes["a failure is settled"], "send_alerts", on=E, state="resolved")
        parked(connection, boxes["its deletion failed today"], "delete", on=X)
        parked(connection, boxes["its deletion failed yesterday"], "delete", on=X - DAY)

    assert desk.reasons("delete", X, boxes) == {
        "by hand": "not_due",
        "held": "on_hold",
        "unknown": "unresolved_charge",
        "unapplied": "unapplied_payment",
        "an alert failed": "something_parked",
        "an alert is taken up": "something_parked",
        "a failure is settled": "box.deleted",
        "its deletion failed today": "parked",
        "its deletion failed yesterday": "box.deleted",
        "cancelled": "box.deleted",
    }


def delivered(connection: Connection, box: int, name: str, *, on: date, **message: Any) -> int:
    """The mail server took the notice of the box's suspension on a day. Returns the event."""
    kind = message.pop("kind", "box.suspended")
    term = message.pop("term", E)
    event = happened(connection, kind, box, name, occurred_on=on, term_expires_on=term)
    values: dict[str, Any] = {"customer_id": f"c-{name}", "kind": kind, "created_on": on, "status": "sent"}
    factories.message(connection, f"m-{name}", event, **(values | message))
    return event


def test_where_a_delivered_warning_is_required_it_is_a_week_old_of_this_term_and_was_read_by_the_holder(
    desk: Desk, tmp_path: Path
) -> None:
    week_ago = X - 7 * DAY
    strict = Desk(desk.store, settings_for(tmp_path, deletion={"require_delivered_warning": True}))
    with desk.store.write() as connection:
        names = ("told", "late", "last.term", "moot", "redirected", "of.expiry", "approved", "approved.before")
        boxes = {name: suspended(connection, name) for name in names}
        delivered(connection, boxes["told"], "told", on=week_ago)
        delivered(connection, boxes["late"], "late", on=week_ago + DAY)
        delivered(connection, boxes["last.term"], "last.term", on=week_ago, term=date(2026, 3, 31))
        moot = delivered(connection, boxes["moot"], "moot", on=week_ago)
        lines = tables.message_events
        connection.execute(update(lines).where(lines.c.event_id == moot).values(moot=True))
        delivered(connection, boxes["redirected"], "redirected", on=week_ago, redirected=True)
        delivered(connection, boxes["of.expiry"], "of.expiry", on=week_ago, kind="box.expiry_alert")
        approvals = insert(tables.deletion_approvals)
        given: dict[str, Any] = {"actor": "anna", "approved_at": datetime(2027, 6, 1, tzinfo=UTC)}
        for name, term in (("approved", E), ("approved.before", date(2026, 3, 31))):
            connection.execute(approvals.values(box_id=boxes[name], term_expires_on=term, **given))

    assert strict.reasons("delete", X, boxes) == {
        "told": "box.deleted",
        "late": "no_delivered_warning",
        "last.term": "no_delivered_warning",
        "moot": "no_delivered_warning",
        "redirected": "no_delivered_warning",
        "of.expiry": "no_delivered_warning",
        "approved": "box.deleted",
        "approved.before": "no_delivered_warning",
    }
    assert set(desk.reasons("delete", X, boxes).values()) == {"box.deleted"}, "unless it is required"


def test_five_percent_of_all_boxes_that_are_not_deleted_go_unasked(desk: Desk, tmp_path: Path) -> None:
    few = Desk(desk.store, settings_for(tmp_path, deletion={"always_allowed": 2}))
    with desk.store.write() as connection:
        box = suspended(connection, "a")
        for number in range(2):
            factories.box(connection, f"{number}@pec.it", customer_id="c-a", status="suspended")
        for number in range(56):
            factories.box(connection, f"active{number}@pec.it", customer_id="c-a", expires_on=X + DAY)
        factories.box(connection, "tombstone@pec.it", customer_id="c-a", status="deleted")
    assert few.told("delete", box, X) == ["too_many_at_once"], "three of 59"

    with desk.store.write() as connection:
        factories.box(connection, "one.more@pec.it", customer_id="c-a", expires_on=X + DAY)
    assert few.told("delete", box, X) == ["box.deleted"], "three of 60"


@pytest.mark.parametrize(("approved", "reason"), [(3, "box.deleted"), (4, "too_many_at_once")])
def test_exactly_the_approved_number_goes(desk: Desk, tmp_path: Path, approved: int, reason: str) -> None:
    few = Desk(desk.store, settings_for(tmp_path, deletion={"always_allowed": 2}))
    with desk.store.write() as connection:
        box = suspended(connection, "a")
        for number in range(2):
            factories.box(connection, f"{number}@pec.it", customer_id="c-a", status="suspended")
        connection.execute(
            insert(tables.deletion_approvals).values(
                run_on=X, number=approved, actor="anna", approved_at=datetime(2027, 6, 30, tzinfo=UTC)
            )
        )

    assert few.told("delete", box, X) == [reason]


# --- send_alerts ---


def test_an_alert_falls_on_the_day_of_its_milestone_and_up_to_e(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = renewing_box(connection, auto_renew=False)

    assert desk.days("send_alerts", box, E, range(-31, -28)) == {
        -31: "not_due",
        -30: "box.expiry_alert",
        -29: "not_due",
    }
    assert desk.told("send_alerts", box, E) == ["not_due"]


def test_a_milestone_that_fell_since_the_last_run_is_told_late_and_the_one_before_it_is_not(desk: Desk) -> None:
    with desk.store.write() as connection:
        # On hold, so that it is still active on the day after E.
        box = renewing_box(connection, hold_reason="court order")
        completed(connection, E - 30 * DAY)

    found = {}
    for days in (40, 29, 16, 15, 3, 0, -1):
        verdicts = verdicts_on(desk.store, desk.settings, box, E - days * DAY, ENGLISH)
        found[days] = next(each.told.split(";")[0] for each in verdicts if each.job == "send_alerts")
    assert found == {
        40: "no message falls on this day",  # a replay of an earlier date looks at that date alone
        29: "no message falls on this day",
        16: "no message falls on this day",
        15: "15 days before the last paid day, 31 March 2027",
        3: "3 days before the last paid day, 31 March 2027",
        0: "0 days before the last paid day, 31 March 2027",
        -1: "its term ended on 31 March 2027: there is nothing left to warn of",
    }


def test_who_is_given_notice_of_the_renewal_and_who_is_warned_of_the_end(desk: Desk) -> None:
    on = E - 30 * DAY
    with desk.store.write() as connection:
        boxes = {
            "renews itself": renewing_box(connection, "itself", expires_on=on + 37 * DAY),
            "renews itself, day of an alert": renewing_box(connection, "alert"),
            "off": renewing_box(connection, "off", auto_renew=False),
            "off, day of a notice": renewing_box(connection, "notice", auto_renew=False, expires_on=on + 37 * DAY),
            "held": renewing_box(connection, "held", hold_reason="court order"),
            "without method": renewing_box(connection, "without", payment_method_id=None),
            "domain": renewing_box(connection, "domain", plan="domain"),
            "declined": renewing_box(connection, "declined"),
            "lost": renewing_box(connection, "lost"),
        }
        tried(connection, boxes["declined"], 7, "declined", on=on - DAY)
        tried(connection, boxes["lost"], 7, "not_attempted", on=on - DAY)

    assert desk.reasons("send_alerts", on, boxes) == {
        "renews itself": "box.renewal_notice",
        "renews itself, day of an alert": "not_due",
        "off": "box.expiry_alert",
        "off, day of a notice": "not_due",
        "held": "box.expiry_alert",
        "without method": "box.expiry_alert",
        "domain": "box.expiry_alert",
        "declined": "box.expiry_alert",
        "lost": "box.expiry_alert",
    }


def test_who_is_not_told_of_the_end_and_why(desk: Desk) -> None:
    on = E - 30 * DAY
    off: dict[str, Any] = {"auto_renew": False}
    with desk.store.write() as connection:
        names = ("unknown", "failed", "declined.today", "declined.yesterday", "told", "told.nearer", "noticed", "last")
        boxes = {name: renewing_box(connection, name, **off) for name in names}
        boxes["cancelled"] = renewing_box(connection, "cancelled", cancelled_on=E, **off)
        boxes["unapplied"] = unapplied(connection, "unapplied", **off)
        tried(connection, boxes["unknown"], 7, "unknown", on=on)
        parked(connection, boxes["failed"], "send_alerts", on=on)
        for name, kind, occurred_on, milestone, term in (
            ("declined.today", "charge.declined", on, None, E),
            ("declined.yesterday", "charge.declined", on - DAY, None, E),
            ("told", "box.expiry_alert", on, 30, E),
            ("told.nearer", "box.expiry_alert", on, 15, E),
            ("noticed", "box.renewal_notice", on, 30, E),
            ("last", "box.expiry_alert", on - 365 * DAY, 30, date(2026, 3, 31)),
        ):
            told: dict[str, Any] = {"occurred_on": occurred_on, "milestone": milestone, "term_expires_on": term}
            happened(connection, kind, boxes[name], name, **told)

    assert desk.reasons("send_alerts", on, boxes) == {
        "unknown": "unresolved_charge",
        "failed": "parked",
        "declined.today": "declined_today",
        "declined.yesterday": "box.expiry_alert",
        "told": "not_due",
        "told.nearer": "not_due",
        "noticed": "not_due",
        "last": "box.expiry_alert",
        "cancelled": "cancelled",
        "unapplied": "unapplied_payment",
    }


def test_a_warning_falls_on_the_day_of_its_milestone_before_x(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = suspended(connection, "a")
        late = suspended(connection, "late", suspended_on=E + 80 * DAY)
        held = suspended(connection, "held", hold_until=E + 75 * DAY, hold_reason="dispute")
        today = suspended(connection, "today", suspended_on=E + 61 * DAY)

    assert desk.days("send_alerts", box, X, range(-31, -28)) == {
        -31: "not_due",
        -30: "box.deletion_warning",
        -29: "not_due",
    }
    assert desk.told("send_alerts", late, E + 103 * DAY) == ["box.deletion_warning"]
    assert desk.told("send_alerts", held, E + 98 * DAY) == ["box.deletion_warning"]
    assert desk.told("send_alerts", today, E + 61 * DAY) == ["not_due"], "its holder was told of the suspension"


def test_a_warning_that_fell_since_the_last_run_is_given_late_but_not_on_the_day_of_the_deletion(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = suspended(connection, "a")
        failing = suspended(connection, "failing")
        parked(connection, failing, "delete", on=X)
        completed(connection, X - 30 * DAY)

    assert desk.days("send_alerts", box, X, range(-8, -5)) == {
        -8: "not_due",
        -7: "box.deletion_warning",
        -6: "box.deletion_warning",
    }
    assert desk.told("send_alerts", failing, X) == ["not_due"]


def test_who_is_not_warned_of_the_deletion_and_why(desk: Desk) -> None:
    on = X - 30 * DAY
    with desk.store.write() as connection:
        boxes = {
            "by hand": suspended(connection, "by.hand", suspended_reason="abuse"),
            "held": suspended(connection, "held", hold_reason="court order"),
            "unknown": suspended(connection, "unknown"),
            "unapplied": unapplied(connection, "unapplied", status="suspended"),
            "failed": suspended(connection, "failed"),
            "told": suspended(connection, "told"),
            "cancelled": suspended(connection, "cancelled", cancelled_on=E),
        }
        tried(connection, boxes["unknown"], 0, "unknown", on=on)
        parked(connection, boxes["failed"], "send_alerts", on=on)
        happened(connection, "box.deletion_warning", boxes["told"], "told", occurred_on=on, milestone=30)

    assert desk.reasons("send_alerts", on, boxes) == {
        "by hand": "not_due",
        "held": "on_hold",
        "unknown": "unresolved_charge",
        "unapplied": "unapplied_payment",
        "failed": "parked",
        "told": "not_due",
        "cancelled": "box.deletion_warning",
    }


def test_whoever_reaches_x_unwarned_is_warned_at_once_where_a_warning_is_required(desk: Desk, tmp_path: Path) -> None:
    strict = Desk(desk.store, settings_for(tmp_path, deletion={"require_delivered_warning": True}))
    with desk.store.write() as connection:
        boxes = {name: suspended(connection, name) for name in ("untold", "sent", "waiting", "warned")}
        boxes["by hand"] = suspended(connection, "by.hand", suspended_reason="abuse")
        boxes["a day before"] = suspended(connection, "before", expires_on=E + DAY)
        delivered(connection, boxes["sent"], "sent", on=X - DAY)
        delivered(connection, boxes["waiting"], "waiting", on=X - DAY, status="queued")
        happened(connection, "box.deletion_warning", boxes["warned"], "warned", occurred_on=X, milestone=0)

    assert strict.reasons("send_alerts", X, boxes) == {
        "untold": "box.deletion_warning",
        "sent": "not_due",
        "waiting": "not_due",
        "warned": "not_due",
        "by hand": "not_due",
        "a day before": "not_due",
    }


# --- renew_addons ---


def an_addon(connection: Connection, name: str, *, credit: int = 9000, box: date = YEAR_LATER, **values: Any) -> int:
    """An add-on with A = E of a box that was renewed for a year since; its holder has credit. Returns the box."""
    of_box = {key: values.pop(key) for key in ("status", "suspended_reason", "renewal_years") if key in values}
    number = renewing_box(connection, name, credit=credit, auto_renew=False, expires_on=box, **of_box)
    of_addon: dict[str, Any] = {"paid_from": "credit", "expires_on": E}
    factories.addon(connection, name, number, **(of_addon | values))
    return number


def test_an_addon_follows_its_box_that_was_renewed(desk: Desk) -> None:
    with desk.store.write() as connection:
        boxes = {
            "enough": an_addon(connection, "enough", credit=305),
            "a cent short": an_addon(connection, "short", credit=304),
            "a year and a day": an_addon(connection, "begun", credit=305, expires_on=E - DAY),
            "paid with the box": an_addon(connection, "renewal", paid_from="renewal"),
            "given up": an_addon(connection, "given.up", cancelled_on=E - 9 * DAY),
            "suspended": an_addon(connection, "suspended", status="suspended", suspended_reason="abuse"),
            "as long as its box": an_addon(connection, "lasting", box=E),
        }

    assert desk.reasons("renew_addons", E, boxes) == {
        "enough": "addon.renewed",
        "a cent short": "addon.credit_short",
        "a year and a day": "addon.disabled",
        "paid with the box": "not_due",
        "given up": "not_due",
        "suspended": "not_due",
        "as long as its box": "not_due",
    }
    assert desk.told("renew_addons", boxes["a cent short"], E + DAY) == ["addon.disabled"]
    assert desk.told("renew_addons", boxes["given up"], E + DAY) == ["addon.disabled"]


def test_an_addon_whose_box_was_not_renewed_waits_while_the_credit_would_do(desk: Desk) -> None:
    with desk.store.write() as connection:
        boxes = {
            "enough": an_addon(connection, "enough", box=E, credit=305),
            "a cent short": an_addon(connection, "short", box=E, credit=304),
            "short for two years": an_addon(connection, "two", box=E, credit=609, renewal_years=2),
            "paid with the box": an_addon(connection, "renewal", box=E, paid_from="renewal"),
            "given up": an_addon(connection, "given.up", box=E, paid_from="renewal", cancelled_on=E - 9 * DAY),
        }

    assert set(desk.reasons("renew_addons", E, boxes).values()) == {"not_due"}
    assert desk.reasons("renew_addons", E + DAY, boxes) == {
        "enough": "waits_for_its_box",
        "a cent short": "addon.disabled",
        "short for two years": "addon.disabled",
        "paid with the box": "not_due",
        "given up": "addon.disabled",
    }


def test_a_box_counts_as_renewed_up_to_and_including_its_new_e(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = an_addon(connection, "a")

    assert desk.days("renew_addons", box, YEAR_LATER, range(2)) == {0: "addon.renewed", 1: "waits_for_its_box"}


def test_credit_that_is_short_is_announced_once_a_term(desk: Desk) -> None:
    with desk.store.write() as connection:
        boxes = {name: an_addon(connection, name, credit=0) for name in ("now", "before")}
        for name, term in (("now", E), ("before", date(2026, 3, 31))):
            of_term: dict[str, Any] = {"occurred_on": term - 7 * DAY, "term_expires_on": term}
            happened(connection, "addon.credit_short", boxes[name], name, addon_id=name, **of_term)

    assert desk.reasons("renew_addons", E, boxes) == {"now": "already_announced", "before": "addon.credit_short"}


def test_which_addons_are_left_alone_and_why(desk: Desk) -> None:
    with desk.store.write() as connection:
        boxes = {name: an_addon(connection, name) for name in ("unknown", "failed", "failed.yesterday")}
        tried(connection, boxes["unknown"], 7, "unknown", on=E)
        boxes["unapplied"] = unapplied(connection, "unapplied", expires_on=YEAR_LATER, credit=9000)
        factories.addon(connection, "unapplied", boxes["unapplied"], paid_from="credit", expires_on=E)
        for name, on in (("failed", E), ("failed.yesterday", E - DAY)):
            parked(connection, boxes[name], "renew_addons", on=on, subject=f"addon:{name}")

    assert desk.reasons("renew_addons", E, boxes) == {
        "unknown": "unresolved_charge",
        "failed": "parked",
        "failed.yesterday": "addon.renewed",
        "unapplied": "unapplied_payment",
    }


def test_the_box_comes_before_its_addons_when_credit_is_short(desk: Desk) -> None:
    with desk.store.write() as connection:
        box = renewing_box(connection, kind="credit", credit=1208)
        other = factories.box(connection, "b@pec.it", customer_id="c-a", expires_on=YEAR_LATER)
        factories.addon(connection, "b", other, paid_from="credit", expires_on=E)

    assert desk.told("auto_renew", box, E) == ["box.renewed"]
    assert desk.told("renew_addons", other, E) == ["addon.credit_short"]
