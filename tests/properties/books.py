"""What must hold of a provider at any time, asked of the bare rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from lifecycle_jobs import policy
from lifecycle_jobs.mail.contents import MESSAGE_KINDS
from lifecycle_jobs.payments.sandbox import bookings
from tests.daily import Rows
from tests.properties.lives import Provider, World, expected_expiry

Row = dict[str, Any]


def assert_sound(world: World, provider: Provider, on: date) -> None:
    """Everything below, after the run of a date."""
    rows = world.rows()
    nothing_is_parked(rows)
    no_milestone_comes_twice_or_after_a_nearer_one(rows)
    credit_is_never_negative_and_equals_its_ledger(rows)
    debits_equal_the_orders_that_credit_paid(rows)
    each_renewal_has_an_order_that_is_paid_or_on_account(rows)
    expiry_is_the_imported_one_plus_the_renewals(rows, provider)
    the_bank_has_booked_what_we_think(rows, world)
    no_method_is_charged_again_after_a_hard_decline(rows)
    who_is_active_past_expiry_has_a_reason(rows, world, on)
    what_is_deleted_had_its_time(rows, world)
    every_event_that_is_told_has_one_message(rows)


def nothing_is_parked(rows: Rows) -> None:
    assert rows["parked_rows"] == []


def no_milestone_comes_twice_or_after_a_nearer_one(rows: Rows) -> None:
    told = defaultdict(list)
    for event in rows["events"]:
        if event["milestone"] is not None:
            when = "after" if event["kind"] == "box.deletion_warning" else "before"
            told[event["box_id"], event["term_expires_on"], when].append(event["milestone"])
    for milestones in told.values():
        assert all(nearer < farther for farther, nearer in pairwise(milestones))


def credit_is_never_negative_and_equals_its_ledger(rows: Rows) -> None:
    balances: Counter[str] = Counter()
    for entry in rows["credit_entries"]:
        balances[entry["customer_id"]] += entry["amount_cents"]
        assert entry["balance_after_cents"] == balances[entry["customer_id"]] >= 0
    for customer in rows["customers"]:
        assert customer["credit_cents"] == balances[customer["customer_id"]]


def debits_equal_the_orders_that_credit_paid(rows: Rows) -> None:
    by_credit = {
        charge["order_id"]
        for charge in rows["charges"]
        if (charge["method_kind"], charge["status"]) == ("credit", "succeeded")
    }
    paid = sum(
        order["gross_cents"]
        for order in rows["orders"]
        if order["status"] == "paid" and (order["id"] in by_credit or order["kind"] == "addon")
    )
    assert -sum(entry["amount_cents"] for entry in rows["credit_entries"] if entry["amount_cents"] < 0) == paid


def each_renewal_has_an_order_that_is_paid_or_on_account(rows: Rows) -> None:
    orders = {order["order_number"]: order for order in rows["orders"]}
    renewals = _renewals(rows)
    for renewal in renewals:
        assert orders[renewal["detail"]["order_number"]]["status"] in {"paid", "on_account"}
    settled = [o for o in rows["orders"] if o["kind"] == "renewal" and o["status"] in {"paid", "on_account"}]
    assert len(settled) == len(renewals)


def expiry_is_the_imported_one_plus_the_renewals(rows: Rows, provider: Provider) -> None:
    imported = {f"c{c}-b{b}@pec.example.it": box for c, of in enumerate(provider) for b, box in enumerate(of.boxes)}
    for box in rows["boxes"]:
        years = [renewal["detail"]["years"] for renewal in _renewals(rows) if renewal["box_id"] == box["id"]]
        assert box["expires_on"] == expected_expiry(imported[box["address"]], years)


def the_bank_has_booked_what_we_think(rows: Rows, world: World) -> None:
    booked = {line.key: line.amount_cents for line in bookings(world.journal)}
    ours = {charge["idempotency_key"]: charge for charge in rows["charges"] if charge["method_kind"] != "credit"}
    succeeded = {key: charge["amount_cents"] for key, charge in ours.items() if charge["status"] == "succeeded"}
    still_unknown = {
        key: charge["amount_cents"]
        for key, charge in ours.items()
        if (charge["status"], charge["token"]) == ("unknown", "sandbox_lost_answer_paid")
    }
    assert booked == succeeded | still_unknown
    terms = Counter((ours[key]["box_id"], ours[key]["term_expires_on"]) for key in booked)
    assert all(count == 1 for count in terms.values())


def no_method_is_charged_again_after_a_hard_decline(rows: Rows) -> None:
    refused = set()
    for charge in rows["charges"]:
        method = (charge["box_id"], charge["term_expires_on"], charge["payment_method_id"], charge["token"])
        assert method not in refused
        if charge["hard"]:
            refused.add(method)


def who_is_active_past_expiry_has_a_reason(rows: Rows, world: World, on: date) -> None:
    catalog = world.settings.catalog()
    for box in rows["boxes"]:
        if box["status"] != "active" or box["expires_on"] >= on:
            continue
        grace = on <= box["expires_on"] + timedelta(days=catalog.policy_of(box["plan"]).outage_grace_days)
        of_term = [c for c in rows["charges"] if _is_of_term(c, box)]
        assert (
            policy.on_hold(box["hold_until"], box["hold_reason"], on)
            or any(charge["status"] in {"pending", "unknown"} for charge in of_term)
            or (grace and of_term[-1:] and of_term[-1]["status"] == "not_attempted")
        )


def what_is_deleted_had_its_time(rows: Rows, world: World) -> None:
    catalog = world.settings.catalog()
    for box in rows["boxes"]:
        if box["status"] != "deleted":
            continue
        rules = catalog.policy_of(box["plan"])
        day = policy.deletion_date(rules, box["expires_on"], box["suspended_on"], box["hold_until"])
        assert box["deleted_on"] >= day > box["suspended_on"]
        assert not any(a["status"] == "active" for a in rows["addons"] if a["box_id"] == box["id"])
        assert not any(o["status"] == "awaiting_payment" for o in rows["orders"] if o["box_id"] == box["id"])


def every_event_that_is_told_has_one_message(rows: Rows) -> None:
    told = sorted(link["event_id"] for link in rows["message_events"])
    assert told == sorted(event["id"] for event in rows["events"] if event["kind"] in MESSAGE_KINDS)
    keys = Counter(
        (m["customer_id"], m["kind"], m["message_key"].split("/")[1], m["created_on"]) for m in rows["messages"]
    )
    assert all(count == 1 for count in keys.values())


def _renewals(rows: Rows) -> list[Row]:
    return [event for event in rows["events"] if event["kind"] == "box.renewed"]


def _is_of_term(charge: Row, box: Row) -> bool:
    return bool((charge["box_id"], charge["term_expires_on"]) == (box["id"], box["expires_on"]))
