"""Who may ask for what. Every route of the console is a `page` or an `action`, so none is without its check.

A page only looks, and wants somebody who is signed in. An action changes something: it takes a form (POST) that comes
from a page of this console, with the token of the visitor's session, and wants an operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifecycle_jobs.console.forms import read_form, token_fits
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import here, language_of
from lifecycle_jobs.console.visitors import Visitor
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.languages import Speech, spoken

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be answered: by whom it is made, and what was filled in."""

    office: Office
    request: Request
    visitor: Visitor
    form: Mapping[str, str]

    @property
    def speech(self) -> Speech:
        """The visitor's language."""
        return Speech(language_of(self.request))

    def parameter(self, name: str) -> str:
        """A part of the path or of the query, stripped; empty if it is not there."""
        found = self.request.path_params.get(name) or self.request.query_params.get(name, "")
        return str(found).replace("\x00", "").strip()  # PostgreSQL takes no text with it

    def show(self, template: str, *, status: int = 200, **context: object) -> Response:
        """A page."""
        return self.office.pages.show(self.request, self.visitor, template, status=status, **context)


Answer = Callable[[Asked], Response]


def page(office: Office, path: str, answer: Answer) -> Route:
    """A page that whoever is signed in may look at."""

    async def endpoint(request: Request) -> Response:
        visitor = office.visitors.who(request)
        if visitor is None:
            return _sign_in_first(office, request)
        return await run_in_threadpool(_answered, answer, Asked(office, request, visitor, {}))

    return Route(path, endpoint, methods=["GET"])


def action(office: Office, path: str, act: Answer) -> Route:
    """Something that only an operator may do, by a form of ours."""

    async def endpoint(request: Request) -> Response:
        visitor = office.visitors.who(request)
        if visitor is None:
            return _sign_in_first(office, request)
        form = await read_form(request)
        if form is None or not token_fits(request, form):
            log.warning("console_form_refused", path=request.url.path, by=visitor.name)
            return office.pages.trouble(
                request, visitor, 403, spoken("This form is too old, or does not come from here.")
            )
        if not visitor.may_act:
            log.warning("console_action_refused", path=request.url.path, by=visitor.name)
            return office.pages.trouble(request, visitor, 403, spoken("Only an operator may do this."))
        log.info("console_action", path=request.url.path, by=visitor.name)
        return await run_in_threadpool(_answered, act, Asked(office, request, visitor, form))

    return Route(path, endpoint, methods=["POST"])


def _answered(answer: Answer, asked: Asked) -> Response:
    try:
        return answer(asked)
    except LifecycleError as refused:
        return asked.office.pages.trouble(asked.request, asked.visitor, 409, str(refused), translated=True)


def _sign_in_first(office: Office, request: Request) -> Response:
    if not office.visitors.sign_in_here:
        return office.pages.trouble(
            request, None, 403, spoken("The proxy has not said who you are, or you have no account.")
        )
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    return RedirectResponse(f"/sign-in?next={quote(here(request))}", status_code=303)
