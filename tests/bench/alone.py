"""`python -m tests.bench.alone`: delivers what waits as one of several processes does, but all of it.

That is what several are compared with like for like: `deliver` has the letters of a long queue written by a second
process, so that one worker keeps more than one core busy.
"""

from __future__ import annotations

import sys
from datetime import date

from lifecycle_jobs import log
from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.mail.outbox import deliver
from lifecycle_jobs.mail.records import Share
from lifecycle_jobs.settings import load_settings


def main() -> int:
    """Deliver by the settings of the environment; returns the exit code: 1 if anything stopped it."""
    settings = load_settings()
    log.configure(settings.log.level, settings.log.format)
    store = open_store(settings.database.url)
    report = deliver(store, settings, on=date.fromisoformat(sys.argv[1]), share=Share(0, 1))
    return 0 if report.stopped is None else 1


if __name__ == "__main__":
    sys.exit(main())
