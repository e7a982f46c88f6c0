"""Made-up providers and the days on which they are looked after, for hypothesis to choose from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from hypothesis import strategies as st
from sqlalchemy import Connection, delete, event

from lifecycle_jobs import day
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import metadata
from lifecycle_jobs.mail.report import DeliveryReport
from lifecycle_jobs.policy import renewed_until
from lifecycle_jobs.settings import Settings
from tests import daily, factories

START = date(2028, 2, 20)
"""Near a 29 February, where adding years is not plain."""

Method = Literal["card", "paypal", "credit", "agreement"]
How = Literal["once", "twice", "again"]

TOKENS = (*factories.TOKENS, f"sandbox_paid_from:{START + timedelta(days=4)}")


@dataclass(frozen=True, slots=True)
class Addon:
    """An add-on; one on credit may end some days before its box."""

    paid_from: Literal["renewal", "credit"]
    quantity: int
    ends_before: int
    given_up: bool


@dataclass(frozen=True, slots=True)
class Box:
    """A box that is paid until some days after (or before) the start."""

    plan: str
    days: int
    suspended_after: int | None
    years: int
    auto_renew: bool
    method: Method | None
    token: str
    price: int | None
    cancelled: bool
    hold: int | Literal["until further notice"] | None
    addons: tuple[Addon, ...]

    @property
    def expires_on(self) -> date:
        """E as it is imported."""
        return START + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class Customer:
    """A holder of some boxes, with credit in cents."""

    credit: int
    boxes: tuple[Box, ...]


Provider = tuple[Customer, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """A business date that is run: so many days after the one before, once, twice, or with another pass."""

    gap: int
    how: How


_addons = st.builds(
    Addon,
    paid_from=st.sampled_from(["renewal", "credit", "credit"]),
    quantity=st.integers(1, 2),
    ends_before=st.sampled_from([0, 0, 3, 200]),
    given_up=st.sampled_from([False, False, False, True]),
)


def boxes(days: st.SearchStrategy[int]) -> st.SearchStrategy[Box]:
    """Boxes that are paid until about these days from the start."""
    return st.builds(
        Box,
        plan=st.sampled_from(["standard", "standard", "pro", "premium", "domain"]),
        days=days,
        suspended_after=st.sampled_from([None, None, 1, 1, 20]),
        years=st.sampled_from([1, 1, 2, 4]),
        auto_renew=st.sampled_from([True, True, True, False]),
        method=st.sampled_from(["card", "card", "card", "paypal", "credit", "agreement", None]),
        token=st.sampled_from(TOKENS),
        price=st.sampled_from([None, None, None, 0, 333]),
        cancelled=st.sampled_from([False, False, False, False, True]),
        hold=st.sampled_from([None, None, None, None, 10, -5, "until further notice"]),
        addons=st.lists(_addons, max_size=2).map(tuple),
    )


def providers(days: st.SearchStrategy[int], most: int = 3) -> st.SearchStrategy[Provider]:
    """A few customers with up to `most` boxes each."""
    customer = st.builds(
        Customer,
        credit=st.sampled_from([0, 300, 1208, 5000]),
        boxes=st.lists(boxes(days), min_size=1, max_size=most).map(tuple),
    )
    return st.lists(customer, min_size=1, max_size=2).map(tuple)


visits = st.lists(
    st.builds(
        Visit, gap=st.sampled_from([1, 1, 1, 2, 3, 8, 30, 91]), how=st.sampled_from(["once", "once", "twice", "again"])
    ),
    min_size=1,
    max_size=3,
)


class World:
    """A database in which one provider after the other lives. Messages are composed and do not leave."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.journal: Path = settings.sandbox.journal

    def settle(self, provider: Provider) -> None:
        """Forget the provider before, and put this one in place."""
        self.journal.unlink(missing_ok=True)
        with self.store.write() as connection:
            _empty(connection)
            for number, customer in enumerate(provider):
                _settle(connection, f"c{number}", customer)

    def run(self, on: date, **wish: Any) -> day.DayReport:
        """Do the day."""
        return daily.run(self.store, self.settings, on, **wish)

    def rows(self) -> daily.Rows:
        """Everything but the records of when the program ran."""
        return daily.all_rows(self.store, but=daily.RECORDS)


def without_delivery(*_args: Any, **_kwargs: Any) -> DeliveryReport:
    """Stands in for the outbox: what is composed stays queued."""
    return DeliveryReport()


def forget_the_disk(store: Store) -> None:
    """Let SQLite not wait for the disk: here nothing is ever cut off."""

    def hasty(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> tuple[str, Any]:  # noqa: FBT001 -- SQLAlchemy's signature
        return ("PRAGMA synchronous = OFF" if statement.startswith("PRAGMA synchronous") else statement), parameters

    if store.dialect == "sqlite":
        event.listen(store.engine, "before_cursor_execute", hasty, retval=True)


def dates(seen: list[Visit]) -> Iterator[tuple[date, How]]:
    """The business dates of some visits."""
    on = START
    for visit in seen:
        on += timedelta(days=visit.gap)
        yield on, visit.how


def expected_expiry(box: Box, years_renewed: list[int]) -> date:
    """E after these renewals, one after the other."""
    until = box.expires_on
    for years in years_renewed:
        until = renewed_until(until, years)
    return until


def _empty(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        connection.execute(delete(table))


def _settle(connection: Connection, customer_id: str, customer: Customer) -> None:
    factories.customer(connection, customer_id, credit=customer.credit)
    for number, box in enumerate(customer.boxes):
        name = f"{customer_id}-b{number}"
        if box.method is not None:
            factories.method(connection, name, customer_id, kind=box.method, token=box.token)
        suspended = box.suspended_after is not None and box.days + (box.suspended_after or 0) <= 0
        box_id = factories.box(
            connection,
            f"{name}@pec.example.it",
            customer_id=customer_id,
            plan=box.plan,
            status="suspended" if suspended else "active",
            suspended_on=box.expires_on + timedelta(days=box.suspended_after or 0) if suspended else None,
            expires_on=box.expires_on,
            renewal_years=box.years,
            auto_renew=box.auto_renew,
            payment_method_id=name if box.method is not None else None,
            annual_price=box.price,
            cancelled_on=START if box.cancelled else None,
            hold_until=START + timedelta(days=box.hold) if isinstance(box.hold, int) else None,
            hold_reason=None if box.hold is None else "dispute",
        )
        for place, addon in enumerate(box.addons):
            factories.addon(
                connection,
                f"{name}-a{place}",
                box_id,
                quantity=addon.quantity,
                paid_from=addon.paid_from,
                expires_on=box.expires_on - timedelta(days=addon.ends_before if addon.paid_from == "credit" else 0),
                cancelled_on=START if addon.given_up else None,
            )
