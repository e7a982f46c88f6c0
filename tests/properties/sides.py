"""The program and the model of SPEC side by side: each step is done in both, and then both look the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import date
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from lifecycle_jobs import accounts
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from tests import daily
from tests.auditing import assert_books_are_right
from tests.properties.comparing import differences, expected, learn_names, seen
from tests.properties.lives import START
from tests.properties.provider import Registry, providers
from tests.properties.spec import day, topping_up
from tests.properties.spec.things import Books, Box, Refusal

Thing = TypeVar("Thing")
some = st.data()


class Sides(RuleBasedStateMachine):
    """One life. `registry` is where the program keeps it, `counts` how often each operation was accepted or refused."""

    def __init__(self, registry: Registry, counts: Counter[str]) -> None:
        super().__init__()
        self.registry = registry
        self.store = registry.store
        self.catalog = registry.settings.catalog()
        self.counts = counts
        self.books = Books()
        self.on = START
        self.last_run: date | None = None
        self.asked = 0

    @initialize(books=providers())
    def move_in(self, books: Books) -> None:
        self.books = books
        self.registry.move_in(books)

    @invariant()
    def agree(self) -> None:
        """The program's books are the model's, and in order."""
        rows = self.registry.rows()
        was, ought = seen(rows), expected(self.books)
        was["unapplied"], ought["unapplied"] = len(was["unapplied"]), len(ought["unapplied"])
        apart = differences(was, ought)
        assert apart == {}, apart
        learn_names(self.books, rows)
        apart = differences(seen(rows), expected(self.books))
        assert apart == {}, apart
        if self.books.boxes:
            assert_books_are_right(self.store, self.registry.settings)

    @property
    def clerk(self) -> Operator:
        return Operator("anna", None, self.on)

    def both(
        self,
        name: str,
        expect: Callable[[Books], object],
        act: Callable[[str], object],
        *,
        again: bool = False,
    ) -> None:
        """Do it here and there: accepted by both or refused by both; asked again, the same answer and no more."""
        self.asked += 1
        key = f"request {self.asked}"
        books = deepcopy(self.books)
        why = told = None
        try:
            expect(books)
        except Refusal as refusal:
            why = str(refusal)
        try:
            answer = act(key)
        except Refused as refused:
            told = str(refused)
        assert (why is None) is (told is None), f"{name}: the model says {why}, the program {told}"
        self.counts[f"{name}: {'accepted' if why is None else 'refused'}"] += 1
        if why is not None:
            return
        self.books = books
        if again:
            assert act(key) == answer

    def pay_in(self, customer: str, amount: int, reference: str, paid_on: date, *, again: bool = False) -> None:
        """Money that a clerk registers as a holder's credit."""
        self.both(
            "credit register",
            lambda books: topping_up.register(books, self.on, customer, amount, reference, paid_on),
            lambda key: accounts.register_top_up(
                self.store,
                self.clerk,
                customer,
                amount_cents=amount,
                reference=reference,
                paid_on=paid_on,
                request_id=key,
            ),
            again=again,
        )

    def likely(
        self, data: st.DataObject, things: Sequence[Thing], expect: Callable[[Books, Thing], object], label: str
    ) -> Thing:
        """Usually one with which the model would do it, if there is one."""
        return self.one(data, [*things, *[each for each in things if self._would(expect, each)] * 12], label)

    def likely_address(self, data: st.DataObject, expect: Callable[[Books, str], object]) -> str:
        addresses = list(dict.fromkeys(box.address for box in self.books.boxes))
        return self.likely(data, [*addresses, "nobody@pec.example.it"], expect, "address")

    def _would(self, expect: Callable[[Books, Thing], object], thing: Thing) -> bool:
        try:
            expect(deepcopy(self.books), thing)
        except Refusal:
            return False
        return True

    def run_day(self) -> None:
        """The day is run: if it was before, everything is looked for once more."""
        again = self.last_run == self.on
        report = daily.run(self.store, self.registry.settings, self.on, again=again)
        assert report.run_pass is not None
        self.last_run = self.on
        day.live(self.books, self.on)
        self.counts["a day"] += 1

    @staticmethod
    def one(data: st.DataObject, things: Sequence[Thing], label: str) -> Thing:
        return data.draw(st.sampled_from(things), label)

    def address(self, data: st.DataObject, fits: Callable[[Box], bool] = lambda box: not box.auto_renew) -> str:
        """Usually of a living box, and more often of one that fits than of another."""
        living = [box.address for box in self.books.boxes if box.status != "deleted"]
        fitting = [box.address for box in self.books.boxes if box.status != "deleted" and fits(box)]
        return self.one(data, [*living, *fitting * 3, "nobody@pec.example.it"], "address")

    def customer(self, data: st.DataObject) -> str:
        return self.one(data, [*sorted(self.books.credit) * 5, "nobody"], "customer")

    def method_name(self, data: st.DataObject) -> str:
        """A new one, or one that is taken."""
        taken = list(self.books.methods)[:1]
        return self.one(data, [f"m{self.asked}"] * 5 + taken, "name")

    def order_number(self, data: st.DataObject) -> str:
        known = [order.number or "" for order in self.books.orders]
        waiting = [order.number or "" for order in self.books.orders if order.status == "awaiting_payment"]
        return self.one(data, [*known[-3:], *waiting * 3, "R-0-nothing", "R-0-nothing"], "order")
