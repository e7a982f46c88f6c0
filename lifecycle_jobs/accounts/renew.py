"""Ordering the renewal of boxes by hand: the order waits for its payment, and only that renews (SPEC §2, order)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, Select, insert, select

from lifecycle_jobs.accounts.credit_payment import take_credit
from lifecycle_jobs.accounts.finding import absent
from lifecycle_jobs.accounts.plan_change import AS_IT_IS, Change, WantedSpace, credit_space, plan_change
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.accounts.settling import lock_order, settle
from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges, manual_orders
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Event, Origin, euros, record_all
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.credit import require_credit
from lifecycle_jobs.payments.orders import Order, Quote, extras_of, open_orders_of, place, quote
from lifecycle_jobs.policy import MAX_RENEWAL_YEARS, Catalog, Plan, months_later, renewed_until, years_to_reach

PayBy = Literal["bank_transfer", "card", "paypal", "credit"]
"""How the holder is going to pay; credit pays at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is ordered for each box: for how many years, how it is going to be paid, and what plan and space it gets."""

    years: int
    pay_by: PayBy
    space: WantedSpace = AS_IT_IS


@dataclass(frozen=True, slots=True)
class Expiring:
    """All boxes of a customer that have expired or will so within so many calendar months."""

    customer_id: str
    months: int


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order that waits for its payment. Amounts in cents; the box will end on `renews_until` once it is paid."""

    order_number: str
    address: str
    expires_on: date
    renews_until: date
    net_cents: int
    gross_cents: int


@dataclass(frozen=True, slots=True)
class Placed:
    """What was ordered; and of boxes that were not named one by one, those left out, each with the reason."""

    orders: tuple[PlacedOrder, ...]
    left_out: tuple[str, ...] = ()

    @property
    def gross_cents(self) -> int:
        """What is to be paid in all."""
        return sum(order.gross_cents for order in self.orders)


_RESULTS = TypeAdapter(Placed)


def place_renewals(
    store: Store,
    catalog: Catalog,
    operator: Operator,
    which: Sequence[str] | Expiring,
    wanted: Wanted,
    *,
    request_id: str,
    customer_id: str | None = None,
) -> Placed:
    """Place a renewal order for each box, and confirm them to their holder in one e-mail.

    `which` names the boxes by address, all of one holder (`customer_id`, where that is given); if one of them cannot be
    ordered, none is. Of those that are `Expiring`, what cannot be ordered is left out. Raises Refused with the reason
    for each: it renews itself, is deleted, is renewed with its domain, is being charged, has an open order already, or
    would still end before today; or the holder's credit does not suffice for what it is to pay. What credit pays, or
    costs nothing, is renewed at once.
    """
    boxes_named = asdict(which) if isinstance(which, Expiring) else list(which)
    arguments = {"boxes": boxes_named, "customer_id": customer_id} | asdict(wanted)
    request = Request(request_id, "order.renew", arguments, _RESULTS)
    return once(
        store,
        operator,
        request,
        lambda connection, origin: _place(connection, origin, catalog, which, wanted, customer_id),
    )


def _place(
    connection: Connection,
    origin: Origin,
    catalog: Catalog,
    which: Sequence[str] | Expiring,
    wanted: Wanted,
    customer_id: str | None,
) -> Placed:
    on = origin.occurred_on
    if isinstance(which, Expiring):
        found = _locked(connection, _expiring(which, on))
    else:
        found = _named(connection, which, customer_id)
    changes = _changes(connection, catalog, found, wanted.space)
    refusals = _refusals(connection, changes, found, wanted, on)
    chosen = [
        (box, change) for box in found if isinstance(change := changes[box.id], Change) and box.id not in refusals
    ]
    if not chosen or (refusals and not isinstance(which, Expiring)):
        raise Refused("\n".join(refusals.values()) or "There is no box to renew.")
    quotes = {box.id: _quote(catalog, box, change, wanted.years) for box, change in chosen}
    placed = place(connection, [box for box, _ in chosen], quotes, on=on)
    connection.execute(
        insert(manual_orders),
        [
            {
                "order_id": placed[box.id].id,
                "pay_by": wanted.pay_by,
                "plan": None if change.plan.code == box.plan else change.plan.code,
                "dropped_addons": list(change.dropped),
                "cancelled_on": box.cancelled_on,
            }
            for box, change in chosen
        ],
    )
    record_all(connection, origin, [_event(placed[box.id], box, change, wanted) for box, change in chosen])
    _settle_at_once(connection, origin, catalog, [placed[box.id] for box, _ in chosen], wanted)
    return Placed(
        tuple(_placed(placed[box.id], box) for box, _ in chosen),
        tuple(refusals.values()),
    )


def _settle_at_once(
    connection: Connection, origin: Origin, catalog: Catalog, placed: Sequence[Order], wanted: Wanted
) -> None:
    """What costs nothing, and what credit pays, need not wait for anything."""
    by_credit = wanted.pay_by == "credit"
    if by_credit:
        require_credit(connection, placed[0].customer_id, sum(order.gross_cents for order in placed))
    for each in placed:
        order = lock_order(connection, each.number)
        if order is not None and not each.gross_cents:
            settle(connection, origin, catalog, order, method=None, paid_on=origin.occurred_on)
        elif order is not None and by_credit:
            take_credit(connection, origin, catalog, order)


def _expiring(which: Expiring, on: date) -> Select[Any]:
    return select(boxes).where(
        boxes.c.customer_id == which.customer_id,
        boxes.c.status != "deleted",
        boxes.c.expires_on <= months_later(on, which.months),
    )


def _named(connection: Connection, addresses: Sequence[str], customer_id: str | None) -> list[Row[Any]]:
    keys = {address.lower(): address for address in addresses}
    found = _locked(
        connection, select(boxes).where(among(boxes.c.address_key, list(keys)), boxes.c.status != "deleted")
    )
    if customer_id is not None:
        found = [box for box in found if box.customer_id == customer_id]
    missing = [address for key, address in keys.items() if key not in {box.address_key for box in found}]
    if missing:
        raise Refused("\n".join(absent(connection, address, customer_id) for address in missing))
    if len({box.customer_id for box in found}) > 1:
        raise Refused("These boxes belong to several holders; order for each holder apart.")
    return found


def _locked(connection: Connection, wanted: Select[Any]) -> list[Row[Any]]:
    """Boxes as they are now, held against the jobs; locked in the order of their ids, returned by E and address."""
    rows = connection.execute(wanted.order_by(boxes.c.id).with_for_update(key_share=True)).all()
    return sorted(rows, key=lambda box: (box.expires_on, box.address_key))


def _changes(
    connection: Connection, catalog: Catalog, found: Sequence[Row[Any]], wanted: WantedSpace
) -> dict[int, Change | str]:
    """By box: what the order makes of it, or why it cannot."""
    ids = [box.id for box in found]
    extras, by_credit = extras_of(connection, ids), credit_space(connection, ids)
    return {box.id: plan_change(catalog, box, extras[box.id], by_credit[box.id], wanted) for box in found}


def _quote(catalog: Catalog, box: Row[Any], change: Change, years: int) -> Quote:
    """A price of its own belongs to the plan that the box has."""
    agreed = box.annual_price_cents if change.plan.code == box.plan else None
    return quote(catalog, change.plan.code, agreed, change.extras, years)


def _refusals(
    connection: Connection, changes: Mapping[int, Change | str], found: Sequence[Row[Any]], wanted: Wanted, on: date
) -> dict[int, str]:
    """By box: the first reason for which it cannot be ordered."""
    charging = set(
        connection.scalars(
            select(charges.c.box_id).where(among(charges.c.box_id, [box.id for box in found]), unresolved)
        )
    )
    open_orders = open_orders_of(connection, found)
    reasons = {}
    for box in found:
        change = changes[box.id]
        reason = _standing(box) or (
            change if isinstance(change, str) else _late_or_long(box, change.plan, wanted.years, on)
        )
        if reason is None and box.id in charging:
            reason = (
                f"{box.address} is being charged, and nobody knows the outcome yet. Order again when that is settled "
                "(lifecycle-jobs reconcile)."
            )
        if reason is None and box.id in open_orders:
            number, gross = open_orders[box.id].order_number, euros(open_orders[box.id].gross_cents)
            reason = (
                f"{box.address} has an order that waits for its payment already: {number} for {gross}. Pay that one, "
                f"or cancel it first (lifecycle-jobs order cancel {number})."
            )
        if reason is not None:
            reasons[box.id] = reason
    return reasons


def _standing(box: Row[Any]) -> str | None:
    if box.domain is not None:
        return (
            f"{box.address} is renewed with its domain {box.domain}, not by itself "
            f"(lifecycle-jobs domain renew {box.domain})."
        )
    if box.auto_renew:
        return (
            f"{box.address} renews itself. To renew it by hand, switch that off first "
            f"(lifecycle-jobs autorenew off {box.address})."
        )
    return None


def _late_or_long(box: Row[Any], plan: Plan, years: int, on: date) -> str | None:
    longest = min(plan.longest_term_years, MAX_RENEWAL_YEARS)
    if not 1 <= years <= longest:
        return f"{box.address}: plan {plan.name} is renewed for 1 to {longest} years, not {years}."
    until = renewed_until(box.expires_on, years)
    if until >= on:
        return None
    needed = years_to_reach(box.expires_on, on)
    if needed > longest:
        return (
            f"{box.address} has ended on {box.expires_on}: not even the {longest} years for which plan {plan.name} is "
            "renewed at most would reach today. It can only be bought anew, once it is deleted."
        )
    return f"{box.address}, renewed for {years} years, would have ended on {until} already. It takes {needed} years."


def _event(order: Order, box: Row[Any], change: Change, wanted: Wanted) -> Event:
    detail = {
        "order_number": order.number,
        "years": order.years,
        "plan": change.plan.code,
        "previous_plan": box.plan,
        "renews_until": renewed_until(order.term_expires_on, order.years).isoformat(),
        "net": euros(order.net_cents),
        "vat": euros(order.gross_cents - order.net_cents),
        "gross": euros(order.gross_cents),
        "pay_by": wanted.pay_by,
        "extras": {
            kind: sum(extra.quantity for extra in change.extras if extra.item == kind)
            for kind in sorted({extra.item for extra in change.extras})
        },
        "inbox_gb": change.after.inbox_gb,
        "archive_gb": change.after.archive_gb,
        "archive_lost_mb": change.archive_lost_mb,
    }
    return Event("order.placed", box.id, box.customer_id, order.term_expires_on, detail)


def _placed(order: Order, box: Row[Any]) -> PlacedOrder:
    return PlacedOrder(
        order_number=order.number,
        address=box.address,
        expires_on=order.term_expires_on,
        renews_until=renewed_until(order.term_expires_on, order.years),
        net_cents=order.net_cents,
        gross_cents=order.gross_cents,
    )
