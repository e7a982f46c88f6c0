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
from lifecycle_jobs.db.tables import addons, boxes, customers, payment_methods
from lifecycle_jobs.explaining.explanation import explain
from lifecycle_jobs.languages.payment_methods import method_text

SHOWN: Final = 50

_AFTER_EVERY_LETTER: Final = "\U0010ffff"


def routes(office: Office) -> list[Route]:
    """The search, and the page of a box."""
    return [page(office, "/boxes", _find), page(office, "/boxes/{address:path}", _box)]


def _find(asked: Asked) -> Response:
    sought, customer = asked.parameter("q"), asked.parameter("customer")
    if not sought and not customer:
        return asked.show("boxes.html", sought="", found=[], more=False)
    with asked.office.store.read() as connection:
        found = _of_customer(connection, customer) if customer else _found(connection, sought)
    if len(found) == 1:
        return RedirectResponse(f"/boxes/{quote(found[0].address, safe='@')}", status_code=303)
    return asked.show("boxes.html", sought=customer or sought, found=found[:SHOWN], more=len(found) > SHOWN)


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
    return _shown(connection, by_address) or _of_customer(connection, sought)


def _of_customer(connection: Connection, customer_id: str) -> list[Row[Any]]:
    return _shown(connection, select(boxes.c.id).where(boxes.c.customer_id == customer_id).limit(SHOWN + 1))


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
        method = connection.execute(
            select(payment_methods).where(payment_methods.c.payment_method_id == told.box["payment_method_id"])
        ).one_or_none()
        extras = connection.execute(
            select(addons).where(addons.c.box_id == told.box["id"]).order_by(addons.c.status, addons.c.addon_id)
        ).all()
    paid_by = None if method is None else method_text(asked.speech, method.kind, method.brand, method.last4)
    return asked.show(
        "box.html",
        told=told,
        box=told.box,
        on=on,
        today=office.today,
        others=others,
        paid_by=paid_by,
        extras=extras,
    )
