"""Whether a line still has a point when its turn comes (SPEC §4).

Between an event and the delivery of its message lie hours, or days when the mail server was down. A holder who has
paid meanwhile must not be told to pay, nor one whose box was revived that it is gone for good. Receipts are told in any
case.
"""

from __future__ import annotations

from datetime import date

from lifecycle_jobs.mail.facts import Addon, Box, Event, Method
from lifecycle_jobs.policy import UNPAID, on_hold


def is_moot(event: Event, on: date) -> bool:
    """Whether the line of this event is to be dropped on the day of delivery."""
    match event:
        case Event(kind="box.expiry_alert", box=Box() as box):
            moot = not _still_expires(box, event.term, on)
        case Event(kind="box.renewal_notice", box=Box() as box):
            moot = not (_still_expires(box, event.term, on) and _renews_itself(box, event.method))
        case Event(kind="charge.declined", box=Box() as box):
            moot = _no_longer_that_term(box, event.term)
        case Event(kind="order.placed", box=Box() as box):
            moot = _no_longer_that_term(box, event.term) or not _still_to_be_paid(event.order_status)
        case Event(kind="addon.ordered", box=Box() as box):
            moot = box.status == "deleted" or not _still_to_be_paid(event.order_status)
        case Event(kind="box.deleted", box=Box() as box):
            moot = box.status != "deleted"
        case Event(kind="box.suspended", box=Box() as box):
            moot = not _still_unpaid(box, event.term)
        case Event(kind="box.deletion_warning", box=Box() as box):
            moot = not _still_unpaid(box, event.term) or on_hold(box.hold_until, box.hold_reason, on)
        case Event(kind="addon.credit_short", addon=Addon() as addon):
            moot = addon.status != "active" or addon.expires_on != event.term
        case _:
            moot = False
    return moot


def _still_expires(box: Box, term: date | None, on: date) -> bool:
    return box.status == "active" and box.expires_on == term and box.cancelled_on is None and on <= box.expires_on


def _no_longer_that_term(box: Box, term: date | None) -> bool:
    return box.status == "deleted" or box.expires_on != term


def _still_to_be_paid(order_status: str | None) -> bool:
    return order_status not in {"paid", "cancelled"}


def _renews_itself(box: Box, method: Method | None) -> bool:
    return box.auto_renew and method is not None


def _still_unpaid(box: Box, term: date | None) -> bool:
    return box.status == "suspended" and box.suspended_reason == UNPAID and box.expires_on == term
