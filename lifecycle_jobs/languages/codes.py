"""Words for the codes that a person reads in a table: kinds of event, jobs, statuses, reasons, ways of payment.

Machines and logs go on reading the codes. `tests/languages/test_codes.py` proves that every code the program knows has
its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from lifecycle_jobs.languages import Speech, spoken
from lifecycle_jobs.languages.decline_codes import DECLINES
from lifecycle_jobs.languages.event_kinds import EVENTS

Group = Literal[
    "addon",
    "addon_kind",
    "box",
    "charge",
    "coming",
    "concerns",
    "credit",
    "decline",
    "event",
    "job",
    "language",
    "message",
    "method",
    "notice",
    "order",
    "order_kind",
    "outcome",
    "paid_from",
    "parked",
    "run",
    "scope",
    "skip",
    "suspension",
    "webhook",
]
"""What a code is one of: a status or kind of the thing after which the group is called.

`coming`: what lies ahead of a box. `concerns`: what a gateway's notice is about. `credit`: why a balance changed.
`event`: what happened, and what a plan says will. `outcome`: what a person found out about a charge. `skip`: why a job
leaves something alone. `suspension`: why a box is suspended; any word but `unpaid` is a person's own.
"""


def code_text(speech: Speech, group: Group, code: str) -> str:
    """A code in words; one that is not known (an add-on of your own, a new decline code) as it is."""
    text = CODES[group].get(code)
    return code if text is None else speech(text)


_JOBS: Final = {
    "reconcile_charges": spoken("charges looked up"),
    "auto_renew": spoken("automatic renewals"),
    "renew_addons": spoken("renewals of add-ons"),
    "suspend": spoken("suspensions"),
    "delete": spoken("deletions"),
    "send_alerts": spoken("alerts and notices"),
    "compose": spoken("writing of e-mails"),
    "deliver": spoken("delivery of e-mails"),
}

_SKIPS: Final = {
    "already_announced": spoken("announced already"),
    "auto_renew_failed": spoken("its renewal failed"),
    "auto_renew_off": spoken("auto-renew is off"),
    "cancelled": spoken("notice given"),
    "changed_meanwhile": spoken("settled meanwhile"),
    "declined_for_good": spoken("declined for good"),
    "declined_today": spoken("declined today"),
    "no_answer": spoken("no answer from the gateway"),
    "no_delivered_warning": spoken("no warning was delivered"),
    "no_payment_method": spoken("no payment method"),
    "not_as_planned": spoken("not in the plan"),
    "not_due": spoken("not due"),
    "not_trusted_yet": spoken("too fresh to be given up"),
    "on_hold": spoken("on hold"),
    "outage_grace": spoken("outage of the gateway"),
    "parked": spoken("set aside"),
    "plan_not_auto_renewable": spoken("plan without auto-renew"),
    "slot_used": spoken("tried already"),
    "something_parked": spoken("something about it is set aside"),
    "unusually_many": spoken("unusually many"),
    "too_many_at_once": spoken("too many at once"),
    "unapplied_payment": spoken("a payment could not be applied"),
    "unresolved_charge": spoken("a charge without an answer"),
    "waits_for_its_box": spoken("waits for its box"),
}

_STATUSES: Final[Mapping[Group, Mapping[str, str]]] = {
    "box": {
        "active": spoken("active"),
        "suspended": spoken("suspended"),
        "deleted": spoken("deleted"),
    },
    "addon": {
        "active": spoken("switched on"),
        "disabled": spoken("switched off"),
        "terminated": spoken("ended"),
    },
    "order": {
        "awaiting_payment": spoken("awaiting payment"),
        "paid": spoken("paid"),
        "on_account": spoken("on account"),
        "cancelled": spoken("cancelled"),
    },
    "charge": {
        "pending": spoken("begun"),
        "succeeded": spoken("gone through"),
        "declined": spoken("declined"),
        "unknown": spoken("without an answer"),
        "not_attempted": spoken("not made"),
    },
    "message": {
        "queued": spoken("waiting to be sent"),
        "sent": spoken("sent"),
        "moot": spoken("overtaken, not sent"),
        "failed": spoken("undeliverable"),
        "parked": spoken("could not be written"),
    },
    "run": {
        "running": spoken("under way"),
        "completed": spoken("completed"),
        "superseded": spoken("left to a later run"),
        "finished": spoken("finished"),
    },
    "parked": {
        "open": spoken("open"),
        "retrying": spoken("taken up again"),
        "resolved": spoken("resolved"),
    },
    "webhook": {
        "pending": spoken("waiting for the platform"),
        "delivered": spoken("delivered"),
    },
    "notice": {
        "waiting": spoken("not looked at yet"),
        "handled": spoken("handled"),
    },
}

CODES: Final[Mapping[Group, Mapping[str, str]]] = {
    **_STATUSES,
    "event": EVENTS,
    "decline": DECLINES,
    "job": _JOBS,
    "skip": _SKIPS,
    "addon_kind": {
        "extra_inbox": spoken("extra inbox space"),
        "extra_archive": spoken("extra archive space"),
    },
    "coming": {
        "expiry alert": spoken("expiry alert"),
        "renewal notice": spoken("renewal notice"),
        "charge": spoken("charge"),
        "suspension": spoken("suspension"),
        "deletion warning": spoken("deletion warning"),
        "deletion": spoken("deletion"),
    },
    "concerns": {
        "outcome": spoken("contradiction"),
        "dispute": spoken("dispute"),
        "refund": spoken("refund"),
    },
    "credit": {
        "opening": spoken("opening balance"),
        "correction": spoken("correction"),
        "renewal": spoken("renewal of a box"),
        "addon": spoken("an add-on"),
        "topup": spoken("top-up"),
        "refund": spoken("refund"),
    },
    "language": {
        "it": spoken("Italian"),
        "en": spoken("English"),
    },
    "method": {
        "card": spoken("card"),
        "paypal": spoken("PayPal account"),
        "credit": spoken("prepaid credit"),
        "agreement": spoken("invoice as agreed"),
        "bank_transfer": spoken("bank transfer"),
        "by_hand": spoken("payment by hand"),
    },
    "order_kind": {
        "renewal": spoken("renewal"),
        "addon": spoken("add-on"),
        "topup": spoken("top-up"),
    },
    "outcome": {
        "paid": spoken("gone through"),
        "not_made": spoken("not made"),
    },
    "paid_from": {
        "renewal": spoken("with the box"),
        "credit": spoken("from prepaid credit"),
    },
    "scope": {
        "everything": spoken("everything"),
        "left_over": spoken("what was left over"),
    },
    "suspension": {
        "unpaid": spoken("not paid"),
    },
}
"""By group, the words of each code."""
