"""Days that are lived through on a copy: the same seed, the same history; and the provider is only read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select

from lifecycle_jobs import log
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, charges, events, messages
from lifecycle_jobs.forecast.assumptions import Assumptions, ByHand, Declines
from lifecycle_jobs.operators import stop_everything
from lifecycle_jobs.settings import Settings
from lifecycle_jobs.simulating.bank import Bank, Trouble
from lifecycle_jobs.simulating.copying import copied, to_live_in
from lifecycle_jobs.simulating.living import Living
from tests import factories
from tests.auditing import assert_books_are_right
from tests.daily import Rows, all_rows, settings_for
from tests.simulating.crowd import DAY, RATES, TODAY, settle
from tests.simulating.living import CLERK, in_silence, lives, source_of, span

TROUBLE = Trouble(lost_answers=0.4, outages=0.4)
WHEN_IT_RAN = ("run_jobs", "leases")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    log.configure("error", "json")


def rows(store: Store, settings: Settings, days: int, seed: int) -> Rows:
    """Every row of a copy in which so many days were lived through, but for how long that took."""
    last = TODAY + (days - 1) * DAY
    with copied(source_of(store), in_silence) as original, to_live_in(original) as copy:
        Living(copy, settings, span(settings, last), RATES, seed=seed, trouble=TROUBLE).live("test", in_silence)
        assert_books_are_right(copy, settings)
        return all_rows(copy, but=WHEN_IT_RAN)


def test_the_same_seed_is_the_same_history_on_both_databases_in_chunks_of_any_size_and_another_seed_is_another(
    sqlite_store: Store, postgresql_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path)
    for store in (sqlite_store, postgresql_store):
        with store.write() as connection:
            settle(connection, 40, ends_within=15)
    before = all_rows(sqlite_store), all_rows(postgresql_store)

    once = rows(sqlite_store, settings, days=4, seed=1)
    another = rows(sqlite_store, settings, days=4, seed=2)
    monkeypatch.setattr(Bank, "parallel", True)
    in_small_chunks = settings.model_copy(update={"database": settings.database.model_copy(update={"chunk_size": 2})})
    again = rows(postgresql_store, in_small_chunks, days=4, seed=1)

    assert {row["status"] for row in once["charges"]} >= {
        "succeeded",
        "declined",
        "not_attempted",
    }
    assert _history(once) == _history(again)
    assert _history(once) != _history(another)
    assert (all_rows(sqlite_store), all_rows(postgresql_store)) == before


def _history(found: Rows) -> dict[str, list[str]]:
    """Row for row, but for the numbers that rows are given as they come, which chunks and calls at once may swap."""
    numbers = {"id", "event_id", "message_id", "order_id", "charge_id"}
    return {
        table: sorted(str({name: value for name, value in row.items() if name not in numbers}) for row in some)
        for table, some in found.items()
    }


def test_without_trouble_and_chance_the_days_are_those_of_the_forecast(sqlite_store: Store, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, deletion={"require_delivered_warning": True})
    with sqlite_store.write() as connection:
        settle(connection, 40, ends_within=30)
    certain = Assumptions({"card": Declines(1.0, hard=1.0)}, ByHand(1.0, {15: 1.0}))

    (history,) = lives(sqlite_store, settings, TODAY + 3 * DAY, certain, seeds=[1])

    for day in history.days:
        assert day.happened.as_dict() == day.foretold.as_dict(), day.on


def test_deletions_above_the_cap_are_refused_every_day_until_they_are_approved(
    sqlite_store: Store, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, deletion={"always_allowed": 5})
    with sqlite_store.write() as connection:
        factories.customer(connection)
        for number in range(8):
            gone = TODAY - 91 * DAY
            factories.box(connection, f"b{number}@pec.example.it", status="suspended", expires_on=gone)
    source = source_of(sqlite_store)

    def living(copy: Store, *, approve: bool) -> Living:
        days = span(settings, TODAY + DAY)
        return Living(copy, settings, days, RATES, approve_deletions=approve)

    with copied(source, in_silence) as original:
        with to_live_in(original) as copy:
            waiting = living(copy, approve=False).live("test", in_silence)
        with to_live_in(original) as copy:
            let_go = living(copy, approve=True).live("test", in_silence)

    assert [(day.refused, day.happened.deleted) for day in waiting.days] == [(8, 0), (8, 0)]
    assert [(day.refused, day.happened.deleted) for day in let_go.days] == [(0, 8), (0, 0)]
    assert let_go.troubles.approved == [TODAY]
    assert [day.foretold.deleted for day in let_go.days] == [8, 0]


def test_a_simulation_begins_with_things_as_they_are(sqlite_store: Store, tmp_path: Path) -> None:
    """A charge without an answer is found out about, mail that waits leaves, and an emergency stop is no obstacle."""
    settings = settings_for(tmp_path)
    with sqlite_store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        box = factories.box(
            connection, expires_on=TODAY + 5 * DAY, auto_renew=True, payment_method_id="pm1", renewal_years=1
        )
        order = factories.order(connection, "R-1", box_id=box, term_expires_on=TODAY + 5 * DAY)
        factories.charge(
            connection,
            "own-1-abcdef12-20270306-7-1",
            order_id=order,
            box_id=box,
            term_expires_on=TODAY + 5 * DAY,
            attempted_on=TODAY - DAY,
            status="unknown",
        )
        told = factories.event(
            connection, "box.expiry_alert", box_id=box, occurred_on=TODAY - DAY, term_expires_on=TODAY + 5 * DAY
        )
        factories.message(connection, "waiting", told)
    stop_everything(sqlite_store, CLERK, "looking")

    with copied(source_of(sqlite_store), in_silence) as original, to_live_in(original) as copy:
        living = Living(copy, settings, span(settings, TODAY), replace(RATES, declines={}))
        sentences = living.live("test", in_silence).assumptions
        with copy.read() as connection:
            statuses = connection.scalars(select(charges.c.status).order_by(charges.c.id)).all()
            ends: date | None = connection.scalar(select(boxes.c.expires_on))
            waiting = connection.scalar(select(func.count()).where(messages.c.status == "queued"))
            renewed = connection.scalar(select(func.count()).where(events.c.kind == "box.renewed"))

    # Found paid, or never seen and then charged: by the seed; renewed once, either way.
    assert statuses in (["succeeded"], ["not_attempted", "succeeded"])
    assert (renewed, waiting) == (1, 0)
    assert ends == date(2028, 3, 6)
    assert [sentence for sentence in sentences if "emergency stop" in sentence]
