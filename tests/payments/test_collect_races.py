"""Many calls in flight at once, and what happens to a box meanwhile (SPEC §3, auto_renew).

The bank answers in threads of the gateway's pool, as a real one does, and the rule is the real one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from lifecycle_jobs.accounts import Payment, pay_order
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.errors import StopRequested
from lifecycle_jobs.jobs.collecting import collector_for
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.operators import Operator
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
from lifecycle_jobs.payments.outcomes import settle_all
from lifecycle_jobs.runs import Run
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    BROKEN,
    Office,
    box_row,
    broken,
    change,
    charged,
    expires_on,
    happened,
    look,
    parked,
    renewing_box,
    settings_for,
    status,
    while_waiting,
)

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
DAY = timedelta(days=1)
FIRST_SLOT = E - 7 * DAY
BUSY = NotAttempted("429", retry_after=timedelta(0))
SOME = 30.0
"""Seconds that nothing here takes."""


def paid(request: ChargeRequest, _times: int) -> ChargeOutcome:
    """The answer to a charge that went well."""
    return Succeeded(f"tx-{request.idempotency_key}")


@dataclass
class Bank:
    """Answers by request and by how often it was presented; `during` happens while the call is in flight."""

    answer: Callable[[ChargeRequest, int], ChargeOutcome] = paid
    during: Callable[[ChargeRequest], None] = lambda _request: None
    asked: list[str] = field(default_factory=list)
    lag: timedelta = timedelta(0)
    memory: timedelta | None = None
    parallel: bool = True

    def charge(self, request: ChargeRequest) -> ChargeOutcome:
        self.asked.append(request.box_address)
        self.during(request)
        return self.answer(request, self.asked.count(request.box_address))

    def look_up(self, request: ChargeRequest) -> LookUpOutcome:
        del request
        return NeverSeen()

    def refund(self, request: RefundRequest) -> RefundOutcome:
        return RefundRefused(f"{request.reference} was never asked for")

    def rehearse(self) -> Gateway:
        return self


class Until:
    """Holds calls in flight until so many have begun, so that they surely are in flight together."""

    def __init__(self, together: int) -> None:
        self._all_there = threading.Barrier(together, timeout=SOME)

    def __call__(self, _request: ChargeRequest) -> None:
        self._all_there.wait()


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    return _office(store, tmp_path)


@pytest.fixture
def postgresql_office(postgresql_store: Store, tmp_path: Path) -> Office:
    return _office(postgresql_store, tmp_path)


def _office(store: Store, tmp_path: Path) -> Office:
    working = {"concurrency": 4, "requests_per_second": 1000, "back_off": (0, 0)}
    return Office(store, settings_for(tmp_path, gateway=working), Bank())


def with_bank(office: Office, bank: Bank, **gateway: Any) -> Office:
    settings = office.settings
    if gateway:
        settings = settings.model_copy(update={"gateway": settings.gateway.model_copy(update=gateway)})
    return replace(office, gateway=bank, settings=settings)


def renewing(office: Office, *names: str, **box: Any) -> list[int]:
    with office.store.write() as connection:
        return [renewing_box(connection, name, **box) for name in names]


def pay_by_hand(store: Store, request: ChargeRequest) -> None:
    clerk = Operator("anna", None, FIRST_SLOT)
    payment = Payment(request.amount_cents, "CRO-1", clerk.on)
    pay_order(store, factories.CATALOG, clerk, request.order_number, payment, request_id="paid")


def renewals(office: Office) -> int:
    return happened(office.store).count("box.renewed")


class TestManyAtOnce:
    def test_boxes_are_called_together_and_each_is_renewed_once(self, office: Office) -> None:
        boxes = renewing(office, "a", "b", "c", "d", "e", "f", "g", "h")
        bank = Bank(during=Until(4))

        with_bank(office, bank).job("auto_renew", FIRST_SLOT)

        assert sorted(bank.asked) == sorted(f"{name}@pec.example.it" for name in "abcdefgh")
        assert [expires_on(office.store, box) for box in boxes] == [NEXT_E] * 8
        assert [charged(office.store, box) for box in boxes] == [[(7, "succeeded")]] * 8
        assert_books_are_right(office.store, office.settings)

    def test_a_box_whose_intent_fails_stands_alone_uncharged(self, office: Office) -> None:
        boxes = renewing(office, "a", "b", "c", "d")
        bank = Bank()

        with broken(office.store, "charges", "INSERT", f"NEW.box_id = {boxes[1]}"):
            with_bank(office, bank).job("auto_renew", FIRST_SLOT, parks=1)

        assert sorted(bank.asked) == ["a@pec.example.it", "c@pec.example.it", "d@pec.example.it"]
        assert [expires_on(office.store, box) for box in boxes] == [NEXT_E, E, NEXT_E, NEXT_E]
        ((_, subject, error),) = parked(office.store)
        assert (subject, BROKEN in error) == (f"box:{boxes[1]}", True)

    def test_a_box_whose_outcome_cannot_be_written_stands_alone_and_stays_to_be_looked_up(self, office: Office) -> None:
        boxes = renewing(office, "a", "b", "c", "d")
        bank = Bank(during=Until(4))

        with broken(office.store, "boxes", "UPDATE", f"NEW.id = {boxes[1]}"):
            with_bank(office, bank).job("auto_renew", FIRST_SLOT, parks=1)

        assert [expires_on(office.store, box) for box in boxes] == [NEXT_E, E, NEXT_E, NEXT_E]
        assert charged(office.store, boxes[1]) == [(7, "pending")]
        ((_, subject, _),) = parked(office.store)
        assert subject == f"box:{boxes[1]}"

    def test_an_amount_above_the_limit_is_parked_and_not_charged(self, office: Office) -> None:
        (cheap,) = renewing(office, "a")
        (dear,) = renewing(office, "b", annual_price=50_000)
        bank = Bank()

        with_bank(office, bank, max_amount=60_999).job("auto_renew", FIRST_SLOT, parks=1)

        assert bank.asked == ["a@pec.example.it"]
        assert (expires_on(office.store, cheap), expires_on(office.store, dear)) == (NEXT_E, E)
        assert charged(office.store, dear) == []
        ((_, subject, error),) = parked(office.store)
        assert (subject, "610.00, more than gateway.max_amount = 609.99" in error) == (f"box:{dear}", True)

    def test_a_gateway_that_takes_no_calls_is_given_up_and_every_box_is_protected(self, office: Office) -> None:
        boxes = renewing(office, *(f"box{number}" for number in range(30)))
        bank = Bank(answer=lambda _request, _times: NotAttempted("connection refused"))

        report = with_bank(office, bank, outage_limit=5).job("auto_renew", FIRST_SLOT)

        in_flight_at_most = 4 + 2
        assert 5 <= len(bank.asked) < 5 + in_flight_at_most
        assert [charged(office.store, box) for box in boxes] == [[(7, "not_attempted")]] * 30
        assert len(report.failures) == 1
        assert "did not take 5 calls in a row (connection refused) and was given up for this run" in report.failures[0]


class TestPaidElsewhereDuringTheCall:
    def test_the_same_order_paid_by_hand_is_one_effective_payment_and_one_to_be_given_back(
        self, office: Office
    ) -> None:
        box, neighbour = renewing(office, "a", "b")

        def paid_by_hand(request: ChargeRequest) -> None:
            if request.box_address == "a@pec.example.it":
                pay_by_hand(office.store, request)

        with_bank(office, Bank(during=paid_by_hand)).job("auto_renew", FIRST_SLOT)

        assert [expires_on(office.store, each) for each in (box, neighbour)] == [NEXT_E, NEXT_E]
        assert happened(office.store, box) == ["box.renewed", "payment.registered"]
        unapplied = {row["box_id"]: row["unapplied"] for row in look(office.store, tables.charges)}
        assert unapplied == {box: True, neighbour: False}
        assert [row["effective"] for row in look(office.store, tables.registered_payments)] == [True]
        assert_books_are_right(office.store, office.settings)

    def test_a_decline_after_it_was_paid_by_hand_is_not_told(self, office: Office) -> None:
        (box,) = renewing(office, "a")
        bank = Bank(
            answer=lambda _request, _times: Declined("expired_card", hard=True),
            during=lambda request: pay_by_hand(office.store, request),
        )
        with_bank(office, bank).job("auto_renew", FIRST_SLOT)

        office.day(FIRST_SLOT)

        assert charged(office.store, box) == [(7, "declined")]
        told = {row["kind"]: row["status"] for row in look(office.store, tables.messages)}
        assert told["box.renewed"] == "sent"
        assert told.get("charge.declined", "moot") == "moot"
        assert_books_are_right(office.store, office.settings)

    def test_another_process_that_settles_the_same_charge_renews_the_box_once(
        self, office: Office, database_url: str
    ) -> None:
        box, neighbour = renewing(office, "a", "b")
        others_store = open_store(database_url)

        def settled_elsewhere(request: ChargeRequest) -> None:
            run = Run(FIRST_SLOT, 1, "everything", FIRST_SLOT - DAY)
            task = Task("auto_renew", others_store, run, office.settings.catalog(), 100, lambda _job, _rows: None)
            other = collector_for(task, office.settings, office.gateway)
            with others_store.read() as connection:
                keyed = tables.charges.c.idempotency_key == request.idempotency_key
                charge: int = connection.execute(select(tables.charges.c.id).where(keyed)).scalar_one()
            assert other.settle(charge, Succeeded("tx-elsewhere")) == "renewed"

        try:
            with_bank(office, Bank(during=settled_elsewhere)).job("auto_renew", FIRST_SLOT)
        finally:
            others_store.engine.dispose()

        assert [row["gateway_reference"] for row in look(office.store, tables.charges)] == ["tx-elsewhere"] * 2
        assert [expires_on(office.store, each) for each in (box, neighbour)] == [NEXT_E, NEXT_E]
        assert renewals(office) == 2
        assert parked(office.store) == []
        assert_books_are_right(office.store, office.settings)

    def test_whoever_waited_for_another_to_settle_the_charge_finds_it_settled(self, postgresql_office: Office) -> None:
        office = postgresql_office
        with office.store.write() as connection:
            box = renewing_box(connection)
        with_bank(office, Bank(answer=lambda _request, _times: _lost())).job("auto_renew", FIRST_SLOT)
        run = Run(FIRST_SLOT + DAY, 1, "everything", FIRST_SLOT)
        task = Task("reconcile_charges", office.store, run, office.settings.catalog(), 100, lambda _job, _rows: None)
        mine = collector_for(task, office.settings, office.gateway)
        (charge,) = [row["id"] for row in look(office.store, tables.charges)]
        results: list[str] = []

        def settle_first(connection: Connection) -> None:
            settle_all(connection, office.settings.catalog(), task.origin, {charge: Succeeded("tx-first")})

        while_waiting(office, settle_first, lambda: results.append(mine.settle(charge, Succeeded("tx-second"))))

        assert results == ["changed_meanwhile"]
        assert expires_on(office.store, box) == NEXT_E
        assert [row["gateway_reference"] for row in look(office.store, tables.charges)] == ["tx-first"]
        assert renewals(office) == 1


def _lost() -> ChargeOutcome:
    return Unknown("timed out")


NO_LONGER_WANTED: Mapping[str, Mapping[str, Any]] = {
    "auto-renew switched off": {"auto_renew": False},
    "put on hold": {"hold_until": E, "hold_reason": "dispute"},
    "cancelled": {"cancelled_on": FIRST_SLOT},
    "suspended by hand": {"status": "suspended", "suspended_on": FIRST_SLOT, "suspended_reason": "court order"},
}


@pytest.fixture(params=NO_LONGER_WANTED)
def decided(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """What a holder or a clerk decided about the box meanwhile."""
    return NO_LONGER_WANTED[request.param]


class TestTheBoxChangesDuringTheCall:
    def test_what_was_paid_is_applied_and_the_decision_stands(self, office: Office, decided: Mapping[str, Any]) -> None:
        (box,) = renewing(office, "a")
        bank = Bank(during=lambda _request: change(office.store, tables.boxes, box, **decided))

        with_bank(office, bank).job("auto_renew", FIRST_SLOT)

        assert charged(office.store, box) == [(7, "succeeded")]
        assert box_row(office.store, box)["expires_on"] == NEXT_E
        assert {name: box_row(office.store, box)[name] for name in decided} == decided
        assert renewals(office) == 1
        assert_books_are_right(office.store, office.settings)

    def test_a_box_that_is_deleted_takes_nothing_and_its_payment_is_to_be_given_back(self, office: Office) -> None:
        (box,) = renewing(office, "a")
        bank = Bank(
            during=lambda _request: change(office.store, tables.boxes, box, status="deleted", deleted_on=FIRST_SLOT)
        )

        with_bank(office, bank).job("auto_renew", FIRST_SLOT)

        assert [row["unapplied"] for row in look(office.store, tables.charges)] == [True]
        assert (status(office.store, box), expires_on(office.store, box)) == ("deleted", E)
        assert renewals(office) == 0

    @pytest.mark.parametrize("hard", [True, False])
    def test_a_method_that_was_replaced_is_due_on_the_next_run_if_the_old_one_was_declined(
        self, office: Office, *, hard: bool
    ) -> None:
        (box,) = renewing(office, "a")
        with office.store.write() as connection:
            factories.method(connection, "pm-new", "c-a", token="pm_card_new")

        def replaced(request: ChargeRequest) -> None:
            if request.token == "pm_card_visa":
                change(office.store, tables.boxes, box, payment_method_id="pm-new")

        def only_the_new_one(request: ChargeRequest, _times: int) -> ChargeOutcome:
            return Succeeded("tx") if request.token == "pm_card_new" else Declined("expired_card", hard=hard)

        bank = with_bank(office, Bank(only_the_new_one, replaced))
        bank.job("auto_renew", FIRST_SLOT)
        assert charged(office.store, box) == [(7, "declined")]

        bank.job("auto_renew", FIRST_SLOT + DAY)

        assert charged(office.store, box) == [(7, "declined"), (7, "succeeded")]
        assert [row["token"] for row in look(office.store, tables.charges)] == ["pm_card_visa", "pm_card_new"]
        assert expires_on(office.store, box) == NEXT_E


class TestTheBoxChangesDuringTheBackOff:
    def test_nothing_more_is_called_for_a_box_that_is_no_longer_wanted(
        self, office: Office, decided: Mapping[str, Any]
    ) -> None:
        box, neighbour = renewing(office, "a", "b")
        bank = Bank(answer=_busy_at_first, during=lambda _request: change(office.store, tables.boxes, box, **decided))

        with_bank(office, bank).job("auto_renew", FIRST_SLOT)

        assert sorted(bank.asked) == ["a@pec.example.it", "b@pec.example.it", "b@pec.example.it"]
        assert charged(office.store, box) == [(7, "not_attempted")]
        assert (expires_on(office.store, box), expires_on(office.store, neighbour)) == (E, NEXT_E)
        assert_books_are_right(office.store, office.settings)

    def test_nothing_more_is_called_for_an_order_that_is_paid_by_hand(self, office: Office) -> None:
        (box,) = renewing(office, "a")
        bank = Bank(answer=_busy_at_first, during=lambda request: pay_by_hand(office.store, request))

        with_bank(office, bank).job("auto_renew", FIRST_SLOT)

        assert bank.asked == ["a@pec.example.it"]
        assert charged(office.store, box) == [(7, "not_attempted")]
        assert expires_on(office.store, box) == NEXT_E
        assert [row["unapplied"] for row in look(office.store, tables.charges)] == [False]
        assert_books_are_right(office.store, office.settings)

    def test_nothing_more_is_called_for_a_charge_that_another_process_has_settled(self, office: Office) -> None:
        (box,) = renewing(office, "a")

        def never_seen(_request: ChargeRequest) -> None:
            given_up = {"status": "not_attempted", "settled_on": FIRST_SLOT, "why": "the gateway never saw it"}
            change(office.store, tables.charges, 1, **given_up)

        bank = Bank(answer=_busy_at_first, during=never_seen)
        with_bank(office, bank).job("auto_renew", FIRST_SLOT)

        assert bank.asked == ["a@pec.example.it"]
        assert charged(office.store, box) == [(7, "not_attempted")]
        assert expires_on(office.store, box) == E

    def test_a_method_that_was_replaced_is_not_called_again_and_the_new_one_is_due_on_the_next_run(
        self, office: Office
    ) -> None:
        (box,) = renewing(office, "a")
        with office.store.write() as connection:
            factories.method(connection, "pm-new", "c-a", token="pm_card_new")

        def replaced(request: ChargeRequest) -> None:
            if request.token == "pm_card_visa":
                change(office.store, tables.boxes, box, payment_method_id="pm-new")

        bank = Bank(answer=_busy_at_first, during=replaced)
        with_bank(office, bank).job("auto_renew", FIRST_SLOT)
        assert (len(bank.asked), charged(office.store, box)) == (1, [(7, "not_attempted")])

        with_bank(office, bank).job("auto_renew", FIRST_SLOT + DAY)

        assert [row["token"] for row in look(office.store, tables.charges)] == ["pm_card_visa", "pm_card_new"]
        assert expires_on(office.store, box) == NEXT_E

    def test_a_box_that_nobody_touched_is_called_again_under_the_same_key_and_renewed_once(
        self, office: Office
    ) -> None:
        (box,) = renewing(office, "a")
        keys: list[str] = []
        bank = Bank(answer=_busy_at_first, during=lambda request: keys.append(request.idempotency_key))

        with_bank(office, bank).job("auto_renew", FIRST_SLOT)

        assert (len(keys), len(set(keys))) == (2, 1)
        assert charged(office.store, box) == [(7, "succeeded")]
        assert renewals(office) == 1


def _busy_at_first(request: ChargeRequest, times: int) -> ChargeOutcome:
    return BUSY if times == 1 else paid(request, times)


class TestAStop:
    def test_nothing_new_begins_and_what_is_in_flight_gets_its_answer_and_is_recorded(self, office: Office) -> None:
        boxes = renewing(office, *"abcdefghij")
        let_go, both_in_flight = threading.Event(), threading.Barrier(3, timeout=SOME)

        def hold(_request: ChargeRequest) -> None:
            both_in_flight.wait()
            assert let_go.wait(SOME)

        def stop(_job: str, _rows: int) -> None:
            both_in_flight.wait()
            threading.Timer(0.3, let_go.set).start()  # the answers come after the stop
            raise StopRequested

        bank = Bank(during=hold)
        with pytest.raises(StopRequested):
            with_bank(office, bank, concurrency=2).job("auto_renew", FIRST_SLOT, progress=stop)

        assert len(bank.asked) == 2
        assert [outcome for _, outcome in charged(office.store)] == ["succeeded", "succeeded"]
        assert [expires_on(office.store, box) for box in boxes] == [NEXT_E] * 2 + [E] * 8

        calm = with_bank(office, Bank())
        calm.job("reconcile_charges", FIRST_SLOT)
        calm.job("auto_renew", FIRST_SLOT)

        assert [expires_on(office.store, box) for box in boxes] == [NEXT_E] * 10
        assert renewals(office) == 10
        assert_books_are_right(office.store, office.settings)

    def test_whoever_waits_to_try_again_is_left_to_be_looked_up(self, office: Office) -> None:
        (box,) = renewing(office, "a")
        asked = threading.Event()

        def not_for_an_hour(_request: ChargeRequest, _times: int) -> ChargeOutcome:
            asked.set()
            return NotAttempted("429", retry_after=timedelta(minutes=4))

        def stop(_job: str, _rows: int) -> None:
            assert asked.wait(SOME)
            raise StopRequested

        with pytest.raises(StopRequested):
            with_bank(office, Bank(answer=not_for_an_hour)).job("auto_renew", FIRST_SLOT, progress=stop)

        assert charged(office.store, box) == [(7, "pending")]
        assert expires_on(office.store, box) == E
