"""A provider of mailboxes in a test: boxes are written down, days go by, and the books are there to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from sqlalchemy import select

from lifecycle_jobs import clock
from lifecycle_jobs.day import DayReport, Wish, run_day
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.history import euros
from lifecycle_jobs.mail.delivery import deliver_all
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.testing.box import Box, Desk
from lifecycle_jobs.testing.files import Addon, Row, bring_in
from lifecycle_jobs.testing.records import Charge, Happened, Sent, charges_in, events_of, sent_from

_DAY = timedelta(days=1)


class Provider:
    """A provider that begins without customers, on the business date that its clock shows.

    `store`, `settings` and `operator` are what the functions of `lifecycle_jobs.accounts` ask for; `deliver` sends what
    they have to say. `failures` is what the runs would have told a person, each with its date.
    """

    def __init__(self, store: Store, settings: Settings, folder: Path, *, set_date: Callable[[date], None]) -> None:
        self.store = store
        self.settings = settings
        self.folder = folder
        self.failures: list[str] = []
        self._set_date = set_date
        self._last_run: date | None = None
        self._named: Counter[str] = Counter()
        self._desk = Desk(store, settings.catalog(), lambda: self.operator, self.deliver)

    @property
    def today(self) -> date:
        """The business date."""
        return clock.business_date(self.settings.zone)

    @property
    def operator(self) -> Operator:
        """Who acts in the test, today."""
        return Operator("test", None, self.today)

    def customer(
        self,
        customer_id: str | None = None,
        *,
        credit: str = "0.00",
        locale: Literal["it", "en"] = "it",
        **columns: str,
    ) -> str:
        """Write down a holder, with credit in euros; returns the id. `columns`: more of customers.csv (SPEC §6)."""
        customer_id = customer_id or self._next("customer")
        row = {
            "customer_id": customer_id,
            "name": customer_id.title(),
            "email": f"{customer_id}@example.it",
            "locale": locale,
            "credit": credit,
        }
        self._bring_in({"customers.csv": [row | columns]})
        return customer_id

    def box(
        self,
        address: str | None = None,
        *,
        expires_on: date | str,
        card: str | None = None,
        paypal: str | None = None,
        pay_by: Literal["credit", "agreement"] | None = None,
        auto_renew: bool | None = None,
        customer: str | None = None,
        credit: str = "0.00",
        plan: str = "standard",
        years: int = 1,
        addons: Sequence[Addon] = (),
        **columns: str,
    ) -> Box:
        """Write down a box that ends on a date, past or to come, and its holder, if none is named.

        `card` and `paypal` are tokens that the sandbox knows (`payments.sandbox`), `pm_card_visa` for one that pays. A
        box with one of them, or that pays by credit or agreement, renews itself for so many `years`, unless
        `auto_renew` says otherwise. `credit` is the new holder's, in euros. `columns`: more of boxes.csv (SPEC §6).
        Raises ValueError for more than one way to pay, ImportRefused for what the program would not take.
        """
        address = address or f"{self._next('box')}@pec.example.it"
        if customer is None:
            customer = self.customer(credit=credit)
        elif credit != "0.00":
            raise ValueError(f"The credit belongs to the holder: write customer({customer!r}, credit={credit!r}).")
        method = _method(address, customer, card=card, paypal=paypal, pay_by=pay_by)
        renews_itself = bool(method) if auto_renew is None else auto_renew
        row = {
            "address": address,
            "customer_id": customer,
            "plan": plan,
            "status": "active",
            "expires_on": str(expires_on),
            "renewal_years": str(years),
            "auto_renew": str(renews_itself).lower(),
            "payment_method_id": method["payment_method_id"] if method else "",
        }
        self._bring_in(
            {
                "payment_methods.csv": [method] if method else [],
                "boxes.csv": [row | columns],
                "addons.csv": [self._addon(address, addon, expires_on) for addon in addons],
            }
        )
        with self.store.read() as connection:
            box_id = connection.scalars(
                select(boxes.c.id).where(boxes.c.address_key == address.lower()).order_by(boxes.c.id.desc())
            ).first()
        return Box(address, customer, box_id or 0, self._desk)

    def travel_to(self, on: date | str) -> list[DayReport]:
        """Let the days go by: the run of every date that has not been run, up to and including this one.

        Afterwards it is that date, after its run. Raises ValueError for a date that is past.
        """
        until = date.fromisoformat(on) if isinstance(on, str) else on
        if until < self.today:
            raise ValueError(f"It is {self.today} already, and time does not go back to {until}.")
        reports = []
        following = self.today if self._last_run is None else self._last_run + _DAY
        while following <= until:
            self._set_date(following)
            report = run_day(self.store, self.settings, following, self.operator, Wish(), _in_silence)
            self.failures += [f"{following}: {failure}" for failure in report.failures]
            reports.append(report)
            self._last_run = following
            following += _DAY
        return reports

    def deliver(self) -> DeliveryReport:
        """Deliver what waits, as the daemon does between the runs."""
        return deliver_all(self.store, self.settings, self.today, _in_silence)

    @property
    def sent(self) -> list[Sent]:
        """Every message that was delivered so far, by date, kind and recipient."""
        return sent_from(self.settings.mail.directory, self.settings.zone)

    @property
    def charges(self) -> list[Charge]:
        """Every charge that was tried so far, in that order."""
        with self.store.read() as connection:
            return list(charges_in(connection))

    def events(self, box: Box) -> list[Happened]:
        """Everything in the history of a box, in the order in which it happened."""
        with self.store.read() as connection:
            return list(events_of(connection, box.id))

    def _next(self, what: str) -> str:
        self._named[what] += 1
        return f"{what}-{self._named[what]}"

    def _addon(self, address: str, addon: Addon, expires_on: date | str) -> Row:
        return {
            "addon_id": addon.addon_id or self._next("addon"),
            "address": address,
            "kind": addon.kind,
            "quantity": str(addon.quantity),
            "unit_price": addon.unit_price or euros(self.settings.catalog().extra_gb_cents),
            "paid_from": addon.paid_from,
            "status": "active",
            "expires_on": str(addon.expires_on or expires_on),
        }

    def _bring_in(self, files: dict[str, list[Row]]) -> None:
        bring_in(self.store, self.settings, self.today, files)


def _method(
    address: str, customer: str, *, card: str | None, paypal: str | None, pay_by: str | None
) -> dict[str, str] | None:
    """The row of the payment method that a box is renewed by, if it has one."""
    ways = [
        (kind, token)
        for kind, token in (("card", card), ("paypal", paypal), (pay_by, pay_by))
        if kind is not None and token is not None
    ]
    if len(ways) > 1:
        raise ValueError(f"A box is renewed by one method: {' or '.join(kind for kind, _ in ways)}.")
    if not ways:
        return None
    kind, token = ways[0]
    return {
        "payment_method_id": f"{address}-{kind}",
        "customer_id": customer,
        "kind": kind,
        "token": token if kind in {"card", "paypal"} else "",
    }


def _in_silence(_name: str, _rows: int) -> None:
    """Nobody watches."""
