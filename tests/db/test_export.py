from __future__ import annotations

import csv
import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import delete, update

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.transfer import unload as unload_module
from lifecycle_jobs.db.transfer.columns import INPUT_FILES
from tests import factories
from tests.db.folders import INPUT_NAMES, box, customer, load, unload, write
from tests.db.providers import Provider, providers

ALL_FILES = (
    *INPUT_NAMES,
    "orders.csv",
    "charges.csv",
    "credit_entries.csv",
    "events.csv",
    "messages.csv",
)


def lines(folder: Path, name: str) -> list[str]:
    return (folder / name).read_bytes().decode().split("\n")[:-1]


def test_an_empty_database_gives_nine_files_with_nothing_but_headings(store: Store, tmp_path: Path) -> None:
    report = unload(store, tmp_path / "a" / "b")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == sorted(ALL_FILES)
    assert report.rows == dict.fromkeys(ALL_FILES, 0)
    assert report.unresolved_charges == 0
    for file in INPUT_FILES:
        assert lines(tmp_path / "a" / "b", file.name) == [",".join(file.header)]


def test_every_column_is_written_as_the_specification_has_it(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        factories.customer(connection, name='Rossi, "Mario"', tax_id="IT1", gateway_customer_id="cus_1", credit=848)
        factories.method(connection, brand="visa", last4="4242", exp_month=3, exp_year=2028)
        box_id = factories.box(
            connection,
            "Mario@pec.example.it",
            auto_renew=True,
            payment_method_id="pm1",
            annual_price=50,
            hold_until=date(2026, 12, 31),
            hold_reason="=1+1",
            used_inbox_mb=0,
        )
        factories.addon(connection, "a1", box_id, quantity=2)
        order = factories.order(connection, "R-1", box_id=box_id, status="paid", paid_on=date(2027, 3, 24))
        factories.order(connection, "T-1", kind="topup", term_expires_on=None, years=None, net=10_000, vat=2_200)
        factories.order(connection, "A-1", kind="addon", addon_id="a1", years=None, net=250, vat=55)
        factories.charge(
            connection, "key1", order_id=order, box_id=box_id, status="succeeded", gateway_reference="ch_1"
        )
        factories.charge(connection, "key0", order_id=order, box_id=box_id, slot=5, status="declined")
        factories.credit_entry(connection, amount=-305, balance_after=543, reason="addon", reference="A-1")
        event = factories.event(
            connection,
            "box.renewed",
            occurred_on=date(2027, 3, 24),
            box_id=box_id,
            detail={"years": 1, "città": "Forlì", "expires_on": "2028-03-31"},
        )
        factories.event(connection, "addon.disabled", occurred_on=date(2027, 3, 24), addon_id="a1")
        factories.message(connection, "m1", event, kind="box.renewed", created_on=date(2027, 3, 24))
    unload(store, tmp_path)

    assert lines(tmp_path, "customers.csv")[1:] == ['c1,"Rossi, ""Mario""",c1@example.it,it,IT1,,cus_1,8.48']
    assert lines(tmp_path, "payment_methods.csv")[1:] == ["pm1,c1,card,pm_card_visa,visa,4242,3,2028"]
    assert lines(tmp_path, "boxes.csv")[1:] == [
        "Mario@pec.example.it,c1,standard,active,2027-03-31,1,true,pm1,0.50,,,2026-12-31,=1+1,,,,0,"
    ]
    assert lines(tmp_path, "addons.csv")[1:] == [
        "a1,Mario@pec.example.it,extra_inbox,2,2.50,renewal,active,2027-03-31,"
    ]
    assert lines(tmp_path, "orders.csv") == [
        "order_number,kind,placed_on,paid_on,address,customer_id,term_expires_on,years,net,vat,gross,status",
        "A-1,addon,2020-01-01,,Mario@pec.example.it,c1,2027-03-31,,2.50,0.55,3.05,awaiting_payment",
        "R-1,renewal,2020-01-01,2027-03-24,Mario@pec.example.it,c1,2027-03-31,1,9.90,2.18,12.08,paid",
        "T-1,topup,2020-01-01,,,c1,,,100.00,22.00,122.00,awaiting_payment",
    ]
    assert lines(tmp_path, "charges.csv") == [
        "idempotency_key,order_number,address,slot,status,amount,decline_code,gateway_reference",
        "key0,R-1,Mario@pec.example.it,5,declined,12.08,generic_decline,",
        "key1,R-1,Mario@pec.example.it,7,succeeded,12.08,,ch_1",
    ]
    assert lines(tmp_path, "credit_entries.csv") == [
        "customer_id,occurred_on,amount,balance_after,reason,reference",
        "c1,2020-01-01,8.48,8.48,opening,",
        "c1,2020-01-01,-3.05,5.43,addon,A-1",
    ]
    detail = '"{""città"":""Forlì"",""expires_on"":""2028-03-31"",""years"":1}"'
    assert lines(tmp_path, "events.csv") == [
        "occurred_on,kind,address,addon_id,customer_id,term_expires_on,detail",
        f"2027-03-24,box.renewed,Mario@pec.example.it,,c1,2027-03-31,{detail}",
        "2027-03-24,addon.disabled,Mario@pec.example.it,a1,c1,2027-03-31,{}",
    ]
    assert lines(tmp_path, "messages.csv") == [
        "message_id,customer_id,kind,locale,recipient,created_on,status,addresses",
        "<m1@pec.example.it>,c1,box.renewed,it,c1@example.it,2027-03-24,queued,Mario@pec.example.it",
    ]


def test_orders_do_not_depend_on_numbers_or_on_collation(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        for customer_id in ("b", "é", "a", "B", "_", "Z"):
            factories.customer(connection, customer_id)
        for address, status, deleted_on in (
            ("b@x.it", "active", None),
            ("B@x.it", "deleted", date(2024, 1, 1)),
            ("b@x.it", "deleted", date(2020, 1, 1)),
            ("_@x.it", "active", None),
            ("à@x.it", "active", None),
            ("A@x.it", "active", None),
        ):
            factories.box(connection, address, customer_id="a", status=status, deleted_on=deleted_on)
    unload(store, tmp_path)
    assert [line.split(",")[0] for line in lines(tmp_path, "customers.csv")[1:]] == ["B", "Z", "_", "a", "b", "é"]
    found = [(line.split(",")[0], line.split(",")[15]) for line in lines(tmp_path, "boxes.csv")[1:]]
    assert found == [
        ("_@x.it", ""),
        ("A@x.it", ""),
        ("b@x.it", "2020-01-01"),
        ("B@x.it", "2024-01-01"),
        ("b@x.it", ""),
        ("à@x.it", ""),
    ]


def test_events_stand_in_the_order_of_the_day(store: Store, tmp_path: Path) -> None:
    first, second = date(2027, 1, 1), date(2027, 1, 2)
    kinds = [
        "charge.declined",
        "box.renewed",
        "addon.renewed",
        "addon.credit_short",
        "addon.disabled",
        "box.suspended",
        "box.deleted",
        "box.expiry_alert",
        "box.renewal_notice",
        "box.deletion_warning",
        "account.topped_up",
        "account_b",
        "box.bought",
    ]
    with store.write() as connection:
        factories.customer(connection)
        b, a = (factories.box(connection, address) for address in ("b@x.it", "A@x.it"))
        factories.event(connection, "box.renewed", occurred_on=second, box_id=a)
        for kind in reversed(kinds):
            factories.event(connection, kind, occurred_on=first, box_id=b)
        factories.event(connection, "box.renewed", occurred_on=first, box_id=a)
    unload(store, tmp_path)
    found = [line.split(",")[:3] for line in lines(tmp_path, "events.csv")[1:]]
    expected = [["2027-01-01", kind, "b@x.it"] for kind in kinds]
    expected.insert(1, ["2027-01-01", "box.renewed", "A@x.it"])
    assert found == [*expected, ["2027-01-02", "box.renewed", "A@x.it"]]


def test_a_message_lists_each_of_its_boxes_once_nearest_expiry_first(store: Store, tmp_path: Path) -> None:
    day = date(2027, 1, 1)
    with store.write() as connection:
        factories.customer(connection)
        boxes = {
            name: factories.box(connection, f"{name}@x.it", expires_on=date(2027, month, 1))
            for name, month in (("late", 9), ("b", 3), ("a", 3))
        }
        events = [
            factories.event(
                connection,
                kind,
                occurred_on=day,
                box_id=boxes[name],
                term_expires_on=date(2027, month, 1),
            )
            for kind, name, month in (
                ("box.renewed", "late", 9),
                ("box.renewed", "b", 3),
                ("box.renewed", "a", 3),
                ("addon.renewed", "b", 3),
            )
        ]
        factories.message(connection, "m2", *events, created_on=day)
        factories.message(connection, "m1", created_on=day)
    unload(store, tmp_path)
    assert [(line.split(",")[0], line.split(",")[-1]) for line in lines(tmp_path, "messages.csv")[1:]] == [
        ("<m1@pec.example.it>", ""),
        ("<m2@pec.example.it>", "a@x.it b@x.it late@x.it"),
    ]


def test_unresolved_charges_are_counted(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        factories.customer(connection)
        for number, status in enumerate(("pending", "unknown", "succeeded", "declined", "not_attempted")):
            box_id = factories.box(connection, f"b{number}@x.it")
            order = factories.order(connection, f"o{number}", box_id=box_id)
            factories.charge(connection, f"k{number}", order_id=order, box_id=box_id, status=status)
    assert unload(store, tmp_path).unresolved_charges == 2


def test_all_files_are_of_one_moment(store: Store, tmp_path: Path, database_url: str) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, "a@x.it")
    other = open_store(database_url)
    heard: list[str] = []

    def meanwhile(what: str, _rows: int) -> None:
        if not heard:
            with other.write() as connection:
                factories.box(connection, "b@x.it")
                connection.execute(update(tables.customers).values(name="Somebody else"))
        heard.append(what)

    unload_module.export_directory(store, tmp_path, message_id_of=str, progress=meanwhile)
    other.engine.dispose()
    assert heard[0] == "writing customers.csv"
    assert len(lines(tmp_path, "boxes.csv")) == 2
    with store.write() as connection:  # the connection can write again
        assert factories.count(connection, tables.boxes) == 2
        connection.execute(update(tables.boxes).values(plan="pro"))


def test_files_are_replaced_together_or_not_at_all(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    unload(sqlite_store, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with sqlite_store.write() as connection:
        factories.customer(connection)

    def full(_descriptor: int) -> None:
        if len(list(out.iterdir())) > len(before) + 5:
            raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        unload(sqlite_store, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_only_the_owner_may_read_the_files(sqlite_store: Store, tmp_path: Path) -> None:
    unload(sqlite_store, tmp_path / "out")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o600}


def test_what_is_exported_is_imported_unchanged(store: Store, tmp_path: Path) -> None:
    suspended = box(address="b@x.it", status="suspended", expires_on="2026-10-31", suspended_on="2026-11-20")
    folder = write(
        tmp_path / "in",
        customers=[customer(name=' "a",\r\nb\rc\n ', credit="8.48")],
        boxes=[box(), suspended | {"suspended_reason": "unpaid"}],
    )
    load(store, folder)
    unload(store, tmp_path / "out")
    report = load(store, tmp_path / "out", overwrite=True)
    assert [(one.created, one.changed, one.kept) for one in report.files] == [(0, 0, 0)] * 4


@pytest.mark.parametrize("first_kind", ["sqlite", "postgresql"])
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(provider=providers())
def test_any_provider_survives_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_store: Store,
    postgresql_store: Store,
    first_kind: str,
    provider: Provider,
) -> None:
    stores = [sqlite_store, postgresql_store]
    one, other = stores if first_kind == "sqlite" else reversed(stores)
    folder = tmp_path_factory.mktemp("trip")
    original = write(folder / "original", **provider)
    first = _through_empty_database(one, original, folder / "first")
    second = _through_empty_database(other, first, folder / "second")
    for file in INPUT_FILES:
        assert (first / file.name).read_bytes() == (second / file.name).read_bytes()
        assert _rows(first / file.name) == _rows(original / file.name)


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file in any order, without empty cells; which case an add-on's address has is its box's."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    for row in rows:
        if "addon_id" in row:
            row["address"] = row["address"].lower()
    return sorted(rows, key=lambda row: sorted(row.items()))


def _through_empty_database(store: Store, files: Path, out: Path) -> Path:
    with store.write() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(delete(table))
    load(store, files)
    unload(store, out)
    return out
