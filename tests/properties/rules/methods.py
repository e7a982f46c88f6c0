"""Payment methods and auto-renew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from lifecycle_jobs import accounts
from lifecycle_jobs.accounts import NewMethod
from tests.properties.lives import TOKENS
from tests.properties.provider import LOST
from tests.properties.sides import Sides, some
from tests.properties.spec import keeping
from tests.properties.spec.things import Box


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
        self._switch_on(address, method, years, again=again)

    def _switch_on(self, address: str, method: str | None, years: int | None, *, again: bool) -> None:
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

    @precondition(lambda self: any(self._could_renew_itself(box) for box in self.books.boxes))
    @rule(data=some, token=st.sampled_from(["pm_card_visa", "pm_card_visa", *LOST]))
    def renew_itself(self, data: st.DataObject, token: str) -> None:
        """A holder stores a card and lets his box renew itself, and the day comes on which it is charged."""
        box = self.one(data, [each for each in self.books.boxes if self._could_renew_itself(each)], "box")
        address, name, new = box.address, f"m{self.asked}", NewMethod("card", token, payment_method_id=f"m{self.asked}")
        if all((each.customer, each.token) != (box.customer, token) for each in self.books.methods.values()):
            self.both(
                "method register",
                lambda books: keeping.register(books, box.customer, "card", token, name),
                lambda key: accounts.register_method(self.store, self.clerk, box.customer, new, request_id=key),
            )
            self._switch_on(address, name, None, again=False)
        self.on = max(self.on, box.expires_on - timedelta(days=7))
        self.run_day()

    def _could_renew_itself(self, box: Box) -> bool:
        return box.status == "active" and box.domain is None and self.on <= box.expires_on
