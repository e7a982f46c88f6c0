"""Extra space and domains: operations 6 and 7."""

from __future__ import annotations

from datetime import date

from tests.properties.spec.things import (
    EXTRA_GB,
    PLANS,
    Addon,
    Books,
    Box,
    Line,
    Order,
    Refusal,
    Renewal,
    begun_years,
    gross,
    months_after,
)

FREE_MONTHS = 3


def buy_addon(books: Books, on: date, address: str, kind: str, quantity: int) -> None:
    """From credit: what remains up to E, a begun year counting whole; free where E is three months off or less."""
    box = books.living(address)
    years, net = _price(books, box, on, kind, quantity)
    if books.credit[box.customer] < gross(net):
        raise Refusal("not enough credit")
    new = books.add_addon(Addon("?", box.id, kind, quantity, EXTRA_GB, "credit", box.expires_on))
    if net:
        books.credit[box.customer] -= gross(net)
        line = Line(kind, new.id, quantity, EXTRA_GB)
        books.add_order(Order("addon", box.customer, box.id, on, years, (line,), on, net, gross(net), "paid", on))


def order_addon(books: Books, on: date, address: str, kind: str, quantity: int, pay_by: str) -> None:
    """On an order: what costs nothing now is there at once, and is part of the renewal from then on."""
    box = books.living(address)
    years, net = _price(books, box, on, kind, quantity)
    waiting = [order for order in books.orders if (order.box, order.status) == (box.id, "awaiting_payment")]
    if any(order.kind == "addon" or order.term == box.expires_on for order in waiting):
        raise Refusal("another order waits")
    if net:
        line = Line(kind, None, quantity, EXTRA_GB)
        books.add_order(
            Order("addon", box.customer, box.id, box.expires_on, years, (line,), on, net, gross(net), pay_by=pay_by)
        )
    else:
        books.add_addon(Addon("?", box.id, kind, quantity, EXTRA_GB, "renewal", box.expires_on))


def takes_payment_for_space(books: Books, order: Order, on: date) -> bool:
    """Whether an order for extra space can be settled: as on the day on which it was placed, and in the same term."""
    if order.kind != "addon" or order.status != "awaiting_payment" or order.box is None:
        return False
    box, line = books.boxes[order.box], order.lines[0]
    if box.status != "active" or box.expires_on != order.term or box.expires_on < on or books.in_doubt(box):
        return False
    return books.open_order(box) is None and _fits(books, box, line.item, line.quantity)


def settle_space(books: Books, order: Order, paid_on: date) -> None:
    """The box has it from now on, up to E, and its renewal pays for it then."""
    box, line = books.boxes[order.box if order.box is not None else -1], order.lines[0]
    new = books.add_addon(Addon("?", box.id, line.item, line.quantity, line.price, "renewal", box.expires_on))
    order.lines = (Line(line.item, new.id, line.quantity, line.price),)
    order.status, order.paid_on = "paid", paid_on


def _price(books: Books, box: Box, on: date, kind: str, quantity: int) -> tuple[int, int]:
    """Years and net; refused where it cannot be had, whatever the money."""
    if box.status == "suspended" or box.expires_on < on or books.in_doubt(box):
        raise Refusal("suspended, over or being charged")
    if quantity < 1 or not _fits(books, box, kind, quantity):
        raise Refusal("more than the plan takes")
    years = begun_years(on, box.expires_on) if box.expires_on > months_after(on, FREE_MONTHS) else 0
    return years, years * quantity * EXTRA_GB


def _fits(books: Books, box: Box, kind: str, quantity: int) -> bool:
    """Within the plan it has and, if another is ordered for it, within that too."""
    active = [addon for addon in books.addons_of(box) if addon.kind == kind]
    by_credit = sum(addon.quantity for addon in active if addon.paid_from == "credit")
    if sum(addon.quantity for addon in active) + quantity > _most(box.plan, kind):
        return False
    order = books.open_order(box)
    if order is None:
        return True
    ordered = sum(line.quantity for line in order.lines[1:] if line.item == kind)
    return by_credit + ordered + quantity <= _most(order.plan or box.plan, kind)


def _most(plan: str, kind: str) -> int:
    return PLANS[plan].most_inbox if kind == "extra_inbox" else PLANS[plan].most_archive


def cancel_addon(books: Books, on: date, name: str) -> None:
    """For the end of its term; not while its box is charged, or an open renewal order names it."""
    addon = next((each for each in books.addons if each.name == name), None)
    if addon is None or addon.status != "active" or addon.cancelled_on is not None:
        raise Refusal("not there, or over")
    box = books.boxes[addon.box]
    order = books.open_order(box)
    if books.in_doubt(box) or (order is not None and any(line.addon == addon.id for line in order.lines)):
        raise Refusal("being charged, or on an order")
    addon.cancelled_on = on


def renew_domain(books: Books, on: date, domain: str, until: date) -> None:
    """All its boxes get its date, and those suspended for `unpaid` revive; not one that its holder has cancelled."""
    if until < on:
        raise Refusal("past")
    going = [
        box
        for box in _on(books, domain)
        if box.expires_on < until and (box.cancelled_on is None or box.let_go) and not books.in_doubt(box)
    ]
    if not going:
        raise Refusal("nothing to move")
    for box in going:
        carried = tuple(addon.id for addon in books.addons_of(box, paid_from="renewal", given_up=False))
        books.renewals.append(Renewal(box.id, box.expires_on, until, None, carried))
        box.expires_on, box.cancelled_on, box.let_go = until, None, False
        if box.unpaid:
            box.status, box.suspended_on, box.suspended_reason = "active", None, None
        for addon in books.addons_of(box, paid_from="renewal", given_up=False):
            addon.expires_on = until


def release_domain(books: Books, on: date, domain: str) -> None:
    """Its boxes are cancelled with it."""
    going = [box for box in _on(books, domain) if box.cancelled_on is None]
    if not going:
        raise Refusal("cancelled already, or none there")
    for box in going:
        box.cancelled_on, box.let_go = on, True


def _on(books: Books, domain: str) -> list[Box]:
    return [box for box in books.boxes if box.domain == domain and box.status != "deleted"]
