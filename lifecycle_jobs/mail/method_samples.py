"""Made-up messages about payment methods and auto-renew (see `samples`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from lifecycle_jobs.mail.contents import Content
from lifecycle_jobs.mail.method_contents import (
    AutoRenewOffLine,
    AutoRenewOnLine,
    MethodRegisteredLine,
    MethodRemovedLine,
    MethodReplacedLine,
)
from lifecycle_jobs.mail.methods import PaymentMethodText
from lifecycle_jobs.mail.sample_letters import AWKWARD, FIRM, content
from lifecycle_jobs.mail.sample_lines import AGREEMENT, BOX, CARD, CREDIT, PAYPAL, SECOND, THIRD, E

_OLD_CARD: Final = PaymentMethodText("card", "mastercard", "4444")
_EARLY: Final = date(2027, 2, 1)
_FIRST_SLOT: Final = date(2027, 3, 24)
_IN_THE_WINDOW: Final = date(2027, 3, 29)
_TOO_LATE: Final = date(2027, 4, 2)


def _renew(address: str) -> str:
    return f"https://www.example.it/renew?box={address}"


def _replaced(
    address: str, charge_on: date | None, *, auto_renew: bool = True, being_charged: bool = False
) -> MethodReplacedLine:
    return MethodReplacedLine(
        address=address,
        plan_name="Standard",
        expires_on=E,
        method=CARD,
        previous=_OLD_CARD,
        auto_renew=auto_renew,
        charge_on=charge_on,
        being_charged=being_charged,
        renew_url=_renew(address),
    )


def _removed(address: str, *, switched_off: bool = True, being_charged: bool = False) -> MethodRemovedLine:
    return MethodRemovedLine(address, "Standard", E, CARD, switched_off, being_charged)


def _on(
    address: str, method: PaymentMethodText, charge_on: date | None, *, years: int = 1, gross: int = 1208
) -> AutoRenewOnLine:
    return AutoRenewOnLine(address, "Standard", E, years, method, gross, charge_on, _renew(address))


def _off(address: str, *, being_charged: bool = False) -> AutoRenewOffLine:
    return AutoRenewOffLine(address, "Standard", E, being_charged, _renew(address))


METHOD_SAMPLES: Final[Mapping[str, tuple[Content, ...]]] = MappingProxyType(
    {
        "method.registered": (
            content("method.registered", _EARLY, MethodRegisteredLine(CARD)),
            content("method.registered", _EARLY, MethodRegisteredLine(PAYPAL), holder=FIRM),
            content("method.registered", _EARLY, MethodRegisteredLine(CREDIT), holder=AWKWARD),
        ),
        "method.replaced": (
            content("method.replaced", _IN_THE_WINDOW, _replaced(BOX, _IN_THE_WINDOW)),
            content(
                "method.replaced",
                _IN_THE_WINDOW,
                _replaced(BOX, _IN_THE_WINDOW),
                _replaced(SECOND, None, auto_renew=False),
                holder=FIRM,
            ),
            content("method.replaced", _TOO_LATE, _replaced(BOX, None)),
            content("method.replaced", _TOO_LATE, _replaced(BOX, None), _replaced(SECOND, None), holder=FIRM),
            content("method.replaced", _FIRST_SLOT, _replaced(THIRD, _FIRST_SLOT, being_charged=True), holder=AWKWARD),
            content(
                "method.replaced",
                _EARLY,
                MethodReplacedLine("", "", None, CARD, _OLD_CARD, False, None, False, ""),
            ),
        ),
        "method.removed": (
            content("method.removed", _EARLY, _removed(BOX)),
            content("method.removed", _EARLY, _removed(BOX), _removed(SECOND, switched_off=False), holder=FIRM),
            content("method.removed", _TOO_LATE, _removed(THIRD, being_charged=True), holder=AWKWARD),
            content("method.removed", _EARLY, MethodRemovedLine("", "", None, CARD, False, False)),
        ),
        "autorenew.switched_on": (
            content("autorenew.switched_on", _EARLY, _on(BOX, CARD, _FIRST_SLOT)),
            content("autorenew.switched_on", _TOO_LATE, _on(BOX, PAYPAL, None, years=2, gross=2416)),
            content("autorenew.switched_on", _EARLY, _on(SECOND, AGREEMENT, _FIRST_SLOT), holder=FIRM),
            content("autorenew.switched_on", _EARLY, _on(THIRD, CREDIT, _FIRST_SLOT, gross=0), holder=AWKWARD),
        ),
        "autorenew.switched_off": (
            content("autorenew.switched_off", _EARLY, _off(BOX)),
            content("autorenew.switched_off", _TOO_LATE, _off(SECOND), holder=FIRM),
            content("autorenew.switched_off", _FIRST_SLOT, _off(THIRD, being_charged=True), holder=AWKWARD),
        ),
    }
)
"""Messages to render, by kind."""
