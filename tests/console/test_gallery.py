"""Every message can be looked at, in both languages."""

from __future__ import annotations

import pytest

from lifecycle_jobs.mail.contents import LOCALES, MESSAGE_KINDS
from tests.console.browsing import Browser


def test_every_message_is_there_in_both_languages(viewer: Browser) -> None:
    page = viewer.get("/templates").text

    for kind in MESSAGE_KINDS:
        for locale in LOCALES:
            assert f'href="/templates/{kind}/{locale}"' in page


def test_a_message_is_shown_from_its_sample(viewer: Browser) -> None:
    italian = viewer.get("/templates/box.expiry_alert/it").text
    letter = viewer.get("/templates/box.expiry_alert/en/letter")

    assert '<iframe class="mail" src="/templates/box.expiry_alert/it/letter" sandbox' in italian
    assert "expires" in letter.text
    assert "sandbox" in letter.headers["Content-Security-Policy"]


@pytest.mark.parametrize(("day", "said"), [("quiet", "24 March 2027"), ("busy", "24 March 2027"), ("missing", "run")])
def test_the_daily_report_to_the_staff_is_shown_too(viewer: Browser, day: str, said: str) -> None:
    assert f'href="/templates/report/{day}/en"' in viewer.get("/templates").text

    page = viewer.get(f"/templates/report/{day}/en").text
    report = viewer.get(f"/templates/report/{day}/en/letter")

    assert f'src="/templates/report/{day}/en/letter"' in page
    assert said in report.text
    assert "sandbox" in report.headers["Content-Security-Policy"]


def test_what_is_no_message_is_said_so(viewer: Browser) -> None:
    for path in (
        "/templates/box.nothing/it",
        "/templates/box.expiry_alert/fr",
        "/templates/_base/it/letter",
        "/templates/report/x/it",
    ):
        assert viewer.get(path).status_code == 409
