"""What the last year tells about charges that are declined and terms that are paid by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, select

from lifecycle_jobs.db.dialect import days_between
from lifecycle_jobs.db.tables import boxes, charges, events
from lifecycle_jobs.forecast.assumptions import Assumptions, ByHand, Declines, Sentence
from lifecycle_jobs.forecast.prices import renews_itself
from lifecycle_jobs.forecast.span import Span
from lifecycle_jobs.languages import spoken
from lifecycle_jobs.languages.codes import CODES
from lifecycle_jobs.policy import UNPAID, Catalog

YEAR: Final = timedelta(days=365)
CHARGED_KINDS: Final = ("card", "paypal")
"""The kinds of payment method that a bank can decline; what credit can pay is known."""


@dataclass(frozen=True, slots=True)
class Given:
    """Rates that were given, in place of those of the last year; none where the last year is asked."""

    declines: Mapping[str, float]
    hard_share: float | None = None
    by_hand: float | None = None


def assume(connection: Connection, span: Span, given: Given) -> Assumptions:
    """The rates to forecast with, from the year before the span where none is given, and sentences about them."""
    declines, told = _declines(connection, span.first, given)
    by_hand, told_by_hand = _by_hand(connection, span, given)
    return Assumptions(declines, by_hand, (*told, told_by_hand, *_ALWAYS))


_ALWAYS: Final = tuple(
    Sentence(text)
    for text in (
        spoken(
            "Nobody buys, cancels, replaces a card, tops up credit, or is put on hold or freed of a hold without an "
            "end."
        ),
        spoken(
            "A box whose charges are all declined is not paid by hand; credit is spent in the order of dates, on one "
            "date on boxes first."
        ),
        spoken("Each box is paid or declined by itself, also where one holder or one domain has several."),
        spoken("The gateway answers every charge, every e-mail is delivered on its day, and there is a run every day."),
        spoken("Deletions over the cap are counted on their day, as if they were approved."),
        spoken(
            "E-mails are those of the runs; receipts and confirmations of what holders do themselves come in addition."
        ),
    )
)


def _declines(connection: Connection, first: date, given: Given) -> tuple[dict[str, Declines], list[Sentence]]:
    made: defaultdict[str, Counter[int]] = defaultdict(Counter)
    declined: defaultdict[str, Counter[int]] = defaultdict(Counter)
    hard: Counter[str] = Counter()
    for row in connection.execute(
        select(charges.c.method_kind, charges.c.slot, charges.c.status, charges.c.hard, func.count().label("number"))
        .where(
            charges.c.attempted_on >= first - YEAR,
            charges.c.attempted_on < first,
            charges.c.status.in_(("succeeded", "declined")),
        )
        .group_by(charges.c.method_kind, charges.c.slot, charges.c.status, charges.c.hard)
    ):
        made[row.method_kind][row.slot] += row.number
        if row.status == "declined":
            declined[row.method_kind][row.slot] += row.number
            hard[row.method_kind] += row.number if row.hard else 0
    rates, told = {}, []
    for kind in CHARGED_KINDS:
        tried, refused = made[kind].total(), declined[kind].total()
        for_good = hard[kind] / refused if refused else 0.0
        share_hard = for_good if given.hard_share is None else given.hard_share
        if kind in given.declines:
            rates[kind] = Declines(given.declines[kind], share_hard)
        else:
            by_slot = {slot: declined[kind][slot] / number for slot, number in made[kind].items()}
            rates[kind] = Declines(refused / tried if tried else 0.0, share_hard, by_slot)
        told.append(_told_of(kind, rates[kind], None if kind in given.declines else tried, given.hard_share))
    return rates, told


def _told_of(kind: str, declines: Declines, tried: int | None, hard_given: float | None) -> Sentence:
    """Where the rates of a kind come from: so many charges of the last year, or they were given (none)."""
    known = {"kind": Sentence(CODES["method"][kind]), "rate": declines.otherwise, "hard": declines.hard}
    if tried == 0:
        return Sentence(spoken("{kind}: no charges in the last year, none declined."), known)
    if tried is None:
        return Sentence(
            spoken("{kind}: {rate} of charges are declined (given); {hard} of declines are for good."), known
        )
    known["number"] = tried
    if hard_given is not None:
        text = spoken(
            "{kind}: {rate} of {number} charges of the last year were declined, by slot; {hard} of declines are taken "
            "to be for good (given)."
        )
        return Sentence(text, known)
    return Sentence(
        spoken("{kind}: {rate} of {number} charges of the last year were declined, by slot; {hard} of them for good."),
        known,
    )


def _by_hand(connection: Connection, span: Span, given: Given) -> tuple[ByHand, Sentence]:
    first, days = span.first, days_between(events.c.occurred_on, events.c.term_expires_on)
    rows = connection.execute(
        select(days, func.count())
        .join(boxes, boxes.c.id == events.c.box_id)
        .where(
            _left_to_its_holder(span.catalog),
            events.c.run_on.is_(None),
            events.c.run_pass.is_(None),
            events.c.kind.in_(("box.renewed", "box.domain_renewed")),
            events.c.term_expires_on >= first - YEAR,
            events.c.term_expires_on < first,
        )
        .group_by(days)
    )
    paid: Counter[int] = Counter()
    for before, number in rows:
        # Nobody is looked at before the first message of a term, so who pays yet earlier is taken to pay then.
        paid[min(before, span.lead)] += number
    number = paid.total()
    spread = {before: each / number for before, each in paid.items()} if number else None
    if given.by_hand is not None:
        rate, source = given.by_hand, Sentence(spoken("given"))
    elif number:
        all_of_them = number + _never_paid(connection, span.catalog, first)
        rate = number / all_of_them
        source = Sentence(spoken("last year: {number} of {all}"), {"number": number, "all": all_of_them})
    else:
        rate, source = 0.0, Sentence(spoken("nobody did in the last year"))
    by_hand = ByHand(rate) if spread is None else ByHand(rate, spread)
    if not rate:
        text = spoken("Without auto-renewal: {rate} of terms are paid by hand ({source}).")
    elif spread:
        text = spoken(
            "Without auto-renewal: {rate} of terms are paid by hand ({source}), on the days of the last year's."
        )
    else:
        text = spoken(
            "Without auto-renewal: {rate} of terms are paid by hand ({source}), 30, 15, 7 and 1 days before E, in "
            "equal parts."
        )
    return by_hand, Sentence(text, {"rate": float(rate), "source": source})


def _never_paid(connection: Connection, catalog: Catalog, first: date) -> int:
    """Boxes without auto-renewal whose term ended in the last year, and that are suspended or gone for it."""
    unpaid = and_(
        boxes.c.status.in_(("suspended", "deleted")),
        boxes.c.suspended_reason == UNPAID,
        boxes.c.expires_on >= first - YEAR,
        boxes.c.expires_on < first,
    )
    counted = select(func.count()).select_from(boxes).where(unpaid, _left_to_its_holder(catalog))
    return connection.scalar(counted) or 0


def _left_to_its_holder(catalog: Catalog) -> ColumnElement[bool]:
    """The box is one of those of which a share is taken to be paid by hand (`alike.may_be_paid_by_hand`).

    Asked of it as it is now, as what it was then is not kept. A renewal of another one outside a run is a charge whose
    answer came late, or the holder's help after a decline: it tells nothing of who has to think of it himself.
    """
    return and_(boxes.c.cancelled_on.is_(None), ~renews_itself(catalog))
