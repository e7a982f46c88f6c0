"""Lives of a provider: any operation on any day, and the jobs, in the program and in the model of SPEC side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import date, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from lifecycle_jobs import accounts
from lifecycle_jobs.accounts import Expiring, Extra, FirstPayment, NewMethod, Payment, Purchase, Wanted, WantedSpace
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments import refunds
from lifecycle_jobs.payments.gateway import NotAttempted, Succeeded
from tests import daily
from tests.auditing import assert_books_are_right
from tests.properties.comparing import differences, expected, learn_names, seen
from tests.properties.lives import START, TOKENS
from tests.properties.provider import DOMAIN, Registry, providers
from tests.properties.spec import buying, day, keeping, ordering
from tests.properties.spec.things import PLANS, Books, Box, Refusal, gross

Thing = TypeVar("Thing")
MOST_BOXES = 9
OPERATIONS = (
    "order renew",
    "order renew --expiring",
    "order pay",
    "order pay --from-credit",
    "order cancel",
    "payments apply",
    "refunds done",
    "charges resolve",
    "autorenew on",
    "autorenew off",
    "method register",
    "method replace",
    "method remove",
    "box cancel",
    "box withdraw",
    "box hold",
    "box release",
    "box suspend",
    "box lift",
    "box buy",
    "credit register",
    "addon buy",
    "addon order",
    "addon cancel",
    "domain renew",
    "domain release",
)
some = st.data()
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


class Accounts(RuleBasedStateMachine):
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

    # Time, and the jobs.

    @rule(data=some, ahead=st.sampled_from([1, 1, 2, 8, 30]), runs=st.sampled_from([True, True, True, False]))
    def days_pass(self, data: st.DataObject, ahead: int, *, runs: bool) -> None:
        """To a day that matters to some box, or some days ahead; usually the day is run at once."""
        day_of_a_box = [
            box.expires_on + timedelta(days=offset)
            for box in self.books.boxes
            if box.status != "deleted"
            for offset in (-7, -5, -3, -1, 0, 1, 3, 4, 11, 91)
        ]
        matters = sorted({on for on in day_of_a_box if self.on < on < self.on + timedelta(days=800)})[:8]
        self.on = data.draw(st.sampled_from([self.on + timedelta(days=ahead), *matters]), "day")
        if runs:
            self.run()

    @rule()
    def run(self) -> None:
        """The day is run: if it was before, everything is looked for once more."""
        again = self.last_run == self.on
        report = daily.run(self.store, self.registry.settings, self.on, again=again)
        assert report.run_pass is not None
        self.last_run = self.on
        day.live(self.books, self.on)
        self.counts["a day"] += 1

    # Orders, payments, credit.

    @rule(
        data=some,
        many=st.sampled_from([False, False, True]),
        years=st.sampled_from([1, 1, 1, 2, 5, 6]),
        pay_by=st.sampled_from(["bank_transfer", "card", "paypal", "credit"]),
        again=st.booleans(),
    )
    def order(self, data: st.DataObject, years: int, pay_by: Any, *, many: bool, again: bool) -> None:
        """A renewal by hand, sometimes with another plan or space."""
        addresses = [self.address(data)]
        if many:
            addresses = list(dict.fromkeys([*addresses, self.address(data)]))
        space = data.draw(spaces, "space")
        wanted = Wanted(years, pay_by, space)
        self.both(
            "order renew",
            lambda books: ordering.place(
                books,
                self.on,
                addresses,
                years,
                pay_by,
                plan=space.plan,
                inbox=space.extra_inbox_gb,
                archive=space.extra_archive_gb,
                accept_loss=space.accept_archive_loss,
            ),
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
        amount = (1208 if order is None else order.gross) + too_much
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

    @ordered
    @rule(data=some, again=st.booleans())
    def pay_from_credit(self, data: st.DataObject, *, again: bool) -> None:
        number = self.order_number(data)
        self.both(
            "order pay --from-credit",
            lambda books: ordering.pay_from_credit(books, self.on, number),
            lambda key: accounts.pay_from_credit(self.store, self.catalog, self.clerk, number, request_id=key),
            again=again,
        )

    @ordered
    @rule(data=some, again=st.booleans())
    def cancel_order(self, data: st.DataObject, *, again: bool) -> None:
        number = self.order_number(data)
        self.both(
            "order cancel",
            lambda books: ordering.cancel_order(books, number),
            lambda key: accounts.cancel_order(self.store, self.clerk, number, request_id=key),
            again=again,
        )

    @precondition(lambda self: any(payment.unapplied for payment in self.books.payments))
    @rule(data=some, fits=st.sampled_from([True, True, True, False]), again=st.booleans())
    def apply_payment(self, data: st.DataObject, *, fits: bool, again: bool) -> None:
        reference = self.one(data, [each.reference for each in self.books.payments], "reference")
        amount = next(each.amount for each in self.books.payments if each.reference == reference)
        waiting = [order.number or "" for order in self.books.orders if order.gross == amount] if fits else []
        number = self.one(data, waiting, "order") if waiting else self.order_number(data)
        self.both(
            "payments apply",
            lambda books: ordering.apply_payment(books, self.on, reference, number),
            lambda key: accounts.apply_payment(self.store, self.catalog, self.clerk, reference, number, request_id=key),
            again=again,
        )

    @precondition(lambda self: self.books.payments or any(charge.unapplied for charge in self.books.charges))
    @rule(data=some)
    def give_back(self, data: st.DataObject) -> None:
        """What could not be applied: money registered by hand, or a charge."""
        with self.store.read() as connection:
            due = [(row.key, row.kind) for row in connection.execute(refunds.due())]
        known = [(payment.reference, "registered") for payment in self.books.payments]
        key, kind = self.one(data, [*due, *due, *known], "payment")

        def expect(books: Books) -> None:
            if kind == "registered":
                ordering.give_back(books, key)
            else:
                self.charge_of(books, key).unapplied = False

        note = lambda _key: refunds.note(self.store, self.clerk.origin, key, reference="back")  # noqa: E731 -- named for the line below
        self.both("refunds done", expect, note)

    @precondition(lambda self: any(charge.unresolved for charge in self.books.charges))
    @rule(data=some)
    def resolve_charge(self, data: st.DataObject) -> None:
        """A clerk has looked at the bank's own pages."""
        key = self.one(data, self.charge_keys("unknown"), "charge")
        booked = self.charge_of(self.books, key).booked

        def expect(books: Books) -> None:
            charge = self.charge_of(books, key)
            if booked:
                day.succeed(books, charge, self.on)
            else:
                charge.status = "not_attempted"

        said = Succeeded("seen") if booked else NotAttempted("not there")
        self.both(
            "charges resolve",
            expect,
            lambda _key: accounts.resolve_charge(self.store, self.registry.settings, self.clerk, key, said),
        )

    # Payment methods and auto-renew.

    @rule(
        data=some,
        method=st.sampled_from([None, None, *[f"c{n}-m{m}" for n in range(2) for m in range(2)]]),
        years=st.sampled_from([None, None, 1, 2, 6]),
        again=st.booleans(),
    )
    def switch_on(self, data: st.DataObject, method: str | None, years: int | None, *, again: bool) -> None:
        address = self.address(data)
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

    # What is done to a box.

    @rule(data=some, again=st.booleans())
    def cancel(self, data: st.DataObject, *, again: bool) -> None:
        address = self.address(data)
        self.both(
            "box cancel",
            lambda books: keeping.cancel(books, self.on, address),
            lambda key: accounts.cancel_box(self.store, self.clerk, address, request_id=key),
            again=again,
        )

    @precondition(lambda self: any(box.cancelled_on for box in self.books.boxes))
    @rule(data=some, again=st.booleans())
    def withdraw(self, data: st.DataObject, *, again: bool) -> None:
        address = self.address(data, lambda box: box.cancelled_on is not None)
        self.both(
            "box withdraw",
            lambda books: keeping.withdraw(books, self.on, address),
            lambda key: accounts.withdraw_cancellation(self.store, self.clerk, address, request_id=key),
            again=again,
        )

    @rule(data=some, ahead=st.sampled_from([-1, 0, 5, 40, None]), again=st.booleans())
    def hold(self, data: st.DataObject, ahead: int | None, *, again: bool) -> None:
        address = self.address(data)
        until = None if ahead is None else self.on + timedelta(days=ahead)
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
        address = self.address(data, lambda box: box.on_hold(self.on))
        self.both(
            "box release",
            lambda books: keeping.release(books, self.on, address),
            lambda key: accounts.release_box(self.store, self.clerk, address, request_id=key),
            again=again,
        )

    @rule(data=some, reason=st.sampled_from(["abuse", "abuse", "unpaid"]), again=st.booleans())
    def suspend(self, data: st.DataObject, reason: str, *, again: bool) -> None:
        address = self.address(data)
        self.both(
            "box suspend",
            lambda books: keeping.suspend_by_hand(books, self.on, address, reason),
            lambda key: accounts.suspend_box(self.store, self.clerk, address, reason=reason, request_id=key),
            again=again,
        )

    @precondition(lambda self: any(box.status == "suspended" for box in self.books.boxes))
    @rule(data=some, again=st.booleans())
    def lift(self, data: st.DataObject, *, again: bool) -> None:
        address = self.address(data, lambda box: box.status == "suspended")
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
        paid_by=st.sampled_from(["bank_transfer", "card", "credit", "agreement"]),
        too_much=st.sampled_from([0, 0, 0, 1]),
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
        known = [box.address for box in self.books.boxes]
        deleted = [box.address for box in self.books.boxes if box.status == "deleted"]
        fresh = [f"new{self.asked}@pec.example.it"] if len(known) < MOST_BOXES else []
        address = self.one(data, [*known[-2:], *deleted * 5, *fresh * 2], "address")
        customer = self.customer(data)
        method = data.draw(st.sampled_from([None, None, None, *self.books.methods]), "method")
        money = paid_by in {"bank_transfer", "card"}
        amount = gross(PLANS[plan].price * years) + too_much if money else None
        unapplied = [payment.reference for payment in self.books.payments if payment.unapplied]
        reference = self.one(data, [f"CRO-{self.asked}", *unapplied], "reference") if money else None
        self.both(
            "box buy",
            lambda books: keeping.buy(
                books,
                self.on,
                customer,
                address,
                plan,
                years,
                paid_by,
                amount=amount,
                reference=reference,
                method=method,
                auto_renew=auto_renew,
            ),
            lambda key: accounts.buy_box(
                self.store,
                self.catalog,
                self.clerk,
                Purchase(customer, address, plan, years, payment_method_id=method, auto_renew=auto_renew),
                FirstPayment(paid_by, amount, reference),
                request_id=key,
            ),
            again=again,
        )

    # Credit, extra space, domains.

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
        paid_on = self.on - timedelta(days=late)
        self.both(
            "credit register",
            lambda books: buying.top_up(books, self.on, customer, amount, reference, paid_on),
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

    @rule(
        data=some,
        kind=st.sampled_from(["extra_inbox", "extra_inbox", "extra_archive"]),
        quantity=st.sampled_from([1, 1, 2, 0]),
        again=st.booleans(),
    )
    def buy_addon(self, data: st.DataObject, kind: Any, quantity: int, *, again: bool) -> None:
        address = self.address(data, lambda box: box.status == "active" and box.domain is None)
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
        address = self.address(data, lambda box: box.status == "active" and box.domain is None)
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

    @precondition(lambda self: any(box.domain for box in self.books.boxes))
    @rule(domain=st.sampled_from([DOMAIN, DOMAIN, "e.example.it"]), ahead=st.sampled_from([-1, 30, 365, 400, 700]))
    def renew_domain(self, domain: str, ahead: int) -> None:
        until = self.on + timedelta(days=ahead)
        self.both(
            "domain renew",
            lambda books: buying.renew_domain(books, self.on, domain, until),
            lambda key: accounts.renew_domain(self.store, self.clerk, domain, until, request_id=key),
        )

    @precondition(lambda self: any(box.domain for box in self.books.boxes))
    @rule(again=st.booleans())
    def release_domain(self, *, again: bool) -> None:
        self.both(
            "domain release",
            lambda books: buying.release_domain(books, self.on, DOMAIN),
            lambda key: accounts.release_domain(self.store, self.clerk, DOMAIN, request_id=key),
            again=again,
        )

    # What must hold after every step.

    @invariant()
    def agree(self) -> None:
        """The program's books are the model's, and in order."""
        rows = self.registry.rows()
        was, ought = seen(rows), expected(self.books)
        was["unapplied"], ought["unapplied"] = len(was["unapplied"]), len(ought["unapplied"])
        assert differences(was, ought) == {}
        learn_names(self.books, rows)
        assert differences(seen(rows), expected(self.books)) == {}
        if self.books.boxes:
            assert_books_are_right(self.store, self.registry.settings)

    # How it is done.

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
        return self.one(data, [*known[-3:], *waiting * 4, "R-0-nothing"], "order")

    def charge_keys(self, status: str) -> list[str]:
        with self.store.read() as connection:
            chosen = select(tables.charges.c.idempotency_key).where(tables.charges.c.status == status)
            return list(connection.scalars(chosen.order_by(tables.charges.c.id)))

    def charge_of(self, books: Books, key: str) -> Any:
        """The model's charge that the program keeps under this key."""
        with self.store.read() as connection:
            rows = connection.execute(
                select(tables.charges.c.idempotency_key, tables.charges.c.box_id).order_by(tables.charges.c.id)
            ).all()
            boxes = list(connection.scalars(select(tables.boxes.c.id).order_by(tables.boxes.c.id)))
        box_id = next(row.box_id for row in rows if row.idempotency_key == key)
        of_box = [row.idempotency_key for row in rows if row.box_id == box_id]
        return [each for each in books.charges if each.box == boxes.index(box_id)][of_box.index(key)]
