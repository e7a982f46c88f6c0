"""Delivers the outbox by SMTP under a lease, for tests that kill it: `python -m tests.mail.deliver_process ORDER`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.mail import crew
from lifecycle_jobs.mail.delivery import deliver_now
from lifecycle_jobs.mail.report import DeliveryReport
from tests.mail.mail_server import HOST
from tests.mail.office import ON, settings_for

_ROOT = Path(__file__).parents[2]


def start(
    url: str, port: int, *, connections: int = 1, lease_seconds: int = 60, workers: int = 1
) -> subprocess.Popen[str]:
    """Begin to deliver in a process of its own, or in several, however short the queue is."""
    order = json.dumps(
        {"url": url, "port": port, "connections": connections, "lease_seconds": lease_seconds, "workers": workers}
    )
    command = [sys.executable, "-m", "tests.mail.deliver_process", order]
    return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)


def outcome(process: subprocess.Popen[str]) -> DeliveryReport | str:
    """What a process that came to its end reported: what it did, or the name of the error that stopped it."""
    said, _ = process.communicate(timeout=120)
    told = json.loads(said.splitlines()[-1])  # before it stands what was logged
    return told if isinstance(told, str) else DeliveryReport(**told)


def main(order: str) -> None:
    """Deliver everything that is queued."""
    given = json.loads(order)
    settings = settings_for(
        Path("unused"),
        transport="smtp",
        host=HOST,
        port=given["port"],
        timeout=10,
        connections=given["connections"],
        messages_per_second=10_000,
    )
    crew._WORTH_ONE = 1
    lease = settings.lease.model_copy(update={"seconds": given["lease_seconds"]})
    workers = settings.workers.model_copy(update={"count": given["workers"]})
    settings = settings.model_copy(update={"lease": lease, "workers": workers})
    store = open_store(given["url"])
    try:
        report = deliver_now(store, settings, ON, lambda _name, _rows: None)
        told = json.dumps(asdict(report))
    except LifecycleError as error:
        told = json.dumps(type(error).__name__)
    sys.stdout.write(told + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
