"""Loads the small provider, runs its interesting dates and shows what happened."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

PROVIDER = Path(__file__).parent / "provider"
FOLDER = Path("demo")
ONE_DAY = timedelta(days=1)
STORY: tuple[tuple[str, str], ...] = (
    ("2026-12-31", "90 days before: who pays by hand is warned, who renews automatically gets the written notice"),
    ("2027-03-24", "7 days before: cards, PayPal accounts, credit and agreements are collected"),
    ("2027-03-25", "the lost answer is looked up: it was paid, so nobody is charged twice"),
    ("2027-03-30", "a card that was declined at first is good today"),
    ("2027-04-01", "the first unpaid day: suspended, but not where only the gateway was down"),
    ("2027-04-04", "the grace for our own outage is over"),
    ("2027-06-30", "more than 90 days unpaid: deleted for good, except what is on hold"),
)


def main() -> None:
    """Tell the story, date by date."""
    console = Console()
    if FOLDER.exists() and any(FOLDER.iterdir()):
        console.print(f"The folder {FOLDER}/ is there from an earlier demo. Remove it to begin anew: rm -r {FOLDER}")
        sys.exit(2)
    FOLDER.mkdir(exist_ok=True)
    console.print(Panel("A small provider, from 90 days before its boxes expire until the last is gone"))
    _lifecycle("import", str(PROVIDER))
    last: date | None = None
    for day, what in STORY:
        on = date.fromisoformat(day)
        if last is not None and on - last > ONE_DAY:
            # The days in between are lived too, only without a table each.
            _lifecycle("replay", str(last + ONE_DAY), "--until", str(on - ONE_DAY), quiet=True)
        console.print(f"\n[bold]{on}[/bold]: {what}")
        _lifecycle("replay", day)
        last = on
    _lifecycle("export", str(FOLDER / "export"))
    _lifecycle("status", "--last", "1")
    _lifecycle("audit", well=(0,))
    emails = sorted((FOLDER / "mail").rglob("*.eml"))
    console.print(f"\n{len(emails)} e-mails were written. Open one: {emails[-1]}")
    console.print(f"The books are in {FOLDER}/export: events.csv is the history.")


def _lifecycle(*arguments: str, quiet: bool = False, well: tuple[int, ...] = (0, 1)) -> None:
    environment = os.environ | {
        "LIFECYCLE_DATABASE__URL": f"sqlite:///{FOLDER}/lifecycle.db",
        "LIFECYCLE_MAIL__DIRECTORY": str(FOLDER / "mail"),
        "LIFECYCLE_SANDBOX__JOURNAL": str(FOLDER / "sandbox-journal.jsonl"),
        "LIFECYCLE_LOG__LEVEL": "warning",
    }
    done = subprocess.run(
        [sys.executable, "-m", "lifecycle_jobs", *arguments],
        env=environment,
        check=False,
        stdout=subprocess.DEVNULL if quiet else None,
    )
    if done.returncode not in well:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
