"""What a message may say about what was done to a box, or to the domain it is on (see `account_contents`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from lifecycle_jobs.mail.methods import PaymentMethodText

BoxMessageKind = Literal[
    "cancellation.recorded",
    "cancellation.withdrawn",
    "hold.placed",
    "hold.released",
    "box.suspended_by_hand",
    "box.lifted",
    "box.bought",
    "box.domain_renewed",
    "domain.released",
    "box.renewal_undone",
    "box.revived",
]
"""Kinds of message that tell of these operations."""


@dataclass(frozen=True)
class CancellationRecordedLine:
    """A box whose holder gave notice: it ends with ``expires_on``, inclusive; until then that can be withdrawn.

    ``suspends_on`` is the day after, ``deletes_on`` is X, the first day on which it may be deleted.
    """

    address: str
    plan_name: str
    expires_on: date
    suspends_on: date
    deletes_on: date


@dataclass(frozen=True)
class CancellationWithdrawnLine:
    """A box whose holder withdrew the notice. ``renews_itself``: auto-renew is on."""

    address: str
    plan_name: str
    expires_on: date
    renews_itself: bool
    renew_url: str


@dataclass(frozen=True)
class HoldPlacedLine:
    """A box on hold through ``until``, inclusive, or without a known end. The reason is not told."""

    address: str
    plan_name: str
    expires_on: date
    until: date | None


@dataclass(frozen=True)
class HoldReleasedLine:
    """A box that is not on hold any more: the usual dates count again."""

    address: str
    plan_name: str
    expires_on: date
    renew_url: str


@dataclass(frozen=True)
class SuspendedByHandLine:
    """A box that was suspended for another reason than non-payment. The reason is not told."""

    address: str
    plan_name: str
    suspended_on: date
    expires_on: date


@dataclass(frozen=True)
class LiftedLine:
    """A box that is not suspended any more, and works until ``expires_on``."""

    address: str
    plan_name: str
    expires_on: date


@dataclass(frozen=True)
class BoughtLine:
    """A box that was bought: welcome and receipt. It works from ``starts_on`` to ``expires_on``, both inclusive.

    ``method`` is ``None`` for a bank transfer, ``on_account`` an order that will be invoiced under an agreement.
    ``again``: the address had a box that was deleted; the new one is empty. ``domain`` is set where the box is renewed
    together with a hosting domain.
    """

    address: str
    plan_name: str
    starts_on: date
    expires_on: date
    order_number: str
    net_cents: int
    vat_cents: int
    gross_cents: int
    method: PaymentMethodText | None
    on_account: bool
    renews_itself: bool
    again: bool
    domain: str | None


@dataclass(frozen=True)
class DomainRenewedLine:
    """A box that was renewed with its domain. ``suspended``: it stays so, by hand."""

    address: str
    plan_name: str
    domain: str
    old_expires_on: date
    expires_on: date
    suspended: bool


@dataclass(frozen=True)
class DomainReleasedLine:
    """A box that ends with its domain, which is let go: on ``expires_on``, inclusive. ``deletes_on`` is X."""

    address: str
    plan_name: str
    domain: str
    expires_on: date
    deletes_on: date


@dataclass(frozen=True)
class RenewalUndoneLine:
    """A box whose last renewal was taken back: it ends on ``expires_on`` again, not on ``undone_expires_on``.

    ``credit_cents`` went back to the prepaid balance; ``to_refund``: ``gross_cents`` are to be given back otherwise.
    ``order_number`` is ``None`` for a box that had been renewed with its domain.
    """

    address: str
    plan_name: str
    expires_on: date
    undone_expires_on: date
    order_number: str | None
    gross_cents: int
    credit_cents: int
    to_refund: bool
    auto_renew_off: bool
    renew_url: str


@dataclass(frozen=True)
class RevivedLine:
    """A box that was deleted on ``deleted_on`` and is back, suspended for non-payment. ``deletes_on`` is X."""

    address: str
    plan_name: str
    expires_on: date
    deleted_on: date
    deletes_on: date
    renew_url: str


BoxLine: TypeAlias = (
    CancellationRecordedLine
    | CancellationWithdrawnLine
    | HoldPlacedLine
    | HoldReleasedLine
    | SuspendedByHandLine
    | LiftedLine
    | BoughtLine
    | DomainRenewedLine
    | DomainReleasedLine
    | RenewalUndoneLine
    | RevivedLine
)

BOX_LINE_TYPES: Final[Mapping[str, type[BoxLine]]] = MappingProxyType(
    {
        "cancellation.recorded": CancellationRecordedLine,
        "cancellation.withdrawn": CancellationWithdrawnLine,
        "hold.placed": HoldPlacedLine,
        "hold.released": HoldReleasedLine,
        "box.suspended_by_hand": SuspendedByHandLine,
        "box.lifted": LiftedLine,
        "box.bought": BoughtLine,
        "box.domain_renewed": DomainRenewedLine,
        "domain.released": DomainReleasedLine,
        "box.renewal_undone": RenewalUndoneLine,
        "box.revived": RevivedLine,
    }
)
"""The type of line that each kind of message is made of."""
