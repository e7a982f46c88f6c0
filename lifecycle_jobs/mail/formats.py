"""Weekdays and amounts of space as the holder's language writes them (SPEC §4)."""

from __future__ import annotations

from datetime import date

from babel.dates import format_date
from babel.numbers import format_decimal

from lifecycle_jobs.languages.formats import BABEL, number_text
from lifecycle_jobs.mail.contents import Locale
from lifecycle_jobs.policy import MB_PER_GB


def weekday_text(day: date, locale: Locale) -> str:
    """A date of these days with its weekday: ``mercoledì 31 marzo``, ``Wednesday 31 March``."""
    return format_date(day, "EEEE d MMMM", locale=BABEL[locale])


def gigabytes_text(megabytes: int, locale: Locale) -> str:
    """An amount of space: ``2,3 GB``; less than a tenth of one in ``MB``."""
    if megabytes < MB_PER_GB // 10:
        return f"{number_text(megabytes, locale)} MB"
    return f"{format_decimal(round(megabytes / MB_PER_GB, 1), locale=BABEL[locale])} GB"
