"""What a paid renewal does to its box, and when it does nothing at all (SPEC §3, auto_renew)."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import pytest
from sqlalchemy import insert, select, update

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, boxes, events, order_lines, orders
from lifecycle_jobs.history import Origin
from lifecycle_jobs.payments.orders import load_orders
from lifecycle_jobs.payments.renewals import Settled, apply_renewals
from tests import factories

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
ON = date(2027, 3, 24)


def box_with_order(store: Store, *, years: int = 1, **box: Any) -> int:
    """A box with an open renewal order, on which an add-on stands; both have the id 1."""
    with store.write() as connection:
        factories.customer(connection)
        number = factories.box(connection, **box)
        factories.addon(connection, "extra", number)
        factories.addon(connection, "other", number)
        order = factories.order(connection, "R-1", box_id=number, years=years)
        connection.execute(
            insert(order_lines),
            [
                {"order_id": order, "position": position, "item": item, "addon_id": addon, "quantity": 1,
                 "unit_price_cents": price, "years": years, "net_cents": price * years}
                for position, (item, addon, price) in enumerate(
                    [("standard", None, 990), ("extra_inbox", "extra", 250)], 1
                )
            ],
        )  # fmt: skip
    return number


def renew(store: Store, *, on: date = ON, status: Literal["paid", "on_account"] = "paid") -> bool:
    with store.write() as connection:
        settled = Settled(load_orders(connection, [1])[1], status, "card")
        return apply_renewals(connection, Origin(on, actor="clerk"), [settled]) == {1}


def box_row(store: Store) -> dict[str, Any]:
    with store.read() as connection:
        return dict(connection.execute(select(boxes)).mappings().one())


def test_the_order_is_closed_the_box_and_what_stands_on_the_order_move_and_the_event_tells(store: Store) -> None:
    box_with_order(store)

    assert renew(store)

    assert (box_row(store)["expires_on"], box_row(store)["status"]) == (NEXT_E, "active")
    with store.read() as connection:
        ends = connection.execute(select(addons))
        assert {addon.addon_id: addon.expires_on for addon in ends} == {
            "extra": NEXT_E,
            "other": E,
        }
        assert connection.execute(select(orders.c.status, orders.c.paid_on)).one() == ("paid", ON)
        event = connection.execute(select(events)).one()
    assert (event.kind, event.term_expires_on, event.occurred_on, event.actor) == ("box.renewed", E, ON, "clerk")
    assert event.detail["addons"] == ["extra"]


def test_on_account_nothing_is_paid_yet(sqlite_store: Store) -> None:
    store = sqlite_store
    box_with_order(store)

    assert renew(store, status="on_account")

    with store.read() as connection:
        assert connection.execute(select(orders.c.status, orders.c.paid_on)).one() == ("on_account", None)


@pytest.mark.parametrize(
    ("expires_on", "years", "until"),
    [(date(2028, 2, 29), 1, date(2029, 2, 28)), (date(2028, 2, 29), 4, date(2032, 2, 29)), (E, 5, date(2032, 3, 31))],
)
def test_e_moves_by_whole_years_from_e(sqlite_store: Store, expires_on: date, years: int, until: date) -> None:
    store = sqlite_store
    box_with_order(store, years=years, expires_on=expires_on)
    with store.write() as connection:
        connection.execute(update(orders).values(term_expires_on=expires_on))

    assert renew(store, on=date(2028, 3, 3))

    assert box_row(store)["expires_on"] == until


def test_a_box_suspended_for_non_payment_is_active_again(store: Store) -> None:
    box_with_order(store, status="suspended")

    assert renew(store, on=NEXT_E)

    box = box_row(store)
    assert (box["status"], box["suspended_on"], box["suspended_reason"]) == ("active", None, None)


def test_a_box_that_would_be_past_its_new_e_stays_suspended(sqlite_store: Store) -> None:
    store = sqlite_store
    box_with_order(store, status="suspended")

    assert renew(store, on=date(2028, 4, 1))

    box = box_row(store)
    assert (box["status"], box["expires_on"]) == ("suspended", NEXT_E)


def test_paying_does_not_lift_a_suspension_by_hand(sqlite_store: Store) -> None:
    store = sqlite_store
    box_with_order(store, status="suspended", suspended_reason="abuse")

    assert renew(store)

    box = box_row(store)
    assert (box["status"], box["suspended_reason"], box["expires_on"]) == ("suspended", "abuse", NEXT_E)


@pytest.mark.parametrize("status", ["disabled", "terminated"])
def test_an_addon_that_ended_meanwhile_does_not_come_back(sqlite_store: Store, status: str) -> None:
    store = sqlite_store
    box_with_order(store)
    with store.write() as connection:
        connection.execute(update(addons).values(status=status))

    assert renew(store)

    with store.read() as connection:
        assert set(connection.scalars(select(addons.c.expires_on))) == {E}


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (orders, {"status": "cancelled"}),
        (orders, {"status": "paid", "paid_on": ON}),
        (boxes, {"expires_on": NEXT_E}),
        (boxes, {"status": "deleted", "deleted_on": ON}),
    ],
)
def test_nothing_is_renewed_if_order_or_box_has_changed_meanwhile(
    store: Store, table: Any, values: dict[str, Any]
) -> None:
    box_with_order(store)
    with store.write() as connection:
        connection.execute(update(table).values(**values))

    assert not renew(store)
