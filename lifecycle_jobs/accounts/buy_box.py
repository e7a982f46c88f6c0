"""Buying a box: it begins on the day on which it is paid for, and is there from then on (SPEC §2).

Until then there is nothing: money that arrived without a box to pay for is kept as an unapplied payment (`order pay`),
and can pay for this one later, under its reference. The first term has an order like any other, from the eve of its
first day, so that E moves on from there.

An address whose box was deleted is sold only to whom it belonged, or to a holder with the same tax id. The box is a
new one: the tombstone stays, with the history that hangs on it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.accounts.first_payment import FirstPayment, take
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db.conditions import on_domain
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, customers, orders, payment_methods, registered_payments
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, euros, record_of_box
from lifecycle_jobs.mail.addresses import NotAnAddress, wire_address
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.orders import Order, Quote, place, quote
from lifecycle_jobs.policy import MAX_RENEWAL_YEARS, Catalog, Plan, renewed_until, whole_years

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Purchase:
    """A box that somebody wants: whose, which address and plan, for how many years.

    A plan that comes with a domain is bought with that, and ends with it: on the day of the other boxes on it, or on
    `until` where it is the first. One paid by card or PayPal, or on account, renews itself from now on, in the same
    rhythm, unless `auto_renew` is false: by the method `payment_method_id`, or the holder's only one of that kind.
    """

    customer_id: str
    address: str
    plan: str
    years: int | None = None
    domain: str | None = None
    until: date | None = None
    payment_method_id: str | None = None
    auto_renew: bool = True


@dataclass(frozen=True, slots=True)
class BoughtBox:
    """A box that is there now, paid through `expires_on`. Amounts in cents.

    `deleted_on`: when the last box of this address was deleted, if there was one. `hint`: why it does not renew itself
    although it was paid by something that could.
    """

    address: str
    box_id: int
    order_number: str
    expires_on: date
    gross_cents: int
    renews_itself: bool
    deleted_on: date | None
    hint: str | None


_RESULTS = TypeAdapter(BoughtBox)


def buy_box(
    store: Store,
    catalog: Catalog,
    operator: Operator,
    purchase: Purchase,
    payment: FirstPayment,
    *,
    request_id: str,
) -> BoughtBox:
    """Sell a box that is paid, or need not be, and welcome its holder.

    Raises Refused for an address that is taken, or reserved for somebody else, for a plan or a number of years that is
    not sold, for a holder or a payment method that is not there, and for a payment that does not suffice or is not of
    the price exactly.
    """
    paid_on = payment.paid_on and payment.paid_on.isoformat()
    until = purchase.until and purchase.until.isoformat()
    arguments = asdict(purchase) | {"until": until, "payment": asdict(payment) | {"paid_on": paid_on}}
    request = Request(request_id, "box.buy", arguments, _RESULTS)
    try:
        return once(
            store,
            operator,
            request,
            lambda connection, origin: _buy(connection, origin, catalog, purchase, payment),
        )
    except IntegrityError as error:
        with store.read() as connection:
            overtaken = _taken(connection, purchase.address) or _registered(connection, payment.reference)
        if not overtaken:
            raise
        raise Refused(
            f"{purchase.address} was sold, or the payment registered, at this very moment. Nothing was done; look "
            "again (lifecycle-jobs customer show)."
        ) from error


def _buy(
    connection: Connection, origin: Origin, catalog: Catalog, purchase: Purchase, payment: FirstPayment
) -> BoughtBox:
    plan = _plan(catalog, purchase)
    deleted_on = _require_address(connection, purchase)
    eve = origin.occurred_on - _DAY
    until, years = _term(connection, plan, purchase, eve)
    method = _method(connection, purchase, payment.by)
    renews_itself = plan.auto_renewable and purchase.auto_renew and method is not None
    box = connection.execute(
        insert(boxes)
        .values(
            address=purchase.address,
            address_key=purchase.address.lower(),
            customer_id=purchase.customer_id,
            plan=plan.code,
            status="active",
            expires_on=eve,
            imported_expires_on=eve,
            renewal_years=min(years, plan.longest_term_years),
            auto_renew=renews_itself,
            payment_method_id=method,
            domain=purchase.domain,
        )
        .returning(*boxes.c)
    ).one()
    priced = quote(catalog, plan.code, None, (), years)
    order = place(connection, [box], {box.id: priced}, on=origin.occurred_on)[box.id]
    on_account = bool(order.gross_cents) and payment.by == "agreement"
    if on_account and method is None:
        raise Refused("This holder has no agreement to be invoiced under, or more than one: name it (--method ID).")
    if order.gross_cents:
        take(connection, origin, order, payment)
    paid_on = None if on_account else payment.paid_on or origin.occurred_on
    connection.execute(
        update(orders)
        .where(orders.c.id == order.id)
        .values(status="on_account" if on_account else "paid", paid_on=paid_on)
    )
    connection.execute(update(boxes).where(boxes.c.id == box.id, boxes.c.expires_on == eve).values(expires_on=until))
    _record(connection, origin, box, plan, order, priced, payment, until=until, deleted_on=deleted_on)
    return BoughtBox(
        address=box.address,
        box_id=box.id,
        order_number=order.number,
        expires_on=until,
        gross_cents=order.gross_cents,
        renews_itself=renews_itself,
        deleted_on=deleted_on,
        hint=_hint(plan, purchase, payment.by, method),
    )


def _plan(catalog: Catalog, purchase: Purchase) -> Plan:
    plan = catalog.plans.get(purchase.plan)
    if plan is None:
        raise Refused(f"There is no plan {purchase.plan}. Known: {', '.join(sorted(catalog.plans))}.")
    if plan.auto_renewable and purchase.domain is not None:
        raise Refused(f"Plan {plan.name} is not sold with a domain: leave the domain out.")
    if not plan.auto_renewable and purchase.domain is None:
        raise Refused(f"Plan {plan.name} comes with a domain: name it (--domain NAME).")
    return plan


def _require_address(connection: Connection, purchase: Purchase) -> date | None:
    """When the last box of the address was deleted; raises Refused if this holder cannot have it."""
    try:
        wire_address(purchase.address)
    except NotAnAddress as error:
        raise Refused(f"{purchase.address} cannot be sold: {error}.") from error
    holder = connection.execute(select(customers).where(customers.c.customer_id == purchase.customer_id)).one_or_none()
    if holder is None:
        raise Refused(f"There is no customer {purchase.customer_id}. Import the holder first (customers.csv).")
    if _taken(connection, purchase.address):
        raise Refused(f"{purchase.address} is taken. Choose another address.")
    tombstone = connection.execute(
        select(boxes.c.deleted_on, boxes.c.customer_id, customers.c.tax_id)
        .join(customers, customers.c.customer_id == boxes.c.customer_id)
        .where(boxes.c.address_key == purchase.address.lower(), boxes.c.status == "deleted")
        .order_by(boxes.c.deleted_on.desc())
        .limit(1)
    ).one_or_none()
    if tombstone is None:
        return None
    same = holder.tax_id is not None and holder.tax_id == tombstone.tax_id
    if tombstone.customer_id != holder.customer_id and not same:
        raise Refused(
            f"{purchase.address} was deleted on {tombstone.deleted_on} and is reserved for its former holder: only one "
            "with the same tax id may take it again. Choose another address."
        )
    deleted_on: date = tombstone.deleted_on
    return deleted_on


def _taken(connection: Connection, address: str) -> bool:
    living = select(boxes.c.id).where(boxes.c.address_key == address.lower(), boxes.c.status != "deleted")
    return connection.scalar(living) is not None


def _registered(connection: Connection, reference: str | None) -> bool:
    known = select(registered_payments.c.id).where(registered_payments.c.reference == reference)
    return reference is not None and connection.scalar(known) is not None


def _term(connection: Connection, plan: Plan, purchase: Purchase, eve: date) -> tuple[date, int]:
    """The first E, and for how many years it is paid, a begun one counting whole."""
    longest = min(plan.longest_term_years, MAX_RENEWAL_YEARS)
    if purchase.domain is None:
        if purchase.until is not None or purchase.years is None:
            raise Refused("Say for how many years (--years N); only a box on a domain ends on a date of its own.")
        until, years = renewed_until(eve, purchase.years), purchase.years
    elif purchase.years is not None:
        raise Refused("A box on a domain ends with that: leave the years out.")
    else:
        until = _domain_until(connection, purchase, purchase.domain, eve)
        years = whole_years(eve, until)
    if not 1 <= years <= longest:
        raise Refused(f"Plan {plan.name} is sold for 1 to {longest} years, not {years}.")
    return until, years


def _domain_until(connection: Connection, purchase: Purchase, domain: str, eve: date) -> date:
    """The day on which the other boxes on the domain end. They are held: a renewal of the domain comes before or after.

    One that came between would leave this box behind, and nobody would hear of it before its first warning.
    """
    days = set(
        connection.scalars(
            select(boxes.c.expires_on)
            .where(on_domain(domain), boxes.c.status != "deleted", boxes.c.cancelled_on.is_(None))
            .order_by(boxes.c.id)
            .with_for_update(key_share=True)
        )
    )
    until = purchase.until or (min(days) if len(days) == 1 else None)
    known = f"its boxes end on {', '.join(map(str, sorted(days)))}" if days else "there is no box on it yet"
    if until is None:
        raise Refused(f"Say until when the domain {domain} is paid (--until DATE): {known}.")
    if days and until not in days:
        raise Refused(
            f"A box on the domain {domain} cannot end on {until}: {known}. If the domain is paid until then, renew it "
            f"first (lifecycle-jobs domain renew {domain} --until {until})."
        )
    if until <= eve:
        raise Refused(
            f"The domain {domain} has ended on {until}. Renew it first (lifecycle-jobs domain renew {domain})."
        )
    return until


def _method(connection: Connection, purchase: Purchase, paid_by: str | None) -> str | None:
    """The payment method that the box is renewed by: the one that is named, or the only one of the kind."""
    known = {
        row.payment_method_id: row.kind
        for row in connection.execute(
            select(payment_methods).where(payment_methods.c.customer_id == purchase.customer_id)
        )
    }
    if purchase.payment_method_id is not None:
        kind = known.get(purchase.payment_method_id)
        if kind is None:
            raise Refused(f"{purchase.payment_method_id} is no payment method of this holder.")
        if paid_by not in {None, "bank_transfer", kind}:
            raise Refused(f"{purchase.payment_method_id} is a payment method of the kind {kind}, not {paid_by}.")
        return purchase.payment_method_id
    of_kind = [method for method, kind in known.items() if kind == paid_by and kind != "credit"]
    return of_kind[0] if len(of_kind) == 1 else None


def _hint(plan: Plan, purchase: Purchase, paid_by: str | None, method: str | None) -> str | None:
    if paid_by not in {"card", "paypal"} or not (plan.auto_renewable and purchase.auto_renew) or method is not None:
        return None
    return f"No {paid_by} of the holder to charge is stored, or more than one: register it, or name it."


def _record(
    connection: Connection,
    origin: Origin,
    box: Row[Any],
    plan: Plan,
    order: Order,
    priced: Quote,
    payment: FirstPayment,
    *,
    until: date,
    deleted_on: date | None,
) -> None:
    record_of_box(
        connection,
        origin,
        "box.bought",
        box,
        detail={
            "order_number": order.number,
            "plan": plan.code,
            "inbox_gb": plan.inbox_gb,
            "archive_gb": plan.archive_gb,
            "domain": box.domain,
            "years": priced.years,
            "new_expires_on": until.isoformat(),
            "net": euros(priced.net_cents),
            "vat": euros(priced.gross_cents - priced.net_cents),
            "gross": euros(priced.gross_cents),
            "method": payment.by if payment.by in {"card", "paypal", "credit", "agreement"} else None,
            "renews_itself": box.auto_renew,
            "address_deleted_on": deleted_on and deleted_on.isoformat(),
        },
    )
