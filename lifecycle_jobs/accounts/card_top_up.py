"""Credit topped up by card or PayPal: charged through the gateway once, whatever breaks (`payments.top_up_charges`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.accounts.finding import lock_customer
from lifecycle_jobs.accounts.requests import Request, begin, finish, known_result
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import customers, payment_methods
from lifecycle_jobs.errors import LifecycleError, Refused
from lifecycle_jobs.history import euros
from lifecycle_jobs.mail.compose import compose_within
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments import asking
from lifecycle_jobs.payments.gateway import ChargeOutcome, Gateway
from lifecycle_jobs.payments.top_up_charges import (
    Method,
    State,
    look_up_top_up,
    settle_top_up,
    top_up_charge,
    top_up_request,
    write_down_top_up,
)
from lifecycle_jobs.payments.top_ups import place_top_up
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.stops import Switch


@dataclass(frozen=True, slots=True)
class CardTopUp:
    """What is known of a top-up. Amounts in cents; `balance_cents` is the credit after it, if it succeeded.

    `unknown`: nobody knows yet whether it was charged. It is looked up, never charged again; once it is found, it is
    credit. `declined` and `not_attempted`: nothing was charged, and whoever still wants it asks under a new id.
    """

    order_number: str
    customer_id: str
    amount_cents: int
    payment_method_id: str
    state: State
    balance_cents: int | None = None
    decline_code: str | None = None


_RESULTS = TypeAdapter(CardTopUp)


@dataclass(frozen=True, slots=True)
class _Begun:
    charge: Row[Any]
    fresh: bool


def top_up_by_card(
    store: Store,
    settings: Settings,
    gateway: Gateway,
    operator: Operator,
    customer_id: str,
    *,
    amount_cents: int,
    request_id: str,
    payment_method_id: str | None = None,
) -> CardTopUp:
    """Charge a stored card or PayPal account for a holder's credit, and tell him how it ended.

    Asked again under the same id, it is charged no second time: a charge without an answer is looked up. Raises Refused
    for an unknown holder, an amount of nothing or above `gateway.max_amount`, or where it is not clear which of his
    methods to charge; EmergencyStop while that is on.
    """
    arguments = {
        "customer_id": customer_id,
        "amount_cents": amount_cents,
        "payment_method_id": payment_method_id,
    }
    request = Request(request_id, "credit.topup", arguments, _RESULTS)
    try:
        begun = _begin(store, settings, operator, request, customer_id, amount_cents, payment_method_id)
    except IntegrityError:  # another has begun under the same id at this very moment
        begun = _begin(store, settings, operator, request, customer_id, amount_cents, payment_method_id)
    if isinstance(begun, CardTopUp):
        return begun
    outcome = _ask(store, gateway, operator, begun)
    return _finish(store, operator, request, begun.charge.id, outcome)


def _begin(
    store: Store,
    settings: Settings,
    operator: Operator,
    request: Request[CardTopUp],
    customer_id: str,
    amount_cents: int,
    payment_method_id: str | None,
) -> CardTopUp | _Begun:
    """The first transaction: what is going to be charged is written down, or was before."""
    with store.write() as connection:
        known = known_result(connection, request)
        if known is not None:
            return known
        charge = top_up_charge(connection, request.id)
        if charge is not None:
            return _Begun(charge, fresh=False)
        Switch(store).check()
        begin(connection, operator, request)
        _require_chargeable(settings, amount_cents)
        method = _method(connection, lock_customer(connection, customer_id), payment_method_id)
        order_id, _ = place_top_up(connection, customer_id, amount_cents, request_id=request.id, on=operator.on)
        write_down_top_up(
            connection,
            order_id,
            method,
            amount_cents,
            key_prefix=settings.gateway.key_prefix,
            request_id=request.id,
            on=operator.on,
        )
        written = top_up_charge(connection, request.id)
        if written is None:
            raise LifecycleError(f"The charge for request {request.id} was not written down; nothing was charged.")
        return _Begun(written, fresh=True)


def _ask(store: Store, gateway: Gateway, operator: Operator, begun: _Begun) -> ChargeOutcome | None:
    """The call, outside any transaction; none if nothing new is known."""
    with store.read() as connection:
        wanted = top_up_request(connection, begun.charge.id)
    if begun.fresh:
        return asking.charge(gateway, wanted)
    if begun.charge.status not in {"pending", "unknown"}:
        return None
    return look_up_top_up(gateway, wanted, begun.charge.attempted_on, operator.on)


def _finish(
    store: Store, operator: Operator, request: Request[CardTopUp], charge_id: int, outcome: ChargeOutcome | None
) -> CardTopUp:
    """The second transaction: the outcome, what follows from it, and the answer that is given from now on."""
    origin = operator.operation(request.id)
    with store.write() as connection:
        if outcome is not None:
            settle_top_up(connection, origin, charge_id, outcome)
            compose_within(connection, str(origin.operation), operator.on)
        charge = top_up_charge(connection, request.id)
        if charge is None:
            raise LifecycleError(f"The charge for request {request.id} is gone.")
        state: State = "unknown" if charge.status == "pending" else charge.status
        balance = connection.scalar(
            select(customers.c.credit_cents).where(customers.c.customer_id == charge.customer_id)
        )
        result = CardTopUp(
            charge.order_number,
            charge.customer_id,
            charge.amount_cents,
            charge.payment_method_id,
            state,
            balance if state == "succeeded" else None,
            charge.decline_code,
        )
        if state != "unknown":
            finish(connection, request, result)
        return result


def _require_chargeable(settings: Settings, amount_cents: int) -> None:
    if amount_cents <= 0:
        raise Refused("A top-up is of one cent at the least.")
    most = settings.gateway.max_amount
    if amount_cents > most:
        raise Refused(f"A top-up by card is of {euros(most)} at the most (gateway.max_amount).")


def _method(connection: Connection, customer: Row[Any], payment_method_id: str | None) -> Method:
    stored = connection.execute(
        select(payment_methods)
        .where(payment_methods.c.customer_id == customer.customer_id, payment_methods.c.kind.in_(("card", "paypal")))
        .order_by(payment_methods.c.payment_method_id)
    ).all()
    fitting = [each for each in stored if payment_method_id in {None, each.payment_method_id}]
    if len(fitting) == 1:
        (found,) = fitting
        return Method(
            found.payment_method_id,
            cast("Literal['card', 'paypal']", found.kind),
            found.token,
            customer.gateway_customer_id,
        )
    if fitting:
        names = ", ".join(f"{each.payment_method_id} ({each.kind})" for each in fitting)
        raise Refused(f"{customer.customer_id} has several payment methods. Say which with --method: {names}.")
    if payment_method_id is not None:
        raise Refused(f"{customer.customer_id} has no card or PayPal account {payment_method_id}.")
    raise Refused(
        f"{customer.customer_id} has no card or PayPal account. Store one first (lifecycle-jobs method register "
        f"{customer.customer_id})."
    )
