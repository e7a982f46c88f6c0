"""A box in a test: how it stands now, and what its holder or a clerk does about it, by `lifecycle_jobs.accounts`.

What the rules do not allow is `errors.Refused` here too.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import Row, select

from lifecycle_jobs import accounts
from lifecycle_jobs.accounts import (
    AutoRenewal,
    CancelledBox,
    HeldBox,
    NewMethod,
    Paid,
    PayBy,
    Payment,
    PlacedOrder,
    ReleasedBox,
    ReplacedMethod,
    Wanted,
)
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.orders import open_orders_of
from lifecycle_jobs.policy import Catalog

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Desk:
    """Where operations are done: on which database, with which catalogue, by whom, and what delivers their messages."""

    store: Store
    catalog: Catalog
    operator: Callable[[], Operator]
    deliver: Callable[[], object]

    def done(self, result: Result) -> Result:
        """What an operation answered, after its messages were delivered, as the daemon would."""
        self.deliver()
        return result


@dataclass(frozen=True, slots=True)
class Box:
    """A box, known by its number: one that is bought again under the same address is another."""

    address: str
    customer_id: str
    id: int
    _desk: Desk = field(repr=False, compare=False)

    @property
    def status(self) -> str:
        """`active`, `suspended` or `deleted`."""
        return str(self.row.status)

    @property
    def expires_on(self) -> date:
        """E, the last day that is paid for."""
        expires_on: date = self.row.expires_on
        return expires_on

    @property
    def auto_renew(self) -> bool:
        """Whether it renews itself."""
        return bool(self.row.auto_renew)

    @property
    def suspended_on(self) -> date | None:
        """Since when it is suspended, if it is."""
        suspended_on: date | None = self.row.suspended_on
        return suspended_on

    @property
    def deleted_on(self) -> date | None:
        """When it was deleted, if it was."""
        deleted_on: date | None = self.row.deleted_on
        return deleted_on

    @property
    def row(self) -> Row[Any]:
        """The row of the database, with every column."""
        with self._desk.store.read() as connection:
            return connection.execute(select(boxes).where(boxes.c.id == self.id)).one()

    def order_renewal(self, years: int = 1, *, pay_by: PayBy = "bank_transfer") -> PlacedOrder:
        """Order a renewal by hand; it waits for its payment."""
        placed = accounts.place_renewals(
            self._desk.store,
            self._desk.catalog,
            self._desk.operator(),
            [self.address],
            Wanted(years, pay_by),
            request_id=_once(),
        )
        return self._desk.done(placed.orders[0])

    def pay(self, amount_cents: int | None = None) -> Paid:
        """Register a payment of the order that waits, of its whole amount if none is said, as paid today.

        The order may be one that was placed by hand, or that a declined charge has left. Raises Refused without one.
        """
        with self._desk.store.read() as connection:
            waiting = open_orders_of(connection, [self.row]).get(self.id)
        if waiting is None:
            raise Refused(f"No order of {self.address} waits for its payment. Order a renewal first.")
        operator = self._desk.operator()
        payment = Payment(waiting.gross_cents if amount_cents is None else amount_cents, _once(), operator.on)
        paid = accounts.pay_order(
            self._desk.store, self._desk.catalog, operator, waiting.order_number, payment, request_id=_once()
        )
        return self._desk.done(paid)

    def switch_auto_renew_off(self) -> AutoRenewal:
        """Let it not renew itself any more."""
        switched = accounts.switch_auto_renew_off(
            self._desk.store, self._desk.operator(), self.address, request_id=_once()
        )
        return self._desk.done(switched)

    def switch_auto_renew_on(self, years: int | None = None) -> AutoRenewal:
        """Let it renew itself by the method that it has, or the holder's only one."""
        switched = accounts.switch_auto_renew_on(
            self._desk.store,
            self._desk.catalog,
            self._desk.operator(),
            self.address,
            request_id=_once(),
            years=years,
        )
        return self._desk.done(switched)

    def replace_card(self, token: str) -> ReplacedMethod:
        """Put another card in the place of the method that it is charged to, in all boxes of that method."""
        replaced = accounts.replace_method(
            self._desk.store,
            self._desk.catalog,
            self._desk.operator(),
            self.row.payment_method_id,
            NewMethod("card", token),
            request_id=_once(),
        )
        return self._desk.done(replaced)

    def hold(self, reason: str, until: date | None = None) -> HeldBox:
        """Put it on hold through a day, inclusive, or until it is released."""
        held = accounts.hold_box(
            self._desk.store, self._desk.operator(), self.address, reason=reason, until=until, request_id=_once()
        )
        return self._desk.done(held)

    def release(self) -> ReleasedBox:
        """End the hold."""
        released = accounts.release_box(self._desk.store, self._desk.operator(), self.address, request_id=_once())
        return self._desk.done(released)

    def cancel(self) -> CancelledBox:
        """Record the holder's notice."""
        cancelled = accounts.cancel_box(self._desk.store, self._desk.operator(), self.address, request_id=_once())
        return self._desk.done(cancelled)


def _once() -> str:
    return uuid.uuid4().hex
