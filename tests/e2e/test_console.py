"""The console in a real browser: every page in both languages, both appearances, on a desk and on a telephone.

What is found is printed and kept in `build/e2e`, pictures included: a person should look at those.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright
from rich.console import Console as Printed
from rich.table import Table

from lifecycle_jobs import clock
from lifecycle_jobs.console import Console
from tests.console.browsing import PASSWORD
from tests.e2e.console_provider import SCRIPT, SPIKE, TODAY, provider, todays_clock
from tests.e2e.tools import FOLDER, tool

pytestmark = pytest.mark.e2e

SIZES = {"desk": (1280, 900), "phone": (390, 844)}
LANGUAGES = ("it", "en")
THEMES = ("light", "dark")

PAGES = (
    "/",
    "/calendar?month=2027-03",
    "/days/2027-03-24",
    "/days/2027-03-24?kind=box.renewed",
    "/days/2030-01-01",
    "/boxes",
    "/boxes?q=s",
    "/boxes/script@pec.example.it",
    "/boxes/luca.neri@pec.example.it",
    "/boxes/spike000@pec.example.it?on=2027-04-02",
    "/messages",
    "/messages?status=failed",
    "/messages/1",
    "/messages/1/resend",
    "/plan?date=2027-03-28",
    "/plan?date=2027-03-30",
    "/forecast",
    "/unresolved",
    "/templates",
    "/templates/box.expiry_alert/it",
    "/stop",
    "/nothing",
)
"""Every page that there is, with something on it."""

SERIOUS = {"serious", "critical"}


@dataclass
class Place:
    """A console, and what it needs to be changed."""

    url: str
    folder: Path
    database: str


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tool("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Place]:
    assert chromium.is_connected()  # it was started by the real clock
    folder = tmp_path_factory.mktemp("console")
    with provider(folder) as (store, settings), todays_clock(), Console(settings, owner="root") as console:
        yield Place(console.url.rstrip("/"), folder, str(store.engine.url))


@dataclass
class Visit:
    """A browser's window with what it asked for and complained of."""

    page: Page
    asked: list[str]
    complaints: list[str]


def visiting(
    chromium: Browser, place: Place, name: str, *, language: str = "en", theme: str = "light", size: str = "desk"
) -> Visit:
    """Somebody who has signed in."""
    width, height = SIZES[size]
    context: BrowserContext = chromium.new_context(
        viewport={"width": width, "height": height},
        locale={"it": "it-IT", "en": "en-GB"}[language],
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    visit = Visit(page, [], [])

    def ask(request: Request) -> None:
        visit.asked.append(request.url)

    page.on("request", ask)
    page.on("console", lambda message: visit.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.goto(f"{place.url}/sign-in")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    expect(page.locator("footer")).to_contain_text(name)
    return visit


def test_every_page_is_sound_for_everybody(chromium: Browser, place: Place) -> None:
    """axe finds nothing serious, nothing is wider than the screen, nothing is asked of another machine."""
    pictures = FOLDER / "console"
    pictures.mkdir(parents=True, exist_ok=True)
    table = Table(title="The console's pages: what axe found (serious or critical), and how long a page took")
    for heading in ("page", "language", "appearance", "screen", "findings", "passes", "ms"):
        table.add_column(heading, justify="right" if heading in {"findings", "passes", "ms"} else "left")
    found: list[str] = []
    for language in LANGUAGES:
        for theme in THEMES:
            for size in SIZES:
                visit = visiting(chromium, place, "olga", language=language, theme=theme, size=size)
                for path in PAGES:
                    before = len(found)
                    visit.page.goto(place.url + path)
                    taken = visit.page.evaluate(
                        "() => { const t = performance.getEntriesByType('navigation')[0];"
                        " return Math.round(t.responseEnd - t.requestStart); }"
                    )
                    name = f"{re.sub('[^a-z0-9]+', '-', path.strip('/')) or 'today'}-{language}-{theme}-{size}"
                    visit.page.screenshot(path=pictures / f"{name}.png", full_page=True)
                    results = Axe().run(visit.page).response
                    serious = [each for each in results["violations"] if each["impact"] in SERIOUS]
                    found += [f"{name}: {each['id']}: {each['nodes'][0]['html']}" for each in serious]
                    if visit.page.evaluate("() => document.documentElement.scrollWidth > window.innerWidth"):
                        found.append(f"{name}: wider than the screen")
                    if visit.page.locator("html").get_attribute("lang") != language:
                        found.append(f"{name}: not in {language}")
                    passes = str(len(results["passes"]))
                    table.add_row(path, language, theme, size, str(len(found) - before), passes, str(taken))
                found += [f"asked of another machine: {url}" for url in visit.asked if not url.startswith(place.url)]
                found += [text for text in visit.complaints if "404" not in text]
                visit.page.context.close()
    printed = Printed(record=True, width=130)
    printed.print(table)
    printed.save_text(str(FOLDER / "console.txt"))

    assert found == []


def test_a_run_is_watched_live(chromium: Browser, place: Place) -> None:
    visit = visiting(chromium, place, "vera")
    visit.page.goto(place.url)
    expect(visit.page.locator("#run")).to_contain_text("Run of 28 March 2027")

    running = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.slow_run", place.database, str(place.folder), str(TODAY), str(clock.now())]
    )
    try:
        live = visit.page.locator("#run")
        expect(live).to_contain_text("going on", timeout=30_000)  # an idle page looks every 20 seconds
        first = live.inner_text()
        expect(live).not_to_contain_text("going on", timeout=60_000)  # by itself, without a new page
        assert live.inner_text() != first
    finally:
        assert running.wait(60) in {0, 1}
    visit.page.context.close()


def test_a_viewer_is_refused_what_only_an_operator_may(chromium: Browser, place: Place) -> None:
    visit = visiting(chromium, place, "vera")
    visit.page.goto(f"{place.url}/stop")

    expect(visit.page.locator("main .notice")).to_have_text("Only an operator may do this.")
    expect(visit.page.locator("main button")).to_have_count(0)
    token = visit.page.locator("input[name=token]").first.input_value()
    assert visit.page.request.post(f"{place.url}/stop", form={"token": token, "why": "for fun"}).status == 403
    visit.page.context.close()


def test_everything_is_reached_by_keyboard(chromium: Browser, place: Place) -> None:
    visit = visiting(chromium, place, "olga")
    visit.page.goto(place.url)
    visit.page.keyboard.press("Tab")
    expect(visit.page.locator(":focus")).to_have_text("Skip to the content")
    visit.page.keyboard.press("Enter")
    reached = set()
    for _ in range(60):
        visit.page.keyboard.press("Tab")
        reached.add(visit.page.evaluate("() => document.activeElement.id || document.activeElement.textContent.trim()"))

    assert {"Emergency stop …", "everything", "Sign out", "language", "theme"} <= reached
    visit.page.context.close()


def test_the_emergency_stop_is_thrown_and_taken_back(chromium: Browser, place: Place) -> None:
    visit = visiting(chromium, place, "olga")
    visit.page.goto(place.url)
    visit.page.get_by_role("link", name="Emergency stop …").click()
    visit.page.get_by_label("Why (kept in the history)").fill("double charges?")
    visit.page.get_by_role("button", name="Stop everything").click()
    expect(visit.page.get_by_role("heading", name="The emergency stop is on")).to_be_visible()
    expect(visit.page.locator("main")).to_contain_text("by olga: double charges?")

    visit.page.get_by_role("link", name="Resume …").click()
    visit.page.get_by_role("button", name="Resume").click()
    expect(visit.page.get_by_role("heading", name="The emergency stop is on")).not_to_be_visible()
    visit.page.context.close()


def test_a_box_is_found_and_explained(chromium: Browser, place: Place) -> None:
    visit = visiting(chromium, place, "vera", language="it")
    visit.page.goto(place.url)
    visit.page.fill("#search", "mario.ros")
    visit.page.press("#search", "Enter")

    expect(visit.page).to_have_url(f"{place.url}/boxes/mario.rossi@pec.example.it")
    expect(visit.page.locator(".verdicts")).to_contain_text("pagata fino al 31 marzo 2028: il primo addebito")
    expect(visit.page.locator(".life .coming").first).to_be_visible()
    visit.page.locator(".life a.letter").first.click()
    letter = visit.page.frame_locator("iframe.mail")
    expect(letter.locator("body")).to_contain_text("mario.rossi@pec.example.it")
    visit.page.context.close()


def test_script_in_a_holders_name_is_text_on_the_page_and_in_the_letter(chromium: Browser, place: Place) -> None:
    visit = visiting(chromium, place, "vera")
    visit.page.goto(f"{place.url}/boxes/script@pec.example.it")
    expect(visit.page.locator("main")).to_contain_text(SCRIPT)
    visit.page.locator(".life a.letter").first.click()
    expect(visit.page.frame_locator("iframe.mail").locator("body")).to_contain_text(SCRIPT)

    assert visit.page.title() != "caught"
    assert visit.complaints == []
    visit.page.context.close()


def test_deletions_that_were_refused_are_approved_by_their_plan(chromium: Browser, place: Place) -> None:
    """The last test here: it changes the provider."""
    visit = visiting(chromium, place, "olga")
    page = visit.page
    page.goto(f"{place.url}/plan?date={TODAY}")
    page.get_by_role("button", name="Make the plan").click()
    approve = page.get_by_role("link", name="Approve just what the plan says …")
    expect(approve).to_be_visible(timeout=60_000)  # it appears by itself
    approve.click()
    expect(page.locator("main")).to_contain_text(f"deletions: {SPIKE}")
    page.get_by_label("Why (kept in the history)").fill("seen, and right")
    page.get_by_role("button", name="Approve, and do it now").click()
    expect(page.get_by_role("heading", name="What olga approved was done")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("status")).to_contain_text(f"{SPIKE} deleted")

    page.goto(f"{place.url}/boxes/spike000@pec.example.it")
    expect(page.locator("h1")).to_contain_text("deleted")
    visit.page.context.close()
