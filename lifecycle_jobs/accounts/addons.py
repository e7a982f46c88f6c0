"""Extra space bought between two renewals (SPEC §2 add-on, §3 renew_addons).

More than three calendar months before E what remains up to E is paid now, a begun year counting whole; later than that
the space is free until E. From E on it is renewed with its box: from credit, or on the renewal order where it was
bought on an order (`addon_orders`).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, func, insert, select

from lifecycle_jobs.accounts.finding import is_being_charged, lock_box
from lifecycle_jobs.accounts.plan_change import INBOX
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, manual_orders, order_lines
from lifecycle_jobs.errors import LifecycleError, Refused
from lifecycle_jobs.history import Origin, euros, record
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.credit import debit, lock_balance, require_credit
from lifecycle_jobs.payments.orders import open_orders_of, place_paid_addon_order
from lifecycle_jobs.policy import Catalog, addon_years_to_pay


@dataclass(frozen=True, slots=True)
class Extra:
    """Extra space that is wanted in addition to what a box has, in GB."""

    kind: Literal["extra_inbox", "extra_archive"]
    quantity: int


@dataclass(frozen=True, slots=True)
class AddonQuote:
    """What extra space costs. Amounts in cents.

    `gross_cents` is paid now, for `years` up to `paid_until`, the box's E; nothing if it is free until then.
    `yearly_gross_cents` is what each year costs after that. `balance_cents` is the holder's credit now.
    """

    address: str
    kind: str
    quantity: int
    paid_until: date
    years: int
    net_cents: int
    gross_cents: int
    yearly_gross_cents: int
    balance_cents: int

    @property
    def shortfall_cents(self) -> int:
        """What the credit lacks."""
        return max(0, self.gross_cents - self.balance_cents)


@dataclass(frozen=True, slots=True)
class BoughtAddon:
    """Extra space that a box has from now on: paid from credit, or free, up to `paid_until`."""

    addon_id: str
    address: str
    kind: str
    quantity: int
    paid_until: date
    gross_cents: int
    balance_cents: int
    order_number: str | None


_BOUGHT = TypeAdapter(BoughtAddon)


def quote_addon(
    store: Store, catalog: Catalog, address: str, extra: Extra, on: date, *, customer_id: str | None = None
) -> AddonQuote:
    """What extra space for a box would cost on a day. Writes nothing.

    Raises Refused where it could not be bought, except for want of credit: that is what `shortfall_cents` tells.
    """
    with store.read() as connection:
        return quote_space(connection, catalog, lock_box(connection, address, customer_id), extra, on)


def buy_addon(
    store: Store,
    catalog: Catalog,
    operator: Operator,
    address: str,
    extra: Extra,
    *,
    request_id: str,
    customer_id: str | None = None,
) -> BoughtAddon:
    """Buy extra space from the holder's credit; the box has it at once, and its holder is told.

    Raises Refused if there is no such box (or not `customer_id`'s, where that is given), it is suspended or over, is
    being charged, its plan does not take so much, or the credit does not suffice: then with the amount that is missing.
    """
    arguments = {"address": address, "customer_id": customer_id} | asdict(extra)
    return once(
        store,
        operator,
        Request(request_id, "addon.buy", arguments, _BOUGHT),
        lambda connection, origin: _buy(
            connection, origin, catalog, lock_box(connection, address, customer_id), extra, request_id
        ),
    )


def quote_space(connection: Connection, catalog: Catalog, box: Row[Any], extra: Extra, on: date) -> AddonQuote:
    """What extra space for a locked box costs; raises Refused where it cannot be bought, whatever the credit."""
    reason = _standing(connection, box, on) or no_room(connection, catalog, box, extra)
    if reason is not None:
        raise Refused(reason)
    years = addon_years_to_pay(on, box.expires_on)
    yearly = extra.quantity * catalog.extra_gb_cents
    return AddonQuote(
        box.address,
        extra.kind,
        extra.quantity,
        box.expires_on,
        years,
        yearly * years,
        catalog.gross(yearly * years),
        catalog.gross(yearly),
        lock_balance(connection, box.customer_id),
    )


def _buy(
    connection: Connection, origin: Origin, catalog: Catalog, box: Row[Any], extra: Extra, request_id: str
) -> BoughtAddon:
    quoted = quote_space(connection, catalog, box, extra, origin.occurred_on)
    require_credit(connection, box.customer_id, quoted.gross_cents)
    addon = add_space(connection, box, extra, catalog.extra_gb_cents, "credit", request_id)
    number, balance = None, quoted.balance_cents
    if quoted.gross_cents:
        number = place_paid_addon_order(
            connection,
            addon=addon,
            paid_from=origin.occurred_on,
            customer_id=box.customer_id,
            years=quoted.years,
            net_cents=quoted.net_cents,
            gross_cents=quoted.gross_cents,
            on=origin.occurred_on,
        )
        left = debit(
            connection,
            box.customer_id,
            quoted.gross_cents,
            on=origin.occurred_on,
            reason="addon",
            order_number=number,
        )
        if left is None:
            raise LifecycleError(f"The balance of {box.customer_id} fell while it was locked; nothing was changed.")
        balance = left
    record_addon(
        connection,
        origin,
        "addon.bought",
        box,
        addon.addon_id,
        box.expires_on,
        {
            "kind": extra.kind,
            "quantity": extra.quantity,
            "years": quoted.years,
            "cost": euros(quoted.gross_cents),
            "yearly": euros(quoted.yearly_gross_cents),
            "balance": euros(balance),
            "renewal": None,
            "renewal_years": None,
            "paid_until": box.expires_on.isoformat(),
            "order_number": number,
        },
    )
    return BoughtAddon(
        addon.addon_id,
        box.address,
        extra.kind,
        extra.quantity,
        box.expires_on,
        quoted.gross_cents,
        balance,
        number,
    )


def add_space(
    connection: Connection,
    box: Row[Any],
    extra: Extra,
    unit_price_cents: int,
    paid_from: Literal["credit", "renewal"],
    made_from: str,
) -> Row[Any]:
    """The add-on, active up to the box's E; its id is made from what asked for it, so that it is there once."""
    digest = hashlib.sha256(made_from.encode()).hexdigest()[:10]
    return connection.execute(
        insert(addons)
        .values(
            addon_id=f"X-{box.id}-{digest}",
            box_id=box.id,
            kind=extra.kind,
            quantity=extra.quantity,
            unit_price_cents=unit_price_cents,
            paid_from=paid_from,
            status="active",
            expires_on=box.expires_on,
        )
        .returning(*addons.c)
    ).one()


def _standing(connection: Connection, box: Row[Any], on: date) -> str | None:
    if box.status == "suspended":
        return f"{box.address} is suspended: nothing can be bought for it until it is active again."
    if box.expires_on < on:
        return f"{box.address} has ended on {box.expires_on}. Have it renewed first (lifecycle-jobs order renew)."
    if is_being_charged(connection, box.id):
        return being_charged(box.address)
    return None


def being_charged(address: str) -> str:
    """The refusal of what must not be done while a charge is without an answer."""
    return (
        f"{address} is being charged, and nobody knows the outcome yet. Ask again when that is settled "
        "(lifecycle-jobs reconcile)."
    )


def no_room(connection: Connection, catalog: Catalog, box: Row[Any], extra: Extra) -> str | None:
    """Why the plan of a locked box, or the one that is ordered for it, does not take so much; none if it does."""
    if extra.quantity < 1:
        return "Say how many GB: 1 at the least."
    credited = _gigabytes(connection, box.id, extra.kind, "credit")
    reason = _too_much(catalog, box, box.plan, extra, credited + _gigabytes(connection, box.id, extra.kind, "renewal"))
    order = open_orders_of(connection, [box]).get(box.id)
    if reason is not None or order is None:
        return reason
    ordered_plan = connection.scalar(select(manual_orders.c.plan).where(manual_orders.c.order_id == order.id))
    ordered = connection.scalar(
        select(func.sum(order_lines.c.quantity)).where(
            order_lines.c.order_id == order.id, order_lines.c.item == extra.kind
        )
    )
    reason = _too_much(catalog, box, ordered_plan or box.plan, extra, credited + (ordered or 0))
    return None if reason is None else f"{reason} (That is so once its order {order.order_number} is paid.)"


def _too_much(catalog: Catalog, box: Row[Any], code: str, extra: Extra, has: int) -> str | None:
    plan = catalog.plans[code]
    most = plan.max_extra_inbox_gb if extra.kind == INBOX else plan.max_extra_archive_gb
    if has + extra.quantity <= most:
        return None
    where = "inbox" if extra.kind == INBOX else "archive"
    return (
        f"{box.address}: plan {plan.name} takes at most {most} GB of extra {where}, and the box has {has} GB of it "
        "already. A larger plan comes with the next renewal (lifecycle-jobs order renew --plan)."
    )


def _gigabytes(connection: Connection, box_id: int, kind: str, paid_from: str) -> int:
    """The extra space of a kind that a box has now, also what ends with its term."""
    found = connection.scalar(
        select(func.sum(addons.c.quantity)).where(
            addons.c.box_id == box_id,
            addons.c.kind == kind,
            addons.c.paid_from == paid_from,
            addons.c.status == "active",
        )
    )
    return int(found or 0)


def record_addon(
    connection: Connection,
    origin: Origin,
    kind: str,
    box: Row[Any],
    addon_id: str | None,
    term: date,
    detail: dict[str, Any],
) -> None:
    """Write down what happened to an add-on, or to the order for one."""
    record(
        connection,
        origin,
        kind,
        box_id=box.id,
        addon_id=addon_id,
        customer_id=box.customer_id,
        term_expires_on=term,
        detail=detail,
    )
