"""A small made-up provider, in the model's books and in the program's database, and how the two are compared."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import delete, select

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.payments import refunds
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.properties.lives import START, TOKENS
from tests.properties.spec.things import PLANS, Addon, Books, Box, Method

LOST = ("sandbox_lost_answer_paid", "sandbox_lost_answer_never_seen")
OFTEN = (*["pm_card_visa"] * 5, *LOST, *LOST)
"""Much comes only after what was paid; and what nobody knows is soon over, at the next run."""
DOMAIN = "d.example.it"
KINDS = ("card", "card", "paypal", "credit", "agreement")
Picture = dict[str, Any]
"""What a provider looks like, in a form that both sides can be brought to."""


class Registry:
    """A database that one provider after the other moves into."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.journal: Path = settings.sandbox.journal

    def move_in(self, books: Books) -> None:
        """Forget the provider before, and write this one down."""
        self.journal.unlink(missing_ok=True)
        with self.store.write() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(delete(table))
            for name, credit in books.credit.items():
                factories.customer(connection, name, credit=credit, tax_id=books.tax_ids[name])
            for method in books.methods.values():
                factories.method(connection, method.name, method.customer, kind=method.kind, token=method.token or "")
            ids = [
                factories.box(
                    connection,
                    box.address,
                    customer_id=box.customer,
                    plan=box.plan,
                    status=box.status,
                    expires_on=box.expires_on,
                    renewal_years=box.years,
                    auto_renew=box.auto_renew,
                    payment_method_id=box.method,
                    annual_price=box.price,
                    domain=box.domain,
                    cancelled_on=box.cancelled_on,
                    hold_until=box.hold_until,
                    hold_reason=box.hold_reason,
                    suspended_on=box.suspended_on,
                    suspended_reason=box.suspended_reason,
                    used_inbox_mb=box.used_inbox_mb,
                    used_archive_mb=box.used_archive_mb,
                )
                for box in books.boxes
            ]
            for addon in books.addons:
                factories.addon(
                    connection,
                    addon.name,
                    ids[addon.box],
                    kind=addon.kind,
                    quantity=addon.quantity,
                    unit_price=addon.price,
                    paid_from=addon.paid_from,
                    expires_on=addon.expires_on,
                    cancelled_on=addon.cancelled_on,
                )

    def rows(self) -> dict[str, list[Any]]:
        """What the program has made of it."""
        wanted = {
            "boxes": select(tables.boxes).order_by(tables.boxes.c.id),
            "addons": select(tables.addons).order_by(tables.addons.c.addon_id),
            "orders": select(tables.orders).order_by(tables.orders.c.id),
            "charges": select(tables.charges).order_by(tables.charges.c.id),
            "top_up_charges": select(tables.top_up_charges).order_by(tables.top_up_charges.c.id),
            "customers": select(tables.customers),
            "methods": select(tables.payment_methods),
            "refunds": refunds.due(),
        }
        with self.store.read() as connection:
            return {name: list(connection.execute(query).all()) for name, query in wanted.items()}


@st.composite
def providers(draw: st.DrawFn) -> Books:
    """Two holders with a few methods, boxes near their end, and add-ons."""
    books = Books()
    for number in range(2):
        customer = f"c{number}"
        books.credit[customer] = draw(st.sampled_from([0, 305, 9000, 30_000]))
        books.tax_ids[customer] = draw(st.sampled_from([f"0{number}", f"0{number}", "00"]))
        for place in range(draw(st.integers(1, 3))):
            kind = draw(st.sampled_from(KINDS))
            token = draw(st.sampled_from([*TOKENS, *OFTEN])) if kind in {"card", "paypal"} else None
            books.methods[f"{customer}-m{place}"] = Method(f"{customer}-m{place}", customer, kind, token)
        for place in range(draw(st.integers(1, 3))):
            box = books.add_box(_box(draw, books, customer, f"{customer}-b{place}@pec.example.it"))
            if PLANS[box.plan].for_itself and draw(st.booleans()):
                books.add_addon(_addon(draw, box, f"{customer}-b{place}-a"))
    return books


def _box(draw: st.DrawFn, books: Books, customer: str, address: str) -> Box:
    methods = [name for name, method in books.methods.items() if method.customer == customer]
    plan = draw(st.sampled_from(["standard", "standard", "pro", "premium", "domain"]))
    box = Box(
        address,
        customer,
        plan,
        START + timedelta(days=draw(st.sampled_from([-40, -3, 2, 2, 6, 6, 12, 40]))),
        years=draw(st.sampled_from([1, 1, 2])),
        auto_renew=plan != "domain" and draw(st.sampled_from([True, True, False])),
        method=draw(st.sampled_from([*methods * 2, None])),
        price=draw(st.sampled_from([None, None, None, 0, 333])) if plan != "domain" else None,
        domain=DOMAIN if plan == "domain" else None,
        used_inbox_mb=draw(st.sampled_from([None, 500, 1500])),
        used_archive_mb=draw(st.sampled_from([None, 0, 2355])) if PLANS[plan].archive else None,
    )
    if box.expires_on < START and draw(st.booleans()):
        box.status, box.suspended_on = "suspended", box.expires_on + timedelta(days=1)
        box.suspended_reason = draw(st.sampled_from(["unpaid", "unpaid", "abuse"]))
    return box


def _addon(draw: st.DrawFn, box: Box, name: str) -> Addon:
    paid_from = draw(st.sampled_from(["renewal", "credit", "credit"]))
    early = draw(st.sampled_from([0, 0, 3, 200])) if paid_from == "credit" else 0
    with_archive = PLANS[box.plan].most_archive > 0
    return Addon(
        name,
        box.id,
        draw(st.sampled_from(["extra_inbox", "extra_archive"] if with_archive else ["extra_inbox"])),
        draw(st.integers(1, 2)) if with_archive else 1,
        250,
        paid_from,
        box.expires_on - timedelta(days=early),
    )
