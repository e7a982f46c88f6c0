"""An operation and a job on the same box at the same moment: whichever comes first, the books are right.

Each round is made to overlap by a barrier. What each order of the two leads to is named, and nothing else may come out.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from lifecycle_jobs.accounts import Expiring, Payment, Wanted, cancel_order, pay_order, place_renewals
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, box_row, look, renewing_box, tried

E = factories.EXPIRES_ON
ROUNDS = 12


def address(number: int) -> str:
    return f"n{number}@pec.example.it"


def clerk(on: date) -> Operator:
    return Operator("anna", None, on)


def order(office: Office, number: int, on: date, request_id: str = "order") -> None:
    wanted = Wanted(1, "bank_transfer")
    key = f"{request_id}-{number}"
    place_renewals(office.store, factories.CATALOG, clerk(on), [address(number)], wanted, request_id=key)


def pay(office: Office, number: int, on: date) -> None:
    (box,) = [row for row in look(office.store, tables.boxes) if row["address"] == address(number)]
    payment = Payment(1208, f"CRO-{number}", on)
    name = f"R-{box['id']}-20270331"
    pay_order(office.store, factories.CATALOG, clerk(on), name, payment, request_id=f"pay-{number}")


def cancel(office: Office, number: int, on: date) -> None:
    (box,) = [row for row in look(office.store, tables.boxes) if row["address"] == address(number)]
    cancel_order(office.store, clerk(on), f"R-{box['id']}-20270331", request_id=f"cancel-{number}")


def open_orders(office: Office) -> None:
    with office.store.write() as connection:
        for number in range(ROUNDS):
            factories.customer(connection, f"c{number}")
            factories.box(connection, address(number), customer_id=f"c{number}")
    for number in range(ROUNDS):
        order(office, number, E - timedelta(days=15))


def suspended_with_open_orders(office: Office) -> None:
    open_orders(office)
    office.day(E + timedelta(days=1))


def renewing_with_open_orders(office: Office) -> None:
    with office.store.write() as connection:
        for number in range(ROUNDS):
            tried(connection, renewing_box(connection, f"n{number}"), 7, "declined")


def expired(office: Office) -> None:
    with office.store.write() as connection:
        for number in range(ROUNDS):
            factories.customer(connection, f"c{number}")
            factories.box(connection, address(number), customer_id=f"c{number}")


Outcome = tuple[str, str]
"""The state of the box, and that of its last order."""


@pytest.mark.parametrize(
    ("prepare", "job", "on", "operation", "possible"),
    [
        (open_orders, "suspend", E + timedelta(days=1), pay, {("active until 2028-03-31", "paid")}),
        (open_orders, "suspend", E + timedelta(days=1), cancel, {("suspended until 2027-03-31", "cancelled")}),
        (expired, "suspend", E + timedelta(days=1), order, {("suspended until 2027-03-31", "awaiting_payment")}),
        (
            suspended_with_open_orders,
            "delete",
            E + timedelta(days=91),
            pay,
            {("active until 2028-03-31", "paid"), ("deleted until 2027-03-31", "cancelled")},
        ),
        (
            suspended_with_open_orders,
            "delete",
            E + timedelta(days=91),
            cancel,
            {("deleted until 2027-03-31", "cancelled")},
        ),
        (
            renewing_with_open_orders,
            "auto_renew",
            E - timedelta(days=5),
            pay,
            # The second: the job had put its own order in the place of the one that was paid, and then charged nothing;
            # a person applies the money.
            {("active until 2028-03-31", "paid"), ("active until 2027-03-31", "awaiting_payment")},
        ),
        (
            renewing_with_open_orders,
            "auto_renew",
            E - timedelta(days=5),
            cancel,
            {("active until 2028-03-31", "paid"), ("active until 2027-03-31", "cancelled")},
        ),
    ],
    ids=["pay-suspend", "cancel-suspend", "order-suspend", "pay-delete", "cancel-delete", "pay-renew", "cancel-renew"],
)
def test_an_operation_beside_a_job(
    postgresql_office: Office,
    prepare: Callable[[Office], None],
    job: str,
    on: date,
    operation: Callable[[Office, int, date], None],
    possible: set[Outcome],
) -> None:
    office = postgresql_office
    prepare(office)
    together = threading.Barrier(3)
    wrong: list[Any] = []

    def run_job() -> None:
        together.wait(30)
        try:
            office.job(job, on)
        except Exception as error:  # noqa: BLE001 -- told below
            wrong.append(error)

    def operate(numbers: range) -> None:
        together.wait(30)
        for number in numbers:
            try:
                operation(office, number, on)
            except Refused:
                pass  # the job came first
            except Exception as error:  # noqa: BLE001 -- told below
                wrong.append(error)

    threads = [
        threading.Thread(target=run_job),
        threading.Thread(target=operate, args=(range(0, ROUNDS, 2),)),
        threading.Thread(target=operate, args=(range(ROUNDS - 1, 0, -2),)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert wrong == []
    outcomes = Counter(outcome(office, row["id"]) for row in look(office.store, tables.boxes))
    assert set(outcomes) <= possible, outcomes
    assert_books_are_right(office.store, office.settings)


def outcome(office: Office, box_id: int) -> Outcome:
    box = box_row(office.store, box_id)
    orders = [row["status"] for row in look(office.store, tables.orders) if row["box_id"] == box_id]
    settled = [status for status in orders if status == "paid"]
    return f"{box['status']} until {box['expires_on']}", (settled or orders)[-1]


def test_many_boxes_in_one_operation_beside_a_job_that_takes_them_the_other_way_round(
    postgresql_office: Office,
) -> None:
    office, number, wrong = postgresql_office, 300, list[Any]()
    with office.store.write() as connection:
        factories.customer(connection)
        for each in range(number):
            factories.box(connection, f"n{number - each:03}@pec.example.it")
    together = threading.Barrier(2)
    on = E + timedelta(days=1)

    def told(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            together.wait(30)
            try:
                work()
            except Exception as error:  # noqa: BLE001 -- told below
                wrong.append(error)

        return run

    wanted, catalog = Wanted(1, "card"), factories.CATALOG

    def all_of_them() -> object:
        return place_renewals(office.store, catalog, clerk(on), Expiring("c1", 1), wanted, request_id="all")

    threads = [
        threading.Thread(target=told(all_of_them)),
        threading.Thread(target=told(lambda: office.job("suspend", on, chunk_size=number))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert wrong == []
    assert {row["status"] for row in look(office.store, tables.boxes)} == {"suspended"}
    assert len(look(office.store, tables.orders)) == number
    assert_books_are_right(office.store, office.settings)
