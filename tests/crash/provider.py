"""A small provider on a day on which every job has work, and the gateway answers in every way it can."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.payments.sandbox import SandboxGateway
from tests import factories

ON = date(2027, 3, 31)

CARDS = {
    "declined": ("pm_card_visa_chargeDeclined", 5),
    "expired": ("pm_card_chargeDeclinedExpiredCard", 3),
    "lost": ("sandbox_lost_answer_never_seen", 3),
    "paid": ("pm_card_visa", 0),
    "zz-unavailable-1": ("sandbox_unavailable", 7),
    "zz-unavailable-2": ("sandbox_unavailable", 7),
    "zz-unavailable-3": ("sandbox_unavailable", 7),
}
"""Boxes that are charged to a card: its token, and how many days are left. The last ones are an outage."""


def settle(store: Store, journal: Path) -> None:
    """Put everything in place, the bank's journal too."""
    with store.write() as connection:
        _customers(connection)
        for name, (token, days) in CARDS.items():
            _charged_to_a_card(connection, name, token, days)
        _paid_otherwise(connection)
        _addons(connection)
        _unpaid(connection)
        _expired(connection)
        _to_be_warned(connection)
        _without_an_answer(connection, journal)


def settle_one_whose_answer_is_lost(store: Store, journal: Path) -> None:
    """A provider with one box, for which the bank books a charge and does not get through with its answer."""
    del journal
    with store.write() as connection:
        factories.customer(connection, "cards")
        _charged_to_a_card(connection, "lost-and-paid", "sandbox_lost_answer_paid", 1)


STRIPE_CARDS = {
    "a-declined": ("pm_card_visa_chargeDeclined", 5),
    "b-expired": ("pm_card_chargeDeclinedExpiredCard", 3),
    "c-stolen": ("pm_card_visa_chargeDeclinedStolenCard", 0),
    **{f"paid-{number}": ("pm_card_visa", number % 8) for number in range(9)},
}
PAYPAL = {f"paypal-{number}": ("pm_paypal", number) for number in (1, 4, 7)}
COULD_BE_RENEWED = sum(token == "pm_card_visa" for token, _ in STRIPE_CARDS.values()) + len(PAYPAL) + 1
"""Boxes whose method pays; one more has add-ons."""


def settle_with_stripe(store: Store, journal: Path) -> None:
    """Everything that is charged goes through the gateway, to cards and to PayPal accounts."""
    del journal
    with store.write() as connection:
        factories.customer(connection, "many", name="Studio Bianchi & C.", gateway_customer_id="cus_many")
        factories.customer(connection, "english", name="Jane Doe", locale="en", gateway_customer_id="cus_english")
        factories.customer(connection, "cards", gateway_customer_id="cus_cards")
        factories.customer(connection, "paypal", gateway_customer_id="cus_paypal")
        factories.method(connection, "many-card", "many")
        for name, (token, days) in STRIPE_CARDS.items():
            _charged_to_a_card(connection, name, token, days)
        for name, (token, days) in PAYPAL.items():
            _charged(connection, name, "paypal", "paypal", token, days)
        with_addons = factories.box(
            connection,
            _address("with-addons"),
            customer_id="many",
            plan="pro",
            expires_on=_day(7),
            renewal_years=2,
            auto_renew=True,
            payment_method_id="many-card",
        )
        factories.addon(connection, "on-the-order", with_addons)
        _unpaid(connection)
        _to_be_warned(connection)


def _day(days: int) -> date:
    return ON + timedelta(days=days)


def _address(name: str) -> str:
    return f"{name}@pec.example.it"


def _customers(connection: Connection) -> None:
    factories.customer(connection, "many", name="Studio Bianchi & C.", credit=2000)
    factories.customer(connection, "english", name="Jane Doe", locale="en")
    factories.customer(connection, "cards")
    factories.customer(connection, "rich", credit=5000)
    factories.customer(connection, "poor", credit=100)
    factories.method(connection, "many-card", "many")
    factories.method(connection, "rich-credit", "rich", kind="credit")
    factories.method(connection, "poor-credit", "poor", kind="credit")
    factories.method(connection, "english-agreement", "english", kind="agreement")


def _charged_to_a_card(connection: Connection, name: str, token: str, days: int) -> None:
    _charged(connection, name, "cards", "card", token, days)


def _charged(connection: Connection, name: str, customer: str, kind: str, token: str, days: int) -> None:
    factories.method(connection, f"{name}-{kind}", customer, kind=kind, token=token)
    factories.box(
        connection,
        _address(name),
        customer_id=customer,
        expires_on=_day(days),
        auto_renew=True,
        payment_method_id=f"{name}-{kind}",
    )


def _paid_otherwise(connection: Connection) -> None:
    for name, customer, method, price in (
        ("agreed", "english", "english-agreement", None),
        ("free", "many", "many-card", 0),
        ("prepaid", "rich", "rich-credit", None),
        ("short-of-credit", "poor", "poor-credit", None),
    ):
        factories.box(
            connection,
            _address(name),
            customer_id=customer,
            expires_on=_day(7),
            auto_renew=True,
            payment_method_id=method,
            annual_price=price,
        )


def _addons(connection: Connection) -> None:
    """One that is renewed with its box, one that follows it on credit, one too dear, one that ends."""
    with_addons = factories.box(
        connection,
        _address("with-addons"),
        customer_id="many",
        plan="pro",
        expires_on=_day(7),
        renewal_years=2,
        auto_renew=True,
        payment_method_id="many-card",
    )
    factories.addon(connection, "on-the-order", with_addons)
    factories.addon(connection, "follows", with_addons, kind="extra_archive", paid_from="credit")
    renewed_before = factories.box(connection, _address("renewed-before"), customer_id="poor", expires_on=_day(300))
    factories.addon(connection, "too-dear", renewed_before, paid_from="credit", expires_on=_day(3))
    factories.addon(connection, "over", renewed_before, paid_from="credit", expires_on=_day(-1))


def _unpaid(connection: Connection) -> None:
    """Three to be suspended."""
    for number in (1, 2, 3):
        factories.box(connection, _address(f"unpaid-{number}"), customer_id="many", expires_on=_day(-1))


def _expired(connection: Connection) -> None:
    """Three whose day of deletion has come, one of them with all that hangs on a box."""
    for number in (1, 2):
        factories.box(
            connection, _address(f"gone-{number}"), customer_id="many", status="suspended", expires_on=_day(-92)
        )
    last = factories.box(
        connection, _address("gone-3"), customer_id="english", status="suspended", expires_on=_day(-91)
    )
    factories.addon(connection, "goes-along", last)
    factories.order(connection, "R-open", customer_id="english", box_id=last, term_expires_on=_day(-91))


def _to_be_warned(connection: Connection) -> None:
    factories.box(connection, _address("alerted"), customer_id="many", expires_on=_day(30))
    factories.box(
        connection,
        _address("noticed"),
        customer_id="many",
        expires_on=_day(37),
        auto_renew=True,
        payment_method_id="many-card",
    )
    factories.box(connection, _address("warned"), customer_id="english", status="suspended", expires_on=_day(-31))


def _without_an_answer(connection: Connection, journal: Path) -> None:
    """Yesterday's charges: one that the bank has booked, and one that never reached it."""
    for name, expires_in in (("found", 6), ("never-arrived", 5)):
        box = factories.box(
            connection,
            _address(name),
            customer_id="many",
            expires_on=_day(expires_in),
            auto_renew=True,
            payment_method_id="many-card",
        )
        order = factories.order(
            connection,
            f"R-{name}",
            customer_id="many",
            box_id=box,
            term_expires_on=_day(expires_in),
            placed_on=_day(-1),
        )
        factories.charge(
            connection,
            f"key-{name}",
            order_id=order,
            box_id=box,
            term_expires_on=_day(expires_in),
            payment_method_id="many-card",
            status="pending" if name == "found" else "unknown",
            attempted_on=_day(-1),
            attempted_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    SandboxGateway(journal).charge(factories.charge_request("key-found", order_number="R-found", slot_on=_day(-1)))
