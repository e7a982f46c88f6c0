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
    ADVICES,
    AddonItem,
    Advice,
    Content,
    DeletedLine,
    Holder,
    Line,
    Links,
    MessageKind,
    Sender,
)
from lifecycle_jobs.mail.methods import PaymentMethodText
from lifecycle_jobs.mail.sample_lines import (
    AGREEMENT,
    BOX,
    CARD,
    COVERED,
    CREDIT,
    ENDING,
    GIVEN_UP,
    NEXT,
    OFF,
    PAYPAL,
    SECOND,
    SHORT,
    THIRD,
    E,
    addon_renewed_line,
    alert_line,
    declined_line,
    notice_line,
    renewed_line,
    short_line,
    suspended_line,
    warned_line,
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

# One for each advice, while following it still leads to a charge.
_DECLINES: Final[tuple[tuple[str, PaymentMethodText, Advice, bool, date | None], ...]] = (
    ("insufficient_funds", PAYPAL, "funds", False, NEXT),
    ("invalid_billing_agreement", PAYPAL, "replace", True, None),
    ("authentication_required", CARD, "confirm", True, None),
    ("do_not_honor", CARD, "bank", False, NEXT),
    ("insufficient_credit", CREDIT, "credit", False, NEXT),
    ("invalid_business_account", PAYPAL, "provider", False, NEXT),
    ("processing_error", CARD, "later", False, NEXT),
)


def _content(kind: MessageKind, written_on: date, *lines: Line, holder: Holder = _MARIO) -> Content:
    return Content(kind, holder, SENDER, LINKS, lines, written_on)


_ALERT_DAY: Final = date(2027, 3, 1)
_NOTICE_DAY: Final = date(2027, 2, 22)
_CHARGE_DAY: Final = date(2027, 3, 24)

SAMPLES: Final[Mapping[MessageKind, tuple[Content, ...]]] = MappingProxyType(
    {
        "box.expiry_alert": (
            _content("box.expiry_alert", _ALERT_DAY, alert_line(BOX, "Standard", E, 30, cents=1208)),
            _content(
                "box.expiry_alert",
                _ALERT_DAY,
                alert_line(BOX, "Standard", E, 30, cents=1208),
                alert_line(SECOND, "Premium", date(2027, 4, 8), 38, cents=9760, years=2),
                alert_line(THIRD, "Domain", date(2027, 5, 1), 61, cents=0),
                holder=_FIRM,
            ),
            _content("box.expiry_alert", date(2027, 3, 30), alert_line(SECOND, "Pro", E, 1, cents=6100, years=2)),
            _content("box.expiry_alert", _ALERT_DAY, alert_line(THIRD, "Domain", E, 30, cents=0), holder=_AWKWARD),
            _content("box.expiry_alert", _ALERT_DAY, alert_line(BOX, "Standard", E, 30, cents=1208, card=ENDING)),
            _content("box.expiry_alert", E, alert_line(BOX, "Standard", E, 0, cents=1208, card=ENDING)),
            _content(
                "box.expiry_alert",
                date(2027, 2, 1),
                alert_line(BOX, "Standard", E, 58, cents=1208, card=ENDING),
                alert_line(SECOND, "Premium", date(2027, 4, 8), 66, cents=9760),
                holder=_FIRM,
            ),
        ),
        "box.renewal_notice": (
            _content("box.renewal_notice", _NOTICE_DAY, notice_line(BOX, CARD)),
            _content(
                "box.renewal_notice",
                _NOTICE_DAY,
                notice_line(BOX, CARD),
                notice_line(SECOND, PAYPAL, addons=(SHORT, COVERED)),
                notice_line(THIRD, AGREEMENT),
                holder=_FIRM,
            ),
            _content("box.renewal_notice", _NOTICE_DAY, notice_line(BOX, CREDIT, addons=(SHORT,)), holder=_AWKWARD),
            _content("box.renewal_notice", _NOTICE_DAY, notice_line(BOX, AGREEMENT)),
            _content("box.renewal_notice", _NOTICE_DAY, notice_line(BOX, CARD, cents=0)),
            _content("box.renewal_notice", _NOTICE_DAY, notice_line(BOX, CARD, card=ENDING)),
            _content("box.renewal_notice", _ALERT_DAY, notice_line(BOX, CARD, card=ENDING)),
            _content("box.renewal_notice", _CHARGE_DAY, notice_line(BOX, CARD, card=ENDING)),
            _content(
                "box.renewal_notice",
                _NOTICE_DAY,
                notice_line(BOX, CARD, card=ENDING),
                notice_line(SECOND, PAYPAL),
                holder=_FIRM,
            ),
        ),
        "box.renewed": (
            _content("box.renewed", _CHARGE_DAY, renewed_line(BOX, "R-2027-004211", 990, 218, CARD)),
            _content(
                "box.renewed",
                _CHARGE_DAY,
                renewed_line(BOX, "R-2027-004211", 1240, 273, CARD, addons=(AddonItem("extra_inbox", 1),)),
                renewed_line(SECOND, "R-2027-004212", 990, 218, AGREEMENT),
                renewed_line(THIRD, "R-2027-004213", 0, 0, CARD),
                holder=_FIRM,
            ),
            _content("box.renewed", _CHARGE_DAY, renewed_line(BOX, "R-2027-004211", 990, 218, AGREEMENT)),
            _content("box.renewed", _CHARGE_DAY, renewed_line(BOX, "R-2027-004211", 990, 218, None), holder=_AWKWARD),
        ),
        "charge.declined": (
            _content(
                "charge.declined",
                _CHARGE_DAY,
                declined_line(BOX, "insufficient_funds", CARD, "funds", next_on=NEXT),
            ),
            _content(
                "charge.declined",
                _CHARGE_DAY,
                declined_line(BOX, "stolen_card", CARD, "replace", hard=True),
                declined_line(SECOND, "insufficient_credit", CREDIT, "credit", number="R-2027-004212", next_on=NEXT),
                declined_line(THIRD, "something_new", PAYPAL, number="R-2027-004213"),
                holder=_FIRM,
            ),
            _content("charge.declined", _CHARGE_DAY, declined_line(BOX, "expired_card", CARD, "replace", hard=True)),
            _content(
                "charge.declined", E, declined_line(BOX, "insufficient_credit", CREDIT, "credit"), holder=_AWKWARD
            ),
            _content("charge.declined", date(2027, 4, 2), declined_line(BOX, "generic_decline", PAYPAL)),
            *(
                _content(
                    "charge.declined", _CHARGE_DAY, declined_line(BOX, code, method, advice, hard=hard, next_on=again)
                )
                for code, method, advice, hard, again in _DECLINES
            ),
            *(
                _content("charge.declined", E, declined_line(BOX, "something_new", CARD, advice, hard=True))
                for advice in ADVICES
            ),
            _content(
                "charge.declined",
                _CHARGE_DAY,
                declined_line(BOX, "processing_error", CARD, "later", next_on=NEXT),
                declined_line(SECOND, "issuer_not_available", CARD, "later", number="R-2027-004212", next_on=NEXT),
                holder=_FIRM,
            ),
            _content(
                "charge.declined",
                _CHARGE_DAY,
                declined_line(BOX, "expired_card", CARD, "replace", hard=True),
                declined_line(SECOND, "expired_card", CARD, "replace", hard=True, number="R-2027-004212"),
                holder=_FIRM,
            ),
        ),
        "addon.credit_short": (
            _content("addon.credit_short", _CHARGE_DAY, short_line(BOX, "extra_inbox", 1, 305)),
            _content(
                "addon.credit_short",
                _CHARGE_DAY,
                short_line(BOX, "extra_inbox", 1, 305),
                short_line(SECOND, "extra_archive", 2, 610),
                holder=_FIRM,
            ),
            _content("addon.credit_short", E, short_line(THIRD, "sms_notices", 3, 915), holder=_AWKWARD),
        ),
        "addon.renewed": (
            _content("addon.renewed", _CHARGE_DAY, addon_renewed_line(BOX, "extra_inbox", 1, 1695)),
            _content(
                "addon.renewed",
                _CHARGE_DAY,
                addon_renewed_line(BOX, "extra_inbox", 1, 1695),
                addon_renewed_line(SECOND, "extra_archive", 2, 1085),
                holder=_FIRM,
            ),
            _content("addon.renewed", _CHARGE_DAY, addon_renewed_line(THIRD, "sms_notices", 1, 0), holder=_AWKWARD),
        ),
        "addon.disabled": (
            _content("addon.disabled", date(2027, 4, 1), OFF),
            _content("addon.disabled", date(2027, 4, 1), OFF, GIVEN_UP, holder=_FIRM),
            _content("addon.disabled", date(2027, 4, 1), GIVEN_UP, holder=_AWKWARD),
        ),
        "box.suspended": (
            _content("box.suspended", date(2027, 4, 1), suspended_line(BOX)),
            _content("box.suspended", date(2027, 4, 1), suspended_line(BOX), suspended_line(SECOND), holder=_FIRM),
            _content("box.suspended", date(2027, 4, 1), suspended_line(THIRD), holder=_AWKWARD),
        ),
        "box.deletion_warning": (
            _content("box.deletion_warning", date(2027, 6, 23), warned_line(BOX, date(2027, 6, 30), 7)),
            _content(
                "box.deletion_warning",
                date(2027, 6, 29),
                warned_line(BOX, date(2027, 6, 30), 1),
                warned_line(SECOND, date(2027, 7, 8), 9),
                holder=_FIRM,
            ),
            _content(
                "box.deletion_warning",
                date(2027, 6, 30),
                warned_line(THIRD, date(2027, 6, 30), 0),
                holder=_AWKWARD,
            ),
        ),
        "box.deleted": (
            _content("box.deleted", date(2027, 6, 30), DeletedLine(BOX, "Standard", E, date(2027, 6, 30))),
            _content(
                "box.deleted",
                date(2027, 6, 30),
                DeletedLine(BOX, "Standard", E, date(2027, 6, 30)),
                DeletedLine(SECOND, "Premium", E, date(2027, 6, 30)),
                holder=_FIRM,
            ),
            _content(
                "box.deleted",
                date(2027, 7, 8),
                DeletedLine(THIRD, "Pro", E, date(2027, 7, 8)),
                holder=_AWKWARD,
            ),
        ),
    }
)
"""Messages to render, by kind. `Renderer.preview` shows the first."""
