"""What every line of a message is written with, whatever it tells of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from typing import cast
from urllib.parse import quote

from lifecycle_jobs.mail.detail import Unreadable
from lifecycle_jobs.mail.facts import Box, Event, Method
from lifecycle_jobs.mail.methods import MethodKind, PaymentMethodText
from lifecycle_jobs.policy import Catalog, Plan


@dataclass(frozen=True, slots=True)
class Desk:
    """What every line of a delivery is written with. `on` is the day of delivery; days left count from it.

    `renew_link` is `links.renew`. `days_after_warning` is how long a delivered warning must be old before a box is
    deleted, and 0 where the provider does not ask for one (SPEC §3, delete).
    """

    on: date
    catalog: Catalog
    renew_link: str
    days_after_warning: int

    def plan(self, box: Box) -> Plan:
        """The catalogue entry of a box."""
        try:
            return self.catalog.plans[box.plan]
        except KeyError:
            raise Unreadable(f"box {box.id} has the unknown plan {box.plan}") from None

    def plan_named(self, code: str) -> str:
        """The name of a plan; its code, if it is not sold any more."""
        plan = self.catalog.plans.get(code)
        return code if plan is None else plan.name

    def renew_url(self, box: Box) -> str:
        """The page on which the holder renews this box."""
        return page(self.renew_link, box.address)


def page(link: str, address: str) -> str:
    """A link of the settings with the address of a box filled in."""
    return link.format(address=_quoted(address))


_quoted = lru_cache(maxsize=8)(partial(quote, safe=""))  # a letter has several links with the same address


def method_text(kind: str, now: Method | None) -> PaymentMethodText:
    """The method that was used; its card's brand and digits only while the box still has one of that kind."""
    if now is None or now.kind != kind:
        return PaymentMethodText(cast("MethodKind", kind))
    return PaymentMethodText(cast("MethodKind", kind), now.brand, now.last4)


def term_of(event: Event) -> date:
    """The E, or A, that an event is about."""
    if event.term is None:
        raise Unreadable(f"event {event.id} has no term")
    return event.term


def box_of(event: Event) -> Box:
    """The box that an event is about."""
    if event.box is None:
        raise Unreadable(f"event {event.id} has no box")
    return event.box
