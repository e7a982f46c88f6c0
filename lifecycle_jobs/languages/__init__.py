"""What the program says to its operators, in English and in Italian.

A text stands in the code where it is used, in English; the files in `it` give the Italian of each. Where one is missing
the English is said: half a page in the wrong language helps more than no page. `tests/languages` finds every text that
is said anywhere and refuses what has no translation.

What is said to holders is not here: it stands in `templates`, where an operator can reword it.

Why not gettext: its files have to be compiled before they can be read, which a checkout without a build step cannot do.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any, Final, get_args

from lifecycle_jobs.languages.formats import (
    Language,
    day_text,
    money_text,
    month_text,
    number_text,
    share_text,
    short_month_text,
    short_text,
    weekday_name,
)

__all__ = ["LANGUAGES", "Language", "Speech", "spoken"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


def spoken(text: str) -> str:
    """A text that is said elsewhere, marked where it stands so that it is looked for in the translations."""
    return text


class Speech:
    """Says texts in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts = _translations(language)

    def __call__(self, text: str, /, **values: Any) -> str:
        """A text with its values filled in; dates are said in words. Texts from elsewhere are marked by `spoken`.

        Before a date the Italian of a text may ask for an article, which depends on the day: ``{until:al}``.
        """
        said = self._said(text)
        if not values:
            return said
        return said.format(**{name: self._value(value) for name, value in values.items()})

    def count(self, number: int, one: str, many: str) -> str:
        """A number of things, by two texts with ``{n}`` in them, for one and for more (or none)."""
        return self._said(one if number == 1 else many).format(n=self.number(number))

    def day(self, day: date) -> str:
        """A date in words: ``31 March 2027``, ``31 marzo 2027``."""
        return day_text(day, self.language)

    def month(self, day: date) -> str:
        """The month of a date: ``March 2027``, ``marzo 2027``."""
        return month_text(day, self.language)

    def weekday(self, day: date) -> str:
        """The weekday of a date: ``Monday``, ``lunedì``."""
        return weekday_name(day, self.language)

    def euros(self, cents: int) -> str:
        """An amount from whole cents: ``€12.08``, ``12,08 €``."""
        return money_text(cents, self.language)

    def number(self, number: int) -> str:
        """A whole number with its digits grouped: ``12,450``, ``12.450``."""
        return number_text(number, self.language)

    def share(self, share: float) -> str:
        """A part of a whole, from 0 to 1: ``5.0 %``, ``5,0 %``."""
        return share_text(share, self.language)

    def short(self, number: float) -> str:
        """A number as exact as the eye is: ``7.4 M``, ``512 k``, ``83``; in Italian ``7,4 M``."""
        return short_text(number, self.language)

    def short_month(self, day: date) -> str:
        """The month of a date beneath a chart: ``Mar``, ``mar``."""
        return short_month_text(day, self.language)

    def _said(self, text: str) -> str:
        return self._texts.get(text, text)

    def _value(self, value: Any) -> Any:
        return _Day(value, self.language) if isinstance(value, date) else value


@dataclass(frozen=True, slots=True)
class _Day:
    """A date within a text; what stands behind its name's colon is the article before it."""

    day: date
    language: Language

    def __format__(self, article: str) -> str:
        return day_text(self.day, self.language, article)


@cache
def _translations(language: Language) -> Mapping[str, str]:
    if language == "en":
        return {}
    texts: dict[str, str] = {}
    for file in sorted(resources.files(__name__).joinpath(language).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            texts |= tomllib.loads(file.read_text(encoding="utf-8"))
    return texts
