"""The emergency stop, thrown and taken back."""

from __future__ import annotations

from typing import Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifecycle_jobs import operators, stops
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.plan import DONE, PLANS
from lifecycle_jobs.console.routes import Asked, action, page

_PATIENCE: Final = 5.0
"""Seconds for a plan to give way, one that is carried out too: that begins with a look at what it would do now."""


def routes(office: Office) -> list[Route]:
    """What is asked before, and both ways."""
    return [
        page(office, "/stop", _ask),
        action(office, "/stop", _stop),
        action(office, "/resume", _resume),
    ]


def _ask(asked: Asked) -> Response:
    with asked.office.store.read() as connection:
        return asked.show("stop.html", stop=stops.in_force(connection), missing=False)


def _stop(asked: Asked) -> Response:
    why = asked.form.get("why", "").strip()
    if not why:
        return asked.show("stop.html", status=422, stop=None, missing=True)
    for beginning in (PLANS, DONE):
        asked.office.work.break_off(beginning, _PATIENCE)
    operators.stop_everything(asked.office.store, asked.office.operator(asked.visitor, why), why)
    return RedirectResponse("/", status_code=303)


def _resume(asked: Asked) -> Response:
    why = asked.form.get("why", "").strip()
    operators.resume(asked.office.store, asked.office.operator(asked.visitor, why))
    return RedirectResponse("/", status_code=303)
