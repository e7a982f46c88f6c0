"""What a message about extra space and prepaid credit may say (see `account_contents`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

PurchaseMessageKind = Literal[
    "addon.bought",
    "addon.cancelled",
    "addon.ordered",
    "addon.order_cancelled",
    "credit.topped_up",
    "credit.topup_failed",
]
"""Kinds of message that tell of what was bought from credit, and of the credit."""


@dataclass(frozen=True)
class AddonBoughtLine:
    """Extra space, in GB, that a box has from now on. ``cost_cents`` is gross, 0 where it is free up to its end.

    ``years`` were paid, up to ``paid_until``; ``yearly_cents`` is what each year costs after that: from credit, of
    which ``balance_cents`` are left, or as a part of the renewal: that costs ``renewal_cents`` for ``renewal_years``.
    """

    address: str
    addon_kind: str
    quantity: int
    paid_until: date
    years: int
    cost_cents: int
    yearly_cents: int
    balance_cents: int | None
    order_number: str | None
    renewal_cents: int | None = None
    renewal_years: int | None = None


@dataclass(frozen=True)
class AddonCancelledLine:
    """Extra space that a holder gave up; the box keeps it up to and including ``ends_on``."""

    address: str
    addon_kind: str
    quantity: int
    ends_on: date


@dataclass(frozen=True)
class AddonOrderedLine:
    """Extra space that is there once its order is paid. ``years`` remain up to ``paid_until``."""

    address: str
    addon_kind: str
    quantity: int
    paid_until: date
    years: int
    order_number: str
    net_cents: int
    vat_cents: int
    gross_cents: int
    by_transfer: bool


@dataclass(frozen=True)
class AddonOrderCancelledLine:
    """An order for extra space that is not to be paid any more."""

    address: str
    order_number: str
    gross_cents: int


@dataclass(frozen=True)
class ToppedUpLine:
    """Money that became credit: the receipt. It is no box's, so it has no address. ``by_card``: it was charged."""

    order_number: str
    amount_cents: int
    balance_cents: int
    by_card: bool
    address: str = ""


@dataclass(frozen=True)
class TopUpFailedLine:
    """A top-up by card or PayPal that did not come about; nothing was charged. ``declined``: by the bank or PayPal.

    Otherwise it never reached the gateway.
    """

    order_number: str
    amount_cents: int
    declined: bool
    address: str = ""


PurchaseLine: TypeAlias = (
    AddonBoughtLine | AddonCancelledLine | AddonOrderedLine | AddonOrderCancelledLine | ToppedUpLine | TopUpFailedLine
)

PURCHASE_LINE_TYPES: Final[Mapping[str, type[PurchaseLine]]] = MappingProxyType(
    {
        "addon.bought": AddonBoughtLine,
        "addon.cancelled": AddonCancelledLine,
        "addon.ordered": AddonOrderedLine,
        "addon.order_cancelled": AddonOrderCancelledLine,
        "credit.topped_up": ToppedUpLine,
        "credit.topup_failed": TopUpFailedLine,
    }
)
"""The type of line that each kind of message is made of."""
