"""What an event says of itself that a person caused: its detail, as names and values in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from lifecycle_jobs.languages import Speech, spoken
from lifecycle_jobs.languages.codes import CODES, Group, code_text
from lifecycle_jobs.reasons import cents_of

NOT_TOLD: Final = frozenset({"advice", "final", "milestone", "net", "order_number", "undone_event", "vat"})
"""Details that say nothing to a reader, or what stands beside them already."""

NAMES: Final[Mapping[str, str]] = {
    "addons": spoken("add-ons"),
    "address_deleted_on": spoken("address deleted before on"),
    "amount": spoken("amount"),
    "archive_gb": spoken("archive, GB"),
    "archive_lost_mb": spoken("archive that is lost, MB"),
    "auto_renew": spoken("auto-renew"),
    "auto_renew_off": spoken("auto-renew switched off"),
    "balance": spoken("credit left"),
    "being_charged": spoken("being charged just now"),
    "brand": spoken("brand"),
    "by_card": spoken("by card"),
    "cancelled_on": spoken("notice given on"),
    "charge_on": spoken("charged on"),
    "code": spoken("reason"),
    "cost": spoken("cost"),
    "credit": spoken("given back as credit"),
    "deleted_on": spoken("deleted on"),
    "domain": spoken("domain"),
    "effective": spoken("taken by the order"),
    "ends_on": spoken("ends on"),
    "extras": spoken("extra space"),
    "gross": spoken("amount"),
    "hard": spoken("for good"),
    "inbox_gb": spoken("inbox, GB"),
    "key": spoken("key of the charge"),
    "kind": spoken("kind"),
    "last4": spoken("last digits"),
    "lifted": spoken("lifted the suspension for"),
    "method": spoken("paid with"),
    "new_expires_on": spoken("paid until"),
    "next_attempt_on": spoken("next attempt on"),
    "outcome": spoken("outcome"),
    "paid_until": spoken("paid until"),
    "pay_by": spoken("to be paid by"),
    "payment": spoken("payment"),
    "payment_method_id": spoken("payment method"),
    "plan": spoken("plan"),
    "previous_archive_gb": spoken("archive before, GB"),
    "previous_brand": spoken("brand before"),
    "previous_id": spoken("payment method before"),
    "previous_inbox_gb": spoken("inbox before, GB"),
    "previous_kind": spoken("kind before"),
    "previous_last4": spoken("last digits before"),
    "previous_plan": spoken("plan before"),
    "quantity": spoken("quantity"),
    "reason": spoken("reason"),
    "recorded": spoken("in the books"),
    "reference": spoken("reference"),
    "renewal": spoken("amount of the renewal"),
    "renewal_years": spoken("years of the renewal"),
    "renews_itself": spoken("renews by itself"),
    "renews_until": spoken("then paid until"),
    "slot": spoken("days before the last paid day"),
    "suspended": spoken("stays suspended"),
    "suspended_on": spoken("suspended on"),
    "switched_off": spoken("auto-renew switched off"),
    "to_refund": spoken("to be given back"),
    "told": spoken("the gateway says"),
    "unapplied_because": spoken("not applied because"),
    "until": spoken("until"),
    "was": spoken("before"),
    "was_for": spoken("was on hold for"),
    "was_until": spoken("was on hold until"),
    "yearly": spoken("amount per year"),
    "years": spoken("years"),
}
"""What each detail of an event about a box is called."""

_AMOUNTS: Final = frozenset({"amount", "balance", "cost", "credit", "gross", "renewal", "yearly"})
_DATES: Final = frozenset({"paid_until", "renews_until", "until", "was_until"})
"""Dates that are not called so: the others end in `_on`."""

_GROUPS: Final[Mapping[str, tuple[Group, ...]]] = {
    "code": ("decline",),
    "kind": ("addon_kind", "method"),
    "method": ("method",),
    "outcome": ("outcome",),
    "pay_by": ("method",),
    "previous_kind": ("method",),
    "reason": ("suspension",),
    "recorded": ("charge",),
    "was": ("box",),
}
"""The codes among the values; a word that is not one of them is a person's own."""


def details_told(speech: Speech, detail: Mapping[str, Any]) -> str:
    """Each detail that says something to a reader: ``until: 30 June 2027; reason: dispute``."""
    return "; ".join(
        f"{_name(speech, name)}: {_value(speech, name, value)}"
        for name, value in detail.items()
        if name not in NOT_TOLD and value not in (None, [], {}, "")
    )


def _name(speech: Speech, name: str) -> str:
    text = NAMES.get(name)
    return name.replace("_", " ") if text is None else speech(text)


def _value(speech: Speech, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return speech("yes") if value else speech("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{number} × {code_text(speech, 'addon_kind', kind)}" for kind, number in value.items())
    if name.endswith("_on") or name in _DATES:
        return speech.day(date.fromisoformat(value))
    if name in _AMOUNTS:
        return speech.euros(cents_of(value))
    group = next((group for group in _GROUPS.get(name, ()) if value in CODES[group]), None)
    return str(value) if group is None else code_text(speech, group, value)
