"""Every operation beside every job, on one and the same box: what is there before, and what may be there after.

What may come out of an overlap is what comes out of the two one after the other, in either order, and, where the job
asks the gateway, of the operation done while it asks. Anything else is a fault, however clean the books.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal
from unittest.mock import patch

from sqlalchemy import select, text, update

from lifecycle_jobs import accounts
from lifecycle_jobs.accounts import Extra, FirstPayment, NewMethod, Payment, Purchase, Wanted
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.collect import Collector
from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Gateway,
    LookUpOutcome,
    RefundOutcome,
    RefundRequest,
    Succeeded,
)
from tests import factories
from tests.jobs.running import Office, look, renewing_box
from tests.properties.comparing import seen
from tests.properties.provider import Registry
from tests.properties.spec.things import Books

E = factories.EXPIRES_ON
DAY = timedelta(days=1)
ADDRESS = "a@pec.example.it"
HOLDER = "c-a"
PATIENCE = 30.0

First = Literal["operation", "job", "chance"]
Outcome = tuple[str, dict[str, Any]]
"""Whether the operation was accepted, and how everything stands."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A box on which a job has something to do on a date."""

    job: str
    on: date
    auto_renew: bool
    token: str = "pm_card_visa"
    ends_before: int = 0

    def arrange(self, office: Office) -> None:
        """An empty database but for this box, its holder with credit and two cards, and an add-on of each kind."""
        Registry(office.store, office.settings).move_in(Books())
        with office.store.write() as connection:
            box_id = renewing_box(connection, "a", token=self.token, auto_renew=self.auto_renew, credit=20_000)
            factories.method(connection, "pm-b", HOLDER, token="pm_card_mastercard")
            ends = E - self.ends_before * DAY
            factories.addon(connection, "credit", box_id, paid_from="credit", expires_on=ends)
            factories.addon(connection, "renewal", box_id)
        if self.auto_renew:
            office.job("auto_renew", E - 7 * DAY)
        if self.job == "delete":
            office.job("suspend", E + DAY)


SITUATIONS = (
    Situation("reconcile_charges", E - 5 * DAY, auto_renew=True, token="sandbox_lost_answer_paid"),
    Situation("auto_renew", E - 5 * DAY, auto_renew=True, token=f"sandbox_paid_from:{E - 5 * DAY}"),
    Situation("renew_addons", E - 200 * DAY, auto_renew=False, ends_before=200),
    Situation("suspend", E + DAY, auto_renew=False),
    Situation("delete", E + 91 * DAY, auto_renew=False),
    Situation("send_alerts", E - 30 * DAY, auto_renew=False),
)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a holder or a clerk does to the box, and what must be there for it."""

    name: str
    perform: Callable[[Office, Operator], object]
    prepare: Callable[[Office, Situation], None] = lambda _office, _situation: None


def accepted(office: Office, operation: Operation, on: date) -> str:
    """Do it; a refusal is an answer as well."""
    try:
        operation.perform(office, Operator("anna", None, on))
    except Refused:
        return "refused"
    return "accepted"


def _ordered(office: Office, situation: Situation) -> None:
    """An order waits for its payment."""
    if situation.auto_renew:
        return  # by itself
    wanted, clerk = Wanted(1, "bank_transfer"), Operator("anna", None, situation.on)
    accounts.place_renewals(office.store, factories.CATALOG, clerk, [ADDRESS], wanted, request_id="order before")


def _with_money(office: Office, situation: Situation) -> None:
    _ordered(office, situation)
    (amount,) = [row["gross_cents"] for row in look(office.store, tables.orders)]
    clerk, payment = Operator("anna", None, situation.on), Payment(amount, "CRO-1", situation.on)
    accounts.pay_order(office.store, factories.CATALOG, clerk, "R-0", payment, request_id="payment before")


def _box_is(**values: Any) -> Callable[[Office, Situation], None]:
    def prepare(office: Office, situation: Situation) -> None:
        given = {name: value(situation) if callable(value) else value for name, value in values.items()}
        with office.store.write() as connection:
            connection.execute(update(tables.boxes).values(**given))

    return prepare


def _box(office: Office) -> dict[str, Any]:
    return look(office.store, tables.boxes)[0]


def _number(office: Office) -> str:
    return str(look(office.store, tables.orders)[0]["order_number"])


def _pay(office: Office, clerk: Operator) -> object:
    order = look(office.store, tables.orders)[0]
    payment = Payment(order["gross_cents"], "CRO-2", clerk.on)
    return accounts.pay_order(
        office.store, factories.CATALOG, clerk, order["order_number"], payment, request_id="operation"
    )


def _resolve(office: Office, clerk: Operator) -> object:
    key = look(office.store, tables.charges)[0]["idempotency_key"] if look(office.store, tables.charges) else "none"
    return accounts.resolve_charge(office.store, office.settings, clerk, key, Succeeded("seen"))


def _renew(pay_by: Any) -> Callable[[Office, Operator], object]:
    return lambda office, clerk: accounts.place_renewals(
        office.store, factories.CATALOG, clerk, [ADDRESS], Wanted(1, pay_by), request_id="operation"
    )


OPERATIONS = (
    Operation("order renew", _renew("bank_transfer")),
    Operation("order renew --pay credit", _renew("credit")),
    Operation("order pay", _pay, _ordered),
    Operation(
        "order pay --from-credit",
        lambda office, clerk: accounts.pay_from_credit(
            office.store, factories.CATALOG, clerk, _number(office), request_id="operation"
        ),
        _ordered,
    ),
    Operation(
        "order cancel",
        lambda office, clerk: accounts.cancel_order(office.store, clerk, _number(office), request_id="operation"),
        _ordered,
    ),
    Operation(
        "payments apply",
        lambda office, clerk: accounts.apply_payment(
            office.store, factories.CATALOG, clerk, "CRO-1", _number(office), request_id="operation"
        ),
        _with_money,
    ),
    Operation("charges resolve", _resolve),
    Operation(
        "autorenew on",
        lambda office, clerk: accounts.switch_auto_renew_on(
            office.store, factories.CATALOG, clerk, ADDRESS, request_id="operation"
        ),
        _box_is(auto_renew=False),
    ),
    Operation(
        "autorenew off",
        lambda office, clerk: accounts.switch_auto_renew_off(office.store, clerk, ADDRESS, request_id="operation"),
    ),
    Operation(
        "method register",
        lambda office, clerk: accounts.register_method(
            office.store,
            clerk,
            HOLDER,
            NewMethod("card", "pm_card_amex", payment_method_id="pm-c"),
            request_id="operation",
        ),
    ),
    Operation(
        "method replace",
        lambda office, clerk: accounts.replace_method(
            office.store,
            factories.CATALOG,
            clerk,
            "pm-a",
            NewMethod("card", "pm_card_visa_chargeDeclined", payment_method_id="pm-c"),
            request_id="operation",
        ),
    ),
    Operation(
        "method remove",
        lambda office, clerk: accounts.remove_method(office.store, clerk, "pm-a", request_id="operation"),
    ),
    Operation(
        "box cancel", lambda office, clerk: accounts.cancel_box(office.store, clerk, ADDRESS, request_id="operation")
    ),
    Operation(
        "box withdraw",
        lambda office, clerk: accounts.withdraw_cancellation(office.store, clerk, ADDRESS, request_id="operation"),
        _box_is(cancelled_on=E - 250 * DAY),
    ),
    Operation(
        "box hold",
        lambda office, clerk: accounts.hold_box(
            office.store, clerk, ADDRESS, reason="dispute", until=None, request_id="operation"
        ),
    ),
    Operation(
        "box release",
        lambda office, clerk: accounts.release_box(office.store, clerk, ADDRESS, request_id="operation"),
        _box_is(hold_reason="dispute"),
    ),
    Operation(
        "box suspend",
        lambda office, clerk: accounts.suspend_box(
            office.store, clerk, ADDRESS, reason="abuse", request_id="operation"
        ),
    ),
    Operation(
        "box lift",
        lambda office, clerk: accounts.lift_suspension(
            office.store, factories.CATALOG, clerk, ADDRESS, request_id="operation"
        ),
        _box_is(status="suspended", suspended_on=lambda situation: situation.on, suspended_reason="abuse"),
    ),
    Operation(
        "box buy",
        lambda office, clerk: accounts.buy_box(
            office.store,
            factories.CATALOG,
            clerk,
            Purchase(HOLDER, ADDRESS, "standard", 1),
            FirstPayment("credit"),
            request_id="operation",
        ),
    ),
    Operation(
        "credit register",
        lambda office, clerk: accounts.register_top_up(
            office.store, clerk, HOLDER, amount_cents=500, reference="CRO-3", paid_on=clerk.on, request_id="operation"
        ),
    ),
    Operation(
        "addon buy",
        lambda office, clerk: accounts.buy_addon(
            office.store, factories.CATALOG, clerk, ADDRESS, Extra("extra_inbox", 1), request_id="operation"
        ),
        _box_is(plan="pro"),
    ),
    Operation(
        "addon cancel",
        lambda office, clerk: accounts.cancel_addon(office.store, clerk, "credit", request_id="operation"),
    ),
    Operation(
        "addon order",
        lambda office, clerk: accounts.order_addon(
            office.store, factories.CATALOG, clerk, ADDRESS, Extra("extra_inbox", 1), "card", request_id="operation"
        ),
        _box_is(plan="pro"),
    ),
    Operation(
        "domain renew",
        lambda office, clerk: accounts.renew_domain(
            office.store, clerk, "d.example.it", E + 365 * DAY, request_id="operation"
        ),
        _box_is(domain="d.example.it", plan="domain", auto_renew=False),
    ),
    Operation(
        "domain release",
        lambda office, clerk: accounts.release_domain(office.store, clerk, "d.example.it", request_id="operation"),
        _box_is(domain="d.example.it", plan="domain", auto_renew=False),
    ),
)


def possible(office: Office, operation: Operation, situation: Situation) -> dict[str, Outcome]:
    """What comes out of the two where they do not overlap by chance, by how they were done."""
    told: list[str] = []

    def operate() -> None:
        if not told:
            told.append(accepted(office, operation, situation.on))

    def asking() -> None:
        office_with = replace(office, gateway=_Asked(office.gateway, operate))
        office_with.job(situation.job, situation.on)

    def begun() -> None:
        start = Collector._start

        def after_the_operation(*arguments: Any) -> None:
            operate()
            start(*arguments)

        with patch.object(Collector, "_start", after_the_operation):
            office.job(situation.job, situation.on)

    def work() -> None:
        office.job(situation.job, situation.on)

    ways: dict[str, tuple[Callable[[], None], ...]] = {"operation first": (operate, work), "job first": (work, operate)}
    if situation.job in {"reconcile_charges", "auto_renew"}:
        ways |= {"while the bank is asked": (asking, operate), "before the bank is asked": (begun, operate)}
    outcomes = {}
    for name, steps in ways.items():
        _arrange(office, operation, situation)
        told.clear()
        for step in steps:
            step()
        outcomes[name] = (told[0], _stands(office))
    return outcomes


def race(office: Office, operation: Operation, situation: Situation, first: First) -> Outcome:
    """Both at once: `first` waits first for the box, which is held until both are there; or let chance decide."""
    _arrange(office, operation, situation)
    told: list[str] = []
    wrong: list[Exception] = []
    together = threading.Barrier(2, timeout=PATIENCE)

    def operate() -> None:
        told.append(accepted(office, operation, situation.on))

    def work() -> None:
        office.job(situation.job, situation.on)

    def run(doing: Callable[[], None]) -> None:
        try:
            if first == "chance":
                together.wait()
            doing()
        except Exception as error:  # noqa: BLE001 -- told below
            wrong.append(error)

    order = (work, operate) if first == "job" else (operate, work)
    threads = [threading.Thread(target=run, args=(each,)) for each in order]
    _start(office, threads, one_after_the_other=first != "chance")
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    return told[0], _stands(office)


def _start(office: Office, threads: Sequence[threading.Thread], *, one_after_the_other: bool) -> None:
    if not one_after_the_other:
        for thread in threads:
            thread.start()
        return
    with _held(office):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            _until_they_wait(office, threads[:number])


def _arrange(office: Office, operation: Operation, situation: Situation) -> None:
    situation.arrange(office)
    operation.prepare(office, situation)


@contextmanager
def _held(office: Office) -> Iterator[None]:
    """Nobody else changes a box or a holder for the length of the block."""
    with office.store.write() as connection:
        connection.execute(select(tables.boxes.c.id).with_for_update(key_share=True))
        connection.execute(select(tables.customers.c.customer_id).with_for_update(key_share=True))
        yield


def _until_they_wait(office: Office, threads: Sequence[threading.Thread]) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        alive = sum(thread.is_alive() for thread in threads)
        with office.store.read() as connection:
            if connection.scalar(waiting) == alive:
                return
        time.sleep(0.005)
    raise AssertionError("somebody neither waits nor ends")


def _stands(office: Office) -> dict[str, Any]:
    picture = seen(Registry(office.store, office.settings).rows())
    # The number of an order has the box's id in it, which is another each time.
    return picture | {"unapplied": [(kind, cents) for kind, _, cents in picture["unapplied"]]}


@dataclass
class _Asked:
    """A bank that is told of every question before it answers."""

    bank: Gateway
    operate: Callable[[], None]
    lag: timedelta = timedelta(0)
    memory: timedelta | None = None
    parallel: bool = False

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        self.operate()
        return self.bank.charge(request)

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        self.operate()
        return self.bank.look_up(request)

    def refund(self, request: RefundRequest) -> RefundOutcome:
        return self.bank.refund(request)

    def rehearse(self) -> Gateway:
        return self.bank.rehearse()
