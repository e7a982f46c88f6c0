"""From events to messages: one for each customer, kind and pass of a run, and never twice (SPEC §4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, select

from lifecycle_jobs.db.faults import in_halves
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import customers, message_events, messages
from lifecycle_jobs.mail.compose import compose, of_run
from lifecycle_jobs.mail.contents import MESSAGE_KINDS
from tests import factories
from tests.daily import failing

ON = date(2027, 4, 1)


class Desk:
    """Composes, and remembers which customers were set aside."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.set_aside: list[str] = []

    def compose(self, run_on: date = ON, *, chunk_size: int = 5000) -> int:
        with self._store.read() as connection:
            sources = of_run(connection, run_on)
        return sum(compose(self._store, source, chunk_size=chunk_size, in_halves=self._in_halves) for source in sources)

    def _in_halves(self, some: Sequence[str], apply: Callable[[Sequence[str]], None]) -> None:
        in_halves(some, apply, lambda customer, _error: self.set_aside.append(customer))


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def happened(
    connection: Connection,
    customer_id: str,
    *addresses: str,
    kind: str = "box.suspended",
    run_on: date | None = ON,
    run_pass: int = 1,
) -> None:
    """Something happened to these boxes of a customer in a run."""
    if connection.scalar(select(customers.c.name).where(customers.c.customer_id == customer_id)) is None:
        factories.customer(connection, customer_id)
    for address in addresses:
        box = factories.box(connection, address, customer_id=customer_id)
        factories.event(
            connection,
            kind,
            occurred_on=run_on or ON,
            box_id=box,
            customer_id=customer_id,
            run_on=run_on,
            run_pass=run_pass if run_on else None,
        )


def in_one_piece(some: Sequence[str], apply: Callable[[Sequence[str]], None]) -> None:
    """Nothing fails."""
    apply(some)


def queued(store: Store) -> list[tuple[str, int]]:
    """Key and number of lines of each message."""
    with store.read() as connection:
        lines = connection.execute(
            select(messages.c.message_key, message_events.c.event_id)
            .join(message_events, message_events.c.message_id == messages.c.id)
            .order_by(messages.c.message_key)
        ).all()
    keys = [row.message_key for row in lines]
    return [(key, keys.count(key)) for key in dict.fromkeys(keys)]


def test_a_customer_with_many_boxes_gets_one_message_that_tells_of_all(store: Store, desk: Desk) -> None:
    with store.write() as connection:
        happened(connection, "c1", *[f"box{number}@pec.example.it" for number in range(300)])

    assert desk.compose() == 1
    assert queued(store) == [("2027-04-01/1/c1/box.suspended", 300)]


def test_each_customer_and_each_kind_has_a_message_of_its_own(store: Store, desk: Desk) -> None:
    with store.write() as connection:
        happened(connection, "c1", "a@pec.example.it")
        happened(connection, "c1", "b@pec.example.it", kind="box.deleted")
        happened(connection, "c2", "c@pec.example.it")

    assert desk.compose() == 3
    assert queued(store) == [
        ("2027-04-01/1/c1/box.deleted", 1),
        ("2027-04-01/1/c1/box.suspended", 1),
        ("2027-04-01/1/c2/box.suspended", 1),
    ]


@pytest.mark.parametrize("kind", MESSAGE_KINDS)
def test_every_kind_that_has_a_text_is_told(store: Store, desk: Desk, kind: str) -> None:
    with store.write() as connection:
        happened(connection, "c1", "a@pec.example.it", kind=kind)

    assert desk.compose() == 1


def test_a_kind_without_a_text_is_not_told(store: Store, desk: Desk) -> None:
    with store.write() as connection:
        happened(connection, "c1", "a@pec.example.it", kind="deletions.approved")

    assert desk.compose() == 0


def test_a_message_takes_address_and_language_from_its_customer_and_the_day_from_its_events(
    store: Store, desk: Desk
) -> None:
    with store.write() as connection:
        factories.customer(connection, "c1", email="Jane@Example.org", locale="en")
        happened(connection, "c1", "a@pec.example.it")

    desk.compose()

    with store.read() as connection:
        row = connection.execute(select(messages)).one()
    assert (row.recipient, row.locale, row.created_on, row.status) == ("Jane@Example.org", "en", ON, "queued")


def test_composing_again_adds_nothing(store: Store, desk: Desk) -> None:
    with store.write() as connection:
        happened(connection, "c1", "a@pec.example.it", "b@pec.example.it")
    desk.compose()

    assert desk.compose() == 0
    assert queued(store) == [("2027-04-01/1/c1/box.suspended", 2)]


def test_composing_again_adds_what_is_missing(store: Store, desk: Desk) -> None:
    with store.write() as connection:
        happened(connection, "c1", "a@pec.example.it")
    desk.compose()
    with store.write() as connection:
        happened(connection, "c1", "b@pec.example.it")
        happened(connection, "c2", "c@pec.example.it")

    assert desk.compose() == 1
    assert queued(store) == [("2027-04-01/1/c1/box.suspended", 2), ("2027-04-01/1/c2/box.suspended", 1)]


def test_whether_an_event_has_a_message_is_asked_once_there_are_messages_of_its_pass(store: Store, desk: Desk) -> None:
    asked: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, _values: Any, _context: Any, _many: bool) -> None:  # noqa: FBT001 -- SQLAlchemy's
        if statement.startswith("SELECT") and "NOT (EXISTS (SELECT * \nFROM message_events" in statement:
            asked.append(statement)

    with store.write() as connection:
        happened(connection, "c1", "a@pec.example.it", run_pass=10)
    desk.compose()
    with store.write() as connection:
        happened(connection, "c1", "b@pec.example.it", run_pass=1)
    event.listen(store.engine, "before_cursor_execute", listen)

    with store.read() as connection:
        first, *_ = of_run(connection, ON)
    assert compose(store, first, chunk_size=10, in_halves=in_one_piece) == 1
    assert asked == []
    assert compose(store, first, chunk_size=10, in_halves=in_one_piece) == 0
    assert len(asked) == 1


def test_another_pass_over_the_date_has_messages_of_its_own(store: Store, desk: Desk) -> None:
    with store.write() as connection:
        happened(connection, "c1", "a@pec.example.it", run_pass=1)
    desk.compose()
    with store.write() as connection:
        happened(connection, "c1", "b@pec.example.it", run_pass=2)

    assert desk.compose() == 1
    assert queued(store) == [("2027-04-01/1/c1/box.suspended", 1), ("2027-04-01/2/c1/box.suspended", 1)]


def test_other_dates_and_what_happened_outside_a_run_are_left_alone(store: Store, desk: Desk) -> None:
    with store.write() as connection:
        happened(connection, "c1", "a@pec.example.it", run_on=ON - timedelta(days=1))
        happened(connection, "c1", "b@pec.example.it", run_on=None)

    assert desk.compose() == 0
    assert desk.compose(ON - timedelta(days=1)) == 1


def test_customers_are_taken_by_the_chunk_and_none_is_forgotten(store: Store, desk: Desk) -> None:
    with store.write() as connection:
        for number in range(7):
            happened(connection, f"c{number}", f"box{number}@pec.example.it")

    assert desk.compose(chunk_size=2) == 7


def test_a_customer_whose_message_fails_is_set_aside_and_the_others_get_theirs(store: Store, desk: Desk) -> None:
    with store.write() as connection:
        for name in ("c1", "c2", "c3", "c4", "c5"):
            happened(connection, name, f"{name}@pec.example.it")

    with failing(store, "messages", "INSERT", "NEW.customer_id = 'c3'"):
        assert desk.compose() == 4

    assert desk.set_aside == ["c3"]
    assert [key.split("/")[2] for key, _ in queued(store)] == ["c1", "c2", "c4", "c5"]
    assert desk.compose() == 1
