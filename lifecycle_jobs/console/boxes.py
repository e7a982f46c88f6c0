"""Finding a box, and its page: how it stands, why each job would or would not touch it, and its life."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Row, Select, func, select, union_all
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import parse_day
from lifecycle_jobs.console.routes import Asked, page
from lifecycle_jobs.db.tables import boxes, customers
from lifecycle_jobs.explaining.explanation import explain

SHOWN: Final = 50

_AFTER_EVERY_LETTER: Final = "\U0010ffff"


def routes(office: Office) -> list[Route]:
    """The search, and the page of a box."""
    return [page(office, "/boxes", _find), page(office, "/boxes/{address:path}", _box)]


def _find(asked: Asked) -> Response:
    sought = asked.parameter("q")
    if not sought:
        return asked.show("boxes.html", sought="", found=[], more=False)
    with asked.office.store.read() as connection:
        found = _found(connection, sought)
    if len(found) == 1:
        return RedirectResponse(f"/boxes/{quote(found[0].address)}", status_code=303)
    return asked.show("boxes.html", sought=sought, found=found[:SHOWN], more=len(found) > SHOWN)


def _found(connection: Connection, sought: str) -> list[Row[Any]]:
    """The boxes whose address begins so, living ones first; or those of the customer of that id.

    Only what an index leads to: by name or e-mail the whole table of customers would be read at each look.
    """
    begins = (boxes.c.address_key >= sought.lower(), boxes.c.address_key < sought.lower() + _AFTER_EVERY_LETTER)
    by_address = union_all(
        *[
            select(_limited(select(boxes.c.id).where(*begins, status).order_by(boxes.c.address_key)).c.id)
            for status in (boxes.c.status != "deleted", boxes.c.status == "deleted")
        ]
    )
    found = _shown(connection, by_address)
    return found or _shown(connection, select(boxes.c.id).where(boxes.c.customer_id == sought).limit(SHOWN + 1))


def _limited(ids: Select[Any]) -> Any:
    return ids.limit(SHOWN + 1).subquery()


def _shown(connection: Connection, ids: Any) -> list[Row[Any]]:
    deleted = boxes.c.status == "deleted"
    query = (
        select(
            boxes.c.address,
            boxes.c.status,
            boxes.c.plan,
            boxes.c.expires_on,
            boxes.c.deleted_on,
            customers.c.customer_id,
            customers.c.name,
        )
        .join(customers, customers.c.customer_id == boxes.c.customer_id)
        .where(boxes.c.id.in_(ids))
        .order_by(deleted, boxes.c.address_key, boxes.c.deleted_on.desc())
        .limit(SHOWN + 1)
    )
    return list(connection.execute(query))


def _box(asked: Asked) -> Response:
    office = asked.office
    on = parse_day(asked.parameter("on")) or office.today
    told = explain(office.store, office.settings, asked.parameter("address"), on, asked.speech)
    with office.store.read() as connection:
        number = select(func.count()).select_from(boxes).where(boxes.c.customer_id == told.box["customer_id"])
        others = (connection.scalar(number) or 1) - 1
    return asked.show("box.html", told=told, box=told.box, on=on, today=office.today, others=others)
