"""What must be true before a day begins."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from lifecycle_jobs import gates, runs
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import events
from lifecycle_jobs.errors import GapSuspected, Refused
from lifecycle_jobs.operators import Operator, confirm_gap
from lifecycle_jobs.settings import Settings
from tests.daily import settings_for

TODAY = date(2027, 3, 24)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def happened(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.scalars(select(events.c.kind)))


def test_a_date_in_the_future_is_refused_where_something_can_leave_the_machine(tmp_path: Path) -> None:
    leaving = settings_for(tmp_path, mail={"transport": "smtp"})

    with pytest.raises(Refused, match="in the future"):
        gates.check_date(leaving, TODAY + timedelta(days=1), TODAY, allow_future=False)

    gates.check_date(leaving, TODAY, TODAY, allow_future=False)
    gates.check_date(leaving, TODAY + timedelta(days=1), TODAY, allow_future=True)
    gates.check_date(settings_for(tmp_path), TODAY + timedelta(days=1), TODAY, allow_future=False)


@pytest.mark.parametrize(
    ("days_back", "suspicious"), [(0, False), (1, False), (10, False), (11, True), (400, True), (-1, True)]
)
def test_a_gap_is_suspected_when_today_does_not_follow_on_the_last_completed_run(
    store: Store,
    settings: Settings,
    days_back: int,
    suspicious: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    completed = runs.begin(store, TODAY - timedelta(days=days_back))
    assert completed is not None
    runs.finish(store, completed, 0)
    operator = Operator("anna", "restored on purpose", TODAY)

    if not suspicious:
        gates.check_gap(store, settings, TODAY)
        return
    with pytest.raises(GapSuspected, match="confirm-gap"):
        gates.check_gap(store, settings, TODAY)
    assert happened(store) == []
    confirm_gap(store, operator, completed.on)
    gates.check_gap(store, settings, TODAY)
    assert happened(store) == ["run.gap_accepted"]


def test_a_confirmation_holds_only_for_the_gap_that_was_seen(store: Store, settings: Settings) -> None:
    """The clock that jumps again, or another backup restored, is another gap."""
    for days_back in (400, 300):
        completed = runs.begin(store, TODAY - timedelta(days=days_back))
        assert completed is not None
        runs.finish(store, completed, 0)
    confirm_gap(store, Operator("anna", None, TODAY), TODAY - timedelta(days=400))
    with pytest.raises(GapSuspected):
        gates.check_gap(store, settings, TODAY)

    confirm_gap(store, Operator("anna", None, TODAY), TODAY - timedelta(days=300))
    gates.check_gap(store, settings, TODAY)
    gates.check_gap(store, settings, TODAY + timedelta(days=10))
    for wrong_clock in (TODAY + timedelta(days=11), TODAY - timedelta(days=1)):
        with pytest.raises(GapSuspected):
            gates.check_gap(store, settings, wrong_clock)


def test_the_first_run_of_all_has_no_gap(store: Store, settings: Settings) -> None:
    gates.check_gap(store, settings, TODAY)
