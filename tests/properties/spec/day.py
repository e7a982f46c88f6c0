"""The day: reconcile_charges → auto_renew → renew_addons → suspend → delete (SPEC §3)."""

from __future__ import annotations

from datetime import date, timedelta

from tests.properties.spec import topping_up
from tests.properties.spec.bank import bank
from tests.properties.spec.keeping import suspend_if_unpaid
from tests.properties.spec.renewing import order_of_term, renew, takes_payment
from tests.properties.spec.things import (
    DAY,
    LATE_CHARGE_DAYS,
    OUTAGE_GRACE_DAYS,
    PLANS,
    SLOTS,
    Addon,
    Books,
    Box,
    Charge,
    Line,
    Order,
    begun_years,
    gross,
)


def live(books: Books, on: date) -> None:
    """One run of a business date."""
    reconcile_charges(books, on)
    auto_renew(books, on)
    renew_addons(books, on)
    suspend(books, on)
    delete(books, on)


def reconcile_charges(books: Books, on: date) -> None:
    """Found: as if the answer had come in time. Never seen: believed on a later date than the attempt's."""
    for charge in books.charges:
        if charge.unresolved and charge.booked:
            succeed(books, charge, on)
        elif charge.unresolved and charge.attempted_on < on:
            charge.status = "not_attempted"
    topping_up.reconcile(books, on)


def succeed(books: Books, charge: Charge, on: date) -> None:
    """A charge was made: its order is paid; if that cannot take it any more, it is an unapplied payment."""
    charge.status = "succeeded"
    order = books.orders[charge.order]
    if takes_payment(books, order):
        renew(books, order, on)
    else:
        charge.unapplied = True


def auto_renew(books: Books, on: date) -> None:
    """Charge what is due, by E and address."""
    for box in sorted(books.boxes, key=lambda box: (box.expires_on, box.address)):
        if _due(books, box, on):
            _collect(books, box, on)


def _due(books: Books, box: Box, on: date) -> bool:
    slot = _slot(box.expires_on, on)
    if box.status != "active" or not box.auto_renew or box.cancelled_on is not None or box.on_hold(on):
        return False
    if box.method is None or not PLANS[box.plan].for_itself or books.left_alone(box):
        return False
    if slot is None or on > box.expires_on + LATE_CHARGE_DAYS * DAY:
        return False
    now = (box.method, books.methods[box.method].token)
    tried = list(books.of_term(box))
    if any(charge.hard and (charge.method, charge.token) == now for charge in tried):
        return False
    if tried and (tried[-1].method, tried[-1].token) != now and on <= box.expires_on:
        return True
    return not any(charge.slot <= slot and _uses_its_slot(box, charge, on) for charge in tried)


def _uses_its_slot(box: Box, charge: Charge, on: date) -> bool:
    """Not attempted: not while on ≤ E + 3; but nothing is repeated on one date (docstring of the job)."""
    if charge.status != "not_attempted":
        return True
    return charge.attempted_on == on or on > box.expires_on + OUTAGE_GRACE_DAYS * DAY


def _slot(expires_on: date, on: date) -> int | None:
    reached = [slot for slot in SLOTS if expires_on - slot * DAY <= on]
    return reached[-1] if reached else None


def _collect(books: Books, box: Box, on: date) -> None:
    order = order_of_term(books, box, on)
    method = books.methods[box.method or ""]
    if method.kind == "agreement":
        renew(books, order, on, status="on_account")
        return
    if order.gross == 0:
        renew(books, order, on)
        return
    slot = _slot(box.expires_on, on) or 0
    charge = Charge(
        order.id, box.id, box.expires_on, slot, method.name, method.token, method.kind, order.gross, attempted_on=on
    )
    books.charges.append(charge)
    if method.kind == "credit":
        if books.credit[box.customer] < order.gross:
            charge.status = "declined"
            return
        books.credit[box.customer] -= order.gross
        succeed(books, charge, on)
        return
    answer = bank(method.token or "", box.expires_on - slot * DAY)
    if answer == "succeeded":
        succeed(books, charge, on)
    elif answer in {"soft", "hard"}:
        charge.status, charge.hard = "declined", answer == "hard"
    elif answer == "refused":
        charge.status = "not_attempted"
    else:
        charge.status, charge.booked = "unknown", answer == "lost, booked"


def renew_addons(books: Books, on: date) -> None:
    """By A and id. What the holder gave up ends after A, whoever pays for it."""
    for addon in sorted(books.addons, key=lambda addon: (addon.expires_on, addon.name)):
        box = books.boxes[addon.box]
        if addon.status != "active" or box.status == "deleted" or books.left_alone(box):
            continue
        past = addon.expires_on < on
        if addon.cancelled_on is not None:
            addon.status = "terminated" if past else addon.status
        elif addon.paid_from == "credit":
            _renew_from_credit(books, box, addon, on, past=past)


def _renew_from_credit(books: Books, box: Box, addon: Addon, on: date, *, past: bool) -> None:
    was_renewed = box.status == "active" and box.expires_on >= on and box.expires_on > addon.expires_on
    if not was_renewed and not past:
        return
    years = begun_years(addon.expires_on, box.expires_on) if was_renewed else box.years
    net = addon.quantity * addon.price * years
    enough = books.credit[box.customer] >= gross(net)
    if was_renewed and enough:
        books.credit[box.customer] -= gross(net)
        line = Line(addon.kind, addon.id, addon.quantity, addon.price)
        order = Order("addon", box.customer, box.id, addon.expires_on, years, (line,), on, net, gross(net))
        order.status, order.paid_on = "paid", on
        books.add_order(order)
        addon.expires_on = box.expires_on
        renewal = books.last_renewal(box)
        if renewal is not None:
            renewal.followed_by.append(order.id)
    elif past and not enough:
        addon.status = "disabled"


def suspend(books: Books, on: date) -> None:
    """What nobody paid."""
    for box in books.boxes:
        suspend_if_unpaid(books, box, on)


def deletion_day(box: Box) -> date:
    """X: the latest of E + 91, suspended_on + 30 and hold_until + 30."""
    month = timedelta(days=30)
    days = [box.expires_on + 91 * DAY]
    days += [day + month for day in (box.suspended_on, box.hold_until) if day is not None]
    return max(days)


def delete(books: Books, on: date) -> None:
    """For good; never so many at once here that they would be refused."""
    for box in books.boxes:
        if box.unpaid and deletion_day(box) <= on and not box.on_hold(on) and not books.left_alone(box):
            box.status, box.deleted_on = "deleted", on
            for addon in books.addons_of(box):
                addon.status, addon.ended_with_its_box = "terminated", True
            for order in books.orders:
                if order.box == box.id and order.status == "awaiting_payment":
                    order.status = "cancelled"
