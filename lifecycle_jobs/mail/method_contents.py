"""What a message about payment methods and auto-renew may say (see `account_contents`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from lifecycle_jobs.mail.methods import PaymentMethodText

MethodMessageKind = Literal[
    "method.registered",
    "method.replaced",
    "method.removed",
    "autorenew.switched_on",
    "autorenew.switched_off",
]
"""Kinds of message that tell of payment methods and auto-renew."""


@dataclass(frozen=True)
class MethodRegisteredLine:
    """A method that is stored from now on: no box's yet, so it has no address."""

    method: PaymentMethodText
    address: str = ""


@dataclass(frozen=True)
class MethodReplacedLine:
    """A method that took the place of another, for one box; the address is empty where no box had it.

    ``charge_on`` is when the box's term is charged to it, if it is: otherwise, with auto-renew on, it has to be renewed
    by hand. ``being_charged``: a charge to the previous method is without an answer.
    """

    address: str
    plan_name: str
    expires_on: date | None
    method: PaymentMethodText
    previous: PaymentMethodText
    auto_renew: bool
    charge_on: date | None
    being_charged: bool
    renew_url: str


@dataclass(frozen=True)
class MethodRemovedLine:
    """A method that is not stored any more, and one box that had it; the address is empty where none had.

    ``switched_off``: the box renewed itself, and does so no more.
    """

    address: str
    plan_name: str
    expires_on: date | None
    method: PaymentMethodText
    switched_off: bool
    being_charged: bool


@dataclass(frozen=True)
class AutoRenewOnLine:
    """A box that renews itself from now on. ``charge_on`` is none if this term has to be renewed by hand.

    ``gross_cents`` is what a renewal costs as things stand.
    """

    address: str
    plan_name: str
    expires_on: date
    years: int
    method: PaymentMethodText
    gross_cents: int
    charge_on: date | None
    renew_url: str


@dataclass(frozen=True)
class AutoRenewOffLine:
    """A box that does not renew itself any more. ``being_charged``: a charge is without an answer and may succeed."""

    address: str
    plan_name: str
    expires_on: date
    being_charged: bool
    renew_url: str


MethodLine: TypeAlias = (
    MethodRegisteredLine | MethodReplacedLine | MethodRemovedLine | AutoRenewOnLine | AutoRenewOffLine
)

METHOD_LINE_TYPES: Final[Mapping[str, type[MethodLine]]] = MappingProxyType(
    {
        "method.registered": MethodRegisteredLine,
        "method.replaced": MethodReplacedLine,
        "method.removed": MethodRemovedLine,
        "autorenew.switched_on": AutoRenewOnLine,
        "autorenew.switched_off": AutoRenewOffLine,
    }
)
"""The type of line that each kind of message is made of."""
