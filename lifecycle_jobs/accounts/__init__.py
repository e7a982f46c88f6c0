"""What a holder or a clerk does to an account between two runs: by the rules, books and events of the daily jobs.

A customer area imports these functions and calls them as the commands do: `open_store(settings.database.url)` gives the
store, `settings.catalog()` what is sold, and `Operator("customer area", None, on)` says who acts, on which business
date (`clock.business_date(settings.zone)`). It names the holder who is signed in as `customer_id`, where there is such
an argument: what belongs to others is then not found.

Each operation is one transaction, with its events and its e-mails; it locks its boxes first, in the order of their
ids, as the jobs do, so that the two never act on the same box at once. It is done once under the caller's
`request_id` (see `requests`). What the rules do not allow is `errors.Refused`, which says what to do instead.
"""

from __future__ import annotations

from lifecycle_jobs.accounts.addon_cancellation import CancelledAddon, cancel_addon
from lifecycle_jobs.accounts.addon_orders import OrderedAddon, order_addon
from lifecycle_jobs.accounts.addons import AddonQuote, BoughtAddon, Extra, buy_addon, quote_addon
from lifecycle_jobs.accounts.auto_renewal import AutoRenewal, switch_auto_renew_off, switch_auto_renew_on
from lifecycle_jobs.accounts.buy_box import BoughtBox, Purchase, buy_box
from lifecycle_jobs.accounts.cancel_box import CancelledBox, WithdrawnBox, cancel_box, withdraw_cancellation
from lifecycle_jobs.accounts.cancellation import CancelledOrder, cancel_order
from lifecycle_jobs.accounts.card_top_up import CardTopUp, top_up_by_card
from lifecycle_jobs.accounts.credit_payment import pay_from_credit
from lifecycle_jobs.accounts.customers import Sheet, find_customer
from lifecycle_jobs.accounts.domain import ReleasedDomain, RenewedDomain, release_domain, renew_domain
from lifecycle_jobs.accounts.first_payment import FirstPaidBy, FirstPayment
from lifecycle_jobs.accounts.hold_box import HeldBox, ReleasedBox, hold_box, release_box
from lifecycle_jobs.accounts.methods import (
    NewMethod,
    RegisteredMethod,
    RemovedMethod,
    ReplacedMethod,
    register_method,
    remove_method,
    replace_method,
)
from lifecycle_jobs.accounts.pay import Paid, PaidBy, Payment, apply_payment, pay_order
from lifecycle_jobs.accounts.plan_change import WantedSpace
from lifecycle_jobs.accounts.renew import Expiring, PayBy, Placed, PlacedOrder, Wanted, place_renewals
from lifecycle_jobs.accounts.resolve import RESOLVED, not_made, resolve_charge
from lifecycle_jobs.accounts.revive_box import RevivedBox, revive_box
from lifecycle_jobs.accounts.suspend_box import LiftedBox, SuspendedBox, lift_suspension, suspend_box
from lifecycle_jobs.accounts.top_up import Entry, Statement, ToppedUp, register_top_up, state_credit
from lifecycle_jobs.accounts.undo_renewal import UndoneRenewal, undo_renewal

__all__ = [
    "RESOLVED",
    "AddonQuote",
    "AutoRenewal",
    "BoughtAddon",
    "BoughtBox",
    "CancelledAddon",
    "CancelledBox",
    "CancelledOrder",
    "CardTopUp",
    "Entry",
    "Expiring",
    "Extra",
    "FirstPaidBy",
    "FirstPayment",
    "HeldBox",
    "LiftedBox",
    "NewMethod",
    "OrderedAddon",
    "Paid",
    "PaidBy",
    "PayBy",
    "Payment",
    "Placed",
    "PlacedOrder",
    "Purchase",
    "RegisteredMethod",
    "ReleasedBox",
    "ReleasedDomain",
    "RemovedMethod",
    "RenewedDomain",
    "ReplacedMethod",
    "RevivedBox",
    "Sheet",
    "Statement",
    "SuspendedBox",
    "ToppedUp",
    "UndoneRenewal",
    "Wanted",
    "WantedSpace",
    "WithdrawnBox",
    "apply_payment",
    "buy_addon",
    "buy_box",
    "cancel_addon",
    "cancel_box",
    "cancel_order",
    "find_customer",
    "hold_box",
    "lift_suspension",
    "not_made",
    "order_addon",
    "pay_from_credit",
    "pay_order",
    "place_renewals",
    "quote_addon",
    "register_method",
    "register_top_up",
    "release_box",
    "release_domain",
    "remove_method",
    "renew_domain",
    "replace_method",
    "resolve_charge",
    "revive_box",
    "state_credit",
    "suspend_box",
    "switch_auto_renew_off",
    "switch_auto_renew_on",
    "top_up_by_card",
    "undo_renewal",
    "withdraw_cancellation",
]
