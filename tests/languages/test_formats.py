"""Dates and amounts as each language writes them."""

from __future__ import annotations

from datetime import date

import pytest

from lifecycle_jobs.languages.formats import day_text, money_text


@pytest.mark.parametrize(
    ("day", "article", "italian"),
    [
        (date(2027, 3, 31), "", "31 marzo 2027"),
        (date(2027, 4, 1), "dal", "dal 1º aprile 2027"),
        (date(2027, 4, 8), "il", "l’8 aprile 2027"),
        (date(2027, 4, 11), "Dal", "Dall’11 aprile 2027"),
        (date(2027, 4, 18), "al", "al 18 aprile 2027"),
        (date(2028, 2, 29), "del", "del 29 febbraio 2028"),
    ],
)
def test_italian_dates_are_written_out_with_their_article(day: date, article: str, italian: str) -> None:
    assert day_text(day, "it", article) == italian


def test_english_dates_are_british() -> None:
    assert day_text(date(2027, 3, 31), "en") == "31 March 2027"


@pytest.mark.parametrize(
    ("cents", "italian", "english"),
    [(1208, "12,08 €", "€12.08"), (0, "0,00 €", "€0.00"), (5, "0,05 €", "€0.05"), (123456, "1.234,56 €", "€1,234.56")],
)
def test_amounts_are_written_as_the_language_does(cents: int, italian: str, english: str) -> None:
    assert money_text(cents, "it") == italian.replace(" ", "\u00a0")
    assert money_text(cents, "en") == english
