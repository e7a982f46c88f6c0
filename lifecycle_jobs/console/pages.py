"""Fills in the templates of the pages, in the visitor's language and theme."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lifecycle_jobs import clock
from lifecycle_jobs.console.forms import token_of
from lifecycle_jobs.console.visitors import Visitor
from lifecycle_jobs.languages import LANGUAGES, Language, Speech, spoken
from lifecycle_jobs.languages.codes import code_text

Theme = Literal["auto", "light", "dark"]

THEMES: Final[tuple[Theme, ...]] = get_args(Theme)

LANGUAGE: Final = "language"
THEME: Final = "theme"
"""The cookies that keep what a visitor chose."""

NAVIGATION: Final = (
    ("/", spoken("Today")),
    ("/calendar", spoken("Calendar")),
    ("/boxes", spoken("Boxes")),
    ("/messages", spoken("Messages")),
    ("/plan", spoken("Plan")),
    ("/forecast", spoken("Forecast")),
    ("/unresolved", spoken("To be settled")),
    ("/templates", spoken("Templates")),
)
"""Where one can go, by the first part of the path."""

_LONGEST: Final = 18
"""Digits that a number of ours may have."""


class Pages:
    """The templates of one console."""

    def __init__(self, provider: str, zone: ZoneInfo) -> None:
        self._provider = provider
        self._zone = zone
        self._environment = Environment(
            loader=PackageLoader("lifecycle_jobs.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def show(
        self, request: Request, visitor: Visitor | None, template: str, *, status: int = 200, **context: object
    ) -> Response:
        """A page, or a part of one that htmx asks for."""
        speech = Speech(language_of(request))
        known = {
            **self._words(speech),
            "provider": self._provider,
            "visitor": visitor,
            "path": request.url.path,
            "here": here(request),
            "theme": theme_of(request),
            "token": token_of(request),
            "navigation": NAVIGATION,
            "asset": _asset,
        }
        text = self._environment.get_template(template).render(known | context)
        return HTMLResponse(text, status)

    def trouble(
        self, request: Request, visitor: Visitor | None, status: int, why: str, *, translated: bool = False
    ) -> Response:
        """A page that says why not. `translated`: it is said as it is, being the same as on the command line."""
        said = why if translated else Speech(language_of(request))(why)
        return self.show(request, visitor, "trouble.html", status=status, why=said)

    def _words(self, speech: Speech) -> Mapping[str, Any]:
        def moment(at: datetime) -> str:
            there = at.astimezone(self._zone)
            return f"{speech.day(there.date())}, {there:%H:%M}"

        return {
            "speech": speech,
            "language": speech.language,
            "t": speech,
            "count": speech.count,
            "day": speech.day,
            "euros": speech.euros,
            "number": speech.number,
            "moment": moment,
            "code": lambda group, code: code_text(speech, group, code),
        }


def language_of(request: Request) -> Language:
    """What the visitor chose, or what the browser asks for first, or Italian."""
    chosen = request.cookies.get(LANGUAGE)
    if chosen in LANGUAGES:
        return chosen
    wanted = [part.split(";")[0].strip()[:2].lower() for part in request.headers.get("accept-language", "").split(",")]
    return next((each for each in wanted if each in LANGUAGES), "it")


def theme_of(request: Request) -> Theme:
    """What the visitor chose; `auto` follows the system."""
    chosen = request.cookies.get(THEME)
    return chosen if chosen in THEMES else "auto"


def parse_day(text: str) -> date | None:
    """A date as it stands in a path; none if it is none that a page can be about."""
    try:
        return clock.read_date(text)
    except ValueError:
        return None


def parse_number(text: str) -> int | None:
    """The number of a row as it stands in an address; none if it is none of ours."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST else None


def here(request: Request) -> str:
    """Where to come back to: this page, with all that was asked of it; the first one for what was sent to us."""
    if request.method not in {"GET", "HEAD"}:
        return "/"
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


@cache
def _asset(name: str) -> str:
    """Where a file of style or script is, under a name that changes with it: so browsers may keep it for ever."""
    content = resources.files("lifecycle_jobs.console").joinpath("static", name).read_bytes()
    return f"/static/{name}?{hashlib.sha256(content).hexdigest()[:12]}"
