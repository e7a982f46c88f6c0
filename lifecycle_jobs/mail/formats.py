"""Dates and amounts as the holder's language writes them (SPEC §2, §4), remembered once formatted.

A run writes the same few hundred dates and prices into many thousands of messages, and asking Babel costs
more than the rest of a template.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from lifecycle_jobs.mail.contents import Locale
from lifecycle_jobs.policy import MB_PER_GB

_CENT: Final = Decimal("0.01")

# British English, not the plain "en" of Babel, which is American: 31 March 2027.
_BABEL: Final[dict[Locale, str]] = {"it": "it_IT", "en": "en_GB"}

# Italian elides the article before a day whose name starts with a vowel: l'otto, l'undici.
_ELIDED: Final = {"il": "l’", "al": "all’", "dal": "dall’", "del": "dell’"}
_VOWEL_DAYS: Final = frozenset({8, 11})


@lru_cache(maxsize=8192)
def day_text(day: date, locale: Locale, article: str = "") -> str:
    """A date in words: ``31 marzo 2027``, ``31 March 2027``.

    ``article`` is put in front as the language wants it: ``dal 31 marzo 2027``, but ``dall’8 marzo 2027``.
    The first of a month is ``1º`` in Italian. A capital first letter of the article is kept.
    """
    text = format_date(day, "long", locale=_BABEL[locale])
    if locale == "it":
        if day.day == 1:
            text = f"1º{text[1:]}"
        elided = _ELIDED.get(article.lower()) if day.day in _VOWEL_DAYS else None
        if elided is not None:
            return (elided.capitalize() if article[0].isupper() else elided) + text
    return f"{article} {text}" if article else text


def weekday_text(day: date, locale: Locale) -> str:
    """A date of these days with its weekday: ``mercoledì 31 marzo``, ``Wednesday 31 March``."""
    return format_date(day, "EEEE d MMMM", locale=_BABEL[locale])


@lru_cache(maxsize=8192)
def money_text(cents: int, locale: Locale) -> str:
    """An amount in euro from whole cents: ``12,08 €`` (with a space that does not break), ``€12.08``."""
    return format_currency(cents * _CENT, "EUR", locale=_BABEL[locale])


def gigabytes_text(megabytes: int, locale: Locale) -> str:
    """An amount of space: ``2,3 GB``; less than a tenth of one in ``MB``."""
    if megabytes < MB_PER_GB // 10:
        return f"{number_text(megabytes, locale)} MB"
    return f"{format_decimal(round(megabytes / MB_PER_GB, 1), locale=_BABEL[locale])} GB"


@lru_cache(maxsize=8192)
def number_text(number: int, locale: Locale) -> str:
    """A whole number as the language groups its digits: ``12.450``, ``12,450``."""
    return format_decimal(number, locale=_BABEL[locale])
