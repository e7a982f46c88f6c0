"""Whatever is said to an operator can be said in Italian, with the same values."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from string import Formatter

from babel.messages.extract import extract_from_dir

import lifecycle_jobs
from lifecycle_jobs.languages import Speech

PACKAGE = Path(lifecycle_jobs.__file__).parent
METHODS = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract")]
KEYWORDS = {"spoken": None, "speech": None, "t": None, "count": (2, 3)}


def said() -> set[str]:
    """Every text that the code or a page says."""
    found = set()
    options = {"**.html": {"silent": "false"}}
    for _, _, texts, _, _ in extract_from_dir(PACKAGE, METHODS, options, keywords=KEYWORDS):
        found |= {text for text in ([texts] if isinstance(texts, str) else texts) if text}
    return found


def translations() -> Iterator[tuple[str, str]]:
    for file in (PACKAGE / "languages" / "it").glob("*.toml"):
        yield from tomllib.loads(file.read_text()).items()


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_everything_that_is_said_has_its_italian_and_nothing_else_has() -> None:
    assert said() == {text for text, _ in translations()}


def test_no_text_is_translated_twice() -> None:
    assert [text for text, times in Counter(text for text, _ in translations()).items() if times > 1] == []


def test_a_translation_fills_in_the_same_values() -> None:
    assert [text for text, italian in translations() if fields(text) != fields(italian)] == []


def test_only_articles_stand_behind_a_colon() -> None:
    asked = {article for _, italian in translations() for _, _, article, _ in Formatter().parse(italian) if article}

    assert asked <= {"il", "al", "dal", "del", "Il", "Al", "Dal", "Del"}


def test_a_date_in_a_text_gets_its_article_where_the_language_has_one() -> None:
    class Speaking(Speech):
        def _said(self, _text: str) -> str:
            return "dura fino {day:al}"

    assert Speaking("it")("lasts until {day}", day=date(2027, 3, 11)) == "dura fino all’11 marzo 2027"
    assert Speech("en")("lasts until {day}", day=date(2027, 3, 11)) == "lasts until 11 March 2027"


def test_dates_amounts_and_numbers_are_said_as_the_language_does() -> None:
    english, italian = Speech("en"), Speech("it")

    assert english("{day}", day=date(2027, 3, 1)) == "1 March 2027"
    assert italian("{day}", day=date(2027, 3, 1)) == "1º marzo 2027"
    assert (english.euros(123456), italian.euros(123456)) == ("€1,234.56", "1.234,56\xa0€")
    assert (english.number(12450), italian.number(12450)) == ("12,450", "12.450")


def test_what_has_no_translation_is_said_in_english() -> None:
    assert Speech("it")("Nobody has thought of {this}.", this=1) == "Nobody has thought of 1."
