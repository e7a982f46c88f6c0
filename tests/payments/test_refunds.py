"""Money that could not be used: listed until it is given back, and given back once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments import refunds
from lifecycle_jobs.payments.gateway import (
    NotAttempted,
    Refunded,
    RefundOutcome,
    RefundRefused,
    RefundRequest,
    Unknown,
)
from lifecycle_jobs.payments.refunds import NotRefunded
from lifecycle_jobs.payments.sandbox import SandboxGateway
from lifecycle_jobs.payments.sandbox import refunds as booked_refunds
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, change, details, expires_on, look, renewing_box, settings_for

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
FIRST_SLOT = E - timedelta(days=7)
ON = FIRST_SLOT + timedelta(days=1)
CLERK = Operator("anna", "the holder paid twice", ON)


@dataclass
class Bank(SandboxGateway):
    """The sandbox; `then` happens after it has given money back and before anybody hears of it."""

    journal: Path
    then: Callable[[RefundOutcome], RefundOutcome] = field(default=lambda answer: answer)
    asked: list[RefundRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.journal)

    def refund(self, request: RefundRequest) -> RefundOutcome:
        self.asked.append(request)
        return self.then(super().refund(request))


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    settings = settings_for(tmp_path)
    return Office(store, settings, SandboxGateway(settings.sandbox.journal))


@pytest.fixture
def unused(office: Office) -> str:
    """The key of a charge of a card that was booked while its box was renewed otherwise."""
    with office.store.write() as connection:
        box = renewing_box(connection, token="sandbox_lost_answer_paid")
    office.day(FIRST_SLOT)
    change(office.store, tables.boxes, box, expires_on=NEXT_E)
    office.day(ON)
    (charge,) = look(office.store, tables.charges)
    assert charge["unapplied"]
    return str(charge["idempotency_key"])


@pytest.fixture
def unused_transfer(office: Office) -> str:
    """The reference of a payment by hand that its order could not take."""
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, "b@pec.example.it", expires_on=NEXT_E)
        order = factories.order(connection, "R-2", box_id=box, status="cancelled")
        factories.registered_payment(connection, "CRO-2", order_id=order, effective=False, registered_on=FIRST_SLOT)
        factories.registered_payment(
            connection, "CRO-3", order_id=factories.order(connection, "R-3", box_id=box, status="paid")
        )
    return "CRO-2"


def operation() -> Origin:
    return CLERK.operation()


def due(office: Office) -> list[tuple[Any, ...]]:
    with office.store.read() as connection:
        return [(row.kind, row.key, row.order_number, row.amount_cents) for row in connection.execute(refunds.due())]


def given_back(office: Office) -> list[tuple[str | None, int]]:
    """What the bank has given back."""
    return [(line.reference, line.amount_cents) for line in booked_refunds(office.settings.sandbox.journal)]


def test_both_kinds_are_listed_the_oldest_first_and_what_was_used_is_not(
    office: Office, unused: str, unused_transfer: str
) -> None:
    assert due(office) == [
        ("registered", unused_transfer, "R-2", 1208),
        ("charge", unused, "R-1-20270331", 1208),
    ]


def test_a_charge_is_given_back_through_the_gateway_and_recorded(office: Office, unused: str) -> None:
    answer = refunds.give_back(office.store, office.gateway, operation(), unused)

    assert isinstance(answer, Refunded)
    (charge,) = look(office.store, tables.charges)
    assert (charge["unapplied"], charge["refunded_on"], charge["refund_reference"]) == (False, ON, answer.reference)
    assert given_back(office) == [(charge["gateway_reference"], 1208)]
    assert due(office) == []
    assert details(office.store, "payment.refunded") == [
        {"order_number": "R-1-20270331", "amount": "12.08", "payment": unused, "reference": answer.reference}
    ]
    event = look(office.store, tables.events)[-1]
    assert (event["actor"], event["why"], event["occurred_on"]) == ("anna", "the holder paid twice", ON)


def test_a_gateway_that_raises_is_asked_again_and_gives_back_once(office: Office, unused: str) -> None:
    def fail(_answer: RefundOutcome) -> RefundOutcome:
        raise ValueError("its own client cannot read the answer")

    gateway = Bank(office.settings.sandbox.journal, then=fail)

    first = refunds.give_back(office.store, gateway, operation(), unused)

    assert first == NotRefunded("the gateway's client failed: ValueError", certain=False)
    assert [key for _, key, *_ in due(office)] == [unused]
    gateway.then = lambda answer: answer
    assert isinstance(refunds.give_back(office.store, gateway, operation(), unused), Refunded)
    assert len(given_back(office)) == 1


def test_asked_twice_it_is_given_back_once(office: Office, unused: str) -> None:
    refunds.give_back(office.store, office.gateway, operation(), unused)

    with pytest.raises(Refused, match=f"No charge {unused} is to be refunded"):
        refunds.give_back(office.store, office.gateway, operation(), unused)

    assert len(given_back(office)) == 1
    assert len(details(office.store, "payment.refunded")) == 1


def test_who_gave_it_back_while_another_did_so_by_transfer_is_told(office: Office, unused: str) -> None:
    def noted_meanwhile(answer: RefundOutcome) -> RefundOutcome:
        refunds.note(office.store, operation(), unused, reference="CRO-77")
        return answer

    bank = Bank(office.settings.sandbox.journal, noted_meanwhile)

    with pytest.raises(Refused, match=r"has given .* back .* the holder has it twice"):
        refunds.give_back(office.store, bank, operation(), unused)

    assert [row["reference"] for row in details(office.store, "payment.refunded")] == ["CRO-77"]


def test_two_who_give_it_back_at_once_give_it_back_once_and_both_hear_so(office: Office, unused: str) -> None:
    def also(answer: RefundOutcome) -> RefundOutcome:
        refunds.give_back(office.store, office.gateway, operation(), unused)
        return answer

    bank = Bank(office.settings.sandbox.journal, also)

    assert isinstance(refunds.give_back(office.store, bank, operation(), unused), Refunded)

    assert len(given_back(office)) == 1
    assert len(details(office.store, "payment.refunded")) == 1


def test_a_process_that_dies_after_the_gateway_has_given_it_back_is_repeated_without_giving_twice(
    office: Office, unused: str
) -> None:
    def die(_answer: RefundOutcome) -> RefundOutcome:
        raise KeyboardInterrupt

    bank = Bank(office.settings.sandbox.journal, die)
    with pytest.raises(KeyboardInterrupt):
        refunds.give_back(office.store, bank, operation(), unused)
    assert [key for _, key, _, _ in due(office)] == [unused]

    bank.then = lambda answer: answer
    assert isinstance(refunds.give_back(office.store, bank, operation(), unused), Refunded)

    assert bank.asked[0] == bank.asked[1]
    assert len(given_back(office)) == 1
    assert due(office) == []


def test_no_transaction_is_open_while_the_gateway_gives_back(office: Office, unused: str) -> None:
    def meanwhile(answer: RefundOutcome) -> RefundOutcome:
        with office.store.write() as connection:  # would wait for ever if the refund held its transaction
            connection.execute(update(tables.charges).values(why="seen"))
        return answer

    bank = Bank(office.settings.sandbox.journal, meanwhile)

    assert isinstance(refunds.give_back(office.store, bank, operation(), unused), Refunded)


@pytest.mark.parametrize(
    ("answer", "certain"),
    [
        (RefundRefused("already disputed"), True),
        (NotAttempted("connection refused"), True),
        (Unknown("timed out"), False),
    ],
)
def test_what_was_not_certainly_given_back_stays_listed_and_can_be_asked_for_again(
    office: Office, unused: str, answer: RefundRefused | NotAttempted | Unknown, *, certain: bool
) -> None:
    bank = Bank(office.settings.sandbox.journal, lambda _said: answer)

    said = refunds.give_back(office.store, bank, operation(), unused)

    assert said == NotRefunded(answer.why, certain=certain)
    assert [key for _, key, _, _ in due(office)] == [unused]
    assert details(office.store, "payment.refunded") == []
    assert isinstance(refunds.give_back(office.store, office.gateway, operation(), unused), Refunded)
    assert len(given_back(office)) == 1


def test_a_payment_that_did_not_come_through_the_gateway_is_not_given_back_through_it(
    office: Office, unused_transfer: str
) -> None:
    with pytest.raises(Refused, match=r"No charge CRO-2 is to be refunded\. See: lifecycle-jobs refunds list"):
        refunds.give_back(office.store, office.gateway, operation(), unused_transfer)

    assert given_back(office) == []


def test_what_was_given_back_by_another_way_is_noted_for_either_kind(
    office: Office, unused: str, unused_transfer: str
) -> None:
    for key in (unused, unused_transfer):
        refunds.note(office.store, operation(), key, reference=f"back-{key}")

    assert due(office) == []
    assert given_back(office) == []
    (charge,) = look(office.store, tables.charges)
    assert (charge["refunded_on"], charge["refund_reference"]) == (ON, f"back-{unused}")
    transfer = look(office.store, tables.registered_payments)[0]
    assert (transfer["refunded_on"], transfer["refund_reference"]) == (ON, "back-CRO-2")
    assert [row["payment"] for row in details(office.store, "payment.refunded")] == [unused, unused_transfer]


def test_what_is_not_to_be_refunded_cannot_be_noted_as_given_back(office: Office, unused_transfer: str) -> None:
    refunds.note(office.store, operation(), unused_transfer, reference="back")

    for key in (unused_transfer, "CRO-3", "nobody-knows"):
        with pytest.raises(Refused, match=f"No payment {key} is to be refunded. See: lifecycle-jobs refunds list"):
            refunds.note(office.store, operation(), key, reference="back again")

    assert len(details(office.store, "payment.refunded")) == 1


def test_afterwards_the_jobs_take_the_box_up_again(office: Office, unused: str) -> None:
    next_slot = NEXT_E - timedelta(days=7)
    change(office.store, tables.payment_methods, "pm-a", token="pm_card_visa")
    left_alone = office.job("auto_renew", next_slot)
    assert left_alone.skipped == {"unapplied_payment": 1}

    refunds.give_back(office.store, office.gateway, replace(operation(), occurred_on=next_slot), unused)
    office.job("auto_renew", next_slot)

    assert expires_on(office.store, 1) == date(2029, 3, 31)
    assert len(office.booked()) == 2
    assert len(given_back(office)) == 1


def test_the_books_are_right_before_and_after(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token="sandbox_lost_answer_paid")
        factories.addon(connection, "a1", box)
    office.day(FIRST_SLOT)
    with office.store.write() as connection:
        connection.execute(update(tables.orders).values(status="cancelled"))
    office.day(ON)
    assert_books_are_right(office.store, office.settings)
    (charge,) = look(office.store, tables.charges)

    refunds.give_back(office.store, office.gateway, operation(), charge["idempotency_key"])

    assert_books_are_right(office.store, office.settings)
