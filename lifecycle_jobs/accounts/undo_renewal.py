"""Undoing the last renewal of a box: a clerk's correction of a mistake (SPEC §2, order; issue of the office).

What the renewal did is taken back, and nothing that happened is forgotten: the history keeps the renewal and gets its
undoing.

- E moves back to where the renewal found it, and with it the add-ons that it had carried along. A notice of the
  holder's that it had voided is there again.
- Its order is cancelled, so that the term can be ordered anew. Money that paid it is unapplied from now on: listed by
  `refunds list` until it is given back, or applied to another order, and nobody suspends or charges the box before
  that. Credit goes back to the balance at once, by an entry of its own in the ledger. Under an agreement nothing was
  collected.
- Add-ons that credit has renewed since go back in the same way, each with its own entry.
- Auto-renew is switched off: the next run would renew the box again.
- A box that is then past E, with nothing to be refunded, is suspended for want of payment as of today.

What came with the renewal and cannot be taken back so simply is refused: another plan or space, and add-ons bought
since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, select, update

from lifecycle_jobs.accounts.altering import alter
from lifecycle_jobs.accounts.finding import is_being_charged, lock_box
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.accounts.unpaid import suspend_if_unpaid
from lifecycle_jobs.db.conditions import EXPIRY_MOVED
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, charges, credit_entries, events, manual_orders, orders, registered_payments
from lifecycle_jobs.errors import LifecycleError, Refused
from lifecycle_jobs.history import Origin, euros, record, record_of_box
from lifecycle_jobs.languages import spoken
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.credit import give_back
from lifecycle_jobs.policy import Catalog


@dataclass(frozen=True, slots=True)
class UndoneRenewal:
    """A renewal that is taken back: the box ends on `expires_on` again, which was `undone_expires_on`.

    `to_refund`: the payment that is to be given back, as `refunds list` shows it. `credit_cents`: what went back to the
    balance. `auto_renew_off`: auto-renew was on, and is not any more. `suspended`: the box is past E, and suspended.
    """

    address: str
    expires_on: date
    undone_expires_on: date
    order_number: str | None
    to_refund: str | None
    credit_cents: int
    auto_renew_off: bool
    suspended: bool


_RESULTS = TypeAdapter(UndoneRenewal)


def undo_renewal(store: Store, catalog: Catalog, operator: Operator, address: str, *, request_id: str) -> UndoneRenewal:
    """Take back the last renewal of a box, by order or with its domain.

    Raises Refused for a box that is not there, is being charged, was not renewed since it was bought or came here, or
    whose last renewal brought another plan or space, or add-ons that were bought since.
    """
    return once(
        store,
        operator,
        Request(request_id, "box.undo_renewal", {"address": address}, _RESULTS),
        lambda connection, origin: _undo(connection, origin, catalog, address),
    )


def _undo(connection: Connection, origin: Origin, catalog: Catalog, address: str) -> UndoneRenewal:
    box = lock_box(connection, address)
    if is_being_charged(connection, box.id):
        raise Refused(
            f"{box.address} is being charged, and nobody knows the outcome yet. Undo its renewal when that is settled "
            "(lifecycle-jobs reconcile)."
        )
    renewal = _last_renewal(connection, box)
    order = _order(connection, box, renewal)
    back = _credit_addons_back(connection, origin, box, renewal)
    _require_nothing_bought_since(connection, box, renewal)
    alter(
        connection,
        box,
        expires_on=renewal.term_expires_on,
        auto_renew=False,
        cancelled_on=box.cancelled_on or (None if order is None else order.voided_notice),
    )
    connection.execute(
        update(addons)
        .where(
            addons.c.box_id == box.id,
            addons.c.paid_from == "renewal",
            addons.c.status == "active",
            addons.c.expires_on == box.expires_on,
        )
        .values(expires_on=renewal.term_expires_on)
    )
    to_refund = None
    if order is not None:
        to_refund, credit = _take_back(connection, origin, order)
        back += credit
    record_of_box(
        connection,
        origin,
        "box.renewal_undone",
        box,
        detail={
            "undone_event": renewal.id,
            "new_expires_on": renewal.term_expires_on.isoformat(),
            "order_number": None if order is None else order.order_number,
            "gross": euros(0 if order is None else order.gross_cents),
            "to_refund": to_refund is not None,
            "credit": euros(back),
            "auto_renew_off": box.auto_renew,
        },
    )
    suspended = suspend_if_unpaid(connection, origin, catalog, box.id, {"undone_event": renewal.id})
    return UndoneRenewal(
        address=box.address,
        expires_on=renewal.term_expires_on,
        undone_expires_on=box.expires_on,
        order_number=None if order is None else order.order_number,
        to_refund=to_refund,
        credit_cents=back,
        auto_renew_off=box.auto_renew,
        suspended=suspended,
    )


def _last_renewal(connection: Connection, box: Row[Any]) -> Row[Any]:
    """The last event that moved E on and has not been undone; E must be where it put it."""
    moves = connection.execute(
        select(events)
        .where(
            events.c.box_id == box.id,
            events.c.kind.in_(EXPIRY_MOVED),
            events.c.id > (box.imported_after_event or 0),
        )
        .order_by(events.c.id.desc())
    ).all()
    undone = {move.detail["undone_event"] for move in moves if move.kind == "box.renewal_undone"}
    left = [move for move in moves if move.kind != "box.renewal_undone" and move.id not in undone]
    if not left:
        raise Refused(f"{box.address} was not renewed here: there is nothing to undo.")
    last = left[0]
    if last.kind == "box.bought":
        raise Refused(
            f"{box.address} was not renewed since it was bought. A purchase is not undone: cancel the box, and give "
            f"back what was paid (lifecycle-jobs box cancel {box.address})."
        )
    if last.detail["new_expires_on"] != box.expires_on.isoformat():
        raise Refused(f"{box.address} ends on {box.expires_on}, which its last renewal did not bring about.")
    return last


def _order(connection: Connection, box: Row[Any], renewal: Row[Any]) -> Row[Any] | None:
    """The order of the renewal; none if it was renewed with its domain."""
    if renewal.kind == "box.domain_renewed":
        return None
    order = connection.execute(
        select(orders, manual_orders.c.cancelled_on.label("voided_notice"))
        .outerjoin(manual_orders, manual_orders.c.order_id == orders.c.id)
        .where(orders.c.order_number == renewal.detail["order_number"])
    ).one()
    changed = connection.scalar(
        select(events.c.id).where(
            events.c.box_id == box.id,
            events.c.kind == "box.changed",
            events.c.id > renewal.id,
            events.c.detail["order_number"].as_string() == order.order_number,
        )
    )
    if changed is not None:
        raise Refused(
            f"{box.address} got another plan or space with that renewal (order {order.order_number}), which cannot be "
            "undone. Order the former plan with its next renewal, and give back the difference as credit."
        )
    return order


def _require_nothing_bought_since(connection: Connection, box: Row[Any], renewal: Row[Any]) -> None:
    """Refuse where an add-on is still paid until the E that is taken back, and not by this renewal."""
    paid_until_then = connection.execute(
        select(addons).where(
            addons.c.box_id == box.id,
            addons.c.status == "active",
            addons.c.cancelled_on.is_(None),
            addons.c.expires_on == box.expires_on,
        )
    ).all()
    carried = set(renewal.detail["addons"])
    bought = sorted(addon.addon_id for addon in paid_until_then if addon.addon_id not in carried)
    if bought:
        raise Refused(
            f"{box.address} has add-ons that were bought since that renewal and are paid until {box.expires_on}: "
            f"{', '.join(bought)}. Cancel them first, and give back what was paid for them."
        )


def _credit_addons_back(connection: Connection, origin: Origin, box: Row[Any], renewal: Row[Any]) -> int:
    """Take back what credit has paid for add-ons that followed the renewal; returns the cents that went back."""
    followed = connection.execute(
        select(events.c.id, events.c.term_expires_on, events.c.detail, addons)
        .join(addons, addons.c.addon_id == events.c.addon_id)
        .where(
            events.c.box_id == box.id,
            events.c.kind == "addon.renewed",
            events.c.id > renewal.id,
            addons.c.status == "active",
            addons.c.expires_on == box.expires_on,
            events.c.detail["new_expires_on"].as_string() == box.expires_on.isoformat(),
        )
        .order_by(addons.c.addon_id)
        .with_for_update(of=addons, key_share=True)
    ).all()
    back = 0
    for addon in followed:
        order = connection.execute(
            select(orders).where(orders.c.order_number == addon.detail["order_number"], orders.c.status == "paid")
        ).one_or_none()
        if order is None:
            continue
        _cancel(connection, order)
        give_back(
            connection, box.customer_id, order.gross_cents, on=origin.occurred_on, order_number=order.order_number
        )
        connection.execute(
            update(addons)
            .where(addons.c.addon_id == addon.addon_id, addons.c.expires_on == addon.expires_on)
            .values(expires_on=addon.term_expires_on)
        )
        back += order.gross_cents
        record(
            connection,
            origin,
            "addon.renewal_undone",
            box_id=box.id,
            addon_id=addon.addon_id,
            customer_id=box.customer_id,
            term_expires_on=addon.expires_on,
            detail={
                "undone_event": addon.id,
                "new_expires_on": addon.term_expires_on.isoformat(),
                "order_number": order.order_number,
                "credit": euros(order.gross_cents),
            },
        )
    return back


def _take_back(connection: Connection, origin: Origin, order: Row[Any]) -> tuple[str | None, int]:
    """Cancel the order and part it from its payment: what is to be refunded, and the cents that went back to credit."""
    on = origin.occurred_on
    _cancel(connection, order)
    charge = connection.execute(
        select(charges).where(
            charges.c.order_id == order.id,
            charges.c.status == "succeeded",
            ~charges.c.unapplied,
            # One that came when the order was paid already was never what paid it.
            charges.c.refunded_on.is_(None),
        )
    ).one_or_none()
    if charge is not None and charge.method_kind != "credit":
        connection.execute(update(charges).where(charges.c.id == charge.id).values(unapplied=True))
        return str(charge.idempotency_key), 0
    if charge is not None:
        given_back = {"refunded_on": on, "refund_reference": f"credit {order.order_number}"}
        connection.execute(update(charges).where(charges.c.id == charge.id).values(**given_back))
    reference = connection.scalar(
        update(registered_payments)
        .where(registered_payments.c.order_id == order.id, registered_payments.c.effective)
        .values(effective=False, unapplied_because=spoken("its renewal was undone"))
        .returning(registered_payments.c.reference)
    )
    if reference is not None:
        return str(reference), 0
    debited = connection.scalar(
        select(-credit_entries.c.amount_cents).where(
            credit_entries.c.reference == order.order_number, credit_entries.c.reason == "renewal"
        )
    )
    if debited is not None:
        give_back(connection, order.customer_id, debited, on=on, order_number=order.order_number)
    return None, debited or 0


def _cancel(connection: Connection, order: Row[Any]) -> None:
    cancelled = update(orders).where(orders.c.id == order.id, orders.c.status == order.status)
    if connection.execute(cancelled.values(status="cancelled", paid_on=None)).rowcount != 1:
        raise LifecycleError(f"Order {order.order_number} was overtaken by another change; nothing was changed here.")
