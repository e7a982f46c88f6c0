"""The page of one business date: its jobs, and what was done to whom, with the e-mail about it."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, func, literal, select, tuple_
from starlette.responses import Response
from starlette.routing import Route

from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import parse_day, parse_number
from lifecycle_jobs.console.routes import Asked, page
from lifecycle_jobs.console.today import show_run
from lifecycle_jobs.db.tables import boxes, events, message_events, messages, run_jobs
from lifecycle_jobs.explaining.past import told_of
from lifecycle_jobs.languages import Speech, spoken
from lifecycle_jobs.reasons import amount_cents

PAGE: Final = 50


def routes(office: Office) -> list[Route]:
    """The page of a date."""
    return [page(office, "/days/{date}", _day)]


def _day(asked: Asked) -> Response:
    office = asked.office
    on = parse_day(asked.parameter("date"))
    if on is None:
        return office.pages.trouble(asked.request, asked.visitor, 404, spoken("There is no such page."))
    with office.store.read() as connection:
        shown = show_run(connection, on)
        kinds = _kinds(connection, on)
        kind = asked.parameter("kind") or next(iter(kinds), "")
        found, more = _actions(connection, on, kind, asked.parameter("after")) if kind else ([], None)
    return asked.show(
        "day.html",
        on=on,
        before=on - timedelta(days=1),
        after=on + timedelta(days=1),
        today=office.today,
        run=shown,
        kinds=kinds,
        kind=kind,
        actions=[_shown(asked.speech, row) for row in found],
        more=more,
    )


def _kinds(connection: Connection, on: date) -> Counter[str]:
    """How often the run did what, all its passes together."""
    found: Counter[str] = Counter()
    passes = select(run_jobs.c.counts).where(run_jobs.c.run_on == on).order_by(run_jobs.c.run_pass)
    for row in connection.execute(passes):
        found.update(row.counts)
    return found


def _actions(connection: Connection, on: date, kind: str, after: str) -> tuple[list[Row[Any]], str | None]:
    """A page of what was done of a kind, and where the next one begins.

    In the order of the index (pass, holder), so that a page of the day on which a million boxes were suspended costs
    no more than any other. `after` names pass, holder and event with which the page before ended.
    """
    order = (events.c.run_pass, events.c.customer_id, events.c.id)
    chosen = [events.c.run_on == on, events.c.kind == kind]
    found: list[Row[Any]] = []
    last = connection.scalar(select(func.max(run_jobs.c.run_pass)).where(run_jobs.c.run_on == on)) or 0
    begin, customer, event_id = _place(after)
    for run_pass in range(begin, last + 1):
        of_pass = [*chosen, events.c.run_pass == run_pass]
        if run_pass == begin and after:
            of_pass.append(tuple_(events.c.customer_id, events.c.id) > tuple_(literal(customer), literal(event_id)))
        found.extend(
            connection.execute(
                select(
                    events,
                    boxes.c.address,
                    message_events.c.message_id,
                    message_events.c.moot,
                    messages.c.status.label("message_status"),
                )
                .outerjoin(boxes, boxes.c.id == events.c.box_id)
                .outerjoin(message_events, message_events.c.event_id == events.c.id)
                .outerjoin(messages, messages.c.id == message_events.c.message_id)
                .where(*of_pass)
                .order_by(*order)
                .limit(PAGE + 1 - len(found))
            )
        )
        if len(found) > PAGE:
            end = found[PAGE - 1]
            return found[:PAGE], f"{end.run_pass}|{end.id}|{end.customer_id}"
    return found, None


def _place(after: str) -> tuple[int, str, int]:
    """Where a page begins. Whatever else is typed into the address is the beginning."""
    run_pass, _, rest = after.partition("|")
    event_id, _, customer = rest.partition("|")
    begin, after_event = parse_number(run_pass), parse_number(event_id)
    return (1, "", 0) if begin is None or after_event is None else (begin, customer, after_event)


def _shown(speech: Speech, row: Row[Any]) -> dict[str, Any]:
    return {
        "address": row.address,
        "customer_id": row.customer_id,
        "addon_id": row.addon_id,
        "why": told_of(speech, row),
        "cents": amount_cents(row.detail),
        "message_id": row.message_id,
        "message_status": "moot" if row.moot else row.message_status,
    }
