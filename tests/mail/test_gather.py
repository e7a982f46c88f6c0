from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, update

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, boxes, order_lines
from lifecycle_jobs.mail.contents import (
    AddonDisabledLine,
    AddonItem,
    AddonRenewedLine,
    AddonToPay,
    ChargeDeclinedLine,
    CreditShortLine,
    DeletedLine,
    DeletionWarningLine,
    ExpiryAlertLine,
    Line,
    RenewalNoticeLine,
    RenewedLine,
    SuspendedLine,
)
from lifecycle_jobs.mail.gather import Gathered, Office, Pointless, Ready, Unfit, gather
from lifecycle_jobs.mail.methods import EndingCard, PaymentMethodText
from lifecycle_jobs.settings import Settings
from tests import factories
from tests.mail.office import ON, E, alert, queued, settings_for

ADDRESS = "mario.rossi@pec.example.it"
RENEW_URL = "https://www.example.it/renew?box=mario.rossi%40pec.example.it"
RENEWED_UNTIL = date(2028, 3, 31)
A_DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def gathered(store: Store, settings: Settings, *message_ids: int, on: date = ON) -> list[Gathered]:
    with store.read() as connection:
        return gather(connection, message_ids, Office(settings, on))


def only_line(store: Store, settings: Settings, message_id: int, *, on: date = ON) -> Line:
    (ready,) = gathered(store, settings, message_id, on=on)
    assert isinstance(ready, Ready), ready
    (line,) = ready.content.lines
    return line


def message_about(connection: Connection, kind: str, box_id: int, **values: Any) -> int:
    values.setdefault("occurred_on", ON)
    return queued(connection, factories.event(connection, kind, box_id=box_id, **values), kind=kind)


class TestWhatALineSays:
    def test_an_expiry_alert_gives_the_price_and_the_days_to_come(self, store: Store, settings: Settings) -> None:
        with store.write() as connection:
            factories.customer(connection)
            box = factories.box(connection, ADDRESS, domain="esempio.it")
            message = queued(connection, alert(connection, box))

        assert only_line(store, settings, message) == ExpiryAlertLine(
            address=ADDRESS,
            plan_name="Standard",
            expires_on=E,
            days_left=7,
            renew_url=RENEW_URL,
            price_cents=1208,
            years=1,
            suspends_on=date(2027, 4, 1),
            deletes_on=date(2027, 6, 30),
            domain="esempio.it",
        )

    def test_days_left_are_those_of_the_day_of_delivery(self, store: Store, settings: Settings) -> None:
        with store.write() as connection:
            factories.customer(connection)
            message = queued(connection, alert(connection, factories.box(connection)))

        for on, days_left in ((E - 2 * A_DAY, 2), (E, 0)):
            (ready,) = gathered(store, settings, message, on=on)
            assert isinstance(ready, Ready)
            (line,) = ready.content.lines
            assert isinstance(line, ExpiryAlertLine)
            assert line.days_left == days_left
            assert ready.content.written_on == on

    def test_the_price_counts_years_and_the_add_ons_paid_with_the_renewal(
        self, store: Store, settings: Settings
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            box = factories.box(connection, renewal_years=2)
            factories.addon(connection, "on", box)
            factories.addon(connection, "given-up", box, cancelled_on=ON)
            factories.addon(connection, "off", box, status="disabled")
            own_price = factories.box(connection, "own@pec.example.it", annual_price=500)
            free = factories.box(connection, "free@pec.example.it", annual_price=0)
            message = queued(connection, *(alert(connection, id_) for id_ in (box, own_price, free)))

        (ready,) = gathered(store, settings, message)
        assert isinstance(ready, Ready)
        prices = {line.address: line.price_cents for line in ready.content.lines if isinstance(line, ExpiryAlertLine)}
        assert prices == {ADDRESS: 3026, "own@pec.example.it": 610, "free@pec.example.it": 0}

    def test_add_ons_that_credit_must_pay_are_each_tested_alone(self, store: Store, settings: Settings) -> None:
        with store.write() as connection:
            factories.customer(connection, credit=500)
            box = factories.box(connection)
            factories.addon(connection, "a1", box, paid_from="credit")
            factories.addon(connection, "a2", box, paid_from="credit", kind="extra_archive", quantity=2)
            factories.addon(connection, "a3", box, paid_from="credit", expires_on=E - 30 * A_DAY)
            factories.addon(connection, "a4", box, paid_from="credit", cancelled_on=ON)
            factories.addon(connection, "a5", box, paid_from="credit", status="terminated")
            factories.addon(connection, "a6", box, paid_from="credit", expires_on=RENEWED_UNTIL)
            message = queued(connection, alert(connection, box))

        line = only_line(store, settings, message)
        assert isinstance(line, ExpiryAlertLine)
        assert line.price_cents == 1208
        assert line.addons == (
            AddonToPay("extra_inbox", 1, cost_cents=305, balance_cents=500, shortfall_cents=0),
            AddonToPay("extra_archive", 2, cost_cents=610, balance_cents=500, shortfall_cents=110),
            AddonToPay("extra_inbox", 1, cost_cents=610, balance_cents=500, shortfall_cents=110),
        )

    def test_a_renewal_notice_names_the_charge_and_the_last_day_to_prevent_it(
        self, store: Store, settings: Settings
    ) -> None:
        with store.write() as connection:
            factories.customer(connection, credit=100)
            method = factories.method(connection, brand="Visa", last4="4242")
            box = factories.box(connection, ADDRESS, auto_renew=True, payment_method_id=method)
            factories.addon(connection, "a1", box, paid_from="credit")
            message = message_about(connection, "box.renewal_notice", box, milestone=37)

        assert only_line(store, settings, message, on=date(2027, 2, 22)) == RenewalNoticeLine(
            address=ADDRESS,
            plan_name="Standard",
            expires_on=E,
            days_left=37,
            charge_on=date(2027, 3, 24),
            switch_off_by=date(2027, 3, 23),
            years=1,
            gross_cents=1208,
            renews_until=RENEWED_UNTIL,
            method=PaymentMethodText("card", "Visa", "4242"),
            addons=(AddonToPay("extra_inbox", 1, 305, 100, 205),),
        )

    @pytest.mark.parametrize(
        ("method", "text", "on_account"),
        [
            ("card", PaymentMethodText("card", "Visa", "4242"), False),
            ("credit", PaymentMethodText("credit"), False),
            ("agreement", PaymentMethodText("agreement"), True),
            (None, None, False),
        ],
    )
    def test_a_receipt_repeats_the_order(
        self,
        store: Store,
        settings: Settings,
        method: str | None,
        text: PaymentMethodText | None,
        on_account: bool,  # noqa: FBT001 -- a column of the table above
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            card = factories.method(connection, brand="Visa", last4="4242")
            box = factories.box(connection, ADDRESS, expires_on=RENEWED_UNTIL, payment_method_id=card)
            factories.addon(connection, "a1", box, quantity=5)
            order = factories.order(connection, "R-1", box_id=box, status="paid", net=1490, vat=328)
            for position, (item, addon, price) in enumerate((("standard", None, 990), ("extra_inbox", "a1", 250)), 1):
                values = {"item": item, "addon_id": addon, "quantity": position, "unit_price_cents": price}
                connection.execute(
                    order_lines.insert().values(
                        order_id=order, position=position, years=1, net_cents=position * price, **values
                    )
                )
            detail = {
                "order_number": "R-1",
                "years": 1,
                "new_expires_on": "2028-03-31",
                "net": "14.90",
                "vat": "3.28",
                "gross": "18.18",
                "method": method,
                "addons": ["a1"],
            }
            message = message_about(connection, "box.renewed", box, detail=detail)

        assert only_line(store, settings, message) == RenewedLine(
            address=ADDRESS,
            plan_name="Standard",
            old_expires_on=E,
            new_expires_on=RENEWED_UNTIL,
            years=1,
            order_number="R-1",
            net_cents=1490,
            vat_cents=328,
            gross_cents=1818,
            method=text,
            on_account=on_account,
            addons=(AddonItem("extra_inbox", 2),),
        )

    @pytest.mark.parametrize(
        ("expiry", "on", "valid_until", "charge_on"),
        [
            ((3, 2027), date(2027, 2, 22), None, None),  # charged on 24 March, while it is still valid
            ((2, 2027), date(2027, 2, 22), date(2027, 2, 28), date(2027, 3, 24)),
            ((1, 2027), date(2027, 2, 22), date(2027, 1, 31), date(2027, 3, 24)),  # has expired already
            ((2, 2027), E - A_DAY, date(2027, 2, 28), E - A_DAY),  # the first slot is gone, the next is today
            ((None, None), date(2027, 2, 22), None, None),
        ],
    )
    @pytest.mark.parametrize("kind", ["box.renewal_notice", "box.expiry_alert"])
    def test_a_card_that_ends_before_the_charge_is_said_so(
        self,
        store: Store,
        settings: Settings,
        kind: str,
        expiry: tuple[int | None, int | None],
        on: date,
        valid_until: date | None,
        charge_on: date | None,
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            month, year = expiry
            method = factories.method(connection, brand="Visa", last4="4242", exp_month=month, exp_year=year)
            box = factories.box(connection, auto_renew=True, payment_method_id=method)
            message = message_about(connection, kind, box, milestone=37)

        line = only_line(store, settings, message, on=on)
        assert isinstance(line, RenewalNoticeLine | ExpiryAlertLine)
        card = PaymentMethodText("card", "Visa", "4242")
        assert line.ending_card == (EndingCard(card, valid_until, charge_on) if valid_until and charge_on else None)

    @pytest.mark.parametrize(
        ("method_kind", "box", "said"),
        [
            ("card", {}, True),
            ("card", {"auto_renew": False}, False),
            ("card", {"plan": "domain"}, False),
            ("card", {"annual_price": 0}, False),
            ("card", {"hold_until": date(2027, 3, 24)}, False),
            ("card", {"hold_until": date(2027, 3, 23)}, True),  # free again when the charge is due
            ("card", {"hold_reason": "dispute"}, False),
            ("paypal", {}, False),
        ],
    )
    def test_a_card_of_which_nothing_is_wanted_is_not_mentioned_in_an_expiry_alert(
        self,
        store: Store,
        settings: Settings,
        method_kind: str,
        box: dict[str, Any],
        said: bool,  # noqa: FBT001 -- a column of the table above
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            method = factories.method(connection, kind=method_kind, exp_month=2, exp_year=2027)
            box_id = factories.box(connection, **{"auto_renew": True, "payment_method_id": method, **box})
            message = queued(connection, alert(connection, box_id))

        line = only_line(store, settings, message, on=date(2027, 3, 1))
        assert isinstance(line, ExpiryAlertLine)
        assert (line.ending_card is not None) == said

    def test_an_expiry_alert_of_a_box_without_a_payment_method_mentions_no_card(
        self, store: Store, settings: Settings
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            message = queued(connection, alert(connection, factories.box(connection, auto_renew=True)))

        line = only_line(store, settings, message)
        assert isinstance(line, ExpiryAlertLine)
        assert line.ending_card is None

    @pytest.mark.parametrize(
        ("method_kind", "written", "read"),
        [
            ("card", {"advice": "replace"}, "replace"),
            ("paypal", {"advice": "later"}, "later"),
            ("card", {}, "bank"),
            ("card", {"advice": None}, "bank"),
            ("card", {"advice": "pray"}, "bank"),
            ("credit", {}, "credit"),
        ],
    )
    def test_a_decline_without_known_advice_sends_the_holder_to_the_bank(
        self, store: Store, settings: Settings, method_kind: str, written: dict[str, Any], read: str
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            box = factories.box(connection, auto_renew=True)
            detail = {
                "order_number": "R-1",
                "amount": "12.08",
                "code": "generic_decline",
                "hard": False,
                "final": True,
                "next_attempt_on": None,
                "slot": 0,
                "method": method_kind,
            }
            message = message_about(connection, "charge.declined", box, detail=detail | written)

        line = only_line(store, settings, message)
        assert isinstance(line, ChargeDeclinedLine)
        assert line.advice == read

    @pytest.mark.parametrize("next_attempt_on", [None, date(2027, 3, 26)])
    def test_a_declined_charge_says_when_the_next_is(
        self, store: Store, settings: Settings, next_attempt_on: date | None
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            paypal = factories.method(connection, kind="paypal", brand="?", last4="0000")
            box = factories.box(connection, ADDRESS, auto_renew=True, payment_method_id=paypal)
            detail = {
                "order_number": "R-1",
                "amount": "12.08",
                "code": "expired_card",
                "advice": "replace",
                "hard": next_attempt_on is None,
                "final": next_attempt_on is None,
                "next_attempt_on": next_attempt_on.isoformat() if next_attempt_on else None,
                "slot": 7,
                "method": "card",
            }
            message = message_about(connection, "charge.declined", box, detail=detail)

        assert only_line(store, settings, message) == ChargeDeclinedLine(
            address=ADDRESS,
            plan_name="Standard",
            expires_on=E,
            amount_cents=1208,
            code="expired_card",
            advice="replace",
            hard=next_attempt_on is None,
            final=next_attempt_on is None,
            next_attempt_on=next_attempt_on,
            method=PaymentMethodText("card"),  # the box has another one by now: its digits would be the wrong ones
            order_number="R-1",
            suspends_on=date(2027, 4, 1),
            renew_url=RENEW_URL,
        )

    def test_add_ons_short_of_credit_renewed_and_disabled(self, store: Store, settings: Settings) -> None:
        short = {"cost": "6.10", "balance": "5.00", "shortfall": "1.10"}
        cases: dict[str, tuple[dict[str, Any], Line]] = {
            "addon.credit_short": (
                short | {"new_expires_on": "2028-03-31"},
                CreditShortLine(ADDRESS, "extra_archive", 2, E, RENEWED_UNTIL, 610, 500, 110),
            ),
            "addon.renewed": (
                {"cost": "6.10", "balance": "0.00", "new_expires_on": "2028-03-31", "order_number": "A-1"},
                AddonRenewedLine(ADDRESS, "extra_archive", 2, RENEWED_UNTIL, 610, 0, "A-1"),
            ),
            "addon.disabled": (
                short | {"reason": "credit_short"},
                AddonDisabledLine(ADDRESS, "extra_archive", 2, E, "credit_short", 610, 500, 110),
            ),
        }
        with store.write() as connection:
            factories.customer(connection)
            box = factories.box(connection, ADDRESS, expires_on=RENEWED_UNTIL)
            factories.addon(connection, "a1", box, kind="extra_archive", quantity=2, paid_from="credit", expires_on=E)
            sent = {
                kind: message_about(connection, kind, box, addon_id="a1", detail=detail)
                for kind, (detail, _) in cases.items()
            }
            event_id = factories.event(
                connection, "addon.disabled", occurred_on=ON, addon_id="a1", detail={"reason": "cancelled"}
            )
            cancelled = queued(connection, event_id, kind="addon.disabled", created_on=ON + A_DAY)

        for kind, (_, line) in cases.items():
            assert only_line(store, settings, sent[kind]) == line
        assert only_line(store, settings, cancelled) == AddonDisabledLine(
            ADDRESS, "extra_archive", 2, E, "cancelled", 0, 0, 0
        )

    def test_suspended_warned_and_deleted(self, store: Store, settings: Settings) -> None:
        with store.write() as connection:
            factories.customer(connection)
            box = factories.box(connection, ADDRESS, status="suspended", hold_until=date(2027, 6, 10))
            suspended = message_about(connection, "box.suspended", box, detail={"reason": "unpaid"})
            detail = {"milestone": 30, "deletes_on": "2027-06-30", "days_left": 30}
            warning = message_about(connection, "box.deletion_warning", box, milestone=30, detail=detail)
            gone = factories.box(connection, "gone@pec.example.it", status="deleted")
            deleted = message_about(connection, "box.deleted", gone, occurred_on=date(2027, 6, 30))

        suspended_on, deletes_on = date(2027, 4, 1), date(2027, 7, 10)
        assert only_line(store, settings, suspended) == SuspendedLine(
            ADDRESS, "Standard", E, suspended_on, deletes_on, RENEW_URL
        )
        assert only_line(store, settings, warning, on=date(2027, 6, 30)) == DeletionWarningLine(
            ADDRESS, "Standard", E, suspended_on, deletes_on, 10, RENEW_URL
        )
        assert only_line(store, settings, deleted) == DeletedLine(
            "gone@pec.example.it", "Standard", E, date(2027, 6, 30)
        )

    @pytest.mark.parametrize(("required", "days_left"), [(False, 0), (True, 7)])
    def test_a_warning_that_a_deletion_has_been_waiting_for_counts_from_its_delivery(
        self,
        store: Store,
        settings: Settings,
        required: bool,  # noqa: FBT001 -- a column of the table above
        days_left: int,
    ) -> None:
        deletion = settings.deletion.model_copy(update={"require_delivered_warning": required})
        settings = settings.model_copy(update={"deletion": deletion})
        with store.write() as connection:
            factories.customer(connection)
            box = factories.box(connection, status="suspended")
            message = message_about(connection, "box.deletion_warning", box, detail={})

        on = date(2027, 7, 5)
        line = only_line(store, settings, message, on=on)
        assert isinstance(line, DeletionWarningLine)
        assert (line.days_left, line.deletes_on) == (days_left, on + days_left * A_DAY)


def test_lines_come_nearest_expiry_first_then_by_address(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.customer(connection)
        made = [("C@pec.it", E), ("late@pec.it", E + A_DAY), ("a@pec.it", E), ("B@pec.it", E), ("x@pec.it", E - A_DAY)]
        events = [
            alert(connection, factories.box(connection, address, expires_on=term), term=term) for address, term in made
        ]
        message = queued(connection, *events)

    (ready,) = gathered(store, settings, message)
    assert isinstance(ready, Ready)
    addresses = [line.address for line in ready.content.lines]
    assert addresses == ["x@pec.it", "a@pec.it", "B@pec.it", "C@pec.it", "late@pec.it"]


def test_a_message_says_who_writes_to_whom(store: Store, settings: Settings) -> None:
    links = settings.links.model_copy(update={"account": "https://x.it/?box={address}"})
    settings = settings.model_copy(update={"links": links})
    with store.write() as connection:
        factories.customer(connection, name="Zoë & Söhne", locale="en", email="new@example.it")
        message = queued(
            connection, alert(connection, factories.box(connection)), recipient="old@example.it", locale="en"
        )

    (ready,) = gathered(store, settings, message)
    assert isinstance(ready, Ready)
    assert ready.locale == "en"
    assert (ready.content.holder.name, ready.content.holder.email) == ("Zoë & Söhne", "old@example.it")
    assert ready.content.sender.name == "Posta Certificata Esempio"
    assert ready.content.links.account == "https://x.it/?box=mario.rossi%40pec.example.it"


_UNPAID: dict[str, Any] = {"status": "suspended", "suspended_on": E + A_DAY, "suspended_reason": "unpaid"}
_ACTIVE: dict[str, Any] = {"status": "active", "suspended_on": None, "suspended_reason": None}
_RENEWED: dict[str, Any] = {**_ACTIVE, "expires_on": RENEWED_UNTIL}
_GONE: dict[str, Any] = {"status": "deleted", "deleted_on": date(2027, 6, 30)}


class TestWhatIsMoot:
    @pytest.mark.parametrize(
        ("kind", "change", "on", "moot"),
        [
            ("box.expiry_alert", {}, E, False),
            ("box.expiry_alert", {}, E + A_DAY, True),
            ("box.expiry_alert", _RENEWED, ON, True),
            ("box.expiry_alert", {"cancelled_on": ON}, ON, True),
            ("box.expiry_alert", _UNPAID, ON, True),
            ("box.expiry_alert", _GONE, ON, True),
            ("box.expiry_alert", {"auto_renew": False}, ON, False),
            ("box.renewal_notice", {}, E, False),
            ("box.renewal_notice", {}, E + A_DAY, True),
            ("box.renewal_notice", _RENEWED, ON, True),
            ("box.renewal_notice", {"cancelled_on": ON}, ON, True),
            ("box.renewal_notice", _UNPAID, ON, True),
            ("box.renewal_notice", {"auto_renew": False}, ON, True),
            ("box.renewal_notice", {"payment_method_id": None}, ON, True),
            ("charge.declined", {}, E + A_DAY, False),
            ("charge.declined", _UNPAID, E + A_DAY, False),
            ("charge.declined", {"cancelled_on": ON}, ON, False),
            ("charge.declined", _RENEWED, ON, True),
            ("charge.declined", _GONE, ON, True),
            ("box.suspended", _UNPAID, E + A_DAY, False),
            ("box.suspended", _UNPAID | {"suspended_reason": "abuse"}, E + A_DAY, True),
            ("box.suspended", _UNPAID | {"expires_on": RENEWED_UNTIL}, E + A_DAY, True),
            ("box.suspended", _RENEWED, E + A_DAY, True),
            ("box.suspended", _GONE, E + A_DAY, True),
            ("box.deletion_warning", _UNPAID, date(2027, 5, 1), False),
            ("box.deletion_warning", _UNPAID | {"hold_until": date(2027, 5, 1)}, date(2027, 5, 1), True),
            ("box.deletion_warning", _UNPAID | {"hold_until": date(2027, 5, 1)}, date(2027, 5, 2), False),
            ("box.deletion_warning", _UNPAID | {"hold_reason": "dispute"}, date(2027, 5, 1), True),
            ("box.deletion_warning", _UNPAID | {"suspended_reason": "abuse"}, date(2027, 5, 1), True),
            ("box.deletion_warning", _RENEWED, date(2027, 5, 1), True),
            ("box.deletion_warning", _GONE, date(2027, 5, 1), True),
            ("box.renewed", _UNPAID, ON, False),
            ("box.renewed", _GONE, ON, False),
            ("box.deleted", _GONE, ON, False),
        ],
    )
    def test_a_line_about_a_box(
        self,
        store: Store,
        settings: Settings,
        kind: str,
        change: dict[str, Any],
        on: date,
        moot: bool,  # noqa: FBT001 -- a column of the table above
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            method = factories.method(connection)
            box = factories.box(connection, auto_renew=True, payment_method_id=method)
            message = message_about(connection, kind, box, detail=_DETAILS.get(kind, {}))
            if change:
                connection.execute(update(boxes).values(**change))

        (found,) = gathered(store, settings, message, on=on)
        assert isinstance(found, Pointless if moot else Ready), found

    @pytest.mark.parametrize(
        ("kind", "change", "moot"),
        [
            ("addon.credit_short", {}, False),
            ("addon.credit_short", {"status": "disabled"}, True),
            ("addon.credit_short", {"status": "terminated"}, True),
            ("addon.credit_short", {"expires_on": RENEWED_UNTIL}, True),
            ("addon.renewed", {"status": "terminated", "expires_on": RENEWED_UNTIL}, False),
            ("addon.disabled", {"status": "active", "expires_on": RENEWED_UNTIL}, False),
        ],
    )
    def test_a_line_about_an_add_on(
        self,
        store: Store,
        settings: Settings,
        kind: str,
        change: dict[str, Any],
        moot: bool,  # noqa: FBT001 -- a column of the table above
    ) -> None:
        with store.write() as connection:
            factories.customer(connection)
            box = factories.box(connection, expires_on=RENEWED_UNTIL)
            factories.addon(connection, "a1", box, paid_from="credit", expires_on=E)
            message = message_about(connection, kind, box, addon_id="a1", detail=_DETAILS[kind])
            if change:
                connection.execute(update(addons).values(**change))

        (found,) = gathered(store, settings, message)
        assert isinstance(found, Pointless if moot else Ready), found

    def test_the_other_lines_stay_and_the_marks_tell_which_went(self, store: Store, settings: Settings) -> None:
        with store.write() as connection:
            factories.customer(connection)
            paid = alert(connection, factories.box(connection, "paid@pec.it", expires_on=RENEWED_UNTIL))
            due = alert(connection, factories.box(connection, "due@pec.it"))
            message = queued(connection, paid, due)

        (ready,) = gathered(store, settings, message)
        assert isinstance(ready, Ready)
        assert [line.address for line in ready.content.lines] == ["due@pec.it"]
        assert ready.marks == {paid: True}


class TestWhatCannotBePutTogether:
    def test_it_stands_in_nobody_s_way_and_says_what_is_wrong(self, store: Store, settings: Settings) -> None:
        with store.write() as connection:
            factories.customer(connection)
            old_plan = factories.box(connection, "old@pec.it", plan="bronze")
            box = factories.box(connection)
            no_code = _DETAILS["charge.declined"] | {"code": 17}
            wrong = {
                "unknown plan bronze": queued(connection, alert(connection, old_plan)),
                "no valid net": message_about(
                    connection, "box.renewed", box, detail=_DETAILS["box.renewed"] | {"net": "12.081"}
                ),
                "no valid hard": message_about(
                    connection, "charge.declined", box, detail=_DETAILS["charge.declined"] | {"hard": "no"}
                ),
                "no valid code": queued(
                    connection,
                    factories.event(connection, "charge.declined", occurred_on=ON, box_id=box, detail=no_code),
                    kind="charge.declined",
                    created_on=ON + A_DAY,
                ),
                "no add-on": message_about(connection, "addon.renewed", box, detail=_DETAILS["addon.renewed"]),
                "has no box": queued(
                    connection, factories.event(connection, "box.deleted", occurred_on=ON), kind="box.deleted"
                ),
                "tells of no event": queued(connection, kind="box.suspended"),
                "no message of the kind": queued(connection, alert(connection, box, milestone=1), kind="box.sold"),
                "takes RenewalNoticeLine, not ExpiryAlertLine": queued(
                    connection, alert(connection, box, milestone=15), kind="box.renewal_notice"
                ),
                "the language de": queued(
                    connection, alert(connection, box, milestone=30), locale="de", created_on=ON + A_DAY
                ),
            }
            right = queued(connection, alert(connection, box), created_on=ON + 2 * A_DAY)

        found = gathered(store, settings, *wrong.values(), right)
        assert isinstance(found[-1], Ready)
        for reason, unfit in zip(wrong, found, strict=False):
            assert isinstance(unfit, Unfit), reason
            assert reason in str(unfit.error)


def test_a_batch_takes_four_queries_however_large_it_is(store: Store, settings: Settings) -> None:
    with store.write() as connection:
        factories.customer(connection)
        ids = [_message_of_every_kind(connection, number) for number in range(8)]

    for batch in (ids[0], [id_ for chunk in ids for id_ in chunk]):
        with _statements(store) as statements:
            found = gathered(store, settings, *batch)
        assert all(isinstance(gathered_, Ready) for gathered_ in found), found
        assert len(found) == len(batch)
        assert len(statements) == 4


def _message_of_every_kind(connection: Connection, number: int) -> list[int]:
    created_on = ON + number * A_DAY
    method = factories.method(connection, f"pm{number}")
    active = factories.box(connection, f"a{number}@pec.it", auto_renew=True, payment_method_id=method)
    factories.addon(connection, f"a{number}", active, paid_from="credit")
    unpaid = factories.box(connection, f"u{number}@pec.it", status="suspended")
    gone = factories.box(connection, f"g{number}@pec.it", status="deleted")
    which = {"box.suspended": unpaid, "box.deletion_warning": unpaid, "box.deleted": gone}
    made = []
    for kind in sorted(_DETAILS):
        event_id = factories.event(
            connection,
            kind,
            occurred_on=ON,
            box_id=which.get(kind, active),
            addon_id=f"a{number}" if kind.startswith("addon.") else None,
            detail=_DETAILS[kind],
        )
        made.append(queued(connection, event_id, kind=kind, created_on=created_on))
    return made


@contextmanager
def _statements(store: Store) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(store.engine, "before_cursor_execute", note)


_SHORT = {"cost": "3.05", "balance": "1.00", "shortfall": "2.05"}
_DETAILS: dict[str, dict[str, Any]] = {
    "box.expiry_alert": {"milestone": 7, "days_left": 7},
    "box.renewal_notice": {"milestone": 37, "days_left": 37},
    "box.renewed": {
        "order_number": "R-1",
        "years": 1,
        "new_expires_on": "2028-03-31",
        "net": "9.90",
        "vat": "2.18",
        "gross": "12.08",
        "method": "card",
        "addons": [],
    },
    "charge.declined": {
        "order_number": "R-1",
        "amount": "12.08",
        "code": "generic_decline",
        "hard": False,
        "final": False,
        "next_attempt_on": "2027-03-26",
        "slot": 7,
        "method": "card",
    },
    "addon.credit_short": _SHORT | {"new_expires_on": "2028-03-31"},
    "addon.renewed": {"cost": "3.05", "balance": "0.00", "new_expires_on": "2028-03-31", "order_number": "A-1"},
    "addon.disabled": _SHORT | {"reason": "credit_short"},
    "box.suspended": {"reason": "unpaid"},
    "box.deletion_warning": {"milestone": 30, "deletes_on": "2027-06-30", "days_left": 30},
    "box.deleted": {},
}
