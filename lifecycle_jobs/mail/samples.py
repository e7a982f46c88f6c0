"""Made-up messages of every kind, for ``preview``, ``templates check`` and the tests.

The first of each kind is what a reader would expect; the others take the branches of the templates that it does
not: several boxes, other payment methods, nothing to pay, the last day. All follow one box, E = 31 March 2027.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from lifecycle_jobs.mail.contents import (
    AddonDisabledLine,
    AddonItem,
    AddonRenewedLine,
    AddonToPay,
    ChargeDeclinedLine,
    Content,
    CreditShortLine,
    DeletedLine,
    DeletionWarningLine,
    ExpiryAlertLine,
    Holder,
    Line,
    Links,
    MessageKind,
    PaymentMethodText,
    RenewalNoticeLine,
    RenewedLine,
    Sender,
    SuspendedLine,
)

SENDER: Final = Sender(
    name="Posta Certificata Esempio",
    website="https://www.example.it",
    support_email="assistenza@example.it",
    support_phone="+39 06 0000 0000",
    legal_line="Posta Certificata Esempio S.r.l., Via di Esempio 1, 00100 Roma - P. IVA 00000000000",
)
LINKS: Final = Links(
    account="https://www.example.it/account",
    credit="https://www.example.it/credit",
    payment_method="https://www.example.it/payment-methods",
)

_MARIO: Final = Holder("Mario Rossi", "mario.rossi@example.com")
_FIRM: Final = Holder("Studio Legale D’Angelo & Müller", "segreteria@example.com")
_AWKWARD: Final = Holder("Zoë “Zo” <O'Neil>\r\nЖ 東京 أحمد", "zoe@example.com")

_BOX: Final = "mario.rossi@pec.example.it"
_SECOND: Final = "studiolegale.dangelo-mueller@pec.avvocati.example.it"
_THIRD: Final = "amministrazione@pec.example.com"

_E: Final = date(2027, 3, 31)
_CARD: Final = PaymentMethodText("card", "visa", "4242")
_PAYPAL: Final = PaymentMethodText("paypal")
_CREDIT: Final = PaymentMethodText("credit")
_AGREEMENT: Final = PaymentMethodText("agreement")

_SHORT: Final = AddonToPay("extra_inbox", 1, 305, 100, 205)
_COVERED: Final = AddonToPay("extra_archive", 2, 610, 1000, 0)


def _renew(address: str) -> str:
    return f"https://www.example.it/renew?box={address}"


def _alert(address: str, plan: str, expires_on: date, days: int, *, cents: int, years: int = 1) -> ExpiryAlertLine:
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
        addons=(_SHORT, _COVERED) if years > 1 else (),
        domain="example.com" if cents == 0 else None,
    )


def _notice(
    address: str, method: PaymentMethodText, cents: int = 1208, addons: tuple[AddonToPay, ...] = ()
) -> RenewalNoticeLine:
    return RenewalNoticeLine(
        address=address,
        plan_name="Standard",
        expires_on=_E,
        days_left=37,
        charge_on=date(2027, 3, 24),
        switch_off_by=date(2027, 3, 23),
        years=1,
        gross_cents=cents,
        renews_until=date(2028, 3, 31),
        method=method,
        addons=addons,
    )


def _renewed(
    address: str,
    number: str,
    net: int,
    vat: int,
    method: PaymentMethodText | None,
    *,
    addons: tuple[AddonItem, ...] = (),
) -> RenewedLine:
    return RenewedLine(
        address=address,
        plan_name="Standard",
        old_expires_on=_E,
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


def _declined(
    address: str,
    code: str,
    method: PaymentMethodText,
    *,
    hard: bool = False,
    next_on: date | None = None,
    number: str = "R-2027-004211",
) -> ChargeDeclinedLine:
    return ChargeDeclinedLine(
        address=address,
        plan_name="Standard",
        expires_on=_E,
        amount_cents=1208,
        code=code,
        hard=hard,
        final=next_on is None,
        next_attempt_on=next_on,
        method=method,
        order_number=number,
        suspends_on=date(2027, 4, 1),
        renew_url=_renew(address),
    )


def _short(address: str, kind: str, quantity: int, cost: int) -> CreditShortLine:
    return CreditShortLine(address, kind, quantity, _E, date(2028, 3, 31), cost, 100, cost - 100)


def _addon_renewed(address: str, kind: str, quantity: int, balance: int) -> AddonRenewedLine:
    return AddonRenewedLine(address, kind, quantity, date(2028, 3, 31), 305 * quantity, balance, "A-2027-000871")


_OFF: Final = AddonDisabledLine(_BOX, "extra_inbox", 1, _E, "credit_short", 305, 100, 205)
_GIVEN_UP: Final = AddonDisabledLine(_THIRD, "sms_notices", 2, _E, "cancelled", 0, 0, 0)


def _suspended(address: str) -> SuspendedLine:
    return SuspendedLine(address, "Standard", _E, date(2027, 4, 1), date(2027, 6, 30), _renew(address))


def _warned(address: str, deletes_on: date, days: int) -> DeletionWarningLine:
    return DeletionWarningLine(address, "Standard", _E, date(2027, 4, 1), deletes_on, days, _renew(address))


def _content(kind: MessageKind, written_on: date, *lines: Line, holder: Holder = _MARIO) -> Content:
    return Content(kind, holder, SENDER, LINKS, lines, written_on)


_ALERT_DAY: Final = date(2027, 3, 1)
_NOTICE_DAY: Final = date(2027, 2, 22)
_CHARGE_DAY: Final = date(2027, 3, 24)

SAMPLES: Final[Mapping[MessageKind, tuple[Content, ...]]] = MappingProxyType(
    {
        "box.expiry_alert": (
            _content("box.expiry_alert", _ALERT_DAY, _alert(_BOX, "Standard", _E, 30, cents=1208)),
            _content(
                "box.expiry_alert",
                _ALERT_DAY,
                _alert(_BOX, "Standard", _E, 30, cents=1208),
                _alert(_SECOND, "Premium", date(2027, 4, 8), 38, cents=9760, years=2),
                _alert(_THIRD, "Domain", date(2027, 5, 1), 61, cents=0),
                holder=_FIRM,
            ),
            _content("box.expiry_alert", date(2027, 3, 30), _alert(_SECOND, "Pro", _E, 1, cents=6100, years=2)),
            _content("box.expiry_alert", _ALERT_DAY, _alert(_THIRD, "Domain", _E, 30, cents=0), holder=_AWKWARD),
        ),
        "box.renewal_notice": (
            _content("box.renewal_notice", _NOTICE_DAY, _notice(_BOX, _CARD)),
            _content(
                "box.renewal_notice",
                _NOTICE_DAY,
                _notice(_BOX, _CARD),
                _notice(_SECOND, _PAYPAL, addons=(_SHORT, _COVERED)),
                _notice(_THIRD, _AGREEMENT),
                holder=_FIRM,
            ),
            _content("box.renewal_notice", _NOTICE_DAY, _notice(_BOX, _CREDIT, addons=(_SHORT,)), holder=_AWKWARD),
            _content("box.renewal_notice", _NOTICE_DAY, _notice(_BOX, _AGREEMENT)),
            _content("box.renewal_notice", _NOTICE_DAY, _notice(_BOX, _CARD, cents=0)),
        ),
        "box.renewed": (
            _content("box.renewed", _CHARGE_DAY, _renewed(_BOX, "R-2027-004211", 990, 218, _CARD)),
            _content(
                "box.renewed",
                _CHARGE_DAY,
                _renewed(_BOX, "R-2027-004211", 1240, 273, _CARD, addons=(AddonItem("extra_inbox", 1),)),
                _renewed(_SECOND, "R-2027-004212", 990, 218, _AGREEMENT),
                _renewed(_THIRD, "R-2027-004213", 0, 0, _CARD),
                holder=_FIRM,
            ),
            _content("box.renewed", _CHARGE_DAY, _renewed(_BOX, "R-2027-004211", 990, 218, _AGREEMENT)),
            _content("box.renewed", _CHARGE_DAY, _renewed(_BOX, "R-2027-004211", 990, 218, None), holder=_AWKWARD),
        ),
        "charge.declined": (
            _content(
                "charge.declined",
                _CHARGE_DAY,
                _declined(_BOX, "insufficient_funds", _CARD, next_on=date(2027, 3, 26)),
            ),
            _content(
                "charge.declined",
                _CHARGE_DAY,
                _declined(_BOX, "stolen_card", _CARD, hard=True),
                _declined(_SECOND, "insufficient_credit", _CREDIT, number="R-2027-004212", next_on=date(2027, 3, 26)),
                _declined(_THIRD, "something_new", _PAYPAL, number="R-2027-004213"),
                holder=_FIRM,
            ),
            _content("charge.declined", _CHARGE_DAY, _declined(_BOX, "expired_card", _CARD, hard=True)),
            _content("charge.declined", _E, _declined(_BOX, "insufficient_credit", _CREDIT), holder=_AWKWARD),
            _content("charge.declined", date(2027, 4, 2), _declined(_BOX, "generic_decline", _PAYPAL)),
        ),
        "addon.credit_short": (
            _content("addon.credit_short", _CHARGE_DAY, _short(_BOX, "extra_inbox", 1, 305)),
            _content(
                "addon.credit_short",
                _CHARGE_DAY,
                _short(_BOX, "extra_inbox", 1, 305),
                _short(_SECOND, "extra_archive", 2, 610),
                holder=_FIRM,
            ),
            _content("addon.credit_short", _E, _short(_THIRD, "sms_notices", 3, 915), holder=_AWKWARD),
        ),
        "addon.renewed": (
            _content("addon.renewed", _CHARGE_DAY, _addon_renewed(_BOX, "extra_inbox", 1, 1695)),
            _content(
                "addon.renewed",
                _CHARGE_DAY,
                _addon_renewed(_BOX, "extra_inbox", 1, 1695),
                _addon_renewed(_SECOND, "extra_archive", 2, 1085),
                holder=_FIRM,
            ),
            _content("addon.renewed", _CHARGE_DAY, _addon_renewed(_THIRD, "sms_notices", 1, 0), holder=_AWKWARD),
        ),
        "addon.disabled": (
            _content("addon.disabled", date(2027, 4, 1), _OFF),
            _content("addon.disabled", date(2027, 4, 1), _OFF, _GIVEN_UP, holder=_FIRM),
            _content("addon.disabled", date(2027, 4, 1), _GIVEN_UP, holder=_AWKWARD),
        ),
        "box.suspended": (
            _content("box.suspended", date(2027, 4, 1), _suspended(_BOX)),
            _content("box.suspended", date(2027, 4, 1), _suspended(_BOX), _suspended(_SECOND), holder=_FIRM),
            _content("box.suspended", date(2027, 4, 1), _suspended(_THIRD), holder=_AWKWARD),
        ),
        "box.deletion_warning": (
            _content("box.deletion_warning", date(2027, 6, 23), _warned(_BOX, date(2027, 6, 30), 7)),
            _content(
                "box.deletion_warning",
                date(2027, 6, 29),
                _warned(_BOX, date(2027, 6, 30), 1),
                _warned(_SECOND, date(2027, 7, 8), 9),
                holder=_FIRM,
            ),
            _content(
                "box.deletion_warning",
                date(2027, 6, 30),
                _warned(_THIRD, date(2027, 6, 30), 0),
                holder=_AWKWARD,
            ),
        ),
        "box.deleted": (
            _content("box.deleted", date(2027, 6, 30), DeletedLine(_BOX, "Standard", _E, date(2027, 6, 30))),
            _content(
                "box.deleted",
                date(2027, 6, 30),
                DeletedLine(_BOX, "Standard", _E, date(2027, 6, 30)),
                DeletedLine(_SECOND, "Premium", _E, date(2027, 6, 30)),
                holder=_FIRM,
            ),
            _content(
                "box.deleted",
                date(2027, 7, 8),
                DeletedLine(_THIRD, "Pro", _E, date(2027, 7, 8)),
                holder=_AWKWARD,
            ),
        ),
    }
)
"""Messages to render, by kind. `Renderer.preview` shows the first."""
