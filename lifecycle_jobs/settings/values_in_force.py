"""Every value in force as an operator would write it, with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from lifecycle_jobs.settings.layers import Loaded
from lifecycle_jobs.settings.values import is_cents

HIDDEN: Final = "(hidden)"
"""Stands for a secret that is set."""

_TELLING_ADDRESSES: Final = {("webhooks", "url"), ("monitoring", "heartbeat_url")}
"""Of these only scheme and host are shown: the rest is how the other side knows us."""

_STARS: Final = "***"
"""SQLAlchemy's own word for a hidden password."""

_PASSWORDS: Final = {"password", "sslpassword"}
"""Of the parameters in the query of a database URL."""


@dataclass(frozen=True, slots=True)
class ValueInForce:
    """A key, its value in the units of the files, and the layer that gave it."""

    key: str
    value: Any
    origin: str


def values_in_force(loaded: Loaded) -> list[ValueInForce]:
    """All of them, in the order of the sections.

    Secrets are hidden, and so is what web addresses and the database URL may hold of them.
    """
    return [
        ValueInForce(".".join(path), _written(path, field, value), loaded.origin(*path))
        for path, field, value in _leaves(loaded.settings, ())
    ]


def _leaves(model: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], FieldInfo, Any]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*path, name))
        elif isinstance(value, dict):
            for code, below in value.items():
                yield from _leaves(below, (*path, name, code))
        elif value is not None or len(path) == 1:  # what a plan's own policy does not say is no value
            yield (*path, name), field, value


def _written(path: tuple[str, ...], field: FieldInfo, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if path == ("database", "url"):
        return _without_password(value)
    if path in _TELLING_ADDRESSES:
        return _scheme_and_host(value)
    if value is None:
        return ""
    if is_cents(field):
        return f"{Decimal(value) / 100:.2f}"
    return str(value) if isinstance(value, (Path, Decimal)) else value


def _without_password(url: str) -> str:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return HIDDEN  # where the password ends cannot be told
    if "@" in (parsed.host or ""):
        return HIDDEN  # it holds the end of the password
    hidden = {name: _STARS for name in parsed.query if name.lower() in _PASSWORDS}
    return parsed.update_query_dict(hidden).render_as_string(hide_password=True).replace(quote(_STARS), _STARS)


def _scheme_and_host(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}" if address else ""
