"""Payment methods and auto-renew."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from lifecycle_jobs import accounts
from lifecycle_jobs.accounts import NewMethod
from tests.properties.lives import TOKENS
from tests.properties.sides import Sides, some
from tests.properties.spec import keeping


class Methods(Sides):
    """A life in which holders change how they pay."""

    @rule(
        data=some,
        method=st.sampled_from([None, None, *[f"c{n}-m{m}" for n in range(2) for m in range(2)]]),
        years=st.sampled_from([None, None, 1, 2, 6]),
        again=st.booleans(),
    )
    def switch_on(self, data: st.DataObject, method: str | None, years: int | None, *, again: bool) -> None:
        address = self.likely_address(data, lambda books, each: keeping.switch_on(books, each, method, years))
        self.both(
            "autorenew on",
            lambda books: keeping.switch_on(books, address, method, years),
            lambda key: accounts.switch_auto_renew_on(
                self.store,
                self.catalog,
                self.clerk,
                address,
                request_id=key,
                payment_method_id=method,
                years=years,
            ),
            again=again,
        )

    @rule(data=some, again=st.booleans())
    def switch_off(self, data: st.DataObject, *, again: bool) -> None:
        address = self.address(data)
        self.both(
            "autorenew off",
            lambda books: keeping.switch_off(books, address),
            lambda key: accounts.switch_auto_renew_off(self.store, self.clerk, address, request_id=key),
            again=again,
        )

    @rule(data=some, kind=st.sampled_from(["card", "paypal", "credit"]), token=st.sampled_from(TOKENS))
    def register(self, data: st.DataObject, kind: Any, token: str) -> None:
        customer, name = self.customer(data), self.method_name(data)
        new = NewMethod(kind, None if kind == "credit" else token, payment_method_id=name)
        self.both(
            "method register",
            lambda books: keeping.register(books, customer, kind, new.token, name),
            lambda key: accounts.register_method(self.store, self.clerk, customer, new, request_id=key),
        )

    @precondition(lambda self: self.books.methods)
    @rule(
        data=some,
        kind=st.sampled_from(["card", "paypal", "credit"]),
        token=st.sampled_from(TOKENS),
        again=st.booleans(),
    )
    def replace(self, data: st.DataObject, kind: Any, token: str, *, again: bool) -> None:
        old, name = self.one(data, list(self.books.methods), "method"), self.method_name(data)
        new = NewMethod(kind, None if kind == "credit" else token, payment_method_id=name)
        self.both(
            "method replace",
            lambda books: keeping.replace(books, old, kind, new.token, name),
            lambda key: accounts.replace_method(self.store, self.catalog, self.clerk, old, new, request_id=key),
            again=again,
        )

    @precondition(lambda self: self.books.methods)
    @rule(data=some)
    def remove(self, data: st.DataObject) -> None:
        name = self.one(data, list(self.books.methods), "method")
        self.both(
            "method remove",
            lambda books: keeping.remove(books, name),
            lambda key: accounts.remove_method(self.store, self.clerk, name, request_id=key),
        )
