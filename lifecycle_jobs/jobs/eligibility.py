"""Which boxes renew by themselves: asked by the jobs that charge, look up and give notice."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select

from lifecycle_jobs.db.conditions import (
    Refusals,
    by_plan,
    days_from,
    none_of,
    of_this_term,
    on_hold,
    still_unresolved,
    unapplied_payment,
)
from lifecycle_jobs.db.tables import boxes, charges, orders, payment_methods
from lifecycle_jobs.jobs.task import Task


def charging_window(task: Task) -> ColumnElement[bool]:
    """Active, and between the first slot and the last day of late charges."""
    in_window = by_plan(
        task.catalog.groups(),
        lambda policy: and_(
            boxes.c.expires_on <= days_from(task.on, max(policy.charge_slots)),
            boxes.c.expires_on >= days_from(task.on, -policy.late_charge_days),
        ),
    )
    return and_(boxes.c.status == "active", in_window, task.in_scope)


def not_eligible(task: Task) -> Refusals:
    """Why a box is not renewed automatically at all (SPEC §3, auto_renew)."""
    return [
        ("auto_renew_off", ~boxes.c.auto_renew),
        ("cancelled", boxes.c.cancelled_on.is_not(None)),
        ("on_hold", on_hold(task.on)),
        ("no_payment_method", boxes.c.payment_method_id.is_(None)),
        ("plan_not_auto_renewable", boxes.c.plan.not_in(task.catalog.auto_renewable())),
    ]


def still_wanted(task: Task, charge_id: int) -> Select[Any]:
    """The box of a charge, only while that very one is wanted.

    It is not settled elsewhere, of the same term, order and method, and no other money for it waits for a person.
    """
    return (
        select(boxes)
        .join(payment_methods, payment_methods.c.payment_method_id == boxes.c.payment_method_id)
        .join(charges, of_this_term)
        .join(orders, orders.c.id == charges.c.order_id)
        .where(
            charges.c.id == charge_id,
            still_unresolved,
            charges.c.payment_method_id == payment_methods.c.payment_method_id,
            charges.c.token.is_not_distinct_from(payment_methods.c.token),
            orders.c.status == "awaiting_payment",
            charging_window(task),
            none_of(not_eligible(task)),
            ~unapplied_payment(),
        )
    )
