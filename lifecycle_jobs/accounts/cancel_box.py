"""The holder's notice (disdetta): the box ends with its term. It can be withdrawn up to and including E.

From the moment it is recorded nothing is charged for the box by itself any more, and no alert is sent (SPEC §2, §3).
Auto-renew stays as it was switched, so that a notice that is withdrawn leaves everything as before. After E a notice
is voided by renewing by hand; that of a box on a domain can be withdrawn until it is deleted, since the domain's
renewal leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pydantic import TypeAdapter
from sqlalchemy import Connection

from lifecycle_jobs.accounts.altering import alter
from lifecycle_jobs.accounts.domain import let_go_with_domain
from lifecycle_jobs.accounts.finding import is_being_charged, lock_box
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, record, record_of_box
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.orders import open_orders_of


@dataclass(frozen=True, slots=True)
class CancelledBox:
    """A box that ends with its term, on `expires_on`.

    `being_charged`: a charge was under way already; if the bank has made it, the box is renewed all the same, and the
    holder may want the renewal undone. `open_order`: an order that still waits for its payment; paid, it would renew.
    """

    address: str
    expires_on: date
    being_charged: bool
    open_order: str | None


@dataclass(frozen=True, slots=True)
class WithdrawnBox:
    """A box whose notice is withdrawn. `renews_itself`: auto-renew is on, as it was before the notice."""

    address: str
    expires_on: date
    renews_itself: bool


_CANCELLED = TypeAdapter(CancelledBox)
_WITHDRAWN = TypeAdapter(WithdrawnBox)


def cancel_box(
    store: Store, operator: Operator, address: str, *, request_id: str, customer_id: str | None = None
) -> CancelledBox:
    """Record the holder's notice for a box, and confirm it.

    Raises Refused for a box that is not there (or not `customer_id`'s, where that is given), or that was cancelled
    before.
    """
    request = Request(request_id, "box.cancel", {"address": address, "customer_id": customer_id}, _CANCELLED)
    return once(store, operator, request, lambda connection, origin: _cancel(connection, origin, address, customer_id))


def withdraw_cancellation(
    store: Store, operator: Operator, address: str, *, request_id: str, customer_id: str | None = None
) -> WithdrawnBox:
    """Withdraw the holder's notice up to and including E, and confirm it.

    Raises Refused for a box that is not there, not cancelled, or past E: then only a renewal by hand helps.
    """
    request = Request(request_id, "box.withdraw", {"address": address, "customer_id": customer_id}, _WITHDRAWN)
    return once(
        store, operator, request, lambda connection, origin: _withdraw(connection, origin, address, customer_id)
    )


def _cancel(connection: Connection, origin: Origin, address: str, customer_id: str | None) -> CancelledBox:
    box = lock_box(connection, address, customer_id)
    if box.cancelled_on is not None:
        raise Refused(f"{box.address} was cancelled on {box.cancelled_on} already; it ends on {box.expires_on}.")
    alter(connection, box, boxes.c.cancelled_on.is_(None), cancelled_on=origin.occurred_on)
    record(
        connection,
        origin,
        "cancellation.recorded",
        box_id=box.id,
        customer_id=box.customer_id,
        term_expires_on=box.expires_on,
    )
    waiting = open_orders_of(connection, [box]).get(box.id)
    number = None if waiting is None else waiting.order_number
    return CancelledBox(box.address, box.expires_on, is_being_charged(connection, box.id), number)


def _withdraw(connection: Connection, origin: Origin, address: str, customer_id: str | None) -> WithdrawnBox:
    box = lock_box(connection, address, customer_id)
    if box.cancelled_on is None:
        raise Refused(f"{box.address} is not cancelled: there is nothing to withdraw.")
    if let_go_with_domain(connection, [box.id]):
        raise Refused(
            f"{box.address} was let go with its domain {box.domain}; renewing that keeps it (lifecycle-jobs domain "
            f"renew {box.domain})."
        )
    # A box on a domain cannot be renewed by hand, which would void the notice after E.
    if box.expires_on < origin.occurred_on and box.domain is None:
        raise Refused(
            f"{box.address} has ended on {box.expires_on}: its cancellation cannot be withdrawn any more. Renewing it "
            f"by hand voids it (lifecycle-jobs order renew {box.address})."
        )
    alter(connection, box, boxes.c.cancelled_on == box.cancelled_on, cancelled_on=None)
    record_of_box(
        connection,
        origin,
        "cancellation.withdrawn",
        box,
        detail={"cancelled_on": box.cancelled_on.isoformat(), "renews_itself": box.auto_renew},
    )
    return WithdrawnBox(box.address, box.expires_on, box.auto_renew)
