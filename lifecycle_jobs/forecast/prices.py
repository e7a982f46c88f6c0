"""What renewing a box costs, and whether anybody is to be asked for it, as the database reckons it for many at once."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Subquery, and_, case, func, select
from sqlalchemy import cast as as_type

from lifecycle_jobs.db.tables import addons, boxes
from lifecycle_jobs.policy import Catalog


def gross_in_sql(catalog: Catalog, net_cents: ColumnElement[int]) -> ColumnElement[int]:
    """Net plus VAT, rounded half up to the cent; `Catalog.gross` says the same."""
    share = Fraction(100 + catalog.vat_percent) / 100
    return (2 * share.numerator * whole(net_cents) + share.denominator) // (2 * share.denominator)


def renews_itself(catalog: Catalog) -> ColumnElement[bool]:
    """The box is charged without being asked, as `jobs.eligibility` has it; but for holds, which come and go."""
    return and_(
        boxes.c.auto_renew,
        boxes.c.cancelled_on.is_(None),
        boxes.c.payment_method_id.is_not(None),
        boxes.c.plan.in_(catalog.auto_renewable()),
    )


def extras_by_box() -> Subquery:
    """What the add-ons that are paid with the renewal cost in a year, net, by box; to be joined to the boxes."""
    return (
        select(addons.c.box_id, whole(func.sum(addons.c.quantity * addons.c.unit_price_cents)).label("yearly_cents"))
        .where(addons.c.paid_from == "renewal", addons.c.status == "active", addons.c.cancelled_on.is_(None))
        .group_by(addons.c.box_id)
        .subquery("extras")
    )


def renewal_gross(catalog: Catalog, extras: Subquery) -> ColumnElement[int]:
    """What renewing a box for its years costs; `policy.renewal_net` says what the net is."""
    plans = catalog.plans
    listed_price = case(*[(boxes.c.plan == code, plans[code].annual_price_cents) for code in sorted(plans)])
    yearly = func.coalesce(boxes.c.annual_price_cents, listed_price) + func.coalesce(extras.c.yearly_cents, 0)
    return gross_in_sql(catalog, boxes.c.renewal_years * yearly)


def whole(number: ColumnElement[Any]) -> ColumnElement[int]:
    """A sum as a whole number: PostgreSQL would answer with decimals."""
    return as_type(number, BigInteger)
