"""Goes over a business date once more, slowly enough to be watched."""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path

from lifecycle_jobs.day import Wish, run_day
from lifecycle_jobs.db.session import open_store
from tests.daily import OPERATOR, settings_for
from tests.e2e.console_provider import todays_clock


def main(url: str, folder: str, on: str, moment: str) -> None:
    """Five seconds for each job."""

    seen: set[str] = set()

    def linger(job: str, _rows: int) -> None:
        if job not in seen:
            seen.add(job)
            time.sleep(5)

    store, settings = open_store(url), settings_for(Path(folder))
    with todays_clock(moment):  # or whoever watches takes its lease for one that has run out
        run_day(store, settings, date.fromisoformat(on), OPERATOR, Wish(again=True), linger)


if __name__ == "__main__":
    main(*sys.argv[1:])
