"""Why a job does what it does, in a sentence that a clerk can read to a holder.

Each sentence is filled from what the action itself carries: its term's E and its detail. So it tells the dates and the
amounts on which the job decided, not what they might have become since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

_BECAUSE: Mapping[str, str] = {
    "box.renewed": "renewed for {years_told}, to {new_expires_on}: auto-renew is on, and its charge was due",
    "charge.declined": "declined ({code}); {then}",
    "charge.unknown": "the answer was lost: the box is left alone until the gateway tells what became of it",
    "charge.not_attempted": "the gateway took no call: charged on the next run that reaches it",
    "addon.renewed": "its box was renewed, and the credit covers it: to {new_expires_on}, {balance} left",
    "addon.credit_short": "its box was renewed to {new_expires_on}, but of {cost} the credit covers only {balance}",
    "addon.disabled credit_short": "its last day was {expires_on}, and of {cost} the credit covers only {balance}",
    "addon.disabled cancelled": "its holder gave it up; its last day was {expires_on}",
    "box.suspended": "not paid: the last paid day was {expires_on}",
    "box.deleted": "not paid since {expires_on}, suspended since {suspended_on}",
    "box.expiry_alert": "{days_told} before the last paid day, {expires_on}",
    "box.renewal_notice": "{days_told} before {expires_on}; it will be renewed by itself",
    "box.deletion_warning": "not paid since {expires_on}; {days_told} before its deletion, {deletes_on}",
    "box.deletion_warning 0": "its deletion is due, but no warning was delivered: not before {deletes_on}",
    "credit.topped_up": "the card was charged for credit after all",
    "credit.topup_failed": "the charge for credit did not go through",
}
"""By kind of action; with a second word where its detail decides."""


def because(what: str, expires_on: date | None, detail: Mapping[str, Any]) -> str:
    """The reason for an action of a job, in a term that ends on a day. Raises KeyError for what no job does."""
    told = {
        "expires_on": expires_on,
        "then": _then(detail),
        "years_told": counted(detail.get("years"), "year"),
        "days_told": counted(detail.get("days_left"), "day"),
    }
    return _BECAUSE[_case(what, detail)].format(**told | dict(detail))


def amount_cents(detail: Mapping[str, Any]) -> int | None:
    """What an action asks of the holder, in cents with VAT; none where it asks for no money."""
    for name in ("gross", "amount", "cost"):
        if name in detail:
            return int(Decimal(detail[name]) * 100)
    return None


def _case(what: str, detail: Mapping[str, Any]) -> str:
    if what == "addon.disabled":
        return f"{what} {detail['reason']}"
    if what == "box.deletion_warning" and detail["milestone"] == 0:
        return f"{what} 0"
    return what


def _then(detail: Mapping[str, Any]) -> str:
    if detail.get("next_attempt_on"):
        return f"tried again on {detail['next_attempt_on']}"
    return "the bank says not to ask again" if detail.get("hard") else "that was the last attempt of this term"


def counted(number: int | None, thing: str) -> str:
    """`1 day`, `2 days`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
