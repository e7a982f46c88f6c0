"""The exactly-once protocol: an order is collected once, whatever breaks (SPEC §3, auto_renew).

1. *Intent.* In one transaction the box is read again, locked, with every condition of the rule; its order is found or
   placed; a charge row `pending` with a fresh idempotency key is written. Committed durably before anything is sent.
2. *Call.* No transaction is open while the gateway works.
3. *Outcome.* In a second transaction the charge is settled, guarded by its being unresolved, together with what
   follows from it: order, E, add-ons, event.

A process that dies between 1 and 3 leaves a `pending` charge. Before the next run does anything else it looks it up
by its key (`reconcile_charges`). One that was never seen is, within its business date and while the gateway still
remembers keys, presented again *under the same key*: had the first call arrived after all, the gateway answers with
that one's outcome. That is not a second charge, and it is what lets a run that was killed end like one that was not
(SPEC §5). A refusal of the second presentation proves nothing about the first, so it is believed only where look-ups
do not lag. A charge whose call ended without an answer (`unknown`) is never presented again, only looked up.

Alternative: hold every interrupted charge until tomorrow's look-up. Safer by one argument, that a gateway might break
its promise about keys; but then a kill on the last day of the term would suspend a holder who can pay.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, exists, func, insert, select, update

from lifecycle_jobs import clock
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges, customers, events, message_events, messages
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.history import Origin, euros, record
from lifecycle_jobs.payments.credit import debit
from lifecycle_jobs.payments.gateway import ChargeOutcome, ChargeRequest, Declined, Gateway, NotAttempted, Succeeded
from lifecycle_jobs.payments.orders import Order, load_order, order_of_term
from lifecycle_jobs.payments.renewals import apply_renewal
from lifecycle_jobs.policy import Catalog, next_attempt_on, slot_date, slot_on

NOTICE_DAYS = 30
"""Written notice before an automatic renewal, at the least (art. 65-bis of the Italian consumer code)."""

Result = Literal[
    "renewed", "renewed_without_charge", "declined", "unknown", "not_attempted", "not_trusted_yet", "changed_meanwhile"
]
"""How collecting ended.

`renewed_without_charge`: an agreement, or an amount of zero. `not_trusted_yet`: refused now, but an earlier call under
the same key may have arrived. `changed_meanwhile`: the box no longer asks for it, so nothing was charged.
"""


class MoneyWithoutRenewal(LifecycleError):
    """A payment arrived for a box or an order that can no longer take it: refund it or apply it by hand."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects renewal orders for one job of one run, through one gateway."""

    store: Store
    catalog: Catalog
    gateway: Gateway
    origin: Origin
    key_prefix: str

    def collect(self, look: Select[Any], *, gateway_is_out: bool = False) -> Result:
        """Collect the renewal of the one box that `look` selects, if it still selects it.

        `look` states every condition of the rule and selects the columns of `boxes` with the kind and token of the
        payment method. With `gateway_is_out`, what would need a call is recorded as `not_attempted` without one.
        """
        with self.store.write() as connection:
            box = connection.execute(look.with_for_update(of=boxes, key_share=True)).one_or_none()
            if box is None:
                return "changed_meanwhile"
            order = order_of_term(connection, self.catalog, box, on=self.origin.occurred_on)
            if box.method_kind == "agreement":
                self._renew(connection, order, status="on_account", method="agreement")
                return "renewed_without_charge"
            if order.gross_cents == 0:
                self._renew(connection, order, status="paid", method=box.method_kind)
                return "renewed_without_charge"
            charge_id = self._intend(connection, box, order, called=not gateway_is_out)
            if box.method_kind == "credit":
                return self._charge_credit(connection, order, charge_id)
            if gateway_is_out:
                self._settle(connection, charge_id, NotAttempted("the gateway was given up for this run"))
                return "not_attempted"
            request = self._request(connection, charge_id)
        return self.settle(charge_id, self.gateway.charge(request))

    def present_again(self, charge_id: int, look: Select[Any]) -> Result:
        """Present an interrupted charge again under its own key, if its box still asks for it."""
        with self.store.write() as connection:
            if connection.execute(look.with_for_update(of=boxes, key_share=True)).one_or_none() is None:
                return "changed_meanwhile"
            request = self._request(connection, charge_id)
        outcome = self.gateway.charge(request)
        if isinstance(outcome, NotAttempted) and self.gateway.lag:
            # A call refused now says nothing about the first one, which a lagging look-up may not show yet.
            return "not_trusted_yet"
        return self.settle(charge_id, outcome)

    def settle(self, charge_id: int, outcome: ChargeOutcome) -> Result:
        """Record what the gateway said, and what follows from it, in one transaction.

        Raises MoneyWithoutRenewal, after recording the payment, if it cannot be applied to its box.
        """
        with self.store.write() as connection:
            result, applied = self._settle(connection, charge_id, outcome)
        if not applied:
            message = (
                f"Charge {charge_id} was paid, but its box or its order has changed since. "
                "The payment is recorded and not applied: refund it, or set the box right by hand."
            )
            raise MoneyWithoutRenewal(message)
        return result

    def _intend(self, connection: Connection, box: Row[Any], order: Order, *, called: bool) -> int:
        on = self.origin.occurred_on
        policy = self.catalog.policy_of(box.plan)
        slot = slot_on(policy, box.expires_on, on)
        of_slot = (
            charges.c.box_id == box.id,
            charges.c.term_expires_on == box.expires_on,
            charges.c.slot == slot,
        )
        attempt = 1 + (connection.scalar(select(func.count()).select_from(charges).where(*of_slot)) or 0)
        charge_id: int = connection.execute(
            insert(charges)
            .values(
                idempotency_key=self._key(box, slot, attempt),
                order_id=order.id,
                box_id=box.id,
                term_expires_on=box.expires_on,
                slot=slot,
                attempt=attempt,
                payment_method_id=box.payment_method_id,
                method_kind=box.method_kind,
                token=box.token,
                amount_cents=order.gross_cents,
                status="pending",
                attempted_on=on,
                attempted_at=clock.now(),
                called=called,
                without_notice=~_notice_given(box, on),
            )
            .returning(charges.c.id)
        ).scalar_one()
        return charge_id

    def _key(self, box: Row[Any], slot: int | None, attempt: int) -> str:
        # The address keeps a database that was loaded anew from meeting the keys of the one before it.
        who = hashlib.sha256(box.address_key.encode()).hexdigest()[:8]
        return f"{self.key_prefix}-{box.id}-{who}-{box.expires_on:%Y%m%d}-{slot}-{attempt}"

    def _charge_credit(self, connection: Connection, order: Order, charge_id: int) -> Result:
        balance = debit(
            connection,
            order.customer_id,
            order.gross_cents,
            on=self.origin.occurred_on,
            reason="renewal",
            order_number=order.number,
        )
        outcome = Declined("insufficient_credit", hard=False) if balance is None else Succeeded(order.number)
        result, applied = self._settle(connection, charge_id, outcome)
        if not applied:
            message = f"Order {order.number} cannot be applied to its box; no credit was taken."
            raise MoneyWithoutRenewal(message)
        return result

    def _request(self, connection: Connection, charge_id: int) -> ChargeRequest:
        row = connection.execute(
            select(charges, customers.c.gateway_customer_id)
            .join(boxes, boxes.c.id == charges.c.box_id)
            .join(customers, customers.c.customer_id == boxes.c.customer_id)
            .where(charges.c.id == charge_id)
        ).one()
        return ChargeRequest(
            idempotency_key=row.idempotency_key,
            amount_cents=row.amount_cents,
            method_kind=row.method_kind,
            token=row.token,
            gateway_customer_id=row.gateway_customer_id,
            order_number=load_order(connection, row.order_id).number,
            slot_on=slot_date(row.term_expires_on, row.slot),
        )

    def _settle(self, connection: Connection, charge_id: int, outcome: ChargeOutcome) -> tuple[Result, bool]:
        charge = connection.execute(
            update(charges)
            .where(charges.c.id == charge_id, charges.c.status.in_(("pending", "unknown")))
            .values(**_as_columns(outcome, self.origin.occurred_on))
            .returning(*charges.c)
        ).one_or_none()
        if charge is None:
            return "changed_meanwhile", True  # settled by another process while this one waited for the answer
        order = load_order(connection, charge.order_id)
        if isinstance(outcome, Succeeded):
            with connection.begin_nested() as savepoint:
                applied = apply_renewal(connection, self.origin, order, status="paid", method=charge.method_kind)
                if not applied:
                    savepoint.rollback()
            if not applied:
                connection.execute(update(charges).where(charges.c.id == charge_id).values(unapplied=True))
            return "renewed", applied
        if isinstance(outcome, Declined):
            self._record_decline(connection, charge, order, outcome)
            return "declined", True
        return ("not_attempted", True) if isinstance(outcome, NotAttempted) else ("unknown", True)

    def _record_decline(self, connection: Connection, charge: Row[Any], order: Order, outcome: Declined) -> None:
        plan = connection.scalar(select(boxes.c.plan).where(boxes.c.id == charge.box_id))
        policy = self.catalog.policy_of(str(plan))
        on = self.origin.occurred_on
        following = None if outcome.hard else next_attempt_on(policy, charge.term_expires_on, charge.slot, on)
        record(
            connection,
            self.origin,
            "charge.declined",
            box_id=charge.box_id,
            customer_id=order.customer_id,
            term_expires_on=charge.term_expires_on,
            detail={
                "order_number": order.number,
                "amount": euros(charge.amount_cents),
                "code": outcome.code,
                "hard": outcome.hard,
                "final": following is None,
                "next_attempt_on": None if following is None else following.isoformat(),
                "slot": charge.slot,
                "method": charge.method_kind,
            },
        )

    def _renew(
        self, connection: Connection, order: Order, *, status: Literal["paid", "on_account"], method: str
    ) -> None:
        if not apply_renewal(connection, self.origin, order, status=status, method=method):
            message = f"Order {order.number} cannot be applied to its box; nothing was changed."
            raise LifecycleError(message)


def _as_columns(outcome: ChargeOutcome, on: date) -> dict[str, Any]:
    # An answer that was lost ends the call too; what a later look-up finds does not change when that was.
    ended = {"settled_at": func.coalesce(charges.c.settled_at, clock.now())}
    settled = ended | {"settled_on": on}
    if isinstance(outcome, Succeeded):
        return settled | {"status": "succeeded", "gateway_reference": outcome.reference}
    if isinstance(outcome, Declined):
        return settled | {
            "status": "declined",
            "decline_code": outcome.code,
            "hard": outcome.hard,
            "gateway_reference": outcome.reference,
        }
    if isinstance(outcome, NotAttempted):
        return settled | {"status": "not_attempted"}
    return ended | {"status": "unknown"}


def _notice_given(box: Row[Any], on: date) -> Any:
    """The notice of this term was accepted by the mail server in time: what the law asks to be proven."""
    return exists().where(
        events.c.box_id == box.id,
        events.c.term_expires_on == box.expires_on,
        events.c.kind == "box.renewal_notice",
        message_events.c.event_id == events.c.id,
        ~message_events.c.moot,
        messages.c.id == message_events.c.message_id,
        messages.c.accepted_on <= on - timedelta(days=NOTICE_DAYS),
    )
