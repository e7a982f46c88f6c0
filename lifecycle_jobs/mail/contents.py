"""What a message may say: the typed content that each template is given (SPEC §4).

One message goes to one customer and is about one kind of event; it has a line for every box (or add-on)
concerned, nearest expiry first. The kind of a message is the kind of the event it is made from, and the
name of its template folder. Money is whole euro cents, in attributes that end in ``_cents``; dates are
business dates (SPEC §1). Nothing here is formatted: words, dates and amounts become text in the template,
in the holder's language.

These classes have no `slots`: what is frozen and has them is pickled by Python code instead of C, and a long queue
has each of them pickled on its way to the process that writes letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from lifecycle_jobs.mail.account_contents import ACCOUNT_LINE_TYPES, AccountLine, AccountMessageKind
from lifecycle_jobs.mail.methods import EndingCard, PaymentMethodText

Locale = Literal["it", "en"]
"""The languages every message exists in (SPEC §2, customer)."""

LOCALES: Final[tuple[Locale, ...]] = get_args(Locale)

MessageKind = Literal[
    "box.expiry_alert",
    "box.renewal_notice",
    "box.renewed",
    "charge.declined",
    "addon.credit_short",
    "addon.renewed",
    "addon.disabled",
    "box.suspended",
    "box.deletion_warning",
    "box.deleted",
    AccountMessageKind,
]
"""Kinds of message: the kind of the event a message tells of, and the name of its template folder."""

MESSAGE_KINDS: Final[tuple[MessageKind, ...]] = get_args(MessageKind)

DisableReason = Literal["credit_short", "cancelled"]
"""Why an add-on was switched off: the balance did not cover it, or the holder gave it up."""

Advice = Literal["funds", "replace", "confirm", "bank", "credit", "provider", "later"]
"""What helps after a decline, as the event's detail has it.

Put money on the method or use another; store another, this one is finished; confirm with the bank in person; ask the
bank; top up the prepaid credit; nothing, the trouble is ours or the gateway's; nothing, the next attempt may succeed.
"""

ADVICES: Final[tuple[Advice, ...]] = get_args(Advice)


@dataclass(frozen=True)
class Holder:
    """The customer written to: the name used in the greeting and the reference e-mail."""

    name: str
    email: str


@dataclass(frozen=True)
class Sender:
    """The provider who writes. ``legal_line`` is the company line of the footer.

    The phone and the bank account may be empty.
    """

    name: str
    website: str
    support_email: str
    support_phone: str
    legal_line: str
    bank_account: str


@dataclass(frozen=True)
class Links:
    """Pages of the customer area: its overview, the top-up of prepaid credit, the payment methods."""

    account: str
    credit: str
    payment_method: str


@dataclass(frozen=True)
class AddonItem:
    """An add-on that a renewal included (paid_from = renewal), by kind and quantity (GB for extra space)."""

    kind: str
    quantity: int


@dataclass(frozen=True)
class AddonToPay:
    """An add-on that prepaid credit must pay when the box is renewed (SPEC §3, renew_addons).

    ``cost_cents`` is gross for the coming term. ``shortfall_cents`` is 0 when the balance covers it.
    """

    kind: str
    quantity: int
    cost_cents: int
    balance_cents: int
    shortfall_cents: int


@dataclass(frozen=True)
class ExpiryAlertLine:
    """A box that ends with ``expires_on``, inclusive, unless its holder renews it by hand.

    ``price_cents`` is gross for ``years`` years. ``suspends_on`` is E + 1; ``deletes_on`` is X, the first
    day on which it may be deleted if it stays unpaid. ``domain`` is set when the box is renewed together
    with a hosting domain. ``ending_card`` is set only where a charge is planned that the card would have to pay.
    """

    address: str
    plan_name: str
    expires_on: date
    days_left: int
    renew_url: str
    price_cents: int
    years: int
    suspends_on: date
    deletes_on: date
    addons: tuple[AddonToPay, ...] = ()
    domain: str | None = None
    ending_card: EndingCard | None = None


@dataclass(frozen=True)
class RenewalNoticeLine:
    """A box that renews itself; also the notice that art. 65-bis of the consumer code demands (SPEC §3).

    ``charge_on`` is the first slot (E − 7), ``switch_off_by`` the last day to switch auto-renew off
    (E − 8), ``renews_until`` the expiry after renewing. ``gross_cents`` is for ``years`` years.
    """

    address: str
    plan_name: str
    expires_on: date
    days_left: int
    charge_on: date
    switch_off_by: date
    years: int
    gross_cents: int
    renews_until: date
    method: PaymentMethodText
    addons: tuple[AddonToPay, ...] = ()
    ending_card: EndingCard | None = None


@dataclass(frozen=True)
class RenewedLine:
    """A box that was renewed: the receipt. Net, VAT and gross are those of its order.

    ``on_account`` is an order that will be invoiced under an agreement: nothing was collected. ``method``
    is ``None`` for an order paid by hand (a bank transfer, say). ``addons`` were renewed on the same order.
    """

    address: str
    plan_name: str
    old_expires_on: date
    new_expires_on: date
    years: int
    order_number: str
    net_cents: int
    vat_cents: int
    gross_cents: int
    method: PaymentMethodText | None
    on_account: bool = False
    addons: tuple[AddonItem, ...] = ()


@dataclass(frozen=True)
class ChargeDeclinedLine:
    """A charge that was declined; the order stays open and can be paid by hand at ``renew_url``.

    ``code`` is the gateway's decline code (or ``insufficient_credit``), ``advice`` what helps. ``hard``: this
    payment method is not charged again in this term. ``final``: no further attempt will be made; otherwise
    ``next_attempt_on`` is the next slot.
    """

    address: str
    plan_name: str
    expires_on: date
    amount_cents: int
    code: str
    advice: Advice
    hard: bool
    final: bool
    next_attempt_on: date | None
    method: PaymentMethodText
    order_number: str
    suspends_on: date
    renew_url: str


@dataclass(frozen=True)
class CreditShortLine:
    """An add-on of a renewed box that the balance does not cover.

    The holder has until ``addon_expires_on``, inclusive, to top up by ``shortfall_cents``.
    ``new_expires_on`` is the expiry the add-on would get (that of its box); ``cost_cents`` is gross.
    """

    address: str
    addon_kind: str
    quantity: int
    addon_expires_on: date
    new_expires_on: date
    cost_cents: int
    balance_cents: int
    shortfall_cents: int


@dataclass(frozen=True)
class AddonRenewedLine:
    """An add-on renewed from prepaid credit. ``balance_cents`` is what the debit of its cost left."""

    address: str
    addon_kind: str
    quantity: int
    new_expires_on: date
    cost_cents: int
    balance_cents: int
    order_number: str


@dataclass(frozen=True)
class AddonDisabledLine:
    """An add-on that was switched off after ``addon_expires_on``. Amounts count for ``credit_short`` only."""

    address: str
    addon_kind: str
    quantity: int
    addon_expires_on: date
    reason: DisableReason
    cost_cents: int
    balance_cents: int
    shortfall_cents: int


@dataclass(frozen=True)
class SuspendedLine:
    """A box suspended because it was not paid for: readable, no sending or receiving.

    ``deletes_on`` is X (SPEC §1), the first day on which it may be deleted for good.
    """

    address: str
    plan_name: str
    expires_on: date
    suspended_on: date
    deletes_on: date
    renew_url: str


@dataclass(frozen=True)
class DeletionWarningLine:
    """A suspended box that will be deleted for good on ``deletes_on``, ``days_left`` days from now."""

    address: str
    plan_name: str
    expires_on: date
    suspended_on: date
    deletes_on: date
    days_left: int
    renew_url: str


@dataclass(frozen=True)
class DeletedLine:
    """A box that was deleted for good; only a holder with the same tax id may take the address again."""

    address: str
    plan_name: str
    expires_on: date
    deleted_on: date


Line: TypeAlias = (
    ExpiryAlertLine
    | RenewalNoticeLine
    | RenewedLine
    | ChargeDeclinedLine
    | CreditShortLine
    | AddonRenewedLine
    | AddonDisabledLine
    | SuspendedLine
    | DeletionWarningLine
    | DeletedLine
    | AccountLine
)

LINE_TYPES: Final[Mapping[str, type[Line]]] = MappingProxyType(
    {
        "box.expiry_alert": ExpiryAlertLine,
        "box.renewal_notice": RenewalNoticeLine,
        "box.renewed": RenewedLine,
        "charge.declined": ChargeDeclinedLine,
        "addon.credit_short": CreditShortLine,
        "addon.renewed": AddonRenewedLine,
        "addon.disabled": AddonDisabledLine,
        "box.suspended": SuspendedLine,
        "box.deletion_warning": DeletionWarningLine,
        "box.deleted": DeletedLine,
        **ACCOUNT_LINE_TYPES,
    }
)
"""The type of line that each kind of message is made of."""


@dataclass(frozen=True)
class Content:
    """Everything a template is given. ``lines`` is never empty and stands in the order it is read in.

    ``written_on`` is the business date of the run (or operation) that wrote the message; every
    ``days_left`` counts from it.
    """

    kind: MessageKind
    holder: Holder
    sender: Sender
    links: Links
    lines: tuple[Line, ...]
    written_on: date

    def __post_init__(self) -> None:
        """Refuse a message that is empty, or whose lines belong to another kind."""
        if not self.lines:
            raise ValueError(f"a {self.kind} message without lines says nothing")
        wanted = LINE_TYPES[self.kind]
        for line in self.lines:
            if type(line) is not wanted:
                raise TypeError(f"a {self.kind} message takes {wanted.__name__}, not {type(line).__name__}")
