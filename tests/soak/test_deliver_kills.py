"""Delivery killed at random moments, many times, with thousands of messages waiting. Takes minutes: `make soak`."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.mail.report import DeliveryReport
from tests.mail import deliver_process
from tests.mail.deliver_process import outcome
from tests.mail.mail_server import MailProcess
from tests.mail.office import queue_alerts

KILLS = int(os.environ.get("SOAK_KILLS", "200"))
MESSAGES = 5_000
CONNECTIONS = 4
_MOST_BETWEEN = 2 * MESSAGES // max(KILLS, 1) - 2 * CONNECTIONS
"""Messages that arrive before a kill, at the most: with half as many on average some are left for the last."""

_START = 1.5
"""Seconds that a process takes to begin, about: one kill of ten falls in there."""


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_killed_at_random_moments_every_message_arrives_and_only_what_was_in_hand_twice(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(f"deliver {KILLS}")  # noqa: S311 -- repeatable, not secret
    recipients = [f"r{number}@example.it" for number in range(MESSAGES)]
    store = open_store(database_url)
    queue_alerts(store, *recipients)
    store.engine.dispose()
    killed = 0
    with MailProcess(tmp_path) as server:
        for _ in range(KILLS):
            killed += _killed_at_random(server, database_url, chance)
        last = outcome(deliver_process.start(database_url, server.port, connections=CONNECTIONS))
        arrived = server.arrived()

    assert isinstance(last, DeliveryReport)
    assert (last.failed, last.deferred, last.parked, last.stopped) == (0, 0, 0, None)
    twice = len(arrived) - len(set(arrived))
    with capsys.disabled():
        print(f"\n{killed} of {KILLS} kills fell into the work: {len(arrived)} arrived, {twice} of them again")  # noqa: T201 -- the figures are the point
    assert {each.recipient for each in arrived} == set(recipients)
    assert len(set(arrived)) == MESSAGES, "whatever came twice has the same Message-ID"
    assert twice <= CONNECTIONS * KILLS


def _killed_at_random(server: MailProcess, url: str, chance: random.Random) -> bool:
    """Deliver in a process that is killed while it starts, or when some messages have arrived; whether it lived."""
    goal = server.size() + chance.randint(1, max(_MOST_BETWEEN, 1))
    until = time.monotonic() + (chance.uniform(0, _START) if chance.random() < 1 / 10 else 60)
    process = deliver_process.start(url, server.port, connections=CONNECTIONS)
    while process.poll() is None and time.monotonic() < until and server.size() < goal:
        time.sleep(chance.uniform(0, 0.003))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL
