"""What is explained is what the run does: for every box of populations at random, and every job, in both languages."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.explaining.coming import coming_of
from lifecycle_jobs.explaining.past import past_of
from lifecycle_jobs.explaining.verdicts import NOT_DUE, verdicts_on
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.languages.codes import CODES
from lifecycle_jobs.runs import Run
from tests.daily import all_rows, settings_for
from tests.languages.exact import ENGLISH, ITALIAN, betrayed
from tests.planning.days import Days, done_by
from tests.planning.population import populate, seeds

COUNTED = ("auto_renew", "suspend", "delete", "send_alerts")
"""The jobs that count each box they leave alone once."""


@pytest.mark.parametrize("seed", seeds(2, 24))
def test_each_job_does_to_each_box_what_was_explained_and_counts_the_same_reasons(
    store: Store, tmp_path: Path, seed: int
) -> None:
    on = date(2027, 1, 1) + timedelta(days=random.Random(seed).randrange(800))  # noqa: S311 -- repeatable, not secret
    populate(store, on, seed)
    # One failing gateway for all is what looking at one box cannot show.
    days = Days(store, settings_for(tmp_path, gateway={"outage_limit": 1000}), tmp_path)
    with store.read() as connection:
        every_box = connection.scalars(select(boxes.c.id).where(boxes.c.status != "deleted")).all()

    speech = (ITALIAN, ENGLISH)[seed % 2]

    verdicts = {box_id: verdicts_on(store, days.settings, box_id, on, speech) for box_id in every_box}
    report = days.run(on)

    explained = Counter(
        (each.reason, box_id, each.addon_id) for box_id, said in verdicts.items() for each in said if each.acts
    )
    really = Counter((what, box_id, addon_id) for what, box_id, addon_id, *_ in done_by(store, on).elements())
    assert explained == really
    for job in report.jobs:
        if job.job in COUNTED:
            reasons = Counter(
                each.reason
                for said in verdicts.values()
                for each in said
                if each.job == job.job and not each.acts and each.reason != NOT_DUE
            )
            assert (job.job, dict(reasons)) == (job.job, job.skipped)
        # Of the add-ons that share a credit with one that was just renewed, a run counts no more why they stay.
        if job.job == "renew_addons":
            assert Counter(job.skipped) <= Counter(
                each.reason for said in verdicts.values() for each in said if each.job == job.job and not each.acts
            )
    sentences = [each.told for said in verdicts.values() for each in said]
    assert all(sentences)
    if speech is ITALIAN:
        assert betrayed(sentences) == []


def test_past_and_future_of_every_box_can_be_told_in_italian(store: Store, tmp_path: Path) -> None:
    on = date(2027, 3, 31)
    populate(store, on, 1)
    days = Days(store, settings_for(tmp_path), tmp_path)
    days.run(on)
    tomorrow = Run(on + timedelta(days=1), 0, "everything", on)
    task = Task("explain", store, tomorrow, days.settings.catalog(), 1, lambda _job, _rows: None)

    with store.read() as connection:
        every_box = connection.execute(select(boxes)).all()
        past = [each for box in every_box for each in past_of(ITALIAN, connection, box.id)]
        coming = [each for box in every_box for each in coming_of(ITALIAN, connection, task, box)]

    told = [each.told for each in past] + [each.message for each in past] + [each.told for each in coming]
    assert len(past) > len(every_box) // 2
    assert len(coming) > len(every_box) // 2
    assert betrayed(told) == []
    assert {each.what for each in coming} <= CODES["coming"].keys()
    assert {each.what for each in past} <= CODES["event"].keys()


@pytest.mark.parametrize("seed", range(3))
def test_explaining_writes_nothing(store: Store, tmp_path: Path, seed: int) -> None:
    on = date(2027, 3, 31)
    populate(store, on, seed, boxes=12)
    settings = settings_for(tmp_path)
    before = all_rows(store)
    with store.read() as connection:
        every_box = connection.scalars(select(boxes.c.id)).all()

    for box_id in every_box:
        verdicts_on(store, settings, box_id, on, ENGLISH)

    assert all_rows(store) == before
    assert not settings.sandbox.journal.exists()
