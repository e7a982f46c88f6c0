"""From an event to the line that tells of it: amounts, dates and links as they are on the day of delivery (SPEC §4).

What was decided when the event was written (what was paid, declined, short) comes from the event's detail; what the
future brings is worked out anew, because days have passed and the box may have changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Final, cast

from lifecycle_jobs.mail.account_lines import ACCOUNT_LINES
from lifecycle_jobs.mail.contents import (
    ADVICES,
    AddonDisabledLine,
    AddonRenewedLine,
    AddonToPay,
    Advice,
    ChargeDeclinedLine,
    CreditShortLine,
    DeletedLine,
    DeletionWarningLine,
    DisableReason,
    ExpiryAlertLine,
    Line,
    RenewalNoticeLine,
    RenewedLine,
    SuspendedLine,
)
from lifecycle_jobs.mail.desk import Desk, box_of, method_text, term_of
from lifecycle_jobs.mail.detail import Detail, Unreadable
from lifecycle_jobs.mail.facts import ActiveAddon, Addon, Box, Event, Method
from lifecycle_jobs.mail.methods import EndingCard
from lifecycle_jobs.policy import (
    Catalog,
    card_ended_before,
    deletion_date,
    on_hold,
    renewal_net,
    renewed_until,
    slot_date,
    suspends_on,
    switch_off_by,
    whole_years,
)


def line_for(event: Event, credit_cents: int, desk: Desk) -> Line:
    """The line that tells of an event to a holder who has that much credit; raises Unreadable."""
    tell = ACCOUNT_LINES.get(event.kind)
    if tell is not None:
        return tell(event, desk)
    make = _LINES.get(event.kind)
    if make is None:
        raise Unreadable(f"event {event.id} is of the kind {event.kind}, for which there is no message")
    return make(event, box_of(event), credit_cents, desk)


def _expiry_alert(event: Event, box: Box, credit_cents: int, desk: Desk) -> Line:
    plan = desk.plan(box)
    suspended = suspends_on(box.expires_on)
    price = _renewal_gross(event, box, desk)
    return ExpiryAlertLine(
        address=box.address,
        plan_name=plan.name,
        expires_on=box.expires_on,
        days_left=(box.expires_on - desk.on).days,
        renew_url=desk.renew_url(box),
        price_cents=price,
        years=box.renewal_years,
        suspends_on=suspended,
        deletes_on=deletion_date(plan.policy, box.expires_on, suspended, box.hold_until),
        addons=_to_pay(event, box, credit_cents, desk.catalog),
        domain=box.domain,
        ending_card=_ending_card(event.method, box, price, desk),
    )


def _renewal_notice(event: Event, box: Box, credit_cents: int, desk: Desk) -> Line:
    plan = desk.plan(box)
    if event.method is None:
        raise Unreadable(f"box {box.id} has no payment method")
    gross = _renewal_gross(event, box, desk)
    return RenewalNoticeLine(
        address=box.address,
        plan_name=plan.name,
        expires_on=box.expires_on,
        days_left=(box.expires_on - desk.on).days,
        charge_on=slot_date(box.expires_on, max(plan.policy.charge_slots)),
        switch_off_by=switch_off_by(plan.policy, box.expires_on),
        years=box.renewal_years,
        gross_cents=gross,
        renews_until=renewed_until(box.expires_on, box.renewal_years),
        method=method_text(event.method.kind, event.method),
        addons=_to_pay(event, box, credit_cents, desk.catalog),
        ending_card=_ending_card(event.method, box, gross, desk),
    )


def _renewed(event: Event, box: Box, _credit_cents: int, desk: Desk) -> Line:
    detail = Detail(event)
    kind = detail.optional_text("method")
    return RenewedLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        old_expires_on=term_of(event),
        new_expires_on=detail.day("new_expires_on"),
        years=detail.number("years"),
        order_number=detail.text("order_number"),
        net_cents=detail.cents("net"),
        vat_cents=detail.cents("vat"),
        gross_cents=detail.cents("gross"),
        method=method_text(kind, event.method) if kind else None,
        on_account=kind == "agreement",
        addons=event.renewed_addons,
    )


def _charge_declined(event: Event, box: Box, _credit_cents: int, desk: Desk) -> Line:
    detail = Detail(event)
    method = detail.text("method")
    return ChargeDeclinedLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        expires_on=box.expires_on,
        amount_cents=detail.cents("amount"),
        code=detail.text("code"),
        advice=_advice(detail.optional_text("advice"), method),
        hard=detail.flag("hard"),
        final=detail.flag("final"),
        next_attempt_on=detail.optional_day("next_attempt_on"),
        method=method_text(method, event.method),
        order_number=detail.text("order_number"),
        suspends_on=suspends_on(box.expires_on),
        renew_url=desk.renew_url(box),
    )


def _credit_short(event: Event, box: Box, _credit_cents: int, _desk: Desk) -> Line:
    detail, addon = Detail(event), _addon(event)
    return CreditShortLine(
        address=box.address,
        addon_kind=addon.kind,
        quantity=addon.quantity,
        addon_expires_on=term_of(event),
        new_expires_on=detail.day("new_expires_on"),
        cost_cents=detail.cents("cost"),
        balance_cents=detail.cents("balance"),
        shortfall_cents=detail.cents("shortfall"),
    )


def _addon_renewed(event: Event, box: Box, _credit_cents: int, _desk: Desk) -> Line:
    detail, addon = Detail(event), _addon(event)
    return AddonRenewedLine(
        address=box.address,
        addon_kind=addon.kind,
        quantity=addon.quantity,
        new_expires_on=detail.day("new_expires_on"),
        cost_cents=detail.cents("cost"),
        balance_cents=detail.cents("balance"),
        order_number=detail.text("order_number"),
    )


def _addon_disabled(event: Event, box: Box, _credit_cents: int, _desk: Desk) -> Line:
    detail, addon = Detail(event), _addon(event)
    reason = detail.text("reason")
    short = reason == "credit_short"
    return AddonDisabledLine(
        address=box.address,
        addon_kind=addon.kind,
        quantity=addon.quantity,
        addon_expires_on=term_of(event),
        reason=cast("DisableReason", reason),
        cost_cents=detail.cents("cost") if short else 0,
        balance_cents=detail.cents("balance") if short else 0,
        shortfall_cents=detail.cents("shortfall") if short else 0,
    )


def _suspended(_event: Event, box: Box, _credit_cents: int, desk: Desk) -> Line:
    plan, suspended_on = desk.plan(box), _suspended_on(box)
    return SuspendedLine(
        address=box.address,
        plan_name=plan.name,
        expires_on=box.expires_on,
        suspended_on=suspended_on,
        deletes_on=deletion_date(plan.policy, box.expires_on, suspended_on, box.hold_until),
        renew_url=desk.renew_url(box),
    )


def _deletion_warning(_event: Event, box: Box, _credit_cents: int, desk: Desk) -> Line:
    plan, suspended_on = desk.plan(box), _suspended_on(box)
    deletes_on = deletion_date(plan.policy, box.expires_on, suspended_on, box.hold_until)
    if deletes_on <= desk.on:
        # A warning that comes as late as this is one that a deletion has been waiting for.
        deletes_on = desk.on + timedelta(days=desk.days_after_warning)
    return DeletionWarningLine(
        address=box.address,
        plan_name=plan.name,
        expires_on=box.expires_on,
        suspended_on=suspended_on,
        deletes_on=deletes_on,
        days_left=(deletes_on - desk.on).days,
        renew_url=desk.renew_url(box),
    )


def _deleted(event: Event, box: Box, _credit_cents: int, desk: Desk) -> Line:
    return DeletedLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        expires_on=box.expires_on,
        deleted_on=event.occurred_on,
    )


_LINES: Final[Mapping[str, Callable[[Event, Box, int, Desk], Line]]] = {
    "box.expiry_alert": _expiry_alert,
    "box.renewal_notice": _renewal_notice,
    "box.renewed": _renewed,
    "charge.declined": _charge_declined,
    "addon.credit_short": _credit_short,
    "addon.renewed": _addon_renewed,
    "addon.disabled": _addon_disabled,
    "box.suspended": _suspended,
    "box.deletion_warning": _deletion_warning,
    "box.deleted": _deleted,
}


def _renewal_gross(event: Event, box: Box, desk: Desk) -> int:
    annual = box.annual_price_cents
    if annual is None:
        annual = desk.plan(box).annual_price_cents
    on_renewal = sum(a.quantity * a.unit_price_cents for a in event.active_addons if a.paid_from == "renewal")
    return desk.catalog.gross(renewal_net(annual, on_renewal, box.renewal_years))


def _to_pay(event: Event, box: Box, credit_cents: int, catalog: Catalog) -> tuple[AddonToPay, ...]:
    renewed = renewed_until(box.expires_on, box.renewal_years)
    return tuple(
        _addon_to_pay(addon, renewed, credit_cents, catalog)
        for addon in event.active_addons
        if addon.paid_from == "credit" and addon.expires_on < renewed
    )


def _addon_to_pay(addon: ActiveAddon, renewed: date, credit_cents: int, catalog: Catalog) -> AddonToPay:
    cost = catalog.gross(addon.quantity * addon.unit_price_cents * whole_years(addon.expires_on, renewed))
    return AddonToPay(
        kind=addon.kind,
        quantity=addon.quantity,
        cost_cents=cost,
        balance_cents=credit_cents,
        shortfall_cents=max(0, cost - credit_cents),
    )


def _ending_card(method: Method | None, box: Box, amount_cents: int, desk: Desk) -> EndingCard | None:
    """The card that auto-renew would charge, if it is no longer valid by then.

    Where nothing is going to be charged a stored card is of no interest: nobody would have to replace it.
    """
    plan = desk.plan(box)
    if method is None or method.kind != "card" or not amount_cents or not (box.auto_renew and plan.auto_renewable):
        return None
    charge_on = max(desk.on, slot_date(box.expires_on, max(plan.policy.charge_slots)))
    valid_until = card_ended_before(method.exp_month, method.exp_year, charge_on)
    if valid_until is None or on_hold(box.hold_until, box.hold_reason, charge_on):
        return None
    return EndingCard(method_text(method.kind, method), valid_until, charge_on)


def _advice(written: str | None, method: str) -> Advice:
    """What the event says helps. One that says nothing, or nothing known, is older than that: ask the bank."""
    for advice in ADVICES:
        if advice == written:
            return advice
    return "credit" if method == "credit" else "bank"


def _addon(event: Event) -> Addon:
    if event.addon is None:
        raise Unreadable(f"event {event.id} has no add-on")
    return event.addon


def _suspended_on(box: Box) -> date:
    if box.suspended_on is None:
        raise Unreadable(f"box {box.id} is not suspended")
    return box.suspended_on
