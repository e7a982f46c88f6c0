"""Reads who there is, as groups that stand alike: counted by the database, never box by box here.

Messages are one per holder, so of the holders of several boxes it is also read which groups they hold: a row a holder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, literal, or_, select

from lifecycle_jobs.db.dialect import joined, listed
from lifecycle_jobs.db.tables import addons, boxes, events
from lifecycle_jobs.forecast.alike import Alike
from lifecycle_jobs.forecast.demands import terms_met, years_behind
from lifecycle_jobs.forecast.population import AddonGroup, BoxGroup, Population
from lifecycle_jobs.forecast.prices import gross_in_sql
from lifecycle_jobs.forecast.span import Span

_BETWEEN: Final = "#"


def read_population(connection: Connection, span: Span) -> Population:
    """Everybody of whom the days of a span may tell something."""
    alike = Alike(span, terms_met(span))
    numbers: Counter[str] = Counter()
    for name, number in connection.execute(_boxes_of_one(alike)):
        numbers[name] += number
    several_boxes = _held_together(connection, _boxes_of_several(alike), numbers)
    groups = {name: alike.group(name, number) for name, number in numbers.items()}
    addon_numbers: Counter[str] = Counter()
    several_addons = _held_together(connection, _addons_by_holder(alike), addon_numbers)
    addon_groups = {name: _addon_group(alike, name, number) for name, number in addon_numbers.items()}
    return Population(
        first=span.first,
        last=span.last,
        boxes={name: group for name, group in groups.items() if group is not None},
        addons={name: group for name, group in addon_groups.items() if group is not None},
        several_boxes=several_boxes,
        several_addons=several_addons,
        living=connection.scalar(select(func.count()).select_from(boxes).where(boxes.c.status != "deleted")) or 0,
        set_aside=sum(numbers[name] for name, group in groups.items() if _is_set_aside(group)),
    )


def _held_together(connection: Connection, by_holder: Select[Any], numbers: Counter[str]) -> list[Sequence[str]]:
    """Of each holder of several the names of what is held; all of it is counted in `numbers`."""
    same: dict[str, str] = {}
    several: list[Sequence[str]] = []
    # Not through a cursor of the server: PostgreSQL would plan for the first rows, and with one process.
    for (names,) in connection.execute(by_holder):
        numbers.update(names)
        if len(names) > 1:
            # Each name is kept once, however many hold such a thing.
            several.append([same.setdefault(name, name) for name in names])
    return several


def _is_set_aside(group: BoxGroup | None) -> bool:
    return group is None or group.standing.way == "set_aside"


def _boxes_of_one(alike: Alike) -> Select[Any]:
    """Of the holders of one box: how many boxes of each name there are."""
    rows = alike.boxes(boxes.c.customer_id.not_in(_with_several())).subquery("alike")
    return select(rows.c.name, func.count()).group_by(rows.c.name)


def _boxes_of_several(alike: Alike) -> Select[Any]:
    """Of the others: for each holder the names of all boxes."""
    rows = alike.boxes(boxes.c.customer_id.in_(_with_several())).subquery("alike")
    return select(listed(rows.c.name)).group_by(rows.c.customer_id)


def _with_several() -> Select[Any]:
    return select(boxes.c.customer_id).group_by(boxes.c.customer_id).having(func.count() > 1)


def _addons_by_holder(alike: Alike) -> Select[Any]:
    rows = _alike_addons(alike).subquery("alike_addons")
    return select(listed(rows.c.name)).group_by(rows.c.customer_id)


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

    parts: list[ColumnElement[Any]] = [
        box.c.name,
        addons.c.expires_on,
        case((addons.c.cancelled_on.is_not(None), "1"), else_="0"),
        func.coalesce(credit.c.terms, 0),
        case((followed, "1"), else_="0"),
        case((and_(followed, announced), "1"), else_="0"),
        gross_in_sql(span.catalog, yearly * boxes.c.renewal_years),
        case((followed, gross_in_sql(span.catalog, yearly * years_behind())), else_=0),
    ]
    name = joined(*[each for part in parts for each in (part, literal(_BETWEEN))][:-1])
    return (
        select(boxes.c.customer_id, name.label("name"))
        .select_from(
            addons.join(box, box.c.box_id == addons.c.box_id)
            .join(boxes, boxes.c.id == addons.c.box_id)
            .outerjoin(credit, credit.c.addon_id == addons.c.addon_id)
        )
        .where(addons.c.status == "active", concerned)
    )


def _addon_group(alike: Alike, name: str, number: int) -> AddonGroup | None:
    box_name, expires, cancelled, funded, followed, announced, cost_cents, behind_cents = name.split(_BETWEEN)
    box = alike.group(box_name, 0)
    if box is None:
        return None
    return AddonGroup(
        box=box,
        expires_on=date.fromisoformat(expires),
        cancelled=cancelled == "1",
        funded=int(funded),
        followed=followed == "1",
        announced=announced == "1",
        number=number,
        cost_cents=number * int(cost_cents),
        behind_cents=number * int(behind_cents),
    )
