"""Dates, amounts and numbers as a language writes them, remembered once formatted.

A run writes the same few hundred dates and prices into many thousands of messages, and asking Babel costs more than the
rest of a text. Babel is imported where it is asked: most commands say nothing that needs it, and start sooner without.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal

Language = Literal["en", "it"]

# British English, not the plain "en" of Babel, which is American: 31 March 2027.
BABEL: Final[Mapping[Language, str]] = {"en": "en_GB", "it": "it_IT"}

_CENT: Final = Decimal("0.01")

# Italian elides the article before a day whose name starts with a vowel: l'otto, l'undici.
_ELIDED: Final = {"il": "l’", "al": "all’", "dal": "dall’", "del": "dell’"}
_VOWEL_DAYS: Final = frozenset({8, 11})


@lru_cache(maxsize=8192)
def day_text(day: date, language: Language, article: str = "") -> str:
    """A date in words: ``31 marzo 2027``, ``31 March 2027``.

    ``article`` is put in front as the language wants it: ``dal 31 marzo 2027``, but ``dall’8 marzo 2027``.
    The first of a month is ``1º`` in Italian. A capital first letter of the article is kept.
    """
    from babel.dates import format_date

    text = format_date(day, "long", locale=BABEL[language])
    if language == "it":
        if day.day == 1:
            text = f"1º{text[1:]}"
        elided = _ELIDED.get(article.lower()) if day.day in _VOWEL_DAYS else None
        if elided is not None:
            return (elided.capitalize() if article[0].isupper() else elided) + text
    return f"{article} {text}" if article else text


def month_text(day: date, language: Language) -> str:
    """The month of a date: ``marzo 2027``, ``March 2027``."""
    from babel.dates import format_date

    return format_date(day, "LLLL y", locale=BABEL[language])


def weekday_name(day: date, language: Language) -> str:
    """The weekday of a date: ``lunedì``, ``Monday``."""
    from babel.dates import format_date

    return format_date(day, "EEEE", locale=BABEL[language])


@lru_cache(maxsize=8192)
def money_text(cents: int, language: Language) -> str:
    """An amount in euro from whole cents: ``12,08 €`` (with a space that does not break), ``€12.08``."""
    from babel.numbers import format_currency

    return format_currency(cents * _CENT, "EUR", locale=BABEL[language])


@lru_cache(maxsize=8192)
def number_text(number: int, language: Language) -> str:
    """A whole number as the language groups its digits: ``12.450``, ``12,450``."""
    from babel.numbers import format_decimal

    return format_decimal(number, locale=BABEL[language])


def share_text(share: float, language: Language) -> str:
    """A part of a whole, from 0 to 1: ``5.0 %``, ``5,0 %``."""
    return f"{_point(f'{share * 100:.1f}', language)} %"


_THREE_DIGITS: Final = 100
"""From here on a decimal is more than the eye asks for."""


def short_text(number: float, language: Language) -> str:
    """A number as exact as the eye is: ``7.4 M``, ``512 k``, ``83``; in Italian ``7,4 M``."""
    for divisor, unit in ((1e6, "M"), (1e3, "k")):
        if abs(number) >= divisor * (1 if unit == "M" else 10):
            shown = number / divisor
            return f"{_point(f'{shown:.{1 if abs(shown) < _THREE_DIGITS else 0}f}', language)} {unit}"
    return number_text(round(number), language)


@lru_cache(maxsize=1024)
def short_month_text(day: date, language: Language) -> str:
    """The month of a date beneath a chart: ``Mar``, ``mar``."""
    from babel.dates import format_date

    return format_date(day, "LLL", locale=BABEL[language])


def _point(number: str, language: Language) -> str:
    return number.replace(".", ",") if language == "it" else number
