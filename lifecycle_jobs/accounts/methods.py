"""Payment methods of a holder: stored, replaced, removed. What is stored is charged only where auto-renew is on.

A card that is replaced is another method, with an id of its own: the boxes are moved over to it, so that a charge that
is about to be made sees that its box has changed (`payments.collect`). What is removed or replaced is not kept: nobody
can charge it by mistake, and the charges that it paid say themselves what they were paid with.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, delete, insert, select, update

from lifecycle_jobs.accounts.finding import is_being_charged, lock_customer
from lifecycle_jobs.accounts.next_charge import next_charge_on
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, customers, payment_methods
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, record, record_of_box
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.orders import open_orders_of
from lifecycle_jobs.policy import Catalog, card_ended_before

MethodKind = Literal["card", "paypal", "credit"]
"""What a holder can store. An agreement is made by contract, and comes with the files."""


@dataclass(frozen=True, slots=True)
class NewMethod:
    """A card or PayPal account as the gateway has stored it, or the holder's own credit, which has no token.

    `payment_method_id` is ours, a new one if there is none. `gateway_customer_id` is the holder's at the gateway, for
    one who has none there yet.
    """

    kind: MethodKind
    token: str | None = field(default=None, repr=False)
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    payment_method_id: str | None = None
    gateway_customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class RegisteredMethod:
    """A method that is stored; no box is charged to it yet."""

    payment_method_id: str
    customer_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class MovedBox:
    """A box whose method was replaced. `charge_on`: when its term is charged to the new one.

    None: it is not charged in this term any more, because auto-renew is off, or its days are over; it has to be renewed
    by hand, by `open_order` if it has one. `being_charged`: nobody knows yet what became of a charge to the old one.
    """

    address: str
    expires_on: date
    auto_renew: bool
    charge_on: date | None
    open_order: str | None
    being_charged: bool


@dataclass(frozen=True, slots=True)
class ReplacedMethod:
    """The method that took the place of another, and the boxes that are charged to it from now on."""

    payment_method_id: str
    previous_id: str
    boxes: tuple[MovedBox, ...]


@dataclass(frozen=True, slots=True)
class LeftBox:
    """A box that had the method that was removed. `switched_off`: it renewed itself, and does so no more."""

    address: str
    expires_on: date
    switched_off: bool
    being_charged: bool


@dataclass(frozen=True, slots=True)
class RemovedMethod:
    """A method that is stored no more, and the boxes that had it."""

    payment_method_id: str
    boxes: tuple[LeftBox, ...]


_REGISTERED = TypeAdapter(RegisteredMethod)
_REPLACED = TypeAdapter(ReplacedMethod)
_REMOVED = TypeAdapter(RemovedMethod)


def register_method(
    store: Store, operator: Operator, customer_id: str, method: NewMethod, *, request_id: str
) -> RegisteredMethod:
    """Store a payment method of a holder, and tell him.

    Raises Refused if there is no such holder, the method is stored already or has ended, or lacks its token.
    """
    arguments = {"customer_id": customer_id, "method": _without_token(method)}
    return once(
        store,
        operator,
        Request(request_id, "method.register", arguments, _REGISTERED),
        lambda connection, origin: _register(connection, origin, customer_id, method),
    )


def replace_method(
    store: Store,
    catalog: Catalog,
    operator: Operator,
    payment_method_id: str,
    method: NewMethod,
    *,
    request_id: str,
    customer_id: str | None = None,
) -> ReplacedMethod:
    """Put another method in the place of one: every box that was charged to that is charged to this.

    The next run charges a box that is in its window, up to E, whatever became of the old method. Raises Refused as
    `register_method` does, and for a method that is not there (or not `customer_id`'s, where that is given) or is an
    agreement.
    """
    arguments = {
        "payment_method_id": payment_method_id,
        "method": _without_token(method),
        "customer_id": customer_id,
    }
    return once(
        store,
        operator,
        Request(request_id, "method.replace", arguments, _REPLACED),
        lambda connection, origin: _replace(connection, origin, catalog, payment_method_id, method, customer_id),
    )


def remove_method(
    store: Store, operator: Operator, payment_method_id: str, *, request_id: str, customer_id: str | None = None
) -> RemovedMethod:
    """Forget a payment method; auto-renew goes off where it was charged.

    Raises Refused if there is none of that id, or it is not `customer_id`'s, where that is given.
    """
    arguments = {"payment_method_id": payment_method_id, "customer_id": customer_id}
    return once(
        store,
        operator,
        Request(request_id, "method.remove", arguments, _REMOVED),
        lambda connection, origin: _remove(connection, origin, payment_method_id, customer_id),
    )


def _without_token(method: NewMethod) -> dict[str, Any]:
    """What tells one method from another, to be kept with the request: of the token only what it can be known by."""
    token = None if method.token is None else hashlib.sha256(method.token.encode()).hexdigest()
    return asdict(method) | {"token": token}


def _register(connection: Connection, origin: Origin, customer_id: str, method: NewMethod) -> RegisteredMethod:
    stored = _store(connection, customer_id, method, origin.occurred_on)
    record(connection, origin, "method.registered", customer_id=customer_id, detail=_said(stored))
    return RegisteredMethod(stored.payment_method_id, customer_id, stored.kind)


def _replace(
    connection: Connection,
    origin: Origin,
    catalog: Catalog,
    payment_method_id: str,
    method: NewMethod,
    customer_id: str | None,
) -> ReplacedMethod:
    previous, with_it = _lock_with_boxes(connection, payment_method_id, customer_id)
    if previous.kind == "agreement":
        raise Refused(f"{payment_method_id} is an agreement: it is made by contract, and comes with the files.")
    stored = _store(connection, previous.customer_id, method, origin.occurred_on)
    connection.execute(
        update(boxes)
        .where(boxes.c.payment_method_id == payment_method_id)
        .values(payment_method_id=stored.payment_method_id)
    )
    connection.execute(delete(payment_methods).where(payment_methods.c.payment_method_id == payment_method_id))
    open_orders = open_orders_of(connection, with_it)
    said = _said(stored) | {
        "previous_id": payment_method_id,
        "previous_kind": previous.kind,
        "previous_brand": previous.brand,
        "previous_last4": previous.last4,
    }
    moved = []
    for box in with_it:
        due = next_charge_on(connection, catalog, box, stored, origin.occurred_on) if box.auto_renew else None
        order = open_orders.get(box.id)
        moved.append(
            MovedBox(
                box.address,
                box.expires_on,
                box.auto_renew,
                due,
                None if order is None else order.order_number,
                is_being_charged(connection, box.id),
            )
        )
        about_box = {
            "auto_renew": box.auto_renew,
            "charge_on": None if due is None else due.isoformat(),
            "being_charged": moved[-1].being_charged,
        }
        _record_of(connection, origin, "method.replaced", box, said | about_box)
    if not with_it:
        record(connection, origin, "method.replaced", customer_id=previous.customer_id, detail=said)
    return ReplacedMethod(stored.payment_method_id, payment_method_id, tuple(moved))


def _remove(connection: Connection, origin: Origin, payment_method_id: str, customer_id: str | None) -> RemovedMethod:
    method, with_it = _lock_with_boxes(connection, payment_method_id, customer_id)
    connection.execute(
        update(boxes)
        .where(boxes.c.payment_method_id == payment_method_id)
        .values(payment_method_id=None, auto_renew=False)
    )
    connection.execute(delete(payment_methods).where(payment_methods.c.payment_method_id == payment_method_id))
    left = []
    for box in with_it:
        left.append(LeftBox(box.address, box.expires_on, box.auto_renew, is_being_charged(connection, box.id)))
        about_box = {"switched_off": box.auto_renew, "being_charged": left[-1].being_charged}
        _record_of(connection, origin, "method.removed", box, _said(method) | about_box)
    if not with_it:
        record(connection, origin, "method.removed", customer_id=method.customer_id, detail=_said(method))
    return RemovedMethod(payment_method_id, tuple(left))


def _store(connection: Connection, customer_id: str, method: NewMethod, on: date) -> Row[Any]:
    """The method as it is stored now, with its holder locked."""
    customer = lock_customer(connection, customer_id)
    _require_complete(method, on)
    _know_at_the_gateway(connection, customer, method.gateway_customer_id)
    stored = connection.execute(
        select(payment_methods).where(
            payment_methods.c.customer_id == customer_id, payment_methods.c.kind == method.kind
        )
    ).all()
    same = [each.payment_method_id for each in stored if each.token == method.token]
    if same:
        raise Refused(f"That {method.kind} of the holder is stored already, as {same[0]}.")
    method_id = method.payment_method_id or f"{method.kind}-{uuid.uuid4().hex[:12]}"
    taken = select(payment_methods.c.customer_id).where(payment_methods.c.payment_method_id == method_id)
    if connection.scalar(taken) is not None:
        raise Refused(f"The id {method_id} stands for another payment method already. Choose another, or none.")
    return connection.execute(
        insert(payment_methods)
        .values(
            payment_method_id=method_id,
            customer_id=customer_id,
            kind=method.kind,
            token=method.token,
            brand=method.brand,
            last4=method.last4,
            exp_month=method.exp_month,
            exp_year=method.exp_year,
        )
        .returning(*payment_methods.c)
    ).one()


def _require_complete(method: NewMethod, on: date) -> None:
    if method.kind not in {"card", "paypal", "credit"}:
        raise Refused(f"Only a card, a PayPal account or the holder's credit can be stored, no {method.kind}.")
    if (method.kind == "credit") is (method.token is not None):
        raise Refused(
            "Credit is the holder's own and has no token."
            if method.kind == "credit"
            else f"A {method.kind} is charged by the token that the gateway has given it: name that."
        )
    ended = card_ended_before(method.exp_month, method.exp_year, on)
    if ended is not None:
        raise Refused(f"That card has ended on {ended}. Store one that is still valid.")


def _know_at_the_gateway(connection: Connection, customer: Row[Any], gateway_customer_id: str | None) -> None:
    if gateway_customer_id in {None, customer.gateway_customer_id}:
        return
    if customer.gateway_customer_id is not None:
        raise Refused(
            f"Customer {customer.customer_id} is known to the gateway under another id already. Attach the method to "
            "that one at the gateway, and leave the id out here."
        )
    connection.execute(
        update(customers)
        .where(customers.c.customer_id == customer.customer_id)
        .values(gateway_customer_id=gateway_customer_id)
    )


def _lock_with_boxes(
    connection: Connection, payment_method_id: str, customer_id: str | None
) -> tuple[Row[Any], Sequence[Row[Any]]]:
    """A method, and the living boxes that are charged to it, nearest expiry first.

    The boxes come first, as everywhere. They are looked for again once the method is held, when no other box can get it
    any more: one that got it while we waited would be switched off, and nobody told.
    """
    _lock_boxes(connection, payment_method_id)
    method = _lock_method(connection, payment_method_id, customer_id)
    return method, _lock_boxes(connection, payment_method_id)


def _lock_boxes(connection: Connection, payment_method_id: str) -> Sequence[Row[Any]]:
    """The living boxes that are charged to a method, nearest expiry first."""
    with_it = (boxes.c.payment_method_id == payment_method_id, boxes.c.status != "deleted")
    rows = connection.execute(select(boxes).where(*with_it).order_by(boxes.c.id).with_for_update(key_share=True)).all()
    return sorted(rows, key=lambda box: (box.expires_on, box.address_key))


def _lock_method(connection: Connection, payment_method_id: str, customer_id: str | None) -> Row[Any]:
    method = connection.execute(
        select(payment_methods).where(payment_methods.c.payment_method_id == payment_method_id).with_for_update()
    ).one_or_none()
    if method is None or customer_id not in {None, method.customer_id}:
        raise Refused(f"There is no payment method {payment_method_id}.")
    return method


def _said(method: Row[Any]) -> dict[str, Any]:
    """What the history says of a method: never its token."""
    return {name: getattr(method, name) for name in ("payment_method_id", "kind", "brand", "last4")}


def _record_of(connection: Connection, origin: Origin, kind: str, box: Row[Any], detail: dict[str, Any]) -> None:
    record_of_box(
        connection,
        origin,
        kind,
        box,
        detail=detail,
    )
