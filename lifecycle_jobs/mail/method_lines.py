"""From an event about payment methods or auto-renew to the line that tells of it (see `account_lines`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

from lifecycle_jobs.mail.desk import Desk, box_of, term_of
from lifecycle_jobs.mail.detail import Detail
from lifecycle_jobs.mail.facts import Event
from lifecycle_jobs.mail.method_contents import (
    AutoRenewOffLine,
    AutoRenewOnLine,
    MethodLine,
    MethodRegisteredLine,
    MethodRemovedLine,
    MethodReplacedLine,
)
from lifecycle_jobs.mail.methods import MethodKind, PaymentMethodText


def _registered(event: Event, _desk: Desk) -> MethodLine:
    return MethodRegisteredLine(_named(event))


def _replaced(event: Event, desk: Desk) -> MethodLine:
    detail, box = Detail(event), event.box
    return MethodReplacedLine(
        address="" if box is None else box.address,
        plan_name="" if box is None else desk.plan(box).name,
        expires_on=event.term,
        method=_named(event),
        previous=_named(event, "previous_"),
        auto_renew=box is not None and detail.flag("auto_renew"),
        charge_on=None if box is None else detail.optional_day("charge_on"),
        being_charged=box is not None and detail.flag("being_charged"),
        renew_url="" if box is None else desk.renew_url(box),
    )


def _removed(event: Event, desk: Desk) -> MethodLine:
    detail, box = Detail(event), event.box
    return MethodRemovedLine(
        address="" if box is None else box.address,
        plan_name="" if box is None else desk.plan(box).name,
        expires_on=event.term,
        method=_named(event),
        switched_off=box is not None and detail.flag("switched_off"),
        being_charged=box is not None and detail.flag("being_charged"),
    )


def _switched_on(event: Event, desk: Desk) -> MethodLine:
    detail, box = Detail(event), box_of(event)
    return AutoRenewOnLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        expires_on=term_of(event),
        years=detail.number("years"),
        method=_named(event),
        gross_cents=detail.cents("gross"),
        charge_on=detail.optional_day("charge_on"),
        renew_url=desk.renew_url(box),
    )


def _switched_off(event: Event, desk: Desk) -> MethodLine:
    box = box_of(event)
    return AutoRenewOffLine(
        address=box.address,
        plan_name=desk.plan(box).name,
        expires_on=term_of(event),
        being_charged=Detail(event).flag("being_charged"),
        renew_url=desk.renew_url(box),
    )


def _named(event: Event, prefix: str = "") -> PaymentMethodText:
    """A method as it was then: it may not be stored any more."""
    detail = Detail(event)
    return PaymentMethodText(
        cast("MethodKind", detail.text(f"{prefix}kind")),
        detail.optional_text(f"{prefix}brand"),
        detail.optional_text(f"{prefix}last4"),
    )


METHOD_LINES: Final[Mapping[str, Callable[[Event, Desk], MethodLine]]] = {
    "method.registered": _registered,
    "method.replaced": _replaced,
    "method.removed": _removed,
    "autorenew.switched_on": _switched_on,
    "autorenew.switched_off": _switched_off,
}
"""By kind of message."""
