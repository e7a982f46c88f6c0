"""Draws the pictures of the README anew, from commands that are really typed and a console that is looked at.

`make pictures` needs Debian's package chromium.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from freezegun import freeze_time
from playwright.sync_api import sync_playwright
from rich.console import Console as Printed
from rich.text import Text
from sqlalchemy import insert

from lifecycle_jobs.console import Console
from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.db.tables import runs
from lifecycle_jobs.settings import load_settings
from tests.bench.load import load
from tests.bench.provider import Provider
from tests.daily import settings_for
from tests.demo.__main__ import PROVIDER

FOLDER = Path(__file__).parent / "pictures"
ON = date(2027, 3, 24)
_WIDTH = 118
"""Characters of a line: as many as a page has room for."""
_FONTS_OF_OTHER_SITES = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""Whoever looks at a picture should call nobody; the reader's own fixed-width font will do."""


def main() -> None:
    """Draw a plan, an explanation, the console's first page and a forecast."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        small = _folder(name, "small")
        _type(small, "import", str(PROVIDER))
        _type(small, "replay", "2026-12-31", "--until", str(ON - timedelta(days=1)))
        _draw("plan", small, "plan", str(ON))
        _type(small, "replay", str(ON))
        _photograph(small, FOLDER / "console.png", str(ON))
        _type(small, "replay", "2027-03-25", "--until", "2027-03-27")
        _draw("explain", small, "explain", "luca.neri@pec.example.it", "--on", "2027-03-28")
        large = _folder(name, "large")
        _fill(large)
        _type(large, "forecast", "--months", "12", "--manual-rate", "0.6", "--png", str(FOLDER / "forecast.png"))


def _folder(within: str, name: str) -> Path:
    folder = Path(within) / name
    folder.mkdir()
    return folder


def _fill(folder: Path) -> None:
    """A provider of 20,000 boxes, whose next year is worth a look, and which has done all its days up to this one."""
    url = f"sqlite:///{folder}/lifecycle.db"
    load(url, Provider(20_000, ON, load_settings().catalog()).batches())
    store = open_store(url)
    with store.write() as connection:
        yesterday = ON - timedelta(days=1)
        connection.execute(
            insert(runs).values(
                run_on=yesterday,
                run_pass=1,
                scope="everything",
                state="completed",
                since=yesterday - timedelta(days=1),
                started_at=datetime(2027, 3, 23, 2, tzinfo=UTC),
            )
        )
    store.engine.dispose()


def _draw(name: str, folder: Path, *arguments: str) -> None:
    """Type a command, and draw what it shows."""
    console = Printed(record=True, width=_WIDTH, file=io.StringIO())
    console.print(Text.from_ansi(_type(folder, *arguments)))
    drawn = console.export_svg(title=f"lifecycle-jobs {' '.join(arguments)}", unique_id=name)
    (FOLDER / f"{name}.svg").write_text(_FONTS_OF_OTHER_SITES.sub("", drawn), encoding="utf-8")


def _photograph(folder: Path, picture: Path, on: str) -> None:
    """The console's first page on a date, in the browser of the system."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is missing: install Debian's package chromium")
    changed = {"database": {"url": f"sqlite:///{folder}/lifecycle.db"}}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 760}, locale="en-GB")
        with (
            freeze_time(f"{on} 08:00:00", tick=True, real_asyncio=True),
            Console(settings_for(folder, **changed), owner="anna", listen="127.0.0.1:0") as console,
        ):
            page.goto(console.url)
            page.screenshot(path=picture, full_page=True)
        browser.close()


def _type(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")}
    environment |= {"FORCE_COLOR": "1", "COLUMNS": str(_WIDTH), "LIFECYCLE_LOG__LEVEL": "error"}
    done = subprocess.run(
        [sys.executable, "-m", "lifecycle_jobs", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode > 1:  # a day that leaves something to a person ends with 1
        sys.exit(done.stderr)
    return done.stdout


if __name__ == "__main__":
    main()
