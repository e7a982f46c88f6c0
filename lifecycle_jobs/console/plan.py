"""What a day is going to do, box by box, before it does it.

A plan is made when an operator asks for it, and then everybody who is signed in may look at it. A viewer may not have
one made: it changes nothing, but while it is made whoever pays or registers a payment waits for it (on SQLite all of
them, on PostgreSQL whoever has a box that the day changes), and minutes of that are not for somebody to cause who may
decide nothing. For the same reason no more than one is made at a time, and the emergency stop breaks it off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any, Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifecycle_jobs import stops
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import language_of, parse_day
from lifecycle_jobs.console.routes import Asked, action, page
from lifecycle_jobs.console.today import RunShown, show_run
from lifecycle_jobs.console.work import Advance, Piece
from lifecycle_jobs.day import Wish
from lifecycle_jobs.jobs.actions import Action
from lifecycle_jobs.languages import Speech, spoken
from lifecycle_jobs.planning.day_plan import DayPlan, plan_day
from lifecycle_jobs.planning.notes import notes_of
from lifecycle_jobs.reasons import amount_cents, because

PLANS: Final = "plan "
DONE: Final = "carry out "
"""How the names of such pieces of work begin; the date follows."""

PAGE: Final = 50
_LONGEST_PLACE: Final = 11
"""Digits that a place in a plan may have: no plan is longer."""
_KEPT: Final = 10
"""Plans whose actions are kept in the console's folder; of an older one only its hash is of use."""

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ActionShown:
    """An action of a plan as a row."""

    what: str
    address: str | None
    customer_id: str | None
    why: str
    cents: int | None


def routes(office: Office) -> list[Route]:
    """The page, the part of it that tells how far a plan is, and the form that has one made."""
    return [
        page(office, "/plan", _plan),
        page(office, "/plan/live", _live),
        action(office, "/plan", _make),
    ]


def _plan(asked: Asked) -> Response:
    office = asked.office
    on = chosen_day(asked)
    speech = Speech(language_of(asked.request))
    with office.store.read() as connection:
        run = show_run(connection, on)
        stop = stops.in_force(connection)
    piece = office.work.find(f"{PLANS}{on}")
    plan = made(piece)
    shown = {} if plan is None else _shown(asked, speech, plan)
    return asked.show(
        "plan.html",
        on=on,
        before=on - _DAY,
        after=on + _DAY,
        today=office.today,
        piece=piece,
        plan=plan,
        run=run,
        refused=refused_jobs(run),
        carried_out=office.work.find(f"{DONE}{on}"),
        elsewhere=_another_under_way(office, on),
        notes=[] if plan is None else list(notes_of(speech, plan, office.settings, office.today, stop)),
        explained=lambda actions: explained(speech, actions),
        **shown,
    )


def _shown(asked: Asked, speech: Speech, plan: DayPlan) -> dict[str, Any]:
    """The page of its actions that was asked for."""
    kinds: dict[str, int] = {}
    for (_, what), total in plan.totals.items():
        kinds[what] = kinds.get(what, 0) + total.number
    box, what = asked.parameter("box"), asked.parameter("what")
    if box:
        found = list(islice(plan.of_box(box), PAGE))
        further = None
    else:
        found, further = plan.some(_place(asked.parameter("from")), PAGE, what if what in kinds else None)
    command = "run" if plan.on == asked.office.today else f"replay {plan.on}"
    return {
        "kinds": kinds,
        "what": what if what in kinds else "",
        "box": box,
        "actions": explained(speech, found),
        "further": further,
        "command": f"lifecycle-jobs {command} --plan {plan.digest}",
    }


def _live(asked: Asked) -> Response:
    """How far it is; once it is ready the browser is told to ask for the whole page."""
    on = chosen_day(asked)
    piece = asked.office.work.find(f"{PLANS}{on}")
    answer = asked.show("plan_live.html", on=on, piece=piece)
    if piece is None or not piece.under_way:
        answer.headers["HX-Refresh"] = "true"
    return answer


def _make(asked: Asked) -> Response:
    office, visitor = asked.office, asked.visitor
    on = parse_day(asked.form.get("date", "")) or office.today
    if _another_under_way(office, on) is not None:
        return office.pages.trouble(
            asked.request, visitor, 409, spoken("Another plan is being made or carried out. Wait for its end.")
        )

    def do(advance: Advance) -> DayPlan:
        into = office.work.new_file()
        return plan_day(office.store, office.settings, on, office.operator(visitor), Wish(), advance, into=into)

    before = office.work.find(f"{PLANS}{on}")
    others = [piece for piece in office.work.named(PLANS) if piece is not before]
    for piece in [before, *others[_KEPT - 1 :]]:
        forget(office, piece)
    # What came of the plan before, and how it had changed, is not said of this one.
    done = office.work.find(f"{DONE}{on}")
    if done is not None and not done.under_way:
        office.work.forget(done)
    office.work.begin(f"{PLANS}{on}", visitor.name, do)
    return RedirectResponse(f"/plan?date={on}", status_code=303)


def chosen_day(asked: Asked) -> date:
    """The date that a page is about; today unless one is named."""
    return parse_day(asked.parameter("date")) or asked.office.today


def made(piece: Piece | None) -> DayPlan | None:
    """The plan that a piece of work came to; none if it has not, or not yet."""
    return piece.result if piece is not None and not piece.under_way and piece.trouble is None else None


def refused_jobs(run: RunShown | None) -> Sequence[Any]:
    """The jobs of a completed run that did nothing because it would have been too much: a plan can let them."""
    return () if run is None or run.state != "completed" else [job for job in run.jobs if job.refused]


def explained(speech: Speech, actions: Iterable[Action]) -> Sequence[ActionShown]:
    """Actions as rows, each with its reason in a sentence."""
    return [
        ActionShown(
            each.what,
            each.address,
            each.customer_id,
            because(speech, each.what, each.term_expires_on, each.detail),
            amount_cents(each.detail),
        )
        for each in actions
    ]


def _another_under_way(office: Office, on: date) -> str | None:
    """The date of what stands in the way of making a plan of a date, if anything does."""
    own = f"{PLANS}{on}"
    for beginning in (PLANS, DONE):
        for piece in office.work.named(beginning):
            if piece.under_way and piece.name != own:
                return piece.name.removeprefix(beginning)
    return None


def forget(office: Office, piece: Piece | None) -> None:
    """Keep a plan that was made no longer."""
    plan = made(piece)
    if piece is not None and not piece.under_way:
        office.work.forget(piece)
    if plan is not None:
        plan.remove()


def _place(text: str) -> int:
    """Where a page begins. Whatever else is typed into the address is the beginning."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= _LONGEST_PLACE else 0
