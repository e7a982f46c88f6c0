"""Rows for tests, each written straight into its table: say what matters, the rest is a plain default.

Money is whole cents. Nothing here decides anything; in particular nobody is created who was not asked for.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select

from lifecycle_jobs.db import tables
from lifecycle_jobs.mail.urgency import urgency_of
from lifecycle_jobs.payments.gateway import ChargeRequest
from lifecycle_jobs.policy import Catalog, Plan, Policy

CATALOG = Catalog(
    {
        code: Plan(
            code=code,
            name=code.capitalize(),
            annual_price_cents=price,
            inbox_gb=inbox,
            archive_gb=archive,
            max_extra_inbox_gb=extra,
            max_extra_archive_gb=extra if archive else 0,
            longest_term_years=longest,
            auto_renewable=code != "domain",
            policy=Policy(),
        )
        for code, price, inbox, archive, extra, longest in (
            ("standard", 990, 1, 0, 1, 5),
            ("pro", 2500, 2, 3, 10, 5),
            ("premium", 4000, 2, 8, 10, 5),
            ("promo", 590, 1, 0, 1, 2),
            ("domain", 0, 1, 0, 0, 5),
        )
    },
    Decimal(22),
)
"""The plans of SPEC §2, and a promotion that is sold for two years at most; all with the default policy."""

TOKENS = (
    "pm_card_visa",
    "pm_card_visa_chargeDeclined",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedExpiredCard",
    "pm_card_visa_chargeDeclinedStolenCard",
    "sandbox_lost_answer_paid",
    "sandbox_lost_answer_never_seen",
    "sandbox_unavailable",
)
"""What the sandbox answers by (SPEC §7); the first one pays."""

LONG_AGO = date(2020, 1, 1)
EXPIRES_ON = date(2027, 3, 31)
"""E of the worked example in SPEC §1."""


def customer(
    connection: Connection,
    customer_id: str = "c1",
    *,
    name: str = "Mario Rossi",
    email: str | None = None,
    locale: str = "it",
    tax_id: str | None = None,
    einvoice_id: str | None = None,
    gateway_customer_id: str | None = None,
    credit: int = 0,
) -> str:
    """A customer; credit in cents comes with its opening ledger entry. Returns the id."""
    connection.execute(
        insert(tables.customers).values(
            customer_id=customer_id,
            name=name,
            email=email or f"{customer_id}@example.it",
            locale=locale,
            tax_id=tax_id,
            einvoice_id=einvoice_id,
            gateway_customer_id=gateway_customer_id,
            credit_cents=credit,
        )
    )
    if credit:
        credit_entry(connection, customer_id, amount=credit, balance_after=credit, reason="opening")
    return customer_id


def registered_payment(
    connection: Connection,
    reference: str,
    *,
    order_id: int,
    amount: int = 1208,
    effective: bool = True,
    registered_on: date = LONG_AGO,
) -> int:
    """A payment of an order that a clerk registered. Returns the id."""
    return _inserted(
        connection,
        tables.registered_payments,
        order_id=order_id,
        reference=reference,
        amount_cents=amount,
        registered_on=registered_on,
        actor="clerk",
        effective=effective,
    )


def credit_entry(
    connection: Connection,
    customer_id: str = "c1",
    *,
    amount: int,
    balance_after: int,
    reason: str = "correction",
    reference: str | None = None,
    occurred_on: date = LONG_AGO,
) -> int:
    """A line of the credit ledger only: the customer's balance is not touched. Returns the id."""
    return _inserted(
        connection,
        tables.credit_entries,
        customer_id=customer_id,
        occurred_on=occurred_on,
        amount_cents=amount,
        balance_after_cents=balance_after,
        reason=reason,
        reference=reference,
    )


def method(
    connection: Connection,
    payment_method_id: str = "pm1",
    customer_id: str = "c1",
    *,
    kind: str = "card",
    token: str | None = "pm_card_visa",
    brand: str | None = None,
    last4: str | None = None,
    exp_month: int | None = None,
    exp_year: int | None = None,
) -> str:
    """A payment method: by default the sandbox card that always succeeds. Returns the id."""
    connection.execute(
        insert(tables.payment_methods).values(
            payment_method_id=payment_method_id,
            customer_id=customer_id,
            kind=kind,
            token=token if kind in {"card", "paypal"} else None,
            brand=brand,
            last4=last4,
            exp_month=exp_month,
            exp_year=exp_year,
        )
    )
    return payment_method_id


def box(
    connection: Connection,
    address: str = "mario.rossi@pec.example.it",
    *,
    customer_id: str = "c1",
    plan: str = "standard",
    status: str = "active",
    expires_on: date = EXPIRES_ON,
    renewal_years: int = 1,
    auto_renew: bool = False,
    payment_method_id: str | None = None,
    annual_price: int | None = None,
    domain: str | None = None,
    cancelled_on: date | None = None,
    hold_until: date | None = None,
    hold_reason: str | None = None,
    suspended_on: date | None = None,
    suspended_reason: str | None = None,
    deleted_on: date | None = None,
    used_inbox_mb: int | None = None,
    used_archive_mb: int | None = None,
) -> int:
    """A box; if suspended, unpaid since E + 1; if deleted, gone since E + 91, unless said. Returns the id."""
    if status == "suspended":
        suspended_on = suspended_on or expires_on + timedelta(days=1)
        suspended_reason = suspended_reason or "unpaid"
    if status == "deleted":
        deleted_on = deleted_on or expires_on + timedelta(days=91)
    return _inserted(
        connection,
        tables.boxes,
        address=address,
        address_key=address.lower(),
        customer_id=customer_id,
        plan=plan,
        status=status,
        expires_on=expires_on,
        renewal_years=renewal_years,
        auto_renew=auto_renew,
        payment_method_id=payment_method_id,
        annual_price_cents=annual_price,
        domain=domain,
        cancelled_on=cancelled_on,
        hold_until=hold_until,
        hold_reason=hold_reason,
        suspended_on=suspended_on,
        suspended_reason=suspended_reason,
        deleted_on=deleted_on,
        used_inbox_mb=used_inbox_mb,
        used_archive_mb=used_archive_mb,
        imported_expires_on=expires_on,
    )


def addon(
    connection: Connection,
    addon_id: str,
    box_id: int,
    *,
    kind: str = "extra_inbox",
    quantity: int = 1,
    unit_price: int = 250,
    paid_from: str = "renewal",
    status: str = "active",
    expires_on: date | None = None,
    cancelled_on: date | None = None,
) -> str:
    """An add-on, by default 1 GB on the renewal order, valid as long as its box. Returns the id."""
    boxes = tables.boxes
    connection.execute(
        insert(tables.addons).values(
            addon_id=addon_id,
            box_id=box_id,
            kind=kind,
            quantity=quantity,
            unit_price_cents=unit_price,
            paid_from=paid_from,
            status=status,
            expires_on=expires_on or select(boxes.c.expires_on).where(boxes.c.id == box_id).scalar_subquery(),
            cancelled_on=cancelled_on,
        )
    )
    return addon_id


def order(
    connection: Connection,
    order_number: str,
    *,
    kind: str = "renewal",
    customer_id: str = "c1",
    box_id: int | None = None,
    addon_id: str | None = None,
    term_expires_on: date | None = EXPIRES_ON,
    years: int | None = 1,
    placed_on: date = LONG_AGO,
    paid_on: date | None = None,
    net: int = 990,
    vat: int = 218,
    status: str = "awaiting_payment",
) -> int:
    """An order without lines, by default one year of standard; if paid, when placed. Returns the id."""
    return _inserted(
        connection,
        tables.orders,
        order_number=order_number,
        kind=kind,
        customer_id=customer_id,
        box_id=box_id,
        addon_id=addon_id,
        term_expires_on=term_expires_on,
        years=years,
        placed_on=placed_on,
        paid_on=paid_on or (placed_on if status == "paid" else None),
        net_cents=net,
        vat_cents=vat,
        gross_cents=net + vat,
        status=status,
    )


def charge(
    connection: Connection,
    idempotency_key: str,
    *,
    order_id: int,
    box_id: int,
    term_expires_on: date = EXPIRES_ON,
    slot: int = 7,
    attempt: int = 1,
    payment_method_id: str = "pm1",
    method_kind: str = "card",
    token: str | None = "pm_card_visa",
    amount: int = 1208,
    status: str = "pending",
    attempted_on: date | None = None,
    attempted_at: datetime | None = None,
    called: bool = True,
    decline_code: str | None = None,
    hard: bool | None = None,
    gateway_reference: str | None = None,
) -> int:
    """An attempt to collect an order, by default that of slot 7, still without an answer. Returns the id."""
    attempted_on = attempted_on or term_expires_on - timedelta(days=slot)
    attempted_at = attempted_at or datetime(attempted_on.year, attempted_on.month, attempted_on.day, 3, tzinfo=UTC)
    settled = status in {"succeeded", "declined", "not_attempted"}
    if status == "declined":
        decline_code = decline_code or "generic_decline"
        hard = bool(hard)
    return _inserted(
        connection,
        tables.charges,
        idempotency_key=idempotency_key,
        order_id=order_id,
        box_id=box_id,
        term_expires_on=term_expires_on,
        slot=slot,
        attempt=attempt,
        payment_method_id=payment_method_id,
        method_kind=method_kind,
        token=token,
        amount_cents=amount,
        status=status,
        attempted_on=attempted_on,
        attempted_at=attempted_at,
        called=called,
        settled_on=attempted_on if settled else None,
        settled_at=attempted_at if settled else None,
        decline_code=decline_code,
        hard=hard,
        gateway_reference=gateway_reference,
    )


def top_up_charge(
    connection: Connection,
    idempotency_key: str,
    *,
    order_id: int,
    status: str = "unknown",
    attempted_on: date = LONG_AGO,
) -> int:
    """A charge for credit that was asked for by a request of its own. Returns the id."""
    at = datetime(attempted_on.year, attempted_on.month, attempted_on.day, 3, tzinfo=UTC)
    connection.execute(
        insert(tables.account_requests).values(
            request_id=idempotency_key,
            operation="top_up_by_card",
            arguments={},
            requested_on=attempted_on,
            requested_at=at,
            actor="clerk",
        )
    )
    return _inserted(
        connection,
        tables.top_up_charges,
        idempotency_key=idempotency_key,
        request_id=idempotency_key,
        order_id=order_id,
        payment_method_id="pm1",
        method_kind="card",
        token="pm_card_visa",
        amount_cents=1000,
        status=status,
        attempted_on=attempted_on,
        attempted_at=at,
    )


def event(
    connection: Connection,
    kind: str,
    *,
    occurred_on: date,
    box_id: int | None = None,
    addon_id: str | None = None,
    customer_id: str | None = "c1",
    term_expires_on: date | None = EXPIRES_ON,
    milestone: int | None = None,
    detail: dict[str, Any] | None = None,
    run_on: date | None = None,
    run_pass: int | None = None,
    job: str | None = None,
) -> int:
    """A line of the history. Returns the id."""
    return _inserted(
        connection,
        tables.events,
        occurred_on=occurred_on,
        kind=kind,
        box_id=box_id,
        addon_id=addon_id,
        customer_id=customer_id,
        term_expires_on=term_expires_on,
        milestone=milestone,
        detail=detail or {},
        run_on=run_on,
        run_pass=run_pass,
        job=job,
    )


def message(
    connection: Connection,
    message_key: str,
    *event_ids: int,
    customer_id: str = "c1",
    kind: str = "box.expiry_alert",
    locale: str = "it",
    recipient: str = "c1@example.it",
    created_on: date = LONG_AGO,
    status: str = "queued",
    accepted_on: date | None = None,
    redirected: bool = False,
) -> int:
    """An e-mail about some events. A sent one was accepted on the day it was made. Returns the id."""
    message_id = _inserted(
        connection,
        tables.messages,
        message_key=message_key,
        customer_id=customer_id,
        kind=kind,
        locale=locale,
        recipient=recipient,
        recipient_key=recipient.lower(),
        urgency=urgency_of(kind),
        created_on=created_on,
        status=status,
        accepted_on=accepted_on or (created_on if status == "sent" else None),
        redirected=redirected,
    )
    for event_id in event_ids:
        connection.execute(insert(tables.message_events).values(event_id=event_id, message_id=message_id))
    return message_id


def charge_request(
    idempotency_key: str = "lifecycle-17-2027-03-31-7-1",
    *,
    amount: int = 1208,
    method_kind: Literal["card", "paypal"] = "card",
    token: str = "pm_card_visa",
    gateway_customer_id: str | None = None,
    order_number: str = "R-17",
    box_address: str = "mario.rossi@pec.example.it",
    slot_on: date = EXPIRES_ON - timedelta(days=7),
    asked_at: datetime | None = None,
) -> ChargeRequest:
    """What a gateway is asked: by default the first attempt of the worked example, early that morning."""
    return ChargeRequest(
        idempotency_key=idempotency_key,
        amount_cents=amount,
        method_kind=method_kind,
        token=token,
        gateway_customer_id=gateway_customer_id,
        order_number=order_number,
        box_address=box_address,
        slot_on=slot_on,
        asked_at=asked_at or datetime(slot_on.year, slot_on.month, slot_on.day, 3, tzinfo=UTC),
    )


def count(connection: Connection, table: Any) -> int:
    """How many rows a table has."""
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _inserted(connection: Connection, table: Any, **values: object) -> int:
    number: int = connection.execute(insert(table).values(**values).returning(table.c.id)).scalar_one()
    return number
