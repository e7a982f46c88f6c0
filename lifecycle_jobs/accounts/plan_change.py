"""What a renewal order makes of a box: another plan, more or less extra space; and what is lost by it.

Ordered, it is only a promise: it comes about when the order is paid, and not where auto-renew pays the term instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from lifecycle_jobs.db.dialect import among
from lifecycle_jobs.db.tables import addons, boxes, order_lines
from lifecycle_jobs.history import Origin, record_of_box
from lifecycle_jobs.payments.orders import Line
from lifecycle_jobs.policy import MB_PER_GB, Catalog, Plan, Space, archive_lost_mb, space_of

INBOX: Final = "extra_inbox"
ARCHIVE: Final = "extra_archive"
"""The kinds of add-on that are extra space, in GB."""


@dataclass(frozen=True, slots=True)
class Change:
    """The plan that a box will have, and the add-ons that its renewal pays for (`dropped`: those no longer).

    `archive_lost_mb` is what the new archive has no room for; none if nobody knows how much is used.
    """

    plan: Plan
    extras: tuple[Line, ...]
    dropped: tuple[str, ...]
    after: Space
    archive_lost_mb: int | None


@dataclass(frozen=True, slots=True)
class WantedSpace:
    """What is asked for; none: as it is. The GB are all those paid with the renewal, not how many more."""

    plan: str | None = None
    extra_inbox_gb: int | None = None
    extra_archive_gb: int | None = None
    accept_archive_loss: bool = False


AS_IT_IS: Final = WantedSpace()


def plan_change(
    catalog: Catalog, box: Row[Any], extras: Sequence[Line], by_credit: Mapping[str, int], wanted: WantedSpace
) -> Change | str:
    """What a renewal with these wishes makes of a box; or why it cannot be ordered.

    `extras` are the add-ons that its renewal pays for now, `by_credit` the GB that credit pays for, by kind.
    """
    before, plan = catalog.plans[box.plan], catalog.plans.get(wanted.plan or box.plan)
    if plan is None:
        return f"There is no plan {wanted.plan}. Known: {', '.join(catalog.auto_renewable())}."
    if plan is not before and not plan.auto_renewable:
        return f"{box.address}: no box changes to plan {plan.name}; it comes with a domain."
    if not plan.auto_renewable:
        return (
            f"{box.address}: plan {plan.name} is renewed with a domain, and the box is on none. "
            f"Name another plan ({', '.join(catalog.auto_renewable())})."
        )
    now = Counter({kind: sum(line.quantity for line in extras if line.item == kind) for kind in (INBOX, ARCHIVE)})
    gives_up_archive = wanted.accept_archive_loss and not plan.max_extra_archive_gb
    then = {
        INBOX: now[INBOX] if wanted.extra_inbox_gb is None else wanted.extra_inbox_gb,
        ARCHIVE: (0 if gives_up_archive else now[ARCHIVE])
        if wanted.extra_archive_gb is None
        else wanted.extra_archive_gb,
    }
    for kind, most in ((INBOX, plan.max_extra_inbox_gb), (ARCHIVE, plan.max_extra_archive_gb)):
        all_of_it = then[kind] + by_credit.get(kind, 0)
        if all_of_it > most and (plan is not before or then[kind] > now[kind]):
            return _too_much(box, plan, kind, all_of_it, most, by_credit.get(kind, 0))
    had = space_of(before, *(now[kind] + by_credit.get(kind, 0) for kind in (INBOX, ARCHIVE)))
    has = space_of(plan, *(then[kind] + by_credit.get(kind, 0) for kind in (INBOX, ARCHIVE)))
    lost = archive_lost_mb(had, has, box.used_archive_mb)
    reason = _no_room(box, plan, had, has, lost, accepted=wanted.accept_archive_loss)
    if reason is not None:
        return reason
    lines, dropped = _lines(extras, then, catalog.extra_gb_cents)
    return Change(plan, lines, dropped, has, lost)


def credit_space(connection: Connection, box_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """By box and kind: the extra space that credit pays for."""
    found: dict[int, dict[str, int]] = {box_id: {} for box_id in box_ids}
    for box_id, kind, quantity in connection.execute(
        select(addons.c.box_id, addons.c.kind, func.sum(addons.c.quantity))
        .where(
            among(addons.c.box_id, box_ids),
            addons.c.paid_from == "credit",
            addons.c.status == "active",
            addons.c.cancelled_on.is_(None),
        )
        .group_by(addons.c.box_id, addons.c.kind)
    ):
        found[box_id][kind] = quantity
    return found


def bring_about(connection: Connection, order: Row[Any]) -> None:
    """Make of the locked box what a locked order says that is being paid; its add-ons still end with the old E."""
    if order.manual_plan is not None:
        connection.execute(
            update(boxes).where(boxes.c.id == order.box_id).values(plan=order.manual_plan, annual_price_cents=None)
        )
    connection.execute(
        update(addons)
        .where(
            among(addons.c.addon_id, order.manual_dropped_addons or []),
            addons.c.paid_from == "renewal",
            addons.c.status == "active",
        )
        .values(status="terminated")
    )
    for line in connection.execute(
        select(order_lines, addons.c.quantity.label("had"))
        .outerjoin(addons, addons.c.addon_id == order_lines.c.addon_id)
        .where(order_lines.c.order_id == order.id, order_lines.c.position > 1)
    ).all():
        if line.addon_id is None:
            _add(connection, order, line)
        elif line.quantity != line.had:
            connection.execute(update(addons).where(addons.c.addon_id == line.addon_id).values(quantity=line.quantity))


def space_now(connection: Connection, catalog: Catalog, box: Row[Any]) -> Space:
    """The space that a box has by its plan and all its active add-ons."""
    sums = {
        kind: int(quantity)
        for kind, quantity in connection.execute(
            select(addons.c.kind, func.sum(addons.c.quantity))
            .where(addons.c.box_id == box.id, addons.c.status == "active")
            .group_by(addons.c.kind)
        )
    }
    return space_of(catalog.plans[box.plan], sums.get(INBOX, 0), sums.get(ARCHIVE, 0))


def record_change(
    connection: Connection, origin: Origin, catalog: Catalog, order: Row[Any], *, had: Space, plan: str
) -> None:
    """Tell of what has become of a box that had that space and plan; of nothing, if both are the same."""
    box = connection.execute(select(boxes).where(boxes.c.id == order.box_id)).one()
    has = space_now(connection, catalog, box)
    if (has, box.plan) == (had, plan):
        return
    record_of_box(
        connection,
        origin,
        "box.changed",
        box,
        detail={
            "order_number": order.order_number,
            "plan": box.plan,
            "previous_plan": plan,
            "inbox_gb": has.inbox_gb,
            "archive_gb": has.archive_gb,
            "previous_inbox_gb": had.inbox_gb,
            "previous_archive_gb": had.archive_gb,
            "archive_lost_mb": archive_lost_mb(had, has, box.used_archive_mb),
        },
    )


def _add(connection: Connection, order: Row[Any], line: Row[Any]) -> None:
    addon_id = f"{order.order_number}-{line.item}"
    connection.execute(
        insert(addons).values(
            addon_id=addon_id,
            box_id=order.box_id,
            kind=line.item,
            quantity=line.quantity,
            unit_price_cents=line.unit_price_cents,
            paid_from="renewal",
            status="active",
            expires_on=order.term_expires_on,
        )
    )
    connection.execute(
        update(order_lines)
        .where(order_lines.c.order_id == line.order_id, order_lines.c.position == line.position)
        .values(addon_id=addon_id)
    )


def _too_much(box: Row[Any], plan: Plan, kind: str, all_of_it: int, most: int, by_credit: int) -> str:
    where = "inbox" if kind == INBOX else "archive"
    sentence = (
        f"{box.address}: plan {plan.name} takes at most {most} GB of extra {where}, and this would be {all_of_it} GB"
    )
    if by_credit:
        sentence += f", {by_credit} of them paid from credit"
    return f"{sentence}. Order --extra-{where} {max(0, most - by_credit)}, or another plan."


def _no_room(box: Row[Any], plan: Plan, had: Space, has: Space, lost: int | None, *, accepted: bool) -> str | None:
    used = box.used_inbox_mb
    if used is not None and has.inbox_gb < had.inbox_gb and used > has.inbox_gb * MB_PER_GB:
        return (
            f"{box.address}: {_gb(used)} of its inbox are in use, and with plan {plan.name} it would have "
            f"{has.inbox_gb} GB. Have it emptied first, or order more with --extra-inbox."
        )
    if lost == 0 or accepted:
        return None
    known = "nobody knows how much" if box.used_archive_mb is None else _gb(box.used_archive_mb)
    return (
        f"{box.address}: {known} of its archive is in use, and with plan {plan.name} it would have {has.archive_gb} GB "
        f"instead of {had.archive_gb}: {'what is in it' if lost is None else _gb(lost)} would be lost. If its holder "
        "agrees: --accept-archive-loss."
    )


def _gb(megabytes: int) -> str:
    return f"{megabytes / MB_PER_GB:.1f} GB"


def _lines(
    extras: Sequence[Line], then: Mapping[str, int], extra_gb_cents: int
) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """The add-ons as they will be: those that are there first, as far as they are wanted, then new ones."""
    lines, dropped = [], []
    left = dict(then)
    for extra in extras:
        kept = min(extra.quantity, left.get(extra.item, extra.quantity))
        if extra.item in left:
            left[extra.item] -= kept
        if kept:
            lines.append(Line(extra.item, extra.addon_id, kept, extra.unit_price_cents))
        elif extra.addon_id is not None:
            dropped.append(extra.addon_id)
    lines += [Line(kind, None, quantity, extra_gb_cents) for kind, quantity in left.items() if quantity]
    return tuple(lines), tuple(dropped)
