"""The audit finds the books of a provider that was lived right, and names each thing that is wrong in them."""

# What is put into these statements stands in this file.
# ruff: noqa: S608

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text, update

from lifecycle_jobs import cli
from lifecycle_jobs.audit import INVARIANTS, LISTED
from lifecycle_jobs.cli import output
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.settings import Settings
from tests import daily, factories, servers
from tests.auditing import Breach, assert_books_are_right, breaches, report_on

E = factories.EXPIRES_ON
LAST_RUN = E + timedelta(days=2)
CARD_ORDER, AGREED_ORDER, FREE_ORDER, PREPAID_ORDER = (f"R-{box}-20270331" for box in (1, 2, 3, 4))
EXTRA_ORDER = "A-credit-gb-20270331"
OPEN_ORDER = "R-7-20270331"

BOXES = ("card", "agreed", "free", "prepaid", "unpaid", "unpaid-too", "declined", "outage", "held", "by-hand", "lost")
"""In the order of their numbers, from 1."""


@dataclass(frozen=True, slots=True)
class World:
    """A provider of each kind of box that has lived through the end of its terms."""

    store: Store
    settings: Settings


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("audit")
    if request.param == "sqlite":
        yield from _lived(servers.fresh_sqlite(folder), folder)
    else:
        with servers.fresh_postgresql() as url:
            yield from _lived(url, folder)


def _lived(url: str, folder: Path) -> Iterator[World]:
    store, settings = open_store(url), daily.settings_for(folder)
    with store.write() as connection:
        _settle(connection)
    for on in (E - timedelta(days=7), E, E + timedelta(days=1), LAST_RUN):
        daily.run(store, settings, on)
    yield World(store, settings)
    store.engine.dispose()


def _settle(connection: Connection) -> None:
    for name in BOXES:
        holder = "unpaid" if name == "unpaid-too" else name
        if name == holder:
            factories.customer(connection, holder, credit=5000 if name == "prepaid" else 0)
        kind, token = {
            "agreed": ("agreement", None),
            "prepaid": ("credit", None),
            "declined": ("card", "pm_card_chargeDeclinedExpiredCard"),
            "outage": ("card", "sandbox_unavailable"),
            "lost": ("card", "sandbox_lost_answer_never_seen"),
        }.get(name, ("card", "pm_card_visa"))
        factories.method(connection, f"{name}-method", holder, kind=kind, token=token)
        factories.box(
            connection,
            f"{name}@pec.example.it",
            customer_id=holder,
            payment_method_id=f"{name}-method",
            auto_renew=name not in {"unpaid", "unpaid-too", "held", "by-hand"},
            annual_price=0 if name == "free" else None,
            hold_reason="dispute" if name == "held" else None,
            expires_on=LAST_RUN + timedelta(days=7) if name == "lost" else E,
        )
    factories.addon(connection, "renewal-gb", 2)
    factories.addon(connection, "credit-gb", 4, paid_from="credit")
    for years in (0, 1):
        _pay_by_hand(connection, date(2027 + years, 3, 31))


def _pay_by_hand(connection: Connection, term: date) -> None:
    box, until = BOXES.index("by-hand") + 1, term.replace(year=term.year + 1)
    number = f"R-by-hand-{term.year}"
    order = factories.order(connection, number, customer_id="by-hand", box_id=box, term_expires_on=term, status="paid")
    factories.registered_payment(connection, f"CRO-{term.year}", order_id=order)
    detail = {"order_number": number, "new_expires_on": until.isoformat()}
    factories.event(
        connection,
        "box.renewed",
        occurred_on=factories.LONG_AGO,
        box_id=box,
        customer_id="by-hand",
        term_expires_on=term,
        detail=detail,
    )
    connection.execute(update(tables.boxes).where(tables.boxes.c.id == box).values(expires_on=until))


def test_a_life_that_was_lived_by_the_jobs_leaves_the_books_right(world: World) -> None:
    assert_books_are_right(world.store, world.settings)


def test_this_life_has_something_of_everything(world: World) -> None:
    rows = daily.all_rows(world.store)

    states = {row["address"].partition("@")[0]: (row["status"], row["expires_on"].year) for row in rows["boxes"]}
    assert states == {
        "card": ("active", 2028),
        "agreed": ("active", 2028),
        "free": ("active", 2028),
        "prepaid": ("active", 2028),
        "unpaid": ("suspended", 2027),
        "unpaid-too": ("suspended", 2027),
        "declined": ("suspended", 2027),
        "outage": ("active", 2027),
        "held": ("active", 2027),
        "by-hand": ("active", 2029),
        "lost": ("active", 2027),
    }
    numbers = {row["order_number"]: row["status"] for row in rows["orders"]}
    assert {number: numbers[number] for number in (CARD_ORDER, AGREED_ORDER, EXTRA_ORDER, OPEN_ORDER)} == {
        CARD_ORDER: "paid",
        AGREED_ORDER: "on_account",
        EXTRA_ORDER: "paid",
        OPEN_ORDER: "awaiting_payment",
    }


def test_the_audit_changes_nothing(world: World) -> None:
    before = daily.all_rows(world.store)

    report_on(world.store, world.settings)

    assert daily.all_rows(world.store) == before


Corruption = tuple[str, Sequence[str], list[Breach]]
"""The invariant that it breaks, what is done to the database, and what the audit says of it."""


def of_order(number: str) -> str:
    return f"order_id = (SELECT id FROM orders WHERE order_number = '{number}')"


def payment(number: str, cents: int = 1208) -> str:
    return (
        "INSERT INTO registered_payments (order_id, reference, amount_cents, registered_on, actor, effective) "
        f"SELECT id, 'CRO-9', {cents}, '2027-03-31', 'x', true FROM orders WHERE order_number = '{number}'"
    )


def debit_becomes(number: str, **values: str) -> str:
    changes = ", ".join(f"{name} = '{value}'" for name, value in values.items())
    return f"UPDATE credit_entries SET {changes} WHERE reference = '{number}'"


def box_becomes(name: str, changes: str) -> str:
    return f"UPDATE boxes SET {changes} WHERE address = '{name}@pec.example.it'"


def events_of(name: str, kind: str) -> str:
    box = f"(SELECT id FROM boxes WHERE address = '{name}@pec.example.it')"
    return f"(SELECT id FROM events WHERE kind = '{kind}' AND box_id = {box})"


SECOND_CHARGE = (
    "INSERT INTO charges (idempotency_key, order_id, box_id, term_expires_on, slot, attempt, payment_method_id, "
    "method_kind, amount_cents, status, attempted_on, attempted_at) SELECT 'again', order_id, box_id, term_expires_on, "
    "0, 1, payment_method_id, method_kind, amount_cents, status, attempted_on, attempted_at FROM charges "
    f"WHERE {of_order(CARD_ORDER)}"
)

CORRUPTIONS: dict[str, Corruption] = {
    "a payment that is gone": (
        "paid_once",
        [f"DELETE FROM charges WHERE {of_order(CARD_ORDER)}"],
        [("paid, but there is no payment for it", f"order:{CARD_ORDER}")],
    ),
    "a payment by hand that is gone": (
        "paid_once",
        ["DELETE FROM registered_payments WHERE reference = 'CRO-2027'"],
        [("paid, but there is no payment for it", "order:R-by-hand-2027")],
    ),
    "a payment that was refunded, and the box kept": (
        "paid_once",
        [f"UPDATE charges SET refunded_on = '2027-04-01' WHERE {of_order(CARD_ORDER)}"],
        [("paid, but there is no payment for it", f"order:{CARD_ORDER}")],
    ),
    "an order charged twice": (
        "paid_once",
        ["DROP INDEX uq_charges_succeeded_of_order", SECOND_CHARGE],
        [("paid more than once", f"order:{CARD_ORDER}")],
    ),
    "an order paid by card and by hand": (
        "paid_once",
        [payment(CARD_ORDER)],
        [("paid more than once", f"order:{CARD_ORDER}")],
    ),
    "an order paid from credit and by hand": (
        "paid_once",
        [payment(EXTRA_ORDER, 305)],
        [("paid more than once", f"order:{EXTRA_ORDER}")],
    ),
    "a payment of another amount": (
        "paid_once",
        [f"UPDATE charges SET amount_cents = 1207 WHERE {of_order(CARD_ORDER)}"],
        [("paid with another amount than its own", f"order:{CARD_ORDER}")],
    ),
    "an order on account that was paid": (
        "paid_once",
        [payment(AGREED_ORDER)],
        [("nothing was to be paid, and yet there is a payment", f"order:{AGREED_ORDER}")],
    ),
    "an order of nothing that was paid": (
        "paid_once",
        [payment(FREE_ORDER)],
        [("nothing was to be paid, and yet there is a payment", f"order:{FREE_ORDER}")],
    ),
    "a credit charge without its debit": (
        "paid_once",
        [debit_becomes(PREPAID_ORDER, reason="correction")],
        [("paid, but there is no payment for it", f"order:{PREPAID_ORDER}")],
    ),
    "an add-on without its debit": (
        "paid_once",
        [debit_becomes(EXTRA_ORDER, reason="correction")],
        [("paid, but there is no payment for it", f"order:{EXTRA_ORDER}")],
    ),
    "a charge that was made and did not pay its order": (
        "money_placed",
        [f"UPDATE charges SET status = 'succeeded' WHERE {of_order(OPEN_ORDER)}"],
        [("succeeded, but its order is not paid", "charge:lifecycle-declined")],
    ),
    "a payment by hand that did not pay its order": (
        "money_placed",
        [payment(OPEN_ORDER)],
        [("registered, but its order is not paid", "payment:CRO-9")],
    ),
    "a debit for an open order": (
        "money_placed",
        [
            (
                "INSERT INTO orders (order_number, kind, customer_id, placed_on, net_cents, vat_cents, gross_cents, "
                "status) VALUES ('A-open', 'addon', 'prepaid', '2027-03-31', 250, 55, 305, 'awaiting_payment')"
            ),
            "UPDATE credit_entries SET reason = 'addon', reference = 'A-open' WHERE reason = 'opening'",
        ],
        [("debited, but its order is not paid", "debit:A-open")],
    ),
    "a debit for an order that another way paid": (
        "money_placed",
        [f"UPDATE credit_entries SET reason = 'renewal', reference = '{CARD_ORDER}' WHERE reason = 'opening'"],
        [("debited without a charge", f"debit:{CARD_ORDER}")],
    ),
    "a debit for nothing": (
        "money_placed",
        ["UPDATE credit_entries SET reason = 'renewal', reference = 'R-none' WHERE reason = 'opening'"],
        [("debited for an order that does not exist", "debit:R-none")],
    ),
    "a renewal whose order is open": (
        "renewals_ordered",
        [f"UPDATE orders SET status = 'awaiting_payment' WHERE order_number = '{AGREED_ORDER}'"],
        [("renewed, but its order is neither paid nor on account", "event:agreed")],
    ),
    "a renewal whose order is of another term": (
        "renewals_ordered",
        [f"UPDATE orders SET term_expires_on = '2026-03-31' WHERE order_number = '{CARD_ORDER}'"],
        [("renewed, but its order is of another box or term", "event:card")],
    ),
    "a renewal whose order is another's": (
        "renewals_ordered",
        [f"UPDATE orders SET box_id = 5 WHERE order_number = '{CARD_ORDER}'"],
        [("renewed, but its order is of another box or term", "event:card")],
    ),
    "a renewal whose order is gone": (
        "renewals_ordered",
        [f"UPDATE orders SET order_number = 'R-x' WHERE order_number = '{CARD_ORDER}'"],
        [("renewed without an order", "event:card"), ("settled, but its box was not renewed", "order:R-x")],
    ),
    "an order that renewed nothing": (
        "renewals_ordered",
        [
            (
                "INSERT INTO orders (order_number, kind, customer_id, box_id, term_expires_on, placed_on, net_cents, "
                "vat_cents, gross_cents, status) "
                "VALUES ('R-x', 'renewal', 'unpaid', 5, '2027-03-31', '2027-03-31', 990, 218, 1208, 'on_account')"
            )
        ],
        [("settled, but its box was not renewed", "order:R-x")],
    ),
    "a balance that nobody explains": (
        "credit_ledger",
        ["UPDATE customers SET credit_cents = credit_cents + 1 WHERE customer_id = 'prepaid'"],
        [("the balance is not the sum of its ledger", "customer:prepaid")],
    ),
    "a balance without any ledger": (
        "credit_ledger",
        ["UPDATE customers SET credit_cents = 1 WHERE customer_id = 'unpaid'"],
        [("the balance is not the sum of its ledger", "customer:unpaid")],
    ),
    "an entry that does not add up": (
        "credit_ledger",
        [f"UPDATE credit_entries SET balance_after_cents = 1 WHERE reference = '{PREPAID_ORDER}'"],
        [("an entry's balance is not the sum up to it", "customer:prepaid")],
    ),
    "a ledger below zero": (
        "credit_ledger",
        [
            (
                "INSERT INTO credit_entries (customer_id, occurred_on, amount_cents, balance_after_cents, reason) "
                "VALUES ('unpaid', '2027-03-31', -5, -5, 'correction')"
            ),
            "UPDATE customers SET credit_cents = -5 WHERE customer_id = 'unpaid'",
        ],
        [
            ("the balance is below zero", "customer:unpaid"),
            ("an entry leaves the balance below zero", "customer:unpaid"),
        ],
    ),
    "a top-up that did not become credit": (
        "credit_ledger",
        [
            (
                "INSERT INTO orders (order_number, kind, customer_id, placed_on, paid_on, net_cents, vat_cents, "
                "gross_cents, status) VALUES ('T-1', 'topup', 'unpaid', '2027-03-31', '2027-03-31', 5, 0, 5, 'paid')"
            ),
            (
                "INSERT INTO registered_payments (order_id, reference, amount_cents, registered_on, actor, effective) "
                "SELECT id, 'CRO-9', 5, '2027-03-31', 'clerk', true FROM orders WHERE order_number = 'T-1'"
            ),
        ],
        [("topped up, but its credit is not that much more", "customer:unpaid")],
    ),
    "credit that no top-up brought": (
        "credit_ledger",
        [
            (
                "INSERT INTO credit_entries (customer_id, occurred_on, amount_cents, balance_after_cents, reason, "
                "reference) VALUES ('unpaid', '2027-03-31', 5, 5, 'topup', 'T-9')"
            ),
            "UPDATE customers SET credit_cents = 5 WHERE customer_id = 'unpaid'",
        ],
        [("credited for a top-up that is not paid", "customer:unpaid")],
    ),
    "a term that nobody paid for": (
        "expiry_explained",
        [box_becomes("unpaid", "expires_on = '2028-03-31'")],
        [("E is not the one it came with, and no renewal moved it", "box:5")],
    ),
    "a renewal that was not applied in full": (
        "expiry_explained",
        [box_becomes("card", "expires_on = '2028-03-30'")],
        [("E is not where the last renewal put it", "box:1")],
    ),
    "a renewal that counted from another day": (
        "expiry_explained",
        [box_becomes("card", "imported_expires_on = '2027-03-30'")],
        [("renewed from another E than it had", "event:card")],
    ),
    "a second renewal that did not count from the first": (
        "expiry_explained",
        [
            (
                "UPDATE events SET term_expires_on = '2028-03-30' WHERE term_expires_on = '2028-03-31' "
                "AND kind = 'box.renewed'"
            ),
            "UPDATE orders SET term_expires_on = '2028-03-30' WHERE order_number = 'R-by-hand-2028'",
        ],
        [("renewed from another E than it had", "event:by-hand")],
    ),
    "a box of which nobody knows how it came": (
        "expiry_explained",
        [box_becomes("unpaid", "imported_expires_on = NULL")],
        [("nobody noted the E it came with", "box:5")],
    ),
    "an add-on that was left behind": (
        "expiry_explained",
        ["UPDATE addons SET expires_on = '2027-03-31' WHERE addon_id = 'renewal-gb'"],
        [("paid with the renewal, but not until its box's E", "addon:renewal-gb")],
    ),
    "a suspension that is undone": (
        "none_overdue",
        [box_becomes("unpaid", "status = 'active', suspended_on = NULL, suspended_reason = NULL")],
        [("active past E", "box:5")],
    ),
    "a box that is no longer on hold": (
        "none_overdue",
        [box_becomes("held", "hold_reason = NULL")],
        [("active past E", "box:9")],
    ),
    "a box whose gateway was reached": (
        "none_overdue",
        ["UPDATE charges SET status = 'declined', decline_code = 'x', hard = false WHERE status = 'not_attempted'"],
        [("active past E", "box:8")],
    ),
    "a renewal that nobody was told of": (
        "told_once",
        [f"DELETE FROM message_events WHERE event_id IN {events_of('card', 'box.renewed')}"],
        [("nobody was told", "event:card")],
    ),
    "two messages where one would do": (
        "told_once",
        [
            (
                "INSERT INTO messages (message_key, customer_id, kind, locale, recipient, created_on, status) "
                "VALUES ('x', 'unpaid', 'box.suspended', 'it', 'x@example.it', '2027-04-01', 'queued')"
            ),
            (
                "UPDATE message_events SET message_id = (SELECT id FROM messages WHERE message_key = 'x') "
                f"WHERE event_id IN {events_of('unpaid', 'box.suspended')}"
            ),
        ],
        [("told of the same in more than one message", "customer:unpaid")],
    ),
    "a message that tells of somebody else": (
        "told_once",
        [
            (
                "UPDATE messages SET customer_id = 'held' WHERE id = (SELECT message_id FROM message_events "
                f"WHERE event_id IN {events_of('card', 'box.renewed')})"
            )
        ],
        [("told in a message of another customer or kind", "event:card")],
    ),
}


def without_checks(connection: Connection) -> None:
    """Let the database take what it refuses to be told."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA ignore_check_constraints = ON"))
    else:
        for table, check in (("customers", "credit_never_negative"), ("credit_entries", "balance_never_negative")):
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_{check}"))


def named_by_box(connection: Connection, found: dict[str, list[Breach]]) -> dict[str, list[Breach]]:
    """Numbers of events and keys of charges say nothing to a reader: the box's name takes their place."""
    names: dict[str, str] = {}
    for kind, key, table in (("event", "id", "events"), ("charge", "idempotency_key", "charges")):
        rows = connection.execute(
            text(f"SELECT {table}.{key}, boxes.address FROM {table} JOIN boxes ON boxes.id = {table}.box_id")
        )
        prefix = "charge:lifecycle-" if kind == "charge" else "event:"
        names |= {f"{kind}:{number}": f"{prefix}{address.partition('@')[0]}" for number, address in rows}
    return {name: [(wrong, names.get(subject, subject)) for wrong, subject in all_] for name, all_ in found.items()}


@pytest.mark.parametrize("corruption", CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_what_is_wrong_is_named_and_nothing_else_is(world: World, corruption: Corruption) -> None:
    invariant, statements, expected = corruption
    with world.store.rehearse() as store, store.write() as connection:
        without_checks(connection)
        for statement in statements:
            assert connection.execute(text(statement)).rowcount != 0
        found = named_by_box(connection, breaches(store, world.settings))

    assert found == {invariant: expected}


def test_every_invariant_is_broken_here_once_at_least() -> None:
    assert {invariant for invariant, _, _ in CORRUPTIONS.values()} == {invariant.name for invariant in INVARIANTS}


HARMLESS: dict[str, Sequence[str]] = {
    "an expiry that an import has overwritten": [
        box_becomes(
            "card",
            "expires_on = '2029-01-01', imported_expires_on = '2029-01-01', imported_after_event = "
            f"(SELECT max(id) FROM events WHERE id IN {events_of('card', 'box.renewed')})",
        )
    ],
    "an add-on that was given up": [
        "UPDATE addons SET expires_on = '2027-03-31', cancelled_on = '2027-03-01' WHERE addon_id = 'renewal-gb'"
    ],
    "a box that is past its day while nobody knows what the bank did": [
        box_becomes("lost", "expires_on = '2027-03-31', imported_expires_on = '2027-03-31'")
    ],
    "a message that could not be made and is parked": [
        f"DELETE FROM message_events WHERE event_id IN {events_of('card', 'box.renewed')}",
        (
            "INSERT INTO parked_rows (run_on, last_run_on, job, subject, error, state, times, parked_at) "
            "VALUES ('2027-03-24', '2027-03-24', 'compose', 'customer:card', 'x', 'open', 1, '2027-03-24 03:00:00')"
        ),
    ],
    "a run under way whose messages are still to be made": [
        "UPDATE runs SET state = 'running' WHERE run_on = '2027-03-24'",
        f"DELETE FROM message_events WHERE event_id IN {events_of('card', 'box.renewed')}",
    ],
    "a payment by hand that came too late and was given back": [
        payment(CARD_ORDER),
        "UPDATE registered_payments SET effective = false, refunded_on = '2027-04-02' WHERE reference = 'CRO-9'",
    ],
}


@pytest.mark.parametrize("statements", HARMLESS.values(), ids=HARMLESS)
def test_what_has_its_reason_is_right(world: World, statements: Sequence[str]) -> None:
    with world.store.rehearse() as store:
        with store.write() as connection:
            for statement in statements:
                assert connection.execute(text(statement)).rowcount > 0

        assert_books_are_right(store, world.settings)


def test_what_waits_for_somebody_is_listed_and_not_wrong(world: World) -> None:
    with world.store.rehearse() as store:
        with store.write() as connection:
            for statement in (
                f"UPDATE charges SET status = 'succeeded', unapplied = true WHERE {of_order(OPEN_ORDER)}",
                payment(OPEN_ORDER),
                "UPDATE registered_payments SET effective = false WHERE reference = 'CRO-9'",
            ):
                connection.execute(text(statement))
        report = report_on(store, world.settings)

    assert report.sound
    assert {found.name: [(row["wrong"], row["address"]) for row in found.rows] for found in report.waiting} == {
        "unresolved_charges": [("unknown", "lost@pec.example.it")],
        "refunds_due": [
            ("paid, but not applied", "declined@pec.example.it"),
            ("registered, but not applied", "declined@pec.example.it"),
        ],
    }


def test_a_long_list_is_cut_but_counted_in_full(world: World) -> None:
    with world.store.rehearse() as store:
        with store.write() as connection:
            for number in range(LISTED + 5):
                factories.customer(connection, f"n{number:03d}")
            connection.execute(text("UPDATE customers SET credit_cents = 1 WHERE customer_id LIKE 'n%'"))
        (found,) = [check for check in report_on(store, world.settings).checks if check.total]

    assert (found.name, found.total, len(found.rows)) == ("credit_ledger", LISTED + 5, LISTED)


Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def type_audit(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Types `audit` and gives its exit code and what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFECYCLE_DATABASE__URL", database_url)
    monkeypatch.setattr(output.console, "_width", 300)  # no cell is folded

    def typed(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lifecycle-jobs", "audit", *arguments])
        capsys.readouterr()
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0), capsys.readouterr().out
        return 0, capsys.readouterr().out

    return typed


def test_the_command_ends_with_0_where_all_is_right(type_audit: Typed, store: Store) -> None:
    with store.write() as connection:
        factories.customer(connection, credit=5)
        factories.box(connection)

    code, shown = type_audit()
    assert (code, shown.splitlines()[-1]) == (0, "The books are right.")
    assert shown.count("holds") == len(INVARIANTS)
    assert json.loads(type_audit("--json")[1])["sound"] is True


def test_the_command_ends_with_1_and_names_what_is_wrong(type_audit: Typed, store: Store) -> None:
    with store.write() as connection:
        factories.customer(connection, "[red]c1", credit=5)
        connection.execute(update(tables.customers).values(credit_cents=6))

    code, shown = type_audit()
    assert code == 1
    assert "1 wrong" in shown
    assert "customer:[red]c1" in shown

    code, document = type_audit("--json")
    report = json.loads(document)
    assert (code, report["sound"], report["on"]) == (1, False, None)
    assert {check["name"]: check["total"] for check in report["checks"] if check["total"]} == {"credit_ledger": 1}
    assert [check["rows"] for check in report["checks"] if check["total"]] == [
        [{"wrong": "the balance is not the sum of its ledger", "subject": "customer:[red]c1", "address": None}]
    ]
