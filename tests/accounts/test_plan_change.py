"""Another plan or other space with a renewal: what it costs, what it brings when it is paid, and what is refused."""

from __future__ import annotations

import email
import email.policy
from datetime import date
from typing import Any

import pytest

from lifecycle_jobs.accounts import Payment, Placed, Wanted, WantedSpace, pay_order, place_renewals
from lifecycle_jobs.db import tables
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.mail.delivery import deliver_now
from lifecycle_jobs.operators import Operator
from tests import factories
from tests.auditing import assert_books_are_right
from tests.jobs.running import Office, addon_row, box_row, details, everything, happened, look

E = factories.EXPIRES_ON
NEXT_E = date(2028, 3, 31)
ON = date(2027, 3, 16)
MARIO = "mario.rossi@pec.example.it"
NUMBER = "R-1-20270331"


def sell(office: Office, plan: str, **box: Any) -> int:
    with office.store.write() as connection:
        factories.customer(connection)
        return factories.box(connection, MARIO, plan=plan, **box)


def order(office: Office, *, years: int = 1, request_id: str = "order", **space: Any) -> Placed:
    clerk = Operator("anna", None, ON)
    wanted = Wanted(years, "bank_transfer", WantedSpace(**space))
    return place_renewals(office.store, factories.CATALOG, clerk, [MARIO], wanted, request_id=request_id)


def pay(office: Office, amount: int) -> None:
    clerk = Operator("anna", None, ON)
    paid = pay_order(office.store, factories.CATALOG, clerk, NUMBER, Payment(amount, "CRO-1", ON), request_id="pay")
    assert paid.applied


def refused(office: Office, **space: Any) -> str:
    before = everything(office.store)
    with pytest.raises(Refused) as refusal:
        order(office, **space)
    assert everything(office.store) == before
    return str(refusal.value)


def letters(office: Office) -> str:
    """The texts of all messages, delivered now."""
    deliver_now(office.store, office.settings, ON, lambda _name, _rows: None)
    texts = []
    for path in sorted(office.settings.mail.directory.rglob("*.eml")):
        text = email.message_from_bytes(path.read_bytes(), policy=email.policy.default).get_body(("plain",))
        assert text is not None
        texts.append(" ".join(text.get_content().split()))
    return "\n".join(texts)


@pytest.mark.parametrize(
    ("plan", "other", "gross"),
    [
        ("standard", "pro", 3050),
        ("standard", "premium", 4880),
        ("pro", "premium", 4880),
        ("premium", "pro", 3050),
        ("pro", "standard", 1208),
        ("premium", "standard", 1208),
    ],
)
def test_another_plan_costs_its_own_price_and_comes_with_the_payment(
    office: Office, plan: str, other: str, gross: int
) -> None:
    box = sell(office, plan, used_archive_mb=0)

    assert order(office, plan=other).gross_cents == gross
    assert box_row(office.store, box)["plan"] == plan, "it waits for its payment"

    pay(office, gross)
    assert (box_row(office.store, box)["plan"], box_row(office.store, box)["expires_on"]) == (other, NEXT_E)
    assert happened(office.store, box) == ["order.placed", "box.renewed", "box.changed", "payment.registered"]
    assert_books_are_right(office.store, office.settings)


def test_what_has_changed_is_told(office: Office) -> None:
    sell(office, "standard")
    order(office, plan="pro", extra_inbox_gb=1)

    pay(office, 3355)

    assert details(office.store, "box.changed") == [
        {
            "order_number": NUMBER,
            "plan": "pro",
            "previous_plan": "standard",
            "inbox_gb": 3,
            "archive_gb": 3,
            "previous_inbox_gb": 1,
            "previous_archive_gb": 0,
            "archive_lost_mb": 0,
        }
    ]
    told = letters(office)
    assert "Piano: da Standard a Pro" in told
    assert "Casella: da 1 a 3 GB" in told
    assert "Archivio: da 0 a 3 GB" in told


def test_a_renewal_without_wishes_changes_nothing(office: Office) -> None:
    box = sell(office, "pro", used_archive_mb=9999, used_inbox_mb=9999)
    with office.store.write() as connection:
        factories.addon(connection, "a1", box, quantity=2)

    assert order(office).gross_cents == 3660
    pay(office, 3660)

    assert addon_row(office.store, "a1")["expires_on"] == NEXT_E
    assert details(office.store, "box.changed") == []


def test_two_years_with_one_gb_more(office: Office) -> None:
    sell(office, "standard")

    assert order(office, years=2, extra_inbox_gb=1).gross_cents == 3026
    assert look(office.store, tables.addons) == []
    pay(office, 3026)

    (addon,) = look(office.store, tables.addons)
    assert (addon["addon_id"], addon["kind"], addon["quantity"]) == (f"{NUMBER}-extra_inbox", "extra_inbox", 1)
    assert (addon["unit_price_cents"], addon["paid_from"], addon["status"]) == (250, "renewal", "active")
    assert addon["expires_on"] == date(2029, 3, 31)
    assert details(office.store, "box.renewed")[0]["addons"] == [f"{NUMBER}-extra_inbox"]
    assert "Compreso: spazio casella aggiuntivo (1 GB)" in letters(office)
    assert_books_are_right(office.store, office.settings)


def test_more_space_is_added_to_what_is_there_at_its_own_price(office: Office) -> None:
    box = sell(office, "pro")
    with office.store.write() as connection:
        factories.addon(connection, "a1", box, quantity=2, unit_price=100)

    assert order(office, extra_inbox_gb=3).gross_cents == 3599
    pay(office, 3599)

    assert [(row["quantity"], row["unit_price_cents"]) for row in look(office.store, tables.addons)] == [
        (1, 250),
        (2, 100),
    ]


def test_space_that_is_not_wanted_any_more_ends_with_the_payment(office: Office) -> None:
    box = sell(office, "pro")
    with office.store.write() as connection:
        factories.addon(connection, "a1", box, quantity=2)
        factories.addon(connection, "a2", box, quantity=2)
        factories.addon(connection, "sms", box, kind="sms_notices")

    assert order(office, extra_inbox_gb=1).gross_cents == 3660
    assert [row["quantity"] for row in look(office.store, tables.addons)] == [2, 2, 1], "it waits for its payment"
    pay(office, 3660)

    assert (addon_row(office.store, "a1")["quantity"], addon_row(office.store, "a1")["expires_on"]) == (1, NEXT_E)
    assert addon_row(office.store, "a2")["status"] == "terminated"
    assert addon_row(office.store, "sms")["expires_on"] == NEXT_E
    (changed,) = details(office.store, "box.changed")
    assert (changed["previous_inbox_gb"], changed["inbox_gb"]) == (6, 3)
    assert_books_are_right(office.store, office.settings)


def test_a_price_of_its_own_is_left_behind_with_the_plan(office: Office) -> None:
    box = sell(office, "standard", annual_price=500)

    assert order(office, plan="pro").gross_cents == 3050
    pay(office, 3050)

    assert box_row(office.store, box)["annual_price_cents"] is None


def test_an_order_that_is_never_paid_changes_nothing(office: Office) -> None:
    box = sell(office, "pro", used_archive_mb=2355)
    order(office, plan="standard", accept_archive_loss=True)

    office.day(date(2027, 4, 1))

    assert box_row(office.store, box)["plan"] == "pro"


# Refused


def test_a_plan_that_is_not_sold_is_refused(office: Office) -> None:
    sell(office, "standard")

    assert refused(office, plan="gold") == "There is no plan gold. Known: premium, pro, promo, standard."
    assert refused(office, plan="domain") == f"{MARIO}: no box changes to plan Domain; it comes with a domain."


def test_a_plan_that_costs_nothing_because_its_domain_is_paid_is_not_renewed_without_one(office: Office) -> None:
    sell(office, "domain")

    assert refused(office) == (
        f"{MARIO}: plan Domain is renewed with a domain, and the box is on none. "
        "Name another plan (premium, pro, promo, standard)."
    )
    (placed,) = order(office, plan="standard").orders
    assert placed.gross_cents > 0


def test_standard_takes_one_gb_more_inbox_and_no_archive(office: Office) -> None:
    sell(office, "standard")

    assert refused(office, extra_inbox_gb=2) == (
        f"{MARIO}: plan Standard takes at most 1 GB of extra inbox, and this would be 2 GB. Order --extra-inbox 1, or "
        "another plan."
    )
    assert refused(office, extra_archive_gb=1) == (
        f"{MARIO}: plan Standard takes at most 0 GB of extra archive, and this would be 1 GB. Order --extra-archive 0, "
        "or another plan."
    )


def test_space_that_credit_pays_for_counts(office: Office) -> None:
    box = sell(office, "standard")
    with office.store.write() as connection:
        factories.addon(connection, "a1", box, paid_from="credit")

    assert refused(office, extra_inbox_gb=1) == (
        f"{MARIO}: plan Standard takes at most 1 GB of extra inbox, and this would be 2 GB, 1 of them paid from "
        "credit. Order --extra-inbox 0, or another plan."
    )


def test_an_archive_in_use_is_not_given_up_by_the_way(office: Office) -> None:
    sell(office, "pro", used_archive_mb=2355)

    assert refused(office, plan="standard") == (
        f"{MARIO}: 2.3 GB of its archive is in use, and with plan Standard it would have 0 GB instead of 3: 2.3 GB "
        "would be lost. If its holder agrees: --accept-archive-loss."
    )


def test_an_archive_that_gets_too_small_is_refused_with_the_numbers(office: Office) -> None:
    sell(office, "premium", used_archive_mb=5 * 1024)

    assert refused(office, plan="pro") == (
        f"{MARIO}: 5.0 GB of its archive is in use, and with plan Pro it would have 3 GB instead of 8: 2.0 GB would be "
        "lost. If its holder agrees: --accept-archive-loss."
    )
    assert order(office, plan="pro", extra_archive_gb=2).gross_cents == 3660


def test_an_archive_of_which_nobody_knows_how_full_it_is_is_not_given_up_by_the_way(office: Office) -> None:
    sell(office, "pro")

    assert refused(office, plan="standard") == (
        f"{MARIO}: nobody knows how much of its archive is in use, and with plan Standard it would have 0 GB instead "
        "of 3: what is in it would be lost. If its holder agrees: --accept-archive-loss."
    )


def test_a_loss_that_the_holder_accepts_is_named_in_the_history_and_in_both_letters(office: Office) -> None:
    box = sell(office, "pro", used_archive_mb=2355)
    with office.store.write() as connection:
        factories.addon(connection, "a1", box, kind="extra_archive")

    order(office, plan="standard", accept_archive_loss=True)

    told = letters(office)
    assert "Cambio di piano: da Pro a Standard" in told
    assert "Con il pagamento vanno persi 2,3 GB dell’archivio" in told
    assert details(office.store, "order.placed")[0]["archive_lost_mb"] == 2355
    pay(office, 1208)
    assert addon_row(office.store, "a1")["status"] == "terminated"
    assert details(office.store, "box.changed")[0]["archive_lost_mb"] == 2355
    assert "2,3 GB dell’archivio non sono più disponibili" in letters(office)
    assert_books_are_right(office.store, office.settings)


def test_an_inbox_that_is_too_full_is_refused_even_so(office: Office) -> None:
    sell(office, "pro", used_inbox_mb=1434, used_archive_mb=0)

    assert refused(office, plan="standard", accept_archive_loss=True) == (
        f"{MARIO}: 1.4 GB of its inbox are in use, and with plan Standard it would have 1 GB. Have it emptied first, "
        "or order more with --extra-inbox."
    )
    assert order(office, plan="standard", extra_inbox_gb=1).gross_cents == 1513
