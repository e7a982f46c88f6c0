"""What a clerk puts right: money that no order took, charges of which nobody knows, mistakes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import Table, select

from lifecycle_jobs import accounts
from lifecycle_jobs.db import tables
from lifecycle_jobs.payments import refunds
from lifecycle_jobs.payments.gateway import NotAttempted, Refunded, Succeeded
from lifecycle_jobs.payments.gateways import open_gateway
from tests.properties.sides import Sides, some
from tests.properties.spec import correcting, day, ordering, topping_up
from tests.properties.spec.things import Books, Charge, Refusal, TopUpCharge

SOON = timedelta(days=10)
SEEN = "seen"
"""What a clerk calls a charge that he has found at the bank: the gateway knows it by another name."""


class Corrections(Sides):
    """A life in which mistakes are made, and mended."""

    @precondition(lambda self: self.books.payments)
    @rule(data=some)
    def give_back(self, data: st.DataObject) -> None:
        """Money registered by hand that could not be applied, or that was."""
        unapplied = [payment.reference for payment in self.books.payments if payment.unapplied]
        reference = self.one(data, [*unapplied * 3, self.books.payments[0].reference], "payment")
        self.both(
            "refunds done",
            lambda books: ordering.give_back(books, reference),
            lambda _key: refunds.note(self.store, self.clerk.origin, reference, reference="back"),
        )

    @precondition(lambda self: any(charge.status == "succeeded" for charge in self.books.charges))
    @rule(data=some, by_gateway=st.sampled_from([True, True, True, False]))
    def refund_charge(self, data: st.DataObject, *, by_gateway: bool) -> None:
        """A charge that could not be applied, or whose renewal is undone now: by the gateway, or otherwise."""
        if not any(charge.unapplied for charge in self.books.charges):
            charged = [self.books.boxes[each.box] for each in self.books.charges if each.status == "succeeded"]
            self._undo_renewal(self.one(data, charged, "box").address, again=False)
        with self.store.read() as connection:
            due = {row.key: row.gateway_reference for row in connection.execute(refunds.due()) if row.kind == "charge"}
        key = self.one(data, [*list(due) * 6, *self._keys(tables.charges, "succeeded")], "charge")
        by_gateway = by_gateway and due.get(key) != SEEN

        def expect(books: Books) -> None:
            charge = self.charge_of(books, key)
            if not charge.unapplied:
                raise Refusal("not to be refunded")
            charge.unapplied, charge.refunded = False, True

        def act(_key: str) -> None:
            if by_gateway:
                gateway = open_gateway(self.registry.settings)
                assert isinstance(refunds.give_back(self.store, gateway, self.clerk.origin, key), Refunded)
            else:
                refunds.note(self.store, self.clerk.origin, key, reference="back")

        self.both("refunds send" if by_gateway else "refunds done", expect, act)

    @precondition(lambda self: any(charge.unresolved for charge in (*self.books.charges, *self.books.top_up_charges)))
    @rule(data=some)
    def resolve_charge(self, data: st.DataObject) -> None:
        """A clerk has looked at the bank's own pages."""
        keys = self._keys(tables.charges, "unknown")
        key = self.one(data, [*keys, *self._keys(tables.top_up_charges, "unknown")], "charge")
        for_credit = key not in keys
        booked = (self._top_up_charge_of(self.books, key) if for_credit else self.charge_of(self.books, key)).booked

        def expect(books: Books) -> None:
            if for_credit:
                topping_up.settle(books, self._top_up_charge_of(books, key), self.on, booked=booked)
            elif booked:
                day.succeed(books, self.charge_of(books, key), self.on)
            else:
                self.charge_of(books, key).status = "not_attempted"

        said = Succeeded(SEEN) if booked else NotAttempted("not there")
        self.both(
            "charges resolve",
            expect,
            lambda _key: accounts.resolve_charge(self.store, self.registry.settings, self.clerk, key, said),
        )

    @precondition(lambda self: any(not renewal.bought and not renewal.undone for renewal in self.books.renewals))
    @rule(data=some, again=st.booleans())
    def undo_renewal(self, data: st.DataObject, *, again: bool) -> None:
        address = self.likely_address(data, lambda books, each: correcting.undo_renewal(books, self.on, each))
        self._undo_renewal(address, again=again)

    def _undo_renewal(self, address: str, *, again: bool) -> None:
        self.both(
            "box undo-renewal",
            lambda books: correcting.undo_renewal(books, self.on, address),
            lambda key: accounts.undo_renewal(self.store, self.catalog, self.clerk, address, request_id=key),
            again=again,
        )

    @precondition(lambda self: any(box.deleted_on and self.on - box.deleted_on < SOON for box in self.books.boxes))
    @rule(data=some, has_it=st.sampled_from([True, True, True, False]), again=st.booleans())
    def revive(self, data: st.DataObject, *, has_it: bool, again: bool) -> None:
        address = self.likely_address(
            data, lambda books, each: correcting.revive(books, self.on, each, platform_has_it=True)
        )
        self.both(
            "box revive",
            lambda books: correcting.revive(books, self.on, address, platform_has_it=has_it),
            lambda key: accounts.revive_box(
                self.store,
                self.catalog,
                self.clerk,
                address,
                undelete_days=self.registry.settings.deletion.undelete_days,
                platform_has_it=has_it,
                request_id=key,
            ),
            again=again,
        )

    def charge_of(self, books: Books, key: str) -> Charge:
        """The model's charge that the program keeps under this key."""
        with self.store.read() as connection:
            rows = connection.execute(
                select(tables.charges.c.idempotency_key, tables.charges.c.box_id).order_by(tables.charges.c.id)
            ).all()
            boxes = list(connection.scalars(select(tables.boxes.c.id).order_by(tables.boxes.c.id)))
        box_id = next(row.box_id for row in rows if row.idempotency_key == key)
        of_box = [row.idempotency_key for row in rows if row.box_id == box_id]
        return [each for each in books.charges if each.box == boxes.index(box_id)][of_box.index(key)]

    def _top_up_charge_of(self, books: Books, key: str) -> TopUpCharge:
        return books.top_up_charges[self._keys(tables.top_up_charges).index(key)]

    def _keys(self, table: Table, status: str | None = None) -> list[str]:
        chosen: Any = select(table.c.idempotency_key).order_by(table.c.id)
        with self.store.read() as connection:
            return list(connection.scalars(chosen if status is None else chosen.where(table.c.status == status)))
