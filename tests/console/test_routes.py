"""Every page wants somebody who is signed in, and every action an operator with a form of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.routing import Route

from lifecycle_jobs.console.app import make_app
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import Pages
from lifecycle_jobs.console.visitors import Visitors
from lifecycle_jobs.console.work import Work
from lifecycle_jobs.db.session import Store
from tests.console.browsing import Browser, console_settings

OPEN = {"/static/{name}", "/sign-in", "/sign-out", "/enter", "/preferences"}
"""What can be asked for without being signed in."""

SOMETHING = "something"
"""For each part of a path that stands for a thing."""


@pytest.fixture
def routes(sqlite_store: Store, tmp_path: Path) -> list[tuple[str, str]]:
    """Every path but those with its method."""
    settings = console_settings(tmp_path, sqlite_store)
    visitors = Visitors(settings.console, key=None, owner="root")
    office = Office(sqlite_store, settings, visitors, Pages("Esempio", settings.zone), Work())
    found = []
    for route in make_app(office, frozenset()).routes:
        assert isinstance(route, Route)
        if route.path not in OPEN:
            (method,) = (route.methods or set()) - {"HEAD"}
            path = "/".join(SOMETHING if part.startswith("{") else part for part in route.path.split("/"))
            found.append((method, path))
    return found


def test_whoever_is_not_signed_in_gets_no_page_and_acts_on_nothing(
    stranger: Browser, routes: list[tuple[str, str]]
) -> None:
    token = stranger.token()
    for method, path in routes:
        answer = stranger.get(path) if method == "GET" else stranger.fill_in(path, {"why": "x"}, token=token)
        assert "/sign-in?next=" in answer.url, (method, path)


def test_a_viewer_acts_on_nothing(viewer: Browser, routes: list[tuple[str, str]]) -> None:
    token = viewer.token()
    refused = [path for method, path in routes if method == "POST"]
    for path in refused:
        answer = viewer.fill_in(path, {"why": "x"}, token=token)
        assert answer.status_code == 403, path
        assert "Only an operator may do this." in answer.text, path
    assert "/stop" in refused


def test_an_operator_acts_by_a_form_of_this_session_only(operator: Browser, routes: list[tuple[str, str]]) -> None:
    other = Browser(operator.url)
    for token in ("", "guessed", other.token()):
        for method, path in routes:
            if method == "POST":
                answer = operator.fill_in(path, {"why": "x"}, token=token)
                assert (answer.status_code, "too old" in answer.text) == (403, True), path


def test_a_part_of_a_page_that_is_asked_for_after_the_session_leads_to_signing_in(stranger: Browser) -> None:
    answer = stranger.get("/today/live", **{"HX-Request": "true"})

    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in")


@pytest.mark.parametrize("there", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_nowhere_else(url: str, there: str) -> None:
    browser = Browser(url)
    answer = browser.fill_in(
        "/sign-in", {"name": "vera", "password": "correct horse battery", "next": there}, stay=True
    )

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_signing_in_leads_to_the_page_that_was_asked_for(url: str) -> None:
    browser = Browser(url)
    asked = browser.get("/calendar")
    assert asked.url == f"{url}/sign-in?next=/calendar"

    answer = browser.fill_in("/sign-in", {"name": "vera", "password": "correct horse battery", "next": "/calendar"})

    assert answer.url == f"{url}/calendar"


def test_who_signs_in_or_chooses_a_language_comes_back_to_all_that_was_asked(url: str) -> None:
    browser = Browser(url)
    assert browser.get("/plan?date=2027-03-24").url == f"{url}/sign-in?next=/plan%3Fdate%3D2027-03-24"
    browser.sign_in("vera")

    assert 'name="back" value="/plan?date=2027-03-24"' in browser.get("/plan?date=2027-03-24").text


def test_a_page_that_answers_a_form_leads_back_to_one_that_can_be_asked_for(operator: Browser) -> None:
    answer = operator.fill_in("/stop", {"why": " "})

    assert (answer.status_code, 'name="back" value="/"' in answer.text) == (422, True)


def test_signing_out_ends_the_session(viewer: Browser) -> None:
    viewer.fill_in("/sign-out", {})

    assert viewer.get("/").url.endswith("/sign-in?next=/")


def test_language_and_appearance_are_kept(viewer: Browser) -> None:
    viewer.fill_in("/preferences", {"language": "it", "theme": "dark", "back": "/calendar"})

    page = viewer.get("/").text
    assert '<html lang="it" data-theme="dark">' in page
    assert "Aspetta una persona" in page
