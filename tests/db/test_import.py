from __future__ import annotations

import tracemalloc
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select, update

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.transfer.load import FileReport, import_directory
from lifecycle_jobs.db.transfer.problems import ImportRefused
from lifecycle_jobs.errors import Refused
from tests import factories
from tests.db.folders import TODAY, Row, addon, box, customer, load, method, refusal, write

# What a file may hold ------------------------------------------------------------------------------------------


def test_every_column_arrives(store: Store, tmp_path: Path) -> None:
    full_customer = customer(tax_id="IT1", einvoice_id="XYZ", gateway_customer_id="cus_1", credit="8.48")
    full_method = method(brand="visa", last4="4242", exp_month="3", exp_year="2028")
    full_box = box(
        address="Mario@PEC.example.it",
        auto_renew="true",
        payment_method_id="pm1",
        annual_price="7.5",
        domain="example.it",
        cancelled_on="2026-10-01",
        hold_until="2026-12-31",
        hold_reason="court order",
        used_inbox_mb="900",
        used_archive_mb="0",
    )
    full_addon = addon(cancelled_on="2026-10-02")

    load(
        store,
        write(
            tmp_path / "in",
            customers=[full_customer],
            payment_methods=[full_method],
            boxes=[full_box],
            addons=[full_addon],
        ),
    )

    assert rows(store, tables.customers) == [
        {
            "customer_id": "c1",
            "name": "Mario Rossi",
            "email": "c1@example.it",
            "locale": "it",
            "tax_id": "IT1",
            "einvoice_id": "XYZ",
            "gateway_customer_id": "cus_1",
            "credit_cents": 848,
        }
    ]
    assert rows(store, tables.payment_methods) == [
        {
            "payment_method_id": "pm1",
            "customer_id": "c1",
            "kind": "card",
            "token": "pm_card_visa",
            "brand": "visa",
            "last4": "4242",
            "exp_month": 3,
            "exp_year": 2028,
        }
    ]
    assert rows(store, tables.boxes) == [
        {
            "id": 1,
            "address": "Mario@PEC.example.it",
            "address_key": "mario@pec.example.it",
            "customer_id": "c1",
            "plan": "standard",
            "status": "active",
            "expires_on": date(2027, 3, 31),
            "renewal_years": 1,
            "auto_renew": True,
            "payment_method_id": "pm1",
            "annual_price_cents": 750,
            "domain": "example.it",
            "cancelled_on": date(2026, 10, 1),
            "hold_until": date(2026, 12, 31),
            "hold_reason": "court order",
            "suspended_on": None,
            "suspended_reason": None,
            "deleted_on": None,
            "used_inbox_mb": 900,
            "used_archive_mb": 0,
            "imported_expires_on": date(2027, 3, 31),
            "imported_after_event": None,
        }
    ]
    assert rows(store, tables.addons) == [
        {
            "addon_id": "a1",
            "box_id": 1,
            "kind": "extra_inbox",
            "quantity": 1,
            "unit_price_cents": 250,
            "paid_from": "renewal",
            "status": "active",
            "expires_on": date(2027, 3, 31),
            "cancelled_on": date(2026, 10, 2),
            "behind": False,
        }
    ]


def test_any_file_may_be_missing_but_not_all_of_them(store: Store, tmp_path: Path) -> None:
    load(store, write(tmp_path / "in", customers=[customer()]))
    load(store, write(tmp_path / "in", boxes=[box()]))
    assert count(store, tables.boxes) == 1

    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match=r"has none of customers\.csv, payment_methods\.csv, boxes\.csv, addons\.csv"):
        load(store, tmp_path / "empty")
    with pytest.raises(Refused, match="has none of"):
        load(store, tmp_path / "not there")


def test_a_byte_order_mark_windows_lines_and_empty_lines_are_tolerated(store: Store, tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfcustomer_id,name,email,locale\r\nc1,Mario,c1@example.it,it\r\n\r\n"
    (tmp_path / "customers.csv").write_bytes(content)
    load(store, tmp_path)
    assert [row["customer_id"] for row in rows(store, tables.customers)] == ["c1"]


def test_a_name_may_hold_quotes_line_breaks_and_any_script(store: Store, tmp_path: Path) -> None:
    name = ' "Rossi,\r\nBianchi" & Søn 株式会社\t=1+1 '
    load(store, write(tmp_path / "in", customers=[customer(name=name), customer(customer_id="c2", name="-")]))
    assert [row["name"] for row in rows(store, tables.customers)] == [name, "-"]


def test_a_suspended_box_without_day_and_reason_is_unpaid_since_the_day_after(store: Store, tmp_path: Path) -> None:
    suspended = box(status="suspended", expires_on="2026-10-31")
    load(store, write(tmp_path / "in", customers=[customer()], boxes=[suspended]))
    (found,) = rows(store, tables.boxes)
    assert (found["suspended_on"], found["suspended_reason"]) == (date(2026, 11, 1), "unpaid")


def test_a_box_suspended_by_hand_may_still_be_paid_for(store: Store, tmp_path: Path) -> None:
    suspended = box(status="suspended", suspended_on="2026-11-02", suspended_reason="abuse")
    load(store, write(tmp_path / "in", customers=[customer()], boxes=[suspended]))
    (found,) = rows(store, tables.boxes)
    assert (found["suspended_on"], found["suspended_reason"]) == (date(2026, 11, 2), "abuse")


def test_a_deleted_box_keeps_what_was_known_of_it(store: Store, tmp_path: Path) -> None:
    deleted = box(status="deleted", suspended_on="2027-04-01", suspended_reason="unpaid", deleted_on="2027-06-30")
    load(
        store, write(tmp_path / "in", customers=[customer()], boxes=[deleted | {"plan": "promo", "renewal_years": "3"}])
    )
    (found,) = rows(store, tables.boxes)
    assert (found["suspended_on"], found["deleted_on"]) == (date(2027, 4, 1), date(2027, 6, 30))


def test_existing_contracts_may_exceed_the_extra_space_that_is_sold(store: Store, tmp_path: Path) -> None:
    load(store, write(tmp_path / "in", customers=[customer()], boxes=[box()], addons=[addon(quantity="9")]))
    assert count(store, tables.addons) == 1


def test_no_history_is_invented(store: Store, tmp_path: Path) -> None:
    load(store, write(tmp_path / "in", customers=[customer(credit="1.00")], boxes=[box()], addons=[addon()]))
    for table in (tables.events, tables.orders, tables.charges, tables.messages, tables.runs):
        assert count(store, table) == 0


# What is refused ------------------------------------------------------------------------------------------------

C, M, B, A = "customers", "payment_methods", "boxes", "addons"
GOOD: dict[str, list[Row]] = {C: [customer()], M: [method()], B: [box()], A: [addon()]}
UNPAID = box(status="suspended", expires_on="2026-10-31")
GONE = box(status="deleted", expires_on="2024-03-31", deleted_on="2024-06-30")

REFUSED: list[tuple[dict[str, list[Row]], list[str]]] = [
    (
        {C: [customer(colour="red")]},
        [
            (
                'customers.csv, line 1: unknown column "colour"; known are customer_id, name, email, locale, tax_id, '
                "einvoice_id, gateway_customer_id, credit"
            )
        ],
    ),
    ({C: [customer(customer_id="")]}, ["customers.csv, line 2, customer_id: must not be empty"]),
    (
        {C: [customer(), customer(customer_id=" c2")]},
        ["customers.csv, line 3, customer_id: begins or ends with white space"],
    ),
    (
        {C: [customer(customer_id="c\n2"), customer(name="")]},
        [
            "customers.csv, line 2, customer_id: holds a control character or a line break",
            "customers.csv, line 4, name: must not be empty",
        ],
    ),
    ({C: [customer(name="Mario\0")]}, ["customers.csv, line 2, name: holds a NUL character"]),
    ({C: [customer(email="mario.example.it")]}, ["customers.csv, line 2, email: not an e-mail address"]),
    ({C: [customer(email="a@b@example.it")]}, ["customers.csv, line 2, email: not an e-mail address"]),
    (
        {C: [customer(email="a b@example.it")]},
        ["customers.csv, line 2, email: holds white space or a control character"],
    ),
    ({C: [customer(locale="de")]}, ['customers.csv, line 2, locale: not one of it, en "de"']),
    ({C: [customer(credit="8,48")]}, ['customers.csv, line 2, credit: not an amount in euros such as 8.48 "8,48"']),
    ({C: [customer(credit="-1.00")]}, ['customers.csv, line 2, credit: not an amount in euros such as 8.48 "-1.00"']),
    ({C: [customer(credit="1.001")]}, ['customers.csv, line 2, credit: not an amount in euros such as 8.48 "1.001"']),
    ({C: [customer(credit="1e3")]}, ['customers.csv, line 2, credit: not an amount in euros such as 8.48 "1e3"']),
    (
        {C: [customer(credit="1" * 10)]},
        ['customers.csv, line 2, credit: not an amount in euros such as 8.48 "1111111111"'],
    ),
    ({C: [customer(credit="pm_card_visa")]}, ["customers.csv, line 2, credit: not an amount in euros such as 8.48"]),
    (
        {C: [customer(), customer(name="Twice")]},
        ["customers.csv, line 3, customer_id: the same customer stands in line 2"],
    ),
    (
        {C: [customer()], M: [method(kind="cash")]},
        ['payment_methods.csv, line 2, kind: not one of card, paypal, credit, agreement "cash"'],
    ),
    (
        {C: [customer()], M: [method(token="")]},
        ["payment_methods.csv, line 2, token: needed: a card or PayPal account is charged by its token"],
    ),
    (
        {C: [customer()], M: [method(kind="paypal", token="")]},
        ["payment_methods.csv, line 2, token: needed: a card or PayPal account is charged by its token"],
    ),
    (
        {C: [customer()], M: [method(last4="4111111111111111")]},
        ["payment_methods.csv, line 2, last4: not the last four digits of a card"],
    ),
    ({C: [customer()], M: [method(exp_month="13")]}, ['payment_methods.csv, line 2, exp_month: not a month "13"']),
    (
        {C: [customer()], M: [method(exp_year="28")]},
        ['payment_methods.csv, line 2, exp_year: not a year such as 2027 "28"'],
    ),
    (
        {M: [method()]},
        ['payment_methods.csv, line 2, customer_id: customer "c1" is in neither customers.csv nor the database'],
    ),
    (
        {C: [customer()], M: [method(), method()]},
        ["payment_methods.csv, line 3, payment_method_id: the same payment method stands in line 2"],
    ),
    ({C: [customer()], B: [box(address="mario")]}, ["boxes.csv, line 2, address: not an e-mail address"]),
    ({C: [customer()], B: [box(plan="gold")]}, ['boxes.csv, line 2, plan: not in the catalogue "gold"']),
    (
        {C: [customer()], B: [box(status="closed")]},
        ['boxes.csv, line 2, status: not one of active, suspended, deleted "closed"'],
    ),
    (
        {C: [customer()], B: [box(expires_on="31/03/2027")]},
        ['boxes.csv, line 2, expires_on: not a date such as 2027-03-31 "31/03/2027"'],
    ),
    (
        {C: [customer()], B: [box(expires_on="2027-02-29")]},
        ['boxes.csv, line 2, expires_on: not a date such as 2027-03-31 "2027-02-29"'],
    ),
    (
        {C: [customer()], B: [box(expires_on="20270331")]},
        ['boxes.csv, line 2, expires_on: not a date such as 2027-03-31 "20270331"'],
    ),
    (
        {C: [customer()], B: [box(expires_on="0027-03-31")]},
        ['boxes.csv, line 2, expires_on: not a date such as 2027-03-31 "0027-03-31"'],
    ),
    (
        {C: [customer()], B: [box(renewal_years="6")]},
        ["boxes.csv, line 2, renewal_years: 6 is more than the plan's longest term, 5"],
    ),
    (
        {C: [customer()], B: [box(renewal_years="3", plan="promo")]},
        ["boxes.csv, line 2, renewal_years: 3 is more than the plan's longest term, 2"],
    ),
    ({C: [customer()], B: [box(renewal_years="0")]}, ["boxes.csv, line 2, renewal_years: must be at least 1"]),
    ({C: [customer()], B: [box(renewal_years="1.5")]}, ['boxes.csv, line 2, renewal_years: not a whole number "1.5"']),
    ({C: [customer()], B: [box(auto_renew="yes")]}, ['boxes.csv, line 2, auto_renew: neither true nor false "yes"']),
    (
        {C: [customer()], B: [box(annual_price="free")]},
        ['boxes.csv, line 2, annual_price: not an amount in euros such as 8.48 "free"'],
    ),
    ({C: [customer()], B: [box(domain="a b")]}, ["boxes.csv, line 2, domain: not a domain"]),
    (
        {C: [customer()], B: [box(used_inbox_mb="3000000000")]},
        ['boxes.csv, line 2, used_inbox_mb: not a whole number "3000000000"'],
    ),
    (
        {C: [customer()], B: [box(status="deleted")]},
        ["boxes.csv, line 2, deleted_on: needed, because the status is deleted"],
    ),
    (
        {C: [customer()], B: [box(deleted_on="2027-06-30")]},
        ["boxes.csv, line 2, deleted_on: must be empty, because the status is active"],
    ),
    (
        {C: [customer()], B: [UNPAID | {"deleted_on": "2027-06-30"}]},
        ["boxes.csv, line 2, deleted_on: must be empty, because the status is suspended"],
    ),
    (
        {C: [customer()], B: [box(suspended_on="2027-04-01")]},
        ["boxes.csv, line 2, suspended_on: must be empty, because the status is active"],
    ),
    (
        {C: [customer()], B: [UNPAID | {"suspended_on": "2026-10-31"}]},
        ["boxes.csv, line 2, suspended_on: 2026-10-31 is not after expires_on, 2026-10-31, but the reason is unpaid"],
    ),
    ({B: [box()]}, ['boxes.csv, line 2, customer_id: customer "c1" is in neither customers.csv nor the database']),
    (
        {C: [customer()], B: [box(payment_method_id="pm9")]},
        [
            (
                'boxes.csv, line 2, payment_method_id: payment method "pm9" is in neither payment_methods.csv nor '
                "the database"
            )
        ],
    ),
    (
        {C: [customer(), customer(customer_id="c2")], M: [method(customer_id="c2")], B: [box(payment_method_id="pm1")]},
        ['boxes.csv, line 2, payment_method_id: payment method "pm1" does not belong to the customer of the box'],
    ),
    (
        {C: [customer()], B: [box(), box(address="b@x.it"), box(address="MARIO@pec.example.it")]},
        ["boxes.csv, line 4, address: the same address, not deleted either, stands in line 2"],
    ),
    (
        {C: [customer()], B: [GONE, GONE]},
        ["boxes.csv, line 3, deleted_on: the same address, deleted on the same day, stands in line 2"],
    ),
    (
        {C: [customer(tax_id="A"), customer(customer_id="c2", tax_id="B")], B: [box(customer_id="c2"), GONE]},
        [
            (
                "boxes.csv, line 2, customer_id: the address was deleted on 2024-06-30: only a holder with "
                "the same tax id may take it again"
            )
        ],
    ),
    (
        {C: [customer(), customer(customer_id="c2")], B: [GONE, box(customer_id="c2")]},
        [
            (
                "boxes.csv, line 3, customer_id: the address was deleted on 2024-06-30: only a holder with "
                "the same tax id may take it again"
            )
        ],
    ),
    (
        {C: [customer()], B: [box(expires_on="2024-06-30"), GONE]},
        [
            (
                "boxes.csv, line 2, expires_on: the address was deleted on 2024-06-30, which is not before expires_on: "
                "a row of the deleted box?"
            )
        ],
    ),
    (GOOD | {A: [addon(), addon()]}, ["addons.csv, line 3, addon_id: the same add-on stands in line 2"]),
    (
        GOOD | {A: [addon(address="x@y.it")]},
        ["addons.csv, line 2, address: there is no such box in boxes.csv or in the database"],
    ),
    (
        GOOD | {A: [addon(address="x@y.it", status="disabled")]},
        ["addons.csv, line 2, address: there is no such box in boxes.csv or in the database"],
    ),
    (
        {C: [customer()], B: [GONE], A: [addon()]},
        ["addons.csv, line 2, address: the box was deleted, so it has no active add-on"],
    ),
    (
        GOOD | {A: [addon(expires_on="2027-03-30")]},
        ["addons.csv, line 2, expires_on: paid with the renewal, so it must be the day its box expires, 2027-03-31"],
    ),
    (GOOD | {A: [addon(quantity="0")]}, ["addons.csv, line 2, quantity: must be at least 1"]),
    (
        GOOD | {A: [addon(unit_price="2.5.0")]},
        ['addons.csv, line 2, unit_price: not an amount in euros such as 8.48 "2.5.0"'],
    ),
    (GOOD | {A: [addon(paid_from="cash")]}, ['addons.csv, line 2, paid_from: not one of renewal, credit "cash"']),
    (GOOD | {A: [addon(status="off")]}, ['addons.csv, line 2, status: not one of active, disabled, terminated "off"']),
    (
        GOOD | {A: [addon(cancelled_on="soon")]},
        ['addons.csv, line 2, cancelled_on: not a date such as 2027-03-31 "soon"'],
    ),
]


@pytest.mark.parametrize(("files", "told"), REFUSED, ids=[told[0][:90] for _, told in REFUSED])
def test_refused(store: Store, tmp_path: Path, files: dict[str, list[Row]], told: list[str]) -> None:
    assert refusal(store, write(tmp_path / "in", **files)) == told
    for table in (tables.customers, tables.payment_methods, tables.boxes, tables.addons, tables.credit_entries):
        assert count(store, table) == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "customers.csv, line 1: not a header row; the columns are customer_id, name"),
        (b"c1,Mario,c1@example.it,it\n", "customers.csv, line 1: not a header row; the columns are customer_id, name"),
        (b"customer_id,name,locale\nc1,Mario,it\n", "customers.csv, line 1, email: this column is missing"),
        (
            b"customer_id,name,email,locale,name\nc1,Mario,c1@example.it,it,M\n",
            "customers.csv, line 1, name: this column stands here twice",
        ),
        (
            b"customer_id,name,email,locale\nc1,Mario,c1@example.it\n",
            "customers.csv, line 2: 3 values, but 4 headings",
        ),
        (
            b"customer_id,name,email,locale\nc1,Mario,it,c1@example.it,x\n",
            "customers.csv, line 2: 5 values, but 4 headings",
        ),
        (
            b'customer_id,name,email,locale\nc1,"two\nlines",c1@example.it,it\nc2,M\xe0rio,c2@example.it,it\n',
            "customers.csv, line 4: not UTF-8 at byte 5 of the line",
        ),
        (
            b'customer_id,name,email,locale\nc1,"Mario"x,c1@example.it,it\n',
            "customers.csv, line 2: not a row of a CSV file: ",
        ),
        (
            b'customer_id,name,email,locale\nc1,Mario,c1@example.it,it\nc2,"Anna,c2@example.it,it\n',
            "customers.csv, line 3: not a row of a CSV file: unexpected end of data",
        ),
        (b'"customer_id', "customers.csv, line 1: not a row of a CSV file: unexpected end of data"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(
    sqlite_store: Store, tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / "customers.csv").write_bytes(content)
    assert refusal(sqlite_store, tmp_path)[0].startswith(told)


def test_what_a_torn_file_does_not_show_is_not_said_to_be_missing(store: Store, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", boxes=[box(), box(address="b@x.it", customer_id="c2")])
    (folder / "customers.csv").write_text('customer_id,name,email,locale\nc1,"Mario,c1@example.it,it\n')
    told = refusal(store, folder)
    assert told == ["customers.csv, line 2: not a row of a CSV file: unexpected end of data"]


def test_a_bad_value_is_told_once_and_not_again_by_those_who_refer_to_its_row(store: Store, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        customers=[customer(locale="xx")],
        payment_methods=[method(last4="x")],
        boxes=[box(expires_on="x", payment_method_id="pm1")],
        addons=[addon()],
    )
    assert refusal(store, folder) == [
        'customers.csv, line 2, locale: not one of it, en "xx"',
        "payment_methods.csv, line 2, last4: not the last four digits of a card",
        'boxes.csv, line 2, expires_on: not a date such as 2027-03-31 "x"',
    ]


def test_problems_come_file_by_file_in_the_order_of_lines_and_columns(store: Store, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        customers=[customer(), customer(), customer(customer_id="c2", email="x", locale="xx")],
        boxes=[box(customer_id="c7"), box(plan="gold", auto_renew="yes"), box(address="b@x.it", customer_id="c8")],
        addons=[addon(address="z@z.it")],
    )
    assert [told.split(":")[0] for told in refusal(store, folder)] == [
        "customers.csv, line 3, customer_id",
        "customers.csv, line 4, email",
        "customers.csv, line 4, locale",
        "boxes.csv, line 2, customer_id",
        "boxes.csv, line 3, address",
        "boxes.csv, line 3, plan",
        "boxes.csv, line 3, auto_renew",
        "boxes.csv, line 4, customer_id",
        "addons.csv, line 2, address",
    ]


def test_fifty_problems_are_told_and_all_are_counted(store: Store, tmp_path: Path) -> None:
    unknown = [box(address=f"b{number}@x.it", customer_id="nobody") for number in range(120)]
    bad = [box(address=f"c{number}@x.it", plan="gold") for number in range(80)]
    folder = write(tmp_path / "in", customers=[customer()], boxes=[*unknown, *bad])
    with pytest.raises(ImportRefused) as refused:
        load(store, folder)
    assert refused.value.total == 200
    assert [(one.line, one.column) for one in refused.value.problems] == [
        (line, "customer_id") for line in range(2, 52)
    ]
    assert str(refused.value).startswith("Nothing was imported: 200 bad values.\n")
    assert str(refused.value).endswith("\n… and 150 more.")


def test_neither_addresses_nor_tokens_are_quoted(store: Store, tmp_path: Path) -> None:
    secret = "tok_4f9a8b7c"
    address = "mario@pec.example.it"
    folder = write(
        tmp_path / "in",
        customers=[customer(customer_id=address, locale=secret, credit=address)],
        payment_methods=[method(customer_id=secret, exp_year=secret)],
        boxes=[box(customer_id="who@example.it", plan=secret, expires_on=address, payment_method_id=secret)],
        addons=[addon(address="nobody@x.it", expires_on=secret)],
    )
    told = "\n".join(refusal(store, folder))
    assert "@" not in told
    assert "tok_" not in told


# What happens to rows that exist --------------------------------------------------------------------------------


def test_an_import_changes_what_differs_and_says_how_much(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    everybody = [customer(), customer(customer_id="c2", email="c2@example.it")]
    load(store, write(folder, customers=everybody, boxes=[box(), box(address="b@x.it")]))
    report = load(
        store,
        write(
            folder,
            customers=[
                customer(email="new@example.it"),
                everybody[1],
                customer(customer_id="c3", email="c3@example.it"),
            ],
            boxes=[
                box(address="MARIO@pec.example.it", auto_renew="true", hold_reason="dispute"),
                box(address="b@x.it"),
            ],
        ),
    )
    assert report.files == (
        FileReport("customers.csv", rows=3, created=1, changed=1, kept=0),
        FileReport("boxes.csv", rows=2, created=0, changed=1, kept=0),
    )
    assert [row["email"] for row in rows(store, tables.customers)] == [
        "new@example.it",
        "c2@example.it",
        "c3@example.it",
    ]
    changed = rows(store, tables.boxes)[0]
    assert (changed["id"], changed["address"], changed["auto_renew"], changed["hold_reason"]) == (
        1,
        "MARIO@pec.example.it",
        True,
        "dispute",
    )


def test_what_waits_for_a_holder_goes_to_the_new_address_in_the_new_language(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    load(store, write(folder, customers=[customer(), customer(customer_id="c2", email="c2@example.it")]))
    with store.write() as connection:
        waiting = factories.message(connection, "waiting")
        parked = factories.message(connection, "parked", status="parked")
        others = factories.message(connection, "others", customer_id="c2", recipient="c2@example.it")
        sent = factories.message(connection, "sent", status="sent")
        failed = factories.message(connection, "failed", status="failed")
        put_off = {"attempts": 9, "next_attempt_at": datetime(2026, 11, 23, 3, tzinfo=UTC)}
        connection.execute(update(tables.messages).where(tables.messages.c.id.in_((waiting, others))).values(put_off))

    new = customer(email="New@example.it", locale="en")
    report = load(store, write(folder, customers=[new, customer(customer_id="c2", email="c2@example.it")]))

    found = {row["id"]: row for row in rows(store, tables.messages)}
    told = ("recipient", "recipient_key", "locale", "attempts", "next_attempt_at")
    followed = ("New@example.it", "new@example.it", "en", 0, None)
    assert report.readdressed == 2
    assert tuple(found[waiting][name] for name in told) == tuple(found[parked][name] for name in told) == followed
    assert [found[id_]["recipient"] for id_ in (others, sent, failed)] == [
        "c2@example.it",
        "c1@example.it",
        "c1@example.it",
    ]
    assert (found[others]["attempts"], found[others]["next_attempt_at"]) == (9, put_off["next_attempt_at"])


def test_a_new_language_alone_does_not_make_what_was_put_off_due(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    load(store, write(folder, customers=[customer()]))
    with store.write() as connection:
        factories.message(connection, "waiting")
        connection.execute(update(tables.messages).values(attempts=3))

    report = load(store, write(folder, customers=[customer(locale="en")]))

    (waiting,) = rows(store, tables.messages)
    assert (report.readdressed, waiting["locale"], waiting["attempts"]) == (0, "en", 3)


def test_an_import_of_boxes_leaves_what_waits_for_their_holder_alone(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    load(store, write(folder, customers=[customer()], boxes=[box()]))
    with store.write() as connection:
        factories.message(connection, "waiting", recipient="before@example.it")

    report = load(store, write(tmp_path / "boxes", boxes=[box(auto_renew="true")]))

    assert (report.readdressed, rows(store, tables.messages)[0]["recipient"]) == (0, "before@example.it")


def test_status_expiry_credit_and_tax_id_stay_without_overwrite(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    before = {
        C: [customer(tax_id="IT1", credit="5.00")],
        B: [UNPAID],
        A: [addon(status="disabled", paid_from="credit", expires_on="2026-10-31")],
    }
    load(store, write(folder, **before))
    report = load(
        store,
        write(
            folder,
            customers=[customer(tax_id="IT2", credit="9.00", name="Maria")],
            boxes=[box(expires_on="2028-01-01", renewal_years="2")],
            addons=[addon(paid_from="credit", expires_on="2028-01-01", quantity="2")],
        ),
    )
    assert [(one.changed, one.kept) for one in report.files] == [(1, 1), (1, 1), (1, 1)]
    (holder,), (its_box,), (its_addon,) = (
        rows(store, table) for table in (tables.customers, tables.boxes, tables.addons)
    )
    assert (holder["tax_id"], holder["credit_cents"], holder["name"]) == ("IT1", 500, "Maria")
    assert (its_box["status"], its_box["expires_on"], its_box["renewal_years"]) == ("suspended", date(2026, 10, 31), 2)
    assert (its_box["suspended_on"], its_box["suspended_reason"]) == (date(2026, 11, 1), "unpaid")
    assert (its_addon["status"], its_addon["expires_on"], its_addon["quantity"]) == ("disabled", date(2026, 10, 31), 2)
    assert [row["reason"] for row in rows(store, tables.credit_entries)] == ["opening"]


def test_they_follow_the_file_with_overwrite(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    load(store, write(folder, customers=[customer(tax_id="IT1", credit="5.00")], boxes=[UNPAID]))
    report = load(
        store,
        write(folder, customers=[customer(tax_id="IT2", credit="3.50")], boxes=[box(expires_on="2028-01-01")]),
        overwrite=True,
    )
    assert [(one.changed, one.kept) for one in report.files] == [(1, 0), (1, 0)]
    (holder,), (its_box,) = (rows(store, table) for table in (tables.customers, tables.boxes))
    assert (holder["tax_id"], holder["credit_cents"]) == ("IT2", 350)
    assert (its_box["status"], its_box["expires_on"]) == ("active", date(2028, 1, 1))
    assert (its_box["suspended_on"], its_box["suspended_reason"]) == (None, None)


def test_the_expiry_that_a_box_came_with_is_noted_until_it_is_overwritten(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    load(store, write(folder, customers=[customer()], boxes=[box()]))
    with store.write() as connection:
        renewed = factories.event(connection, "box.renewed", occurred_on=TODAY, box_id=1)
        factories.event(connection, "box.expiry_alert", occurred_on=TODAY, box_id=1)
        connection.execute(update(tables.boxes).values(expires_on=date(2028, 3, 31)))

    def noted() -> tuple[date, int | None]:
        (found,) = rows(store, tables.boxes)
        return found["imported_expires_on"], found["imported_after_event"]

    load(store, write(folder, boxes=[box(expires_on="2029-01-01")]))
    load(store, write(folder, boxes=[box(expires_on="2028-03-31", renewal_years="2")]), overwrite=True)
    assert noted() == (date(2027, 3, 31), None)

    load(store, write(folder, boxes=[box(expires_on="2029-01-01")]), overwrite=True)
    assert noted() == (date(2029, 1, 1), renewed)


def test_every_balance_is_explained_by_the_ledger(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    rich, poor, silent = (customer(customer_id=name) for name in ("rich", "poor", "silent"))
    load(store, write(folder, customers=[rich | {"credit": "8.48"}, poor, silent | {"credit": "1.00"}]))
    load(
        store,
        write(folder, customers=[rich | {"credit": "0.48"}, poor | {"credit": "2"}, silent]),
        overwrite=True,
    )
    entries = [
        (row["customer_id"], row["occurred_on"], row["amount_cents"], row["balance_after_cents"], row["reason"])
        for row in rows(store, tables.credit_entries)
    ]
    assert entries == [
        ("rich", TODAY, 848, 848, "opening"),
        ("silent", TODAY, 100, 100, "opening"),
        ("rich", TODAY, -800, 48, "correction"),
        ("poor", TODAY, 200, 200, "correction"),
    ]
    balances = {row["customer_id"]: row["credit_cents"] for row in rows(store, tables.customers)}
    assert balances == {"rich": 48, "poor": 200, "silent": 100}


def test_importing_the_same_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", **(GOOD | {B: [box(), GONE]}))
    load(store, folder)
    for overwrite in (False, True):
        report = load(store, folder, overwrite=overwrite)
        assert [(one.created, one.changed, one.kept) for one in report.files] == [(0, 0, 0)] * 4


def test_box_numbers_follow_the_file_and_the_next_box_gets_the_next(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    first = [box(address=f"{name}@x.it") for name in "zya"]
    load(store, write(folder, customers=[customer()], boxes=first))
    load(store, write(folder, boxes=[box(address="m@x.it"), *first, box(address="b@x.it")]))
    numbers = {row["address"]: row["id"] for row in rows(store, tables.boxes)}
    assert numbers == {"z@x.it": 1, "y@x.it": 2, "a@x.it": 3, "m@x.it": 4, "b@x.it": 5}
    with store.write() as connection:
        assert factories.box(connection, "sold@x.it") == 6


def test_a_dry_run_says_everything_and_does_nothing(store: Store, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", **GOOD)
    report = load(store, folder, dry_run=True)
    assert report.dry_run
    assert [(one.rows, one.created) for one in report.files] == [(1, 1)] * 4
    assert count(store, tables.boxes) == 0
    load(store, folder)
    with store.write() as connection:
        assert factories.box(connection, "sold@x.it") == 2


def test_an_import_can_be_rehearsed_with_what_comes_after_it(store: Store, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", **GOOD)
    with store.rehearse() as rehearsal:
        load(rehearsal, folder)
        load(rehearsal, folder, dry_run=True)
        assert count(rehearsal, tables.boxes) == 1
    assert count(store, tables.boxes) == 0


# Boxes that were deleted, and who may hold an address -------------------------------------------------------------


def test_an_address_may_have_been_deleted_before_and_be_sold_again(store: Store, tmp_path: Path) -> None:
    earlier = GONE | {"deleted_on": "2020-06-30", "expires_on": "2020-03-31"}
    folder = write(tmp_path / "in", customers=[customer()], boxes=[box(), GONE, earlier])
    load(store, folder)
    report = load(store, folder)
    assert (report.files[1].created, report.files[1].changed) == (0, 0)
    assert count(store, tables.boxes) == 3


def test_an_old_file_does_not_bring_a_deleted_box_back(store: Store, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", customers=[customer()], boxes=[UNPAID])
    load(store, folder)
    with store.write() as connection:
        connection.execute(update(tables.boxes).values(status="deleted", deleted_on=date(2027, 1, 30)))
    for overwrite in (False, True):
        assert refusal(store, folder, overwrite=overwrite) == [
            (
                "boxes.csv, line 2, expires_on: the address was deleted on 2027-01-30, which is not before expires_on: "
                "a row of the deleted box?"
            )
        ]


def test_a_deleted_address_goes_only_to_a_holder_with_the_same_tax_id(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        for customer_id, tax_id in (("c1", "IT1"), ("c2", "IT1"), ("c3", "IT3"), ("c4", None)):
            factories.customer(connection, customer_id, tax_id=tax_id)
        factories.box(connection, "mario@pec.example.it", status="deleted", deleted_on=date(2024, 6, 30))
    told = (
        "boxes.csv, line 2, customer_id: the address was deleted on 2024-06-30: "
        "only a holder with the same tax id may take it again"
    )
    for other in ("c3", "c4"):
        assert refusal(store, write(tmp_path / "in", boxes=[box(customer_id=other)])) == [told]
    load(store, write(tmp_path / "in", boxes=[box(customer_id="c2")]))


def test_the_tax_id_that_counts_is_the_one_after_the_import(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        factories.customer(connection, "c1", tax_id="IT1")
        factories.customer(connection, "c2", tax_id="IT2")
        factories.box(connection, "mario@pec.example.it", status="deleted", deleted_on=date(2024, 6, 30))
    folder = write(tmp_path / "in", customers=[customer(customer_id="c2", tax_id="IT1")], boxes=[box(customer_id="c2")])
    assert "only a holder with the same tax id" in refusal(store, folder)[0]
    load(store, folder, overwrite=True)


def test_a_box_changes_hands_only_within_one_tax_id(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    holders = [customer(tax_id="IT1"), customer(customer_id="c2", tax_id="IT1"), customer(customer_id="c3")]
    load(store, write(folder, customers=holders, boxes=[box()]))
    assert refusal(store, write(folder, boxes=[box(customer_id="c3")]), overwrite=True) == [
        (
            'boxes.csv, line 2, customer_id: the box belongs to another customer "c1" and can only go to one with the '
            "same tax id"
        )
    ]
    load(store, write(folder, boxes=[box(customer_id="c2")]))
    assert rows(store, tables.boxes)[0]["customer_id"] == "c2"


def test_a_payment_method_never_changes_hands(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    holders = [customer(tax_id="IT1"), customer(customer_id="c2", tax_id="IT1")]
    load(store, write(folder, customers=holders, payment_methods=[method()], boxes=[box(payment_method_id="pm1")]))
    assert refusal(store, write(folder, payment_methods=[method(customer_id="c2")])) == [
        (
            'payment_methods.csv, line 2, customer_id: the payment method belongs to another customer "c1" and stays '
            "there"
        )
    ]
    assert refusal(store, write(folder, boxes=[box(customer_id="c2", payment_method_id="pm1")])) == [
        'boxes.csv, line 2, payment_method_id: payment method "pm1" does not belong to the customer of the box'
    ]


def test_a_box_that_is_still_there_is_not_buried_by_a_file(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    load(store, write(folder, customers=[customer()], boxes=[UNPAID]))
    buried = UNPAID | {"status": "deleted", "deleted_on": "2027-01-30"}
    assert refusal(store, write(folder, boxes=[buried]), overwrite=True) == [
        (
            "boxes.csv, line 2, deleted_on: the address has a box that is not deleted and expires on 2026-10-31: "
            "is this the same box?"
        )
    ]
    load(store, write(folder, boxes=[GONE]))
    assert count(store, tables.boxes) == 2


@pytest.mark.parametrize("status", ["pending", "unknown"])
def test_neither_expiry_nor_status_moves_under_an_unresolved_charge(store: Store, tmp_path: Path, status: str) -> None:
    folder = tmp_path / "in"
    load(store, write(folder, **GOOD))
    with store.write() as connection:
        order = factories.order(connection, "o1", box_id=1)
        factories.charge(connection, "k1", order_id=order, box_id=1, status=status)
    told = "boxes.csv, line 2, expires_on: expires_on or status would change under an unresolved charge"
    for moved in (
        box(expires_on="2028-03-31"),
        box(status="suspended", suspended_on="2026-11-01", suspended_reason="abuse"),
    ):
        file = write(folder, boxes=[moved], addons=[addon(expires_on=moved["expires_on"])])
        assert refusal(store, file, overwrite=True) == [told]
    load(store, write(folder, boxes=[box(expires_on="2028-03-31")]))
    load(store, write(folder, boxes=[box(hold_reason="dispute")]), overwrite=True)


# Add-ons ----------------------------------------------------------------------------------------------------------


def test_an_add_on_keeps_its_box(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    load(store, write(folder, customers=[customer()], boxes=[box(), box(address="b@x.it")], addons=[addon()]))
    assert refusal(store, write(folder, addons=[addon(address="b@x.it")])) == [
        "addons.csv, line 2, address: the add-on belongs to a box of another address"
    ]
    load(store, write(folder, addons=[addon(address="MARIO@pec.example.it", quantity="3")]))
    assert rows(store, tables.addons)[0]["quantity"] == 3


def test_an_add_on_paid_with_the_renewal_expires_with_its_box(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    later = {"expires_on": "2028-03-31"}
    load(store, write(folder, **GOOD))
    assert refusal(store, write(folder, boxes=[box(**later)]), overwrite=True) == [
        (
            'boxes.csv, line 2, expires_on: its add-on "a1" is paid with the renewal and needs the same expires_on: '
            "give it too"
        )
    ]
    assert refusal(store, write(folder, addons=[addon(**later)]), overwrite=True) == [
        "addons.csv, line 2, expires_on: paid with the renewal, so it must be the day its box expires, 2027-03-31"
    ]
    load(store, write(folder, boxes=[box(**later)], addons=[addon(**later)]), overwrite=True)
    assert rows(store, tables.addons)[0]["expires_on"] == date(2028, 3, 31)


@pytest.mark.parametrize(
    "free",
    [{"paid_from": "credit"}, {"cancelled_on": "2026-11-01"}, {"status": "disabled"}, {"status": "terminated"}],
)
def test_any_other_add_on_has_its_own_expiry(store: Store, tmp_path: Path, free: dict[str, str]) -> None:
    load(store, write(tmp_path / "in", **(GOOD | {A: [addon(expires_on="2026-12-31", **free)]})))
    assert rows(store, tables.addons)[0]["expires_on"] == date(2026, 12, 31)


def test_an_ended_add_on_belongs_to_the_box_that_was_deleted_next(store: Store, tmp_path: Path) -> None:
    tombstones = [
        box(status="deleted", expires_on=f"{year}-03-31", deleted_on=f"{year}-06-30") for year in (2024, 2020)
    ]
    ended = {"status": "terminated"}
    folder = write(
        tmp_path / "in",
        customers=[customer()],
        boxes=[*tombstones, box()],
        addons=[
            addon(addon_id="a2019", expires_on="2019-01-01", **ended),
            addon(addon_id="a2020", expires_on="2020-06-30", **ended),
            addon(addon_id="a2021", expires_on="2020-07-01", **ended),
            addon(addon_id="a2026", expires_on="2026-01-01", **ended),
            addon(addon_id="now"),
        ],
    )
    load(store, folder)
    boxes = {row["addon_id"]: row["box_id"] for row in rows(store, tables.addons)}
    assert boxes == {"a2019": 2, "a2020": 2, "a2021": 1, "a2026": 3, "now": 3}


def test_an_ended_add_on_without_a_later_box_belongs_to_the_last(store: Store, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        customers=[customer()],
        boxes=[GONE, GONE | {"deleted_on": "2020-06-30"}],
        addons=[addon(status="terminated", expires_on="2025-01-01")],
    )
    load(store, folder)
    assert rows(store, tables.addons)[0]["box_id"] == 1


def test_the_add_on_of_a_deleted_box_cannot_become_active(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    gone = addon(status="terminated", expires_on="2024-03-31")
    load(store, write(folder, customers=[customer()], boxes=[GONE, box()], addons=[gone]))
    active = gone | {"status": "active", "paid_from": "credit"}
    assert refusal(store, write(folder, addons=[active]), overwrite=True) == [
        "addons.csv, line 2, status: the box of this add-on was deleted on 2024-06-30, so it cannot be active"
    ]


# Size -------------------------------------------------------------------------------------------------------------


def test_many_boxes_take_little_memory(store: Store, tmp_path: Path) -> None:
    holders = [customer(customer_id=f"c{number}") for number in range(100)]
    boxes = [
        box(address=f"Box{number * 7919 % 20_000}@x.it", customer_id=f"c{number % 100}") for number in range(20_000)
    ]
    folder = write(tmp_path / "in", customers=holders, boxes=boxes)
    del boxes
    heard: list[tuple[str, int]] = []

    tracemalloc.start()
    import_directory(
        store,
        factories.CATALOG,
        folder,
        overwrite=False,
        dry_run=False,
        today=TODAY,
        progress=lambda what, number: heard.append((what, number)),
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count(store, tables.boxes) == 20_000
    assert peak < 12_000_000
    assert ("reading boxes.csv", 20_000) in heard
    assert ("writing boxes", 20_000) in heard


def rows(store: Store, table: Table) -> list[dict[str, Any]]:
    with store.read() as connection:
        query = select(table).order_by(*table.primary_key.columns)
        return [dict(row) for row in connection.execute(query).mappings()]


def count(store: Store, table: Table) -> int:
    with store.read() as connection:
        return factories.count(connection, table)
