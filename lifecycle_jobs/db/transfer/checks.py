"""What must hold between rows: of one file, of several files, and of the database (SPEC §2, §3, §6).

Each check is a query over the settled temporary tables that finds the lines where something is wrong; none of them
looks at the rows one by one in Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    exists,
    func,
    literal,
    null,
    or_,
    select,
)

from lifecycle_jobs.db.tables import addons, charges
from lifecycle_jobs.db.transfer.cells import quoted
from lifecycle_jobs.db.transfer.columns import ADDONS, BOXES, CUSTOMERS, PAYMENT_METHODS, InputFile
from lifecycle_jobs.db.transfer.problems import MOST_TOLD, Problem, Problems
from lifecycle_jobs.db.transfer.staging import addons_in, boxes_in, customers_in, payment_methods_in


@dataclass(frozen=True, slots=True)
class Check:
    """A query for lines of a file, each once, with a value that the reason may mention."""

    file: InputFile
    column: str
    reason: str
    query: Select[Any]
    looks_up: InputFile | None = None
    held_by_key: bool = False
    """Whether a unique key or a reference of the table itself would not let it in."""


def check(connection: Connection, problems: Problems, *, torn: frozenset[str], keys_hold: bool = False) -> None:
    """Run every check. Files in `torn` were not read to their end: what is missing from them is not told.

    With `keys_hold` the rows are in the tables already, so what their keys and references hold is not checked again.
    """
    for one in _checks():
        if keys_hold and one.held_by_key:
            continue
        if one.looks_up is not None and one.looks_up.name in torn:
            continue
        query = one.query.distinct()  # a row that stands there twice would be found twice over
        # Counted first: asked for some lines of many that it expects, and does not find, the database would have looked
        # each row up by itself.
        total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        found = connection.execute(query.order_by("line").limit(MOST_TOLD)).all() if total else []
        problems.extend([_problem(one, line, value) for line, value in found], total)


def _problem(one: Check, line: int, value: object) -> Problem:
    return Problem(one.file.name, line, one.column, one.reason.format(value=quoted(value)))


def _checks() -> Iterator[Check]:
    yield from _customers()
    yield from _payment_methods()
    yield from _boxes()
    yield from _addresses()
    yield from _addons()


def _customers() -> Iterator[Check]:
    yield Check(
        CUSTOMERS,
        "customer_id",
        "the same customer stands in line{value}",
        _repeated(customers_in, customers_in.c.customer_id),
        held_by_key=True,
    )


def _payment_methods() -> Iterator[Check]:
    method = payment_methods_in
    yield Check(
        PAYMENT_METHODS,
        "payment_method_id",
        "the same payment method stands in line{value}",
        _repeated(method, method.c.payment_method_id),
        held_by_key=True,
    )
    yield Check(
        PAYMENT_METHODS,
        "customer_id",
        "customer{value} is in neither customers.csv nor the database",
        _lines(method, method.c.customer_id).where(_unknown_customer(method.c.customer_id)),
        looks_up=CUSTOMERS,
        held_by_key=True,
    )
    yield Check(
        PAYMENT_METHODS,
        "customer_id",
        "the payment method belongs to another customer{value} and stays there",
        _lines(method, method.c.old_customer_id).where(method.c.customer_id != method.c.old_customer_id),
    )


def _boxes() -> Iterator[Check]:
    box, method = boxes_in, payment_methods_in
    yield Check(
        BOXES,
        "address",
        "the same address, not deleted either, stands in line{value}",
        _repeated(box, box.c.address_key, where=box.c.deleted_on.is_(None)),
        held_by_key=True,
    )
    yield Check(
        BOXES,
        "deleted_on",
        "the same address, deleted on the same day, stands in line{value}",
        _repeated(box, box.c.address_key, box.c.deleted_on, where=box.c.deleted_on.is_not(None)),
        held_by_key=True,
    )
    yield Check(
        BOXES,
        "customer_id",
        "customer{value} is in neither customers.csv nor the database",
        _lines(box, box.c.customer_id).where(_unknown_customer(box.c.customer_id)),
        looks_up=CUSTOMERS,
        held_by_key=True,
    )
    same_method = method.c.payment_method_id == box.c.payment_method_id
    yield Check(
        BOXES,
        "payment_method_id",
        "payment method{value} is in neither payment_methods.csv nor the database",
        _lines(box, box.c.payment_method_id).where(box.c.payment_method_id.is_not(None), ~exists().where(same_method)),
        looks_up=PAYMENT_METHODS,
        held_by_key=True,
    )
    yield Check(
        BOXES,
        "payment_method_id",
        "payment method{value} does not belong to the customer of the box",
        _lines(box, box.c.payment_method_id).join(method, same_method).where(method.c.customer_id != box.c.customer_id),
    )
    old, new = customers_in.alias(), customers_in.alias()
    yield Check(
        BOXES,
        "customer_id",
        "the box belongs to another customer{value} and can only go to one with the same tax id",
        _lines(box, box.c.old_customer_id)
        .join(old, old.c.customer_id == box.c.old_customer_id)
        .join(new, new.c.customer_id == box.c.customer_id)
        .where(box.c.customer_id != box.c.old_customer_id, _other_holder(old, new)),
    )
    moved = or_(box.c.expires_on != box.c.old_expires_on, box.c.status != box.c.old_status)
    unresolved = and_(charges.c.box_id == box.c.box_id, charges.c.status.in_(("pending", "unknown")))
    yield Check(
        BOXES,
        "expires_on",
        "expires_on or status would change under an unresolved charge",
        _lines(box).where(moved, exists().where(unresolved)),
    )
    yield Check(
        BOXES,
        "expires_on",
        "its add-on{value} is paid with the renewal and needs the same expires_on: give it too",
        _lines(box, func.min(addons.c.addon_id))
        .join(addons, addons.c.box_id == box.c.box_id)
        .where(
            box.c.expires_on != box.c.old_expires_on,
            addons.c.expires_on != box.c.expires_on,
            addons.c.status == "active",
            addons.c.paid_from == "renewal",
            addons.c.cancelled_on.is_(None),
            ~exists().where(addons_in.c.addon_id == addons.c.addon_id),
        )
        .group_by(box.c.line),
        looks_up=ADDONS,
    )


def _addresses() -> Iterator[Check]:
    live, dead = boxes_in.alias("live"), boxes_in.alias("dead")
    of_live, of_dead = customers_in.alias(), customers_in.alias()
    both = and_(live.c.address_key == dead.c.address_key, live.c.deleted_on.is_(None), dead.c.deleted_on.is_not(None))
    new_live, new_dead = live.c.old_status.is_(None), dead.c.old_status.is_(None)
    other_holder = (
        select(func.coalesce(live.c.line, dead.c.line).label("line"), func.max(dead.c.deleted_on).label("value"))
        .select_from(live)
        .join(dead, both)
        .join(of_live, of_live.c.customer_id == live.c.customer_id)
        .join(of_dead, of_dead.c.customer_id == dead.c.customer_id)
        .where(or_(new_live, new_dead, live.c.customer_id != live.c.old_customer_id), _other_holder(of_live, of_dead))
        .group_by(func.coalesce(live.c.line, dead.c.line))
    )
    yield Check(
        BOXES,
        "customer_id",
        "the address was deleted on{value}: only a holder with the same tax id may take it again",
        other_holder,
    )
    yield Check(
        BOXES,
        "expires_on",
        "the address was deleted on{value}, which is not before expires_on: a row of the deleted box?",
        select(live.c.line.label("line"), func.max(dead.c.deleted_on).label("value"))
        .select_from(live)
        .join(dead, both)
        .where(new_live, live.c.expires_on <= dead.c.deleted_on)
        .group_by(live.c.line),
    )
    yield Check(
        BOXES,
        "deleted_on",
        "the address has a box that is not deleted and expires on{value}: is this the same box?",
        select(dead.c.line.label("line"), func.min(live.c.expires_on).label("value"))
        .select_from(live)
        .join(dead, both)
        .where(new_dead, ~new_live, live.c.expires_on <= dead.c.deleted_on)
        .group_by(dead.c.line),
    )


def _addons() -> Iterator[Check]:
    addon, box = addons_in, boxes_in
    its_box = box.c.box_id == addon.c.box_id
    same_address = box.c.address_key == addon.c.address_key
    yield Check(
        ADDONS,
        "addon_id",
        "the same add-on stands in line{value}",
        _repeated(addon, addon.c.addon_id),
    )
    yield Check(
        ADDONS,
        "address",
        "there is no such box in boxes.csv or in the database",
        _lines(addon).where(addon.c.box_id.is_(None), addon.c.address_key.is_not(None), ~exists().where(same_address)),
        looks_up=BOXES,
    )
    yield Check(
        ADDONS,
        "address",
        "the box was deleted, so it has no active add-on",
        _lines(addon).where(addon.c.status == "active", addon.c.box_id.is_(None), exists().where(same_address)),
        looks_up=BOXES,
    )
    yield Check(
        ADDONS,
        "status",
        "the box of this add-on was deleted on{value}, so it cannot be active",
        _lines(addon, box.c.deleted_on)
        .join(box, its_box)
        .where(addon.c.status == "active", box.c.deleted_on.is_not(None)),
    )
    yield Check(
        ADDONS,
        "address",
        "the add-on belongs to a box of another address",
        _lines(addon).join(box, its_box).where(addon.c.address_key != box.c.address_key),
    )
    yield Check(
        ADDONS,
        "expires_on",
        "paid with the renewal, so it must be the day its box expires,{value}",
        _lines(addon, box.c.expires_on)
        .join(box, its_box)
        .where(
            addon.c.status == "active",
            addon.c.paid_from == "renewal",
            addon.c.cancelled_on.is_(None),
            addon.c.expires_on != box.c.expires_on,
        ),
    )


def _lines(staged: Table, value: ColumnElement[Any] | None = None) -> Select[Any]:
    mentioned = null() if value is None else value
    columns = staged.c.line.label("line"), mentioned.label("value")
    return select(*columns).select_from(staged).where(staged.c.line.is_not(None))


def _repeated(staged: Table, *key: ColumnElement[Any], where: ColumnElement[bool] | None = None) -> Select[Any]:
    condition = and_(staged.c.line.is_not(None), literal(True) if where is None else where)
    groups = (
        select(*key, func.min(staged.c.line).label("first_line"))
        .where(condition)
        .group_by(*key)
        .having(func.count() > 1)
        .subquery()
    )
    same = and_(*(column == groups.c[column.name] for column in key))
    return _lines(staged, groups.c.first_line).join(groups, same).where(condition, staged.c.line > groups.c.first_line)


def _unknown_customer(customer_id: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(customer_id.is_not(None), ~exists().where(customers_in.c.customer_id == customer_id))


def _other_holder(one: Any, other: Any) -> ColumnElement[bool]:
    """Not the same customer, nor two that are known to be the same person (SPEC §3, delete)."""
    return and_(
        one.c.customer_id != other.c.customer_id,
        or_(one.c.tax_id.is_(None), other.c.tax_id.is_(None), one.c.tax_id != other.c.tax_id),
    )
