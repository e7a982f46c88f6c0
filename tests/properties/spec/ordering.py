"""Renewal orders by hand: placing, paying, cancelling, and money that no order takes (issue: operations 1 to 3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from tests.properties.spec.buying import settle_space, takes_payment_for_space
from tests.properties.spec.renewing import extras_of, lines_of, renewal_order, settle_by_hand, takes_payment
from tests.properties.spec.things import (
    EXTRA_GB,
    MB,
    PLANS,
    Books,
    Box,
    Line,
    Order,
    Payment,
    Plan,
    Refusal,
    months_after,
    years_after,
)

INBOX, ARCHIVE = "extra_inbox", "extra_archive"


def place(
    books: Books,
    on: date,
    addresses: Sequence[str],
    years: int,
    pay_by: str,
    *,
    plan: str | None = None,
    inbox: int | None = None,
    archive: int | None = None,
    accept_loss: bool = False,
) -> None:
    """Place a renewal order for each box, or none at all. What credit pays, or costs nothing, is renewed at once."""
    chosen = [books.living(address) for address in addresses]
    if len({box.customer for box in chosen}) > 1:
        raise Refusal("several holders")
    wanted = (plan, inbox, archive, accept_loss)
    ordered = [_ordered(books, box, on, years, pay_by, wanted) for box in chosen]
    _settle_at_once(books, ordered, on)


def place_expiring(books: Books, on: date, customer: str, months: int, years: int, pay_by: str) -> None:
    """The same for all that expire within so many months; those that cannot be ordered are left out."""
    ordered = []
    for box in books.boxes:
        if box.customer == customer and box.status != "deleted" and box.expires_on <= months_after(on, months):
            try:
                ordered.append(_ordered(books, box, on, years, pay_by, (None, None, None, False)))
            except Refusal:
                continue
    if not ordered:
        raise Refusal("nothing to renew")
    _settle_at_once(books, ordered, on)


def _settle_at_once(books: Books, ordered: Sequence[Order], on: date) -> None:
    due = sum(order.gross for order in ordered)
    if ordered[0].pay_by == "credit" and books.credit[ordered[0].customer] < due:
        raise Refusal("not enough credit")
    for order in ordered:
        if order.pay_by == "credit":
            books.credit[order.customer] -= order.gross
        if order.pay_by == "credit" or not order.gross:
            settle_by_hand(books, order, on, on)


def _ordered(
    books: Books,
    box: Box,
    on: date,
    years: int,
    pay_by: str,
    wanted: tuple[str | None, int | None, int | None, bool],
) -> Order:
    if box.auto_renew or box.domain is not None or not PLANS[box.plan].for_itself:
        raise Refusal("renews itself, or with its domain")
    if books.in_doubt(box) or books.open_order(box) is not None:
        raise Refusal("is being charged, or has an order already")
    code = wanted[0] or box.plan
    if code not in PLANS or not PLANS[code].for_itself:
        raise Refusal("no such plan for a box")
    if not 1 <= years <= PLANS[code].longest or years_after(box.expires_on, years) < on:
        raise Refusal("too long, or it would not reach today")
    extras, dropped = _space(books, box, code, *wanted[1:])
    order = renewal_order(box, lines_of(code, box.price if code == box.plan else None, extras), years, on)
    order.pay_by, order.plan = pay_by, None if code == box.plan else code
    order.dropped, order.notice = dropped, box.cancelled_on
    return books.add_order(order)


def _space(
    books: Books,
    box: Box,
    code: str,
    inbox: int | None,
    archive: int | None,
    accept_loss: bool,  # noqa: FBT001 -- as wished
) -> tuple[tuple[Line, ...], tuple[int, ...]]:
    before, plan = PLANS[box.plan], PLANS[code]
    if archive is None and accept_loss and not plan.most_archive:
        archive = 0
    then = {}
    for kind, wished, most in ((INBOX, inbox, plan.most_inbox), (ARCHIVE, archive, plan.most_archive)):
        now = books.space(box, kind, paid_from="renewal")
        then[kind] = now if wished is None else wished
        total = then[kind] + books.space(box, kind, paid_from="credit")
        # More than the plan takes is left to whoever has it already; nobody is sold it.
        if total > most and (code != box.plan or then[kind] > now):
            raise Refusal("more extra space than the plan takes")
    _refuse_loss(books, box, before, plan, then, accept_loss=accept_loss)
    return _lines(extras_of(books, box), dict(then))


def _refuse_loss(books: Books, box: Box, before: Plan, plan: Plan, then: dict[str, int], *, accept_loss: bool) -> None:
    by_credit = {kind: books.space(box, kind, paid_from="credit") for kind in then}
    had = {kind: books.space(box, kind) for kind in then}
    inbox, inbox_before = plan.inbox + then[INBOX] + by_credit[INBOX], before.inbox + had[INBOX]
    archive, archive_before = plan.archive + then[ARCHIVE] + by_credit[ARCHIVE], before.archive + had[ARCHIVE]
    if inbox < inbox_before and box.used_inbox_mb is not None and box.used_inbox_mb > inbox * MB:
        raise Refusal("the inbox is fuller than that")
    fits = archive >= archive_before or (box.used_archive_mb is not None and box.used_archive_mb <= archive * MB)
    if not fits and not accept_loss:
        raise Refusal("something in the archive would be lost")


def _lines(extras: Sequence[Line], left: dict[str, int]) -> tuple[tuple[Line, ...], tuple[int, ...]]:
    """What is there is kept as far as it is wanted; the rest is new, at the price of today."""
    lines, dropped = [], []
    for extra in extras:
        kept = min(extra.quantity, left[extra.item])
        left[extra.item] -= kept
        if kept:
            lines.append(Line(extra.item, extra.addon, kept, extra.price))
        elif extra.addon is not None:
            dropped.append(extra.addon)
    lines += [Line(kind, None, quantity, EXTRA_GB) for kind, quantity in left.items() if quantity]
    return tuple(lines), tuple(dropped)


def pay(
    books: Books,
    on: date,
    number: str,
    amount: int,
    reference: str,
    paid_on: date,
    *,
    paid_by: str | None = None,
    method: str | None = None,
    auto_renew: bool = True,
) -> None:
    """Register a payment. Only a reference of something else, or a day to come, is refused: money is never lost."""
    if paid_on > on:
        raise Refusal("in the future")
    known = next((payment for payment in books.payments if payment.reference == reference), None)
    if known is not None:
        of_order = known.order_number if known.order is None else books.orders[known.order].number
        if (of_order, known.amount) != (number, amount):
            raise Refusal("the reference of another payment")
        return
    order = books.order_numbered(number)
    said = order.pay_by if order is not None and order.pay_by in {"card", "paypal"} else "bank_transfer"
    known_order = None if order is None else order.id
    payment = Payment(
        reference, number, known_order, amount, paid_by or said, paid_on, unapplied=True, auto_renew=auto_renew
    )
    books.payments.append(payment)
    if order is not None and _can_be_paid(books, order, on) and order.gross == amount:
        _take(books, on, payment, order, method=method)


def _take(books: Books, on: date, payment: Payment, order: Order, *, method: str | None) -> None:
    payment.unapplied, payment.order, payment.order_number = False, order.id, order.number or ""
    if order.kind == "addon":
        settle_space(books, order, payment.paid_on)
    else:
        settle_by_hand(books, order, on, payment.paid_on)
    if payment.paid_by in {"card", "paypal"} and payment.auto_renew:
        _renew_itself(books, order, payment.paid_by, method)


def _renew_itself(books: Books, order: Order, kind: str, method: str | None) -> None:
    """Paid by card or PayPal: charged to that method from now on, if it is clear which, with the chosen frequency."""
    box = books.boxes[order.box if order.box is not None else -1]
    of_kind = [name for name, each in books.methods.items() if (each.customer, each.kind) == (box.customer, kind)]
    if method is not None and method not in of_kind:
        raise Refusal("no such method of this holder")
    if method is None and box.method in of_kind:
        method = box.method
    if method is None and len(of_kind) == 1:
        method = of_kind[0]
    if method is not None and PLANS[box.plan].for_itself:
        years = box.years if order.kind == "addon" else order.years or 0
        box.auto_renew, box.years, box.method = True, years, method


def pay_from_credit(books: Books, on: date, number: str) -> None:
    """Pay an order from the holder's balance: all of it or nothing, and not while the order may be paid already."""
    order = books.order_numbered(number)
    if order is None or not takes_payment(books, order) or order.box is None:
        raise Refusal("cannot be paid")
    if books.in_doubt(books.boxes[order.box]):
        raise Refusal("is being charged")
    if books.credit[order.customer] < order.gross:
        raise Refusal("not enough credit")
    books.credit[order.customer] -= order.gross
    settle_by_hand(books, order, on, on)


def apply_payment(books: Books, on: date, reference: str, number: str) -> None:
    """Apply money that no order has taken to one of exactly its amount."""
    payment = _unapplied(books, reference)
    order = books.order_numbered(number)
    if order is None or not _can_be_paid(books, order, on) or order.gross != payment.amount:
        raise Refusal("cannot take it")
    _take(books, on, payment, order, method=None)


def _can_be_paid(books: Books, order: Order, on: date) -> bool:
    return takes_payment(books, order) or takes_payment_for_space(books, order, on)


def give_back(books: Books, reference: str) -> None:
    """Money that no order took is given back, once."""
    payment = _unapplied(books, reference)
    payment.unapplied, payment.refunded = False, True


def _unapplied(books: Books, reference: str) -> Payment:
    for payment in books.payments:
        if payment.reference == reference and payment.unapplied:
            return payment
    raise Refusal("no such unapplied payment")


def cancel_order(books: Books, number: str) -> None:
    """Cancel an order that waits, unless it is being charged: a top-up that waits always is."""
    order = books.order_numbered(number)
    if order is None or order.kind == "topup" or order.status != "awaiting_payment":
        raise Refusal("not open")
    if any(charge.order == order.id and charge.unresolved for charge in books.charges):
        raise Refusal("is being charged")
    order.status = "cancelled"
