"""Holders who pay by hand do what a holder does, and only what the rules allow."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from lifecycle_jobs.accounts import Wanted, place_renewals
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, orders
from lifecycle_jobs.forecast.assumptions import ByHand
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.simulating.chance import Chance
from lifecycle_jobs.simulating.payers import Payers, Turned
from tests import factories
from tests.daily import settings_for
from tests.simulating.crowd import DAY, TODAY

E = TODAY + 15 * DAY
ALL_PAY_ON_THIS_DAY = ByHand(1.0, {15: 1.0})


def test_an_order_that_waits_is_paid_a_domain_renewed_and_what_cannot_be_paid_is_told(
    store: Store, tmp_path: Path
) -> None:
    catalog = settings_for(tmp_path).catalog()
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        for name in ("plain", "ordered", "cannot", "given-up", "another-day", "by-card"):
            factories.box(
                connection,
                f"{name}@pec.example.it",
                expires_on=E + DAY if name == "another-day" else E,
                plan="domain" if name == "cannot" else "standard",
                auto_renew=name == "by-card",
                payment_method_id="pm1" if name == "by-card" else None,
                cancelled_on=TODAY if name == "given-up" else None,
            )
        factories.box(connection, "no-method@pec.example.it", expires_on=E, auto_renew=True)
        for name in ("a", "b"):
            factories.box(connection, f"{name}@example.it", expires_on=E, plan="domain", domain="example.it")
    wanted = Wanted(2, "bank_transfer")
    holder = Operator("holder", None, TODAY)
    place_renewals(store, catalog, holder, ["ordered@pec.example.it"], wanted, request_id="ordered before")
    turned = Turned()

    assert Payers(store, catalog, Chance(1), ALL_PAY_ON_THIS_DAY, turned).pay(TODAY)

    with store.read() as connection:
        found = {row.address: row.expires_on for row in connection.execute(select(boxes))}
        open_orders = connection.scalars(select(orders.c.id).where(orders.c.status == "awaiting_payment")).all()
    moved = {address.partition("@")[0]: (ends - E).days for address, ends in found.items() if ends > E + DAY}
    assert moved == {"plain": 366, "ordered": 731, "no-method": 366, "a": 366, "b": 366}
    assert open_orders == []
    assert turned.number == 1
    assert "domain" in (turned.first_reason or "")
