"""Payment methods, auto-renew, and what is done to a box: operations 4, 8 and 9."""

from __future__ import annotations

from datetime import date

from tests.properties.spec.things import (
    DAY,
    OUTAGE_GRACE_DAYS,
    PLANS,
    Books,
    Box,
    Line,
    Method,
    Order,
    Payment,
    Refusal,
    Renewal,
    begun_years,
    gross,
    years_after,
)


def switch_on(books: Books, address: str, method: str | None, years: int | None) -> None:
    """Let a box renew itself. Refused where it could not, or where an order that its holder placed may be paid too."""
    box = books.living(address)
    wanted = box.years if years is None else years
    if box.domain is not None or not PLANS[box.plan].for_itself or not 1 <= wanted <= PLANS[box.plan].longest:
        raise Refusal("does not renew itself like that")
    order = books.open_order(box)
    if box.cancelled_on is not None or (order is not None and order.pay_by is not None and not box.auto_renew):
        raise Refusal("cancelled, or ordered by hand")
    chosen = _method_of(books, box, method)
    now = (chosen.name, chosen.token)
    if any(charge.hard and (charge.method, charge.token) == now for charge in books.of_term(box)):
        raise Refusal("declined for good")
    box.auto_renew, box.years, box.method = True, wanted, chosen.name


def _method_of(books: Books, box: Box, wanted: str | None) -> Method:
    stored = {name: each for name, each in books.methods.items() if each.customer == box.customer}
    wanted = wanted or box.method or (next(iter(stored)) if len(stored) == 1 else None)
    if wanted is None or wanted not in stored:
        raise Refusal("no such method, or not clear which")
    return stored[wanted]


def switch_off(books: Books, address: str) -> None:
    """At any time."""
    books.living(address).auto_renew = False


def register(books: Books, customer: str, kind: str, token: str | None, name: str) -> None:
    """Store a card, a PayPal account, or credit as a way to pay; each once."""
    if customer not in books.credit or name in books.methods or (token is None) is not (kind == "credit"):
        raise Refusal("no such customer, a name that is taken, or half a method")
    if any((each.customer, each.kind, each.token) == (customer, kind, token) for each in books.methods.values()):
        raise Refusal("stored already")
    books.methods[name] = Method(name, customer, kind, token)


def replace(books: Books, old: str, kind: str, token: str | None, name: str) -> None:
    """Another in the place of one: its boxes are charged to that from the next run on."""
    if old not in books.methods or books.methods[old].kind == "agreement":
        raise Refusal("no such method, or an agreement")
    register(books, books.methods[old].customer, kind, token, name)
    for box in books.boxes:
        if box.method == old:
            box.method = name
    del books.methods[old]


def remove(books: Books, name: str) -> None:
    """Auto-renew goes off with it."""
    if name not in books.methods:
        raise Refusal("no such method")
    for box in books.boxes:
        if box.method == name:
            box.method, box.auto_renew = None, False
    del books.methods[name]


def cancel(books: Books, on: date, address: str) -> None:
    """The holder's notice."""
    box = books.living(address)
    if box.cancelled_on is not None:
        raise Refusal("cancelled already")
    box.cancelled_on, box.let_go = on, False


def withdraw(books: Books, on: date, address: str) -> None:
    """Up to E, and later on a domain: renewing by hand, which voids the notice of another box, is not for that one.

    A domain that is let go takes its boxes along.
    """
    box = books.living(address)
    if box.cancelled_on is None or box.let_go or (box.expires_on < on and box.domain is None):
        raise Refusal("not cancelled, or past E")
    box.cancelled_on, box.let_go = None, False


def hold(books: Books, on: date, address: str, reason: str, until: date | None) -> None:
    """A hold can be prolonged, not shortened; nothing changes if it is there already."""
    box = books.living(address)
    if until is not None and until < on:
        raise Refusal("past")
    if box.on_hold(on):
        shorter = until is not None and (box.hold_until is None or until < box.hold_until)
        if shorter or (until, reason) == (box.hold_until, box.hold_reason):
            raise Refusal("on hold already")
    box.hold_until, box.hold_reason = until, reason


def release(books: Books, on: date, address: str) -> None:
    """The hold ended the day before; X counts from there."""
    box = books.living(address)
    if not box.on_hold(on):
        raise Refusal("not on hold")
    box.hold_until = on - DAY


def suspend_by_hand(books: Books, on: date, address: str, reason: str) -> None:
    """For anything but `unpaid`; one that was unpaid is suspended by hand from now on, since the same day."""
    box = books.living(address)
    if reason == "unpaid" or (box.status == "suspended" and not box.unpaid):
        raise Refusal("the program's own reason, or suspended by hand already")
    box.suspended_on = box.suspended_on if box.unpaid else on
    box.status, box.suspended_reason = "suspended", reason


def lift(books: Books, on: date, address: str) -> None:
    """Active again; or suspended for `unpaid` as of today, if the job would do that."""
    box = books.living(address)
    if box.status != "suspended" or box.unpaid:
        raise Refusal("not suspended by hand")
    box.status, box.suspended_on, box.suspended_reason = "active", None, None
    suspend_if_unpaid(books, box, on)


def suspend_if_unpaid(books: Books, box: Box, on: date) -> None:
    """What the job does, for one box (SPEC §3, suspend)."""
    if box.status != "active" or box.expires_on >= on or box.on_hold(on) or books.left_alone(box):
        return
    tried = list(books.of_term(box))
    grace = on <= box.expires_on + OUTAGE_GRACE_DAYS * DAY
    if not (grace and tried and tried[-1].status == "not_attempted"):
        box.status, box.suspended_on, box.suspended_reason = "suspended", on, "unpaid"


def buy(
    books: Books,
    on: date,
    customer: str,
    address: str,
    plan: str,
    years: int | None,
    paid_by: str | None,
    *,
    domain: str | None = None,
    amount: int | None = None,
    reference: str | None = None,
    method: str | None = None,
    auto_renew: bool = True,
) -> None:
    """A box, from today: one that was deleted only for its holder, or one with the same tax id.

    One on a domain ends with that, and costs nothing of its own.
    """
    if customer not in books.credit or plan not in PLANS or PLANS[plan].for_itself is not (domain is None):
        raise Refusal("no such customer, or not sold like that")
    if any(box.address == address and box.status != "deleted" for box in books.boxes):
        raise Refusal("taken")
    until, years = _first_term(books, on - DAY, domain, years, PLANS[plan].longest)
    former = [box.customer for box in books.boxes if box.address == address][-1:]
    if former and former[0] != customer and books.tax_ids[former[0]] != books.tax_ids[customer]:
        raise Refusal("reserved for its former holder")
    chosen = _first_method(books, customer, method, paid_by)
    box = books.add_box(Box(address, customer, plan, on - DAY, years=years, method=chosen))
    box.auto_renew, box.domain = auto_renew and domain is None and chosen is not None, domain
    net = PLANS[plan].price * years
    first = (Line(plan, None, 1, PLANS[plan].price),)
    order = Order("renewal", customer, box.id, box.expires_on, years, first, on, net, gross(net), pay_by=paid_by)
    books.add_order(order)
    if order.gross:
        _pay_first(books, order, chosen, amount, reference)
    order.status = "on_account" if paid_by == "agreement" else "paid"
    order.paid_on = None if paid_by == "agreement" else on
    books.renewals.append(Renewal(box.id, box.expires_on, until, order.id, bought=True))
    box.expires_on = until


def _first_term(books: Books, eve: date, domain: str | None, years: int | None, longest: int) -> tuple[date, int]:
    """The first E, and for how many years it is paid; a box on a domain gets the date on which its boxes agree."""
    if domain is None:
        if years is None or not 1 <= years <= longest:
            raise Refusal("too long")
        return years_after(eve, years), years
    days = {
        box.expires_on
        for box in books.boxes
        if box.domain == domain and box.status != "deleted" and box.cancelled_on is None
    }
    until = days.pop() if len(days) == 1 else eve
    if years is not None or until <= eve or begun_years(eve, until) > longest:
        raise Refusal("over, or nobody knows until when")
    return until, begun_years(eve, until)


def _first_method(books: Books, customer: str, wanted: str | None, paid_by: str | None) -> str | None:
    stored = {name: each.kind for name, each in books.methods.items() if each.customer == customer}
    if wanted is not None:
        if wanted not in stored or paid_by not in {None, "bank_transfer", stored[wanted]}:
            raise Refusal("no such method")
        return wanted
    of_kind = [name for name, kind in stored.items() if kind == paid_by != "credit"]
    return of_kind[0] if len(of_kind) == 1 else None


def _pay_first(books: Books, order: Order, method: str | None, amount: int | None, reference: str | None) -> None:
    if order.pay_by in {"credit", "agreement"}:
        if amount is not None or reference is not None or (order.pay_by == "agreement" and method is None):
            raise Refusal("nothing arrives with that")
        if order.pay_by == "credit":
            if books.credit[order.customer] < order.gross:
                raise Refusal("not enough credit")
            books.credit[order.customer] -= order.gross
        return
    if amount != order.gross or reference is None:
        raise Refusal("another amount")
    known = next((payment for payment in books.payments if payment.reference == reference), None)
    if known is None:
        known = Payment(reference, "?", None, amount, order.pay_by or "", order.placed_on, unapplied=True)
        books.payments.append(known)
    if not known.unapplied or known.amount != amount:
        raise Refusal("the reference of another payment")
    known.unapplied, known.order = False, order.id
