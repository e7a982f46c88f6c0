"""Goes over a business date once more, slowly enough to be watched."""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path

from lifecycle_jobs.day import Wish, run_day
from lifecycle_jobs.db.session import open_store
from tests.daily import OPERATOR, settings_for


def main(url: str, folder: str, on: str) -> None:
    """A second for each job."""

    def linger(_job: str, rows: int) -> None:
        if rows == 0:
            time.sleep(1)

    run_day(open_store(url), settings_for(Path(folder)), date.fromisoformat(on), OPERATOR, Wish(again=True), linger)


if __name__ == "__main__":
    main(*sys.argv[1:])
