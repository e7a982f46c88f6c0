"""What holds for every answer, whoever asks."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from lifecycle_jobs.console.guard import hosts_of
from tests.console.browsing import Browser


@pytest.mark.parametrize("path", ["/", "/sign-in", "/static/console.css", "/nothing", "/calendar"])
def test_nothing_from_elsewhere_is_loaded_or_run_and_no_frame_shows_it(stranger: Browser, path: str) -> None:
    headers = stranger.get(path).headers

    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "server" not in headers


def test_pages_are_not_kept_by_the_browser_but_style_and_script_are(viewer: Browser) -> None:
    assert viewer.get("/").headers["Cache-Control"] == "no-store"
    assert "immutable" in viewer.get("/static/console.css").headers["Cache-Control"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "console.example.it", ""])
def test_under_another_name_nothing_is_answered(viewer: Browser, host: str) -> None:
    assert viewer.get("/", Host=host).status_code == 403


def test_the_name_of_the_proxy_is_ours_too() -> None:
    assert hosts_of("10.0.0.5:8470", "https://console.example.it") == {
        "localhost",
        "127.0.0.1",
        "[::1]",
        "10.0.0.5",
        "console.example.it",
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=["another origin", "no origin to speak of", "no address at all", "another site"],
)
def test_a_form_from_another_site_is_refused(operator: Browser, headers: dict[str, str]) -> None:
    answer = operator.fill_in("/stop", {"why": "fun"}, headers=headers)

    assert (answer.status_code, answer.text) == (403, "This form comes from another site.")
    assert "The emergency stop is on" not in operator.read("/")


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/README.md", "/static/no.css"])
def test_only_style_and_script_are_given_out_as_files(stranger: Browser, path: str) -> None:
    assert stranger.get(path).status_code == 404


def test_the_log_of_a_page_that_failed_names_no_box(viewer: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("lifecycle_jobs.console.boxes.explain", fail)
    with capture_logs() as lines:
        assert viewer.get("/boxes/anna.rossi@pec.example.it").status_code == 500

    assert [(line["page"], line["error"]) for line in lines] == [("/boxes/{address:path}", "ZeroDivisionError")]
    assert "anna.rossi" not in str(lines)
