"""The few expressions that the two databases spell differently give the same answers on both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Connection, Date, Integer, Text, cast, func, literal, null, select
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.db.dialect import (
    Parameter,
    among,
    days_between,
    days_later,
    insert_new,
    joined,
    json_object,
    latest,
    listed,
)
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import boxes, customers
from tests import factories, servers

LEAP_DAY = date(2028, 2, 29)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database of each kind for all tests of this file: they only read, or roll back."""
    if request.param == "sqlite":
        yield from _opened(servers.fresh_sqlite(Path(tmp_path_factory.mktemp("dialect"))))
    else:
        with servers.fresh_postgresql() as url:
            yield from _opened(url)


def _opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.engine.dispose()


def value(store: Store, expression: ColumnElement[Any]) -> Any:
    with store.read() as connection:
        return connection.execute(select(expression)).scalar_one()


def day(text: str | None) -> ColumnElement[date]:
    return cast(null(), Date) if text is None else literal(date.fromisoformat(text), Date)


@pytest.mark.parametrize(
    ("start", "days", "expected"),
    [
        ("2027-03-31", 91, "2027-06-30"),
        ("2027-03-31", 0, "2027-03-31"),
        ("2027-03-31", -31, "2027-02-28"),
        ("2028-02-28", 1, "2028-02-29"),
        ("2028-02-29", 1, "2028-03-01"),
        ("2027-12-31", 1, "2028-01-01"),
        (None, 30, None),
    ],
)
def test_days_later(either: Store, start: str | None, days: int, expected: str | None) -> None:
    found = value(either, days_later(day(start), days))

    assert found == (None if expected is None else date.fromisoformat(expected))


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("2027-03-01", "2027-03-31", 30),
        ("2027-03-31", "2027-03-01", -30),
        ("2027-03-31", "2027-03-31", 0),
        ("2028-02-28", "2028-03-01", 2),
        ("2027-03-27", "2027-03-29", 2),
        ("2020-01-01", "2032-12-31", 4748),
    ],
)
def test_days_between(either: Store, first: str, last: str, days: int) -> None:
    assert value(either, days_between(day(first), day(last))) == days


def test_the_latest_of_several_dates(either: Store) -> None:
    assert value(either, latest(day("2027-03-31"), day("2028-02-29"), day("2027-12-31"))) == LEAP_DAY
    assert value(either, latest(day("2027-03-31"), days_later(day("2027-03-31"), 1))) == date(2027, 4, 1)


def test_a_json_object_holds_dates_as_iso_text_and_numbers_as_numbers(either: Store) -> None:
    built = json_object(
        literal("day"), day("2028-02-29"), literal("left"), days_between(day("2027-03-01"), day("2027-03-31")),
        literal("milestone"), literal(30), literal("reason"), literal("unpaid"), literal("none"), cast(null(), Text),
    )  # fmt: skip

    assert value(either, built) == {
        "day": "2028-02-29",
        "left": 30,
        "milestone": 30,
        "reason": "unpaid",
        "none": None,
    }


def test_texts_dates_and_numbers_are_joined(either: Store) -> None:
    parts = joined(day("2027-03-24"), literal("/"), cast(1, Integer), literal("/"), literal("c'1 è"))

    assert value(either, parts) == "2027-03-24/1/c'1 è"


@pytest.mark.parametrize("many", [[], [1], [1, 3, 999], list(range(2, 70_000))])
def test_among_many_numbers_sent_as_one_parameter(either: Store, many: list[int]) -> None:
    with either.rehearse() as store, store.write() as connection:
        factories.customer(connection)
        ids = [factories.box(connection, f"{name}@pec.example.it") for name in ("a", "b", "c")]
        wanted = [ids[number - 1] if number <= 3 else number + 1_000_000 for number in many]

        found = connection.scalars(select(boxes.c.id).where(among(boxes.c.id, wanted)).order_by(boxes.c.id)).all()
        others = connection.scalars(select(boxes.c.id).where(~among(boxes.c.id, wanted)).order_by(boxes.c.id)).all()

    assert found == sorted(set(ids) & set(wanted))
    assert others == sorted(set(ids) - set(wanted))


@pytest.mark.parametrize("many", [[], ["c'2"], ["c1", "C1", 'c"3', "c1,c2", "{c1}"], ["c\\4", "NULL", "", " c1"]])
def test_among_many_texts(either: Store, many: list[str]) -> None:
    known = ["c1", "c'2", 'c"3', "c\\4", "NULL"]
    with either.rehearse() as store, store.write() as connection:
        for customer in known:
            factories.customer(connection, customer, email="x@example.it")

        found = connection.scalars(select(customers.c.customer_id).where(among(customers.c.customer_id, many))).all()

    assert sorted(found) == sorted(set(known) & set(many))


def test_among_values_that_are_given_when_the_statement_is_executed(either: Store) -> None:
    ids, texts = Parameter("ids"), Parameter("texts")
    both = select(boxes.c.id).where(among(boxes.c.id, ids), among(boxes.c.customer_id, texts)).order_by(boxes.c.id)
    with either.rehearse() as store, store.write() as connection:
        for customer in ("c1", "c2"):
            factories.customer(connection, customer)
        first, second = (factories.box(connection, f"{name}@pec.example.it") for name in ("a", "b"))
        third = factories.box(connection, "c@pec.example.it", customer_id="c2")

        for numbers, customers_of, expected in (
            ([first, second, third], ["c1"], [first, second]),
            ([third, first], ["c1", "c2"], [first, third]),
            ([], ["c1", "c2"], []),
        ):
            assert connection.scalars(both, {"ids": numbers, "texts": customers_of}).all() == expected


def test_what_was_listed_goes_back_as_it_came(either: Store) -> None:
    """And twice: by then it is not spelled out anew."""
    ids, texts = Parameter("ids"), Parameter("texts")
    both = select(boxes.c.id).where(among(boxes.c.id, ids), among(boxes.c.customer_id, texts)).order_by(boxes.c.id)
    with either.rehearse() as store, store.write() as connection:
        for customer in ('c"1', "c\\2, è"):
            factories.customer(connection, customer)
        wanted = [factories.box(connection, f"{name}@pec.example.it", customer_id='c"1') for name in ("a", "b")]
        factories.box(connection, "c@pec.example.it", customer_id="c\\2, è")
        only = customers.c.customer_id == 'c"1'
        numbers = connection.execute(select(listed(boxes.c.id)).where(boxes.c.customer_id == 'c"1')).scalar_one()
        names = connection.execute(select(listed(customers.c.customer_id))).scalar_one()
        one = connection.execute(select(listed(customers.c.customer_id).filter(only))).scalar_one()
        none = connection.execute(select(listed(boxes.c.id)).where(boxes.c.address == "nobody")).scalar_one()

        assert (sorted(numbers), sorted(names), [*one], [*none]) == (wanted, ['c"1', "c\\2, è"], ['c"1'], [])
        for _ in range(2):
            assert connection.scalars(both, {"ids": numbers, "texts": names}).all() == wanted
            assert connection.scalars(both, {"ids": none, "texts": names}).all() == []


def _second_as_third(connection: Connection, name: ColumnElement[Any]) -> int:
    """Insert the customers c1, who is there, and c2 by the name of c3; says how many were new."""
    numbered = func.replace(customers.c.customer_id, "c2", "c3")
    rows = select(numbered, name, customers.c.email, customers.c.locale).where(customers.c.credit_cents == 0)
    inserting = insert_new(connection, customers, customers.c.customer_id)
    counted = connection.execution_options(preserve_rowcount=True)
    return counted.execute(inserting.from_select(["customer_id", "name", "email", "locale"], rows)).rowcount


def test_an_insert_passes_over_the_rows_whose_key_is_there_and_counts_the_others(either: Store) -> None:
    with either.rehearse() as store, store.write() as connection:
        factories.customer(connection, "c1", name="Jane")
        factories.customer(connection, "c2", name="Mario")

        assert _second_as_third(connection, literal("New")) == 1

        names = connection.execute(select(customers.c.name).order_by(customers.c.customer_id)).scalars()
        assert list(names) == ["Jane", "Mario", "New"]


def test_nothing_else_that_is_wrong_with_a_row_is_passed_over(either: Store) -> None:
    with either.rehearse() as store, store.write() as connection:
        factories.customer(connection, "c1")
        factories.customer(connection, "c2")
        with pytest.raises(IntegrityError), connection.begin_nested():
            _second_as_third(connection, cast(null(), Text))
