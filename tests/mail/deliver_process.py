"""Delivers the outbox by SMTP, for tests that kill it: `python -m tests.mail.deliver_process URL PORT`."""

from __future__ import annotations

import sys
from pathlib import Path

from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.mail.outbox import deliver
from tests.mail.office import ON, settings_for


def main(url: str, port: str) -> None:
    """Deliver everything that is queued."""
    settings = settings_for(Path("unused"), transport="smtp", host="127.0.0.1", port=int(port), timeout=10)
    deliver(open_store(url), settings, on=ON)


if __name__ == "__main__":
    main(*sys.argv[1:])
