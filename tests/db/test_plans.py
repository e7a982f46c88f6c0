"""No statement of a day reads a large table whole, as far as a few boxes can tell.

SQLite chooses by its rules and what it knows of the values, so some thousand boxes show what it does with millions.
PostgreSQL weighs by size: `tests/soak/test_plans.py` asks it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, insert, select, text

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.history import Origin
from lifecycle_jobs.mail import records
from lifecycle_jobs.payments import outcomes
from lifecycle_jobs.payments.gateway import Succeeded
from tests import factories
from tests.plans import Plan, explaining, plans_of_a_day, provider, require_none_read_whole

TODAY = factories.EXPIRES_ON


@pytest.mark.parametrize("analysed", [True, False])
def test_no_statement_of_a_day_reads_a_large_table_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, analysed: bool
) -> None:
    with provider("sqlite", 10_000, tmp_path, monkeypatch, analysed=analysed) as store:
        plans = plans_of_a_day(store)

    require_none_read_whole(plans)


@pytest.mark.parametrize(
    ("dialect", "steps", "read_whole"),
    [
        ("sqlite", "SCAN boxes", ["boxes"]),
        ("sqlite", "SCAN boxes USING COVERING INDEX ix_boxes_plan", ["boxes"]),
        ("sqlite", "SCAN charges USING INDEX ix_charges_unapplied", []),
        ("sqlite", "SEARCH boxes USING INDEX ix_boxes_active_by_expiry (expires_on<?)\nSCAN events", ["events"]),
        ("postgresql", "Hash Join\n  ->  Parallel Seq Scan on boxes  (cost=0.00..6478.15 rows=1)", ["boxes"]),
        ("postgresql", "Hash Join\n  ->  Seq Scan on charges charges_1  (cost=0.00..3175.94)", ["charges"]),
        ("postgresql", "Seq Scan on parked_rows  (cost=0.00..0.00 rows=1 width=0)", []),
        ("postgresql", "Index Scan using pk_boxes on boxes  (cost=0.42..8.44 rows=1)", []),
    ],
)
def test_a_plan_that_reads_a_large_table_whole_is_recognised(dialect: str, steps: str, read_whole: list[str]) -> None:
    assert Plan(dialect, "SELECT …", steps).read_whole == read_whole


def test_a_plan_that_does_fails_with_its_statement() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"(?s)reads all of boxes.*SELECT 1 FROM boxes.*SCAN boxes"):
        require_none_read_whole([Plan("sqlite", "SELECT 1 FROM boxes", "SCAN boxes")])


class TestARowIsTakenByItsId:
    """PostgreSQL believes the index of what waits to be as small as at the last ANALYZE, when nothing waited.

    It would walk along all of it for each row: 158 of the 186 seconds in which 125,884 e-mails were delivered.
    """

    def test_a_message_that_was_accepted(self, postgresql_store: Store) -> None:
        with postgresql_store.write() as connection:
            factories.customer(connection)
            _copies(connection, tables.messages, factories.message(connection, "0", status="sent"), "message_key")
            connection.execute(text("ANALYZE messages"))
            last = factories.message(connection, "queued since")

        with explaining(postgresql_store) as plans, postgresql_store.write() as connection:
            changed = connection.execute(
                records.SENT, records.as_sent(last, "250 ok", TODAY, redirected=False)
            ).rowcount

        assert changed == 1
        assert [plan.steps for plan in plans if "using pk_messages" not in plan.steps] == []

    def test_a_charge_that_was_answered(self, postgresql_store: Store) -> None:
        with postgresql_store.write() as connection:
            factories.customer(connection)
            factories.method(connection)
            box = factories.box(connection)
            order = factories.order(connection, "R-1", box_id=box)
            settled = factories.charge(connection, "0", order_id=order, box_id=box, status="not_attempted")
            _copies(connection, tables.charges, settled, "idempotency_key", "attempt")
            connection.execute(text("ANALYZE charges"))
            last = factories.charge(connection, "begun since", order_id=order, box_id=box, slot=3)

        with explaining(postgresql_store) as plans, postgresql_store.write() as connection:
            outcomes.settle_all(connection, factories.CATALOG, Origin(TODAY, actor="clerk"), {last: Succeeded("ref")})

        of_charges = [plan for plan in plans if plan.statement.startswith("UPDATE charges")]
        assert of_charges
        assert [plan.steps for plan in of_charges if "using pk_charges" not in plan.steps] == []


def _copies(connection: Connection, table: Table, row_id: int, *columns: str) -> None:
    """Some thousand rows that are like this one but for some columns, which are numbered."""
    row = dict(connection.execute(select(table).where(table.c.id == row_id)).mappings().one())
    del row["id"]
    numbered = [row | {name: type(row[name])(number) for name in columns} for number in range(2, 4_000)]
    connection.execute(insert(table), numbered)
