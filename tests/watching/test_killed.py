"""A day that is stopped, or let go by its plan, and killed before any of its commits: all of them go, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event, select, update

from lifecycle_jobs import log
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, suspension_approvals
from tests.watching.stopped import due, kinds, provider
from tests.workers import ON


class Killed(BaseException):
    """What no code of ours catches."""


@contextmanager
def killed_before_commit(store: Store, number: int) -> Iterator[Counter[str]]:
    """In the block the process dies right before that commit; the commits are counted."""
    commits: Counter[str] = Counter()

    def die(_connection: Connection) -> None:
        commits["made"] += 1
        if commits["made"] == number:
            raise Killed

    event.listen(store.engine, "commit", die)
    try:
        yield commits
    finally:
        event.remove(store.engine, "commit", die)


@pytest.mark.soak
@pytest.mark.parametrize("by_plan", [False, True], ids=["stopped", "let go"])
def test_killed_before_any_commit_all_of_them_go_or_none(store: Store, tmp_path: Path, *, by_plan: bool) -> None:
    log.configure("error", "json")
    days = provider(store, tmp_path)
    ids = [*due(store, 10), *due(store, 10, deletion=True)]
    before = boxes_of(store, ids)
    digest = days.plan(ON).digest if by_plan else None
    ended, number = False, 0
    while not ended:
        number += 1
        with killed_before_commit(store, number) as commits:
            try:
                days.run(ON, plan=digest)
            except Killed:
                approved = kinds(store)["suspensions.approved"] == 1
            else:
                ended, approved = True, by_plan

        with store.write() as connection:
            connection.execute(delete(tables.leases))  # this process lives on, so it would be taken for alive
        report = days.run(ON)  # whoever comes next knows no plan

        done = kinds(store)
        assert (done["box.suspended"], done["box.deleted"]) == ((10, 10) if approved else (0, 0)), (number, commits)
        assert len(report.failures) == (0 if approved or report.run_pass is None else 2)
        start_over(store, before)
    assert number > (15 if by_plan else 7)


def boxes_of(store: Store, ids: Sequence[int]) -> list[dict[str, Any]]:
    with store.read() as connection:
        return [dict(row) for row in connection.execute(select(boxes).where(boxes.c.id.in_(ids))).mappings()]


def start_over(store: Store, before: Sequence[Mapping[str, Any]]) -> None:
    """The morning of the date, once more."""
    with store.write() as connection:
        for table in (tables.unusual_figures, tables.run_jobs, tables.runs):
            connection.execute(delete(table).where(table.c.run_on == ON))
        for table in (
            tables.message_events,
            tables.messages,
            tables.events,
            tables.deletion_approvals,
            suspension_approvals,
        ):
            connection.execute(delete(table))
        for row in before:
            connection.execute(update(boxes).where(boxes.c.id == row["id"]).values(row))
