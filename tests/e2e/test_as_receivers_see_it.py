"""Mail as receivers see it: judged by a spam filter, an HTML checker and a browser, in both languages.

What they find is printed and kept in `build/e2e`, pictures included: a person should look at those.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.e2e.tools import FOLDER, tool
from tests.e2e.written import Written, everything

pytestmark = pytest.mark.e2e

MOST_POINTS = 2.0
WIDE, NARROW = 1200, 390

OFFLINE = """\
Offline, SpamAssassin leaves out everything that asks the network: block lists of addresses and domains (RCVD_IN_*,
URIBL_*), SPF, DKIM and DMARC by DNS, Razor, Pyzor and DCC, and the names behind addresses (RDNS_*, FCrDNS). No Bayes
database is trained. Rules about the path (Received headers) find nothing: the messages have not travelled yet. Before
production, send them to a mailbox outside through the real relay (lifecycle-jobs mail test)."""

_RULE = re.compile(r"^\s*(-?\d+\.\d+)\s+([A-Z][A-Z0-9_]{2,})\s+(.*)$")
_STATUS = re.compile(r"^X-Spam-Status: (?:Yes|No), score=(-?\d+\.\d+)", re.MULTILINE)


@pytest.fixture(scope="module")
def written() -> Sequence[Written]:
    """Every message, and an .eml file of each to be looked at."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "eml").mkdir(parents=True)
    messages = everything()
    for message in messages:
        (FOLDER / "eml" / f"{message.name}.eml").write_bytes(message.content)
    return messages


@pytest.fixture
def console(request: pytest.FixtureRequest) -> Iterator[Console]:
    """Prints for who watches, and keeps what it printed."""
    kept = Console(record=True, width=150)
    yield kept
    kept.save_text(str(FOLDER / f"{request.node.name}.txt"))


def test_a_spam_filter_finds_nothing_against_any_message(written: Sequence[Written], console: Console) -> None:
    files = [str(FOLDER / "eml" / f"{message.name}.eml") for message in written]
    judged = subprocess.run([tool("spamassassin"), "-L", "-t", *files], check=True, capture_output=True)
    verdicts = _verdicts(judged.stdout.decode(errors="replace"), [message.name for message in written])

    hits: dict[tuple[str, str, str], int] = defaultdict(int)
    for _, rules in verdicts.values():
        for rule in rules:
            hits[rule] += 1
    table = Table(title=f"SpamAssassin offline: the rules that hit, of {len(written)} messages")
    for heading in ("points", "rule", "messages", "what it says"):
        table.add_column(heading)
    for hit in sorted(hits, key=lambda hit: (-float(hit[0]), hit[1])):
        table.add_row(hit[0], hit[1], str(hits[hit]), hit[2])
    console.print(table)
    worst = max(verdicts, key=lambda name: verdicts[name][0])
    console.print(f"Highest score: {verdicts[worst][0]} ({worst}).\n{OFFLINE}")

    assert {name: score for name, (score, _) in verdicts.items() if score >= MOST_POINTS} == {}


def _verdicts(judged: str, names: Sequence[str]) -> dict[str, tuple[float, list[tuple[str, str, str]]]]:
    """By message: its score, and the rules that hit with their points. They come in the order they were given."""
    starts = [found.start() for found in _STATUS.finditer(judged)]
    assert len(starts) == len(names)
    verdicts = {}
    for name, start, end in zip(names, starts, [*starts[1:], len(judged)], strict=True):
        part = judged[start:end]
        score = _STATUS.match(part)
        assert score is not None
        rules = [found.groups() for found in map(_RULE.match, part.splitlines()) if found]
        assert rules, f"{name} was not judged"
        verdicts[name] = float(score[1]), [(points, rule, says) for points, rule, says in rules]
    return verdicts


def test_an_html_checker_finds_no_error_in_any_message(written: Sequence[Written], console: Console) -> None:
    (FOLDER / "html").mkdir(exist_ok=True)
    warnings: dict[str, int] = defaultdict(int)
    errors = []
    for message in written:
        file = FOLDER / "html" / f"{message.name}.html"
        file.write_text(message.html, encoding="utf-8")
        checked = subprocess.run(
            [tool("tidy"), "-e", "-q", "-utf8", str(file)], check=False, capture_output=True, text=True
        )
        for line in checked.stderr.splitlines():
            what = re.sub(r"^line \d+ column \d+ - ", "", line)
            if what.startswith("Error"):
                errors.append(f"{message.name}: {line}")
            else:
                warnings[what] += 1
    table = Table(title="What the HTML checker remarks on, as warnings")
    table.add_column("times", justify="right")
    table.add_column("what")
    for what, times in sorted(warnings.items(), key=lambda warning: -warning[1]):
        table.add_row(str(times), what)
    console.print(table)

    assert errors == []


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_no_message_is_wider_than_the_screen(written: Sequence[Written], width: int, tmp_path: Path) -> None:
    measured = _measured(written, width, tmp_path)

    assert set(measured) == {message.name for message in written}
    assert {name: found for name, (found, _) in measured.items() if found > width} == {}


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_pictures_are_taken_to_be_looked_at(written: Sequence[Written], width: int, tmp_path: Path) -> None:
    """The first three samples of each message side by side: alone, several boxes, awkward names."""
    heights = {name: height for name, (_, height) in _measured(written, width, tmp_path).items()}
    (FOLDER / "pictures").mkdir(exist_ok=True)
    sheets: dict[str, list[Written]] = defaultdict(list)
    for message in written:
        sheets[f"{message.kind}-{message.locale}"].append(message)
    for name, messages in sheets.items():
        shown = messages[:3]
        tall = max(heights[message.name] for message in shown)
        sheet, picture = tmp_path / "sheet.html", FOLDER / "pictures" / f"{name}-{width}.png"
        sheet.write_text(_frames(shown, width, tall), encoding="utf-8")
        size = f"--window-size={(width + 10) * len(shown)},{tall + 10}"
        _browse(sheet, tmp_path, size, f"--screenshot={picture}")

        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size > 10_000


def _measured(messages: Sequence[Written], width: int, folder: Path) -> dict[str, tuple[int, int]]:
    """How wide and how high each message is on a screen of a width, by a browser."""
    page = folder / f"all-{width}.html"
    measure = (
        "<script>addEventListener('load', () => {"
        "const found = {};"
        "for (const frame of document.querySelectorAll('iframe')) {"
        "const root = frame.contentDocument.documentElement;"
        "found[frame.title] = [Math.max(root.scrollWidth, frame.contentDocument.body.scrollWidth), root.scrollHeight];}"
        "document.body.textContent = 'found' + JSON.stringify(found) + 'end';});</script>"
    )
    page.write_text(_frames(messages, width, 200) + measure, encoding="utf-8")
    dumped = _browse(page, folder, f"--window-size={max(width, 500)},2000", "--dump-dom")
    found = re.search(r"found(\{.*\})end", dumped)
    assert found is not None, dumped[-2000:]
    return {name: (wide, high) for name, (wide, high) in json.loads(found[1]).items()}


def _frames(messages: Sequence[Written], width: int, height: int) -> str:
    """A page that shows messages side by side, each as on a screen of its own; its styles see that screen's width."""
    frames = (
        f'<iframe title="{escape(message.name)}" srcdoc="{escape(message.html)}" scrolling="no" '
        f'style="width:{width}px;height:{height}px;border:0;margin:0 5px"></iframe>'
        for message in messages
    )
    return (
        f'<!doctype html><meta charset="utf-8"><body style="margin:0;white-space:nowrap;background:#888">'
        f"{''.join(frames)}"
    )


def _browse(page: Path, folder: Path, *options: str) -> str:
    done = subprocess.run(
        [
            tool("chromium"),
            "--headless=new",
            "--no-sandbox",  # the page is ours, and in containers there is no other way
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            f"--user-data-dir={folder / 'profile'}",
            *options,
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout
