"""Automatic renewal: who is charged when, what each answer of the bank leads to, and when nobody is called any more.

SPEC §3, auto_renew. The rule stands row by row in the same code for both databases; where SQL decides, both are tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from lifecycle_jobs.db import tables
from lifecycle_jobs.payments.gateway import ChargeOutcome, ChargeRequest
from lifecycle_jobs.payments.sandbox import SandboxGateway
from lifecycle_jobs.payments.sandbox_journal import read_lines
from lifecycle_jobs.policy import Policy
from lifecycle_jobs.settings.sections import policy_contradictions
from tests import factories
from tests.jobs.running import (
    BROKEN,
    E,
    Office,
    addon_row,
    box_row,
    broken,
    change,
    charged,
    details,
    everything,
    expires_on,
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
FIRST_SLOT = E - 7 * DAY
NEXT_E = date(2028, 3, 31)
DECLINING = "pm_card_visa_chargeDeclined"
EXPIRED_CARD = "pm_card_chargeDeclinedExpiredCard"
UNAVAILABLE = "sandbox_unavailable"


class Meddling(SandboxGateway):
    """A bank during whose first call something else happens."""

    def __init__(self, journal: Path, meanwhile: Callable[[], None]) -> None:
        super().__init__(journal)
        self.meanwhile: Callable[[], None] | None = meanwhile

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return super().charge(request)


def calls(office: Office) -> int:
    """How many requests were sent to the bank, whether it took them or not."""
    return len(read_lines(office.settings.sandbox.journal))


def with_limit(office: Office, tmp_path: Path, limit: int) -> Office:
    """The same office, giving the bank up sooner."""
    return replace(office, settings=settings_for(tmp_path, gateway={"outage_limit": limit}))


def test_of_four_neighbours_only_the_one_that_is_due_is_renewed(office: Office) -> None:
    with office.store.write() as connection:
        due = renewing_box(connection, "due")
        renewing_box(connection, "not.yet", expires_on=E + DAY)
        renewing_box(connection, "switched.off", auto_renew=False)
        renewing_box(connection, "suspended", status="suspended", expires_on=FIRST_SLOT - DAY)
    before = look(office.store, tables.boxes)

    report = office.job("auto_renew", FIRST_SLOT)

    assert look(office.store, tables.boxes) == [before[0] | {"expires_on": NEXT_E}, *before[1:]]
    assert happened(office.store) == happened(office.store, due) == ["box.renewed"]
    assert office.booked() == [f"R-{due}-20270331"]
    assert report.skipped == {"auto_renew_off": 1}


def test_a_renewal_leaves_a_paid_order_a_charge_and_a_receipt(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)

    office.job("auto_renew", FIRST_SLOT)

    (order,) = look(office.store, tables.orders)
    assert (order["order_number"], order["kind"], order["status"]) == (f"R-{box}-20270331", "renewal", "paid")
    assert (order["placed_on"], order["paid_on"], order["term_expires_on"]) == (FIRST_SLOT, FIRST_SLOT, E)
    assert (order["net_cents"], order["vat_cents"], order["gross_cents"]) == (990, 218, 1208)
    (line,) = look(office.store, tables.order_lines)
    assert (line["item"], line["quantity"], line["unit_price_cents"], line["years"]) == ("standard", 1, 990, 1)
    (charge,) = look(office.store, tables.charges)
    assert (charge["slot"], charge["attempt"], charge["status"]) == (7, 1, "succeeded")
    assert (charge["amount_cents"], charge["payment_method_id"], charge["token"]) == (1208, "pm-a", "pm_card_visa")
    assert (charge["attempted_on"], charge["settled_on"]) == (FIRST_SLOT, FIRST_SLOT)
    assert charge["gateway_reference"].startswith("sandbox_")
    assert details(office.store, "box.renewed") == [
        {
            "order_number": f"R-{box}-20270331",
            "years": 1,
            "new_expires_on": "2028-03-31",
            "net": "9.90",
            "vat": "2.18",
            "gross": "12.08",
            "method": "card",
            "addons": [],
        }
    ]


def test_a_second_run_changes_nothing(office: Office) -> None:
    with office.store.write() as connection:
        for name, token in (("a", "pm_card_visa"), ("b", DECLINING), ("c", UNAVAILABLE), ("d", EXPIRED_CARD)):
            renewing_box(connection, name, token=token)
        renewing_box(connection, "e", kind="agreement")
        renewing_box(connection, "f", kind="credit")
        renewing_box(connection, "g", token="sandbox_lost_answer_paid")
    office.job("auto_renew", FIRST_SLOT)
    before = everything(office.store)

    office.job("auto_renew", FIRST_SLOT)
    office.job("auto_renew", FIRST_SLOT, run_pass=2)

    assert everything(office.store) == before


def test_the_first_attempt_is_made_seven_days_before_e_and_the_last_ten_days_after(office: Office) -> None:
    with office.store.write() as connection:
        boxes = {
            days: renewing_box(connection, f"box{days}", expires_on=E + days * DAY) for days in (8, 7, 0, -10, -11)
        }

    office.job("auto_renew", E)

    assert {days: charged(office.store, box) for days, box in boxes.items()} == {
        8: [],
        7: [(7, "succeeded")],
        0: [(0, "succeeded")],
        -10: [(0, "succeeded")],
        -11: [],
    }


def test_whoever_is_not_eligible_is_not_charged(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, "off", auto_renew=False)
        renewing_box(connection, "cancelled", cancelled_on=E - 400 * DAY)
        renewing_box(connection, "cancelled.ahead", cancelled_on=E + 400 * DAY)
        renewing_box(connection, "held", hold_until=FIRST_SLOT)
        renewing_box(connection, "held.for.good", hold_reason="court order")
        renewing_box(connection, "without.method", payment_method_id=None)
        renewing_box(connection, "domain", plan="domain", domain="example.it")
        tried(connection, renewing_box(connection, "asked"), 7, "unknown", on=FIRST_SLOT - DAY)
        renewing_box(connection, "suspended", status="suspended", suspended_on=FIRST_SLOT, suspended_reason="abuse")
        renewing_box(connection, "deleted", status="deleted", deleted_on=FIRST_SLOT - DAY)
        released = renewing_box(connection, "released", hold_until=FIRST_SLOT - DAY, hold_reason="dispute")

    report = office.job("auto_renew", FIRST_SLOT)

    assert office.booked() == [f"R-{released}-20270331"]
    assert report.skipped == {
        "auto_renew_off": 1,
        "cancelled": 2,
        "on_hold": 2,
        "no_payment_method": 1,
        "plan_not_auto_renewable": 1,
        "unresolved_charge": 1,
    }


def test_a_declined_card_is_tried_once_a_slot_and_never_after_e(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        box = renewing_box(connection, token=DECLINING)

    for days in range(9, -3, -1):
        office.job("auto_renew", E - days * DAY)

    attempts = look(office.store, tables.charges)
    assert [(row["slot"], E - row["attempted_on"]) for row in attempts] == [
        (slot, slot * DAY) for slot in (7, 5, 3, 1, 0)
    ]
    assert {row["status"] for row in attempts} == {"declined"}
    assert len({row["idempotency_key"] for row in attempts}) == 5
    assert [(told["final"], told["next_attempt_on"]) for told in details(office.store, "charge.declined")] == [
        (False, "2027-03-26"),
        (False, "2027-03-28"),
        (False, "2027-03-30"),
        (False, "2027-03-31"),
        (True, None),
    ]
    assert expires_on(office.store, box) == E


def test_a_decline_says_why_and_leaves_the_order_open(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token="pm_card_visa_chargeDeclinedInsufficientFunds")

    office.job("auto_renew", FIRST_SLOT)

    assert details(office.store, "charge.declined") == [
        {
            "order_number": f"R-{box}-20270331",
            "amount": "12.08",
            "code": "insufficient_funds",
            "advice": "funds",
            "hard": False,
            "final": False,
            "next_attempt_on": "2027-03-26",
            "slot": 7,
            "method": "card",
        }
    ]
    (order,) = look(office.store, tables.orders)
    assert (order["status"], order["paid_on"]) == ("awaiting_payment", None)
    assert status(office.store, box) == "active"


def test_all_attempts_of_a_term_collect_the_same_order(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        box = renewing_box(connection, token="sandbox_paid_from:2027-03-28")

    for days in (7, 5, 3):
        office.job("auto_renew", E - days * DAY)

    assert charged(office.store) == [(7, "declined"), (5, "declined"), (3, "succeeded")]
    assert [(row["placed_on"], row["status"]) for row in look(office.store, tables.orders)] == [(FIRST_SLOT, "paid")]
    assert expires_on(office.store, box) == NEXT_E


@pytest.mark.parametrize(("on", "slot"), [(E - 4 * DAY, 5), (E - DAY, 1), (E + 5 * DAY, 0), (E + 10 * DAY, 0)])
def test_after_downtime_exactly_one_attempt_is_made(sqlite_office: Office, on: date, slot: int) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        tried(connection, renewing_box(connection, token=DECLINING), 7, "declined")

    office.job("auto_renew", on)
    office.job("auto_renew", on)

    assert charged(office.store) == [(7, "declined"), (slot, "declined")]


def test_a_replay_of_an_earlier_date_does_not_charge_for_a_slot_that_is_over(office: Office) -> None:
    with office.store.write() as connection:
        tried(connection, renewing_box(connection), 5, "declined")

    report = office.job("auto_renew", FIRST_SLOT)

    assert charged(office.store) == [(5, "declined")]
    assert report.skipped == {"slot_used": 1}


def test_a_late_renewal_counts_from_e_not_from_the_day_of_payment(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        box = renewing_box(connection, renewal_years=2)

    office.job("auto_renew", E + 10 * DAY)

    assert expires_on(office.store, box) == date(2029, 3, 31)
    assert status(office.store, box) == "active"


def test_no_setting_lets_a_box_be_renewed_into_the_past() -> None:
    assert list(policy_contradictions(Policy(late_charge_days=364))) == []
    assert [wrong.at for wrong in policy_contradictions(Policy(late_charge_days=365))] == [("late_charge_days",)]


def test_a_charge_that_never_reached_the_bank_does_not_use_up_its_slot(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token=UNAVAILABLE)
    for day in (E - 7 * DAY, E - 6 * DAY, E - 5 * DAY):
        office.job("auto_renew", day)
        office.job("auto_renew", day)
    change(office.store, tables.payment_methods, "pm-a", token="pm_card_visa")

    office.job("auto_renew", E - 4 * DAY)

    assert charged(office.store) == [
        (7, "not_attempted"),
        (7, "not_attempted"),
        (5, "not_attempted"),
        (5, "succeeded"),
    ]
    assert happened(office.store) == ["box.renewed"]
    assert expires_on(office.store, box) == NEXT_E


def test_the_slot_of_an_outage_stays_free_up_to_three_days_after_e(office: Office) -> None:
    with office.store.write() as connection:
        boxes = {}
        for days in (3, 4):
            boxes[days] = renewing_box(connection, f"box{days}", expires_on=E - days * DAY)
            tried(connection, boxes[days], 0, "not_attempted")
        boxes[10] = renewing_box(connection, "earlier.slot", expires_on=E - 10 * DAY)
        tried(connection, boxes[10], 1, "not_attempted")

    office.job("auto_renew", E)

    assert charged(office.store, boxes[3]) == [(0, "not_attempted"), (0, "succeeded")]
    assert charged(office.store, boxes[4]) == [(0, "not_attempted")]
    assert charged(office.store, boxes[10]) == [(1, "not_attempted"), (0, "succeeded")]


def test_an_outage_later_in_a_slot_does_not_free_what_a_decline_has_used(office: Office) -> None:
    with office.store.write() as connection:
        tried(connection, renewing_box(connection, token=DECLINING), 7, "declined")

    office.job("auto_renew", E - 6 * DAY)

    assert charged(office.store) == [(7, "declined")]


def test_after_a_hard_decline_the_same_method_is_left_alone_for_the_term(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token=EXPIRED_CARD)
    office.job("auto_renew", FIRST_SLOT)

    report = office.job("auto_renew", E - 5 * DAY)

    assert report.skipped == {"declined_for_good": 1}
    assert charged(office.store) == [(7, "declined")]
    (told,) = details(office.store, "charge.declined")
    assert (told["code"], told["hard"], told["final"], told["next_attempt_on"]) == ("expired_card", True, True, None)

    change(office.store, tables.boxes, box, expires_on=NEXT_E)
    office.job("auto_renew", NEXT_E - 7 * DAY)

    assert len(charged(office.store)) == 2, "the next term asks again"


@pytest.mark.parametrize("replaced", ["token", "method"])
@pytest.mark.parametrize("hard", [True, False])
def test_a_replaced_method_is_due_at_once(sqlite_office: Office, replaced: str, hard: bool) -> None:  # noqa: FBT001
    office = sqlite_office
    with office.store.write() as connection:
        box = renewing_box(connection)
        tried(connection, box, 7, "declined", hard=hard)
        factories.method(connection, "pm-new", "c-a", token="pm_card_visa")
    if replaced == "token":
        change(office.store, tables.payment_methods, "pm-a", token="sandbox_paid_from:2020-01-01")
    else:
        change(office.store, tables.boxes, box, payment_method_id="pm-new")

    office.job("auto_renew", E - 6 * DAY)

    assert charged(office.store) == [(7, "declined"), (7, "succeeded")]
    assert look(office.store, tables.charges)[1]["attempt"] == 2


def test_a_replaced_method_waits_for_nothing_up_to_e_and_gets_no_chance_after(office: Office) -> None:
    with office.store.write() as connection:
        for days in (0, 1):
            box = renewing_box(connection, f"box{days}", expires_on=E - days * DAY)
            tried(connection, box, 0, "declined")
            factories.method(connection, f"new-{days}", f"c-box{days}")
            connection.execute(
                update(tables.boxes).where(tables.boxes.c.id == box).values(payment_method_id=f"new-{days}")
            )

    office.job("auto_renew", E)

    assert [(row["term_expires_on"], row["status"]) for row in look(office.store, tables.charges)] == [
        (E, "declined"),
        (E - DAY, "declined"),
        (E, "succeeded"),
    ]


def test_a_replaced_method_that_is_declined_too_waits_for_the_next_slot(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        box = renewing_box(connection, token=EXPIRED_CARD)
        factories.method(connection, "pm-new", "c-a", token=DECLINING)
    office.job("auto_renew", FIRST_SLOT)
    change(office.store, tables.boxes, box, payment_method_id="pm-new")

    office.job("auto_renew", E - 6 * DAY)
    office.job("auto_renew", E - 6 * DAY)
    office.job("auto_renew", E - 5 * DAY)
    change(office.store, tables.boxes, box, payment_method_id="pm-a")
    office.job("auto_renew", E - 4 * DAY)

    assert [(row["slot"], row["payment_method_id"]) for row in look(office.store, tables.charges)] == [
        (7, "pm-a"),
        (7, "pm-new"),
        (5, "pm-new"),
    ]


def test_after_twenty_lost_calls_in_a_row_nobody_calls_any_more(office: Office) -> None:
    with office.store.write() as connection:
        for number in range(22):
            renewing_box(connection, f"lost{number:02}", token=UNAVAILABLE, expires_on=E)
        renewing_box(connection, "y1", expires_on=E)
        on_account = renewing_box(connection, "y2", kind="agreement", expires_on=E)
        from_credit = renewing_box(connection, "y3", kind="credit", credit=5000, expires_on=E)
        for_nothing = renewing_box(connection, "y4", annual_price=0, expires_on=E)

    report = office.day(E + DAY)

    assert calls(office) == 20
    rows = look(office.store, tables.charges)
    not_attempted = [row for row in rows if row["status"] == "not_attempted"]
    assert [row["called"] for row in not_attempted] == [True] * 20 + [False] * 3
    assert {row["slot"] for row in not_attempted} == {0}
    assert [row["method_kind"] for row in rows if row["status"] == "succeeded"] == ["credit"]
    for box in (on_account, from_credit, for_nothing):
        assert expires_on(office.store, box) == NEXT_E
    assert {row["status"] for row in look(office.store, tables.boxes)} == {"active"}
    assert any("20 calls in a row" in failure for failure in report.failures)
    assert report.jobs[1].done["charge.not_attempted"] == 23


def test_any_other_answer_begins_the_count_anew(sqlite_office: Office, tmp_path: Path) -> None:
    office = with_limit(sqlite_office, tmp_path, 2)
    with office.store.write() as connection:
        for number, token in enumerate(
            [UNAVAILABLE, DECLINING, UNAVAILABLE, "pm_card_visa", UNAVAILABLE, "sandbox_lost_answer_paid", UNAVAILABLE]
        ):
            renewing_box(connection, f"box{number}", token=token)

    report = office.job("auto_renew", FIRST_SLOT)

    assert calls(office) == 7
    assert report.failures == []


def test_renewals_without_a_call_neither_count_nor_begin_the_count_anew(sqlite_office: Office, tmp_path: Path) -> None:
    office = with_limit(sqlite_office, tmp_path, 2)
    with office.store.write() as connection:
        renewing_box(connection, "a", token=UNAVAILABLE)
        renewing_box(connection, "b", kind="agreement")
        renewing_box(connection, "c", kind="credit")
        renewing_box(connection, "d", annual_price=0)
        renewing_box(connection, "e", token=UNAVAILABLE)
        renewing_box(connection, "f")

    report = office.job("auto_renew", FIRST_SLOT)

    assert calls(office) == 2
    assert len(report.failures) == 1


def test_a_run_that_was_interrupted_in_an_outage_goes_on_counting(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifecycle_jobs.payments.calls._AT_A_STRETCH", 1)  # all answers before the kill are recorded
    office = with_limit(office, tmp_path, 3)
    with office.store.write() as connection:
        renewing_box(connection, "a", token=UNAVAILABLE)
        renewing_box(connection, "b", token=UNAVAILABLE)
        renewing_box(connection, "c", token="sandbox_lost_answer_paid")
        renewing_box(connection, "d", token=UNAVAILABLE)
        for name in ("e", "f", "g", "h"):
            renewing_box(connection, name, token=UNAVAILABLE)

    class Killed(SandboxGateway):
        def charge(self, request: ChargeRequest) -> ChargeOutcome:
            if request.order_number.startswith("R-5-"):
                raise KeyboardInterrupt
            return super().charge(request)

    with pytest.raises(KeyboardInterrupt):
        replace(office, gateway=Killed(office.settings.sandbox.journal)).job("auto_renew", FIRST_SLOT)
    assert calls(office) == 4

    report = office.job("auto_renew", FIRST_SLOT)

    assert calls(office) == 6, "one call was lost since the last other answer, so two more are"
    assert [row["called"] for row in look(office.store, tables.charges)] == [True] * 7 + [False]
    assert len(report.failures) == 1


def test_the_next_day_everybody_is_tried_again(sqlite_office: Office, tmp_path: Path) -> None:
    office = with_limit(sqlite_office, tmp_path, 2)
    with office.store.write() as connection:
        for name in ("a", "b", "c"):
            renewing_box(connection, name, token=UNAVAILABLE)
    office.job("auto_renew", FIRST_SLOT)
    for name in ("a", "b", "c"):
        change(office.store, tables.payment_methods, f"pm-{name}", token="pm_card_visa")

    report = office.job("auto_renew", FIRST_SLOT + DAY)

    assert len(office.booked()) == 3
    assert report.failures == []


def test_an_answer_that_is_lost_leaves_the_charge_unknown_and_says_nothing(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token="sandbox_lost_answer_paid")

    report = office.job("auto_renew", FIRST_SLOT)

    (charge,) = look(office.store, tables.charges)
    assert (charge["status"], charge["settled_on"]) == ("unknown", None)
    assert happened(office.store) == []
    assert expires_on(office.store, box) == E
    assert report.done == {"charge.unknown": 1}


def test_agreements_and_amounts_of_zero_are_renewed_without_a_charge(office: Office) -> None:
    with office.store.write() as connection:
        on_account = renewing_box(connection, "a", kind="agreement")
        for_nothing = renewing_box(connection, "b", annual_price=0)

    office.job("auto_renew", FIRST_SLOT)

    assert [(row["status"], row["paid_on"]) for row in look(office.store, tables.orders)] == [
        ("on_account", None),
        ("paid", FIRST_SLOT),
    ]
    assert (charged(office.store), calls(office)) == ([], 0)
    assert happened(office.store, on_account) == happened(office.store, for_nothing) == ["box.renewed"]
    assert [told["method"] for told in details(office.store, "box.renewed")] == ["agreement", "card"]


def test_credit_is_charged_like_a_card(office: Office) -> None:
    with office.store.write() as connection:
        renewing_box(connection, "enough", kind="credit", credit=1208)
        renewing_box(connection, "short", kind="credit", credit=1207)

    office.job("auto_renew", FIRST_SLOT)

    assert charged(office.store) == [(7, "succeeded"), (7, "declined")]
    declined = look(office.store, tables.charges)[1]
    assert (declined["decline_code"], declined["hard"]) == ("insufficient_credit", False)
    assert [row["credit_cents"] for row in look(office.store, tables.customers)] == [0, 1207]
    *_, debit = look(office.store, tables.credit_entries)
    assert (debit["amount_cents"], debit["balance_after_cents"], debit["reason"]) == (-1208, 0, "renewal")
    assert calls(office) == 0


def test_what_is_on_the_order_moves_with_the_box(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, renewal_years=2)
        factories.addon(connection, "with.it", box)
        factories.addon(connection, "given.up", box, cancelled_on=E - 100 * DAY)
        factories.addon(connection, "from.credit", box, paid_from="credit")
        factories.addon(connection, "disabled", box, status="disabled")

    office.job("auto_renew", FIRST_SLOT)

    (order,) = look(office.store, tables.orders)
    assert (order["net_cents"], order["gross_cents"], order["years"]) == (2480, 3026, 2)
    assert [row["addon_id"] for row in look(office.store, tables.order_lines)] == [None, "with.it"]
    assert addon_row(office.store, "with.it")["expires_on"] == date(2029, 3, 31)
    for addon in ("given.up", "from.credit", "disabled"):
        assert addon_row(office.store, addon)["expires_on"] == E
    assert details(office.store, "box.renewed")[0]["addons"] == ["with.it"]


def test_a_convention_has_its_own_price(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        renewing_box(connection, annual_price=848)

    office.job("auto_renew", FIRST_SLOT)

    assert [row["gross_cents"] for row in look(office.store, tables.orders)] == [1035]


def add_an_addon(connection: Connection, box: int) -> None:
    factories.addon(connection, "new", box)


def lower_the_price(connection: Connection, box: int) -> None:
    connection.execute(update(tables.boxes).where(tables.boxes.c.id == box).values(annual_price_cents=500))


def lengthen_the_term(connection: Connection, box: int) -> None:
    connection.execute(update(tables.boxes).where(tables.boxes.c.id == box).values(renewal_years=3))


@pytest.mark.parametrize(("alter", "net"), [(add_an_addon, 1240), (lower_the_price, 500), (lengthen_the_term, 2970)])
def test_an_open_order_that_says_something_else_by_now_is_placed_anew(
    sqlite_office: Office, alter: Callable[[Connection, int], None], net: int
) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        box = renewing_box(connection, token="sandbox_paid_from:2027-03-26")
    office.job("auto_renew", FIRST_SLOT)
    with office.store.write() as connection:
        alter(connection, box)

    office.job("auto_renew", E - 5 * DAY)

    assert [(row["order_number"], row["net_cents"], row["status"]) for row in look(office.store, tables.orders)] == [
        (f"R-{box}-20270331", 990, "cancelled"),
        (f"R-{box}-20270331-2", net, "paid"),
    ]
    assert office.booked() == [f"R-{box}-20270331-2"]


def notice(connection: Connection, name: str, *, accepted: int | None, term: date = E, moot: bool = False) -> None:
    """A box with a renewal notice that the mail server took so many days before the first charge, or never."""
    box = renewing_box(connection, name)
    written = FIRST_SLOT - 50 * DAY
    customer = f"c-{name}"
    event = factories.event(
        connection, "box.renewal_notice", occurred_on=written, box_id=box, customer_id=customer, term_expires_on=term
    )
    factories.message(
        connection,
        name,
        event,
        customer_id=customer,
        kind="box.renewal_notice",
        created_on=written,
        status="queued" if accepted is None else "sent",
        accepted_on=None if accepted is None else FIRST_SLOT - accepted * DAY,
    )
    if moot:
        links = tables.message_events
        connection.execute(update(links).where(links.c.event_id == event).values(moot=True))


def test_a_charge_without_a_notice_delivered_thirty_days_before_is_made_and_flagged(office: Office) -> None:
    with office.store.write() as connection:
        notice(connection, "in.time", accepted=30)
        notice(connection, "too.late", accepted=29)
        notice(connection, "never.taken", accepted=None)
        notice(connection, "moot", accepted=30, moot=True)
        notice(connection, "last.term", accepted=30, term=E - 365 * DAY)
        renewing_box(connection, "untold")

    office.job("auto_renew", FIRST_SLOT)

    assert [(row["status"], row["without_notice"]) for row in sorted_by_box(office)] == [
        ("succeeded", False),
        *[("succeeded", True)] * 5,
    ]


def sorted_by_box(office: Office) -> list[dict[str, Any]]:
    return sorted(look(office.store, tables.charges), key=lambda row: row["box_id"])


def test_boxes_go_by_e_then_by_address_in_lower_case_by_code_point(office: Office) -> None:
    with office.store.write() as connection:
        names = {renewing_box(connection, name): name for name in ("b", "_a", "à", "a-b", "a.b")}
        names[renewing_box(connection, "z", expires_on=E - DAY)] = "z"

    office.job("auto_renew", FIRST_SLOT)

    assert [names[row["box_id"]] for row in look(office.store, tables.charges)] == [
        "z",
        *sorted(["b", "_a", "à", "a-b", "a.b"]),
    ]


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"expires_on": NEXT_E},
        {"cancelled_on": FIRST_SLOT},
        {"hold_reason": "dispute"},
        {"auto_renew": False},
        {"payment_method_id": None},
    ],
)
def test_a_box_is_read_again_right_before_its_charge(sqlite_office: Office, meanwhile: dict[str, Any]) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        first = renewing_box(connection, "a")
        second = renewing_box(connection, "b")
    bank = Meddling(office.settings.sandbox.journal, lambda: change(office.store, tables.boxes, second, **meanwhile))

    replace(office, gateway=bank).job("auto_renew", FIRST_SLOT)

    assert office.booked() == [f"R-{first}-20270331"]
    assert charged(office.store, second) == []
    assert happened(office.store, second) == []


def test_a_box_that_another_program_is_changing_is_waited_for_and_read_as_it_then_is(
    postgresql_office: Office,
) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        box = renewing_box(connection, "a")
        neighbour = renewing_box(connection, "b")

    def switch_off(connection: Connection) -> None:
        connection.execute(update(tables.boxes).where(tables.boxes.c.id == box).values(auto_renew=False))

    while_waiting(office, switch_off, lambda: office.job("auto_renew", FIRST_SLOT))

    assert office.booked() == [f"R-{neighbour}-20270331"]
    assert charged(office.store, box) == []


def test_money_that_comes_in_while_the_job_waits_for_the_box_is_not_asked_for_again(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        box, neighbour = (renewing_box(connection, name) for name in ("a", "b"))
        factories.order(connection, f"R-{box}-20270331", customer_id="c-a", box_id=box)

    while_waiting(
        office,
        lambda connection: too_little_comes_in(connection, box),
        lambda: office.job("auto_renew", FIRST_SLOT),
    )

    assert office.booked() == [f"R-{neighbour}-20270331"]
    assert charged(office.store, box) == []


def test_money_that_comes_in_between_the_intent_and_the_call_is_not_asked_for_again(office: Office) -> None:
    with office.store.write() as connection:
        first, second = (renewing_box(connection, name) for name in ("a", "b"))

    def meanwhile() -> None:
        with office.store.write() as connection:
            too_little_comes_in(connection, second)

    bank = Meddling(office.settings.sandbox.journal, meanwhile)
    replace(office, gateway=bank).job("auto_renew", FIRST_SLOT)

    assert office.booked() == [f"R-{first}-20270331"]
    assert charged(office.store, second) == []


def test_a_box_that_fails_before_the_call_is_parked_uncharged_and_the_others_go_on(office: Office) -> None:
    with office.store.write() as connection:
        boxes = [renewing_box(connection, name) for name in ("a", "b", "c")]
    bad = boxes[1]
    with broken(office.store, "orders", "INSERT", f"NEW.box_id = {bad}"):
        report = office.day(FIRST_SLOT)

    assert [expires_on(office.store, box) for box in boxes] == [NEXT_E, E, NEXT_E]
    assert (calls(office), len(report.failures)) == (2, 1)
    ((job, subject, error),) = parked(office.store)
    assert (job, subject, BROKEN in error) == ("auto_renew", f"box:{bad}", True)

    repaired = office.day(FIRST_SLOT)

    assert repaired.failures == []
    assert [expires_on(office.store, box) for box in boxes] == [NEXT_E] * 3
    assert (len(office.booked()), parked(office.store)) == (3, [])


def test_a_box_that_failed_is_not_tried_again_while_the_same_run_goes_on(sqlite_office: Office) -> None:
    office = sqlite_office
    with office.store.write() as connection:
        box = renewing_box(connection)
    with broken(office.store, "orders", "INSERT", f"NEW.box_id = {box}"):
        office.job("auto_renew", FIRST_SLOT, parks=1)

    assert office.job("auto_renew", FIRST_SLOT).skipped == {"parked": 1}
    assert (calls(office), expires_on(office.store, box)) == (0, E)

    office.job("auto_renew", FIRST_SLOT + DAY)
    assert expires_on(office.store, box) == NEXT_E


def test_a_box_that_fails_after_the_call_is_parked_and_renewed_later_without_a_second_charge(
    office: Office,
) -> None:
    with office.store.write() as connection:
        bad = renewing_box(connection, "a")
        neighbour = renewing_box(connection, "b")
    with broken(office.store, "boxes", "UPDATE", f"NEW.id = {bad}"):
        office.day(FIRST_SLOT)

    assert charged(office.store, bad) == [(7, "pending")]
    assert (expires_on(office.store, bad), expires_on(office.store, neighbour)) == (E, NEXT_E)

    repaired = office.day(FIRST_SLOT)

    assert repaired.failures == []
    assert charged(office.store, bad) == [(7, "succeeded")]
    assert box_row(office.store, bad)["expires_on"] == NEXT_E
    assert len(office.booked()) == 2
