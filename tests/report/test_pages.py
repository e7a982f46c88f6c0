"""The report in words: complete in both languages, its verdict in the subject, and short when all is well."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle_jobs.data import data_folder
from lifecycle_jobs.mail.contents import LOCALES, Locale
from lifecycle_jobs.mail.render import Problem
from lifecycle_jobs.report.contents import DailyReport
from lifecycle_jobs.report.pages import FOLDER, ReportPages, check_templates
from lifecycle_jobs.report.samples import BUSY, MISSING, QUIET, SAMPLES
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.status import Listing
from tests.daily import settings_for


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


@pytest.fixture
def pages(settings: Settings) -> ReportPages:
    return ReportPages(settings)


def put(folder: Path, path: str, text: str) -> None:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("report", "italian", "english"),
    [
        (QUIET, "OK: rapporto del 24 marzo 2027", "OK: report of 24 March 2027"),
        (MISSING, "una cosa da vedere: rapporto del 24 marzo 2027", "one thing to look at: report of 24 March 2027"),
        (
            BUSY,
            "20 cose da vedere: rapporto del 24 marzo 2027 – ARRESTO DI EMERGENZA",
            "20 things to look at: report of 24 March 2027 – EMERGENCY STOP",
        ),
    ],
)
def test_the_subject_says_the_verdict(pages: ReportPages, report: DailyReport, italian: str, english: str) -> None:
    assert pages.render(report, "it").subject == italian
    assert pages.render(report, "en").subject == english


@pytest.mark.parametrize(("locale", "credit"), [("it", "credito prepagato"), ("en", "prepaid credit")])
def test_money_that_is_for_no_box_is_called_by_what_it_is_for(pages: ReportPages, locale: Locale, credit: str) -> None:
    def for_no_box(listed: Listing, **also: object) -> Listing:
        return replace(listed, rows=[row | {"address": None, **also} for row in listed.rows])

    report = replace(
        BUSY, unresolved=for_no_box(BUSY.unresolved), refunds_due=for_no_box(BUSY.refunds_due, order_number=None)
    )
    rendered = pages.render(report, locale)

    for text in (rendered.text, rendered.html):
        assert credit in text
        assert "None" not in text


@pytest.mark.parametrize("locale", LOCALES)
def test_a_good_report_of_a_quiet_day_is_short(pages: ReportPages, locale: Locale) -> None:
    text = pages.render(replace(QUIET, coming=[]), locale).text

    assert len(text.splitlines()) < 20


@pytest.mark.parametrize("locale", LOCALES)
def test_everything_that_waits_is_named_in_text_and_html(pages: ReportPages, locale: Locale) -> None:
    _, text, html = pages.render(BUSY, locale)

    listings = (BUSY.deletions, BUSY.refunds_due, BUSY.unresolved, BUSY.not_attempted, BUSY.held_back)
    named = [row["address"] for listing in listings for row in listing.rows]
    named += ["box:17", "evt_1", "evt_2", "evt_3", "CRO 123", "c2", "130 boxes are due for deletion", "anna"]
    for name in named:
        assert name in text
        assert name in html
    assert "501" in text
    assert "no <good>" in text
    assert "no &lt;good&gt;" in html


@pytest.mark.parametrize("locale", LOCALES)
def test_the_stop_and_the_gap_come_before_everything_else(pages: ReportPages, locale: Locale) -> None:
    _, text, html = pages.render(BUSY, locale)

    for part in (" ".join(text.split()), html.partition("<h1")[2]):
        assert part.index("lifecycle-jobs resume") < part.index("lifecycle-jobs confirm-gap") < part.index("box:17")


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("report", SAMPLES, ids=["quiet", "busy", "missing"])
def test_a_text_line_fits_a_terminal(pages: ReportPages, report: DailyReport, locale: Locale) -> None:
    text = pages.render(report, locale).text

    assert [line for line in text.splitlines() if len(line) > 76 and " " in line.strip()] == []
    assert "None" not in text
    assert not re.search(r"[ \t]\n|\n\n\n", text)


def test_the_shipped_templates_are_in_order() -> None:
    assert check_templates(None) == []


def test_an_operator_may_replace_the_words_of_the_report(settings: Settings, tmp_path: Path) -> None:
    own = tmp_path / "own"
    words = (data_folder("templates") / FOLDER / "it/words.txt").read_text("utf-8")
    put(own, f"{FOLDER}/it/words.txt", words.replace("Caselle rinnovate", "Rinnovi riusciti"))
    put(own, f"{FOLDER}/it/notes.txt", "used by nobody")
    templates = settings.templates.model_copy(update={"directory": own})

    text = ReportPages(settings.model_copy(update={"templates": templates})).render(QUIET, "it").text

    assert "Rinnovi riusciti" in text
    assert check_templates(own) == [Problem(f"{FOLDER}/it/notes.txt", None, "no message uses this file")]


def test_a_mistake_in_the_operators_report_is_named_by_file_and_line(tmp_path: Path) -> None:
    own = tmp_path / "own"
    put(own, f"{FOLDER}/en/subject.txt", "Report\n{{ report.nonsense }}")
    put(own, f"{FOLDER}/it/subject.txt", "{{ holder.name }}")

    problems = check_templates(own)

    assert [(problem.file, problem.line) for problem in problems] == [
        (f"{FOLDER}/it/subject.txt", None),
        (f"{FOLDER}/en/subject.txt", 2),
    ]
    assert "cannot use holder" in problems[0].reason
