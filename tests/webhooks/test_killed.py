"""The real program in a process of its own, killed at random, or asked to stop."""

from __future__ import annotations

import signal
import time

from lifecycle_jobs.db.session import Store
from tests.webhooks.deliver_process import end, prove_that_kills_lose_nothing, start
from tests.webhooks.receiver import Reaction, Receiver
from tests.webhooks.sending import history, queued


def test_killed_at_random_it_delivers_everything_and_little_twice(
    told: Store, database_url: str, receiver: Receiver
) -> None:
    prove_that_kills_lose_nothing(told, database_url, receiver, kills=3)


def test_asked_to_stop_it_records_what_is_in_flight_and_leaves_within_seconds(
    told: Store, database_url: str, receiver: Receiver
) -> None:
    receiver.react = lambda _received: Reaction(delay=0.5)
    history(told, boxes=60, each=1)
    process = start(database_url, receiver)
    receiver.wait_for(10)

    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    code, complaints = end(process)

    assert code == 143
    assert time.monotonic() - began < 5
    assert "Stopped as asked, during webhooks" in complaints
    assert len(queued(told)) == 60 - len(receiver.taken)
