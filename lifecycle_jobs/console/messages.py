"""The e-mails: which there are, what became of each, and how its holder saw it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Row, literal, select, tuple_
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from lifecycle_jobs.console.guard import LETTER_POLICY
from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import parse_number
from lifecycle_jobs.console.routes import Asked, action, page
from lifecycle_jobs.db.tables import messages
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.languages import spoken
from lifecycle_jobs.mail.ledger import resend, show_message
from lifecycle_jobs.mail.retold import retell

SHOWN: Final = 50

_OFFERED: Final = ("queued", "failed", "parked", "sent")
"""Those that one looks for. The moot ones are few among millions, with nothing that leads to them."""


def routes(office: Office) -> list[Route]:
    """The list, a message with its letter, and sending one again."""
    return [
        page(office, "/messages", _list),
        page(office, "/messages/{number}", _message),
        page(office, "/messages/{number}/letter", _letter),
        page(office, "/messages/{number}/resend", _ask),
        action(office, "/messages/{number}/resend", _resend),
    ]


def _list(asked: Asked) -> Response:
    status = asked.parameter("status")
    chosen = status if status in _OFFERED else None
    with asked.office.store.read() as connection:
        found = _listed(connection, chosen, parse_number(asked.parameter("after")))
    return asked.show(
        "messages.html",
        statuses=_OFFERED,
        chosen=chosen,
        found=found[:SHOWN],
        more=found[SHOWN - 1].id if len(found) > SHOWN else None,
    )


def _listed(connection: Connection, status: str | None, after: int | None) -> list[Row[Any]]:
    """A page of messages. `after`: the number with which the page before ended.

    The newest first; those that wait, in the order in which they leave. Each in the order of an index that holds just
    them: the few that failed among millions would be searched for long in any other.
    """
    if status == "queued":
        order, falling = [messages.c.urgency, messages.c.id], False
    else:
        order, falling = [*([messages.c.created_on] if status == "failed" else []), messages.c.id], True
    query = select(
        messages.c.id,
        messages.c.kind,
        messages.c.customer_id,
        messages.c.status,
        messages.c.created_on,
        messages.c.response,
    )
    if status is not None:
        query = query.where(messages.c.status == status)
    if after is not None:
        end = connection.execute(select(*order).where(messages.c.id == after)).one_or_none()
        if end is not None:
            place, beyond = tuple_(*order), tuple_(*[literal(value) for value in end])
            query = query.where(place < beyond if falling else place > beyond)
    in_order = [column.desc() if falling else column for column in order]
    return list(connection.execute(query.order_by(*in_order).limit(SHOWN + 1)))


def _message(asked: Asked) -> Response:
    office, number = asked.office, _wanted(asked)
    with office.store.read() as connection:
        known = show_message(connection, number)
        try:
            retold, trouble = retell(connection, office.settings, number, office.today), None
        except Refused as refused:
            retold, trouble = None, str(refused)
    return asked.show("message.html", number_of=number, known=known, retold=retold, trouble=trouble)


def _letter(asked: Asked) -> Response:
    office = asked.office
    with office.store.read() as connection:
        retold = retell(connection, office.settings, _wanted(asked), office.today)
    return letter(retold.rendered.html)


def letter(html: str) -> Response:
    """An e-mail for a frame: it may look as it likes and do nothing."""
    return HTMLResponse(html, headers={"Content-Security-Policy": LETTER_POLICY, "X-Frame-Options": "SAMEORIGIN"})


def _ask(asked: Asked) -> Response:
    number = _wanted(asked)
    with asked.office.store.read() as connection:
        known = show_message(connection, number)
    return asked.show("resend.html", number_of=number, known=known)


def _resend(asked: Asked) -> Response:
    number = _wanted(asked)
    operator = asked.office.operator(asked.visitor, asked.form.get("why", "").strip())
    # One that was sent is not sent again from here: its holder would get it twice.
    resend(asked.office.store, operator, number, again=False)
    return RedirectResponse(f"/messages/{number}", status_code=303)


def _wanted(asked: Asked) -> int:
    number = parse_number(asked.parameter("number"))
    if number is None:
        raise Refused(asked.speech(spoken("There is no such message.")))
    return number
