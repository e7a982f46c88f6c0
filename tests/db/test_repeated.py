"""What is recorded again and again lasts at once and whole, on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, customers, leases, messages
from tests import factories

RENAME = update(customers).where(customers.c.customer_id == bindparam("who")).values(name=bindparam("new"))


def names(store: Store) -> dict[str, str]:
    with store.read() as connection:
        return {row[0]: row[1] for row in connection.execute(select(customers.c.customer_id, customers.c.name))}


def three_customers(store: Store) -> None:
    with store.write() as connection:
        for customer in ("c1", "c2", "c3"):
            factories.customer(connection, customer, name="before")


def end_all_others(store: Store) -> None:
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_several_rows_change_together_and_are_counted(store: Store) -> None:
    three_customers(store)
    with store.repeating(RENAME) as repeat:
        assert repeat([{"who": "c1", "new": "one"}, {"who": "c9", "new": "nobody"}, {"who": "c3", "new": "three"}]) == 2

        assert names(store) == {"c1": "one", "c2": "before", "c3": "three"}


def test_if_one_row_cannot_change_none_does_and_the_next_are_not_held_up(store: Store) -> None:
    three_customers(store)
    with store.repeating(RENAME) as repeat:
        with pytest.raises(IntegrityError):
            repeat([{"who": "c1", "new": "one"}, {"who": "c2", "new": None}])
        assert names(store) == dict.fromkeys(("c1", "c2", "c3"), "before")

        assert repeat([{"who": "c2", "new": "two"}]) == 1
    assert names(store)["c2"] == "two"


def test_values_are_sent_as_their_columns_want_them(store: Store) -> None:
    three_customers(store)
    moment = datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    with store.write() as connection:
        box = factories.box(connection, "a@pec.example.it", customer_id="c1")
        connection.execute(leases.insert().values(name="other", token=1, expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
    extend = update(boxes).where(boxes.c.id == bindparam("box")).values(expires_on=bindparam("on"))
    prolong = update(leases).where(leases.c.token == 1).values(expires_at=bindparam("at"), token=leases.c.token + 1)

    with store.repeating(extend) as repeat:
        assert repeat([{"box": box, "on": date(2031, 1, 31)}]) == 1
    with store.repeating(prolong) as repeat:
        assert repeat([{"at": moment}]) == 1

    with store.read() as connection:
        assert connection.scalar(select(boxes.c.expires_on)) == date(2031, 1, 31)
        assert connection.execute(select(leases.c.expires_at, leases.c.token)).one() == (moment, 2)


def test_a_connection_that_is_gone_is_told_as_everywhere_else(postgresql_store: Store) -> None:
    three_customers(postgresql_store)
    with postgresql_store.repeating(RENAME) as repeat:
        assert repeat([{"who": "c1", "new": "one"}]) == 1
        end_all_others(postgresql_store)

        with pytest.raises(OperationalError):
            repeat([{"who": "c1", "new": "two"}])


def test_a_question_is_answered_as_the_database_is_now(store: Store) -> None:
    named = select(customers.c.customer_id).where(customers.c.name == "one")
    three_customers(store)
    with store.asking(named) as asked, store.repeating(RENAME) as repeat:
        assert not asked()

        repeat([{"who": "c1", "new": "one"}])
        assert asked()
        repeat([{"who": "c1", "new": "two"}])
        assert not asked()


def test_a_question_to_a_connection_that_is_gone_is_told_as_everywhere_else(postgresql_store: Store) -> None:
    with postgresql_store.asking(select(customers.c.customer_id)) as asked:
        assert not asked()
        end_all_others(postgresql_store)

        with pytest.raises(OperationalError):
            asked()


def test_several_rows_on_a_connection_that_is_gone_are_told_too(postgresql_store: Store) -> None:
    three_customers(postgresql_store)
    with postgresql_store.repeating(RENAME) as repeat:
        end_all_others(postgresql_store)

        with pytest.raises(OperationalError):
            repeat([{"who": "c1", "new": "one"}, {"who": "c2", "new": "two"}])
    assert names(postgresql_store) == dict.fromkeys(("c1", "c2", "c3"), "before")


def test_texts_of_any_length_with_any_character_and_none_arrive_as_they_are(store: Store) -> None:
    queue = update(messages).where(messages.c.id == bindparam("id_")).values(response=bindparam("said"))
    said = ["%s $1 'quoted' \\ \" {braces} é 日本", "x" * 500_000, "", None]
    three_customers(store)
    with store.write() as connection:
        ids = [factories.message(connection, f"k{number}", customer_id="c1") for number in range(len(said))]

    with store.repeating(queue) as repeat:
        assert repeat([{"id_": id_, "said": text} for id_, text in zip(ids, said, strict=True)]) == len(said)

    with store.read() as connection:
        assert list(connection.scalars(select(messages.c.response).order_by(messages.c.id))) == said
