"""What a job does to boxes, as statements: which are candidates, which of them are due, and what is done to those.

Put together once for a part and executed for each of its chunks: building them anew took a tenth of a chunk's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Integer,
    Select,
    Tuple,
    Update,
    and_,
    bindparam,
    func,
    literal,
    select,
    true,
    tuple_,
)

from lifecycle_jobs.db.conditions import Refusals, none_of
from lifecycle_jobs.db.dialect import Parameter, among, joined, listed
from lifecycle_jobs.db.tables import boxes
from lifecycle_jobs.jobs.task import Place, Task

IN_HAND: Final = Parameter("in_hand")
"""The ids of the boxes of a chunk, in the statements that change them."""

_AFTER: Final = "after"
_UNTIL: Final = "until"
_NUMBER: Final = "number"


@dataclass(frozen=True, slots=True)
class Part:
    """A change to all boxes that are due for it: the candidates that are not refused.

    The name is its own within the job, and the same everywhere. The changes are statements about the boxes IN_HAND, in
    their order.
    """

    name: str
    candidates: ColumnElement[bool]
    refusals: Refusals
    changes: Sequence[Insert | Update]

    @property
    def due(self) -> ColumnElement[bool]:
        """All that is asked of a box before it is changed."""
        return and_(self.candidates, none_of(self.refusals))


class Chosen(NamedTuple):
    """The next boxes; how many were looked at for them; and the last of those, none if these are all that are left."""

    ids: Sequence[int]
    candidates: int
    following: Place | None


class Steps:
    """The statements of a part, put together once for all its chunks, each when it is first wanted.

    Only for the boxes that nobody else has locked, if so. `alone` says that nobody else can write while we do, so that
    what is chosen is due.
    """

    def __init__(self, task: Task, part: Part, *, pass_over_locked: bool = False) -> None:
        self.alone = task.store.writes_alone
        self._size = task.chunk_size
        self._part = part
        self._pass_over_locked = pass_over_locked

    def choose(self, connection: Connection, after: Place | None, until: Place | None = None) -> Chosen:
        """The next candidates, in order; where nobody else can write, of these the boxes that are due."""
        if after is None:
            found = connection.execute(self._first)
        elif until is None:
            found = connection.execute(self._next, _named(_AFTER, after))
        else:
            found = connection.execute(self._between, _named(_AFTER, after) | _named(_UNTIL, until))
        ids, candidates, expires_on, address_key = found.one()
        return Chosen(ids, candidates, Place(expires_on, address_key) if candidates == self._size else None)

    def look_ahead(self, connection: Connection, after: Place, number: int) -> Place | None:
        """The last of the next so many candidates; none if there are fewer."""
        last = connection.execute(self._ahead, _named(_AFTER, after) | {_NUMBER: number - 1}).one_or_none()
        return None if last is None else Place(last.expires_on, last.address_key)

    def lock(self, connection: Connection, ids: Sequence[int]) -> Sequence[int]:
        """Those of the boxes that are due now, which they stay until the end of the transaction.

        First locked, then asked: PostgreSQL answers a statement that waited for a lock from before it waited. Whoever
        held a box without altering it may have left money that could not be applied to it.
        """
        if not self.alone:
            connection.execute(self._locked, {IN_HAND.name: ids})
        due: Sequence[int] = connection.execute(self._due, {IN_HAND.name: ids}).scalar_one()
        return due

    def change(self, connection: Connection, ids: Sequence[int]) -> None:
        """Do to these boxes what the part does."""
        for statement in self._part.changes if ids else ():
            connection.execute(statement, {IN_HAND.name: ids})

    @cached_property
    def _first(self) -> Select[Any]:
        return self._choice(true())

    @cached_property
    def _next(self) -> Select[Any]:
        return self._choice(_place() > _place_named(_AFTER))

    @cached_property
    def _between(self) -> Select[Any]:
        return self._choice(and_(_place() > _place_named(_AFTER), _place() <= _place_named(_UNTIL)))

    @cached_property
    def _ahead(self) -> Select[Any]:
        return self._in_order(_place() > _place_named(_AFTER)).offset(bindparam(_NUMBER, type_=Integer())).limit(1)

    @cached_property
    def _locked(self) -> Select[Any]:
        in_hand = select(boxes.c.id).where(among(boxes.c.id, IN_HAND)).order_by(boxes.c.id)
        return select(func.count()).select_from(in_hand.with_for_update(key_share=True).cte("locked"))

    @cached_property
    def _due(self) -> Select[Any]:
        in_hand = select(boxes.c.id).where(among(boxes.c.id, IN_HAND), self._part.due).order_by(boxes.c.id)
        return select(listed(in_hand.cte("due").c.id))

    def _choice(self, where: ColumnElement[bool]) -> Select[Any]:
        rows = self._in_order(where).limit(self._size)
        if self.alone:
            return _one_row_in_one_pass(rows.add_columns(none_of(self._part.refusals).label("due")))
        if self._pass_over_locked:
            rows = rows.with_for_update(of=boxes, key_share=True, skip_locked=True)
        return _one_row(rows, self._size)

    def _in_order(self, where: ColumnElement[bool]) -> Select[Any]:
        return (
            select(boxes.c.id, boxes.c.expires_on, boxes.c.address_key)
            .where(where, self._part.candidates)
            .order_by(boxes.c.expires_on, boxes.c.address_key)
        )


def _one_row(rows: Select[Any], limit: int) -> Select[Any]:
    """The ids, how many rows there are, and E and address of the last one if they are as many as may be."""
    chosen = rows.cte("chosen")
    whole = select(listed(chosen.c.id), func.count().label("candidates")).select_from(chosen).subquery("whole")
    # The last by its number: to look for the greatest takes PostgreSQL several times what the choice takes.
    last = (
        select(chosen.c.expires_on, chosen.c.address_key)
        .order_by(chosen.c.expires_on, chosen.c.address_key)
        .offset(limit - 1)
        .limit(1)
        .subquery("last")
    )
    return select(whole, last).select_from(whole.outerjoin(last, true()))


def _one_row_in_one_pass(rows: Select[Any]) -> Select[Any]:
    """The same on SQLite, which would write the rows down to go over them twice."""
    chosen = rows.subquery("chosen")
    last = func.max(joined(chosen.c.expires_on, chosen.c.address_key))  # a date is always ten characters long
    return select(
        listed(chosen.c.id).filter(chosen.c.due),
        func.count(),
        func.substr(last, 1, 10, type_=boxes.c.expires_on.type),
        func.substr(last, 11),
    ).select_from(chosen)


def after_the(last: Any) -> ColumnElement[bool]:
    """The boxes that come after this one by E and address.

    To be named before what makes them due: of several bounds of an index SQLite takes the first.
    """
    day, address = boxes.c.expires_on.type, boxes.c.address_key.type
    return _place() > tuple_(literal(last.expires_on, day), literal(last.address_key, address))


def _place() -> Tuple:
    # Compared as a pair, so that the index begins right there. Taken apart into `E > … OR …`, PostgreSQL reads and
    # sorts all that is still due for each chunk, and SQLite goes over what it has done: each is slower than the last.
    return tuple_(boxes.c.expires_on, boxes.c.address_key)


def _place_named(name: str) -> Tuple:
    """A place that is said when the statement is executed."""
    day, address = boxes.c.expires_on.type, boxes.c.address_key.type
    return tuple_(bindparam(f"{name}_day", type_=day), bindparam(f"{name}_address", type_=address))


def _named(name: str, place: Place) -> dict[str, Any]:
    return {f"{name}_day": place.expires_on, f"{name}_address": place.address_key}
