"""Orders and payments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from lifecycle_jobs import accounts
from lifecycle_jobs.accounts import Expiring, Payment, Wanted, WantedSpace
from tests.properties.sides import Sides, some
from tests.properties.spec import ordering
from tests.properties.spec.things import Books

spaces = st.one_of(
    st.just(WantedSpace()),
    st.just(WantedSpace()),
    st.builds(
        WantedSpace,
        st.sampled_from([None, None, "standard", "pro", "premium", "domain", "gold"]),
        st.sampled_from([None, None, 0, 1, 2]),
        st.sampled_from([None, None, 0, 1]),
        st.booleans(),
    ),
)

ordered = precondition(lambda self: self.books.orders)


class Orders(Sides):
    """A life in which holders order and pay."""

    @rule(
        data=some,
        many=st.sampled_from([False, False, True]),
        years=st.sampled_from([1, 1, 1, 2, 5, 6]),
        pay_by=st.sampled_from(["bank_transfer", "card", "paypal", "credit"]),
        again=st.booleans(),
    )
    def order(self, data: st.DataObject, years: int, pay_by: Any, *, many: bool, again: bool) -> None:
        """A renewal by hand, sometimes with another plan or space."""
        space = data.draw(spaces, "space")
        wanted = Wanted(years, pay_by, space)

        def place(books: Books, chosen: Sequence[str]) -> None:
            ordering.place(
                books,
                self.on,
                chosen,
                years,
                pay_by,
                plan=space.plan,
                inbox=space.extra_inbox_gb,
                archive=space.extra_archive_gb,
                accept_loss=space.accept_archive_loss,
            )

        times = 2 if many else 1
        drawn = [self.likely_address(data, lambda books, each: place(books, [each])) for _ in range(times)]
        addresses = list(dict.fromkeys(drawn))
        self.both(
            "order renew",
            lambda books: place(books, addresses),
            lambda key: accounts.place_renewals(
                self.store, self.catalog, self.clerk, addresses, wanted, request_id=key
            ),
            again=again,
        )

    @rule(data=some, months=st.sampled_from([0, 3, 12]), pay_by=st.sampled_from(["bank_transfer", "credit"]))
    def order_all_that_expire(self, data: st.DataObject, months: int, pay_by: Any) -> None:
        customer = self.customer(data)
        self.both(
            "order renew --expiring",
            lambda books: ordering.place_expiring(books, self.on, customer, months, 1, pay_by),
            lambda key: accounts.place_renewals(
                self.store, self.catalog, self.clerk, Expiring(customer, months), Wanted(1, pay_by), request_id=key
            ),
        )

    @ordered
    @rule(
        data=some,
        too_much=st.sampled_from([0, 0, 0, 0, 1]),
        paid_by=st.sampled_from([None, None, "bank_transfer", "card", "paypal"]),
        late=st.sampled_from([0, 0, 0, 3, -1]),
        auto_renew=st.booleans(),
        again=st.booleans(),
    )
    def pay(
        self, data: st.DataObject, too_much: int, paid_by: Any, late: int, *, auto_renew: bool, again: bool
    ) -> None:
        """A payment of an order: usually of an open one, usually the right amount."""
        number = self.order_number(data)
        order = self.books.order_numbered(number)
        wait = [each.gross for each in self.books.open_orders]
        amount = (
            self.one(data, wait, "amount")
            if wait and order not in self.books.open_orders
            else (1208 if order is None else order.gross)
        )
        amount += too_much
        if not amount:
            return
        method = data.draw(st.sampled_from([None, None, None, *self.books.methods]), "method")
        known = [payment.reference for payment in self.books.payments]
        reference = data.draw(st.sampled_from([*known, *[f"CRO-{self.asked}"] * 9]), "reference")
        paid_on = self.on - timedelta(days=late)
        payment = Payment(amount, reference, paid_on, paid_by, method, auto_renew)
        self.both(
            "order pay",
            lambda books: ordering.pay(
                books,
                self.on,
                number,
                amount,
                reference,
                paid_on,
                paid_by=paid_by,
                method=method,
                auto_renew=auto_renew,
            ),
            lambda key: accounts.pay_order(self.store, self.catalog, self.clerk, number, payment, request_id=key),
            again=again,
        )

    @precondition(lambda self: self.books.open_orders)
    @rule(data=some, enough=st.sampled_from([True, True, False]), again=st.booleans())
    def pay_from_credit(self, data: st.DataObject, *, enough: bool, again: bool) -> None:
        """Often just after the holder has paid in as much."""
        order = self.one(data, self.books.open_orders, "order")
        if enough and self.books.credit[order.customer] < order.gross:
            self.pay_in(order.customer, order.gross, f"for {order.number}-{self.asked}", self.on)
        number = order.number or ""
        self.both(
            "order pay --from-credit",
            lambda books: ordering.pay_from_credit(books, self.on, number),
            lambda key: accounts.pay_from_credit(self.store, self.catalog, self.clerk, number, request_id=key),
            again=again,
        )

    @precondition(lambda self: self.books.open_orders)
    @rule(data=some, again=st.booleans())
    def cancel_order(self, data: st.DataObject, *, again: bool) -> None:
        numbers = [order.number or "" for order in self.books.orders]
        number = self.likely(data, numbers, ordering.cancel_order, "order")
        self.both(
            "order cancel",
            lambda books: ordering.cancel_order(books, number),
            lambda key: accounts.cancel_order(self.store, self.clerk, number, request_id=key),
            again=again,
        )

    @precondition(lambda self: self.books.open_orders)
    @rule(data=some, again=st.booleans())
    def apply_payment(self, data: st.DataObject, *, again: bool) -> None:
        """Money that no order has taken: if there is none for an order that waits, it comes under a wrong number."""
        waiting = {each.gross: each.number or "" for each in self.books.open_orders if each.gross}
        if waiting and not any(each.unapplied and each.amount in waiting for each in self.books.payments):
            self._pay_for_nothing(next(iter(waiting)))
        unapplied = [each for each in self.books.payments if each.unapplied]
        pairs = [(payment.reference, order.number or "") for payment in unapplied for order in self.books.orders]
        reference, number = self.likely(
            data,
            [("CRO-nothing", "R-0-nothing"), *pairs],
            lambda books, pair: ordering.apply_payment(books, self.on, *pair),
            "payment and order",
        )
        self.both(
            "payments apply",
            lambda books: ordering.apply_payment(books, self.on, reference, number),
            lambda key: accounts.apply_payment(self.store, self.catalog, self.clerk, reference, number, request_id=key),
            again=again,
        )

    def _pay_for_nothing(self, amount: int) -> None:
        reference = f"CRO-{self.asked}"
        payment = Payment(amount, reference, self.on)
        self.both(
            "order pay",
            lambda books: ordering.pay(books, self.on, "R-0-nothing", amount, reference, self.on),
            lambda key: accounts.pay_order(
                self.store, self.catalog, self.clerk, "R-0-nothing", payment, request_id=key
            ),
        )
