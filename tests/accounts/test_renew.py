"""Renewals ordered by hand: what may be ordered, what is refused and why, and that the order is there once."""

from __future__ import annotations

import email
import email.policy
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from lifecycle_jobs.accounts import Expiring, Placed, PlacedOrder, Wanted, place_renewals
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.mail.delivery import deliver_now
from lifecycle_jobs.operators import Operator
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import (
    Office,
    broken,
    change,
    details,
    everything,
    expires_on,
    happened,
    look,
    renewing_box,
    tried,
    while_waiting,
)

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
ON = date(2027, 3, 16)
MARIO = "mario.rossi@pec.example.it"


def order(office: Office, *addresses: str, on: date = ON, request_id: str = "r-1", **wanted: Any) -> Placed:
    return place(office, list(addresses or [MARIO]), on=on, request_id=request_id, **wanted)


def place(
    office: Office,
    which: list[str] | Expiring,
    *,
    on: date = ON,
    request_id: str = "r-1",
    customer_id: str | None = None,
    **wanted: Any,
) -> Placed:
    usual: dict[str, Any] = {"years": 1, "pay_by": "bank_transfer"}
    return place_renewals(
        office.store,
        factories.CATALOG,
        Operator("anna", "on the telephone", on),
        which,
        Wanted(**(usual | wanted)),
        request_id=request_id,
        customer_id=customer_id,
    )


def refused(office: Office, *addresses: str, **wanted: Any) -> str:
    """The sentence with which an order is refused; nothing at all is written."""
    before = everything(office.store)
    with pytest.raises(Refused) as refusal:
        order(office, *addresses, **wanted)
    assert everything(office.store) == before
    assert look(office.store, tables.account_requests) == []
    return str(refusal.value)


@pytest.fixture
def box(office: Office) -> int:
    """A box that nothing renews by itself."""
    with office.store.write() as connection:
        factories.customer(connection)
        return factories.box(connection, MARIO)


def test_an_order_waits_for_its_payment_and_the_box_stays_as_it_is(office: Office, box: int) -> None:
    assert order(office, years=2) == Placed(
        (PlacedOrder(f"R-{box}-20270331", MARIO, E, date(2029, 3, 31), 1980, 2416),)
    )
    assert expires_on(office.store, box) == E
    (placed,) = look(office.store, tables.orders)
    assert (placed["status"], placed["placed_on"], placed["years"]) == ("awaiting_payment", ON, 2)
    assert [row["pay_by"] for row in look(office.store, tables.manual_orders)] == ["bank_transfer"]
    assert_books_are_right(office.store, office.settings)


def test_the_history_says_who_ordered_what(office: Office, box: int) -> None:
    with office.store.write() as connection:
        factories.addon(connection, "a1", box)

    order(office)

    (event,) = look(office.store, tables.events)
    assert (event["kind"], event["box_id"], event["customer_id"]) == ("order.placed", box, "c1")
    assert (event["actor"], event["why"], event["term_expires_on"]) == ("anna", "on the telephone", E)
    assert event["detail"] == {
        "order_number": f"R-{box}-20270331",
        "years": 1,
        "plan": "standard",
        "previous_plan": "standard",
        "renews_until": "2028-03-31",
        "net": "12.40",
        "vat": "2.73",
        "gross": "15.13",
        "pay_by": "bank_transfer",
        "extras": {"extra_inbox": 1},
        "inbox_gb": 2,
        "archive_gb": 0,
        "archive_lost_mb": 0,
    }


def test_the_holder_is_told_in_one_message_what_to_pay_for_all_boxes(office: Office, box: int) -> None:
    with office.store.write() as connection:
        factories.box(connection, "second@pec.example.it")
    order(office, MARIO, "second@pec.example.it")

    deliver_now(office.store, office.settings, ON, lambda _name, _rows: None)

    (path,) = office.settings.mail.directory.rglob("*.eml")
    text = email.message_from_bytes(path.read_bytes(), policy=email.policy.default).get_body(("plain",))
    assert text is not None
    words = text.get_content()
    assert f"Ordine: R-{box}-20270331" in words
    assert "Totale: 24,16\xa0€, IVA inclusa" in words
    assert "Con bonifico bancario" in words


def test_what_was_paid_meanwhile_is_not_asked_for_any_more(office: Office, box: int) -> None:
    order(office)
    change(office.store, tables.boxes, box, expires_on=NEXT_E)

    deliver_now(office.store, office.settings, ON, lambda _name, _rows: None)

    assert [row["status"] for row in look(office.store, tables.messages)] == ["moot"]


def test_an_order_whose_confirmation_cannot_be_written_is_not_placed_at_all(office: Office, box: int) -> None:
    with broken(office.store, "messages", "INSERT", "NEW.kind = 'order.placed'"), pytest.raises(DBAPIError):
        order(office)

    assert (look(office.store, tables.orders), happened(office.store)) == ([], [])
    assert order(office).orders[0].order_number == f"R-{box}-20270331"


@pytest.mark.usefixtures("box")
def test_the_same_request_is_answered_with_the_first_result(office: Office) -> None:
    first = order(office)
    before = everything(office.store)

    assert order(office, on=ON + timedelta(days=1)) == first
    assert everything(office.store) == before


def test_a_box_renewed_for_too_few_years_is_told_how_many_it_takes(office: Office, box: int) -> None:
    change(office.store, tables.boxes, box, expires_on=date(2025, 3, 31))

    sentence = f"{MARIO}, renewed for 1 years, would have ended on 2026-03-31 already. It takes 2 years."
    assert refused(office, years=1) == sentence
    assert order(office, years=2).orders[0].renews_until == date(2027, 3, 31)


def test_a_renewal_that_ends_today_is_accepted(office: Office, box: int) -> None:
    change(office.store, tables.boxes, box, expires_on=date(2026, 3, 16))

    assert order(office).orders[0].renews_until == ON


def test_a_box_that_no_renewal_reaches_any_more_is_refused(office: Office, box: int) -> None:
    change(office.store, tables.boxes, box, expires_on=date(2024, 3, 31), plan="promo")

    assert refused(office, years=2) == (
        f"{MARIO} has ended on 2024-03-31: not even the 2 years for which plan Promo is renewed at most would reach "
        "today. It can only be bought anew, once it is deleted."
    )


def test_a_plan_is_renewed_for_its_longest_term_at_most(office: Office, box: int) -> None:
    change(office.store, tables.boxes, box, plan="promo")

    assert refused(office, years=3) == f"{MARIO}: plan Promo is renewed for 1 to 2 years, not 3."
    assert order(office, years=2).orders[0].renews_until == date(2029, 3, 31)


def test_a_box_that_renews_itself_is_refused_until_that_is_switched_off(office: Office, box: int) -> None:
    change(office.store, tables.boxes, box, auto_renew=True)

    assert refused(office) == (
        f"{MARIO} renews itself. To renew it by hand, switch that off first (lifecycle-jobs autorenew off {MARIO})."
    )
    change(office.store, tables.boxes, box, auto_renew=False)
    assert order(office).orders


def test_a_box_on_a_domain_is_renewed_with_its_domain(office: Office, box: int) -> None:
    change(office.store, tables.boxes, box, domain="esempio.it")

    assert refused(office) == (
        f"{MARIO} is renewed with its domain esempio.it, not by itself (lifecycle-jobs domain renew esempio.it)."
    )


def test_a_deleted_box_is_refused(office: Office, box: int) -> None:
    change(office.store, tables.boxes, box, status="deleted", deleted_on=date(2027, 3, 1))

    assert (
        refused(office)
        == f"{MARIO} was deleted on 2027-03-01. It can only be bought anew (lifecycle-jobs box buy {MARIO})."
    )


@pytest.mark.usefixtures("box")
def test_of_several_boxes_all_are_ordered_or_none(office: Office) -> None:
    assert refused(office, MARIO, "nobody@pec.example.it") == "There is no box nobody@pec.example.it."


@pytest.mark.usefixtures("box")
def test_a_holder_does_not_find_the_boxes_of_others(office: Office) -> None:
    assert refused(office, MARIO, customer_id="c2") == f"There is no box {MARIO}."
    assert order(office, MARIO, customer_id="c1").orders


@pytest.mark.usefixtures("box")
def test_boxes_of_several_holders_are_not_ordered_together(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, "c2")
        factories.box(connection, "other@pec.example.it", customer_id="c2")

    sentence = "These boxes belong to several holders; order for each holder apart."
    assert refused(office, MARIO, "other@pec.example.it") == sentence


@pytest.mark.parametrize("doubt", ["pending", "unknown"])
def test_a_box_that_is_being_charged_is_refused(office: Office, doubt: str) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection)
        tried(connection, box, 7, doubt)
    change(office.store, tables.boxes, box, auto_renew=False)

    assert refused(office, "a@pec.example.it", on=E) == (
        "a@pec.example.it is being charged, and nobody knows the outcome yet. Order again when that is settled "
        "(lifecycle-jobs reconcile)."
    )


def test_a_box_with_an_open_order_is_refused(office: Office, box: int) -> None:
    order(office)

    with pytest.raises(Refused) as refusal:
        order(office, request_id="r-2", years=2)

    assert str(refusal.value) == (
        f"{MARIO} has an order that waits for its payment already: R-{box}-20270331 for 12.08. Pay that one, or "
        f"cancel it first (lifecycle-jobs order cancel R-{box}-20270331)."
    )


def test_all_boxes_that_expire_within_three_months_are_ordered_and_the_others_left_out(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection)
        factories.customer(connection, "c2")
        factories.box(connection, "last-day@pec.example.it", expires_on=date(2027, 6, 16))
        factories.box(connection, "expired@pec.example.it", status="suspended", expires_on=date(2027, 3, 1))
        factories.box(connection, "day-after@pec.example.it", expires_on=date(2027, 6, 17))
        factories.box(connection, "deleted@pec.example.it", status="deleted", expires_on=date(2027, 1, 1))
        factories.box(connection, "itself@pec.example.it", auto_renew=True)
        factories.box(connection, "other@pec.example.it", customer_id="c2")

    placed = place(office, Expiring("c1", 3))

    assert [each.address for each in placed.orders] == ["expired@pec.example.it", "last-day@pec.example.it"]
    assert [sentence.partition(".")[0] for sentence in placed.left_out] == ["itself@pec"]
    assert placed.gross_cents == 2416


@pytest.mark.usefixtures("box")
def test_where_nothing_expires_there_is_nothing_to_order(office: Office) -> None:
    with pytest.raises(Refused, match=r"There is no box to renew\."):
        place(office, Expiring("c2", 3))


def test_a_run_leaves_an_order_placed_by_hand_as_it_is(office: Office, box: int) -> None:
    order(office)

    office.day(E - timedelta(days=1))

    assert [row["status"] for row in look(office.store, tables.orders)] == ["awaiting_payment"]
    assert happened(office.store, box) == ["order.placed", "box.expiry_alert"]
    assert_books_are_right(office.store, office.settings)


def test_a_box_that_a_run_deletes_at_that_moment_is_not_ordered(postgresql_office: Office) -> None:
    office = postgresql_office
    with office.store.write() as connection:
        factories.customer(connection)
        box = factories.box(connection, MARIO, status="suspended")
    refusals: list[str] = []

    def deleted(connection: Any) -> None:
        gone = tables.boxes.update().where(tables.boxes.c.id == box)
        connection.execute(gone.values(status="deleted", deleted_on=ON))

    def try_it() -> None:
        with pytest.raises(Refused) as refusal:
            order(office)
        refusals.append(str(refusal.value))

    while_waiting(office, deleted, try_it)

    assert refusals == [f"{MARIO} was deleted on {ON}. It can only be bought anew (lifecycle-jobs box buy {MARIO})."]
    assert details(office.store, "order.placed") == []


# Paid at once


def test_credit_pays_all_orders_at_once_and_the_holder_gets_the_receipt_alone(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=2500)
        factories.box(connection, MARIO)
        factories.box(connection, "second@pec.example.it")

    order(office, MARIO, "second@pec.example.it", pay_by="credit")

    assert [row["status"] for row in look(office.store, tables.orders)] == ["paid", "paid"]
    assert [row["amount_cents"] for row in look(office.store, tables.credit_entries)] == [2500, -1208, -1208]
    assert {row["expires_on"] for row in look(office.store, tables.boxes)} == {NEXT_E}
    deliver_now(office.store, office.settings, ON, lambda _name, _rows: None)
    told = {row["kind"]: row["status"] for row in look(office.store, tables.messages)}
    assert told == {"order.placed": "moot", "box.renewed": "sent"}
    assert_books_are_right(office.store, office.settings)


def test_credit_that_does_not_suffice_for_all_pays_none_and_what_is_missing_is_named(office: Office) -> None:
    with office.store.write() as connection:
        factories.customer(connection, credit=2000)
        factories.box(connection, MARIO)
        factories.box(connection, "second@pec.example.it")

    assert refused(office, MARIO, "second@pec.example.it", pay_by="credit") == (
        "The credit of 20.00 does not suffice for 24.16: top up by 4.16 at least."
    )


def test_what_costs_nothing_is_renewed_at_once(office: Office, box: int) -> None:
    change(office.store, tables.boxes, box, annual_price_cents=0)

    order(office)

    assert [row["status"] for row in look(office.store, tables.orders)] == ["paid"]
    assert expires_on(office.store, box) == NEXT_E
    assert_books_are_right(office.store, office.settings)


# Beside auto-renew


@pytest.mark.parametrize(("years", "numbers"), [(1, ["R-1-20270331"]), (2, ["R-1-20270331", "R-1-20270331-2"])])
def test_auto_renew_that_is_switched_on_after_an_order_pays_it_only_if_it_is_what_it_would_order(
    office: Office, box: int, years: int, numbers: list[str]
) -> None:
    order(office, years=years)
    with office.store.write() as connection:
        factories.method(connection)
    change(office.store, tables.boxes, box, auto_renew=True, payment_method_id="pm1")

    office.day(E - timedelta(days=7))

    found = look(office.store, tables.orders)
    assert [row["order_number"] for row in found] == numbers
    assert [row["status"] for row in found] == [*["cancelled"] * (len(numbers) - 1), "paid"]
    assert expires_on(office.store, box) == NEXT_E
    assert_books_are_right(office.store, office.settings)


def test_an_add_on_that_was_bought_while_a_charge_was_open_is_on_the_order_of_the_next_slot(office: Office) -> None:
    with office.store.write() as connection:
        box = renewing_box(connection, token="sandbox_lost_answer_never_seen")
    office.day(E - timedelta(days=7))
    with office.store.write() as connection:
        factories.addon(connection, "a1", box)
    change(office.store, tables.payment_methods, "pm-a", token="pm_card_visa")

    office.day(E - timedelta(days=5))

    assert [(row["status"], row["gross_cents"]) for row in look(office.store, tables.orders)] == [
        ("cancelled", 1208),
        ("paid", 1513),
    ]
    assert_books_are_right(office.store, office.settings)
