"""Lets a job do what it refused on a completed date, by the plan that names it: unusually many deletions, mostly.

What is approved is exactly what the plan says. If anything of it has changed since, nothing is done, and the difference
is shown. A date that is not completed is not begun here: its charges are the daemon's business, or the command's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import language_of
from lifecycle_jobs.console.plan import DONE, PLANS, chosen_day, explained, forget, made, refused_jobs
from lifecycle_jobs.console.routes import Asked, action, page
from lifecycle_jobs.console.today import show_run
from lifecycle_jobs.console.work import Advance
from lifecycle_jobs.day import DayReport, Wish
from lifecycle_jobs.gates import check_date
from lifecycle_jobs.languages import Speech, spoken
from lifecycle_jobs.planning.day_plan import AnotherPlan, DayPlan, do_day

_FIRST: Final = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an approval: the run's report, or the other plan that the day has become."""

    report: DayReport | None = None
    changed: AnotherPlan | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """What would be approved of a kind: by which job, how many, and the first of them."""

    job: str
    what: str
    number: int
    first: Sequence[Any]


def routes(office: Office) -> list[Route]:
    """What is asked before, the approval, and how far the run is that it causes."""
    return [
        page(office, "/plan/approve", _ask),
        action(office, "/plan/approve", _approve),
        page(office, "/plan/approve/live", _live),
    ]


def _ask(asked: Asked) -> Response:
    office = asked.office
    plan, jobs = _what_may_be_approved(asked, asked.parameter("date"))
    if plan is None:
        return _cannot(asked)
    speech = Speech(language_of(asked.request))
    return asked.show(
        "approve.html",
        on=plan.on,
        plan=plan,
        approvals=[
            Approval(job, what, total.number, explained(speech, plan.some(0, _FIRST, what)[0]))
            for (job, what), total in plan.totals.items()
            if job in jobs
        ],
        others=sum(total.number for (job, _), total in plan.totals.items() if job not in jobs),
        today=office.today,
    )


def _approve(asked: Asked) -> Response:
    office, visitor = asked.office, asked.visitor
    digest = asked.form.get("hash", "")
    plan, _ = _what_may_be_approved(asked, asked.form.get("date", ""))
    if plan is None or plan.digest != digest:
        return _cannot(asked)
    on = plan.on
    check_date(office.settings, on, office.today, allow_future=False)
    operator = office.operator(visitor, asked.form.get("why", "").strip())

    def do(advance: Advance) -> Outcome:
        try:
            report = do_day(office.store, office.settings, on, operator, Wish(plan=digest, deliver=False), advance)
        except AnotherPlan as changed:
            return Outcome(changed=changed)
        forget(office, office.work.find(f"{PLANS}{on}"))
        return Outcome(report=report)

    office.work.begin(f"{DONE}{on}", visitor.name, do)
    return RedirectResponse(f"/plan?date={on}", status_code=303)


def _live(asked: Asked) -> Response:
    on = chosen_day(asked)
    piece = asked.office.work.find(f"{DONE}{on}")
    answer = asked.show("approve_live.html", on=on, carried_out=piece)
    if piece is None or not piece.under_way:
        answer.headers["HX-Refresh"] = "true"
    return answer


def _what_may_be_approved(asked: Asked, day: str) -> tuple[DayPlan | None, set[str]]:
    """The plan of a date that is completed but for jobs that refused, and these jobs."""
    office = asked.office
    plan = made(office.work.find(f"{PLANS}{day}"))
    if plan is None:
        return None, set()
    with office.store.read() as connection:
        jobs = {job.job for job in refused_jobs(show_run(connection, plan.on))}
    return (plan, jobs) if jobs and plan.totals else (None, jobs)


def _cannot(asked: Asked) -> Response:
    why = spoken("There is nothing to approve by this plan any more. Have the plan made anew, and look at it.")
    return asked.office.pages.trouble(asked.request, asked.visitor, 409, why)
