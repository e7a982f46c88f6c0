"""What waits to be settled: money of which nobody knows, or that nothing took, and rows that were set aside.

The lists are those of `lifecycle-jobs status`. A charge without an answer is settled here by an operator's word, and
what was set aside is taken up again; the rest is decided elsewhere, and each list says where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifecycle_jobs.accounts import RESOLVED, not_made, resolve_charge
from lifecycle_jobs.between_runs import take_up_parked
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.routes import Asked, action, page
from lifecycle_jobs.console.work import Advance
from lifecycle_jobs.day import DayReport
from lifecycle_jobs.languages import spoken
from lifecycle_jobs.payments import staff_notices
from lifecycle_jobs.payments.gateway import NotAttempted, Succeeded
from lifecycle_jobs.status import (
    LISTED,
    Listing,
    find_unresolved,
    list_held_back,
    list_not_attempted,
    list_parked,
    list_refunds,
    list_unresolved,
)

LISTED_AT_MOST: Final = 1_000
"""Rows of each list for whoever asks for more: a page of more than that nobody reads, and it would take its time."""

RETRY: Final = "retry"
"""The name of that piece of work."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Everything that waits, the most pressing first."""

    unresolved: Listing
    refunds: Listing
    parked: Listing
    not_attempted: Listing
    told: Listing
    held_back: Listing

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        found: Sequence[Listing] = (
            self.unresolved,
            self.refunds,
            self.parked,
            self.not_attempted,
            self.told,
            self.held_back,
        )
        return not any(each.total for each in found)


def routes(office: Office) -> list[Route]:
    """The lists; one charge with the two answers; and taking up what was set aside, with how far that is."""
    return [
        page(office, "/unresolved", _lists),
        page(office, "/unresolved/charge", _charge),
        action(office, "/unresolved/paid", _paid),
        action(office, "/unresolved/not-made", _not_made),
        page(office, "/unresolved/retry", _ask_retry),
        action(office, "/unresolved/retry", _retry),
        page(office, "/unresolved/live", _live),
    ]


def _lists(asked: Asked) -> Response:
    office = asked.office
    today = office.today
    limit = LISTED_AT_MOST if asked.parameter("more") else LISTED
    with office.store.read() as connection:
        lists = Lists(
            unresolved=list_unresolved(connection, today, limit),
            refunds=list_refunds(connection, today, limit),
            parked=list_parked(connection, limit),
            not_attempted=list_not_attempted(connection, today, limit),
            told=Listing(*staff_notices.list_for_staff(connection, today, limit)),
            held_back=list_held_back(office.store, office.settings, today, limit),
        )
    return asked.show(
        "unresolved.html",
        lists=lists,
        most=LISTED_AT_MOST,
        overdue=office.settings.gateway.report_unresolved_after,
        retry=office.work.find(RETRY),
        resolved=RESOLVED.get(asked.parameter("resolved")),
        to_be_refunded=asked.parameter("resolved") == "to_be_refunded",
    )


def _charge(asked: Asked) -> Response:
    return _show_charge(asked, asked.parameter("key"))


def _show_charge(asked: Asked, key: str, missing: str | None = None) -> Response:
    with asked.office.store.read() as connection:
        charge = find_unresolved(connection, key, asked.office.today)
    if charge is None:
        why = spoken("This charge is settled already, or there is none.")
        return asked.office.pages.trouble(asked.request, asked.visitor, 404, why)
    return asked.show("charge.html", status=422 if missing else 200, charge=charge, missing=missing)


def _paid(asked: Asked) -> Response:
    # An empty reference tells nothing, and blanks around it would make another one of it.
    reference = asked.form.get("reference", "").strip()
    return _resolve(asked, Succeeded(reference)) if reference else _show_charge(asked, _key(asked), "reference")


def _not_made(asked: Asked) -> Response:
    why = asked.form.get("why", "").strip()
    return _resolve(asked, not_made(why)) if why else _show_charge(asked, _key(asked), "why")


def _resolve(asked: Asked, said: Succeeded | NotAttempted) -> Response:
    office = asked.office
    operator = office.operator(asked.visitor, asked.form.get("why", "").strip())
    result = resolve_charge(office.store, office.settings, operator, _key(asked), said)
    return RedirectResponse(f"/unresolved?resolved={quote(result)}", status_code=303)


def _key(asked: Asked) -> str:
    return asked.form.get("key", "")


def _ask_retry(asked: Asked) -> Response:
    with asked.office.store.read() as connection:
        return asked.show("retry.html", parked=list_parked(connection))


def _retry(asked: Asked) -> Response:
    office = asked.office
    operator = office.operator(asked.visitor, asked.form.get("why", "").strip())

    def do(advance: Advance) -> DayReport | None:
        return take_up_parked(office.store, office.settings, operator, advance, deliver=False)

    office.work.begin(RETRY, asked.visitor.name, do)
    return RedirectResponse("/unresolved#retry", status_code=303)


def _live(asked: Asked) -> Response:
    """How far it is; once it is done the browser is told to ask for the whole page."""
    piece: Any = asked.office.work.find(RETRY)
    answer = asked.show("retry_live.html", retry=piece)
    if piece is None or not piece.under_way:
        answer.headers["HX-Refresh"] = "true"
    return answer
