"""Auto-renew switched on and off, at any time, for one box (SPEC §2, §3 auto_renew)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, select, update

from lifecycle_jobs.accounts.finding import is_being_charged, lock_box
from lifecycle_jobs.accounts.next_charge import charge_terms, declined_for_good, next_charge_on
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, manual_orders, payment_methods
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, euros, record_of_box
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.orders import open_orders_of
from lifecycle_jobs.policy import MAX_RENEWAL_YEARS, Catalog


@dataclass(frozen=True, slots=True)
class AutoRenewal:
    """How a box is renewed from now on. `changed`: it was not so before.

    `charge_on`: when its term is charged, if it renews itself; none: this term has to be renewed by hand, the next ones
    renew themselves. `being_charged`: nobody knows yet what became of a charge; if it succeeded, the box is renewed.
    """

    address: str
    expires_on: date
    auto_renew: bool
    changed: bool
    being_charged: bool
    years: int
    payment_method_id: str | None
    charge_on: date | None = None


_RESULTS = TypeAdapter(AutoRenewal)


def switch_auto_renew_on(
    store: Store,
    catalog: Catalog,
    operator: Operator,
    address: str,
    *,
    request_id: str,
    payment_method_id: str | None = None,
    years: int | None = None,
    customer_id: str | None = None,
) -> AutoRenewal:
    """Let a box renew itself, for so many years each time (as before, if none is said), and tell its holder.

    It is charged to the method that is named, else to the one that it has, else to the holder's only one. Raises
    Refused if there is no such box or method, the plan does not renew itself, the holder gave notice, an order that was
    placed by hand is open, or the method was declined for good in this term.
    """
    arguments = {
        "address": address,
        "payment_method_id": payment_method_id,
        "years": years,
        "customer_id": customer_id,
    }
    return once(
        store,
        operator,
        Request(request_id, "autorenew.on", arguments, _RESULTS),
        lambda connection, origin: _on(
            connection, origin, catalog, lock_box(connection, address, customer_id), payment_method_id, years
        ),
    )


def switch_auto_renew_off(
    store: Store, operator: Operator, address: str, *, request_id: str, customer_id: str | None = None
) -> AutoRenewal:
    """Let a box not renew itself any more, and tell its holder; its method stays stored.

    Nothing is charged from then on; a charge that the gateway has been asked for may still succeed. Raises Refused if
    there is no such box.
    """
    arguments = {"address": address, "customer_id": customer_id}
    return once(
        store,
        operator,
        Request(request_id, "autorenew.off", arguments, _RESULTS),
        lambda connection, origin: _off(connection, origin, lock_box(connection, address, customer_id)),
    )


def _on(
    connection: Connection,
    origin: Origin,
    catalog: Catalog,
    box: Row[Any],
    payment_method_id: str | None,
    years: int | None,
) -> AutoRenewal:
    wanted = box.renewal_years if years is None else years
    reason = _standing(box, catalog, wanted) or _order_by_hand(connection, box)
    if reason is not None:
        raise Refused(reason)
    method = _method(connection, box, payment_method_id)
    if declined_for_good(connection, box, method):
        raise Refused(
            f"{method.payment_method_id} was declined for good for {box.address}, and is not charged again. Replace it "
            f"(lifecycle-jobs method replace {method.payment_method_id}), or name another with --method."
        )
    now = (True, wanted, method.payment_method_id)
    changed = (box.auto_renew, box.renewal_years, box.payment_method_id) != now
    due = next_charge_on(connection, catalog, box, method, origin.occurred_on)
    if changed:
        connection.execute(
            update(boxes)
            .where(boxes.c.id == box.id)
            .values(auto_renew=True, renewal_years=wanted, payment_method_id=method.payment_method_id)
        )
        detail = charge_terms(connection, catalog, box.id, method.payment_method_id, origin.occurred_on)
        _record(connection, origin, "autorenew.switched_on", box, detail)
    charging = is_being_charged(connection, box.id)
    return AutoRenewal(box.address, box.expires_on, True, changed, charging, wanted, method.payment_method_id, due)


def _off(connection: Connection, origin: Origin, box: Row[Any]) -> AutoRenewal:
    charging = is_being_charged(connection, box.id)
    if box.auto_renew:
        connection.execute(update(boxes).where(boxes.c.id == box.id).values(auto_renew=False))
        _record(connection, origin, "autorenew.switched_off", box, {"being_charged": charging})
    return AutoRenewal(
        box.address, box.expires_on, False, box.auto_renew, charging, box.renewal_years, box.payment_method_id
    )


def _standing(box: Row[Any], catalog: Catalog, years: int) -> str | None:
    plan = catalog.plans[box.plan]
    if box.domain is not None:
        return (
            f"{box.address} is renewed with its domain {box.domain}, not by itself "
            f"(lifecycle-jobs domain renew {box.domain})."
        )
    if not plan.auto_renewable:
        return f"{box.address} does not renew itself: plan {plan.name} is renewed by hand (lifecycle-jobs order renew)."
    longest = min(plan.longest_term_years, MAX_RENEWAL_YEARS)
    if not 1 <= years <= longest:
        return f"{box.address}: plan {plan.name} is renewed for 1 to {longest} years, not {years}."
    if box.cancelled_on is not None:
        return f"The holder of {box.address} gave notice on {box.cancelled_on}. Withdraw the notice first."
    return None


def _order_by_hand(connection: Connection, box: Row[Any]) -> str | None:
    """An order that its holder placed and may be about to pay: auto-renew would charge the same term."""
    order = open_orders_of(connection, [box]).get(box.id)
    if order is None or box.auto_renew:
        return None
    by_hand = connection.scalar(select(manual_orders.c.order_id).where(manual_orders.c.order_id == order.id))
    if by_hand is None:
        return None
    return (
        f"{box.address} has an order that waits for its payment: {order.order_number} for {euros(order.gross_cents)}. "
        f"Have it paid, or cancel it first (lifecycle-jobs order cancel {order.order_number})."
    )


def _method(connection: Connection, box: Row[Any], payment_method_id: str | None) -> Row[Any]:
    """The method to charge, kept from being removed meanwhile."""
    stored = connection.execute(
        select(payment_methods)
        .where(payment_methods.c.customer_id == box.customer_id)
        .order_by(payment_methods.c.payment_method_id)
        .with_for_update(read=True, key_share=True)
    ).all()
    wanted = payment_method_id or box.payment_method_id
    if wanted is None and len(stored) == 1:
        return stored[0]
    for method in stored:
        if method.payment_method_id == wanted:
            return method
    if wanted is not None:
        raise Refused(f"The holder of {box.address} has no payment method {wanted}.")
    if not stored:
        raise Refused(
            f"The holder of {box.address} has no payment method. Store one first (lifecycle-jobs method register "
            f"{box.customer_id})."
        )
    names = ", ".join(f"{method.payment_method_id} ({method.kind})" for method in stored)
    raise Refused(f"The holder of {box.address} has several payment methods. Say which with --method: {names}.")


def _record(connection: Connection, origin: Origin, kind: str, box: Row[Any], detail: dict[str, Any]) -> None:
    record_of_box(
        connection,
        origin,
        kind,
        box,
        detail=detail,
    )
