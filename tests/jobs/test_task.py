"""A job's share of a pass: that of one customer, where it is asked for him alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert

from lifecycle_jobs import day
from lifecycle_jobs.db import tables
from lifecycle_jobs.jobs.task import Task
from lifecycle_jobs.runs import Run
from tests import factories
from tests.jobs.running import Office

E = factories.EXPIRES_ON
DAY = timedelta(days=1)


def do_for(office: Office, customer: str, job: str, on: date) -> None:
    run = Run(on, 1, "everything", on - DAY)
    task = Task(job, office.store, run, office.settings.catalog(), 5000, lambda _job, _rows: None, of_customer=customer)
    day.work_of(office.settings, office.gateway, day.Wish())[job](task)


def acted_on(office: Office) -> set[str]:
    with office.store.read() as connection:
        return set(connection.scalars(tables.events.select().with_only_columns(tables.events.c.customer_id)))


@pytest.mark.parametrize(
    ("job", "on", "status"),
    [
        ("auto_renew", E, "active"),
        ("renew_addons", E + DAY, "active"),
        ("suspend", E + DAY, "active"),
        ("delete", E + 91 * DAY, "suspended"),
        ("send_alerts", E - 30 * DAY, "active"),
    ],
)
def test_a_job_for_one_customer_leaves_the_boxes_of_all_others_alone(
    office: Office, job: str, on: date, status: str
) -> None:
    with office.store.write() as connection:
        for name in ("his", "hers"):
            factories.customer(connection, name)
            factories.method(connection, f"pm-{name}", name)
            box_id = factories.box(
                connection,
                f"{name}@pec.it",
                customer_id=name,
                status=status,
                auto_renew=job == "auto_renew",
                payment_method_id=f"pm-{name}",
            )
            factories.addon(connection, name, box_id, paid_from="credit")
        # What lets a deletion be looked at in any pass lets nobody else's go.
        connection.execute(
            insert(tables.deletion_approvals).values(
                run_on=on, number=2, actor="anna", approved_at=datetime(2027, 1, 1, tzinfo=UTC)
            )
        )

    do_for(office, "his", job, on)

    assert acted_on(office) == {"his"}
