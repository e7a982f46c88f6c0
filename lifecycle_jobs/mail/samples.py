"""Made-up messages of every kind, for ``preview``, ``templates check`` and the tests.

The first of each kind is what a reader would expect; the others take the branches of the templates that it does
not: several boxes, other payment methods, nothing to pay, the last day. All follow one box, E = 31 March 2027.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from lifecycle_jobs.mail.account_samples import ACCOUNT_SAMPLES
from lifecycle_jobs.mail.contents import (
    ADVICES,
    AddonItem,
    Advice,
    Content,
    DeletedLine,
)
from lifecycle_jobs.mail.methods import PaymentMethodText
from lifecycle_jobs.mail.sample_letters import AWKWARD, FIRM, content
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


_ALERT_DAY: Final = date(2027, 3, 1)
_NOTICE_DAY: Final = date(2027, 2, 22)
_CHARGE_DAY: Final = date(2027, 3, 24)

SAMPLES: Final[Mapping[str, tuple[Content, ...]]] = MappingProxyType(
    {
        "box.expiry_alert": (
            content("box.expiry_alert", _ALERT_DAY, alert_line(BOX, "Standard", E, 30, cents=1208)),
            content(
                "box.expiry_alert",
                _ALERT_DAY,
                alert_line(BOX, "Standard", E, 30, cents=1208),
                alert_line(SECOND, "Premium", date(2027, 4, 8), 38, cents=9760, years=2),
                alert_line(THIRD, "Domain", date(2027, 5, 1), 61, cents=0),
                holder=FIRM,
            ),
            content("box.expiry_alert", date(2027, 3, 30), alert_line(SECOND, "Pro", E, 1, cents=6100, years=2)),
            content("box.expiry_alert", _ALERT_DAY, alert_line(THIRD, "Domain", E, 30, cents=0), holder=AWKWARD),
            content("box.expiry_alert", _ALERT_DAY, alert_line(BOX, "Standard", E, 30, cents=1208, card=ENDING)),
            content("box.expiry_alert", E, alert_line(BOX, "Standard", E, 0, cents=1208, card=ENDING)),
            content(
                "box.expiry_alert",
                date(2027, 2, 1),
                alert_line(BOX, "Standard", E, 58, cents=1208, card=ENDING),
                alert_line(SECOND, "Premium", date(2027, 4, 8), 66, cents=9760),
                holder=FIRM,
            ),
        ),
        "box.renewal_notice": (
            content("box.renewal_notice", _NOTICE_DAY, notice_line(BOX, CARD)),
            content(
                "box.renewal_notice",
                _NOTICE_DAY,
                notice_line(BOX, CARD),
                notice_line(SECOND, PAYPAL, addons=(SHORT, COVERED)),
                notice_line(THIRD, AGREEMENT),
                holder=FIRM,
            ),
            content("box.renewal_notice", _NOTICE_DAY, notice_line(BOX, CREDIT, addons=(SHORT,)), holder=AWKWARD),
            content("box.renewal_notice", _NOTICE_DAY, notice_line(BOX, AGREEMENT)),
            content("box.renewal_notice", _NOTICE_DAY, notice_line(BOX, CARD, cents=0)),
            content("box.renewal_notice", _NOTICE_DAY, notice_line(BOX, CARD, card=ENDING)),
            content("box.renewal_notice", _ALERT_DAY, notice_line(BOX, CARD, card=ENDING)),
            content("box.renewal_notice", _CHARGE_DAY, notice_line(BOX, CARD, card=ENDING)),
            content(
                "box.renewal_notice",
                _NOTICE_DAY,
                notice_line(BOX, CARD, card=ENDING),
                notice_line(SECOND, PAYPAL),
                holder=FIRM,
            ),
        ),
        "box.renewed": (
            content("box.renewed", _CHARGE_DAY, renewed_line(BOX, "R-2027-004211", 990, 218, CARD)),
            content(
                "box.renewed",
                _CHARGE_DAY,
                renewed_line(BOX, "R-2027-004211", 1240, 273, CARD, addons=(AddonItem("extra_inbox", 1),)),
                renewed_line(SECOND, "R-2027-004212", 990, 218, AGREEMENT),
                renewed_line(THIRD, "R-2027-004213", 0, 0, CARD),
                holder=FIRM,
            ),
            content("box.renewed", _CHARGE_DAY, renewed_line(BOX, "R-2027-004211", 990, 218, AGREEMENT)),
            content("box.renewed", _CHARGE_DAY, renewed_line(BOX, "R-2027-004211", 990, 218, None), holder=AWKWARD),
        ),
        "charge.declined": (
            content(
                "charge.declined",
                _CHARGE_DAY,
                declined_line(BOX, "insufficient_funds", CARD, "funds", next_on=NEXT),
            ),
            content(
                "charge.declined",
                _CHARGE_DAY,
                declined_line(BOX, "stolen_card", CARD, "replace", hard=True),
                declined_line(SECOND, "insufficient_credit", CREDIT, "credit", number="R-2027-004212", next_on=NEXT),
                declined_line(THIRD, "something_new", PAYPAL, number="R-2027-004213"),
                holder=FIRM,
            ),
            content("charge.declined", _CHARGE_DAY, declined_line(BOX, "expired_card", CARD, "replace", hard=True)),
            content("charge.declined", E, declined_line(BOX, "insufficient_credit", CREDIT, "credit"), holder=AWKWARD),
            content("charge.declined", date(2027, 4, 2), declined_line(BOX, "generic_decline", PAYPAL)),
            *(
                content(
                    "charge.declined", _CHARGE_DAY, declined_line(BOX, code, method, advice, hard=hard, next_on=again)
                )
                for code, method, advice, hard, again in _DECLINES
            ),
            *(
                content("charge.declined", E, declined_line(BOX, "something_new", CARD, advice, hard=True))
                for advice in ADVICES
            ),
            content(
                "charge.declined",
                _CHARGE_DAY,
                declined_line(BOX, "processing_error", CARD, "later", next_on=NEXT),
                declined_line(SECOND, "issuer_not_available", CARD, "later", number="R-2027-004212", next_on=NEXT),
                holder=FIRM,
            ),
            content(
                "charge.declined",
                _CHARGE_DAY,
                declined_line(BOX, "expired_card", CARD, "replace", hard=True),
                declined_line(SECOND, "expired_card", CARD, "replace", hard=True, number="R-2027-004212"),
                holder=FIRM,
            ),
        ),
        "addon.credit_short": (
            content("addon.credit_short", _CHARGE_DAY, short_line(BOX, "extra_inbox", 1, 305)),
            content(
                "addon.credit_short",
                _CHARGE_DAY,
                short_line(BOX, "extra_inbox", 1, 305),
                short_line(SECOND, "extra_archive", 2, 610),
                holder=FIRM,
            ),
            content("addon.credit_short", E, short_line(THIRD, "sms_notices", 3, 915), holder=AWKWARD),
        ),
        "addon.renewed": (
            content("addon.renewed", _CHARGE_DAY, addon_renewed_line(BOX, "extra_inbox", 1, 1695)),
            content(
                "addon.renewed",
                _CHARGE_DAY,
                addon_renewed_line(BOX, "extra_inbox", 1, 1695),
                addon_renewed_line(SECOND, "extra_archive", 2, 1085),
                holder=FIRM,
            ),
            content("addon.renewed", _CHARGE_DAY, addon_renewed_line(THIRD, "sms_notices", 1, 0), holder=AWKWARD),
        ),
        "addon.disabled": (
            content("addon.disabled", date(2027, 4, 1), OFF),
            content("addon.disabled", date(2027, 4, 1), OFF, GIVEN_UP, holder=FIRM),
            content("addon.disabled", date(2027, 4, 1), GIVEN_UP, holder=AWKWARD),
        ),
        "box.suspended": (
            content("box.suspended", date(2027, 4, 1), suspended_line(BOX)),
            content("box.suspended", date(2027, 4, 1), suspended_line(BOX), suspended_line(SECOND), holder=FIRM),
            content("box.suspended", date(2027, 4, 1), suspended_line(THIRD), holder=AWKWARD),
        ),
        "box.deletion_warning": (
            content("box.deletion_warning", date(2027, 6, 23), warned_line(BOX, date(2027, 6, 30), 7)),
            content(
                "box.deletion_warning",
                date(2027, 6, 29),
                warned_line(BOX, date(2027, 6, 30), 1),
                warned_line(SECOND, date(2027, 7, 8), 9),
                holder=FIRM,
            ),
            content(
                "box.deletion_warning",
                date(2027, 6, 30),
                warned_line(THIRD, date(2027, 6, 30), 0),
                holder=AWKWARD,
            ),
        ),
        "box.deleted": (
            content("box.deleted", date(2027, 6, 30), DeletedLine(BOX, "Standard", E, date(2027, 6, 30))),
            content(
                "box.deleted",
                date(2027, 6, 30),
                DeletedLine(BOX, "Standard", E, date(2027, 6, 30)),
                DeletedLine(SECOND, "Premium", E, date(2027, 6, 30)),
                holder=FIRM,
            ),
            content(
                "box.deleted",
                date(2027, 7, 8),
                DeletedLine(THIRD, "Pro", E, date(2027, 7, 8)),
                holder=AWKWARD,
            ),
        ),
        **ACCOUNT_SAMPLES,
    }
)
"""Messages to render, by kind. `Renderer.preview` shows the first."""
