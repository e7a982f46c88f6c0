"""What a message about an account operation may say: one kind of message for each (see `contents`).

What a holder or a clerk did is told as it was done, so these lines come from the event alone; amounts and dates are
those that were decided then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from lifecycle_jobs.mail.account_box_contents import BOX_LINE_TYPES, BoxLine, BoxMessageKind
from lifecycle_jobs.mail.method_contents import METHOD_LINE_TYPES, MethodLine, MethodMessageKind
from lifecycle_jobs.mail.purchase_contents import PURCHASE_LINE_TYPES, PurchaseLine, PurchaseMessageKind

AccountMessageKind = Literal[
    "order.placed",
    "order.cancelled",
    "payment.unapplied",
    "box.changed",
    MethodMessageKind,
    PurchaseMessageKind,
    BoxMessageKind,
]
"""Kinds of message that tell of account operations."""

PayBy = Literal["bank_transfer", "card", "paypal", "credit"]
"""How an order that was placed by hand is going to be paid."""


@dataclass(frozen=True)
class ExtraSpace:
    """Extra space on an order, by kind of add-on, in GB."""

    kind: str
    quantity: int


@dataclass(frozen=True)
class OrderPlacedLine:
    """A renewal order that waits for its payment.

    ``plan_name`` is the plan that the box will have, ``renews_until`` its E once the order is paid. ``pay_url`` is the
    page on which the holder pays. ``previous_plan_name`` is set where the plan changes. ``archive_lost_mb`` is what the
    archive will have no room for once it is paid, 0 if nothing is lost, none if nobody knows how much is in it.
    """

    address: str
    plan_name: str
    expires_on: date
    renews_until: date
    years: int
    order_number: str
    net_cents: int
    vat_cents: int
    gross_cents: int
    pay_by: PayBy
    pay_url: str
    extras: tuple[ExtraSpace, ...] = ()
    previous_plan_name: str | None = None
    archive_lost_mb: int | None = 0


@dataclass(frozen=True)
class OrderCancelledLine:
    """A renewal order that is not to be paid any more; the box still ends on ``expires_on``.

    ``renews_itself``: auto-renew will place another when its day comes.
    """

    address: str
    plan_name: str
    expires_on: date
    order_number: str
    gross_cents: int
    renews_itself: bool
    renew_url: str


@dataclass(frozen=True)
class UnappliedLine:
    """Money that arrived for an order which cannot take it: kept until it is applied to another one or given back.

    ``address`` is none where the order is for no box.
    """

    address: str | None
    order_number: str
    reference: str
    amount_cents: int


@dataclass(frozen=True)
class ChangedLine:
    """A box that has another plan, or other extra space, since its renewal was paid. Space in GB, extra space included.

    ``archive_lost_mb`` as in `OrderPlacedLine`.
    """

    address: str
    plan_name: str
    previous_plan_name: str
    inbox_gb: int
    archive_gb: int
    previous_inbox_gb: int
    previous_archive_gb: int
    archive_lost_mb: int | None
    order_number: str


AccountLine: TypeAlias = (
    OrderPlacedLine | OrderCancelledLine | UnappliedLine | ChangedLine | MethodLine | PurchaseLine | BoxLine
)

ACCOUNT_LINE_TYPES: Final[Mapping[str, type[AccountLine]]] = MappingProxyType(
    {
        "order.placed": OrderPlacedLine,
        "order.cancelled": OrderCancelledLine,
        "payment.unapplied": UnappliedLine,
        **METHOD_LINE_TYPES,
        **PURCHASE_LINE_TYPES,
        "box.changed": ChangedLine,
        **BOX_LINE_TYPES,
    }
)
"""The type of line that each kind of message is made of."""
