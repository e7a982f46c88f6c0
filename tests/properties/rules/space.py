"""Credit, extra space and domains."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from lifecycle_jobs import accounts
from lifecycle_jobs.accounts import Extra
from lifecycle_jobs.payments.gateways import open_gateway
from tests.properties.provider import DOMAIN
from tests.properties.sides import Sides, some
from tests.properties.spec import buying, topping_up


class Space(Sides):
    """A life in which credit is topped up and spent, and domains come and go."""

    @rule(
        data=some,
        amount=st.sampled_from([305, 1208, 5000, 0]),
        late=st.sampled_from([0, 0, 2, -1]),
        again=st.booleans(),
    )
    def top_up(self, data: st.DataObject, amount: int, late: int, *, again: bool) -> None:
        customer = self.customer(data)
        known = [payment.reference for payment in self.books.payments]
        reference = self.one(data, [*known, *[f"CRO-{self.asked}"] * 9], "reference")
        self.pay_in(customer, amount, reference, self.on - timedelta(days=late), again=again)

    @rule(data=some, amount=st.sampled_from([305, 1208, 5000, 100_000, 0, 100_001]), again=st.booleans())
    def top_up_by_card(self, data: st.DataObject, amount: int, *, again: bool) -> None:
        """Asked again, it is not charged again: what the bank has booked is found, and is credit."""
        stored = [(each.customer, each.name) for each in self.books.methods.values()]
        customer, method = self.likely(
            data,
            [("nobody", None), *[(customer, None) for customer in self.books.credit], *stored],
            lambda books, each: topping_up.by_card(books, self.on, each[0], amount, each[1], asked_again=again),
            "customer and method",
        )

        def act(key: str) -> object:
            for _ in range(1 + again):
                answer = accounts.top_up_by_card(
                    self.store,
                    self.registry.settings,
                    open_gateway(self.registry.settings),
                    self.clerk,
                    customer,
                    amount_cents=amount,
                    request_id=key,
                    payment_method_id=method,
                )
            return answer

        self.both(
            "credit topup",
            lambda books: topping_up.by_card(books, self.on, customer, amount, method, asked_again=again),
            act,
        )

    @rule(
        data=some,
        kind=st.sampled_from(["extra_inbox", "extra_inbox", "extra_archive"]),
        quantity=st.sampled_from([1, 1, 2, 0]),
        again=st.booleans(),
    )
    def buy_addon(self, data: st.DataObject, kind: Any, quantity: int, *, again: bool) -> None:
        address = self.likely_address(data, lambda books, each: buying.buy_addon(books, self.on, each, kind, quantity))
        self.both(
            "addon buy",
            lambda books: buying.buy_addon(books, self.on, address, kind, quantity),
            lambda key: accounts.buy_addon(
                self.store, self.catalog, self.clerk, address, Extra(kind, quantity), request_id=key
            ),
            again=again,
        )

    @rule(
        data=some,
        kind=st.sampled_from(["extra_inbox", "extra_inbox", "extra_archive"]),
        pay_by=st.sampled_from(["bank_transfer", "card", "paypal"]),
        again=st.booleans(),
    )
    def order_addon(self, data: st.DataObject, kind: Any, pay_by: Any, *, again: bool) -> None:
        address = self.likely_address(
            data, lambda books, each: buying.order_addon(books, self.on, each, kind, 1, pay_by)
        )
        self.both(
            "addon order",
            lambda books: buying.order_addon(books, self.on, address, kind, 1, pay_by),
            lambda key: accounts.order_addon(
                self.store, self.catalog, self.clerk, address, Extra(kind, 1), pay_by, request_id=key
            ),
            again=again,
        )

    @precondition(lambda self: self.books.addons)
    @rule(data=some, again=st.booleans())
    def cancel_addon(self, data: st.DataObject, *, again: bool) -> None:
        active = [addon.name for addon in self.books.addons if addon.status == "active"]
        name = self.one(data, [*active * 3, self.books.addons[0].name, "none"], "addon")
        self.both(
            "addon cancel",
            lambda books: buying.cancel_addon(books, self.on, name),
            lambda key: accounts.cancel_addon(self.store, self.clerk, name, request_id=key),
            again=again,
        )

    @precondition(lambda self: any(box.domain and box.status != "deleted" for box in self.books.boxes))
    @rule(domain=st.sampled_from([DOMAIN, DOMAIN, "e.example.it"]), ahead=st.sampled_from([-1, 30, 365, 400, 700]))
    def renew_domain(self, domain: str, ahead: int) -> None:
        until = self.on + timedelta(days=ahead)
        self.both(
            "domain renew",
            lambda books: buying.renew_domain(books, self.on, domain, until),
            lambda key: accounts.renew_domain(self.store, self.clerk, domain, until, request_id=key),
        )

    @precondition(lambda self: any(box.domain and box.status != "deleted" for box in self.books.boxes))
    @rule(again=st.booleans())
    def release_domain(self, *, again: bool) -> None:
        self.both(
            "domain release",
            lambda books: buying.release_domain(books, self.on, DOMAIN),
            lambda key: accounts.release_domain(self.store, self.clerk, DOMAIN, request_id=key),
            again=again,
        )
