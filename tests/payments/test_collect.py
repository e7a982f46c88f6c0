"""The exactly-once protocol: intent before the call, outcome after it, and nothing in between (SPEC §3, auto_renew)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Select, select, update

from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges, customers, events, orders, payment_methods
from lifecycle_jobs.errors import StopRequested
from lifecycle_jobs.history import Origin
from lifecycle_jobs.payments.calls import Limits
from lifecycle_jobs.payments.collect import Collector
from lifecycle_jobs.payments.gateway import (
    ChargeOutcome,
    ChargeRequest,
    Declined,
    Gateway,
    LookUpOutcome,
    NeverSeen,
    NotAttempted,
    RefundOutcome,
    RefundRefused,
    RefundRequest,
    Succeeded,
    Unknown,
)
from lifecycle_jobs.payments.intents import BOX_IDS
from lifecycle_jobs.policy import Catalog, Plan, Policy
from tests import factories

E = factories.EXPIRES_ON
ON = date(2027, 3, 24)
NEXT_E = date(2028, 3, 31)
ONE_BY_ONE = Limits(parallel=False, concurrency=1, per_second=1, back_off=())
CATALOG = Catalog(
    {"standard": Plan("standard", "Standard", 990, 1, 0, 1, 0, 5, auto_renewable=True, policy=Policy())}, Decimal(22)
)


@dataclass
class Bank:
    """Answers as told, and keeps what it was asked."""

    answer: ChargeOutcome = field(default_factory=lambda: Succeeded("tx_1"))
    during: Callable[[], None] = lambda: None
    asked: list[ChargeRequest] = field(default_factory=list)
    lag: timedelta = timedelta(0)
    memory: timedelta | None = None
    parallel: bool = False

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        self.asked.append(request)
        self.during()
        return self.answer

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        del request
        return NeverSeen()

    def refund(self, request: RefundRequest) -> RefundOutcome:
        return RefundRefused(f"{request.reference} was never asked for")

    def rehearse(self) -> Gateway:
        return self


@dataclass(frozen=True, slots=True)
class Turn:
    """A box whose turn it is."""

    id: int
    needs_gateway: bool = True


@dataclass(frozen=True, slots=True)
class Desk:
    """A collector, and what it noted."""

    collector: Collector

    def collect(self, *box_ids: int, gateway_is_out: bool = False) -> Any:
        """Collect some boxes; the result, or the results by box if there are several. What went wrong is raised."""
        noted: dict[int, Any] = {}
        self.collector.collect(
            [Turn(box_id) for box_id in box_ids],
            DUE,
            noted.__setitem__,
            may_be_lost=lambda: 0 if gateway_is_out else 20,
        )
        return _plain(noted)

    def present_again(self, charge_id: int) -> Any:
        noted: dict[int, Any] = {}
        self.collector.present_again([charge_id], noted.__setitem__)
        return _plain(noted)

    def settle(self, charge_id: int, outcome: ChargeOutcome) -> str:
        return self.collector.settle(charge_id, outcome)


def _plain(noted: dict[int, Any]) -> Any:
    for result in noted.values():
        if isinstance(result, Exception):
            raise result
    return next(iter(noted.values())) if len(noted) == 1 else noted


def collector(
    store: Store,
    bank: Gateway,
    *,
    on: date = ON,
    since: date | None = None,
    key_prefix: str = "test",
    max_amount: int = 100_000,
    limits: Limits = ONE_BY_ONE,
    tick: Callable[[], None] = lambda: None,
    may_begin: Callable[[], bool] = lambda: True,
) -> Desk:
    return Desk(
        Collector(
            store=store,
            catalog=CATALOG,
            gateway=bank,
            origin=Origin(on, on, 1, "auto_renew"),
            since=since or on - timedelta(days=1),
            key_prefix=key_prefix,
            max_amount_cents=max_amount,
            limits=limits,
            still_wanted=of_charge,
            tick=tick,
            may_begin=may_begin,
        )
    )


def due_box(store: Store, *, kind: str = "card", credit: int = 0, address: str = "a@pec.example.it", **box: Any) -> int:
    with store.write() as connection:
        factories.customer(connection, credit=credit, gateway_customer_id="cus_1")
        factories.method(connection, kind=kind)
        return factories.box(connection, address, auto_renew=True, payment_method_id="pm1", **box)


DUE = (
    select(boxes, payment_methods.c.kind.label("method_kind"), payment_methods.c.token, customers.c.gateway_customer_id)
    .join(payment_methods, payment_methods.c.payment_method_id == boxes.c.payment_method_id)
    .join(customers, customers.c.customer_id == boxes.c.customer_id)
    .where(among(boxes.c.id, BOX_IDS), boxes.c.status == "active", boxes.c.auto_renew)
    .order_by(boxes.c.id)
)


def of_charge(charge_id: int) -> Select[Any]:
    return (
        select(boxes)
        .join(charges, charges.c.box_id == boxes.c.id)
        .where(charges.c.id == charge_id, boxes.c.status == "active", boxes.c.auto_renew)
    )


def rows(store: Store, table: Any) -> list[dict[str, Any]]:
    with store.read() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(table.c.id)).mappings()]


def die() -> None:
    raise KeyboardInterrupt


def test_the_intent_is_committed_before_the_bank_is_asked_and_no_transaction_is_open_meanwhile(store: Store) -> None:
    box = due_box(store)
    seen: list[tuple[str, str]] = []

    def meanwhile() -> None:
        seen.extend((row["status"], row["idempotency_key"]) for row in rows(store, charges))
        with store.write() as connection:  # would wait for ever if the collector held its transaction
            connection.execute(update(boxes).values(used_inbox_mb=1))

    bank = Bank(during=meanwhile)

    assert collector(store, bank).collect(box) == "renewed"
    assert seen == [("pending", bank.asked[0].idempotency_key)]


def test_the_bank_is_told_all_it_needs(sqlite_store: Store) -> None:
    store = sqlite_store
    box = due_box(store)
    bank = Bank()

    collector(store, bank, on=E - timedelta(days=4)).collect(box)

    (request,) = bank.asked
    assert request.idempotency_key.startswith(f"test-{box}-")
    assert request.idempotency_key.endswith("-20270331-5-1")
    assert (request.amount_cents, request.method_kind, request.token) == (1208, "card", "pm_card_visa")
    assert (request.gateway_customer_id, request.order_number) == ("cus_1", f"R-{box}-20270331")
    assert request.slot_on == E - timedelta(days=5)


def test_a_key_is_never_used_for_another_attempt_box_or_installation(
    sqlite_store: Store, postgresql_store: Store
) -> None:
    bank = Bank(NotAttempted("not now"))
    first = due_box(sqlite_store)
    loaded_anew = due_box(postgresql_store, address="b@pec.example.it")
    assert first == loaded_anew

    for on in (ON, ON, ON + timedelta(days=2)):
        collector(sqlite_store, bank, on=on).collect(first)
    collector(postgresql_store, bank).collect(loaded_anew)
    with sqlite_store.write() as connection:
        connection.execute(charges.delete())
    collector(sqlite_store, bank, key_prefix="production").collect(first)

    assert len({request.idempotency_key for request in bank.asked}) == 5


def test_a_box_that_does_not_ask_for_it_any_more_costs_nothing_and_leaves_nothing(store: Store) -> None:
    box = due_box(store, status="suspended")
    bank = Bank()

    assert collector(store, bank).collect(box) == "changed_meanwhile"
    assert (bank.asked, rows(store, charges), rows(store, orders)) == ([], [], [])


@pytest.mark.parametrize(
    ("answer", "result", "status"),
    [
        (Succeeded("tx"), "renewed", "succeeded"),
        (Declined("generic_decline", hard=False), "declined", "declined"),
        (Unknown("timed out"), "unknown", "unknown"),
        (NotAttempted("refused"), "not_attempted", "not_attempted"),
    ],
)
def test_each_answer_is_recorded(sqlite_store: Store, answer: ChargeOutcome, result: str, status: str) -> None:
    store = sqlite_store
    box = due_box(store)

    assert collector(store, Bank(answer)).collect(box) == result

    (charge,) = rows(store, charges)
    assert charge["status"] == status
    assert charge["settled_on"] == (None if status == "unknown" else ON)
    assert charge["settled_at"] is not None


@pytest.mark.parametrize("kind", ["agreement", "card"])
def test_what_needs_no_charge_is_renewed_without_one(sqlite_store: Store, kind: str) -> None:
    store = sqlite_store
    box = due_box(store, kind=kind, annual_price=0 if kind == "card" else None)
    bank = Bank()

    assert collector(store, bank).collect(box, gateway_is_out=True) == "renewed_without_charge"
    assert (bank.asked, rows(store, charges)) == ([], [])
    assert rows(store, boxes)[0]["expires_on"] == NEXT_E


def test_without_a_gateway_the_charge_is_recorded_as_not_attempted_and_not_called(sqlite_store: Store) -> None:
    store = sqlite_store
    box = due_box(store)
    bank = Bank()

    assert collector(store, bank).collect(box, gateway_is_out=True) == "not_attempted"

    (charge,) = rows(store, charges)
    assert (bank.asked, charge["status"], charge["called"]) == ([], "not_attempted", False)


@pytest.mark.parametrize(("credit", "result"), [(1208, "renewed"), (1207, "declined")])
def test_credit_is_taken_without_a_call_even_if_the_gateway_is_out(store: Store, credit: int, result: str) -> None:
    box = due_box(store, kind="credit", credit=credit)
    bank = Bank()

    assert collector(store, bank).collect(box, gateway_is_out=True) == result
    assert bank.asked == []


def test_a_process_that_dies_during_the_call_leaves_a_pending_charge_that_is_settled_once(store: Store) -> None:
    box = due_box(store)

    with pytest.raises(KeyboardInterrupt):
        collector(store, Bank(during=die)).collect(box)
    assert [row["status"] for row in rows(store, charges)] == ["pending"]

    again = collector(store, Bank(), on=ON + timedelta(days=1))
    assert again.settle(1, Succeeded("tx_9")) == "renewed"
    assert again.settle(1, Succeeded("tx_9")) == "changed_meanwhile"
    assert again.settle(1, Declined("stolen_card", hard=True)) == "changed_meanwhile"
    assert [row["kind"] for row in rows(store, events)] == ["box.renewed"]
    assert rows(store, boxes)[0]["expires_on"] == NEXT_E


def test_an_answer_that_comes_after_it_was_looked_up_changes_nothing(sqlite_store: Store) -> None:
    store = sqlite_store
    box = due_box(store)

    def looked_up_meanwhile() -> None:
        collector(store, Bank()).settle(1, Declined("generic_decline", hard=False))

    bank = Bank(during=looked_up_meanwhile)

    assert collector(store, bank).collect(box) == "changed_meanwhile"
    assert [row["status"] for row in rows(store, charges)] == ["declined"]


def test_presenting_again_sends_the_same_key_and_amount(sqlite_store: Store) -> None:
    store = sqlite_store
    box = due_box(store)
    first = Bank(during=die)
    with pytest.raises(KeyboardInterrupt):
        collector(store, first).collect(box)
    with store.write() as connection:
        connection.execute(update(boxes).values(annual_price_cents=1))
    second = Bank()

    assert collector(store, second).present_again(1) == "renewed"
    assert second.asked == first.asked


def test_money_that_cannot_be_applied_is_recorded_and_reported(store: Store) -> None:
    box = due_box(store)

    def paid_by_hand() -> None:
        with store.write() as connection:
            connection.execute(update(orders).values(status="paid", paid_on=ON))
            connection.execute(update(boxes).values(expires_on=NEXT_E))

    assert collector(store, Bank(during=paid_by_hand)).collect(box) == "to_be_refunded"

    (charge,) = rows(store, charges)
    assert (charge["status"], charge["gateway_reference"], charge["unapplied"]) == ("succeeded", "tx_1", True)
    assert rows(store, boxes)[0]["expires_on"] == NEXT_E, "one term was paid for by hand, not two"
    assert rows(store, events) == []


def test_a_second_charge_of_a_box_cannot_begin_while_one_is_unresolved(store: Store) -> None:
    box = due_box(store)
    with store.write() as connection:
        order = factories.order(connection, "R-0", box_id=box, term_expires_on=date(2026, 3, 31))
        factories.charge(connection, "k", order_id=order, box_id=box, term_expires_on=date(2026, 3, 31))
    bank = Bank()

    with pytest.raises(Exception, match=r"uq_charges_unresolved_of_box|charges\.box_id"):
        collector(store, bank).collect(box)

    assert bank.asked == []
    assert rows(store, orders)[1:] == [], "the order it had placed is rolled back too"


def test_the_attempts_of_a_slot_are_numbered(sqlite_store: Store) -> None:
    store = sqlite_store
    box = due_box(store)
    bank = Bank(NotAttempted("refused"))

    for on in (ON, ON + timedelta(days=1), ON + timedelta(days=2)):
        collector(store, bank, on=on).collect(box)

    assert [(row["slot"], row["attempt"]) for row in rows(store, charges)] == [(7, 1), (7, 2), (5, 1)]


def test_a_notice_counts_only_for_its_own_box(sqlite_store: Store) -> None:
    store = sqlite_store
    box = due_box(store)
    with store.write() as connection:
        other = factories.box(connection, "other@pec.example.it")
        event = factories.event(connection, "box.renewal_notice", occurred_on=ON - timedelta(days=40), box_id=other)
        factories.message(connection, "m", event, status="sent", accepted_on=ON - timedelta(days=40))

    collector(store, Bank()).collect(box)

    assert rows(store, charges)[0]["without_notice"] is True


def test_asked_to_stop_it_leaves_what_the_gateway_did_not_take_to_be_looked_up(store: Store) -> None:
    box_id = due_box(store)
    bank = Bank(answer=NotAttempted("busy", timedelta(0)), parallel=True)
    many = Limits(parallel=True, concurrency=2, per_second=1000, back_off=(60,))

    def stop() -> None:
        raise StopRequested("as asked")

    with pytest.raises(StopRequested):
        collector(store, bank, limits=many, tick=stop).collect(box_id)

    assert [row["status"] for row in rows(store, charges)] == ["pending"]
