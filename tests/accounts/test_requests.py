"""An operation is done once under its id, whoever asks again, and whenever."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date

import pytest
from pydantic import TypeAdapter
from sqlalchemy import Connection, update

from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, record
from lifecycle_jobs.operators import Operator
from tests import factories
from tests.jobs.running import happened, look

ON = date(2027, 3, 16)


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something has happened."""

    times: int
    on: date


_RESULTS = TypeAdapter(Counted)


def count(store: Store, request_id: str = "r-1", *, operation: str = "count", by: int = 1, on: date = ON) -> Counted:
    def perform(connection: Connection, origin: Origin) -> Counted:
        record(connection, origin, "counted")
        return Counted(by * factories.count(connection, tables.events), origin.occurred_on)

    request = Request(request_id, operation, {"by": by}, _RESULTS)
    return once(store, Operator("anna", "why not", on), request, perform)


def test_asked_again_the_answer_is_the_first_one_and_nothing_happens(store: Store) -> None:
    first = count(store)
    assert first == Counted(1, ON)
    assert count(store, "r-2") == Counted(2, ON)

    assert count(store, on=date(2027, 3, 20)) == first
    assert happened(store) == ["counted", "counted"]


def test_what_was_asked_for_is_kept(store: Store) -> None:
    count(store)

    (request,) = look(store, tables.account_requests)
    assert (request["request_id"], request["operation"], request["arguments"]) == ("r-1", "count", {"by": 1})
    assert (request["requested_on"], request["actor"], request["why"]) == (ON, "anna", "why not")
    assert request["result"] == {"times": 1, "on": "2027-03-16"}
    assert [row["operation"] for row in look(store, tables.events)] == ["2027-03-16/request-r-1"]


@pytest.mark.parametrize("other", [{"by": 2}, {"operation": "recount"}])
def test_an_id_that_stands_for_another_request_is_refused(store: Store, other: dict[str, object]) -> None:
    count(store)

    with pytest.raises(Refused) as refusal:
        count(store, **other)  # type: ignore[arg-type]

    assert str(refusal.value) == (
        "The request id r-1 stands for another request already (count of 2027-03-16, by anna). Nothing was done; use "
        "a new id for something new."
    )
    assert happened(store) == ["counted"]


def test_what_failed_may_be_asked_for_again(store: Store) -> None:
    def fail(connection: Connection, origin: Origin) -> Counted:
        record(connection, origin, "counted")
        raise Refused("not now")

    with pytest.raises(Refused, match="not now"):
        once(store, Operator("anna", None, ON), Request("r-1", "count", {"by": 1}, _RESULTS), fail)

    assert happened(store) == []
    assert count(store) == Counted(1, ON)


@pytest.mark.parametrize("request_id", ["", " ", "a\nb", "x" * 201])
def test_an_id_that_cannot_be_kept_is_refused(store: Store, request_id: str) -> None:
    with pytest.raises(Refused, match="A request id has 1 to 200 printable characters"):
        count(store, request_id)

    assert happened(store) == []


def test_of_two_at_the_same_moment_one_is_done_and_both_get_its_answer(postgresql_store: Store) -> None:
    store, answers = postgresql_store, []
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait(30)
        answers.append(count(store))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert answers == [Counted(1, ON)] * 8
    assert happened(store) == ["counted"]


def test_what_the_database_gave_up_for_another_is_done_again(postgresql_store: Store) -> None:
    """Two operations that each hold a row and wait for the other's: PostgreSQL gives one of them up."""
    store, answers = postgresql_store, list[Counted]()
    with store.write() as connection:
        for customer in ("c1", "c2"):
            factories.customer(connection, customer)
    together = threading.Barrier(2)

    def ask(first: str, second: str) -> None:
        waited = list[bool]()

        def perform(connection: Connection, origin: Origin) -> Counted:
            for customer in (first, second):
                this = tables.customers.c.customer_id == customer
                connection.execute(update(tables.customers).where(this).values(name=first))
                if not waited:
                    waited.append(True)
                    together.wait(30)
            return Counted(1, origin.occurred_on)

        request = Request(first, "rename", {}, _RESULTS)
        answers.append(once(store, Operator("anna", None, ON), request, perform))

    threads = [threading.Thread(target=ask, args=each) for each in (("c1", "c2"), ("c2", "c1"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert answers == [Counted(1, ON)] * 2


def test_an_id_that_is_a_number_does_not_read_like_a_pass_of_the_run() -> None:
    """Their messages would be one: who is renewed by hand would get no receipt of what the run renews."""
    assert Operator("shop", None, ON).operation("1").operation == "2027-03-16/request-1"
