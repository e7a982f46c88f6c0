"""Types of single values, and how a section says what is wrong with them.

A value comes from TOML with a type or from the environment as text; both are read here, and
neither leniently: ``true`` is no number, and a price is whole cents.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

_E_MAIL = re.compile(r"[^@\s<>,;:\"]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_TOO_DEAR = 1_000_000
"""Euros. A price like this has lost its decimal point."""

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""What is sent there does not travel."""

DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


def number(value: object) -> object:
    """Anything but a truth value, which Python counts among the numbers."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "must be a number")
    return value


def _list(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise PydanticCustomError("list", "must be a list of whole numbers such as [90, 30]") from None


def names(value: object) -> object:
    """A list of words; in the environment written as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise PydanticCustomError("list", 'must be a list of words such as ["127.0.0.1"]') from None


def _cents(value: object) -> int:
    try:
        euros = Decimal(str(number(value)).strip())
    except InvalidOperation:
        raise PydanticCustomError("money", "must be an amount in euros such as 9.90") from None
    if not euros.is_finite() or not 0 <= euros < _TOO_DEAR or euros != round(euros, 2):
        raise PydanticCustomError("money", "must be an amount in euros with at most two decimals, not negative")
    return int(euros * 100)


def _one_line(value: object) -> object:
    # Some of these become message headers, where a line break would begin another header.
    if isinstance(value, str) and not value.isprintable():
        raise PydanticCustomError("line", "must be one line without control characters")
    return value.strip() if isinstance(value, str) else value


def none_if_empty(value: object) -> object:
    """TOML has no null: an empty text stands for it."""
    return None if value == "" else value


Whole = Annotated[int, BeforeValidator(number)]
Positive = Annotated[int, BeforeValidator(number), Field(ge=1, le=1_000_000)]
Count = Annotated[int, BeforeValidator(number), Field(ge=0, le=1_000_000_000)]
Percent = Annotated[int, BeforeValidator(number), Field(ge=0, le=100)]
WholeNumbers = Annotated[tuple[Whole, ...], BeforeValidator(_list)]
"""In the environment written as JSON: ``[90, 30]``."""
Cents = Annotated[int, BeforeValidator(_cents)]
"""Whole cents here, decimal euros in files and environment."""


def is_cents(field: FieldInfo) -> bool:
    """Whether a field holds whole cents."""
    return any(isinstance(how, BeforeValidator) and how.func is _cents for how in field.metadata)


Line = Annotated[str, Field(max_length=500), BeforeValidator(_one_line)]
Text = Annotated[str, Field(min_length=1, max_length=500), BeforeValidator(_one_line)]


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with the value at a path below its section."""

    at: tuple[str, ...]
    what: str

    def as_error(self) -> PydanticCustomError:
        """The same for pydantic, which would read braces in a message of its own as placeholders."""
        return PydanticCustomError("wrong", "{what}", {"what": self.what})


class Section(BaseModel):
    """A table whose keys are all known and whose values agree with each other."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def contradictions(self) -> Iterator[Wrong]:
        """What is wrong although every value by itself has the right type."""
        return iter(())

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        refuse(type(self).__name__, list(self.contradictions()))
        return self


def refuse(title: str, wrong: Sequence[Wrong]) -> None:
    """Report every problem with its own path, which a plain ValueError in a validator cannot."""
    if wrong:
        details = [InitErrorDetails(type=problem.as_error(), loc=problem.at, input=None) for problem in wrong]
        raise ValidationError.from_exception_data(title, details, hide_input=True)


def web_address(key: str, value: str, placeholders: frozenset[str] = frozenset()) -> Iterator[Wrong]:
    """What keeps `value` from being a web address with none but these placeholders."""
    try:
        pieces = list(string.Formatter().parse(value))
        parts = urlsplit(value)
        _ = parts.port  # it is only read, and refused, when it is asked for
    except ValueError:
        yield Wrong((key,), "must be a web address, with every brace closed and a port up to 65535 if any")
        return
    for _, field, spec, conversion in pieces:
        if field is not None and (field not in placeholders or spec or conversion):
            allowed = " and ".join(f"{{{name}}}" for name in sorted(placeholders)) or "no placeholder"
            yield Wrong((key,), f"has the unknown placeholder {{{field}}}: only {allowed} can be used")
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in value:
        yield Wrong((key,), "must be a web address that begins with https:// or http://")


def e_mail_address(key: str, value: str) -> Iterator[Wrong]:
    """What keeps `value` from being a bare e-mail address."""
    if not _E_MAIL.fullmatch(value):
        yield Wrong((key,), "must be an e-mail address")
