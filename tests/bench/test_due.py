"""The program does on a day what the made-up provider says is due, also after days on which nothing ran."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.payments.sandbox import SandboxGateway
from tests.bench.catalog import shipped_catalog
from tests.bench.load import load
from tests.bench.outcome import Outcome, differences
from tests.bench.provider import Provider
from tests.daily import run, settings_for

ON = date(2026, 3, 24)
BOXES = 2_000


@pytest.mark.parametrize("downtime", [0, 5])
def test_what_is_due_is_what_the_program_does(empty_database_url: str, tmp_path: Path, downtime: int) -> None:
    stopped = ON - timedelta(downtime)
    provider = Provider(BOXES, stopped, shipped_catalog(), seed=4, downtime=downtime)
    load(empty_database_url, provider.batches())
    settings = settings_for(tmp_path)
    bank = SandboxGateway(settings.sandbox.journal)
    for request in provider.due.at_the_bank:
        bank.charge(request)

    store = open_store(empty_database_url)
    run(store, settings, ON, since=stopped - timedelta(1), deliver=False)
    store.engine.dispose()

    assert list(differences(provider.due, Outcome(empty_database_url, ON))) == []
    assert provider.due.events.total() > 15 * (downtime + 1)
