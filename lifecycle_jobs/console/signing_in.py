"""Coming in and going out, and the language and the theme that a visitor wants."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifecycle_jobs.console.forms import read_form, token_fits
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import LANGUAGE, THEME, THEMES
from lifecycle_jobs.console.visitors import Refusal, Visitor
from lifecycle_jobs.languages import LANGUAGES, spoken

_A_YEAR = 365 * 24 * 3600


def routes(office: Office) -> Sequence[Route]:
    """What can be asked for without being signed in."""
    desk = _Desk(office)
    return [
        Route("/sign-in", desk.ask, methods=["GET"]),
        Route("/sign-in", desk.sign_in, methods=["POST"]),
        Route("/sign-out", desk.sign_out, methods=["POST"]),
        Route("/enter", desk.enter, methods=["GET"]),
        Route("/preferences", desk.prefer, methods=["POST"]),
    ]


class _Desk:
    def __init__(self, office: Office) -> None:
        self._office = office

    async def ask(self, request: Request) -> Response:
        """The form."""
        if self._office.visitors.who(request) is not None:
            return RedirectResponse("/", status_code=303)
        return self._form(request, 200, None, request.query_params.get("next", "/"))

    async def sign_in(self, request: Request) -> Response:
        """Check what was filled in."""
        form = await read_form(request)
        if form is None or not token_fits(request, form):
            return self._form(request, 403, Refusal(spoken("This form was too old. Please try again.")), "/")
        visitors = self._office.visitors
        name, password = form.get("name", "").strip(), form.get("password", "")
        said = await run_in_threadpool(visitors.sign_in, name, password, visitors.origin_of(request))
        if isinstance(said, Refusal):
            return self._form(request, 429 if said.wait else 403, said, form.get("next", "/"))
        return self._let_in(request, said, form.get("next", "/"))

    async def sign_out(self, request: Request) -> Response:
        """Forget who it was."""
        form = await read_form(request)
        if form is not None and token_fits(request, form):
            request.session.clear()
        return RedirectResponse("/sign-in", status_code=303)

    async def enter(self, request: Request) -> Response:
        """With the key that was printed when the console was started."""
        visitor = self._office.visitors.enter(request.query_params.get("key", ""))
        if visitor is None:
            why = spoken("This address is that of an earlier start. Use the one that lifecycle-jobs console printed.")
            return self._office.pages.trouble(request, None, 403, why)
        return self._let_in(request, visitor, "/")

    async def prefer(self, request: Request) -> Response:
        """Keep the language and the theme that were chosen."""
        form = await read_form(request)
        if form is None or not token_fits(request, form):
            return RedirectResponse("/", status_code=303)
        answer = RedirectResponse(_ours(form.get("back", "/")), status_code=303)
        for name, known in ((LANGUAGE, LANGUAGES), (THEME, THEMES)):
            if form.get(name) in known:
                answer.set_cookie(name, form[name], max_age=_A_YEAR, httponly=True, samesite="lax")
        return answer

    def _let_in(self, request: Request, visitor: Visitor, there: str) -> Response:
        # A new session: one that somebody else had begun in this browser must not become this visitor's.
        request.session.clear()
        request.session.update(self._office.visitors.session_of(visitor))
        return RedirectResponse(_ours(there), status_code=303)

    def _form(self, request: Request, status: int, refused: Refusal | None, there: str) -> Response:
        answer = self._office.pages.show(
            request, None, "sign_in.html", status=status, refused=refused, there=_ours(there)
        )
        if refused is not None and refused.wait:
            answer.headers["Retry-After"] = str(refused.wait)
        return answer


def _ours(there: str) -> str:
    """A path of this console; the first page for anything that could lead elsewhere."""
    safe = there.startswith("/") and not there.startswith(("//", "/\\")) and there.isprintable()
    return there if safe else "/"
