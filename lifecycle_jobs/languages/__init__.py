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
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final, Literal, get_args

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

Language = Literal["en", "it"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

# British English, not Babel's plain "en", which is American: 31 March 2027.
_BABEL: Final[Mapping[Language, str]] = {"en": "en_GB", "it": "it_IT"}


def spoken(text: str) -> str:
    """A text that is said elsewhere, marked where it stands so that it is looked for in the translations."""
    return text


class Speech:
    """Says texts in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts = _translations(language)

    def __call__(self, text: str, /, **values: Any) -> str:
        """A text with its values filled in; dates are said in words. Texts from elsewhere are marked by `spoken`."""
        said = self._texts.get(text, text)
        if not values:
            return said
        return said.format(**{name: self._said(value) for name, value in values.items()})

    def count(self, number: int, one: str, many: str) -> str:
        """A number of things, by two texts with ``{n}`` in them, for one and for more (or none)."""
        return self._texts.get(text := one if number == 1 else many, text).format(n=self.number(number))

    def day(self, day: date) -> str:
        """A date in words: ``31 March 2027``, ``31 marzo 2027``."""
        return _day(day, self.language)

    def month(self, day: date) -> str:
        """The month of a date: ``March 2027``, ``marzo 2027``."""
        return format_date(day, "LLLL y", locale=_BABEL[self.language])

    def weekday(self, day: date) -> str:
        """The weekday of a date: ``Monday``, ``lunedì``."""
        return format_date(day, "EEEE", locale=_BABEL[self.language])

    def euros(self, cents: int) -> str:
        """An amount from whole cents: ``€12.08``, ``12,08 €``."""
        return format_currency(Decimal(cents) / 100, "EUR", locale=_BABEL[self.language])

    def number(self, number: int) -> str:
        """A whole number with its digits grouped: ``12,450``, ``12.450``."""
        return format_decimal(number, locale=_BABEL[self.language])

    def _said(self, value: Any) -> Any:
        return self.day(value) if isinstance(value, date) else value


@lru_cache(maxsize=8192)
def _day(day: date, language: Language) -> str:
    text = format_date(day, "long", locale=_BABEL[language])
    return f"1º{text[1:]}" if language == "it" and day.day == 1 else text


@cache
def _translations(language: Language) -> Mapping[str, str]:
    if language == "en":
        return {}
    texts: dict[str, str] = {}
    for file in sorted(resources.files(__name__).joinpath(language).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            texts |= tomllib.loads(file.read_text(encoding="utf-8"))
    return texts
