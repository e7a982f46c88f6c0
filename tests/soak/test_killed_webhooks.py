"""The delivery of webhooks killed at random moments, many times, on both databases. Takes minutes: `make soak`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lifecycle_jobs.db.session import Store
from tests.webhooks.deliver_process import prove_that_kills_lose_nothing
from tests.webhooks.receiver import Receiver
from tests.webhooks.sending import deliver, settings_to

KILLS = int(os.environ.get("SOAK_KILLS", "200"))


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_killed_at_random_many_times_it_delivers_everything_and_little_twice(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        deliver(store, settings_to(tmp_path, receiver.url))
        prove_that_kills_lose_nothing(store, database_url, receiver, kills=KILLS)
