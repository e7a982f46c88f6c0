"""Who is there is asked of the database in a few statements, however many they are, and by the rules of the jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, literal, select

from lifecycle_jobs.db.conditions import none_of
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import addons, boxes
from lifecycle_jobs.errors import ConfigurationError
from lifecycle_jobs.forecast import forecast
from lifecycle_jobs.forecast.demands import years_behind
from lifecycle_jobs.forecast.last_year import Given
from lifecycle_jobs.forecast.prices import gross_in_sql, renews_itself
from lifecycle_jobs.jobs.eligibility import not_eligible
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.policy import Catalog, whole_years
from lifecycle_jobs.runs import Run
from tests import factories
from tests.daily import settings_for
from tests.forecast.crowd import CARDS_PAY, DAY, TODAY, Crowd
from tests.forecast.days import population, with_brief_plan


@pytest.mark.parametrize("vat", ["22", "0", "21.5"])
def test_the_database_rounds_vat_as_the_policy_does(store: Store, vat: str) -> None:
    catalog = Catalog(factories.CATALOG.plans, Decimal(vat))
    with store.read() as connection:
        for net in (0, 1, 25, 50, 75, 990, 2480, 4001, 99_999_999):
            assert connection.scalar(select(gross_in_sql(catalog, literal(net)))) == catalog.gross(net)


def test_who_renews_by_itself_is_who_auto_renew_would_ask_holds_aside(store: Store, tmp_path: Path) -> None:
    catalog = with_brief_plan(settings_for(tmp_path)).catalog()
    with store.write() as connection:
        Crowd(connection, CARDS_PAY).settle(60)
    task = Task("forecast", store, Run(TODAY, 0, "everything", TODAY), catalog, 1, lambda _job, _rows: None)
    but_for_holds = [refusal for refusal in not_eligible(task) if refusal[0] != "on_hold"]

    with store.read() as connection:
        renewing = connection.scalars(select(boxes.c.id).where(renews_itself(catalog)).order_by(boxes.c.id)).all()
        eligible = connection.scalars(select(boxes.c.id).where(none_of(but_for_holds)).order_by(boxes.c.id)).all()

    assert renewing
    assert renewing == eligible


def test_boxes_that_stand_alike_are_one_group(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        factories.customer(connection)
        for number in range(30):
            factories.box(connection, f"b{number}@pec.example.it", expires_on=TODAY + 50 * DAY)

    found = population(store, settings_for(tmp_path), TODAY, 2)

    (group,) = found.boxes.values()
    assert (group.number, group.gross_cents) == (30, 30 * 1208)
    assert [len(names) for names in found.several_boxes] == [30]


def test_credit_is_spent_in_the_order_of_dates(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        factories.customer(connection, credit=2 * 1208 + 100)
        factories.method(connection, kind="credit")
        for days in (10, 20, 30):
            factories.box(
                connection,
                f"b{days}@pec.example.it",
                expires_on=TODAY + days * DAY,
                auto_renew=True,
                payment_method_id="pm1",
            )

    found = population(store, settings_for(tmp_path), TODAY, 2)

    funded = {group.expires_on: group.standing.funded for group in found.boxes.values()}
    assert funded == {TODAY + 10 * DAY: 1, TODAY + 20 * DAY: 1, TODAY + 30 * DAY: 0}


def test_the_next_term_of_one_comes_before_the_first_of_another_where_its_date_does(
    store: Store, tmp_path: Path
) -> None:
    with store.write() as connection:
        factories.customer(connection, credit=3000)
        factories.method(connection, kind="credit")
        by_credit: dict[str, Any] = {"auto_renew": True, "payment_method_id": "pm1"}
        for name, days, years in (("yearly", 30, 1), ("late", 450, 5)):
            ends = TODAY + days * DAY
            factories.box(connection, f"{name}@pec.it", expires_on=ends, renewal_years=years, **by_credit)

    found = population(store, settings_for(tmp_path), TODAY, 18)

    funded = {group.expires_on: group.standing.funded for group in found.boxes.values()}
    assert funded == {TODAY + 30 * DAY: 2, TODAY + 450 * DAY: 0}


@pytest.mark.parametrize(
    ("addon", "box"),
    [
        (date(2027, 3, 31), date(2028, 3, 31)),
        (date(2027, 3, 31), date(2030, 3, 31)),
        (date(2027, 3, 10), date(2028, 3, 31)),
        (date(2027, 3, 31), date(2028, 3, 10)),
        (date(2027, 2, 28), date(2028, 2, 29)),
        (date(2028, 2, 29), date(2029, 2, 28)),
    ],
)
def test_the_years_that_an_addon_is_behind_are_counted_as_the_policy_does(store: Store, addon: date, box: date) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.addon(connection, "a", factories.box(connection, expires_on=box), expires_on=addon)

        behind = select(years_behind()).join_from(addons, boxes, boxes.c.id == addons.c.box_id)
        assert connection.scalar(behind) == whole_years(addon, box)


def test_a_plan_that_is_not_in_the_configuration_is_named(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        factories.customer(connection)
        factories.box(connection, plan="gone")

    with pytest.raises(ConfigurationError, match=r"plans\.gone: there are boxes of this plan"):
        forecast(store, settings_for(tmp_path), TODAY, 1, Given({}))


def test_ten_times_as_many_boxes_take_no_statement_more(store: Store, tmp_path: Path) -> None:
    settings = with_brief_plan(settings_for(tmp_path))
    asked = []
    with store.write() as connection:
        crowd = Crowd(connection, CARDS_PAY)
        crowd.settle(10)
    for _ in range(2):
        with _statements(store) as sent:
            forecast(store, settings, TODAY, 12, Given({}))
        asked.append(len(sent))
        with store.write() as connection:
            crowd.moved_to(connection).settle(90)

    assert asked[0] == asked[1] < 10 + len(settings.plans)  # each plan in use is looked for


def test_what_is_asked_of_each_box_is_found_by_an_index(sqlite_store: Store, tmp_path: Path) -> None:
    with _statements(sqlite_store) as sent:
        forecast(sqlite_store, with_brief_plan(settings_for(tmp_path)), TODAY, 12, Given({}))

    with sqlite_store.read() as connection:
        for statement, parameters in sent:
            steps = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            for number, parent, _, step in steps:
                large = any(step.startswith(f"SCAN {table}") for table in ("events", "charges", "messages", "orders"))
                assert not large, f"{number} in {parent}: {step}\n{statement}"


@contextmanager
def _statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:  # noqa: FBT001 -- SQLAlchemy's
        if statement.lstrip().startswith(("SELECT", "WITH")):
            sent.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
