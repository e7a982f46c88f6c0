"""What a renewal costs, and what a renewal that is paid does (SPEC §2 and §3, auto_renew: "succeeded")."""

from __future__ import annotations

from datetime import date

from tests.properties.spec.things import PLANS, Addon, Books, Box, Line, Order, Renewal, gross, years_after

EXTRAS = ("extra_inbox", "extra_archive")


def lines_of(plan: str, agreed: int | None, extras: tuple[Line, ...]) -> tuple[Line, ...]:
    """The positions of a renewal order: the plan at its price or the agreed one, then what is paid with the renewal."""
    return (Line(plan, None, 1, PLANS[plan].price if agreed is None else agreed), *extras)


def extras_of(books: Books, box: Box) -> tuple[Line, ...]:
    """The add-ons that the renewal of a box pays for."""
    paid_with_it = books.addons_of(box, paid_from="renewal", given_up=False)
    return tuple(Line(addon.kind, addon.id, addon.quantity, addon.price) for addon in paid_with_it)


def renewal_order(box: Box, lines: tuple[Line, ...], years: int, on: date) -> Order:
    """An order for the term after the one the box is in: years × (annual price + add-ons)."""
    net = years * sum(line.quantity * line.price for line in lines)
    return Order("renewal", box.customer, box.id, box.expires_on, years, lines, on, net, gross(net))


def order_of_term(books: Books, box: Box, on: date) -> Order:
    """What auto-renew charges: the open order of the term, placed anew where it does not say what is due now."""
    wanted = renewal_order(box, lines_of(box.plan, box.price, extras_of(books, box)), box.years, on)
    there = books.open_order(box)
    if there is not None:
        if (there.years, there.lines, there.gross) == (wanted.years, wanted.lines, wanted.gross):
            return there
        there.status = "cancelled"
    return books.add_order(wanted)


def takes_payment(books: Books, order: Order) -> bool:
    """Whether an order can still be settled: it waits, and its box lives in the term that it renews."""
    if order.kind != "renewal" or order.status != "awaiting_payment" or order.box is None:
        return False
    box = books.boxes[order.box]
    return box.status != "deleted" and box.expires_on == order.term


def renew(books: Books, order: Order, on: date, *, status: str = "paid", paid_on: date | None = None) -> None:
    """E moves from E; what stands on the order moves with it; a box suspended for `unpaid` is active at once.

    That last only if its new E is not past (SPEC is silent): it would be suspended again by the next run.
    """
    box = books.boxes[order.box if order.box is not None else -1]
    order.status = status
    order.paid_on = (paid_on or on) if status == "paid" else None
    until = years_after(box.expires_on, order.years or 0)
    carried = tuple(line.addon for line in order.lines if line.addon is not None)
    books.renewals.append(Renewal(box.id, box.expires_on, until, order.id, carried))
    box.expires_on = until
    if box.unpaid and box.expires_on >= on:
        box.status, box.suspended_on, box.suspended_reason = "active", None, None
    for line in order.lines:
        if line.addon is not None and books.addons[line.addon].status == "active":
            books.addons[line.addon].expires_on = box.expires_on


def settle_by_hand(books: Books, order: Order, on: date, paid_on: date) -> None:
    """An order that somebody pays: the plan and the space that were ordered come about, then it is renewed.

    A notice given before the order is void with its payment; one given since stands (SPEC is silent).
    """
    box = books.boxes[order.box if order.box is not None else -1]
    had = (box.plan, *(books.space(box, kind, given_up=True) for kind in EXTRAS))
    if order.plan is not None:
        box.plan, box.price = order.plan, None
    for dropped in order.dropped:
        if books.addons[dropped].status == "active":
            books.addons[dropped].status = "terminated"
    order.lines = (order.lines[0], *(_brought_about(books, box, line) for line in order.lines[1:]))
    renew(books, order, on, paid_on=paid_on)
    renewal = books.renewals[-1]
    renewal.changed = had != (box.plan, *(books.space(box, kind, given_up=True) for kind in EXTRAS))
    if order.notice is not None and box.cancelled_on == order.notice:
        box.cancelled_on, renewal.voided = None, order.notice


def _brought_about(books: Books, box: Box, line: Line) -> Line:
    if line.addon is not None:
        books.addons[line.addon].quantity = line.quantity
        return line
    new = Addon("?", box.id, line.item, line.quantity, line.price, "renewal", box.expires_on)
    return Line(line.item, books.add_addon(new).id, line.quantity, line.price)
