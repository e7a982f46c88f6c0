"""The emergency stop: nothing begins after it, what was in hand is recorded, and it is kept who threw it and why."""

from __future__ import annotations

import time
from datetime import date

import pytest
from sqlalchemy import select

from lifecycle_jobs import operators, stops
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import emergency_stops, events
from lifecycle_jobs.errors import EmergencyStop
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.stops import Switch

ANNA = Operator("anna", None, date(2027, 3, 24))


def test_a_stop_is_in_force_until_it_is_taken_back(store: Store) -> None:
    assert operators.stop_everything(store, ANNA, "double charges?")
    with store.read() as connection:
        found = stops.in_force(connection)
    assert found is not None
    assert (found.actor, found.why) == ("anna", "double charges?")

    assert operators.resume(store, Operator("bruno", "false alarm", ANNA.on)) == found
    with store.read() as connection:
        assert stops.in_force(connection) is None
        assert [row.resumed_by for row in connection.execute(select(emergency_stops))] == ["bruno"]
        assert list(connection.scalars(select(events.c.kind).order_by(events.c.id))) == [
            "emergency.stopped",
            "emergency.resumed",
        ]


def test_throwing_it_twice_and_taking_back_what_is_not_thrown_change_nothing(store: Store) -> None:
    assert operators.resume(store, ANNA) is None
    assert operators.stop_everything(store, ANNA, "first")
    assert not operators.stop_everything(store, ANNA, "second")

    with store.read() as connection:
        assert list(connection.scalars(select(emergency_stops.c.why))) == ["first"]


def test_when_stop_returns_everybody_heeds_it_also_who_looked_just_before(store: Store) -> None:
    switch = Switch(store)
    switch.check()

    operators.stop_everything(store, ANNA, "double charges?")

    with pytest.raises(EmergencyStop, match=r"anna .* double charges\?.* lifecycle-jobs resume"):
        switch.check()


def test_work_that_is_told_to_heed_it_ends_between_two_items(store: Store) -> None:
    done: list[tuple[str, int]] = []
    advance = stops.heeding(store, lambda name, rows: done.append((name, rows)))
    advance("suspend", 5)

    operators.stop_everything(store, ANNA, "wrong file imported")

    with pytest.raises(EmergencyStop):
        advance("suspend", 5)
    assert done == [("suspend", 5), ("suspend", 5)], "what was done before it is told all the same"


def test_asking_it_before_every_item_does_not_ask_the_database_every_time(store: Store) -> None:
    asked = 0
    read = store.read

    def counting() -> object:
        nonlocal asked
        asked += 1
        return read()

    store.read = counting  # type: ignore[method-assign, assignment]
    switch = Switch(store)
    until = time.monotonic() + stops.HEEDED_WITHIN / 2
    while time.monotonic() < until:
        switch.check()

    assert asked <= 2
