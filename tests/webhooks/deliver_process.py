"""`lifecycle-jobs webhooks deliver` in a process of its own, which tests kill or ask to stop."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from lifecycle_jobs.db.session import Store
from tests.webhooks.receiver import SECRET, Reaction, Receiver
from tests.webhooks.sending import history, queued

_ROOT = Path(__file__).parents[2]
_CONCURRENCY = 6
_BETWEEN_KILLS = 60


def start(database_url: str, receiver: Receiver) -> subprocess.Popen[str]:
    """Begin to deliver."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")} | {
        "LIFECYCLE_DATABASE__URL": database_url,
        "LIFECYCLE_WEBHOOKS__URL": receiver.url,
        "LIFECYCLE_WEBHOOKS__SECRET": SECRET,
        "LIFECYCLE_WEBHOOKS__CONCURRENCY": str(_CONCURRENCY),
    }
    command = [sys.executable, "-m", "lifecycle_jobs", "webhooks", "deliver"]
    return subprocess.Popen(command, cwd=_ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and its complaints."""
    _, complaints = process.communicate(timeout=60)
    return process.returncode, complaints


def prove_that_kills_lose_nothing(store: Store, database_url: str, receiver: Receiver, *, kills: int) -> None:
    """Kill the delivery at random moments so many times, and then let it come to its end."""
    receiver.react = lambda _received: Reaction(delay=0.004)
    events = history(store, boxes=60, each=kills + 3)
    chance = random.Random(kills)  # noqa: S311 -- it chooses moments

    for number in range(1, kills + 1):
        process = start(database_url, receiver)
        receiver.wait_for(_BETWEEN_KILLS * number)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        assert end(process)[0] == -signal.SIGKILL, "it was not done yet"
    assert end(start(database_url, receiver))[0] == 0

    times = Counter(received.data["sequence"] for received in receiver.taken)
    assert sorted(times) == events
    assert times.total() - len(times) <= kills * _CONCURRENCY
    assert queued(store) == []
    assert len({received.id for received in receiver.taken}) == len(events), "twice only under the same id"
    by_box = defaultdict(list)
    for received in receiver.taken:
        by_box[received.data["box_id"]].append(received.data["sequence"])
    assert all(numbers == sorted(numbers) for numbers in by_box.values())
