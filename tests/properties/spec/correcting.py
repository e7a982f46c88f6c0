"""Correcting a mistake: operation 10, and a charge that a person knows about."""

from __future__ import annotations

from datetime import date

from tests.properties.spec.keeping import suspend_if_unpaid
from tests.properties.spec.things import DAY, Books, Order, Refusal

UNDELETE_DAYS = 7


def undo_renewal(books: Books, on: date, address: str) -> None:
    """Take back the last renewal: E moves back by exactly what it was moved, and the money is owed to the holder.

    Credit goes back at once, with what it has paid for add-ons that followed the renewal. Auto-renew is off, or the
    next run would renew again; what is past E then is suspended as of today. Refused where a plan, space or an add-on
    came with it or since, which moving E back would not take back (issue of the office; the rest is `undo_renewal`'s
    own).
    """
    box = books.living(address)
    last = books.last_renewal(box)
    if books.in_doubt(box) or last is None or last.bought or last.changed or last.after != box.expires_on:
        raise Refusal("nothing to undo, or not to be undone")
    for number in last.followed_by:
        _take_back_addon(books, books.orders[number], last.after)
    since = [addon for addon in books.addons_of(box, given_up=False) if addon.id not in last.carried]
    if any(addon.expires_on == last.after for addon in since):
        raise Refusal("an add-on was bought since")
    for addon in books.addons_of(box, paid_from="renewal"):
        if addon.expires_on == last.after:
            addon.expires_on = last.before
    box.expires_on, box.auto_renew, last.undone = last.before, False, True
    box.cancelled_on = box.cancelled_on or last.voided
    if last.order is not None:
        _part_from_its_money(books, books.orders[last.order])
    suspend_if_unpaid(books, box, on)


def _take_back_addon(books: Books, order: Order, until: date) -> None:
    addon = books.addons[order.lines[0].addon if order.lines[0].addon is not None else -1]
    if addon.status == "active" and addon.expires_on == until and order.status == "paid" and order.term is not None:
        order.status, order.paid_on, addon.expires_on = "cancelled", None, order.term
        books.credit[order.customer] += order.gross


def _part_from_its_money(books: Books, order: Order) -> None:
    """Cancelled, so that the term can be ordered anew; what it was paid by is to be refunded, once."""
    on_account, order.status, order.paid_on = order.status == "on_account", "cancelled", None
    charges = [each for each in books.charges if (each.order, each.status) == (order.id, "succeeded")]
    for charge in charges:
        if charge.kind != "credit" and not charge.unapplied and not charge.refunded:
            charge.unapplied = True
            return
    for payment in books.payments:
        if payment.order == order.id and not payment.unapplied and not payment.refunded:
            payment.unapplied = True
            return
    if not on_account:
        books.credit[order.customer] += order.gross


def revive(books: Books, on: date, address: str, *, platform_has_it: bool) -> None:
    """A box that was deleted is back within seven days: suspended as of today, with the add-ons that ended with it.

    Not one that waited for credit with a term over before the box's (SPEC is silent): nothing tells it from one that
    ended long ago, and it would be charged for again.
    """
    of_address = [box for box in books.boxes if box.address == address]
    if not of_address or any(box.status != "deleted" for box in of_address):
        raise Refusal("not there, or not deleted")
    box = of_address[-1]
    if box.deleted_on is None or on > box.deleted_on + UNDELETE_DAYS * DAY or not platform_has_it:
        raise Refusal("too long ago, or the platform has it not")
    box.status, box.suspended_on, box.suspended_reason, box.deleted_on = "suspended", on, "unpaid", None
    for addon in books.addons:
        if addon.box == box.id and addon.ended_with_its_box and addon.expires_on >= box.expires_on:
            addon.status, addon.ended_with_its_box = "active", False
