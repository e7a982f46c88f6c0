"""Reads the detail of an event, which is JSON: amounts are decimal euros, dates ISO texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from lifecycle_jobs.mail.facts import Event

_T = TypeVar("_T")


class Unreadable(Exception):
    """An event lacks something that its line must say."""


class Detail:
    """The detail of an event, as the job wrote it; every reader raises Unreadable where it has no valid value."""

    def __init__(self, event: Event) -> None:
        self._event_id = event.id
        self._values = event.detail

    def text(self, key: str) -> str:
        """A text that must be there."""
        return self._read(key, _as_text)

    def optional_text(self, key: str) -> str | None:
        """A text, or None where there is none."""
        return None if self._values.get(key) is None else self.text(key)

    def flag(self, key: str) -> bool:
        """Yes or no."""
        return self._read(key, _as_flag)

    def number(self, key: str) -> int:
        """A whole number."""
        return self._read(key, int)

    def optional_number(self, key: str) -> int | None:
        """A whole number, or None where there is none."""
        return None if self._values.get(key) is None else self.number(key)

    def cents(self, key: str) -> int:
        """An amount in whole euro cents."""
        return self._read(key, _as_cents)

    def day(self, key: str) -> date:
        """A date that must be there."""
        return self._read(key, date.fromisoformat)

    def optional_day(self, key: str) -> date | None:
        """A date, or None where there is none."""
        return None if self._values.get(key) is None else self.day(key)

    def quantities(self, key: str) -> list[tuple[str, int]]:
        """How much of what, by kind."""
        return self._read(key, _as_quantities)

    def _read(self, key: str, read: Callable[[Any], _T]) -> _T:
        try:
            return read(self._values[key])
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise Unreadable(f"the detail of event {self._event_id} has no valid {key}") from error


def _as_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _as_flag(value: object) -> bool:
    # SQLite's json_object knows no booleans: what was written on the server comes back as 0 or 1.
    if value not in (0, 1):
        raise TypeError
    return bool(value)


def _as_cents(value: str) -> int:
    cents = Decimal(value) * 100
    if cents != int(cents):
        raise ValueError
    return int(cents)


def _as_quantities(value: Mapping[str, object]) -> list[tuple[str, int]]:
    if not all(isinstance(number, int) for number in value.values()):
        raise TypeError
    return [(kind, int(str(number))) for kind, number in sorted(value.items())]
