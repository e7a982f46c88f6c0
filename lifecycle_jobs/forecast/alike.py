"""Which boxes stand alike: the name of a box's group in SQL, and what a name says, side by side.

The name holds everything that decides about a box in the days ahead: E, the policy of its plan, how it is paid, holds,
and what its term has seen so far. What depends on charges is only asked of boxes whose charging has begun, what depends
on alerts of those that can have had one: for the others an answer would cost a look-up each and be none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, cast

from sqlalchemy import CTE, ColumnElement, Select, and_, case, exists, false, func, literal, null, or_, select
from sqlalchemy import cast as as_type

from lifecycle_jobs.db.conditions import (
    by_plan,
    first_warning_accepted_on,
    latest_charge_not_attempted,
    of_this_term,
    unapplied_payment,
    warning_delivered,
)
from lifecycle_jobs.db.dialect import joined
from lifecycle_jobs.db.tables import boxes, charges, events, messages, payment_methods
from lifecycle_jobs.forecast.course import Standing, Way
from lifecycle_jobs.forecast.population import BoxGroup
from lifecycle_jobs.forecast.prices import extras_by_box, renewal_gross, renews_itself
from lifecycle_jobs.forecast.span import Span
from lifecycle_jobs.jobs.auto_renew import declined_hard, method_replaced
from lifecycle_jobs.jobs.delete import approved_by_a_clerk
from lifecycle_jobs.jobs.send_alerts import BEFORE_EXPIRY
from lifecycle_jobs.policy import UNPAID, Catalog

_SET_ASIDE: Final = "set_aside"
_UNAPPLIED: Final = "unapplied"
"""Somebody paid for the box and it did not help: no job touches it or its add-ons before a person has seen to that."""

_BETWEEN: Final = "|"


@dataclass(frozen=True, slots=True)
class Alike:
    """Names groups of boxes for a forecast of some days. `credit` is `demands.terms_met`."""

    span: Span
    credit: CTE

    def boxes(self, *also: ColumnElement[bool]) -> Select[Any]:
        """Each box that a day of the span can concern: its id, its holder, and the name of its group."""
        ends_in_sight = boxes.c.expires_on <= self.span.last + timedelta(days=self.span.lead)
        return self.every_box(or_(boxes.c.status == "suspended", ends_in_sight), *also)

    def every_box(self, *also: ColumnElement[bool]) -> Select[Any]:
        """The same, however far away E is."""
        extras = extras_by_box()
        parts = self._parts(renewal_gross(self.span.catalog, extras))
        name = joined(*[each for part in parts for each in (part, literal(_BETWEEN))][:-1])
        return (
            select(boxes.c.id.label("box_id"), boxes.c.customer_id, name.label("name"))
            .select_from(
                boxes.outerjoin(extras, extras.c.box_id == boxes.c.id)
                .outerjoin(payment_methods, payment_methods.c.payment_method_id == boxes.c.payment_method_id)
                .outerjoin(self.credit, self.credit.c.box_id == boxes.c.id)
            )
            # Nearly all boxes are asked for, and are read fastest as they lie: no index is to be led astray by.
            .where(boxes.c.status.in_(("active", "suspended")), *also)
        )

    def group(self, name: str, number: int) -> BoxGroup | None:
        """So many boxes of what a name says; none if nothing is foretold of such boxes."""
        (
            expires, policy, status, way, years, cancelled, held, held_until, suspended_on,
            told, slot_used, gone_wrong, hard, not_attempted, warned_on, approved, funded, gross_cents,
        ) = name.split(_BETWEEN)  # fmt: skip
        if way == _UNAPPLIED:
            return None
        expires_on = date.fromisoformat(expires)

        def offset(day: str) -> int | None:
            return (date.fromisoformat(day) - expires_on).days if day else None

        standing = Standing(
            policy=self.span.catalog.groups()[int(policy)].policy,
            way=cast("Way", way),
            start=(self.span.first - expires_on).days,
            since=(self.span.since - expires_on).days,
            suspended=offset(suspended_on) if status == "suspended" else None,
            cancelled=cancelled == "1",
            held=held == "1",
            held_until=offset(held_until),
            told=int(told) if told else None,
            slot_used=int(slot_used) if slot_used else None,
            gone_wrong=gone_wrong == "1",
            hard=hard == "1",
            not_attempted=not_attempted == "1",
            warned=offset(warned_on),
            approved=approved == "1",
            funded=int(funded),
        )
        return BoxGroup(expires_on, int(years), standing, number, number * int(gross_cents))

    def _parts(self, gross: ColumnElement[int]) -> list[ColumnElement[Any]]:
        span = self.span
        groups = span.catalog.groups()
        active, suspended = boxes.c.status == "active", boxes.c.status == "suspended"
        # A hold that ended so long ago decides nothing any more, and one that outlasts these days never ends in them.
        still_counts = boxes.c.hold_until >= span.first - timedelta(days=span.hold_matters)
        held = or_(still_counts, and_(boxes.c.hold_until.is_(None), boxes.c.hold_reason.is_not(None)))
        until_counts = and_(still_counts, boxes.c.hold_until <= span.last)
        charging = and_(active, boxes.c.expires_on <= span.first + timedelta(days=span.slots_begin))
        gone_wrong = exists().where(of_this_term, charges.c.status.in_(("declined", "not_attempted")))
        outage_is_over = by_plan(
            groups, lambda policy: boxes.c.expires_on < span.first - timedelta(days=policy.outage_grace_days)
        )
        # As in `auto_renew`: what never reached the bank leaves its slot free, but not for ever.
        slot_used = select(func.min(charges.c.slot)).where(
            of_this_term,
            or_(
                charges.c.status.in_(("declined", "succeeded")),
                and_(charges.c.status == "not_attempted", outage_is_over),
            ),
        )
        warned_on, approved = self._proof()
        return [
            boxes.c.expires_on,
            case(*[(boxes.c.plan.in_(group.plans), literal(number)) for number, group in enumerate(groups)]),
            boxes.c.status,
            self._way(gross),
            boxes.c.renewal_years,
            _bit(boxes.c.cancelled_on.is_not(None)),
            _bit(held),
            _where(until_counts, boxes.c.hold_until),
            _where(suspended, boxes.c.suspended_on),
            self._told(),
            _where(and_(charging, ~method_replaced(span.first)), slot_used.correlate(boxes).scalar_subquery()),
            _bit(and_(charging, gone_wrong)),
            _bit(and_(charging, declined_hard())),
            _bit(and_(charging, latest_charge_not_attempted())),
            _where(suspended, warned_on),
            _bit(and_(suspended, approved)),
            func.coalesce(self.credit.c.terms, 0),
            gross,
        ]

    def _proof(self) -> tuple[ColumnElement[date | None], ColumnElement[bool]]:
        """When a notice was delivered that the deletion needs, and whether a person has let the box go without one.

        What still waits for the mail server is delivered on the first day, as every e-mail is on its own.
        """
        if self.span.proof_days is None:
            return as_type(null(), boxes.c.expires_on.type), false()
        waiting = warning_delivered(messages.c.status == "queued")
        soon = case((waiting, literal(self.span.first, boxes.c.expires_on.type)), else_=null())
        return func.coalesce(first_warning_accepted_on(), soon), approved_by_a_clerk()

    def _told(self) -> ColumnElement[str]:
        """The nearest milestone of which the holder was told; before E only where one may be told again today.

        A later one is always nearer to E than those told so far; X, which a hold puts off, may move away from them.
        """
        span = self.span
        told = select(func.min(events.c.milestone)).where(
            events.c.box_id == boxes.c.id, events.c.term_expires_on == boxes.c.expires_on
        )
        before_expiry = told.where(events.c.kind.in_(BEFORE_EXPIRY)).correlate(boxes).scalar_subquery()
        before_deletion = told.where(events.c.kind == "box.deletion_warning").correlate(boxes).scalar_subquery()
        due_at_once = boxes.c.expires_on.in_(
            {
                span.first - timedelta(days=late) + timedelta(days=milestone)
                for milestone in span.milestones
                for late in range((span.first - span.since).days)
            }
        )
        return _text(case((boxes.c.status == "suspended", before_deletion), (due_at_once, before_expiry)))

    def _way(self, gross: ColumnElement[int]) -> ColumnElement[str]:
        """How the next renewal is paid."""
        kind = payment_methods.c.kind
        too_dear = and_(kind != "credit", boxes.c.status == "active", gross > self.span.max_amount_cents)
        return case(
            (unapplied_payment(), _UNAPPLIED),
            (_suspended_by_a_person, _SET_ASIDE),
            (~renews_itself(self.span.catalog), "by_hand"),
            (kind == "agreement", "agreement"),
            (gross == 0, "free"),
            (too_dear, _SET_ASIDE),
            else_=kind,
        )


_suspended_by_a_person = and_(boxes.c.status == "suspended", boxes.c.suspended_reason != UNPAID)


def may_be_paid_by_hand(catalog: Catalog) -> ColumnElement[bool]:
    """The boxes of which a share is taken to be paid by hand: their way is `by_hand`, and nobody gave notice."""
    return and_(
        boxes.c.status.in_(("active", "suspended")),
        boxes.c.cancelled_on.is_(None),
        ~unapplied_payment(),
        ~_suspended_by_a_person,
        ~renews_itself(catalog),
    )


def _bit(condition: ColumnElement[bool]) -> ColumnElement[str]:
    return case((condition, "1"), else_="0")


def _where(condition: ColumnElement[bool], value: ColumnElement[Any]) -> ColumnElement[str]:
    return _text(case((condition, value)))


def _text(value: ColumnElement[Any]) -> ColumnElement[str]:
    """A value in a name, or nothing where there is none: one NULL would swallow the whole name."""
    return func.coalesce(joined(value), "")
