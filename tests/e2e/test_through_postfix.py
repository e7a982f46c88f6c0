"""Delivery to a mail server that none of us wrote: postfix's `smtp-sink`, which keeps what it was given."""

from __future__ import annotations

import email.policy
import subprocess
import sys
from collections import Counter
from email import message_from_bytes
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lifecycle_jobs import clock
from tests.bench.catalog import shipped_settings
from tests.bench.measure import environment_of
from tests.bench.sink import HOST, running
from tests.bench.waiting import by_status, fill
from tests.e2e.tools import tool

pytestmark = pytest.mark.e2e

MESSAGES = 300
_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("connections", [1, 8])
def test_every_message_arrives_once_and_whole(empty_database_url: str, tmp_path: Path, connections: int) -> None:
    tool("smtp-sink")
    fill(empty_database_url, MESSAGES, clock.business_date(shipped_settings().zone))
    with TemporaryDirectory() as kept, running("-d", f"{kept}/m.") as sink:
        Path(kept).chmod(0o777)  # the server gives up its rights, if it had any
        environment = environment_of(empty_database_url, tmp_path) | {
            "LIFECYCLE_MAIL__TRANSPORT": "smtp",
            "LIFECYCLE_MAIL__HOST": HOST,
            "LIFECYCLE_MAIL__PORT": str(sink.port),
            "LIFECYCLE_MAIL__CONNECTIONS": str(connections),
            "LIFECYCLE_MAIL__MESSAGES_PER_SECOND": "10000",
        }
        subprocess.run([sys.executable, "-m", "lifecycle_jobs", "deliver"], env=environment, cwd=_ROOT, check=True)
        files = [file.read_bytes() for file in Path(kept).iterdir()]

    arrived = [message_from_bytes(content, policy=email.policy.default) for content in files]
    assert by_status(empty_database_url) == {"sent": MESSAGES}
    assert len(arrived) == MESSAGES
    assert set(Counter(str(message["Message-ID"]) for message in arrived).values()) == {1}
    assert {str(message["To"]).partition("<")[2] for message in arrived} == {
        f"holder{number}@example.it>" for number in range(1, MESSAGES + 1)
    }
    assert all(message.get_body(("plain",)) and message.get_body(("html",)) for message in arrived)
