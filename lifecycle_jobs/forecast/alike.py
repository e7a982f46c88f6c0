"""Which boxes stand alike: the name of a box's group in SQL, and what a name says, side by side.

The name holds everything that decides about a box in the days ahead: E, the policy of its plan, how it is paid, holds,
and what its term has seen so far. What depends on charges is only asked of boxes whose charging has begun, what depends
on alerts of those that can have had one: for the others an answer would cost a look-up each and be none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, cast

from sqlalchemy import CTE, ColumnElement, CompoundSelect, Select, and_, case, exists, func, literal, null, or_, select, union_all

from lifecycle_jobs.db.conditions import (
    first_warning_accepted_on,
    latest_charge_not_attempted,
    of_this_term,
    unapplied_payment,
)
from lifecycle_jobs.db.dialect import joined
from lifecycle_jobs.db.tables import boxes, charges, events, payment_methods
from lifecycle_jobs.forecast.course import Standing, Way
from lifecycle_jobs.forecast.population import BoxGroup
from lifecycle_jobs.forecast.prices import extras_by_box, renewal_gross, renews_itself
from lifecycle_jobs.forecast.span import Span
from lifecycle_jobs.jobs.auto_renew import declined_hard, method_replaced
from lifecycle_jobs.jobs.send_alerts import BEFORE_EXPIRY
from lifecycle_jobs.policy import UNPAID

_SET_ASIDE: Final = "set_aside"
_UNAPPLIED: Final = "unapplied"
"""Somebody paid for the box and it did not help: no job touches it or its add-ons before a person has seen to that."""

_BETWEEN: Final = "|"


@dataclass(frozen=True, slots=True)
class Alike:
    """Names groups of boxes for a forecast of some days. `credit` is `demands.terms_met`."""

    span: Span
    credit: CTE

    def boxes(self, *also: ColumnElement[bool]) -> CompoundSelect[Any]:
        """Each box that a day of the span can concern: its id, its holder, its group's name, what a renewal costs."""
        ends_in_sight = boxes.c.expires_on <= self.span.last + timedelta(days=self.span.lead)
        return union_all(
            self._named(boxes.c.status == "active", ends_in_sight, *also, active=True),
            self._named(boxes.c.status == "suspended", *also, active=False),
        )

    def every_box(self, *also: ColumnElement[bool]) -> CompoundSelect[Any]:
        """The same, however far away E is."""
        return union_all(
            self._named(boxes.c.status == "active", *also, active=True),
            self._named(boxes.c.status == "suspended", *also, active=False),
        )

    def group(self, name: str, number: int, gross_cents: int) -> BoxGroup | None:
        """What a name says; none if nothing is foretold of such boxes."""
        (
            expires, policy, status, way, years, cancelled, held, held_until, suspended_on,
            told, slot_used, gone_wrong, hard, not_attempted, warned_on, funded,
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
            funded=int(funded),
        )
        return BoxGroup(expires_on, int(years), standing, number, gross_cents)

    def _named(self, *where: ColumnElement[bool], active: bool) -> Select[Any]:
        extras = extras_by_box()
        gross = renewal_gross(self.span.catalog, extras)
        of_box = boxes.outerjoin(extras, extras.c.box_id == boxes.c.id).outerjoin(
            payment_methods, payment_methods.c.payment_method_id == boxes.c.payment_method_id
        )
        if active:
            of_box = of_box.outerjoin(self.credit, self.credit.c.box_id == boxes.c.id)
            parts = self._parts_if_active(gross)
        else:
            parts = self._parts_if_suspended()
        name = joined(*[each for part in parts for each in (part, literal(_BETWEEN))][:-1])
        return (
            select(
                boxes.c.id.label("box_id"),
                boxes.c.customer_id,
                name.label("name"),
                gross.label("gross_cents"),
            )
            .select_from(of_box)
            .where(*where)
        )

    def _parts_if_active(self, gross: ColumnElement[int]) -> list[ColumnElement[Any]]:
        span = self.span
        charging = boxes.c.expires_on <= span.first + timedelta(days=span.slots_begin)
        told = select(func.min(events.c.milestone)).where(
            events.c.box_id == boxes.c.id,
            events.c.term_expires_on == boxes.c.expires_on,
            events.c.kind.in_(BEFORE_EXPIRY),
        )
        can_be_told = boxes.c.expires_on <= span.first + timedelta(days=span.lead)
        slot_used = select(func.min(charges.c.slot)).where(of_this_term, charges.c.status.in_(("declined", "succeeded")))
        gone_wrong = exists().where(of_this_term, charges.c.status.in_(("declined", "not_attempted")))
        return [
            *self._parts_of_any(self._way(gross)),
            literal(""),
            _text(case((can_be_told, told.correlate(boxes).scalar_subquery()))),
            _text(case((and_(charging, ~method_replaced(span.first)), slot_used.correlate(boxes).scalar_subquery()))),
            _bit(and_(charging, gone_wrong)),
            _bit(and_(charging, declined_hard())),
            _bit(and_(charging, latest_charge_not_attempted())),
            literal(""),
            func.coalesce(self.credit.c.terms, 0),
        ]

    def _parts_if_suspended(self) -> list[ColumnElement[Any]]:
        told = select(func.min(events.c.milestone)).where(
            events.c.box_id == boxes.c.id,
            events.c.term_expires_on == boxes.c.expires_on,
            events.c.kind == "box.deletion_warning",
        )
        by_a_person = boxes.c.suspended_reason != UNPAID
        way = case((and_(by_a_person, ~unapplied_payment()), _SET_ASIDE), else_=self._way(None))
        warned_on = _text(first_warning_accepted_on()) if self.span.proof_days is not None else literal("")
        return [
            *self._parts_of_any(way),
            boxes.c.suspended_on,
            _text(told.correlate(boxes).scalar_subquery()),
            literal(""),
            literal("0"),
            literal("0"),
            literal("0"),
            warned_on,
            literal("0"),
        ]

    def _parts_of_any(self, way: ColumnElement[str]) -> list[ColumnElement[Any]]:
        groups = self.span.catalog.groups()
        # One that ended so long ago decides nothing any more.
        until_counts = boxes.c.hold_until >= self.span.first - timedelta(days=self.span.hold_matters)
        held = or_(until_counts, and_(boxes.c.hold_until.is_(None), boxes.c.hold_reason.is_not(None)))
        return [
            boxes.c.expires_on,
            case(*[(boxes.c.plan.in_(group.plans), literal(number)) for number, group in enumerate(groups)]),
            boxes.c.status,
            way,
            boxes.c.renewal_years,
            _bit(boxes.c.cancelled_on.is_not(None)),
            _bit(held),
            _text(case((until_counts, boxes.c.hold_until), else_=null())),
        ]

    def _way(self, gross: ColumnElement[int] | None) -> ColumnElement[str]:
        """How the next renewal is paid; without what it costs, of a box that is not charged any more."""
        kind = payment_methods.c.kind
        ways: list[tuple[ColumnElement[bool], Any]] = [
            (unapplied_payment(), _UNAPPLIED),
            (~renews_itself(self.span.catalog), "by_hand"),
            (kind == "agreement", "agreement"),
        ]
        if gross is not None:
            too_dear = and_(kind != "credit", gross > self.span.max_amount_cents)
            ways += [(gross == 0, "free"), (too_dear, _SET_ASIDE)]
        return case(*ways, else_=kind)


def _bit(condition: ColumnElement[bool]) -> ColumnElement[str]:
    return case((condition, "1"), else_="0")


def _text(value: ColumnElement[Any]) -> ColumnElement[str]:
    """A value in a name, or nothing where there is none: one NULL would swallow the whole name."""
    return func.coalesce(joined(value), "")
