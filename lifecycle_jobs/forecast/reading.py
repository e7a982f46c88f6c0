"""Reads who there is, as groups that stand alike: counted by the database, never box by box here.

Messages are one per holder, so of the holders of several boxes it is also read which groups they hold: a row a holder.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, exists, func, literal, or_, select

from lifecycle_jobs.db.dialect import joined, listed
from lifecycle_jobs.db.tables import addons, boxes, customers, events
from lifecycle_jobs.forecast.alike import Alike
from lifecycle_jobs.forecast.demands import terms_met
from lifecycle_jobs.forecast.population import AddonGroup, BoxGroup, Population
from lifecycle_jobs.forecast.prices import gross_in_sql, whole
from lifecycle_jobs.forecast.span import Span

_BETWEEN = "#"

Group = TypeVar("Group", BoxGroup, AddonGroup)


def read_population(connection: Connection, span: Span) -> Population:
    """Everybody of whom the days of a span may tell something."""
    alike = Alike(span, terms_met(span))
    counted = connection.execute(_counted_boxes(alike)).all()
    boxes_by_name = {row.name: alike.group(row.name, row.number, row.cents) for row in counted}
    counted_addons = connection.execute(_counted_addons(alike)).all()
    addons_by_name = {row.name: _addon_group(alike, row) for row in counted_addons}
    known_boxes = {name: group for name, group in boxes_by_name.items() if group is not None}
    known_addons = {name: group for name, group in addons_by_name.items() if group is not None}
    return Population(
        first=span.first,
        last=span.last,
        since=span.since,
        boxes=known_boxes,
        addons=known_addons,
        several_boxes=_several(connection, _boxes_of_holders(alike), known_boxes),
        several_addons=_several(connection, _addons_of_holders(alike), known_addons),
        living=connection.scalar(select(func.count()).select_from(boxes).where(boxes.c.status != "deleted")) or 0,
        set_aside=sum(row.number for row in counted if _is_set_aside(boxes_by_name[row.name])),
    )


def _is_set_aside(group: BoxGroup | None) -> bool:
    return group is None or group.standing.way == "set_aside"


def _several(connection: Connection, held: Select[Any], known: dict[str, Group]) -> list[Sequence[str]]:
    """Of each holder the groups of what is held, where that is more than one of which something is foretold."""
    of_holders = ([name for name in names if name in known] for (names,) in connection.execute(held))
    return [names for names in of_holders if len(names) > 1]


def _counted_boxes(alike: Alike) -> Select[Any]:
    rows = alike.boxes().subquery("alike")
    return select(
        rows.c.name, func.count().label("number"), whole(func.sum(rows.c.gross_cents)).label("cents")
    ).group_by(rows.c.name)


def _boxes_of_holders(alike: Alike) -> Select[Any]:
    several = select(boxes.c.customer_id).group_by(boxes.c.customer_id).having(func.count() > 1)
    rows = alike.boxes(boxes.c.customer_id.in_(several)).subquery("alike")
    return select(listed(rows.c.name)).group_by(rows.c.customer_id).having(func.count() > 1)


def _counted_addons(alike: Alike) -> Select[Any]:
    rows = _alike_addons(alike).subquery("alike_addons")
    return select(rows.c.name, func.count().label("number"), whole(func.sum(rows.c.cents)).label("cents")).group_by(
        rows.c.name
    )


def _addons_of_holders(alike: Alike) -> Select[Any]:
    rows = _alike_addons(alike).subquery("alike_addons")
    return select(listed(rows.c.name)).group_by(rows.c.customer_id).having(func.count() > 1)


def _alike_addons(alike: Alike) -> Select[Any]:
    """Each add-on that credit pays or that was given up, with its group's name, which begins with that of its box."""
    span = alike.span
    concerned = or_(addons.c.paid_from == "credit", addons.c.cancelled_on.is_not(None))
    with_such = select(addons.c.box_id).where(addons.c.status == "active", concerned)
    box = alike.every_box(boxes.c.id.in_(with_such)).subquery("box")
    credit = alike.credit.alias("credit_of_addon")
    followed = and_(boxes.c.status == "active", boxes.c.expires_on >= span.first, addons.c.behind)
    announced = exists().where(
        events.c.addon_id == addons.c.addon_id,
        events.c.term_expires_on == addons.c.expires_on,
        events.c.kind == "addon.credit_short",
    )
    yearly = addons.c.quantity * addons.c.unit_price_cents

    def if_followed(value: ColumnElement[Any], otherwise: Any) -> ColumnElement[Any]:
        return case((followed, value), else_=otherwise)

    parts: list[ColumnElement[Any]] = [
        box.c.name,
        addons.c.expires_on,
        case((addons.c.cancelled_on.is_not(None), "1"), else_="0"),
        func.coalesce(credit.c.terms, 0),
        if_followed(literal("1"), "0"),
        case((and_(followed, announced), "1"), else_="0"),
        if_followed(yearly, 0),
        if_followed(customers.c.credit_cents, 0),
    ]
    name = joined(*[each for part in parts for each in (part, literal(_BETWEEN))][:-1])
    return (
        select(
            boxes.c.customer_id,
            name.label("name"),
            gross_in_sql(span.catalog, yearly * boxes.c.renewal_years).label("cents"),
        )
        .select_from(
            addons.join(box, box.c.box_id == addons.c.box_id)
            .join(boxes, boxes.c.id == addons.c.box_id)
            .join(customers, customers.c.customer_id == boxes.c.customer_id)
            .outerjoin(credit, credit.c.addon_id == addons.c.addon_id)
        )
        .where(addons.c.status == "active", concerned)
    )


def _addon_group(alike: Alike, row: Row[Any]) -> AddonGroup | None:
    box_name, expires, cancelled, funded, followed, announced, yearly, balance = row.name.split(_BETWEEN)
    box = alike.group(box_name, 0, 0)
    if box is None:
        return None
    return AddonGroup(
        box=box,
        expires_on=date.fromisoformat(expires),
        cancelled=cancelled == "1",
        funded=int(funded),
        followed=followed == "1",
        announced=announced == "1",
        yearly_net_cents=int(yearly),
        balance_cents=int(balance),
        number=row.number,
        cost_cents=row.cents,
    )
