"""Works out what the database will hold after the import, within the temporary tables (SPEC §6).

Afterwards each temporary table holds, for every row of its file and for the company of these rows, the values as
they will be; checks and writing look nowhere else. What may change only with `--overwrite` has, without it, been
replaced by what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    union,
    update,
)

from lifecycle_jobs.db.conditions import EXPIRY_MOVED
from lifecycle_jobs.db.tables import addons, boxes, customers, events, payment_methods
from lifecycle_jobs.db.transfer.staging import addons_in, boxes_in, customers_in, payment_methods_in

SAME = {
    "customers": customers_in.c.customer_id == customers.c.customer_id,
    "payment_methods": payment_methods_in.c.payment_method_id == payment_methods.c.payment_method_id,
    "boxes": boxes_in.c.box_id == boxes.c.id,
    "addons": addons_in.c.addon_id == addons.c.addon_id,
}
"""What makes a row of a temporary table and one of its table the same."""

_PROTECTED = {
    "customers": ("tax_id", "credit_cents"),
    "boxes": ("status", "expires_on", "suspended_on", "suspended_reason"),
    "addons": ("status", "expires_on"),
}

_LIVE = boxes.c.status != "deleted"
_DEAD = boxes.c.status == "deleted"


def settle(connection: Connection, *, overwrite: bool) -> dict[str, int]:
    """Do so. Returns for each table how many rows of its file differ from the database in what was kept."""
    _recognise(connection)
    _bring_company(connection)
    kept = {} if overwrite else _keep(connection)
    _number_new_boxes(connection)
    find_boxes_of_new_addons(connection)
    _note_what_boxes_came_with(connection)
    return kept


@dataclass(frozen=True, slots=True)
class MovedExpiries:
    """Of how many boxes that are there and not deleted E is moved; `earlier`: of how many of them to an earlier day."""

    number: int
    earlier: int


def moved_expiries(connection: Connection) -> MovedExpiries:
    """Counted once all is settled: without `--overwrite` there are none."""
    box = boxes_in.c
    moved = and_(box.line.is_not(None), box.old_status != "deleted", box.expires_on != box.old_expires_on)
    number, earlier = connection.execute(
        select(func.count(), func.count().filter(box.expires_on < box.old_expires_on)).where(moved)
    ).one()
    return MovedExpiries(number, earlier)


def differs(target: Table, staged: Table, names: Sequence[str]) -> ColumnElement[bool]:
    """Whether a row of a table differs from its row in the temporary table in any of these columns."""
    return or_(*(target.c[name].is_distinct_from(staged.c[name]) for name in names))


def _recognise(connection: Connection) -> None:
    old_box = {
        "box_id": boxes.c.id,
        "old_customer_id": boxes.c.customer_id,
        "old_status": boxes.c.status,
        "old_expires_on": boxes.c.expires_on,
    }
    same_address = boxes_in.c.address_key == boxes.c.address_key
    for statement in (
        update(customers_in)
        .where(SAME["customers"])
        .values(
            old_credit_cents=customers.c.credit_cents,
            # An empty credit says nothing about the balance of somebody who has one.
            credit_cents=func.coalesce(customers_in.c.credit_cents, customers.c.credit_cents),
        ),
        update(customers_in).where(customers_in.c.credit_cents.is_(None)).values(credit_cents=0),
        update(payment_methods_in).where(SAME["payment_methods"]).values(old_customer_id=payment_methods.c.customer_id),
        update(boxes_in).where(same_address, boxes_in.c.deleted_on.is_(None), _LIVE).values(old_box),
        update(boxes_in).where(same_address, boxes_in.c.deleted_on == boxes.c.deleted_on, _DEAD).values(old_box),
        update(addons_in).where(SAME["addons"]).values(box_id=addons.c.box_id, old_status=addons.c.status),
    ):
        connection.execute(statement)


def _bring_company(connection: Connection) -> None:
    addresses = union(select(boxes_in.c.address_key), select(addons_in.c.address_key)).subquery()
    same_address = boxes.c.address_key == addresses.c.address_key
    old_box = [
        boxes.c.id.label("box_id"),
        boxes.c.customer_id.label("old_customer_id"),
        boxes.c.status.label("old_status"),
        boxes.c.expires_on.label("old_expires_on"),
    ]
    box = select(*_without_id(boxes), *old_box).where(~exists().where(SAME["boxes"]))
    _invite(connection, boxes_in, box.join(addresses, same_address).where(_LIVE))
    _invite(connection, boxes_in, box.join(addresses, same_address).where(_DEAD))
    _invite(connection, boxes_in, box.where(boxes.c.id.in_(select(addons_in.c.box_id))))

    methods = select(boxes_in.c.payment_method_id).where(boxes_in.c.line.is_not(None))
    method = select(*payment_methods.c, payment_methods.c.customer_id.label("old_customer_id"))
    absent = ~exists().where(SAME["payment_methods"])
    _invite(connection, payment_methods_in, method.where(payment_methods.c.payment_method_id.in_(methods), absent))

    holders = union(
        select(payment_methods_in.c.customer_id),
        select(boxes_in.c.customer_id),
        select(boxes_in.c.old_customer_id),
    )
    customer = select(*customers.c, customers.c.credit_cents.label("old_credit_cents"))
    absent = ~exists().where(SAME["customers"])
    _invite(connection, customers_in, customer.where(customers.c.customer_id.in_(holders), absent))


def _invite(connection: Connection, staged: Table, company: Select[*tuple[Any, ...]]) -> None:
    names = [column.name for column in company.selected_columns]
    connection.execute(insert(staged).from_select(names, company))


def _without_id(table: Table) -> list[ColumnElement[object]]:
    return [column for column in table.columns if column.name != "id"]


def _keep(connection: Connection) -> dict[str, int]:
    kept = {}
    for target, staged in ((customers, customers_in), (boxes, boxes_in), (addons, addons_in)):
        names = _PROTECTED[target.name]
        changed = and_(SAME[target.name], staged.c.line.is_not(None), differs(target, staged, names))
        kept[target.name] = connection.execute(
            select(func.count()).select_from(staged, target).where(changed)
        ).scalar_one()
        connection.execute(update(staged).where(changed).values({name: target.c[name] for name in names}))
    return kept


def _number_new_boxes(connection: Connection) -> None:
    # In the order of the file, so that the same files give the same numbers on both databases.
    highest = connection.execute(select(func.max(boxes.c.id))).scalar_one() or 0
    position = func.row_number().over(order_by=boxes_in.c.line)
    new = (
        select(boxes_in.c.line, position.label("position"))
        .where(boxes_in.c.line.is_not(None), boxes_in.c.box_id.is_(None))
        .subquery()
    )
    statement = update(boxes_in).where(boxes_in.c.line == new.c.line).values(box_id=highest + new.c.position)
    connection.execute(statement)


def find_boxes_of_new_addons(connection: Connection) -> None:
    """Give each add-on that is new the box of its address to which it belongs; none if there is no such box."""
    addon, box = addons_in.c, boxes_in.c
    new = addon.old_status.is_(None)
    ended = and_(new, addon.status != "active")
    of_address = box.address_key == addon.address_key
    connection.execute(update(addons_in).where(new, of_address, box.deleted_on.is_(None)).values(box_id=box.box_id))
    # An add-on ends before its box is deleted: the first deletion after its end is that of its own box.
    after_its_end = and_(ended, box.deleted_on >= addon.expires_on)
    _give_deleted_box(connection, after_its_end, func.min(box.deleted_on))
    nowhere_else = and_(ended, addon.box_id.is_(None), box.deleted_on.is_not(None))
    _give_deleted_box(connection, nowhere_else, func.max(box.deleted_on))


def _give_deleted_box(connection: Connection, which: ColumnElement[bool], day: ColumnElement[date]) -> None:
    of_address = boxes_in.c.address_key == addons_in.c.address_key
    chosen = (
        select(addons_in.c.line, day.label("deleted_on"))
        .join(boxes_in, of_address)
        .where(which)
        .group_by(addons_in.c.line)
        .subquery()
    )
    connection.execute(
        update(addons_in)
        .where(addons_in.c.line == chosen.c.line, of_address, boxes_in.c.deleted_on == chosen.c.deleted_on)
        .values(box_id=boxes_in.c.box_id)
    )


def _note_what_boxes_came_with(connection: Connection) -> None:
    box, in_file = boxes_in.c, boxes_in.c.line.is_not(None)
    set_now = or_(box.old_status.is_(None), box.expires_on != box.old_expires_on)
    renewed = (
        select(func.max(events.c.id))
        .where(events.c.box_id == box.box_id, events.c.kind.in_(EXPIRY_MOVED))
        .correlate(boxes_in)
        .scalar_subquery()
    )
    for statement in (
        update(boxes_in)
        .where(in_file, SAME["boxes"])
        .values(imported_expires_on=boxes.c.imported_expires_on, imported_after_event=boxes.c.imported_after_event),
        update(boxes_in)
        .where(in_file, set_now)
        .values(imported_expires_on=box.expires_on, imported_after_event=renewed),
    ):
        connection.execute(statement)
