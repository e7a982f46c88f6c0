"""What messages may say of a payment method (SPEC §2): never its token, and of a card what any receipt would print."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

MethodKind = Literal["card", "paypal", "credit", "agreement"]
"""Kinds of payment method (SPEC §2)."""


@dataclass(frozen=True)
class PaymentMethodText:
    """What may be said of a payment method. Only cards have ``brand`` and ``last4``, and not all do."""

    kind: MethodKind
    brand: str | None = None
    last4: str | None = None


@dataclass(frozen=True)
class EndingCard:
    """The stored card of a box, if it will no longer be valid when it is charged.

    ``valid_until`` is its last day, gone by already or not; ``charge_on`` the day of the next charge that it would
    have to pay: the first slot (E − 7), or the day of delivery after that.
    """

    card: PaymentMethodText
    valid_until: date
    charge_on: date
