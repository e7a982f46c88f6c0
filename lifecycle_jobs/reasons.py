"""Why a job does what it does, in a sentence that a clerk can read to a holder.

Each sentence is filled from what the action itself carries: its term's E and its detail. So it tells the dates and the
amounts on which the job decided, not what they might have become since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from lifecycle_jobs.languages import Speech, spoken
from lifecycle_jobs.languages.codes import code_text

_BECAUSE: Mapping[str, str] = {
    "box.renewed": spoken("renewed for {years}, to {new_expires_on}: auto-renew is on, and its charge was due"),
    "charge.declined": spoken("declined ({code}); that was the last attempt of this term"),
    "charge.declined again": spoken("declined ({code}); tried again on {next_attempt_on}"),
    "charge.declined hard": spoken("declined ({code}); the bank says not to ask again"),
    "charge.unknown": spoken("the answer was lost: the box is left alone until the gateway tells what became of it"),
    "charge.not_attempted": spoken("the gateway took no call: charged on the next run that reaches it"),
    "addon.renewed": spoken("its box was renewed, and the credit covers it: to {new_expires_on}, {balance} left"),
    "addon.credit_short": spoken(
        "its box was renewed to {new_expires_on}, but of {cost} the credit covers only {balance}"
    ),
    "addon.disabled credit_short": spoken(
        "its last day was {expires_on}, and of {cost} the credit covers only {balance}"
    ),
    "addon.disabled cancelled": spoken("its holder gave it up; its last day was {expires_on}"),
    "box.suspended": spoken("not paid: the last paid day was {expires_on}"),
    "box.deleted": spoken("not paid since {expires_on}, suspended since {suspended_on}"),
    "box.expiry_alert": spoken("{days_left} before the last paid day, {expires_on}"),
    "box.renewal_notice": spoken("{days_left} before {expires_on}; it will be renewed by itself"),
    "box.deletion_warning": spoken("not paid since {expires_on}; {days_left} before its deletion, {deletes_on}"),
    "box.deletion_warning 0": spoken("its deletion is due, but no warning was delivered: not before {deletes_on}"),
    "credit.topped_up": spoken("the card was charged for credit after all"),
    "credit.topup_failed": spoken("the charge for credit did not go through"),
}
"""By kind of action; with a second word where its detail decides."""

_DATES = ("new_expires_on", "next_attempt_on", "suspended_on", "deletes_on")
_AMOUNTS = ("cost", "balance")


def because(speech: Speech, what: str, expires_on: date | None, detail: Mapping[str, Any]) -> str:
    """The reason for an action of a job, in a term that ends on a day. Raises KeyError for what no job does."""
    told: dict[str, Any] = {"expires_on": expires_on}
    told |= {name: date.fromisoformat(detail[name]) for name in _DATES if detail.get(name)}
    told |= {name: speech.euros(cents_of(detail[name])) for name in _AMOUNTS if detail.get(name)}
    if "years" in detail:
        told["years"] = speech.count(detail["years"], "{n} year", "{n} years")
    if "days_left" in detail:
        told["days_left"] = speech.count(detail["days_left"], "{n} day", "{n} days")
    if detail.get("code"):
        told["code"] = code_text(speech, "decline", detail["code"])
    return speech(_BECAUSE[_case(what, detail)], **told)


def amount_cents(detail: Mapping[str, Any]) -> int | None:
    """What an action asks of the holder, in cents with VAT; none where it asks for no money."""
    for name in ("gross", "amount", "cost"):
        if name in detail:
            return cents_of(detail[name])
    return None


def cents_of(amount: str) -> int:
    """The cents of an amount as the history writes it: `12.08` → 1208."""
    return int(Decimal(amount) * 100)


def _case(what: str, detail: Mapping[str, Any]) -> str:
    if what == "addon.disabled":
        return f"{what} {detail['reason']}"
    if what == "box.deletion_warning" and detail["milestone"] == 0:
        return f"{what} 0"
    if what == "charge.declined" and detail.get("next_attempt_on"):
        return f"{what} again"
    if what == "charge.declined" and detail.get("hard"):
        return f"{what} hard"
    return what
