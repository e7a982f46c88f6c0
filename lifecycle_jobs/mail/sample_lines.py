"""Made-up lines of messages, of which the samples are put together: one box, E = 31 March 2027, and two more."""

from __future__ import annotations

from datetime import date
from typing import Final

from lifecycle_jobs.mail.contents import (
    AddonDisabledLine,
    AddonItem,
    AddonRenewedLine,
    AddonToPay,
    Advice,
    ChargeDeclinedLine,
    CreditShortLine,
    DeletionWarningLine,
    ExpiryAlertLine,
    RenewalNoticeLine,
    RenewedLine,
    SuspendedLine,
)
from lifecycle_jobs.mail.methods import EndingCard, PaymentMethodText

BOX: Final = "mario.rossi@pec.example.it"
SECOND: Final = "studiolegale.dangelo-mueller@pec.avvocati.example.it"
THIRD: Final = "amministrazione@pec.example.com"

E: Final = date(2027, 3, 31)
CARD: Final = PaymentMethodText("card", "visa", "4242")
PAYPAL: Final = PaymentMethodText("paypal")
CREDIT: Final = PaymentMethodText("credit")
AGREEMENT: Final = PaymentMethodText("agreement")

ENDING: Final = EndingCard(CARD, valid_until=date(2027, 2, 28), charge_on=date(2027, 3, 24))

NEXT: Final = date(2027, 3, 26)
SHORT: Final = AddonToPay("extra_inbox", 1, 305, 100, 205)
COVERED: Final = AddonToPay("extra_archive", 2, 610, 1000, 0)


def _renew(address: str) -> str:
    return f"https://www.example.it/renew?box={address}"


def alert_line(
    address: str, plan: str, expires_on: date, days: int, *, cents: int, years: int = 1, card: EndingCard | None = None
) -> ExpiryAlertLine:
    """An expiry alert about a box."""
    return ExpiryAlertLine(
        address=address,
        plan_name=plan,
        expires_on=expires_on,
        days_left=days,
        renew_url=_renew(address),
        price_cents=cents,
        years=years,
        suspends_on=date.fromordinal(expires_on.toordinal() + 1),
        deletes_on=date.fromordinal(expires_on.toordinal() + 91),
        addons=(SHORT, COVERED) if years > 1 else (),
        domain="example.com" if cents == 0 else None,
        ending_card=card,
    )


def notice_line(
    address: str,
    method: PaymentMethodText,
    cents: int = 1208,
    addons: tuple[AddonToPay, ...] = (),
    card: EndingCard | None = None,
) -> RenewalNoticeLine:
    """A renewal notice about a box."""
    return RenewalNoticeLine(
        address=address,
        plan_name="Standard",
        expires_on=E,
        days_left=37,
        charge_on=date(2027, 3, 24),
        switch_off_by=date(2027, 3, 23),
        years=1,
        gross_cents=cents,
        renews_until=date(2028, 3, 31),
        method=method,
        addons=addons,
        ending_card=card,
    )


def renewed_line(
    address: str,
    number: str,
    net: int,
    vat: int,
    method: PaymentMethodText | None,
    *,
    addons: tuple[AddonItem, ...] = (),
) -> RenewedLine:
    """A receipt for a box."""
    return RenewedLine(
        address=address,
        plan_name="Standard",
        old_expires_on=E,
        new_expires_on=date(2028, 3, 31),
        years=1,
        order_number=number,
        net_cents=net,
        vat_cents=vat,
        gross_cents=net + vat,
        method=method,
        on_account=method is not None and method.kind == "agreement",
        addons=addons,
    )


def declined_line(
    address: str,
    code: str,
    method: PaymentMethodText,
    advice: Advice = "bank",
    *,
    hard: bool = False,
    next_on: date | None = None,
    number: str = "R-2027-004211",
) -> ChargeDeclinedLine:
    """A declined charge of a box: final unless there is a next attempt."""
    return ChargeDeclinedLine(
        address=address,
        plan_name="Standard",
        expires_on=E,
        amount_cents=1208,
        code=code,
        advice=advice,
        hard=hard,
        final=next_on is None,
        next_attempt_on=next_on,
        method=method,
        order_number=number,
        suspends_on=date(2027, 4, 1),
        renew_url=_renew(address),
    )


def short_line(address: str, kind: str, quantity: int, cost: int) -> CreditShortLine:
    """An add-on that a balance of one euro does not cover."""
    return CreditShortLine(address, kind, quantity, E, date(2028, 3, 31), cost, 100, cost - 100)


def addon_renewed_line(address: str, kind: str, quantity: int, balance: int) -> AddonRenewedLine:
    """An add-on renewed from credit."""
    return AddonRenewedLine(address, kind, quantity, date(2028, 3, 31), 305 * quantity, balance, "A-2027-000871")


OFF: Final = AddonDisabledLine(BOX, "extra_inbox", 1, E, "credit_short", 305, 100, 205)
GIVEN_UP: Final = AddonDisabledLine(THIRD, "sms_notices", 2, E, "cancelled", 0, 0, 0)


def suspended_line(address: str) -> SuspendedLine:
    """A box suspended for want of payment."""
    return SuspendedLine(address, "Standard", E, date(2027, 4, 1), date(2027, 6, 30), _renew(address))


def warned_line(address: str, deletes_on: date, days: int) -> DeletionWarningLine:
    """A suspended box that will be deleted."""
    return DeletionWarningLine(address, "Standard", E, date(2027, 4, 1), deletes_on, days, _renew(address))
