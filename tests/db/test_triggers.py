"""The database marks the add-ons that their box has left behind, whoever moves a date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, select, update

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from tests import factories

E = factories.EXPIRES_ON
DAY = timedelta(days=1)


def behind(store: Store) -> list[str]:
    with store.read() as connection:
        addons = tables.addons.c
        return list(connection.scalars(select(addons.addon_id).where(addons.behind).order_by(addons.addon_id)))


def box_moves(connection: Connection, until: date) -> None:
    connection.execute(update(tables.boxes).where(tables.boxes.c.id == 1).values(expires_on=until))


def addon_moves(connection: Connection, until: date) -> None:
    connection.execute(update(tables.addons).where(tables.addons.c.addon_id == "level").values(expires_on=until))


@pytest.fixture
def three_addons(store: Store) -> Store:
    """Add-ons that end a day before E, with it and a day after it."""
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection)
        factories.box(connection, "another@pec.example.it")
        for addon_id, until in (("short", E - DAY), ("level", E), ("long", E + DAY)):
            factories.addon(connection, addon_id, 1, expires_on=until)
            factories.addon(connection, f"{addon_id} of another", 2, expires_on=E)
    return store


def test_an_addon_that_is_added_is_behind_if_it_ends_before_its_box(three_addons: Store) -> None:
    assert behind(three_addons) == ["short"]


@pytest.mark.parametrize(
    ("change", "until", "left"),
    [
        (box_moves, E + DAY, ["level", "short"]),
        (box_moves, E + 2 * DAY, ["level", "long", "short"]),
        (box_moves, E - DAY, []),
        (addon_moves, E - DAY, ["level", "short"]),
    ],
)
def test_whichever_date_is_moved_the_mark_follows(
    three_addons: Store, change: Callable[[Connection, date], None], until: date, left: list[str]
) -> None:
    with three_addons.write() as connection:
        change(connection, until)

    assert behind(three_addons) == left


def test_an_addon_that_is_given_to_another_box_is_compared_with_that_one(three_addons: Store) -> None:
    with three_addons.write() as connection:
        box_moves(connection, E + 2 * DAY)
        connection.execute(update(tables.addons).where(tables.addons.c.addon_id == "level").values(box_id=2))

    assert behind(three_addons) == ["long", "short"]


def test_who_writes_the_mark_is_corrected(three_addons: Store) -> None:
    with three_addons.write() as connection:
        connection.execute(update(tables.addons).values(behind=True))
    assert behind(three_addons) == ["short"]

    with three_addons.write() as connection:
        connection.execute(update(tables.addons).values(behind=False))
    assert behind(three_addons) == ["short"]
