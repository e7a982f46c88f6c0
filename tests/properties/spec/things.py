"""The things of SPEC §2, with dates (§1) and money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

DAY = timedelta(days=1)
SLOTS = (7, 5, 3, 1, 0)
LATE_CHARGE_DAYS = 10
OUTAGE_GRACE_DAYS = 3
EXTRA_GB = 250
"""Net cents per GB and year."""
MB = 1024


class Refusal(Exception):
    """The rules do not allow it; nothing is changed."""


@dataclass(frozen=True)
class Plan:
    """Net cents per year, GB of inbox and archive, most extra GB of each, whether sold to a box by itself."""

    price: int
    inbox: int
    archive: int
    most_inbox: int
    most_archive: int
    for_itself: bool = True
    longest: int = 5


PLANS = {
    "standard": Plan(990, 1, 0, 1, 0),
    "pro": Plan(2500, 2, 3, 50, 50),
    "premium": Plan(4000, 2, 8, 50, 50),
    "domain": Plan(0, 1, 0, 0, 0, for_itself=False),
}


@dataclass
class Method:
    """How a customer pays: `card`, `paypal`, `credit` or `agreement`."""

    name: str
    customer: str
    kind: str
    token: str | None


@dataclass
class Box:
    """A box; the deleted one stays as a tombstone."""

    address: str
    customer: str
    plan: str
    expires_on: date
    status: str = "active"
    years: int = 1
    auto_renew: bool = False
    method: str | None = None
    price: int | None = None
    domain: str | None = None
    cancelled_on: date | None = None
    hold_until: date | None = None
    hold_reason: str | None = None
    suspended_on: date | None = None
    suspended_reason: str | None = None
    deleted_on: date | None = None
    used_inbox_mb: int | None = None
    used_archive_mb: int | None = None
    let_go: bool = False
    id: int = -1

    def on_hold(self, on: date) -> bool:
        """While on ≤ hold_until, or for as long as there is a reason without a date."""
        return on <= self.hold_until if self.hold_until is not None else self.hold_reason is not None

    @property
    def unpaid(self) -> bool:
        """Suspended because nobody paid."""
        return self.status == "suspended" and self.suspended_reason == "unpaid"


@dataclass
class Addon:
    """Extra space, paid with the renewal or from credit; `name` is the program's, and orders what is alike."""

    name: str
    box: int
    kind: str
    quantity: int
    price: int
    paid_from: str
    expires_on: date
    status: str = "active"
    cancelled_on: date | None = None
    ended_with_its_box: bool = False
    id: int = -1


@dataclass(frozen=True)
class Line:
    """A plan (first) or extra space on an order; no add-on: it comes with the payment."""

    item: str
    addon: int | None
    quantity: int
    price: int


@dataclass
class Order:
    """An order; `number` is the program's. What a holder ordered by hand may change his box when it is paid."""

    kind: str
    customer: str
    box: int | None
    term: date | None
    years: int | None
    lines: tuple[Line, ...]
    placed_on: date
    net: int
    gross: int
    status: str = "awaiting_payment"
    paid_on: date | None = None
    pay_by: str | None = None
    plan: str | None = None
    dropped: tuple[int, ...] = ()
    notice: date | None = None
    number: str | None = None
    id: int = -1


@dataclass
class Charge:
    """An attempt to collect an order. The bank may have booked it without our knowing (`booked`)."""

    order: int
    box: int
    term: date
    slot: int
    method: str
    token: str | None
    kind: str
    amount: int
    attempted_on: date
    status: str = "pending"
    hard: bool = False
    booked: bool = False
    unapplied: bool = False
    refunded: bool = False

    @property
    def unresolved(self) -> bool:
        """Nobody knows what became of it."""
        return self.status in {"pending", "unknown"}


@dataclass
class TopUpCharge:
    """The one attempt to collect a top-up; the bank may have booked it without our knowing (`booked`)."""

    order: int
    attempted_on: date
    status: str = "unknown"
    booked: bool = False

    @property
    def unresolved(self) -> bool:
        """Nobody knows what became of it."""
        return self.status == "unknown"


@dataclass
class Renewal:
    """What moved a box's E: an order that was paid, its purchase, or its domain (no order).

    `carried`: the add-ons that went along. `changed`: it brought another plan or space. `voided`: the holder's notice
    that it made void. `followed_by`: the orders of add-ons that credit has renewed since, because of it.
    """

    box: int
    before: date
    after: date
    order: int | None
    carried: tuple[int, ...] = ()
    bought: bool = False
    changed: bool = False
    voided: date | None = None
    undone: bool = False
    followed_by: list[int] = field(default_factory=list)


@dataclass
class Payment:
    """Money that arrived outside the gateway; `unapplied` while no order takes it and it is not given back."""

    reference: str
    order_number: str
    order: int | None
    amount: int
    paid_by: str
    paid_on: date
    unapplied: bool
    auto_renew: bool = True
    refunded: bool = False


@dataclass
class Books:
    """All that is known, in the order in which it came."""

    credit: dict[str, int] = field(default_factory=dict)
    tax_ids: dict[str, str | None] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict)
    boxes: list[Box] = field(default_factory=list)
    addons: list[Addon] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    top_up_charges: list[TopUpCharge] = field(default_factory=list)
    renewals: list[Renewal] = field(default_factory=list)

    def add_box(self, box: Box) -> Box:
        """A new box."""
        box.id = len(self.boxes)
        self.boxes.append(box)
        return box

    def add_addon(self, addon: Addon) -> Addon:
        """A new add-on."""
        addon.id = len(self.addons)
        self.addons.append(addon)
        return addon

    def add_order(self, order: Order) -> Order:
        """A new order."""
        order.id = len(self.orders)
        self.orders.append(order)
        return order

    def living(self, address: str) -> Box:
        """The box of an address that is not deleted."""
        for box in self.boxes:
            if box.address == address and box.status != "deleted":
                return box
        raise Refusal(f"no box {address}")

    def order_numbered(self, number: str) -> Order | None:
        """The order of that number."""
        return next((order for order in self.orders if order.number == number), None)

    @property
    def open_orders(self) -> list[Order]:
        """Those that wait for their payment."""
        return [order for order in self.orders if order.status == "awaiting_payment"]

    def open_order(self, box: Box) -> Order | None:
        """The renewal order of the box's term that waits for its payment: there is one at most."""
        for order in self.orders:
            if (order.kind, order.box, order.term, order.status) == (
                "renewal",
                box.id,
                box.expires_on,
                "awaiting_payment",
            ):
                return order
        return None

    def last_renewal(self, box: Box) -> Renewal | None:
        """What moved the box's E last, and is not undone."""
        moved = [renewal for renewal in self.renewals if renewal.box == box.id and not renewal.undone]
        return moved[-1] if moved else None

    def addons_of(self, box: Box, *, paid_from: str | None = None, given_up: bool = True) -> list[Addon]:
        """The box's active add-ons, by name; without those that were given up, if they are not wanted."""
        found = [
            addon
            for addon in self.addons
            if addon.box == box.id
            and addon.status == "active"
            and paid_from in {None, addon.paid_from}
            and (given_up or addon.cancelled_on is None)
        ]
        return sorted(found, key=lambda addon: addon.name)

    def in_doubt(self, box: Box) -> bool:
        """The box has an unresolved charge, of whatever term."""
        return any(charge.box == box.id and charge.unresolved for charge in self.charges)

    def has_unapplied(self, box: Box) -> bool:
        """Money came in for one of the box's orders and could not be applied.

        SPEC is silent; the jobs' docstrings say that they leave such a box alone until a person has settled it.
        """
        orders = {order.id for order in self.orders if order.box == box.id}
        return any(charge.box == box.id and charge.unapplied for charge in self.charges) or any(
            payment.unapplied and payment.order in orders for payment in self.payments
        )

    def left_alone(self, box: Box) -> bool:
        """No job touches it."""
        return self.in_doubt(box) or self.has_unapplied(box)

    def of_term(self, box: Box) -> Iterator[Charge]:
        """The charges of the term the box is in, in order."""
        return (charge for charge in self.charges if (charge.box, charge.term) == (box.id, box.expires_on))

    def space(self, box: Box, kind: str, *, paid_from: str | None = None, given_up: bool = False) -> int:
        """GB of extra space that go on; with what was given up and is not over yet, if that is wanted."""
        of_box = self.addons_of(box, paid_from=paid_from, given_up=given_up)
        return sum(addon.quantity for addon in of_box if addon.kind == kind)


def years_after(day: date, years: int) -> date:
    """The same day so many years later; 28 February where there is no 29."""
    if (day.month, day.day) == (2, 29) and not _leap(day.year + years):
        return date(day.year + years, 2, 28)
    return date(day.year + years, day.month, day.day)


def months_after(day: date, months: int) -> date:
    """The same day so many months later, or the last of that month."""
    first = date(day.year + (day.month - 1 + months) // 12, (day.month - 1 + months) % 12 + 1, 1)
    following = (first + 31 * DAY).replace(day=1)
    return min(first + (day.day - 1) * DAY, following - DAY)


def begun_years(start: date, end: date) -> int:
    """Whole years from one day to a later one, rounded up."""
    years = 1
    while years_after(start, years) < end:
        years += 1
    return years


def gross(net: int) -> int:
    """Net and 22 % VAT, rounded half up to the cent."""
    return (net * 122 + 50) // 100


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
