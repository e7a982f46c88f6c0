"""Connections beside those of the work: fresh for each transaction, and given up after a while."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import bindparam, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError

from lifecycle_jobs.db import tables
from lifecycle_jobs.db.schema import upgrade
from lifecycle_jobs.db.session import Store, open_beside, open_store, open_throwaway, open_to_read
from tests import factories


def test_both_see_the_same_database(store: Store) -> None:
    beside = open_beside(store, patience=5)
    with beside.write() as connection:
        factories.customer(connection)

    with store.read() as connection:
        assert factories.count(connection, tables.customers) == 1


def test_a_connection_is_never_kept(postgresql_store: Store) -> None:
    beside = open_beside(postgresql_store, patience=5)
    process = text("SELECT pg_backend_pid()")
    found = set()
    for _ in range(3):
        with beside.read() as connection:
            found.add(connection.scalar(process))

    assert len(found) == 3


def test_a_statement_that_takes_too_long_is_given_up(postgresql_store: Store) -> None:
    beside = open_beside(postgresql_store, patience=1)
    began = time.monotonic()

    with pytest.raises(OperationalError, match="statement timeout"), beside.read() as connection:
        connection.execute(text("SELECT pg_sleep(30)"))

    assert time.monotonic() - began < 5


def test_whoever_holds_the_database_is_not_waited_for_longer(sqlite_store: Store) -> None:
    beside = open_beside(sqlite_store, patience=1)
    began = time.monotonic()

    with sqlite_store.write(), pytest.raises(OperationalError, match="locked"), beside.write():
        pass

    assert time.monotonic() - began < 5


def test_a_process_that_sleeps_in_the_middle_of_a_write_does_not_keep_it_for_ever(postgresql_store: Store) -> None:
    with postgresql_store.read() as connection:
        assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "30min"


def test_postgresql_is_told_that_pages_are_in_memory_or_on_an_ssd(postgresql_store: Store) -> None:
    """By its default it goes through all events of a morning for each chunk of alerts, once there are some thousand."""
    url = postgresql_store.engine.url.render_as_string(hide_password=False)
    for each in (postgresql_store, open_to_read(url), open_beside(postgresql_store, patience=5)):
        with each.read() as connection:
            assert connection.scalar(text("SHOW random_page_cost")) == "1.1"


def test_an_error_of_the_database_does_not_tell_what_was_sent_to_it(store: Store) -> None:
    with pytest.raises(DBAPIError) as refused, store.write() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:who)"), {"who": "anna@example.it"})

    assert "anna" not in str(refused.value)


def test_what_an_update_is_repeated_on_is_nobody_elses_connection(store: Store) -> None:
    with store.write() as connection:
        factories.customer(connection, name="before")
    rename = update(tables.customers).values(name=bindparam("new"))
    with store.repeating(rename) as repeat:
        assert repeat([{"new": "after"}]) == 1
        with store.read() as connection:
            assert connection.scalar(select(tables.customers.c.name)) == "after"

    with suppress(KeyError), store.write() as connection:
        connection.execute(rename, {"new": "never"})
        raise KeyError
    with store.read() as connection:
        assert connection.scalar(select(tables.customers.c.name)) == "after"


def test_a_repeated_update_of_a_rehearsal_does_not_last(store: Store) -> None:
    with store.write() as connection:
        factories.customer(connection, name="before")
    rename = update(tables.customers).values(name=bindparam("new"))

    with store.rehearse() as rehearsal, rehearsal.repeating(rename) as repeat:
        assert repeat([{"new": "after"}]) == 1

    with store.read() as connection:
        assert connection.scalar(select(tables.customers.c.name)) == "before"


def test_a_store_that_gave_its_memory_back_works_as_before(store: Store) -> None:
    with store.read() as connection:
        store.let_go()
        assert connection.execute(select(1)).scalar_one() == 1
    with store.write() as connection:
        assert connection.execute(select(1)).scalar_one() == 1


def test_a_database_that_is_opened_to_read_takes_no_write_by_whatever_way(store: Store) -> None:
    with store.write() as connection:
        factories.customer(connection)
    reading = open_to_read(store.engine.url.render_as_string(hide_password=False))

    with reading.read() as connection:
        assert factories.count(connection, tables.customers) == 1
    for way in (reading.write, reading.read):
        with pytest.raises(DBAPIError, match=r"read.?only"), way() as connection:
            connection.execute(update(tables.customers).values(name="Somebody else"))
    with pytest.raises(DBAPIError, match=r"read.?only"), reading.read() as connection:
        connection.execute(text("CREATE TABLE another (id INTEGER)"))


def test_a_file_to_be_read_is_found_whatever_its_name_and_never_made(tmp_path: Path) -> None:
    odd = open_store(f"sqlite:///{tmp_path}/a file? of 50%.db")
    upgrade(odd)

    with open_to_read(f"sqlite:///{tmp_path}/a file? of 50%.db").read() as connection:
        assert factories.count(connection, tables.customers) == 0
    with pytest.raises(OperationalError, match="unable to open"), open_to_read(f"sqlite:///{tmp_path}/no.db").read():
        pass
    assert not (tmp_path / "no.db").exists()


def test_a_file_that_nobody_will_miss_waits_for_no_disk(tmp_path: Path) -> None:
    store = open_throwaway(tmp_path / "throwaway.db")

    with store.write() as connection:
        assert connection.scalar(text("PRAGMA synchronous")) == 0
        connection.execute(text("CREATE TABLE some (id INTEGER)"))
    with store.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM some")) == 0
    store.engine.dispose()
