"""What a run notices, from what the runs before it did; with records of jobs instead of boxes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pytest
from sqlalchemy import Connection, update

from lifecycle_jobs import runs
from lifecycle_jobs.db import tables
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.runs import JobReport
from lifecycle_jobs.settings import WatchingSettings, load_settings
from lifecycle_jobs.watching.noticing import DECLINED, IMPORT, MOVED, UNDELIVERED, Unusual, notice, noticed, record
from lifecycle_jobs.watching.reading import UNUSUALLY_MANY
from tests import factories
from tests.watching.past import DAY, days_before, have_run, record_runs

ON = date(2027, 3, 24)
WATCHING = load_settings().watching
SHARP = WATCHING.model_copy(update={"least": 5})
"""Where a few are many already."""

JOBS = ("auto_renew", "delete", "send_alerts")


def told(
    store: Store,
    on: date = ON,
    mail_of: date | None = None,
    watching: WatchingSettings = WATCHING,
    **done: Mapping[str, int],
) -> list[Unusual]:
    """What a run of the date notices in which these jobs did so much, and the others nothing."""
    run = runs.begin(store, on)
    assert run is not None
    for job in JOBS:
        runs.job_began(store, run, job)
        runs.job_finished(store, run, JobReport(job, dict(done.get(job, {}))))
    return list(notice(store, watching, on, mail_of=mail_of))


def test_an_ordinary_day_has_nothing_to_tell_and_writes_nothing(store: Store) -> None:
    have_run(store, days_before(ON, 57), "send_alerts", expiry_alert=900)

    assert told(store, send_alerts={"box.expiry_alert": 1100}) == []


def test_ten_times_as_many_are_unusual(store: Store) -> None:
    have_run(store, days_before(ON, 57), "delete", deleted=425)

    assert told(store, delete={"box.deleted": 4250}) == [Unusual(ON, "delete", "box.deleted", 4250, usual=425)]


def test_none_at_all_is_unusual_where_there_are_many(sqlite_store: Store) -> None:
    store = sqlite_store
    have_run(store, days_before(ON, 57), "send_alerts", expiry_alert=900)

    assert told(store) == [Unusual(ON, "send_alerts", "box.expiry_alert", 0, usual=900)]


def test_a_new_installation_is_not_judged_for_four_weeks(sqlite_store: Store) -> None:
    store = sqlite_store
    have_run(store, days_before(ON, 28), "delete", deleted=1)

    assert told(store, delete={"box.deleted": 4250}) == []


def test_days_without_a_run_are_no_zeros_and_the_day_after_them_does_their_work_too(sqlite_store: Store) -> None:
    store = sqlite_store
    dates = [day for day in days_before(ON, 57) if day.weekday() < 5]  # no run at the weekend
    record_runs(store, {day: {"delete": {"box.deleted": 300 if day.weekday() == 0 else 100}} for day in dates})
    thursday, friday, monday = ON + DAY, ON + 2 * DAY, ON + 5 * DAY

    assert told(store, delete={"box.deleted": 301})[0].usual == 100
    for day, number, unusual in ((thursday, 100, 0), (friday, 290, 0), (monday, 890, 0), (monday + 7 * DAY, 1300, 0)):
        assert len(told(store, day, delete={"box.deleted": number})) == unusual
        complete(store, day)


def complete(store: Store, on: date) -> None:
    with store.write() as connection:
        connection.execute(update(tables.runs).where(tables.runs.c.run_on == on).values(state="completed"))


def test_a_job_that_refused_its_work_has_not_done_less_than_usual_nor_is_that_usual(sqlite_store: Store) -> None:
    store = sqlite_store
    refused = [ON - 7 * back * DAY for back in range(1, 5)]
    done = {day: {} if day in refused else {"delete": {"box.deleted": 425}} for day in days_before(ON, 57)}
    record_runs(store, done, refused)
    run = runs.begin(store, ON)
    assert run is not None
    runs.job_began(store, run, "delete")
    runs.job_finished(store, run, JobReport("delete", refused="too many", skipped={"too_many_at_once": 500}))

    assert notice(store, WATCHING, ON, mail_of=None) == []
    assert told(store, delete={"box.deleted": 1276})[0].usual == 425


def test_what_an_unusual_number_has_stopped_is_told_with_that_number(sqlite_store: Store) -> None:
    store = sqlite_store
    have_run(store, days_before(ON, 57), "delete", deleted=425)
    run = runs.begin(store, ON)
    assert run is not None
    runs.job_began(store, run, "delete")
    runs.job_finished(store, run, JobReport("delete", refused="unusual", skipped={UNUSUALLY_MANY: 4250}))

    assert notice(store, WATCHING, ON, mail_of=None) == [
        Unusual(ON, "delete", "box.deleted", 4250, usual=425, stopped=True)
    ]


def test_a_date_that_is_made_up_for_later_may_find_everything_done(sqlite_store: Store) -> None:
    store = sqlite_store
    have_run(store, [*days_before(ON, 57), ON + DAY], "send_alerts", expiry_alert=900)

    assert told(store) == []


def test_what_was_noticed_before_an_interruption_is_noticed_once(store: Store) -> None:
    have_run(store, days_before(ON, 57), "delete", deleted=425)
    told(store, delete={"box.deleted": 4250})

    again = told(store, delete={"box.deleted": 5000})

    assert [each.number for each in again] == [5000]
    with store.read() as connection:
        assert noticed(connection, ON) == again


@pytest.fixture
def box(store: Store) -> int:
    with store.write() as connection:
        factories.customer(connection)
        factories.method(connection)
        return factories.box(connection)


def charge(store: Store, box: int, on: date, *, succeeded: int, declined: int) -> None:
    """Charges of a date, by how they ended."""
    with store.write() as connection:
        for number in range(succeeded + declined):
            key = f"{on}-{number}"
            order = factories.order(connection, key, box_id=box, term_expires_on=on, status="cancelled")
            factories.charge(
                connection,
                key,
                order_id=order,
                box_id=box,
                term_expires_on=on,
                slot=number,
                status="succeeded" if number < succeeded else "declined",
                attempted_on=on,
            )


@pytest.mark.parametrize(
    ("succeeded", "declined", "unusual"),
    [
        (2, 8, [Unusual(ON, "auto_renew", DECLINED, 8, out_of=10, usual=2)]),
        (32, 8, []),  # more of more
    ],
)
def test_a_part_of_the_charges_that_is_declined_far_more_often_is_unusual(
    store: Store, box: int, succeeded: int, declined: int, unusual: list[Unusual]
) -> None:
    have_run(store, days_before(ON, 57), "auto_renew", renewed=8)
    for back in range(1, 5):
        charge(store, box, ON - 7 * back * DAY, succeeded=4, declined=1)
    charge(store, box, ON, succeeded=succeeded, declined=declined)

    assert told(store, watching=SHARP, auto_renew={"box.renewed": 8, "charge.declined": declined}) == unusual


def failed(connection: Connection, on: date, number: int) -> None:
    for each in range(number):
        factories.message(connection, f"{on}-{each}", created_on=on, status="failed")


@pytest.mark.usefixtures("box")
def test_e_mails_that_bounce_far_more_than_usual_are_told_by_the_next_run(store: Store) -> None:
    have_run(store, days_before(ON, 57), "send_alerts", expiry_alert=90)
    yesterday = ON - DAY
    with store.write() as connection:
        for back in range(1, 5):
            failed(connection, yesterday - 7 * back * DAY, 1)
        failed(connection, yesterday, 7)

    noticed_today = told(store, watching=SHARP, send_alerts={"box.expiry_alert": 90})

    assert noticed_today == [Unusual(yesterday, "messages", UNDELIVERED, 7, usual=1)]


@pytest.mark.usefixtures("box")
def test_a_run_that_has_delivered_tells_of_its_own_e_mails(store: Store) -> None:
    have_run(store, days_before(ON, 57), "send_alerts", expiry_alert=90)
    with store.write() as connection:
        failed(connection, ON, 7)

    assert [each.on for each in told(store, mail_of=ON, watching=SHARP, send_alerts={"box.expiry_alert": 90})] == [ON]


def test_what_an_import_noticed_is_told_by_the_run_that_follows(store: Store) -> None:
    have_run(store, days_before(ON, 2))
    moved = Unusual(ON - DAY, IMPORT, MOVED, 12_000, out_of=1_000_000)
    with store.write() as connection:
        record(connection, moved, run_on=None)
    with store.read() as connection:
        assert noticed(connection, ON - DAY) == []
        assert noticed(connection, ON - DAY, untold=True) == [moved]

    assert told(store) == [moved]
    complete(store, ON)
    assert told(store, ON + DAY) == []
