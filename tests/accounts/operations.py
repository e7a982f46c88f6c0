"""Every operation on one and the same box, for its races with the jobs: what it asks for, and what must be there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import update

from lifecycle_jobs import accounts
from lifecycle_jobs.accounts import Expiring, Extra, FirstPayment, NewMethod, PayBy, Payment, Purchase, Wanted
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments import refunds
from lifecycle_jobs.payments.gateway import Succeeded
from tests import factories
from tests.accounts.situations import ADDRESS, DAY, HOLDER, E, Situation
from tests.jobs.running import Office, look


@dataclass(frozen=True, slots=True)
class Operation:
    """What a holder or a clerk does to the box, and what must be there for it."""

    name: str
    perform: Callable[[Office, Operator], object]
    prepare: Callable[[Office, Situation], None] = lambda _office, _situation: None
    next_run: bool = False
    """A box that it changes between the job's look and its charge may be left for the next run."""


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


def _with_unapplied_money(office: Office, situation: Situation) -> None:
    """It came for an order of the box, and was not enough."""
    _ordered(office, situation)
    clerk, payment = Operator("anna", None, situation.on), Payment(1, "CRO-1", situation.on)
    accounts.pay_order(office.store, factories.CATALOG, clerk, _number(office), payment, request_id="payment before")


def _renewed(pay_by: PayBy) -> Callable[[Office, Situation], None]:
    """By hand; where auto-renew has placed the order, that one is paid by bank transfer."""

    def prepare(office: Office, situation: Situation) -> None:
        clerk = Operator("anna", None, situation.on)
        if not situation.auto_renew:
            wanted = Wanted(1, pay_by)
            accounts.place_renewals(
                office.store, factories.CATALOG, clerk, [ADDRESS], wanted, request_id="order before"
            )
        order = look(office.store, tables.orders)[0]
        if order["status"] == "awaiting_payment":
            payment = Payment(order["gross_cents"], "CRO-1", situation.on)
            accounts.pay_order(
                office.store, factories.CATALOG, clerk, order["order_number"], payment, request_id="payment before"
            )

    return prepare


def _space_ordered(office: Office, situation: Situation) -> None:
    """Extra space waits for its payment, where it could be ordered; where it could not, what else was ordered."""
    _box_is(plan="pro")(office, situation)
    clerk = Operator("anna", None, situation.on)
    with suppress(Refused):
        accounts.order_addon(
            office.store,
            factories.CATALOG,
            clerk,
            ADDRESS,
            Extra("extra_inbox", 1),
            "bank_transfer",
            request_id="space before",
        )
    if not look(office.store, tables.orders):
        _ordered(office, situation)


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


def _undo(office: Office, clerk: Operator) -> object:
    return accounts.undo_renewal(office.store, factories.CATALOG, clerk, ADDRESS, request_id="operation")


OPERATIONS = (
    Operation("order renew", _renew("bank_transfer")),
    Operation("order renew --pay credit", _renew("credit")),
    Operation(
        "order renew --expiring",
        lambda office, clerk: accounts.place_renewals(
            office.store,
            factories.CATALOG,
            clerk,
            Expiring(HOLDER, 12),
            Wanted(1, "bank_transfer"),
            request_id="operation",
        ),
    ),
    Operation("order pay", _pay, _ordered),
    Operation("order pay, for extra space", _pay, _space_ordered),
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
    Operation(
        "refunds done",
        lambda office, clerk: refunds.note(office.store, clerk.operation(), "CRO-1", reference="back"),
        _with_unapplied_money,
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
        next_run=True,  # SPEC §3, auto_renew: a replaced method is due on the next run
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
    Operation("box undo-renewal", _undo, _renewed("bank_transfer")),
    Operation("box undo-renewal, paid from credit", _undo, _renewed("credit")),
    Operation(
        "box revive",
        lambda office, clerk: accounts.revive_box(
            office.store,
            factories.CATALOG,
            clerk,
            ADDRESS,
            undelete_days=7,
            platform_has_it=True,
            request_id="operation",
        ),
    ),
    Operation(
        "credit topup",
        lambda office, clerk: accounts.top_up_by_card(
            office.store,
            office.settings,
            office.gateway,
            clerk,
            HOLDER,
            amount_cents=500,
            request_id="operation",
            payment_method_id="pm-a",
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
