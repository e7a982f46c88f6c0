"""The words of one language that templates share: counts, add-ons, payment methods, declines.

They stand in ``templates/_base/<locale>/words.toml``, beside the templates, so that an operator can reword them
in the same way. Every key that a template may ask for is read when the file is: a missing one is found at start-up.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from lifecycle_jobs.languages.payment_methods import brand_name
from lifecycle_jobs.mail.advice import only_by_hand
from lifecycle_jobs.mail.contents import ADVICES, ChargeDeclinedLine
from lifecycle_jobs.mail.methods import PaymentMethodText

_COUNTS: Final = ("days", "years", "boxes", "addons")
_WHEN: Final = ("today", "tomorrow", "later")
_METHODS: Final = ("card", "card_of_brand", "ending", "paypal", "credit", "agreement", "by_hand")


class WordsError(ValueError):
    """A words file lacks something or has it in the wrong shape; the message names the table and key."""


@dataclass(frozen=True, slots=True)
class Words:
    """The shared words of one language. ``{n}``, ``{brand}`` and ``{last4}`` in them are filled in here."""

    counts: Mapping[str, tuple[str, str]]
    when: Mapping[str, str]
    addons: Mapping[str, str]
    methods: Mapping[str, str]
    declines: Mapping[str, str]
    advice: Mapping[str, str]
    advice_by_hand: Mapping[str, str]

    def count(self, kind: str, n: int) -> str:
        """A number of things, singular or plural: ``1 giorno``, ``2 giorni``."""
        one, many = self.counts[kind]
        return (one if n == 1 else many).format(n=n)

    def in_days(self, n: int) -> str:
        """How far off a day is: ``oggi``, ``domani``, ``tra 7 giorni``. A day gone by counts as today."""
        if n <= 0:
            return self.when["today"]
        return self.when["tomorrow"] if n == 1 else self.when["later"].format(n=n)

    def addon(self, kind: str, quantity: int) -> str:
        """An add-on in words. A kind that the file does not know is called by its own name."""
        known = self.addons.get(kind)
        if known is not None:
            return known.format(n=quantity)
        name = kind.replace("_", " ")
        return name if quantity == 1 else f"{name} × {quantity}"

    def method(self, method: PaymentMethodText | None) -> str:
        """A payment method in words: ``carta Visa che termina con 4242``. ``None`` was paid by hand."""
        if method is None:
            return self.methods["by_hand"]
        text = self.methods[method.kind]
        if method.kind == "card" and method.brand:
            text = self.methods["card_of_brand"].format(brand=brand_name(method.brand))
        return f"{text} {self.methods['ending'].format(last4=method.last4)}" if method.last4 else text

    def reason(self, line: ChargeDeclinedLine) -> str:
        """Why a charge was declined, as a sentence for the holder."""
        return _of_method(self.declines, line.code, line) or _of_method(self.declines, "other", line)

    def what_helps(self, line: ChargeDeclinedLine, on: date) -> str:
        """What the holder can do about a declined charge on the day the message is written, in a sentence or two."""
        return _of_method(self.advice_by_hand if only_by_hand(line, on) else self.advice, line.advice, line)


def read_words(text: str) -> Words:
    """The words in a words file. Raises `WordsError` if one is missing or has an unknown placeholder."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WordsError(str(error)) from error
    return Words(
        counts={key: _pair(tables, key) for key in _COUNTS},
        when=_texts(tables, "when", _WHEN),
        addons=_texts(tables, "addons", ()),
        methods=_texts(tables, "methods", _METHODS),
        declines=_texts(tables, "declines", ("other",)),
        advice=_texts(tables, "advice", ADVICES),
        advice_by_hand=_texts(tables, "advice_by_hand", ADVICES),
    )


def _of_method(words: Mapping[str, str], key: str, line: ChargeDeclinedLine) -> str:
    """The words for a key: those for the kind of payment method where there are any; empty if there are none."""
    return words.get(f"{key}_{line.method.kind}") or words.get(key, "")


def _pair(tables: Mapping[str, object], key: str) -> tuple[str, str]:
    counts = tables.get("counts")
    match counts.get(key) if isinstance(counts, dict) else None:
        case [str(one), str(many)]:
            return _fillable(one, f"counts.{key}"), _fillable(many, f"counts.{key}")
    raise WordsError(f"counts.{key} must be a singular and a plural")


def _texts(tables: Mapping[str, object], table: str, needed: tuple[str, ...]) -> dict[str, str]:
    entries = tables.get(table)
    if not isinstance(entries, dict):
        raise WordsError(f"table [{table}] is missing")
    for key in needed:
        if key not in entries:
            raise WordsError(f"{table}.{key} is missing")
    for key, value in entries.items():
        if not isinstance(value, str) or not value:
            raise WordsError(f"{table}.{key} must be a text")
        _fillable(value, f"{table}.{key}")
    return entries


def _fillable(text: str, key: str) -> str:
    try:
        text.format(n=2, brand="Visa", last4="4242")
    except (LookupError, ValueError) as error:
        raise WordsError(f"{key}: only {{n}}, {{brand}} and {{last4}} can be filled in") from error
    return text
