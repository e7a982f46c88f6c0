"""What is done to a box."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from lifecycle_jobs import accounts
from lifecycle_jobs.accounts import FirstPayment, Purchase
from tests.properties.provider import DOMAIN
from tests.properties.sides import Sides, some
from tests.properties.spec import keeping
from tests.properties.spec.things import PLANS, Books, gross

MOST_BOXES = 9


class Boxes(Sides):
    """A life in which boxes are bought, given up, held and suspended."""

    @precondition(lambda self: any(box.status != "deleted" and box.cancelled_on is None for box in self.books.boxes))
    @rule(data=some, again=st.booleans())
    def cancel(self, data: st.DataObject, *, again: bool) -> None:
        address = self.likely_address(data, lambda books, each: keeping.cancel(books, self.on, each))
        self._cancel(address, again=again)

    def _cancel(self, address: str, *, again: bool) -> None:
        self.both(
            "box cancel",
            lambda books: keeping.cancel(books, self.on, address),
            lambda key: accounts.cancel_box(self.store, self.clerk, address, request_id=key),
            again=again,
        )

    @precondition(lambda self: any(box.status != "deleted" and not box.let_go for box in self.books.boxes))
    @rule(data=some, again=st.booleans())
    def withdraw(self, data: st.DataObject, *, again: bool) -> None:
        """If nobody has cancelled, somebody does, and thinks better of it."""
        living = [box for box in self.books.boxes if box.status != "deleted" and not box.let_go]
        if not any(box.cancelled_on and box.expires_on >= self.on for box in living):
            self._cancel(self.one(data, living, "box").address, again=False)
        address = self.likely_address(data, lambda books, each: keeping.withdraw(books, self.on, each))
        self.both(
            "box withdraw",
            lambda books: keeping.withdraw(books, self.on, address),
            lambda key: accounts.withdraw_cancellation(self.store, self.clerk, address, request_id=key),
            again=again,
        )

    @rule(data=some, ahead=st.sampled_from([-1, 0, 5, 40, None]), again=st.booleans())
    def hold(self, data: st.DataObject, ahead: int | None, *, again: bool) -> None:
        until = None if ahead is None else self.on + timedelta(days=ahead)
        address = self.likely_address(data, lambda books, each: keeping.hold(books, self.on, each, "dispute", until))
        self.both(
            "box hold",
            lambda books: keeping.hold(books, self.on, address, "dispute", until),
            lambda key: accounts.hold_box(
                self.store, self.clerk, address, reason="dispute", until=until, request_id=key
            ),
            again=again,
        )

    @precondition(lambda self: any(box.on_hold(self.on) for box in self.books.boxes))
    @rule(data=some, again=st.booleans())
    def release(self, data: st.DataObject, *, again: bool) -> None:
        address = self.likely_address(data, lambda books, each: keeping.release(books, self.on, each))
        self.both(
            "box release",
            lambda books: keeping.release(books, self.on, address),
            lambda key: accounts.release_box(self.store, self.clerk, address, request_id=key),
            again=again,
        )

    @rule(data=some, reason=st.sampled_from(["abuse", "abuse", "unpaid"]), again=st.booleans())
    def suspend(self, data: st.DataObject, reason: str, *, again: bool) -> None:
        address = self.likely_address(data, lambda books, each: keeping.suspend_by_hand(books, self.on, each, reason))
        self.both(
            "box suspend",
            lambda books: keeping.suspend_by_hand(books, self.on, address, reason),
            lambda key: accounts.suspend_box(self.store, self.clerk, address, reason=reason, request_id=key),
            again=again,
        )

    @precondition(lambda self: any(box.status == "suspended" and not box.unpaid for box in self.books.boxes))
    @rule(data=some, again=st.booleans())
    def lift(self, data: st.DataObject, *, again: bool) -> None:
        address = self.likely_address(data, lambda books, each: keeping.lift(books, self.on, each))
        self.both(
            "box lift",
            lambda books: keeping.lift(books, self.on, address),
            lambda key: accounts.lift_suspension(self.store, self.catalog, self.clerk, address, request_id=key),
            again=again,
        )

    @rule(
        data=some,
        plan=st.sampled_from(["standard", "standard", "pro", "domain"]),
        years=st.sampled_from([1, 1, 2, 6]),
        paid_by=st.sampled_from(["bank_transfer", "bank_transfer", "card", "credit", "agreement"]),
        too_much=st.sampled_from([0, 0, 0, 0, 0, 1]),
        auto_renew=st.booleans(),
        again=st.booleans(),
    )
    def buy(
        self,
        data: st.DataObject,
        plan: str,
        years: int,
        paid_by: Any,
        too_much: int,
        *,
        auto_renew: bool,
        again: bool,
    ) -> None:
        """A new address, or one that was deleted, or one that is taken."""
        on_domain = plan == "domain" and years < 6
        customer = self.customer(data)
        own = [name for name, each in self.books.methods.items() if (each.customer, each.kind) == (customer, paid_by)]
        method = data.draw(st.sampled_from([None, None, *own * 2, *list(self.books.methods)[:1]]), "method")
        money = paid_by in {"bank_transfer", "card"} and not on_domain
        amount = gross(PLANS[plan].price * years) + too_much if money else None
        unapplied = [payment.reference for payment in self.books.payments if payment.unapplied]
        reference = self.one(data, [f"CRO-{self.asked}", *unapplied], "reference") if money else None
        payment = FirstPayment(None if on_domain else paid_by, amount, reference)
        purchase = Purchase(
            customer,
            "",
            plan,
            None if on_domain else years,
            DOMAIN if on_domain else None,
            payment_method_id=method,
            auto_renew=auto_renew,
        )

        def expect(books: Books, address: str) -> None:
            keeping.buy(
                books,
                self.on,
                customer,
                address,
                plan,
                purchase.years,
                payment.by,
                domain=purchase.domain,
                amount=amount,
                reference=reference,
                method=method,
                auto_renew=auto_renew,
            )

        known = [box.address for box in self.books.boxes]
        fresh = [f"new{self.asked}@pec.example.it"] if len(known) < MOST_BOXES else []
        address = self.likely(data, [*known[-2:], *fresh, *known], expect, "address")
        self.both(
            "box buy",
            lambda books: expect(books, address),
            lambda key: accounts.buy_box(
                self.store, self.catalog, self.clerk, replace(purchase, address=address), payment, request_id=key
            ),
            again=again,
        )
