"""The plan is the truth: what it says, the run that follows does, one to one (the sandbox's answers included)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from tests.daily import settings_for
from tests.planning.days import Days, done_by, told
from tests.planning.population import populate, seeds


def days_of(store: Store, folder: Path, seed: int) -> tuple[Days, date]:
    """A provider at random, and the day. Every third one has more boxes to delete than it may unasked."""
    on = date(2027, 1, 1) + timedelta(days=random.Random(seed).randrange(800))  # noqa: S311 -- repeatable, not secret
    populate(store, on, seed)
    few = {"always_allowed": 1, "max_percent": 1} if seed % 3 == 0 else {}
    return Days(store, settings_for(folder, gateway={"outage_limit": 2 + seed % 5}, deletion=few), folder), on


@pytest.mark.parametrize("seed", seeds(8, 50))
def test_the_run_does_what_the_plan_says_and_nothing_else(store: Store, tmp_path: Path, seed: int) -> None:
    days, on = days_of(store, tmp_path, seed)

    plan = days.plan(on)
    done = days.run(on, plan=plan.digest)

    really = done_by(store, on)
    assert Counter(map(told, plan.actions())) == really
    assert sum(total.number for total in plan.totals.values()) == really.total() > 0
    assert plan.report.queued == done.queued
    assert [(job.job, job.done, job.skipped) for job in plan.report.jobs] == [
        (job.job, job.done, job.skipped) for job in done.jobs
    ]


@pytest.mark.parametrize("seed", seeds(1, 8))
def test_the_hash_changes_with_each_box_that_is_acted_on_and_with_no_other(
    store: Store, tmp_path: Path, seed: int
) -> None:
    days, on = days_of(store, tmp_path, seed)
    before = days.plan(on)
    acted_on = {action.box_id for action in before.actions()}
    with store.read() as connection:
        every_box = connection.scalars(select(boxes.c.id).order_by(boxes.c.id)).all()

    for box_id in every_box[::7]:
        with under_another_address(store, box_id):
            assert (days.plan(on).digest != before.digest) is (box_id in acted_on), box_id
    assert days.plan(on).digest == before.digest


@contextmanager
def under_another_address(store: Store, box_id: int) -> Iterator[None]:
    _change_address(store, box_id, "@pec.", "@other.")
    yield
    _change_address(store, box_id, "@other.", "@pec.")


def _change_address(store: Store, box_id: int, old: str, new: str) -> None:
    changed = {column: func.replace(boxes.c[column], old, new) for column in ("address", "address_key")}
    with store.write() as connection:
        connection.execute(update(boxes).where(boxes.c.id == box_id).values(changed))
