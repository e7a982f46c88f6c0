"""Everything that the console answers."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Sequence
from http import HTTPStatus
from importlib import resources

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from lifecycle_jobs.console import (
    approving,
    boxes,
    calendar,
    days,
    forecast,
    gallery,
    messages,
    plan,
    settling,
    signing_in,
    stopping,
    today,
)
from lifecycle_jobs.console.guard import Guard
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.languages import spoken

log = structlog.get_logger()

_PAGES = (today, calendar, days, boxes, messages, plan, approving, forecast, settling, gallery, stopping)

_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def make_app(office: Office, hosts: frozenset[str]) -> Starlette:
    """The application that answers for these hosts (header Host)."""
    settings = office.settings.console
    # Made up where none is given: then everybody signs in again after a restart, and nothing else is lost. Without
    # accounts always, so that a session ends with the start whose key began it.
    given = settings.secret.get_secret_value() if settings.accounts else ""
    signing = Middleware(
        SessionMiddleware,
        secret_key=given or secrets.token_urlsafe(48),
        session_cookie="lifecycle_console",
        max_age=settings.session_hours * 3600,
        same_site="strict",
        https_only=settings.public_url.startswith("https://"),
    )

    async def missing(request: Request, _error: Exception) -> Response:
        return office.pages.trouble(request, office.visitors.who(request), 404, spoken("There is no such page."))

    async def failed(request: Request, error: Exception) -> Response:
        # Its text, a whole traceback, or the path as it was asked for might name a box.
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{at.filename}:{at.lineno}"
        page = getattr(request.scope.get("route"), "path", None)
        log.error("console_page_failed", page=page, error=type(error).__name__, where=where)
        return Response(spoken("Something went wrong here. The log says what."), 500, media_type="text/plain")

    async def not_so(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return await missing(request, error) if status == HTTPStatus.NOT_FOUND else Response(status_code=status)

    return Starlette(
        routes=list(_routes(office)),
        middleware=[Middleware(Guard, hosts=hosts), signing],
        exception_handlers={HTTPException: not_so, Exception: failed},
    )


def _routes(office: Office) -> Sequence[BaseRoute]:
    found: list[BaseRoute] = [Route("/static/{name}", _static, methods=["GET"]), *signing_in.routes(office)]
    for module in _PAGES:
        found += module.routes(office)
    return found


async def _static(request: Request) -> Response:
    """A file of style or script."""
    name = request.path_params["name"]
    ending = f".{name.rpartition('.')[2]}"
    file = resources.files("lifecycle_jobs.console").joinpath("static", name)
    if ending not in _KINDS or "/" in name or not file.is_file():
        raise HTTPException(404)
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(file.read_bytes(), headers=kept, media_type=_KINDS[ending])
