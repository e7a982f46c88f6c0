"""For how many terms prepaid credit will suffice: what is to be paid from a balance, in the order of its dates.

A holder's boxes that are charged to credit and the add-ons that credit pays share one balance. It is spent on them in
the order of E (of an add-on: A), boxes first, term after term, as far as it goes; nobody tops up. Where a dear one does
not fit any more the program would still try a later, cheaper one: that is not foreseen here.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, Select, and_, case, func, literal, null, select, union_all
from sqlalchemy import cast as as_type

from lifecycle_jobs.db.tables import addons, boxes, customers, payment_methods
from lifecycle_jobs.forecast.prices import extras_by_box, gross_in_sql, renewal_gross, renews_itself, whole
from lifecycle_jobs.forecast.span import Span


def terms_met(span: Span) -> CTE:
    """For how many `terms` credit pays each demand, by `box_id` (a box charged to credit) or `addon_id`."""
    demands = union_all(_boxes(span), _addons(span)).subquery("demands")
    turn = (demands.c.due_on, demands.c.rank, demands.c.box_id, demands.c.addon_id)
    holder = demands.c.customer_id
    sums = select(
        demands.c.box_id,
        demands.c.addon_id,
        holder,
        whole(func.sum(demands.c.cents).over(partition_by=holder, order_by=turn)).label("up_to_this"),
        whole(func.sum(demands.c.cents).over(partition_by=holder)).label("of_all"),
    ).subquery("sums")
    balance = customers.c.credit_cents
    whole_rounds = balance // sums.c.of_all
    reached_once_more = case((balance % sums.c.of_all >= sums.c.up_to_this, 1), else_=0)
    met = case((sums.c.of_all == 0, span.most_terms), else_=whole_rounds + reached_once_more)
    terms = case((met > span.most_terms, span.most_terms), else_=met)
    return (
        select(sums.c.box_id, sums.c.addon_id, terms.label("terms"))
        .join(customers, customers.c.customer_id == sums.c.customer_id)
        .cte("terms_met")
    )


def _boxes(span: Span) -> Select[Any]:
    extras = extras_by_box()
    by_credit = select(payment_methods.c.payment_method_id).where(payment_methods.c.kind == "credit")
    return (
        select(
            boxes.c.id.label("box_id"),
            as_type(null(), addons.c.addon_id.type).label("addon_id"),
            boxes.c.customer_id,
            boxes.c.expires_on.label("due_on"),
            literal(0).label("rank"),
            renewal_gross(span.catalog, extras).label("cents"),
        )
        .outerjoin(extras, extras.c.box_id == boxes.c.id)
        .where(boxes.c.payment_method_id.in_(by_credit), boxes.c.status == "active", renews_itself(span.catalog))
    )


def _addons(span: Span) -> Select[Any]:
    net = addons.c.quantity * addons.c.unit_price_cents * boxes.c.renewal_years
    return (
        select(
            as_type(null(), boxes.c.id.type),
            addons.c.addon_id,
            boxes.c.customer_id,
            addons.c.expires_on,
            literal(1),
            gross_in_sql(span.catalog, net),
        )
        .join(boxes, boxes.c.id == addons.c.box_id)
        .where(
            and_(addons.c.status == "active", addons.c.paid_from == "credit", addons.c.cancelled_on.is_(None)),
            boxes.c.status != "deleted",
        )
    )
