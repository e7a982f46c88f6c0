"""The whole day against a Stripe server that misbehaves: nobody is charged twice, and no payment is lost (SPEC §3)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.payments.gateways import open_gateway
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    E,
    Office,
    change,
    charged,
    expires_on,
    happened,
    look,
    parked,
    renewing_box,
    settings_for,
    status,
)
from tests.stripe_servers import API_KEY, StripeServer

FIRST_SLOT = E - timedelta(days=7)
DAY = timedelta(days=1)
RENEWED = E.replace(year=E.year + 1)
TRUSTED_AFTER = timedelta(hours=21)
"""A little more than `gateway.trust_not_found_after`."""


@dataclass(frozen=True, slots=True)
class Shop:
    """An office that charges through a Stripe server, with keys of its own."""

    office: Office
    bank: StripeServer

    @property
    def store(self) -> Store:
        return self.office.store

    def box(self, name: str = "a", **box: Any) -> int:
        with self.store.write() as connection:
            box_id = renewing_box(connection, name, **box)
            connection.execute(update(tables.customers).values(gateway_customer_id=tables.customers.c.customer_id))
        return box_id

    def paid(self) -> list[str]:
        """The orders that were paid at the bank, in order."""
        prefix = self.office.settings.gateway.key_prefix
        return [charge.order for charge in self.bank.charges() if charge.key.startswith(prefix)]

    def let_time_go_by(self) -> None:
        """So much that the bank's "never seen" is believed."""
        for row in look(self.store, tables.charges):
            change(self.store, tables.charges, row["id"], attempted_at=row["attempted_at"] - TRUSTED_AFTER)


def open_shop(store: Store, folder: Path, bank: StripeServer, **gateway: object) -> Shop:
    chosen = {
        "kind": "stripe",
        "api_base": bank.url,
        "api_key": SecretStr(API_KEY),
        "key_prefix": uuid.uuid4().hex[:12],
        "connect_timeout": 1,
        "read_timeout": 1,
        "back_off": (1,),
        "requests_per_second": 1000,
    }
    settings = settings_for(folder, gateway=chosen | gateway)
    return Shop(Office(store, settings, open_gateway(settings)), bank)


@pytest.fixture
def shop(sqlite_store: Store, tmp_path: Path, stripe_server: StripeServer) -> Iterator[Shop]:
    shop = open_shop(sqlite_store, tmp_path, stripe_server)
    yield shop
    assert_books_are_right(sqlite_store, shop.office.settings)


@pytest.mark.parametrize("fault", ["late", "closed_before", "closed_middle", "error_done", "nonsense", "nothing"])
def test_a_charge_whose_answer_is_lost_is_unknown_and_the_next_look_up_finds_it(shop: Shop, fault: str) -> None:
    box = shop.box()
    shop.bank.fail(fault, times=1)

    shop.office.day(FIRST_SLOT)
    assert charged(shop.store) == [(7, "unknown")]
    assert expires_on(shop.store, box) == E
    assert shop.paid() == [f"R-{box}-20270331"]

    shop.office.day(FIRST_SLOT, again=True)
    assert charged(shop.store) == [(7, "succeeded")]
    assert expires_on(shop.store, box) == RENEWED
    assert happened(shop.store, box) == ["box.renewed"]
    shop.office.day(FIRST_SLOT + DAY)
    assert len(shop.paid()) == 1


def test_a_connection_that_is_closed_after_the_answer_harms_nothing(shop: Shop) -> None:
    box = shop.box()
    shop.bank.fail("closed_after", times=1)

    shop.office.day(FIRST_SLOT)

    assert charged(shop.store) == [(7, "succeeded")]
    assert expires_on(shop.store, box) == RENEWED
    assert len(shop.paid()) == 1


@pytest.mark.parametrize("fault", ["error_undone", "closed_undone", "silent"])
def test_a_charge_that_got_no_answer_and_was_not_made_is_made_once_when_the_look_up_can_be_trusted(
    shop: Shop, fault: str
) -> None:
    box = shop.box()
    shop.bank.fail(fault, times=1)

    shop.office.day(FIRST_SLOT)
    shop.office.day(FIRST_SLOT, again=True)
    shop.office.day(FIRST_SLOT + DAY)
    assert charged(shop.store) == [(7, "unknown")]
    assert shop.paid() == []

    shop.let_time_go_by()
    shop.office.day(FIRST_SLOT + 2 * DAY)
    assert charged(shop.store) == [(7, "not_attempted"), (5, "succeeded")]
    assert expires_on(shop.store, box) == RENEWED
    assert len(shop.paid()) == 1


def test_a_bank_that_asks_to_be_left_alone_for_a_while_is_charged_at_after_it(
    sqlite_store: Store, tmp_path: Path, stripe_server: StripeServer
) -> None:
    shop = open_shop(sqlite_store, tmp_path, stripe_server, back_off=(1, 1, 1))
    for name in "abc":
        shop.box(name)
    stripe_server.fail("rate_limited_bare", times=2 * 3)
    calls_before = stripe_server.statistics()["calls"].get("charge", 0)

    began = time.monotonic()
    shop.office.day(FIRST_SLOT)

    assert time.monotonic() - began >= 2
    assert stripe_server.statistics()["calls"]["charge"] - calls_before == 3 * 3
    assert charged(sqlite_store) == [(7, "succeeded")] * 3
    assert len(shop.paid()) == 3
    assert_books_are_right(sqlite_store, shop.office.settings)


def test_a_bank_that_says_how_long_it_wants_to_be_left_alone_is_left_alone_for_so_long(shop: Shop) -> None:
    shop.box()
    shop.bank.fail("rate_limited", times=1)

    began = time.monotonic()
    shop.office.day(FIRST_SLOT)

    assert time.monotonic() - began >= 7
    assert charged(shop.store) == [(7, "succeeded")]
    assert len(shop.paid()) == 1


def test_a_look_up_that_does_not_find_a_payment_at_first_never_leads_to_a_second_charge(shop: Shop) -> None:
    box = shop.box()
    shop.bank.fail("closed_before", times=1)
    shop.bank.show(list_lag=3600, search_lag=3600)

    shop.office.day(FIRST_SLOT)
    shop.office.day(FIRST_SLOT, again=True)
    shop.office.day(FIRST_SLOT + DAY)
    shop.office.day(FIRST_SLOT + 2 * DAY)  # another slot
    assert charged(shop.store) == [(7, "unknown")]
    assert len(shop.paid()) == 1

    shop.bank.show()
    shop.let_time_go_by()
    shop.office.day(FIRST_SLOT + 3 * DAY)
    assert charged(shop.store) == [(7, "succeeded")]
    assert expires_on(shop.store, box) == RENEWED
    assert len(shop.paid()) == 1


def test_a_charge_that_was_cut_off_long_ago_is_not_presented_again_once_the_bank_may_have_forgotten_its_key(
    shop: Shop,
) -> None:
    box = shop.box()
    shop.bank.fail("closed_before", times=1)
    shop.bank.show(list_lag=3600, search_lag=3600)
    shop.office.day(FIRST_SLOT)
    (charge,) = look(shop.store, tables.charges)
    change(shop.store, tables.charges, charge["id"], status="pending", settled_at=None, why=None)
    shop.let_time_go_by()
    shop.bank.forget_keys()

    shop.office.day(FIRST_SLOT, again=True)
    assert charged(shop.store) == [(7, "pending")]
    assert len(shop.paid()) == 1

    shop.bank.show()
    shop.office.day(FIRST_SLOT + DAY)
    assert charged(shop.store) == [(7, "succeeded")]
    assert expires_on(shop.store, box) == RENEWED
    assert len(shop.paid()) == 1


def test_a_forgotten_key_does_not_keep_a_payment_from_being_found(shop: Shop) -> None:
    box = shop.box()
    shop.bank.fail("error_done", times=1)

    shop.office.day(FIRST_SLOT)
    shop.bank.forget_keys()
    shop.office.day(FIRST_SLOT + DAY)

    assert charged(shop.store) == [(7, "succeeded")]
    assert expires_on(shop.store, box) == RENEWED
    assert len(shop.paid()) == 1


def test_a_bank_that_cannot_be_reached_is_given_up_for_the_run_and_nobody_is_suspended_for_it_up_to_e_plus_3(
    sqlite_store: Store, tmp_path: Path
) -> None:
    shop = open_shop(sqlite_store, tmp_path, _closed(tmp_path), back_off=())
    boxes = [shop.box(f"box-{number:02}") for number in range(45)]

    for on in (E, E + DAY, E + 2 * DAY, E + 3 * DAY):
        report = shop.office.day(on)
        assert any("did not take 20 calls in a row" in failure for failure in report.failures)
        of_today = [row for row in look(sqlite_store, tables.charges) if row["attempted_on"] == on]
        assert {row["box_id"] for row in of_today} == set(boxes)
        assert {row["status"] for row in of_today} == {"not_attempted"}
        assert 20 <= sum(row["called"] for row in of_today) < 45
        assert {status(sqlite_store, box) for box in boxes} == {"active"}
    assert_books_are_right(sqlite_store, shop.office.settings)


def test_when_a_bank_that_was_given_up_is_back_the_next_run_charges_everybody_once(
    sqlite_store: Store, tmp_path: Path
) -> None:
    shop = open_shop(sqlite_store, tmp_path, _closed(tmp_path))
    boxes = [shop.box(f"box-{number:02}") for number in range(45)]
    assert shop.office.day(E).failures != []

    with StripeServer(tmp_path / "stripe.jsonl") as bank:
        shop = open_shop(sqlite_store, tmp_path, bank)
        report = shop.office.day(E + DAY)
    assert report.failures == []
    assert sorted(shop.paid()) == sorted(f"R-{box}-20270331" for box in boxes)
    assert {expires_on(sqlite_store, box) for box in boxes} == {RENEWED}
    assert_books_are_right(sqlite_store, shop.office.settings)


def test_another_pass_over_the_date_on_which_a_bank_was_given_up_calls_it_again_for_what_has_become_due(
    sqlite_store: Store, tmp_path: Path
) -> None:
    shop = open_shop(sqlite_store, tmp_path, _closed(tmp_path))
    for number in range(45):
        shop.box(f"box-{number:02}")
    shop.office.day(E)
    late = shop.box("imported-later")

    with StripeServer(tmp_path / "stripe.jsonl") as bank:
        shop = open_shop(sqlite_store, tmp_path, bank)
        report = shop.office.day(E, again=True)
    assert report.failures == []
    assert shop.paid() == [f"R-{late}-20270331"]  # the others were tried on this date
    assert_books_are_right(sqlite_store, shop.office.settings)


def _closed(folder: Path) -> StripeServer:
    """A server that was stopped: nobody listens where it did."""
    with StripeServer(folder / "stripe.jsonl") as bank:
        return bank


def test_an_amount_above_the_limit_is_parked_neither_charged_nor_suspended_for(
    sqlite_store: Store, tmp_path: Path, stripe_server: StripeServer
) -> None:
    shop = open_shop(sqlite_store, tmp_path, stripe_server, max_amount=50_00)
    dear = shop.box("dear", annual_price=100_00)
    usual = shop.box("usual")

    for on in (E, E + DAY):
        report = shop.office.day(on)
        assert report.failures == ["1 rows are parked because they failed. See: lifecycle-jobs status"]
        ((job, subject, error),) = parked(sqlite_store)
        assert (job, subject) == ("auto_renew", f"box:{dear}")
        assert "more than gateway.max_amount" in error
        assert status(sqlite_store, dear) == "active"
    assert charged(sqlite_store, dear) == []
    assert shop.paid() == [f"R-{usual}-20270331"]
    assert_books_are_right(sqlite_store, shop.office.settings)
