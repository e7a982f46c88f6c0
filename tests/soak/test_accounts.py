"""Operations for a long time: beside every job, and in lives of ten thousand steps. Takes half an hour: `make soak`."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from lifecycle_jobs import log
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.mail import delivery
from lifecycle_jobs.payments.sandbox import SandboxGateway
from tests import servers
from tests.accounts.operations import OPERATIONS
from tests.accounts.racing import First, possible, race
from tests.accounts.situations import SITUATIONS, Situation
from tests.auditing import breaches
from tests.jobs.running import Office, settings_for
from tests.properties import machine
from tests.properties.lives import without_delivery
from tests.properties.living import live, opened

ROUNDS = int(os.environ.get("SOAK_RACES", "3"))
"""Of each operation beside each job: with either first, and as chance has it."""
LIVES = int(os.environ.get("SOAK_LIVES", "250"))
STEPS = 40
AT_LEAST = 50
"""Times that each operation is accepted in ten thousand steps."""


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.job)
def test_every_operation_that_overlaps_with_a_job_ends_as_if_it_had_not(
    postgresql_store: Store, tmp_path: Path, situation: Situation, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(tmp_path)
    office = Office(postgresql_store, settings, SandboxGateway(settings.sandbox.journal))
    firsts: tuple[First, ...] = ("operation", "job", "chance")
    came: Counter[str] = Counter()
    wrong = []
    for operation in OPERATIONS:
        outcomes = possible(office, operation, situation)
        for first in firsts * ROUNDS:
            outcome = race(office, operation, situation, first)
            came[f"asked for {first} first"] += 1
            as_if = [name for name, each in outcomes.items() if each == outcome]
            if not as_if or breaches(office.store, office.settings):
                wrong.append((operation.name, first, outcome, outcomes, breaches(office.store, office.settings)))
            else:
                came[as_if[0]] += 1
    with capsys.disabled():
        print(f"\n{situation.job}: {dict(came.most_common())}")  # noqa: T201 -- the figures are the point
    assert wrong == []
    assert min(came["asked for operation first"], came["asked for job first"]) == ROUNDS * len(OPERATIONS)


@pytest.mark.soak
@pytest.mark.timeout(14400)
def test_the_program_does_what_the_model_does_for_ten_thousand_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure("error", "json")
    monkeypatch.setattr(delivery, "deliver", without_delivery)
    chance = random.SystemRandom().getrandbits(32)
    with capsys.disabled(), opened(servers.fresh_sqlite(tmp_path), tmp_path) as registry:
        print(f"\nchance {chance}")  # noqa: T201 -- what it takes to do the same again
        counts = live(registry, lives=LIVES, steps=STEPS, chance=chance)
        print("\n".join(f"{number:6} {name}" for name, number in sorted(counts.items())))  # noqa: T201 -- the figures are the point
    accepted = {name: counts[f"{name}: accepted"] for name in machine.OPERATIONS}
    assert {name: number for name, number in accepted.items() if number < AT_LEAST * LIVES // 250} == {}
