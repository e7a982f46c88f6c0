"""From the bank to the box: Stripe posts to a real endpoint, and what it told is asked of it and settled, once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import LeaseHeld
from lifecycle_jobs.notices import settle_notices
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.gateways import open_gateway
from lifecycle_jobs.runs import JobReport
from tests.auditing import assert_books_are_right
from tests.jobs.running import E, Office, charged, expires_on, happened, look, renewing_box
from tests.monitoring.watching import Watched, watched, watched_settings
from tests.payments.stripe_posts import dispute, event, payment, signed
from tests.stripe_servers import API_KEY, StripeServer

FIRST_SLOT = E - timedelta(days=7)
RENEWED = E.replace(year=E.year + 1)
PAID = "payment_intent.succeeded"
FAILED = "payment_intent.payment_failed"


@pytest.fixture
def office(store: Store, tmp_path: Path, stripe_server: StripeServer) -> Iterator[Office]:
    """An office that charges through a Stripe server, with keys of its own."""
    gateway = {
        "kind": "stripe",
        "api_base": stripe_server.url,
        "api_key": SecretStr(API_KEY),
        "key_prefix": uuid.uuid4().hex[:12],
        "connect_timeout": 1,
        "read_timeout": 1,
        "back_off": (),
        "requests_per_second": 1000,
    }
    settings = watched_settings(tmp_path, gateway=gateway)
    office = Office(store, settings, open_gateway(settings))
    yield office
    assert_books_are_right(store, settings)


@pytest.fixture
def watch(office: Office) -> Iterator[Watched]:
    with watched(office.store, office.settings) as found:
        yield found


def lost(office: Office, stripe_server: StripeServer, token: str) -> int:
    """A box that was charged, and the bank's answer was lost."""
    with office.store.write() as connection:
        box = renewing_box(connection, token=token)
        connection.execute(update(tables.customers).values(gateway_customer_id=tables.customers.c.customer_id))
    stripe_server.fail("closed_before", times=1)
    office.day(FIRST_SLOT)
    assert charged(office.store) == [(7, "unknown")]
    return box


def tell(watch: Watched, office: Office, bank: StripeServer, kind: str) -> None:
    """What Stripe posts about the charge."""
    (charge, *_) = look(office.store, tables.charges)
    made = {each.key: each.reference for each in bank.charges()}
    reference = made.get(charge["idempotency_key"], "pi_of_a_decline")
    what = dispute(reference) if "dispute" in kind else payment(reference, charge["idempotency_key"])
    body = event(kind, what)
    assert watch.post(body, signed(body)).status_code == 200


def settle(office: Office) -> JobReport:
    operator = Operator("daemon", None, FIRST_SLOT)
    return settle_notices(office.store, office.settings, operator, lambda _name, _rows: None)


def test_a_late_success_renews_the_box(office: Office, watch: Watched, stripe_server: StripeServer) -> None:
    box = lost(office, stripe_server, "pm_card_visa")
    tell(watch, office, stripe_server, PAID)

    assert settle(office).done == {"box.renewed": 1}

    assert (charged(office.store), expires_on(office.store, box)) == ([(7, "succeeded")], RENEWED)
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["box.renewed"]


def test_a_late_failure_is_a_decline(office: Office, watch: Watched, stripe_server: StripeServer) -> None:
    box = lost(office, stripe_server, "pm_card_visa_chargeDeclinedLostCard")
    tell(watch, office, stripe_server, FAILED)

    assert settle(office).done == {"charge.declined": 1}

    assert (charged(office.store), expires_on(office.store, box)) == ([(7, "declined")], E)
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["charge.declined"]


def test_a_success_that_stripe_itself_does_not_confirm_renews_nothing(
    office: Office, watch: Watched, stripe_server: StripeServer
) -> None:
    box = lost(office, stripe_server, "pm_card_visa_chargeDeclinedLostCard")
    tell(watch, office, stripe_server, PAID)

    settle(office)

    assert (charged(office.store), expires_on(office.store, box)) == ([(7, "declined")], E)


def test_while_stripe_does_not_answer_it_waits(office: Office, watch: Watched, stripe_server: StripeServer) -> None:
    box = lost(office, stripe_server, "pm_card_visa")
    tell(watch, office, stripe_server, PAID)
    stripe_server.fail("closed_undone", call="look_up")

    assert settle(office).skipped == {"waiting": 1}
    assert (charged(office.store), happened(office.store, box)) == ([(7, "unknown")], [])

    stripe_server.mend()
    assert settle(office).done == {"box.renewed": 1}


def test_told_in_the_midst_of_a_day_and_settled_again_and_again_nothing_happens_twice(
    office: Office, watch: Watched, stripe_server: StripeServer
) -> None:
    box = lost(office, stripe_server, "pm_card_visa")
    over = threading.Event()

    def settle_until_it_is_over() -> None:
        while not over.is_set():
            tell(watch, office, stripe_server, PAID)
            settle(office)

    settling = [threading.Thread(target=settle_until_it_is_over) for _ in range(2)]
    for thread in settling:
        thread.start()
    try:
        for _ in range(3):
            try:
                office.day(FIRST_SLOT, again=True)
            except LeaseHeld:
                continue
    finally:
        over.set()
        for thread in settling:
            thread.join()
    settle(office)

    assert (charged(office.store), expires_on(office.store, box)) == ([(7, "succeeded")], RENEWED)
    assert happened(office.store, box) == ["box.renewed"]
    assert len([charge for charge in stripe_server.charges() if charge.key.startswith(_prefix(office))]) == 1
    assert [row["kind"] for row in look(office.store, tables.messages)] == ["box.renewed"]
    assert {row["state"] for row in look(office.store, tables.gateway_notices)} == {"handled"}


def test_a_dispute_is_found_by_the_payment_it_is_about(
    office: Office, watch: Watched, stripe_server: StripeServer
) -> None:
    box = lost(office, stripe_server, "pm_card_visa")
    tell(watch, office, stripe_server, PAID)
    settle(office)
    tell(watch, office, stripe_server, "charge.dispute.created")

    assert settle(office).done == {"gateway.dispute": 1}
    assert happened(office.store, box) == ["box.renewed", "gateway.dispute"]


def _prefix(office: Office) -> str:
    return office.settings.gateway.key_prefix
