"""Finding a box, and its page: how it stands, why each job would or would not touch it, and its life."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import ColumnElement, Connection, Row, and_, func, literal, select, tuple_, union_all
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifecycle_jobs.console.office import Office
from lifecycle_jobs.console.pages import parse_day, parse_number
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
        return asked.show("boxes.html", sought="", found=[], more=None)
    after = parse_number(asked.parameter("after"))
    with asked.office.store.read() as connection:
        if not customer:
            found = _shown(connection, _beginning_with(sought), after)
            customer = "" if found else sought
        if customer:
            found = _shown(connection, boxes.c.customer_id == customer, after)
    if len(found) == 1 and after is None:
        return RedirectResponse(_page_of(found[0]), status_code=303)
    return asked.show(
        "boxes.html",
        sought=customer or sought,
        customer=customer,
        found=found[:SHOWN],
        further=after is not None,
        more=found[SHOWN - 1].id if len(found) > SHOWN else None,
    )


def _page_of(box: Row[Any]) -> str:
    """One that was deleted by its day too: the address may have been sold again."""
    address = f"/boxes/{quote(box.address, safe='@')}"
    return address if box.deleted_on is None else f"{address}?deleted={box.deleted_on}"


def _beginning_with(sought: str) -> ColumnElement[bool]:
    """Only what an index leads to: by name or e-mail the whole table of customers would be read at each look."""
    return and_(boxes.c.address_key >= sought.lower(), boxes.c.address_key < sought.lower() + _AFTER_EVERY_LETTER)


def _shown(connection: Connection, wanted: ColumnElement[bool], after: int | None) -> list[Row[Any]]:
    """A page of boxes in the order of their addresses, and one more. `after`: the box that ended the page before."""
    place = (boxes.c.address_key, boxes.c.id)
    here = [wanted]
    if after is not None:
        end = connection.execute(select(*place).where(boxes.c.id == after)).one_or_none()
        if end is not None:
            # The first by itself too: of a pair alone no index would begin there.
            here += [boxes.c.address_key >= end[0], tuple_(*place) > tuple_(*[literal(value) for value in end])]
    # Those that live and those that are gone have an index each.
    either = union_all(
        *[
            select(select(boxes.c.id).where(*here, status).order_by(*place).limit(SHOWN + 1).subquery().c.id)
            for status in (boxes.c.status != "deleted", boxes.c.status == "deleted")
        ]
    )
    query = (
        select(
            boxes.c.id,
            boxes.c.address,
            boxes.c.status,
            boxes.c.plan,
            boxes.c.expires_on,
            boxes.c.deleted_on,
            customers.c.customer_id,
            customers.c.name,
        )
        .join(customers, customers.c.customer_id == boxes.c.customer_id)
        .where(boxes.c.id.in_(either))
        .order_by(*place)
        .limit(SHOWN + 1)
    )
    return list(connection.execute(query))


def _box(asked: Asked) -> Response:
    office = asked.office
    on = parse_day(asked.parameter("on")) or office.today
    deleted_on = parse_day(asked.parameter("deleted"))
    told = explain(office.store, office.settings, asked.parameter("address"), on, asked.speech, deleted_on=deleted_on)
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
        deleted_on=deleted_on,
        others=others,
        paid_by=paid_by,
        extras=extras,
    )
