"""The migrations make exactly the tables that the code believes in, and the tables refuse what must never be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.db import schema, tables
from lifecycle_jobs.db.session import Store, open_store
from lifecycle_jobs.db.tables import metadata
from lifecycle_jobs.errors import DatabaseNotReady
from tests import factories, servers

E = factories.EXPIRES_ON
ON = date(2027, 3, 24)
MOMENT = datetime(2027, 3, 24, 3, tzinfo=UTC)

_POSTGRESQL_CATALOG = (
    """
    SELECT 'column', t.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid), c.collname, col_description(t.oid, a.attnum)
    FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    LEFT JOIN pg_collation c ON c.oid = a.attcollation
    WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    """,
    """
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    """,
    "SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    """
    SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid),
           regexp_replace(pg_get_functiondef(tgfoid), '[[:space:]]+', ' ', 'g')
    FROM pg_trigger WHERE NOT tgisinternal
    """,
)


def definitions(store: Store) -> set[tuple[Any, ...]]:
    """Everything the database itself says about its tables, Alembic's own apart."""
    with store.read() as connection:
        found = _sqlite(connection) if store.dialect == "sqlite" else _postgresql(connection)
        return {definition for definition in found if definition[1] != "alembic_version"}


def _postgresql(connection: Connection) -> Iterator[tuple[Any, ...]]:
    for statement in _POSTGRESQL_CATALOG:
        yield from (tuple(row) for row in connection.execute(text(statement)))


def _sqlite(connection: Connection) -> Iterator[tuple[Any, ...]]:
    for row in connection.execute(text("SELECT type, tbl_name, name, sql FROM sqlite_master WHERE sql IS NOT NULL")):
        if row.type == "table":
            # Neither the order nor the layout of columns and constraints means anything.
            yield from (("part", row.tbl_name, part) for part in _parts(row.sql))
        else:
            yield row.type, row.tbl_name, row.name, _on_one_line(row.sql)


def _parts(create_table: str) -> list[str]:
    body = create_table[create_table.index("(") + 1 : create_table.rindex(")")]
    parts, depth = [""], 0
    for character in body:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [_on_one_line(part) for part in parts]


def _on_one_line(sql: str) -> str:
    return re.sub(r"\s+", " ", sql).strip()


def test_the_migrations_and_the_models_define_the_same(store: Store, empty_database_of_its_kind: Store) -> None:
    metadata.create_all(empty_database_of_its_kind.engine)

    migrated, modelled = definitions(store), definitions(empty_database_of_its_kind)

    assert sorted(map(str, migrated - modelled)) == []
    assert sorted(map(str, modelled - migrated)) == []
    assert {definition[1] for definition in migrated} == set(metadata.tables)


@pytest.fixture
def empty_database_of_its_kind(store: Store, tmp_path: Path) -> Iterator[Store]:
    """A second database, of the kind of `store`, without tables."""
    if store.dialect == "sqlite":
        yield from _opened(servers.fresh_sqlite(tmp_path, migrated=False))
    else:
        with servers.fresh_postgresql(migrated=False) as url:
            yield from _opened(url)


def _opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.engine.dispose()


def test_alembic_finds_nothing_to_migrate(store: Store) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})

        assert compare_metadata(context, metadata) == []


def test_a_definition_that_differs_would_be_noticed(sqlite_store: Store, postgresql_store: Store) -> None:
    for store, statements in (
        (sqlite_store, ["DROP INDEX uq_events_milestone", "CREATE INDEX uq_events_milestone ON events (box_id)"]),
        (sqlite_store, ["DROP TRIGGER addons_behind_when_moved"]),
        (postgresql_store, ["DROP TRIGGER addons_behind ON addons"]),
        (postgresql_store, ["ALTER TABLE boxes DROP CONSTRAINT ck_boxes_status"]),
        (postgresql_store, ["ALTER TABLE charges ALTER called DROP DEFAULT"]),
        (postgresql_store, ['ALTER TABLE boxes ALTER address_key TYPE text COLLATE "default"']),
    ):
        before = definitions(store)
        with store.write() as connection:
            for statement in statements:
                connection.execute(text(statement))
        assert definitions(store) != before


def test_an_upgrade_that_is_done_already_changes_nothing(store: Store) -> None:
    before = definitions(store)

    assert schema.upgrade(store) == schema.HEAD == "0010"
    assert definitions(store) == before


def test_boxes_that_are_there_before_the_upgrade_count_from_the_expiry_they_have(
    empty_database_of_its_kind: Store,
) -> None:
    with empty_database_of_its_kind.write() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for statement in (
            "INSERT INTO customers (customer_id, name, email, locale) VALUES ('c1', 'Mario', 'c1@example.it', 'it')",
            (
                "INSERT INTO boxes (address, address_key, customer_id, plan, status, expires_on, renewal_years, "
                "auto_renew) VALUES ('a@x.it', 'a@x.it', 'c1', 'standard', 'active', '2028-03-31', 1, false),"
                " ('b@x.it', 'b@x.it', 'c1', 'standard', 'active', '2028-03-31', 1, false)"
            ),
            *(
                f"INSERT INTO events (occurred_on, kind, box_id, detail) VALUES ('2027-03-24', '{kind}', 1, '{{}}')"  # noqa: S608 -- the kinds stand here
                for kind in ("box.renewed", "box.renewed", "box.expiry_alert")
            ),
        ):
            connection.execute(text(statement))

    schema.upgrade(empty_database_of_its_kind)

    with empty_database_of_its_kind.read() as connection:
        columns = tables.boxes.c
        noted = select(columns.imported_expires_on, columns.imported_after_event).order_by(columns.id)
        assert connection.execute(noted).all() == [(date(2028, 3, 31), 2), (date(2028, 3, 31), None)]


def test_addons_that_their_box_had_left_behind_before_the_upgrade_are_marked(empty_database_of_its_kind: Store) -> None:
    with empty_database_of_its_kind.write() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        for statement in (
            "INSERT INTO customers (customer_id, name, email, locale) VALUES ('c1', 'Mario', 'c1@example.it', 'it')",
            (
                "INSERT INTO boxes (address, address_key, customer_id, plan, status, expires_on, renewal_years, "
                "auto_renew) VALUES ('a@x.it', 'a@x.it', 'c1', 'standard', 'active', '2028-03-31', 1, false)"
            ),
            (
                "INSERT INTO addons (addon_id, box_id, kind, quantity, unit_price_cents, paid_from, status, expires_on)"
                " VALUES ('behind', 1, 'extra_inbox', 1, 250, 'credit', 'active', '2027-03-31'),"
                " ('level', 1, 'extra_inbox', 1, 250, 'credit', 'active', '2028-03-31')"
            ),
        ):
            connection.execute(text(statement))

    schema.upgrade(empty_database_of_its_kind)

    with empty_database_of_its_kind.read() as connection:
        addons = tables.addons.c
        assert connection.scalars(select(addons.addon_id).where(addons.behind)).all() == ["behind"]


def test_payments_that_are_there_before_the_upgrade_keep_their_order_and_their_numbers(
    empty_database_of_its_kind: Store,
) -> None:
    with empty_database_of_its_kind.write() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        for statement in (
            "INSERT INTO customers (customer_id, name, email, locale) VALUES ('c1', 'Mario', 'c1@example.it', 'it')",
            (
                "INSERT INTO orders (id, order_number, kind, customer_id, placed_on, net_cents, vat_cents, gross_cents,"
                " status) VALUES (7, 'R-7', 'topup', 'c1', '2027-03-01', 990, 218, 1208, 'awaiting_payment')"
            ),
            (
                "INSERT INTO registered_payments (order_id, reference, amount_cents, registered_on, actor, effective) "
                "VALUES (7, 'CRO-1', 1208, '2027-03-02', 'anna', true), (7, 'CRO-2', 1208, '2027-03-03', 'anna', false)"
            ),
        ):
            connection.execute(text(statement))

    schema.upgrade(empty_database_of_its_kind)

    with empty_database_of_its_kind.write() as connection:
        columns = tables.registered_payments.c
        kept = select(
            columns.id, columns.order_id, columns.order_number, columns.reference, columns.paid_on, columns.effective
        )
        assert connection.execute(kept.order_by(columns.id)).all() == [
            (1, 7, "R-7", "CRO-1", date(2027, 3, 2), True),
            (2, 7, "R-7", "CRO-2", date(2027, 3, 3), False),
        ]
        factories.registered_payment(connection, "CRO-3", order_id=7, effective=False)


def test_an_empty_sqlite_file_creates_itself_and_an_empty_server_waits_for_a_person(
    empty_sqlite_url: str, empty_postgresql_url: str
) -> None:
    for store in _opened(empty_sqlite_url):
        schema.require_ready(store)
        schema.require_ready(store)
        assert {definition[1] for definition in definitions(store)} == set(metadata.tables)
    for store in _opened(empty_postgresql_url):
        with pytest.raises(DatabaseNotReady, match="has no tables yet"):
            schema.require_ready(store)
        assert definitions(store) == set()


def test_a_database_of_a_newer_program_is_refused(store: Store) -> None:
    schema.require_ready(store)
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(DatabaseNotReady, match="newer than this program"):
        schema.require_ready(store)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database of each kind for all refusals: each is rolled back."""
    if request.param == "sqlite":
        yield from _opened(servers.fresh_sqlite(tmp_path_factory.mktemp("schema")))
    else:
        with servers.fresh_postgresql() as url:
            yield from _opened(url)


def provider(connection: Connection) -> None:
    """A customer, a card, two boxes (1 and 2) with an add-on, and an order with a charge for the first."""
    if connection.dialect.name == "postgresql":
        for table in ("boxes", "orders", "charges", "events", "messages"):  # a rollback does not give numbers back
            connection.execute(text(f"ALTER SEQUENCE {table}_id_seq RESTART"))
    factories.customer(connection, credit=1000)
    factories.method(connection)
    factories.box(connection, payment_method_id="pm1")
    factories.box(connection, "other@pec.example.it")
    factories.addon(connection, "a1", 1)
    factories.order(connection, "R-1", box_id=1)
    factories.charge(connection, "k1", order_id=1, box_id=1)


def altered(table: Any, **values: Any) -> Callable[[Connection], object]:
    """A change of the table's first row."""
    (key, *_) = table.primary_key

    def change(connection: Connection) -> object:
        first = connection.scalar(select(key).order_by(key))
        return connection.execute(update(table).where(key == first).values(**values))

    return change


def twice(make: Callable[[Connection], object]) -> Callable[[Connection], object]:
    """The same row two times."""

    def make_both(connection: Connection) -> None:
        make(connection)
        make(connection)

    return make_both


def milestone(connection: Connection) -> object:
    return factories.event(connection, "box.expiry_alert", occurred_on=ON, box_id=1, milestone=30)


def credit_short(connection: Connection) -> object:
    return factories.event(connection, "addon.credit_short", occurred_on=ON, box_id=1, addon_id="a1")


def second_renewal_order(connection: Connection) -> object:
    return factories.order(connection, "R-2", box_id=1)


def second_addon_order(connection: Connection) -> object:
    number = f"A-{factories.count(connection, tables.orders)}"
    return factories.order(connection, number, kind="addon", box_id=1, addon_id="a1", status="paid")


def second_unresolved_charge(connection: Connection) -> object:
    return factories.charge(connection, "k2", order_id=1, box_id=1, slot=5, status="unknown")


def second_succeeded_charge(connection: Connection) -> None:
    connection.execute(update(tables.charges).values(status="succeeded"))
    factories.charge(connection, "k2", order_id=1, box_id=1, slot=5, status="succeeded")


def second_charge_of_an_attempt(connection: Connection) -> object:
    return factories.charge(connection, "k2", order_id=1, box_id=1, status="declined")


def second_charge_under_a_key(connection: Connection) -> object:
    return factories.charge(connection, "k1", order_id=1, box_id=2, status="declined")


def second_debit_of_an_order(connection: Connection) -> object:
    return factories.credit_entry(connection, amount=-1, balance_after=0, reason="addon", reference="A-1")


def message(connection: Connection) -> object:
    return factories.message(connection, "2027-03-24/1/c1/box.suspended")


def message_with_one_event(connection: Connection) -> object:
    number = factories.count(connection, tables.messages)
    event = milestone(connection) if number == 0 else 1
    return factories.message(connection, f"m{number}", int(str(event)))


def same_address_in_capitals(connection: Connection) -> object:
    return factories.box(connection, "Mario.Rossi@PEC.example.it")


def tombstone(connection: Connection) -> object:
    return factories.box(connection, "gone@pec.example.it", status="deleted", deleted_on=ON)


def parked_row(connection: Connection) -> object:
    return connection.execute(
        insert(tables.parked_rows).values(
            run_on=ON, last_run_on=ON, job="suspend", subject="box:1", box_id=1, error="?", state="open",
            parked_at=MOMENT,
        )
    )  # fmt: skip


def approval(**values: Any) -> Callable[[Connection], object]:
    return lambda connection: connection.execute(
        insert(tables.deletion_approvals).values(actor="clerk", approved_at=MOMENT, **values)
    )


def order_line(connection: Connection) -> object:
    return connection.execute(
        insert(tables.order_lines).values(
            order_id=1, position=1, item="standard", quantity=2, unit_price_cents=250, years=3, net_cents=1499
        )
    )


def run_of(**values: Any) -> Callable[[Connection], object]:
    row: dict[str, Any] = {
        "run_on": ON, "run_pass": 1, "scope": "everything", "state": "running", "since": ON, "started_at": MOMENT,
    }  # fmt: skip
    return lambda connection: connection.execute(insert(tables.runs).values(**(row | values)))


REFUSED: dict[str, Callable[[Connection], object]] = {
    "a milestone told twice": twice(milestone),
    "short credit announced twice in a term": twice(credit_short),
    "a second renewal order of a term": second_renewal_order,
    "a second order of an add-on's term": twice(second_addon_order),
    "a second unresolved charge of a box": second_unresolved_charge,
    "a second succeeded charge of an order": second_succeeded_charge,
    "a second charge of an attempt": second_charge_of_an_attempt,
    "a second charge under a key": second_charge_under_a_key,
    "a second debit of an order": twice(second_debit_of_an_order),
    "a message of the same key": twice(message),
    "an event in two messages": twice(message_with_one_event),
    "an address in use, compared without case": same_address_in_capitals,
    "an address deleted twice on a day": twice(tombstone),
    "a row parked twice": twice(parked_row),
    "negative credit": altered(tables.customers, credit_cents=-1),
    "a ledger below zero": altered(tables.credit_entries, balance_after_cents=-1),
    "a ledger entry of nothing": altered(tables.credit_entries, amount_cents=0),
    "an unknown language": altered(tables.customers, locale="de"),
    "an unknown kind of method": altered(tables.payment_methods, kind="cash"),
    "a card without a token": altered(tables.payment_methods, token=None),
    "a thirteenth month": altered(tables.payment_methods, exp_month=13),
    "an unknown status of a box": altered(tables.boxes, status="frozen"),
    "a term of six years": altered(tables.boxes, renewal_years=6),
    "a term of no years": altered(tables.boxes, renewal_years=0),
    "a negative price": altered(tables.boxes, annual_price_cents=-1),
    "a suspension without a day": altered(tables.boxes, status="suspended", suspended_reason="unpaid"),
    "a suspension without a reason": altered(tables.boxes, status="suspended", suspended_on=ON),
    "an active box with a day of suspension": altered(tables.boxes, suspended_on=ON),
    "a deletion without a day": altered(tables.boxes, status="deleted"),
    "a day of deletion without the deletion": altered(tables.boxes, deleted_on=ON),
    "a box of nobody": altered(tables.boxes, customer_id="nobody"),
    "a box with nobody's method": altered(tables.boxes, payment_method_id="nobody's"),
    "an unknown status of an add-on": altered(tables.addons, status="paused"),
    "an add-on paid from nowhere": altered(tables.addons, paid_from="cash"),
    "no add-on at all": altered(tables.addons, quantity=0),
    "a negative unit price": altered(tables.addons, unit_price_cents=-1),
    "an unknown kind of order": altered(tables.orders, kind="gift"),
    "an unknown status of an order": altered(tables.orders, status="lost"),
    "a gross that is not net plus VAT": altered(tables.orders, gross_cents=1),
    "a negative net": altered(tables.orders, net_cents=-1, vat_cents=1, gross_cents=0),
    "a paid order without a day": altered(tables.orders, status="paid"),
    "a day of payment without the payment": altered(tables.orders, paid_on=ON),
    "a renewal order without a box": altered(tables.orders, box_id=None),
    "a renewal order without a term": altered(tables.orders, term_expires_on=None),
    "a line that does not add up": order_line,
    "an unknown status of a charge": altered(tables.charges, status="maybe"),
    "an agreement that is charged": altered(tables.charges, method_kind="agreement"),
    "a charge of nothing": altered(tables.charges, amount_cents=0),
    "a decline without a code": altered(tables.charges, status="declined", hard=True),
    "a decline neither hard nor soft": altered(tables.charges, status="declined", decline_code="x"),
    "an approval of nothing": approval(),
    "an approval of a run and a box": approval(run_on=ON, number=1, box_id=1),
    "an unknown state of a run": run_of(state="done"),
    "an unknown scope": run_of(scope="some"),
    "a second record of a run": twice(run_of()),
}  # fmt: skip


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_the_database_refuses(either: Store, refused: Callable[[Connection], object]) -> None:
    with either.rehearse() as store:
        with store.write() as connection:
            provider(connection)

        with pytest.raises(IntegrityError), store.write() as connection:
            refused(connection)


def order_after_a_cancelled_one(connection: Connection) -> object:
    connection.execute(update(tables.orders).values(status="cancelled"))
    return second_renewal_order(connection)


def order_of_the_next_term(connection: Connection) -> object:
    return factories.order(connection, "R-2", box_id=1, term_expires_on=E + timedelta(days=365))


def charge_after_a_settled_one(connection: Connection) -> object:
    connection.execute(update(tables.charges).values(status="declined", decline_code="x", hard=False))
    return second_unresolved_charge(connection)


def unresolved_charge_of_another_box(connection: Connection) -> object:
    order = factories.order(connection, "R-2", box_id=2)
    return factories.charge(connection, "k2", order_id=order, box_id=2)


def box_on_the_address_of_a_deleted_one(connection: Connection) -> object:
    tombstone(connection)
    factories.box(connection, "gone@pec.example.it", status="deleted", deleted_on=ON + timedelta(days=1))
    return factories.box(connection, "gone@pec.example.it")


def other_milestones(connection: Connection) -> None:
    milestone(connection)
    factories.event(connection, "box.renewal_notice", occurred_on=ON, box_id=1, milestone=30)
    factories.event(connection, "box.expiry_alert", occurred_on=ON, box_id=1, milestone=15)
    factories.event(connection, "box.expiry_alert", occurred_on=ON, box_id=2, milestone=30)
    factories.event(connection, "box.expiry_alert", occurred_on=ON, box_id=1, milestone=30, term_expires_on=ON)


def events_without_a_milestone(connection: Connection) -> None:
    for _ in range(2):
        factories.event(connection, "charge.declined", occurred_on=ON, box_id=1)


def row_parked_again_after_it_was_resolved(connection: Connection) -> None:
    parked_row(connection)
    connection.execute(update(tables.parked_rows).values(state="resolved"))
    parked_row(connection)


def corrections_of_one_reference(connection: Connection) -> None:
    for _ in range(2):
        factories.credit_entry(connection, amount=1, balance_after=1, reason="correction", reference="T-1")


@pytest.mark.parametrize(
    "allowed",
    [
        order_after_a_cancelled_one,
        order_of_the_next_term,
        charge_after_a_settled_one,
        unresolved_charge_of_another_box,
        box_on_the_address_of_a_deleted_one,
        other_milestones,
        events_without_a_milestone,
        row_parked_again_after_it_was_resolved,
        corrections_of_one_reference,
    ],
)
def test_the_database_allows(either: Store, allowed: Callable[[Connection], object]) -> None:
    with either.rehearse() as store, store.write() as connection:
        provider(connection)

        allowed(connection)


def test_keys_go_by_code_point_on_both(either: Store) -> None:
    names = ["b", "_a", "à", "a-b", "a.b", "B", "ab", "😀"]
    with either.rehearse() as store, store.write() as connection:
        for name in names:
            factories.customer(connection, name, email="x@example.it")

        found = connection.scalars(select(tables.customers.c.customer_id).order_by(tables.customers.c.customer_id))

        assert list(found) == sorted(names)


def test_moments_come_back_in_utc(either: Store) -> None:
    with either.rehearse() as store, store.write() as connection:
        connection.execute(insert(tables.leases).values(name="run", token=1, expires_at=MOMENT))

        assert connection.scalar(select(tables.leases.c.expires_at)) == MOMENT
