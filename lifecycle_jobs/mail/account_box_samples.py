"""Made-up messages about what was done to a box, or to its domain (see `samples`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from lifecycle_jobs.mail.account_box_contents import (
    BoughtLine,
    CancellationRecordedLine,
    CancellationWithdrawnLine,
    DomainReleasedLine,
    DomainRenewedLine,
    HoldPlacedLine,
    HoldReleasedLine,
    LiftedLine,
    RenewalUndoneLine,
    RevivedLine,
    SuspendedByHandLine,
)
from lifecycle_jobs.mail.contents import Content
from lifecycle_jobs.mail.methods import PaymentMethodText
from lifecycle_jobs.mail.sample_letters import AWKWARD, FIRM, content
from lifecycle_jobs.mail.sample_lines import AGREEMENT, BOX, CARD, SECOND, THIRD, E

_DAY: Final = date(2027, 3, 16)
_AFTER_E: Final = date(2027, 4, 10)
_X: Final = date(2027, 6, 30)


def _renew(address: str) -> str:
    return f"https://www.example.it/renew?box={address}"


def _withdrawn(address: str, *, renews_itself: bool) -> CancellationWithdrawnLine:
    return CancellationWithdrawnLine(address, "Standard", E, renews_itself, _renew(address))


def _bought(
    address: str,
    method: PaymentMethodText | None,
    *,
    net: int = 990,
    vat: int = 218,
    again: bool = False,
    domain: str | None = None,
) -> BoughtLine:
    return BoughtLine(
        address=address,
        plan_name="Domain" if domain else "Standard",
        starts_on=_DAY,
        expires_on=date(2028, 3, 15),
        order_number="R-4211-20270315",
        net_cents=net,
        vat_cents=vat,
        gross_cents=net + vat,
        method=method,
        on_account=method == AGREEMENT,
        renews_itself=method in {CARD, AGREEMENT},
        again=again,
        domain=domain,
    )


def _with_domain(address: str, *, suspended: bool = False) -> DomainRenewedLine:
    return DomainRenewedLine(address, "Domain", "example.it", E, date(2028, 3, 31), suspended)


def _undone(
    address: str,
    *,
    number: str | None = "R-4211-20270331",
    to_refund: bool = False,
    credit: int = 0,
    auto_renew_off: bool = False,
) -> RenewalUndoneLine:
    return RenewalUndoneLine(
        address=address,
        plan_name="Standard",
        expires_on=E,
        undone_expires_on=date(2028, 3, 31),
        order_number=number,
        gross_cents=1208 if number else 0,
        credit_cents=credit,
        to_refund=to_refund,
        auto_renew_off=auto_renew_off,
        renew_url=_renew(address),
    )


def _revived(address: str) -> RevivedLine:
    return RevivedLine(address, "Standard", E, _X, date(2027, 8, 1), _renew(address))


BOX_SAMPLES: Final[Mapping[str, tuple[Content, ...]]] = MappingProxyType(
    {
        "cancellation.recorded": (
            content(
                "cancellation.recorded",
                _DAY,
                CancellationRecordedLine(BOX, "Standard", E, date(2027, 4, 1), date(2027, 6, 30)),
            ),
            content(
                "cancellation.recorded",
                _AFTER_E,
                CancellationRecordedLine(THIRD, "Pro", E, date(2027, 4, 1), date(2027, 6, 30)),
                holder=AWKWARD,
            ),
        ),
        "cancellation.withdrawn": (
            content("cancellation.withdrawn", _DAY, _withdrawn(BOX, renews_itself=False)),
            content("cancellation.withdrawn", _DAY, _withdrawn(SECOND, renews_itself=True)),
        ),
        "hold.placed": (
            content("hold.placed", _DAY, HoldPlacedLine(BOX, "Standard", E, date(2027, 9, 30))),
            content("hold.placed", _AFTER_E, HoldPlacedLine(THIRD, "Standard", E, None), holder=AWKWARD),
        ),
        "hold.released": (
            content("hold.released", _DAY, HoldReleasedLine(BOX, "Standard", E, _renew(BOX))),
            content("hold.released", _AFTER_E, HoldReleasedLine(THIRD, "Standard", E, _renew(THIRD)), holder=AWKWARD),
        ),
        "box.suspended_by_hand": (
            content("box.suspended_by_hand", _DAY, SuspendedByHandLine(BOX, "Standard", _DAY, E)),
            content("box.suspended_by_hand", _AFTER_E, SuspendedByHandLine(THIRD, "Pro", date(2027, 4, 1), E)),
        ),
        "box.lifted": (
            content("box.lifted", _DAY, LiftedLine(BOX, "Standard", E)),
            content("box.lifted", _AFTER_E, LiftedLine(THIRD, "Pro", E), holder=AWKWARD),
        ),
        "box.bought": (
            content("box.bought", _DAY, _bought(BOX, CARD)),
            content("box.bought", _DAY, _bought(SECOND, None, again=True), holder=FIRM),
            content("box.bought", _DAY, _bought(THIRD, AGREEMENT), holder=AWKWARD),
            content("box.bought", _DAY, _bought(THIRD, None, net=0, vat=0, domain="example.com")),
        ),
        "box.domain_renewed": (
            content("box.domain_renewed", _DAY, _with_domain(BOX)),
            content("box.domain_renewed", _DAY, _with_domain(BOX), _with_domain(SECOND, suspended=True), holder=FIRM),
            content("box.domain_renewed", _AFTER_E, _with_domain(THIRD, suspended=True), holder=AWKWARD),
        ),
        "domain.released": (
            content("domain.released", _DAY, DomainReleasedLine(BOX, "Domain", "example.it", E, _X)),
            content(
                "domain.released",
                _DAY,
                DomainReleasedLine(BOX, "Domain", "example.it", E, _X),
                DomainReleasedLine(SECOND, "Domain", "example.it", E, _X),
                holder=FIRM,
            ),
            content("domain.released", _AFTER_E, DomainReleasedLine(THIRD, "Domain", "example.it", E, _X)),
        ),
        "box.renewal_undone": (
            content("box.renewal_undone", _DAY, _undone(BOX, to_refund=True)),
            content("box.renewal_undone", _DAY, _undone(SECOND, credit=1513, auto_renew_off=True), holder=FIRM),
            content("box.renewal_undone", _AFTER_E, _undone(THIRD, number=None), holder=AWKWARD),
        ),
        "box.revived": (
            content("box.revived", date(2027, 7, 2), _revived(BOX)),
            content("box.revived", date(2027, 7, 2), _revived(THIRD), holder=AWKWARD),
        ),
    }
)
"""Messages to render, by kind."""
