"""What several rules ask of a box, each condition by itself, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Connection, and_, insert, literal, select, true, update

from lifecycle_jobs.db import conditions, tables
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import boxes, messages
from lifecycle_jobs.policy import Policy, PolicyGroup
from tests import factories, servers

E = factories.EXPIRES_ON
ON = date(2027, 6, 30)
DAY = timedelta(days=1)
LAST_TERM = E - timedelta(days=365)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database of each kind for all tests of this file: each is rolled back."""
    if request.param == "sqlite":
        yield from _opened(servers.fresh_sqlite(tmp_path_factory.mktemp("conditions")))
    else:
        with servers.fresh_postgresql() as url:
            yield from _opened(url)


def _opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.engine.dispose()


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes by name, and the question which of them a condition is true of."""

    connection: Connection
    ids: dict[str, int]

    def where(self, condition: ColumnElement[bool]) -> str:
        found = set(self.connection.scalars(select(boxes.c.id).where(condition)))
        # Every condition is going to be negated: true and false together must give every box.
        rest = set(self.connection.scalars(select(boxes.c.id).where(~condition)))
        assert found | rest == set(self.ids.values())
        assert not found & rest
        return "".join(name for name, number in self.ids.items() if number in found)

    def charge(self, name: str, status: str, *, term: date = E, slot: int = 7) -> None:
        number = factories.count(self.connection, tables.charges)
        order = factories.order(self.connection, f"R-{number}", box_id=self.ids[name], status="cancelled")
        factories.charge(
            self.connection, f"k{number}", order_id=order, box_id=self.ids[name], term_expires_on=term, slot=slot,
            status=status,
        )  # fmt: skip

    def park(self, name: str, job: str, state: str, on: date = ON) -> None:
        self.connection.execute(
            insert(tables.parked_rows).values(
                run_on=on - 10 * DAY, last_run_on=on, job=job, subject=f"box:{name}{state}", box_id=self.ids[name],
                error="?", state=state, parked_at=datetime(2027, 6, 30, tzinfo=UTC),
            )
        )  # fmt: skip


@contextmanager
def some(either: Store, names: str, **values: Any) -> Iterator[Boxes]:
    """Boxes called by single letters, all alike."""
    with either.rehearse() as store, store.write() as connection:
        factories.customer(connection)
        yield Boxes(connection, {name: factories.box(connection, f"{name}@pec.example.it", **values) for name in names})


def test_a_box_is_on_hold_through_its_day_or_while_there_is_a_reason_without_one(either: Store) -> None:
    with some(either, "abcdef") as known:
        for name, until, reason in (
            ("a", ON, None),
            ("b", ON + DAY, "dispute"),
            ("c", ON - DAY, "dispute"),
            ("d", None, "court order"),
            ("e", ON - DAY, None),
        ):
            known.connection.execute(
                update(boxes).where(boxes.c.id == known.ids[name]).values(hold_until=until, hold_reason=reason)
            )

        assert known.where(conditions.on_hold(ON)) == "abd"


def test_a_charge_is_unresolved_whatever_its_term(either: Store) -> None:
    with some(either, "abcdefg") as known:
        known.charge("a", "pending")
        known.charge("b", "unknown")
        known.charge("c", "unknown", term=LAST_TERM)
        known.charge("d", "declined")
        known.charge("e", "succeeded")
        known.charge("f", "not_attempted")

        assert known.where(conditions.unresolved_charge()) == "abc"


def test_only_the_latest_charge_of_the_term_decides_whether_it_was_not_attempted(either: Store) -> None:
    with some(either, "abcde") as known:
        known.charge("a", "not_attempted")
        for status in ("declined", "not_attempted"):
            known.charge("b", status, slot=len(status))
        for status in ("not_attempted", "declined"):
            known.charge("c", status, slot=len(status))
        known.charge("d", "not_attempted", term=LAST_TERM)

        assert known.where(conditions.latest_charge_not_attempted()) == "ab"


def test_x_has_come_when_all_three_days_have(either: Store) -> None:
    with some(either, "abcdefg", status="suspended", expires_on=E - 100 * DAY, suspended_on=E) as known:
        for name, values in (
            ("a", {}),
            ("b", {"expires_on": ON - 91 * DAY}),
            ("c", {"expires_on": ON - 90 * DAY}),
            ("d", {"suspended_on": ON - 30 * DAY}),
            ("e", {"suspended_on": ON - 29 * DAY}),
            ("f", {"hold_until": ON - 30 * DAY}),
            ("g", {"hold_until": ON - 29 * DAY}),
        ):
            if values:
                known.connection.execute(update(boxes).where(boxes.c.id == known.ids[name]).values(**values))

        assert known.where(conditions.deletion_date_by(Policy(), ON)) == "abdf"


def test_x_never_comes_for_a_box_that_is_not_suspended(either: Store) -> None:
    with some(either, "a", expires_on=LAST_TERM) as known:
        assert known.where(conditions.deletion_date_by(Policy(), ON)) == ""


def test_a_warning_was_delivered_if_its_message_says_so_for_this_term(either: Store) -> None:
    sent_by_now = and_(messages.c.status == "sent", messages.c.accepted_on <= ON)
    with some(either, "abcdefgh") as known:
        for name, kind, term, status, accepted in (
            ("a", "box.suspended", E, "sent", ON),
            ("b", "box.deletion_warning", E, "sent", ON - DAY),
            ("c", "box.expiry_alert", E, "sent", ON),
            ("d", "box.suspended", LAST_TERM, "sent", ON),
            ("e", "box.suspended", E, "queued", None),
            ("f", "box.suspended", E, "sent", ON + DAY),
            ("g", "box.suspended", E, "sent", ON),
        ):
            box = known.ids[name]
            event = factories.event(known.connection, kind, occurred_on=E + DAY, box_id=box, term_expires_on=term)
            factories.message(known.connection, name, event, kind=kind, status=status, accepted_on=accepted)
            if name == "g":
                links = tables.message_events
                known.connection.execute(update(links).where(links.c.event_id == event).values(moot=True))

        assert known.where(conditions.warning_delivered(sent_by_now)) == "ab"


def test_rows_that_are_parked(either: Store) -> None:
    with some(either, "abcdef") as known:
        known.park("a", "auto_renew", "open")
        known.park("b", "auto_renew", "open", on=ON - DAY)
        known.park("c", "auto_renew", "retrying")
        known.park("d", "auto_renew", "resolved")
        known.park("e", "send_alerts", "retrying")

        assert known.where(conditions.parked_by("auto_renew", ON)) == "a"
        assert known.where(conditions.left_over()) == "ce"
        assert known.where(tables.boxes.c.id.in_(conditions.taken_up("send_alerts"))) == "e"
        assert known.where(conditions.parked_by_another_than("delete")) == "abe"
        assert known.where(conditions.parked_by_another_than("auto_renew")) == "e"


def test_a_condition_may_depend_on_the_plan(either: Store) -> None:
    groups = [PolicyGroup(Policy(suspended_days=10), ("standard",)), PolicyGroup(Policy(suspended_days=20), ("pro",))]
    with some(either, "abc", expires_on=ON - 15 * DAY) as known:
        for name, plan in (("b", "pro"), ("c", "of.another.catalogue")):
            known.connection.execute(update(boxes).where(boxes.c.id == known.ids[name]).values(plan=plan))

        by_plan = conditions.by_plan(
            groups, lambda policy: boxes.c.expires_on < conditions.days_from(ON, -policy.suspended_days)
        )

        assert known.where(by_plan) == "a"


def test_the_first_reason_that_applies_is_told(either: Store) -> None:
    with some(either, "abc") as known:
        for name, values in (("a", {"hold_reason": "x", "cancelled_on": ON}), ("b", {"cancelled_on": ON})):
            known.connection.execute(update(boxes).where(boxes.c.id == known.ids[name]).values(**values))
        refusals = [("on_hold", conditions.on_hold(ON)), ("cancelled", boxes.c.cancelled_on.is_not(None))]

        reasons = known.connection.scalars(select(conditions.first_reason(refusals)).order_by(boxes.c.id)).all()

        assert reasons == ["on_hold", "cancelled", None]
        assert known.where(conditions.none_of(refusals)) == "c"
        assert known.where(and_(true(), literal(value=True))) == "abc"
