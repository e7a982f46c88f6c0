"""What the made-up provider says is due, counted once more by SQL that knows nothing of how it was made."""

# ruff: noqa: S608  the statements are put together from what stands here
from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
from sqlalchemy import Connection, text

from lifecycle_jobs.db.session import open_store
from tests.bench.catalog import shipped_catalog
from tests.bench.load import load
from tests.bench.provider import Provider

ON = date(2026, 3, 24)
BOXES = 15_000

_ELIGIBLE = """
    b.status = 'active' AND b.auto_renew AND b.cancelled_on IS NULL AND b.hold_reason IS NULL AND b.plan <> 'domain'
"""
_CHARGES = "SELECT 1 FROM charges c WHERE c.box_id = b.id AND c.term_expires_on = b.expires_on"
_UNPAID = "b.status = 'suspended' AND b.suspended_reason = 'unpaid' AND b.hold_reason IS NULL"
_ALERTED = "('2026-06-22', '2026-05-23', '2026-04-23', '2026-04-08', '2026-03-31', '2026-03-25')"
_SLOTS = "('2026-03-31', '2026-03-29', '2026-03-27', '2026-03-25', '2026-03-24')"
_OPEN_ADDON = "a.paid_from = 'credit' AND a.status = 'active' AND b.status <> 'deleted'"

COUNTS = {
    "unresolved since yesterday": "SELECT count(*) FROM charges WHERE status = 'unknown'",
    "renewal notices": f"""
        SELECT count(*) FROM boxes b
        WHERE {_ELIGIBLE} AND b.expires_on IN ('2026-06-22', '2026-04-30') AND NOT EXISTS ({_CHARGES})
    """,
    "expiry alerts": f"""
        SELECT count(*) FROM boxes b
        WHERE b.status = 'active' AND b.cancelled_on IS NULL AND b.expires_on IN {_ALERTED}
        AND (NOT ({_ELIGIBLE}) OR EXISTS ({_CHARGES} AND c.hard AND c.payment_method_id = b.payment_method_id))
    """,
    "deletion warnings": f"""
        SELECT count(*) FROM boxes b WHERE {_UNPAID} AND b.expires_on IN ('2026-02-21', '2026-01-22', '2025-12-30')
    """,
    "deletions": f"SELECT count(*) FROM boxes b WHERE {_UNPAID} AND b.expires_on <= '2025-12-23'",
    "suspensions": """
        SELECT count(*) FROM boxes b WHERE b.status = 'active' AND b.hold_reason IS NULL AND b.expires_on < '2026-03-24'
    """,
    "renewals and charges": f"""
        SELECT count(*) FROM boxes b WHERE {_ELIGIBLE} AND b.expires_on BETWEEN '2026-03-24' AND '2026-03-31' AND (
            (b.expires_on IN {_SLOTS} AND NOT EXISTS ({_CHARGES} AND (c.hard OR c.status = 'unknown')))
            OR EXISTS ({_CHARGES} AND c.hard AND c.payment_method_id <> b.payment_method_id)
            OR EXISTS ({_CHARGES} AND c.token = 'sandbox_lost_answer_never_seen' AND c.status = 'unknown')
        )
    """,
    "add-ons switched off": f"""
        SELECT count(*) FROM addons a JOIN boxes b ON b.id = a.box_id JOIN customers u ON u.customer_id = b.customer_id
        WHERE {_OPEN_ADDON} AND a.expires_on < '2026-03-24' AND u.credit_cents = 100
    """,
}


@pytest.mark.parametrize("seed", [1])
def test_what_is_due_is_what_the_database_shows(empty_database_url: str, seed: int) -> None:
    provider = Provider(BOXES, ON, shipped_catalog(), seed=seed)
    rows = load(empty_database_url, provider.batches())
    store = open_store(empty_database_url)
    with store.read() as connection:
        found = {what: connection.scalar(text(statement)) for what, statement in COUNTS.items()}
        wrong = impossible(connection)
    store.engine.dispose()

    events, attempts = provider.due.events, provider.due.attempts
    on_account = found["renewals and charges"] - attempts.total()
    assert rows > 5 * BOXES
    assert found == {
        "unresolved since yesterday": len(provider.due.at_the_bank),
        "renewal notices": events["send_alerts", "box.renewal_notice"],
        "expiry alerts": events["send_alerts", "box.expiry_alert"],
        "deletion warnings": events["send_alerts", "box.deletion_warning"],
        "deletions": events["delete", "box.deleted"],
        "suspensions": events["suspend", "box.suspended"],
        "renewals and charges": events["auto_renew", "box.renewed"] + attempts["declined"] + attempts["unknown"],
        "add-ons switched off": events["renew_addons", "addon.disabled"],
    }
    assert 0 < on_account == events["auto_renew", "box.renewed"] - attempts["succeeded"]
    assert wrong == {}


def impossible(connection: Connection) -> dict[str, int]:
    statements = {
        "a balance that is not the sum of its ledger": """
            SELECT count(*) FROM customers u WHERE credit_cents <>
            (SELECT coalesce(sum(amount_cents), 0) FROM credit_entries e WHERE e.customer_id = u.customer_id)
        """,
        "an order that is not the sum of its lines": """
            SELECT count(*) FROM orders o WHERE net_cents <>
            (SELECT sum(net_cents) FROM order_lines l WHERE l.order_id = o.id)
        """,
        "a renewal add-on that ends with another day than its box": """
            SELECT count(*) FROM addons a JOIN boxes b ON b.id = a.box_id
            WHERE a.paid_from = 'renewal' AND a.expires_on <> b.expires_on
        """,
        "a box whose slot went by without a charge": f"""
            SELECT count(*) FROM boxes b
            WHERE {_ELIGIBLE} AND b.expires_on < '2026-03-31' AND NOT EXISTS ({_CHARGES})
        """,
        "a charge in the past without a notice": """
            SELECT count(*) FROM charges c JOIN boxes b ON b.id = c.box_id AND b.expires_on = c.term_expires_on
            WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.box_id = b.id AND e.kind = 'box.renewal_notice'
            AND e.term_expires_on = b.expires_on)
        """,
        "a charge of somebody else's card": """
            SELECT count(*) FROM charges c JOIN boxes b ON b.id = c.box_id
            JOIN payment_methods m ON m.payment_method_id = c.payment_method_id WHERE m.customer_id <> b.customer_id
        """,
        "a thing that happened on the day or later": """
            SELECT count(*) FROM events WHERE occurred_on >= '2026-03-24'
        """,
    }
    counted = {what: connection.scalar(text(statement)) or 0 for what, statement in statements.items()}
    return {what: count for what, count in counted.items() if count}


def test_the_same_seed_makes_the_same_provider() -> None:
    catalog = shipped_catalog()
    first, second, other = (Provider(3_000, ON, catalog, seed=seed) for seed in (7, 7, 8))

    assert list(first.batches()) == list(second.batches()) != list(other.batches())
    assert first.due == second.due != other.due


def test_every_job_has_work() -> None:
    provider = Provider(150_000, ON, shipped_catalog())
    for _ in provider.batches():
        pass

    by_job: Counter[str] = Counter()
    for (job, _), count in provider.due.events.items():
        by_job[job] += count
    assert set(by_job) == {
        "reconcile_charges",
        "auto_renew",
        "renew_addons",
        "suspend",
        "delete",
        "send_alerts",
    }
