"""The queries of the jobs and the functions of `policy` state the same cut-offs, for any box on any day.

Boxes are drawn around the day, since only near a boundary can the two differ. Each example is many boxes drawn from one
seed, since what costs is the statements; on SQLite also a few that are drawn one by one, where odd ones come up sooner.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select

from lifecycle_jobs import policy
from lifecycle_jobs.db import conditions, tables
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.jobs import auto_renew, eligibility, renew_addons, send_alerts, suspend
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.policy import Catalog, Plan, Policy
from lifecycle_jobs.runs import Run
from lifecycle_jobs.settings import DeletionSettings
from tests import factories, servers
from tests.jobs.running import settings_for

OTHER = Policy(
    alert_milestones=(40, 12, 3),
    notice_milestones=(45,),
    charge_slots=(9, 2),
    late_charge_days=4,
    outage_grace_days=1,
    suspended_days=35,
    minimum_suspension_days=12,
    deletion_milestones=(20, 5),
)
POLICIES = {"standard": Policy(), "own": OTHER}
CATALOG = Catalog(
    {code: Plan(code, code, 990, 1, 0, 1, 0, 5, auto_renewable=True, policy=rules) for code, rules in POLICIES.items()},
    Decimal(22),
)
RULES = DeletionSettings(
    max_percent=5, always_allowed=100, require_delivered_warning=False, delivered_warning_days=7, undelete_days=7
)


@dataclass(frozen=True, slots=True)
class Box:
    """A box as far as cut-offs are concerned, its days counted from the business date."""

    plan: str
    status: str
    expires_in: int
    suspended_in: int
    hold_in: int | None
    hold_reason: str | None
    addon_expires_in: int
    renews_itself: bool

    def expires_on(self, on: date) -> date:
        return on + timedelta(days=self.expires_in)

    def hold_until(self, on: date) -> date | None:
        return None if self.hold_in is None else on + timedelta(days=self.hold_in)

    def suspended_on(self, on: date) -> date | None:
        return on + timedelta(days=self.suspended_in) if self.status == "suspended" else None

    def addon_expires_on(self, on: date) -> date:
        return on + timedelta(days=self.addon_expires_in)


# Days at which something begins or ends, and their neighbours, come up much more often than by chance.
_EDGES = sorted(
    {
        edge + step
        for rules in POLICIES.values()
        for edge in (
            *rules.alert_milestones,
            *rules.notice_milestones,
            *rules.charge_slots,
            -rules.late_charge_days,
            -rules.outage_grace_days,
            -rules.suspended_days - 1,
            *(milestone - rules.suspended_days - 1 for milestone in rules.deletion_milestones),
            *(milestone - rules.minimum_suspension_days for milestone in rules.deletion_milestones),
            -rules.minimum_suspension_days,
        )
        for step in (-1, 0, 1)
    }
)
_DAYS = st.one_of(st.sampled_from(_EDGES), st.integers(-130, 130))
_PAST = st.one_of(st.sampled_from([edge for edge in _EDGES if edge <= 0]), st.integers(-130, 0))
BOXES = st.builds(
    Box,
    plan=st.sampled_from(list(POLICIES)),
    status=st.sampled_from(["active", "suspended"]),
    expires_in=_DAYS,
    suspended_in=_PAST,
    hold_in=st.one_of(st.none(), _DAYS),
    hold_reason=st.sampled_from([None, "dispute"]),
    addon_expires_in=_DAYS,
    renews_itself=st.booleans(),
)
ON = st.dates(date(2026, 1, 1), date(2033, 12, 31))
# A box is small enough to be read as it was drawn; looking for a smaller one would take minutes.
QUICK = settings(deadline=None, database=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
BACK = st.integers(1, 40)
"""How many days W lies before the business date."""


def random_boxes(seed: int, number: int) -> list[Box]:
    """Many boxes at once, by the same taste."""
    draw = random.Random(seed)  # noqa: S311 -- to be repeatable, not secret

    def days() -> int:
        return draw.choice(_EDGES) if draw.random() < 0.6 else draw.randint(-130, 130)

    return [
        Box(
            plan=draw.choice(list(POLICIES)),
            status=draw.choice(["active", "suspended"]),
            expires_in=days(),
            suspended_in=-abs(days()),
            hold_in=draw.choice([None, None, days()]),
            hold_reason=draw.choice([None, None, "dispute"]),
            addon_expires_in=days(),
            renews_itself=draw.random() < 0.5,
        )
        for _ in range(number)
    ]


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(servers.fresh_sqlite(tmp_path_factory.mktemp("cutoffs")))
    yield store
    store.engine.dispose()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Store]:
    with servers.fresh_postgresql() as url:
        store = open_store(url)
        yield store
        store.engine.dispose()


@settings(QUICK, max_examples=40)
@given(drawn=st.lists(BOXES, min_size=1, max_size=6), on=ON, back=BACK)
def test_on_sqlite(sqlite: Store, drawn: list[Box], on: date, back: int) -> None:
    agree(sqlite, drawn, on, on - timedelta(days=back))


@settings(QUICK, max_examples=10)
@given(seed=st.integers(0, 2**32), on=ON, back=BACK)
def test_on_sqlite_with_many_boxes(sqlite: Store, seed: int, on: date, back: int) -> None:
    agree(sqlite, random_boxes(seed, 250), on, on - timedelta(days=back))


@settings(QUICK, max_examples=10)
@given(seed=st.integers(0, 2**32), on=ON, back=BACK)
def test_on_postgresql(postgresql: Store, seed: int, on: date, back: int) -> None:
    agree(postgresql, random_boxes(seed, 250), on, on - timedelta(days=back))


def agree(store: Store, drawn: Sequence[Box], on: date, since: date) -> None:
    """Every cut-off, once by the database and once by `policy`; nothing of it lasts."""
    with store.rehearse() as rehearsal:
        with rehearsal.write() as connection:
            _write(connection, drawn, on)
            _conditions_agree(connection, rehearsal, drawn, on)
        run = Run(on, 1, "everything", since)
        send_alerts.run(Task("send_alerts", rehearsal, run, CATALOG, 100, lambda _job, _rows: None), RULES)
        with rehearsal.read() as connection:
            _milestones_agree(connection, drawn, on, since)


def _write(connection: Connection, drawn: Sequence[Box], on: date) -> None:
    factories.customer(connection)
    factories.method(connection)
    box_rows, addon_rows = [], []
    for number, box in enumerate(drawn, 1):
        address = f"{number}@pec.example.it"
        box_rows.append(
            {
                "id": number,
                "address": address,
                "address_key": address,
                "customer_id": "c1",
                "plan": box.plan,
                "status": box.status,
                "expires_on": box.expires_on(on),
                "renewal_years": 1,
                "auto_renew": box.renews_itself,
                "payment_method_id": "pm1",
                "hold_until": box.hold_until(on),
                "hold_reason": box.hold_reason,
                "suspended_on": box.suspended_on(on),
                "suspended_reason": "unpaid" if box.status == "suspended" else None,
            }
        )
        addon_rows.append(
            {
                "addon_id": f"{number}",
                "box_id": number,
                "kind": "extra_inbox",
                "quantity": 1,
                "unit_price_cents": 250,
                "paid_from": "credit",
                "status": "active",
                "expires_on": box.addon_expires_on(on),
            }
        )
    connection.execute(insert(tables.boxes), box_rows)
    connection.execute(insert(tables.addons), addon_rows)


def _conditions_agree(connection: Connection, store: Store, drawn: Sequence[Box], on: date) -> None:
    task = Task("suspend", store, Run(on, 1, "everything", on), CATALOG, 100, lambda _job, _rows: None)
    boxes, addons = tables.boxes, tables.addons
    for code, rules in POLICIES.items():
        rows = connection.execute(
            select(
                boxes.c.id,
                conditions.on_hold(on).label("on_hold"),
                suspend.candidates(task).label("to_be_suspended"),
                auto_renew._slot_today(rules, on).label("slot"),
                eligibility.charging_window(task).label("charged"),
                conditions.deletion_date_by(rules, on).label("to_be_deleted"),
                send_alerts.deletion_day(rules).label("deletion_day"),
                renew_addons.candidates(task).label("addon_due"),
                addons.c.behind,
            )
            .join(addons, addons.c.box_id == boxes.c.id)
            .where(boxes.c.plan == code)
        )
        for row in rows:
            found = dict(row._mapping)
            _one_agrees(drawn[found.pop("id") - 1], found, rules, on)


def _one_agrees(box: Box, found: dict[str, Any], rules: Policy, on: date) -> None:
    expires_on, suspended_on = box.expires_on(on), box.suspended_on(on)
    active = box.status == "active"
    slot = policy.slot_on(rules, expires_on, on)
    x = None if suspended_on is None else policy.deletion_date(rules, expires_on, suspended_on, box.hold_until(on))
    followed = policy.addon_renewed_with_box(
        box_status=box.status, box_expires_on=expires_on, addon_expires_on=box.addon_expires_on(on), on=on
    )
    late = expires_on + timedelta(days=rules.late_charge_days)
    stated = {
        "on_hold": policy.on_hold(box.hold_until(on), box.hold_reason, on),
        "to_be_suspended": active and policy.suspends_on(expires_on) <= on,
        "slot": slot,
        "charged": active and slot is not None and on <= late,
        "to_be_deleted": x is not None and x <= on,
        "deletion_day": x,
        "addon_due": followed or box.addon_expires_on(on) < on,
        "behind": expires_on > box.addon_expires_on(on),
    }
    if x is None:
        del stated["deletion_day"], found["deletion_day"]
    assert (box, found) == (box, stated)


def _milestones_agree(connection: Connection, drawn: Sequence[Box], on: date, since: date) -> None:
    events = tables.events
    written: dict[int, tuple[str, int]] = {}
    for row in connection.execute(select(events.c.box_id, events.c.kind, events.c.milestone)):
        assert row.box_id not in written, "one message for a box"
        written[row.box_id] = (row.kind, row.milestone)
    assert written == {
        number: told for number, box in enumerate(drawn, 1) if (told := _told(box, on, since)) is not None
    }


def _told(box: Box, on: date, since: date) -> tuple[str, int] | None:
    rules = POLICIES[box.plan]
    expires_on, suspended_on = box.expires_on(on), box.suspended_on(on)
    held = policy.on_hold(box.hold_until(on), box.hold_reason, on)
    if suspended_on is None:
        renewing = box.renews_itself and not held
        kind = "box.renewal_notice" if renewing else "box.expiry_alert"
        milestones = rules.notice_milestones if renewing else rules.alert_milestones
        due = policy.due_milestone(milestones, expires_on, since, on) if on <= expires_on else None
    else:
        kind = "box.deletion_warning"
        x = policy.deletion_date(rules, expires_on, suspended_on, box.hold_until(on))
        told = on < x and not held and suspended_on < on
        due = policy.due_milestone(rules.deletion_milestones, x, since, on) if told else None
    return None if due is None else (kind, due)


def test_the_shipped_policies_are_the_ones_of_the_specification(tmp_path: Path) -> None:
    assert set(settings_for(tmp_path).catalog().groups()[0].plans) == {"standard", "pro", "premium", "domain"}
    assert settings_for(tmp_path).catalog().policy_of("standard") == Policy()
