"""Credit: operation 5. Money that a clerk registers, or that is charged to a card or PayPal account."""

from __future__ import annotations

from datetime import date

from tests.properties.spec.bank import bank
from tests.properties.spec.things import Books, Order, Payment, Refusal, TopUpCharge

MOST_BY_CARD = 100_000
"""`gateway.max_amount`."""


def register(books: Books, on: date, customer: str, amount: int, reference: str, paid_on: date) -> None:
    """Money that arrived becomes credit, once under its reference."""
    if customer not in books.credit:
        raise Refusal("no such customer")
    known = next((payment for payment in books.payments if payment.reference == reference), None)
    if known is not None:
        order = None if known.order is None else books.orders[known.order]
        if order is None or (order.kind, order.customer, known.amount) != ("topup", customer, amount):
            raise Refusal("the reference of another payment")
        return
    if amount <= 0 or paid_on > on:
        raise Refusal("nothing, or in the future")
    order = Order("topup", customer, None, None, None, (), on, amount, amount, "paid", paid_on)
    books.add_order(order)
    books.payments.append(Payment(reference, "?", order.id, amount, "bank_transfer", paid_on, unapplied=False))
    books.credit[customer] += amount


def by_card(books: Books, on: date, customer: str, amount: int, method: str | None, *, asked_again: bool) -> None:
    """Charged once. Asked again, an answer that was lost is looked up: what the bank has booked is credit then."""
    if customer not in books.credit or not 0 < amount <= MOST_BY_CARD:
        raise Refusal("no such customer, nothing, or too much at once")
    stored = [each for each in books.methods.values() if each.customer == customer and each.kind in {"card", "paypal"}]
    fitting = [each for each in stored if method in {None, each.name}]
    if len(fitting) != 1:
        raise Refusal("none to charge, or not clear which")
    order = books.add_order(Order("topup", customer, None, None, None, (), on, amount, amount))
    charge = TopUpCharge(order.id, attempted_on=on)
    books.top_up_charges.append(charge)
    answer = bank(fitting[0].token or "", on)
    if answer == "succeeded":
        settle(books, charge, on, booked=True)
    elif answer in {"soft", "hard", "refused"}:
        settle(books, charge, on, booked=False)
        charge.status = "not_attempted" if answer == "refused" else "declined"
    else:
        charge.booked = answer == "lost, booked"
        if asked_again and charge.booked:
            settle(books, charge, on, booked=True)


def reconcile(books: Books, on: date) -> None:
    """Found: credit, as if the answer had come in time. Never seen: believed on a later date than the attempt's."""
    for charge in books.top_up_charges:
        if charge.unresolved and (charge.booked or charge.attempted_on < on):
            settle(books, charge, on, booked=charge.booked)


def settle(books: Books, charge: TopUpCharge, on: date, *, booked: bool) -> None:
    """Its money is credit, once; or nothing was charged, and its order is given up."""
    order = books.orders[charge.order]
    charge.status = "succeeded" if booked else "not_attempted"
    order.status, order.paid_on = ("paid", on) if booked else ("cancelled", None)
    if booked:
        books.credit[order.customer] += order.gross
