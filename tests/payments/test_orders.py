"""Orders: what a renewal costs, line by line, and at most one for a box and term (SPEC §2)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Row, select, update
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, boxes, order_lines, orders
from lifecycle_jobs.payments.orders import (
    Line,
    Order,
    Quote,
    load_orders,
    orders_of_terms,
    place_paid_addon_order,
    quote_renewals,
)
from lifecycle_jobs.policy import Catalog, Plan, Policy
from tests import factories

E = factories.EXPIRES_ON
ON = date(2027, 3, 24)
CATALOG = Catalog(
    {
        code: Plan(code, code, price, 1, 0, 1, 0, 5, auto_renewable=True, policy=Policy())
        for code, price in (("standard", 990), ("pro", 2500))
    },
    Decimal(22),
)


def row_of(connection: Connection, box_id: int) -> Row[Any]:
    return connection.execute(select(boxes).where(boxes.c.id == box_id)).one()


def quoted(connection: Connection, box_id: int) -> Quote:
    return quote_renewals(connection, CATALOG, [row_of(connection, box_id)])[box_id]


def ordered(connection: Connection, box_id: int, *, on: date) -> Order:
    return orders_of_terms(connection, CATALOG, [row_of(connection, box_id)], on=on)[box_id]


def statuses(connection: Connection) -> dict[str, str]:
    return {row.order_number: row.status for row in connection.execute(select(orders))}


def test_the_quote_of_a_year_of_standard_is_12_08(sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        quote = quoted(connection, factories.box(connection))

    assert quote.lines == (Line("standard", None, 1, 990),)
    assert (quote.years, quote.net_cents, quote.gross_cents) == (1, 990, 1208)


def test_two_years_with_one_gigabyte_more_are_30_26(sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, renewal_years=2)
        factories.addon(connection, "extra", box)
        quote = quoted(connection, box)

    assert quote.lines == (Line("standard", None, 1, 990), Line("extra_inbox", "extra", 1, 250))
    assert (quote.years, quote.net_cents, quote.gross_cents) == (2, 2480, 3026)


@pytest.mark.parametrize(("price", "net"), [(848, 848), (0, 0), (None, 2500)])
def test_a_convention_overrides_the_price_of_the_plan(sqlite_store: Store, price: int | None, net: int) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, plan="pro", annual_price=price)

        assert quoted(connection, box).net_cents == net


def test_only_active_addons_that_are_paid_with_the_renewal_stand_on_it(sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        box, other = factories.box(connection), factories.box(connection, "other@pec.example.it")
        factories.addon(connection, "b", box, quantity=3, unit_price=200)
        factories.addon(connection, "a", box, kind="extra_archive")
        factories.addon(connection, "from.credit", box, paid_from="credit")
        factories.addon(connection, "given.up", box, cancelled_on=date(2030, 1, 1))
        factories.addon(connection, "disabled", box, status="disabled")
        factories.addon(connection, "of.another.box", other)
        quote = quoted(connection, box)

    assert [(line.addon_id, line.quantity) for line in quote.lines] == [(None, 1), ("a", 1), ("b", 3)]
    assert quote.net_cents == 990 + 250 + 600


def test_an_order_is_placed_once_and_found_again(store: Store) -> None:
    with store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
        factories.addon(connection, "extra", box)
        placed = ordered(connection, box, on=ON)
        found = ordered(connection, box, on=date(2027, 3, 26))

        assert found == placed == load_orders(connection, [placed.id])[placed.id]
        assert (placed.number, placed.term_expires_on) == (f"R-{box}-20270331", E)
        assert (placed.net_cents, placed.gross_cents) == (1240, 1513)
        lines = connection.execute(select(order_lines).order_by(order_lines.c.position)).all()
        assert [(line.position, line.item, line.addon_id, line.net_cents) for line in lines] == [
            (1, "standard", None, 990),
            (2, "extra_inbox", "extra", 250),
        ]


@pytest.mark.parametrize(
    "change",
    [
        {"annual_price_cents": 500},
        {"renewal_years": 2},
        {"plan": "pro"},
    ],
)
def test_an_order_that_says_something_else_is_cancelled_and_placed_anew(
    sqlite_store: Store, change: dict[str, Any]
) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
        first = ordered(connection, box, on=ON)
        connection.execute(update(boxes).values(**change))
        second = ordered(connection, box, on=ON)

        assert statuses(connection) == {first.number: "cancelled", f"{first.number}-2": "awaiting_payment"}
        assert second.gross_cents != first.gross_cents


def test_an_order_for_somebody_else_is_placed_anew(sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.customer(connection, "c2")
        box = factories.box(connection)
        ordered(connection, box, on=ON)
        connection.execute(update(boxes).values(customer_id="c2"))

        assert ordered(connection, box, on=ON).customer_id == "c2"
        assert sorted(statuses(connection).values()) == ["awaiting_payment", "cancelled"]


def test_an_order_of_the_same_price_for_another_addon_is_placed_anew_too(sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
        factories.addon(connection, "dropped", box)
        ordered(connection, box, on=ON)
        connection.execute(update(addons).values(status="disabled"))
        factories.addon(connection, "bought", box)
        ordered(connection, box, on=ON)

        assert sorted(statuses(connection).values()) == ["awaiting_payment", "cancelled"]


def test_orders_of_other_terms_and_kinds_do_not_count(sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
        factories.order(connection, "last.term", box_id=box, term_expires_on=date(2026, 3, 31), status="paid")
        factories.order(connection, "addon", kind="addon", box_id=box)

        placed = ordered(connection, box, on=ON)

    assert placed.number == f"R-{box}-20270331"


@pytest.mark.parametrize("status", ["paid", "on_account"])
def test_a_term_that_is_paid_for_gets_no_second_order(store: Store, status: str) -> None:
    with store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
        factories.order(connection, "R-1", box_id=box, status=status)

    with pytest.raises(IntegrityError), store.write() as connection:
        ordered(connection, box, on=ON)


def test_the_order_of_an_addon_is_paid_when_it_is_placed_and_placed_once_a_term(store: Store) -> None:
    def place(connection: Connection) -> str:
        addon = connection.execute(select(addons)).one()
        return place_paid_addon_order(
            connection,
            addon=addon,
            paid_from=addon.expires_on,
            customer_id="c1",
            years=1,
            net_cents=250,
            gross_cents=305,
            on=ON,
        )

    with store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection)
        factories.addon(connection, "extra", box, paid_from="credit")

        assert place(connection) == "A-extra-20270331"
        (order,) = connection.execute(select(orders)).all()
        assert (order.kind, order.status, order.paid_on) == ("addon", "paid", ON)
        assert (order.net_cents, order.vat_cents, order.gross_cents) == (250, 55, 305)
        assert connection.scalar(select(order_lines.c.net_cents)) == 250

    with pytest.raises(IntegrityError), store.write() as connection:
        place(connection)


def test_of_several_boxes_each_has_its_own_order_found_or_placed(store: Store) -> None:
    with store.write() as connection:
        factories.customer(connection)
        numbers = [factories.box(connection, f"{name}@pec.example.it") for name in "abc"]
        factories.addon(connection, "extra", numbers[2])
        first = ordered(connection, numbers[0], on=ON)
        outdated = ordered(connection, numbers[1], on=ON)
        connection.execute(update(boxes).where(boxes.c.id == numbers[1]).values(renewal_years=3))

        found = orders_of_terms(connection, CATALOG, [row_of(connection, number) for number in numbers], on=ON)

        assert found[numbers[0]] == first
        assert (found[numbers[1]].number, found[numbers[1]].years) == (f"{outdated.number}-2", 3)
        assert found[numbers[2]].gross_cents == 1513
        assert statuses(connection)[outdated.number] == "cancelled"
