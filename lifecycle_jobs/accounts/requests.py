"""Each operation is done once, however often it is asked for.

Whoever calls an operation gives it a request id of his own choosing. The first transaction that commits under it
keeps the operation's arguments and its result; asked again, with the same arguments, the operation does nothing and
answers with that first result, also after a crash between the commit and the answer. A refusal keeps nothing: the same
id may be used again once the reason is mended.

Two that come at the same moment meet in the table's key: it is written first of all in the transaction, so the second
waits there, holding nothing else, and then finds what the first has done.

An operation that calls the gateway has two transactions around the call, as `payments.collect` has. It begins the
request in the first (`begin`), with the charge whose idempotency key is made of the request id, and finishes it in the
second (`finish`). Asked again in between, the request has no result yet: the charge is looked up by its key, never
made a second time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from lifecycle_jobs import clock
from lifecycle_jobs.db.faults import was_given_up
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import account_requests
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin
from lifecycle_jobs.mail.compose import compose_within
from lifecycle_jobs.operators import Operator

Result = TypeVar("Result")

_LONGEST_ID = 200
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Request(Generic[Result]):
    """An operation that is asked for under an id: `order.renew` with these arguments, which are plain JSON values.

    `results` reads and writes what the operation answers.
    """

    id: str
    operation: str
    arguments: Mapping[str, Any]
    results: TypeAdapter[Result]


def once(
    store: Store,
    operator: Operator,
    request: Request[Result],
    perform: Callable[[Connection, Origin], Result],
) -> Result:
    """Do an operation in one transaction, its e-mails and its request included, or give the first result.

    Raises Refused if the id stands for something else, and whatever `perform` raises; nothing is kept then.
    """
    for _ in range(_TRIES - 1):
        try:
            return _try(store, operator, request, perform)
        except OperationalError as error:
            # Jobs lock many boxes at once, not all in the same order as an operation does.
            if not was_given_up(error):
                raise
    return _try(store, operator, request, perform)


def _try(
    store: Store,
    operator: Operator,
    request: Request[Result],
    perform: Callable[[Connection, Origin], Result],
) -> Result:
    origin = operator.operation(request.id)
    try:
        with store.write() as connection:
            known = known_result(connection, request)
            if known is not None:
                return known
            begin(connection, operator, request)
            result = perform(connection, origin)
            compose_within(connection, str(origin.operation), operator.on)
            finish(connection, request, result)
            return result
    except IntegrityError:
        with store.read() as connection:
            known = known_result(connection, request)
        if known is None:  # it was not the request's key that was taken
            raise
        return known


def known_result(connection: Connection, request: Request[Result]) -> Result | None:
    """What the request was answered before; none if it is new, or has begun and is not finished.

    Raises Refused if its id stands for another operation or other arguments.
    """
    row = _row(connection, request.id)
    if row is None:
        return None
    if (row.operation, row.arguments) != (request.operation, _plain(request.arguments)):
        message = (
            f"The request id {request.id} stands for another request already ({row.operation} of {row.requested_on}, "
            f"by {row.actor}). Nothing was done; use a new id for something new."
        )
        raise Refused(message)
    return None if row.result is None else request.results.validate_python(row.result)


def begin(connection: Connection, operator: Operator, request: Request[Result]) -> None:
    """Take the id: whoever else asks under it waits here until this transaction ends.

    Raises Refused for an id that cannot be kept, and IntegrityError if another took it in the meantime.
    """
    if not (0 < len(request.id) <= _LONGEST_ID and request.id.isprintable() and not request.id.isspace()):
        message = f"A request id has 1 to {_LONGEST_ID} printable characters."
        raise Refused(message)
    connection.execute(
        insert(account_requests).values(
            request_id=request.id,
            operation=request.operation,
            arguments=_plain(request.arguments),
            requested_on=operator.on,
            requested_at=clock.now(),
            actor=operator.name,
            why=operator.why,
        )
    )


def finish(connection: Connection, request: Request[Result], result: Result) -> None:
    """Keep what the request is answered with from now on."""
    connection.execute(
        update(account_requests)
        .where(account_requests.c.request_id == request.id, account_requests.c.result.is_(None))
        .values(result=request.results.dump_python(result, mode="json"))
    )


def _row(connection: Connection, request_id: str) -> Row[Any] | None:
    return connection.execute(select(account_requests).where(account_requests.c.request_id == request_id)).one_or_none()


def _plain(arguments: Mapping[str, Any]) -> Any:
    """The arguments as they come back from the database."""
    return json.loads(json.dumps(arguments))
