"""What must hold of a provider at any time, asked of the bare rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from lifecycle_jobs import policy
from lifecycle_jobs.payments.sandbox import bookings
from tests.daily import Rows
from tests.properties.lives import Provider, World, expected_expiry

Row = dict[str, Any]


def assert_sound(world: World, provider: Provider) -> None:
    """Everything below; the audit, which asks for more and takes longer, comes at the end of each life."""
    rows = world.rows()
    nothing_is_parked(rows)
    no_milestone_comes_twice_or_after_a_nearer_one(rows)
    expiry_is_the_imported_one_plus_the_renewals(rows, provider)
    the_bank_has_booked_what_we_think(rows, world)
    no_method_is_charged_again_after_a_hard_decline(rows)
    what_is_deleted_had_its_time(rows, world)


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


def _renewals(rows: Rows) -> list[Row]:
    return [event for event in rows["events"] if event["kind"] == "box.renewed"]
